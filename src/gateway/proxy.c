/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.c - a request from its head to its record.
 *
 * Two exchanges, four flows. Each flow is a pump that is run whenever its source has bytes or its
 * sink has room: offer what is pending, consume what was taken. An end travels behind the last
 * byte, and trailers behind that.
 *
 * Who ends what:
 *   - the answer is complete: `down` ends by itself. If the client was still sending, the call is
 * reset, so that no orphaned upload keeps the service busy.
 *   - a tunnel is over when both sides have said so: the FIN that the one has brought is still on
 * its way to the other, so the call is left to end by itself.
 *   - the client leaves: the call is reset; the record says client_closed.
 *   - the call ends without a head: the client gets problem+json with the call's reason.
 *   - the call ends within the answer: `down` is reset, so that the client cannot take the part for
 * the whole. */
#include "base/assert.h"
#include "gateway/affinity.h"
#include "gateway/fault_filter.h"
#include "gateway/guard.h"
#include "gateway/request.h"

enum { HOPS_MAX = 16 };

/* ---- the end of a request ---- */

static enum nr_reason reason_of_end(enum nr_end end)
{
    switch (end) {
    case NR_END_BODY_TIMEOUT: return NR_REASON_BODY_TIMEOUT;
    case NR_END_WRITE_TIMEOUT: return NR_REASON_CLIENT_SLOW;
    case NR_END_PROTOCOL: return NR_REASON_BAD_REQUEST;
    case NR_END_SHUTDOWN: return NR_REASON_DRAINING;
    default: return NR_REASON_CLIENT_CLOSED;
    }
}

/* A record made when the client's side ended by something else than completion. A reason that
 * stands already was the cause, so it stays. */
static void note_broken(struct nr_request *request, enum nr_end end)
{
    struct nr_record *record = &request->record;

    if (end == NR_END_DONE || end == NR_END_IDLE_TIMEOUT || request->tunnel ||
        record->reason != NR_REASON_NONE)
        return;
    record->reason = (uint16_t)reason_of_end(end);
    record->refusal = request->down->refusal;
    if (!request->head_sent)
        record->status = end == NR_END_PROTOCOL ? nr_h1_reason_status(request->down->refusal)
                                                : nr_reason_status(record->reason);
}

static void finish_record(struct nr_request *request)
{
    struct nr_gateway_worker *worker = request->port->worker;
    struct nr_record *record = &request->record;
    const struct nr_head *head = request->head;
    struct nr_record_view view = {.request_id = request->request_id, .path = request->path};

    record->total_us = (uint32_t)((nr_io_now_ns(worker->io) - record->start_ns) / 1000);
    record->received_bytes = request->down->received_bytes;
    record->sent_bytes = request->down->sent_bytes;
    if (head != NULL) {
        view.head = head;
        view.method = nr_head_text(head, head->method_name);
        view.host = nr_head_text(head, head->authority);
        view.user_agent = nr_head_get(head, NR_FIELD_USER_AGENT);
    }
    if (request->pools != NULL && request->hops == 0) /* else it was written before the first hop */
        record->service = request->pools->service->id;
    worker->sink->done(worker->sink, record, &view);
}

/* Both sides are over. */
static void let_go(struct nr_request *request)
{
    if (request->view != NULL)
        nr_view_release(request->view);
    else
        nr_pools_release(request->pools);
}

/* A tunnel may live for days, and the configuration that it began with must not: all that it still
 * needs are the connections that it runs over. */
static void outlive_view(struct nr_request *request)
{
    request->port->worker->in_flight--;
    request->pools->refs++;
    nr_view_release(request->view);
    request->view = NULL;
    request->route = NULL;
    request->plan = NULL;
}

