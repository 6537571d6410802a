/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/limits.h"
#include "gateway/plan.h"
#include "gateway/request.h"

void nr_respond_sign(struct nr_request *request, struct nr_head *head)
{
    struct nr_arena *arena = request->down->arena;
    struct nr_gateway_worker *worker = request->port->worker;

    if (nr_head_find(head, NR_FIELD_DATE, NULL) == NULL)
        nr_head_add(head, arena, NR_SPAN("Date"),
                    nr_date_text(&worker->date, nr_io_wall_ns(worker->io)));
    if (nr_head_find(head, NR_FIELD_X_REQUEST_ID, NULL) == NULL)
        nr_head_add(head, arena, NR_SPAN("X-Request-Id"), request->request_id);
}

void nr_respond(struct nr_request *request, struct nr_head *head, struct nr_span body)
{
    bool bodiless = head->status == 204 || head->status == 304;

    request->local = body;
    request->local_answer = true;
    request->head_sent = true;
    request->record.status = head->status;
    nr_respond_sign(request, head);
    if (request->told != NULL)
        nr_limit_answer(request, head);
    if (request->plan != NULL)
        nr_plan_response(request, head);
    head->body_length = bodiless ? NR_BODY_NONE : (int64_t)body.len;
    if (body.len == 0 || bodiless ||
        (request->head != NULL && request->head->method == NR_METHOD_HEAD)) {
        request->local.len = 0;
        nr_exchange_send_head(request->down, head, true);
        return;
    }
    nr_exchange_send_head(request->down, head, false);
    request->local =
        nr_span_from(request->local, nr_exchange_send_body(request->down, request->local, true));
}
