/* SPDX-License-Identifier: Apache-2.0 */
/* fallback.c - what is done for a service that has no answer: its circuit is open, its attempts are
 * spent, or it is too busy. Another service is asked in its place, or the answer is ours. The
 * record keeps the reason. */
#include "gateway/affinity.h"
#include "gateway/request.h"

/* Their fallback has brought an answer: the services that another one has stood in for. */
static void count_stand_ins(const struct nr_request *request)
{
    const struct nr_gateway_snapshot *snapshot = request->view->snapshot;

    for (uint32_t i = request->service; i != request->asked; i = snapshot->stand_ins[i])
        nr_service_fell_back(snapshot->services[i]->service);
}

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
    count_stand_ins(request);
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
    if (service->conf->fallback->service.len > 0)
        return false;
    answer(request, reason, nr_span_of(nr_reason_name(reason)));
    return true;
}

/* ---- another service ---- */

static bool can_move(const struct nr_request *request)
{
    return request->hops < NR_RECORD_HOPS &&
           request->view->snapshot->stand_ins[request->asked] != NR_ID_NONE;
}

/* From now on the next one is asked. */
static void move(struct nr_request *request)
{
    struct nr_record *record = &request->record;

    if (request->hops == 0)
        record->service = request->pools->service->id;
    request->asked = request->view->snapshot->stand_ins[request->asked];
    request->pools = request->view->pools[request->asked];
    record->fallbacks[request->hops++] = 1 + request->pools->service->id;
}

/* Past all that an operator wants to be stood in for. False: the last of them has an answer of its
 * own instead. */
static bool move_on(struct nr_request *request)
{
    while (nr_unlikely(nr_fallback_said(request->pools->service) == NR_SAID_YES)) {
        request->record.flags |= NR_RECORD_BY_HAND;
        if (!can_move(request))
            return false;
        move(request);
    }
    return true;
}

bool nr_fallback_by_hand(struct nr_request *request)
{
    if (nr_likely(nr_fallback_said(request->pools->service) != NR_SAID_YES) || move_on(request))
        return false;
    answer(request, NR_REASON_NONE, NR_SPAN("by_hand"));
    return true;
}

bool nr_fallback_ask(struct nr_exchange *call, enum nr_reason reason, struct nr_call_next *ret_next)
{
    struct nr_request *request = call->owner;

    if (request->down_over || !can_move(request))
        return false;
    if (request->hops == 0)
        request->fell_for = (uint16_t)reason;
    move(request);
    if (!move_on(request))
        return false;
    call->events = &nr_proxy_stand_in_events;
    request->sticky = false;
    request->token = 0;
    ret_next->pools = request->pools->pools;
    ret_next->hop = request->hops;
    ret_next->no_fallback = nr_fallback_said(request->pools->service) == NR_SAID_NO;
    ret_next->has_key = nr_affinity_key(request, nr_exchange_peer(request->down), &ret_next->key);
    return true;
}

void nr_fallback_stood_in(struct nr_request *request, struct nr_head *head)
{
    const char *why = request->fell_for == NR_REASON_NONE
                          ? "by_hand"
                          : nr_reason_name((enum nr_reason)request->fell_for);

    nr_head_set(head, request->down->arena, NR_SPAN("X-Naru-Fallback"), nr_span_of(why));
    request->record.reason = request->fell_for;
    request->record.flags |= NR_RECORD_FALLBACK | NR_RECORD_STOOD_IN;
    count_stand_ins(request);
}