static void down_end(struct nr_exchange *down, enum nr_end end)
{
    struct nr_request *request = down->owner;

    request->down_over = true;
    note_broken(request, end);
    if (!request->tunnel)
        request->port->worker->in_flight--;
    if (nr_unlikely(request->hold != NULL))
        nr_guard_let_go(request);
    if (nr_unlikely(request->throttle != NULL))
        nr_throttle_stop(request);
    if (request->up != NULL && !(request->tunnel && end == NR_END_DONE))
        nr_exchange_reset(request->up); /* notes the attempt; its `end` releases what it holds */
    finish_record(request);
    if (request->up == NULL)
        let_go(request);
}

/* ---- flows ---- */

static void pump_request(struct nr_request *request)
{
    struct nr_span bytes = nr_exchange_pending(request->down);
    bool ended = request->request_ended && request->down_trailers == NULL;
    size_t taken;

    if (nr_unlikely(request->hold != NULL))
        return;
    if (request->up == NULL || request->request_passed) {
        nr_exchange_consume(request->down, bytes.len); /* nobody wants them any more */
        return;
    }
    if (bytes.len == 0 && !request->request_ended)
        return;
    taken = bytes.len > 0 || ended ? nr_exchange_send_body(request->up, bytes, ended) : 0;
    nr_exchange_consume(request->down, taken);
    if (taken < bytes.len || !request->request_ended)
        return;
    request->request_passed = true;
    if (request->down_trailers != NULL)
        nr_exchange_send_trailers(request->up, request->down_trailers);
}

void nr_proxy_pump_answer(struct nr_request *request)
{
    struct nr_span bytes = nr_exchange_pending(request->up);
    bool ended = request->answer_ended && request->up_trailers == NULL;
    size_t there = bytes.len, taken;

    if (bytes.len == 0 && !request->answer_ended)
        return;
    if (nr_unlikely(request->throttle != NULL) && there > 0) {
        bytes.len = nr_throttle_take(request, there);
        ended = ended && bytes.len == there;
        if (bytes.len == 0)
            return;
    }
    taken = bytes.len > 0 || ended ? nr_exchange_send_body(request->down, bytes, ended) : 0;
    nr_exchange_consume(request->up, taken);
    if (taken < there || !request->answer_ended)
        return;
    request->answer_passed = true;
    if (request->up_trailers != NULL)
        nr_exchange_send_trailers(request->down, request->up_trailers);
    if (!request->request_passed && !request->tunnel)
        nr_exchange_reset(
            request->up); /* answered early: what the client still sends is for nobody */
}

/* Refuse a body that grew over the limit; false if it did. What comes behind an answer of our own
 * is dropped, however long: the carrier sees to the connection. */
static bool body_fits(struct nr_request *request)
{
    if (request->down->received_bytes <= request->body_bytes_max || request->tunnel ||
        request->local_answer)
        return true;
    request->request_passed = true;
    if (request->hold != NULL)
        nr_guard_let_go(request);
    if (request->up != NULL)
        nr_exchange_reset(request->up);
    if (!request->head_sent) {
        nr_problem_reason(request, NR_REASON_BODY_TOO_LARGE);
        return false;
    }
    request->record.reason = NR_REASON_BODY_TOO_LARGE;
    nr_exchange_reset(request->down);
    return false;
}

static void down_body(struct nr_exchange *down, bool ended)
{
    struct nr_request *request = down->owner;

    request->request_ended = ended;
    if (!request->request_passed && !body_fits(request))
        return;
    pump_request(request);
}

static void down_trailers(struct nr_exchange *down, struct nr_head *trailers)
{
    struct nr_request *request = down->owner;

    request->request_ended = true;
    request->down_trailers = trailers;
    pump_request(request);
}

static void down_writable(struct nr_exchange *down)
{
    struct nr_request *request = down->owner;

    if (!request->local_answer) {
        if (request->up != NULL && !request->answer_passed)
            nr_proxy_pump_answer(request);
        return;
    }
    if (request->local.len > 0)
        request->local =
            nr_span_from(request->local, nr_exchange_send_body(down, request->local, true));
}

