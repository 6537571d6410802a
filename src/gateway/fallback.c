/* SPDX-License-Identifier: Apache-2.0 */
/* fallback.c - an answer in place of a service that has none: its circuit is open, its attempts are
 * spent, or it is too busy. The record keeps the reason. */
#include "gateway/request.h"

static struct nr_span content_type(const struct nr_service_fallback_conf *conf)
{
    if (conf->content_type.len > 0)
        return conf->content_type;
    return conf->json != NULL ? NR_SPAN("application/json") : NR_SPAN("text/plain; charset=utf-8");
}

/* Not when the client is to blame, or when it is we who are going; and a fault's answer that nobody
 * wanted to repeat is passed on as the service's own would be. */
static bool is_wanted(enum nr_reason reason)
{
    return nr_reason_status(reason) >= 500 && reason != NR_REASON_DRAINING &&
           reason != NR_REASON_LOOP && reason != NR_REASON_FAULT_ABORT;
}

static void answer(struct nr_request *request, enum nr_reason reason, struct nr_span why)
{
    const struct nr_gateway_service *service = request->pools->service;
    const struct nr_service_fallback_conf *conf = service->conf->fallback;
    struct nr_arena *arena = request->down->arena;
    struct nr_head head;

    nr_head_init_response(&head, arena, (uint16_t)conf->status);
    if (service->fallback.len > 0)
        nr_head_add(&head, arena, NR_SPAN("Content-Type"), content_type(conf));
    nr_head_add(&head, arena, NR_SPAN("X-Naru-Fallback"), why);
    nr_service_fell_back(service->service);
    request->record.reason = (uint16_t)reason;
    request->record.flags |= NR_RECORD_FALLBACK;
    nr_respond(request, &head, service->fallback);
}

bool nr_fallback_answer(struct nr_request *request, enum nr_reason reason)
{
    const struct nr_gateway_service *service = request->pools->service;

    if (nr_likely(service->conf->fallback == NULL) || !is_wanted(reason))
        return false;
    if (nr_unlikely(nr_fallback_said(service) == NR_SAID_NO)) {
        request->record.flags |= NR_RECORD_BY_HAND;
        return false;
    }
    answer(request, reason, nr_span_of(nr_reason_name(reason)));
    return true;
}

bool nr_fallback_by_hand(struct nr_request *request)
{
    if (nr_likely(nr_fallback_said(request->pools->service) != NR_SAID_YES))
        return false;
    request->record.flags |= NR_RECORD_BY_HAND;
    answer(request, NR_REASON_NONE, NR_SPAN("by_hand"));
    return true;
}