static const struct nr_exchange_events down_events = {
    .body = down_body,
    .trailers = down_trailers,
    .writable = down_writable,
    .end = down_end,
};

/* ---- the service's side ---- */

static void up_head(struct nr_exchange *up, struct nr_head *head, bool ended)
{
    struct nr_request *request = up->owner;

    if (head->status < 200 && head->status != 101) {
        nr_exchange_send_head(request->down, head, false);
        return;
    }
    request->record.status = head->status;
    request->head_sent = true;
    nr_forward_response(request, head);
    if (head->status == 101) {
        request->tunnel = true;
        request->request_passed = false;
        request->request_ended = false;
        request->record.flags |= NR_RECORD_TUNNEL;
        outlive_view(request);
    } else {
        if (nr_unlikely(request->told != NULL))
            nr_limit_answer(request, head);
        if (nr_unlikely(request->sticky))
            nr_affinity_answer(request, head);
    }
    request->answer_ended = ended;
    request->answer_passed = ended;
    nr_exchange_send_head(request->down, head, ended);
    if (ended && !request->request_passed)
        nr_exchange_reset(up);
}

static void up_body(struct nr_exchange *up, bool ended)
{
    struct nr_request *request = up->owner;

    request->answer_ended = ended;
    nr_proxy_pump_answer(request);
}

static void up_trailers(struct nr_exchange *up, struct nr_head *trailers)
{
    struct nr_request *request = up->owner;

    request->answer_ended = true;
    request->up_trailers = trailers;
    nr_proxy_pump_answer(request);
}

static void up_writable(struct nr_exchange *up)
{
    pump_request(up->owner);
}

static void up_end(struct nr_exchange *up, enum nr_end end)
{
    struct nr_request *request = up->owner;
    enum nr_reason reason = nr_call_reason(up);
    bool last = request->down_over; /* else down's end is still to come, and lets go */

    request->up = NULL;
    if (!request->down_over && !request->answer_passed && !request->local_answer) {
        if (!request->head_sent) {
            pump_request(request); /* first: a connection whose request is read can be kept */
            if (!nr_fallback_answer(request, reason))
                nr_problem_call(request, up);
        } else {
            if (!request->tunnel)
                request->record.reason = (uint16_t)reason;
            nr_exchange_reset(request->down);
        }
    }
    (void)end;
    if (last)
        let_go(request);
    nr_exchange_release(request->down);
}

static const struct nr_exchange_events up_events = {
    .head = up_head,
    .body = up_body,
    .trailers = up_trailers,
    .writable = up_writable,
    .end = up_end,
};

static void stand_in_head(struct nr_exchange *up, struct nr_head *head, bool ended)
{
    if (head->status >= 200 || head->status == 101)
        nr_fallback_stood_in(up->owner, head);
    up_head(up, head, ended);
}

const struct nr_exchange_events nr_proxy_stand_in_events = {
    .head = stand_in_head,
    .body = up_body,
    .trailers = up_trailers,
    .writable = up_writable,
    .end = up_end,
};

/* ---- the head ---- */

static void begin_record(struct nr_request *request, const struct nr_peer *peer)
{
    struct nr_record *record = &request->record;
    struct nr_io *io = request->port->worker->io;
    uint64_t now_ns = nr_io_now_ns(io);
    size_t path_len = request->path.len;

    record->start_ns = request->down->times.started_ns;
    record->wall_ns = nr_io_wall_ns(io) - (now_ns - record->start_ns);
    record->head_us = (uint32_t)((now_ns - record->start_ns) / 1000);
    record->route = NR_ID_NONE;
    record->service = NR_ID_NONE;
    record->listener = request->port->id;
    record->method = request->head->method;
    record->version = request->head->version;
    record->client_family = peer->addr.family;
    memcpy(record->client_ip, peer->addr.ip, sizeof(record->client_ip));
    if (path_len > NR_RECORD_PATH_BYTES) {
        path_len = NR_RECORD_PATH_BYTES;
        record->flags |= NR_RECORD_PATH_CUT;
    }
    memcpy(record->path, request->path.ptr, path_len);
    record->path_len = (uint8_t)path_len;
}

static struct nr_request *begin(struct nr_gateway_port *port, struct nr_exchange *down,
                                struct nr_head *head, bool ended, const struct nr_peer *peer)
{
    struct nr_request *request = nr_arena_zalloc(down->arena, sizeof(*request));

    port->worker->in_flight++;
    request->port = port;
    request->view = nr_view_hold(port->worker);
    request->down = down;
    request->head = head;
    request->request_ended = ended;
    request->request_passed = ended;
    request->body_bytes_max = port->conf->limits.max_body_bytes;
    request->path = nr_head_text(head, head->path);
    request->tls = peer->tls;
    down->events = &down_events;
    down->owner = request;
    begin_record(request, peer);
    nr_forward_identify(request, peer);
    down->id = request->request_id;
    return request;
}

static struct nr_span method_list(struct nr_arena *arena, uint64_t methods)
{
    struct nr_span list = {NULL, 0};

    for (int method = NR_METHOD_GET; method < NR_METHODS; method++) {
        struct nr_span name = nr_method_name((enum nr_method)method);

        if (!(methods & ((uint64_t)1 << method)) || method == NR_METHOD_CONNECT ||
            method == NR_METHOD_TRACE)
            continue;
        list = list.len == 0 ? name
                             : nr_arena_printf(arena, "%.*s, %.*s", (int)list.len, list.ptr,
                                               (int)name.len, name.ptr);
    }
    return list;
}

/* 405 must list what is allowed: RFC 9110, 15.5.6. */
static void answer_method_not_allowed(struct nr_request *request, uint64_t methods)
{
    const enum nr_reason reason = NR_REASON_METHOD_NOT_ALLOWED;

    request->record.reason = reason;
    nr_problem_answer(
        request, &(struct nr_problem){.status = nr_reason_status(reason),
                                      .reason = nr_reason_name(reason),
                                      .detail = nr_reason_detail(reason),
                                      .extra_name = NR_SPAN("Allow"),
                                      .extra_value = method_list(request->down->arena, methods)});
}

/* "OPTIONS *" asks about the server, not about a resource of it: RFC 9110, 9.3.7. */
static void answer_options(struct nr_request *request)
{
    struct nr_arena *arena = request->down->arena;
    struct nr_head head;

    nr_head_init_response(&head, arena, 204);
    nr_head_add(&head, arena, NR_SPAN("Allow"), method_list(arena, UINT64_MAX));
    nr_respond(request, &head, (struct nr_span){NULL, 0});
}

void nr_proxy_choose(struct nr_request *request, uint32_t service)
{
    request->pools = request->view->pools[service];
    request->service = service;
    request->asked = service;
    request->record.service = request->pools->service->id;
}

/* Find the route; false if the request was answered instead. */
static bool route(struct nr_request *request, const struct nr_peer *peer)
{
    const struct nr_gateway_snapshot *snapshot = request->view->snapshot;
    const struct nr_head *head = request->head;
    uint32_t rule = 0;
    uint64_t methods = 0;

    if (nr_unlikely(request->path.len == 1 && request->path.ptr[0] == '*')) {
        answer_options(request);
        return false;
    }
    switch (nr_router_find(snapshot->router, nr_head_text(head, head->authority), request->path,
                           head->method, head, &rule, &methods)) {
    case NR_ROUTER_FOUND: break;
    case NR_ROUTER_NO_METHOD: answer_method_not_allowed(request, methods); return false;
    case NR_ROUTER_NO_ROUTE: nr_problem_reason(request, NR_REASON_NO_ROUTE); return false;
    }
    request->route = &snapshot->routes[rule];
    request->plan = request->route->plan;
    request->record.route = request->route->id;
    if (nr_unlikely(nr_route_guard(request->route) != NULL))
        nr_guard_aim(request, peer);
    if (request->route->service != NR_ID_NONE)
        nr_proxy_choose(request, request->route->service);
    if (nr_forward_hops(head) >= HOPS_MAX) {
        nr_problem_reason(request, NR_REASON_LOOP);
        return false;
    }
    if (head->body_length > 0 && (uint64_t)head->body_length > request->body_bytes_max) {
        nr_problem_reason(request, NR_REASON_BODY_TOO_LARGE);
        return false;
    }
    return true;
}

static void start_deadline(struct nr_request *request, const struct nr_peer *peer)
{
    uint64_t listener_ns = request->port->conf->deadline_ns;
    uint64_t client_ns = nr_forward_client_limit_ns(request, peer);

    request->deadline = nr_deadline_start(request->record.start_ns, request->route->deadline_ns);
    if (listener_ns != 0)
        nr_deadline_tighten(&request->deadline, listener_ns);
    if (client_ns != 0)
        nr_deadline_tighten(&request->deadline, client_ns);
    if (request->deadline.at_ns != NR_TIME_NEVER)
        request->record.deadline_ms =
            (uint32_t)((request->deadline.at_ns - request->deadline.start_ns) / 1000000);
}

static void go_on(struct nr_request *request)
{
    struct nr_exchange *down = request->down;
    const struct nr_peer *peer = nr_exchange_peer(down);
    uint64_t key = 0;
    bool keyed;

    if (request->plan != NULL && !nr_plan_take(request))
        return;
    if (nr_fallback_by_hand(request)) {
        pump_request(request); /* for nobody */
        return;
    }
    keyed = nr_affinity_key(request, peer, &key);
    nr_forward_request(request, peer);
    if (request->plan != NULL && !nr_plan_request(request))
        return;
    nr_exchange_hold(down);
    request->up =
        nr_call_open(request->port->worker->io,
                     &(struct nr_call_conf){
                         .pools = request->pools->pools,
                         .head = request->head,
                         .arena = down->arena,
                         .deadline = request->deadline,
                         .record = &request->record,
                         .budget = &request->port->worker->budget,
                         .events = request->hops > 0 ? &nr_proxy_stand_in_events : &up_events,
                         .owner = request,
                         .faults = request->faults,
                         .stand_in = nr_fallback_ask,
                         .hop = request->hops,
                         .key = key,
                         .has_key = keyed,
                         .ended = request->request_passed,
                         .no_fallback = nr_fallback_said(request->pools->service) == NR_SAID_NO,
                     });
}

void nr_proxy_resume(struct nr_request *request)
{
    go_on(request);
    if (request->up != NULL)
        pump_request(request); /* what came meanwhile */
}

void nr_proxy_request(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                      bool ended)
{
    struct nr_gateway_port *port = nr_container_of(handler, struct nr_gateway_port, handler);
    const struct nr_peer *peer = nr_exchange_peer(x);
    struct nr_request *request = begin(port, x, head, ended, peer);

    if (!route(request, peer))
        return;
    start_deadline(request, peer);
    if (nr_unlikely(nr_route_guard(request->route) != NULL) && !nr_guard_admit(request, peer))
        return;
    go_on(request);
}

void nr_proxy_refused(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                      uint16_t status, const char *reason)
{
    struct nr_gateway_port *port = nr_container_of(handler, struct nr_gateway_port, handler);
    struct nr_request *request = begin(port, x, head, true, nr_exchange_peer(x));
    /* Without a word of the codec's it was no malformed head, but one that took too long. */
    enum nr_reason why = x->refusal != NR_H1_OK ? NR_REASON_BAD_REQUEST : NR_REASON_HEADER_TIMEOUT;

    request->record.reason = (uint16_t)why;
    request->record.refusal = x->refusal;
    nr_problem_answer(
        request,
        &(struct nr_problem){.status = status, .reason = reason, .detail = nr_reason_detail(why)});
}
