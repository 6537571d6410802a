/* SPDX-License-Identifier: Apache-2.0 */
/* fault_filter.c - what goes wrong on purpose, so that somebody can see what happens then.
 *
 * Faults are put in behind limits and shedding, which must hold in an exercise, too. Those at the
 * request strike here, before the call. Those at the attempt strike there (call/fault.c), as often
 * as there are attempts; here it is only seen whether they concern the request, by the header that
 * the client sent, before the route changes any. Chance is the engine's, so in the simulator the
 * same seed strikes the same requests. Whatever strikes is in the record: an exercise must never be
 * mistaken for an outage. */
#include "gateway/fault_filter.h"

#include "base/cell.h"
#include "gateway/client.h"
#include "gateway/request.h"

enum { PIECES_PER_S = 20 }; /* a throttled body is passed on in so many pieces */

struct nr_throttle {
    struct nr_timer timer;
    struct nr_request *request;
    uint64_t bytes_per_s;
    uint64_t next_ns; /* when the bytes that have been taken are paid for */
    bool of_attempt;
};

static struct nr_gateway_worker *worker_of(const struct nr_request *request)
{
    return request->port->worker;
}

/* ---- what belongs to a route ---- */

/* Is the service one of the route's, or one that may stand in for one of them? */
static bool leads_to(const struct nr_gateway_snapshot *snapshot, const struct nr_route_conf *route,
                     struct nr_span service)
{
    const struct nr_services_conf *services = nr_services_conf_of(snapshot->config);

    for (uint32_t i = 0; i < nr_route_service_count(route); i++) {
        struct nr_span name = nr_route_service_name(route, i);

        while (name.len > 0) {
            const struct nr_service_conf *conf = nr_service_conf_find(services, name);

            if (nr_span_eq(name, service))
                return true;
            name = nr_service_stand_in(conf);
        }
    }
    return false;
}

/* ret NULL: only count. */
static uint32_t gather(const struct nr_gateway_snapshot *snapshot,
                       const struct nr_route_conf *route, bool of_services,
                       struct nr_call_fault *ret)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < route->fault_count; i++, count++)
        if (ret != NULL)
            ret[count] = (struct nr_call_fault){.conf = &route->faults[i]};
    for (uint32_t i = 0; of_services && i < snapshot->service_count; i++) {
        const struct nr_gateway_service *service = snapshot->services[i];

        if (nr_likely(service->conf->fault_count == 0) ||
            !leads_to(snapshot, route, service->conf->name))
            continue;
        for (uint32_t j = 0; j < service->conf->fault_count; j++, count++)
            if (ret != NULL)
                ret[count] = (struct nr_call_fault){.conf = &service->conf->faults[j],
                                                    .service = service->service};
    }
    return count;
}

bool nr_faults_of_services(const struct nr_gateway_snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->service_count; i++)
        if (snapshot->services[i]->conf->fault_count > 0)
            return true;
    return false;
}

const struct nr_call_fault *nr_faults_of_route(const struct nr_gateway_snapshot *snapshot,
                                               uint32_t route, bool of_services,
                                               struct nr_arena *arena, uint32_t *ret_count)
{
    const struct nr_route_conf *conf = &snapshot->conf->routes[route];
    struct nr_call_fault *faults;

    *ret_count = gather(snapshot, conf, of_services, NULL);
    if (nr_likely(*ret_count == 0))
        return NULL;
    faults = nr_arena_alloc(arena, *ret_count * sizeof(*faults));
    gather(snapshot, conf, of_services, faults);
    return faults;
}

/* ---- whom they concern ---- */

static bool concerns(const struct nr_request *request, const struct nr_fault_conf *fault)
{
    struct nr_span name, value, sent;

    if (fault->header.len == 0)
        return true;
    nr_fault_header(fault, &name, &value);
    sent = nr_client_header(request->head, name);
    return sent.ptr != NULL && (value.ptr == NULL || nr_span_eq(sent, value));
}

static bool strikes(struct nr_request *request, const struct nr_fault_conf *fault)
{
    return fault->share >= 1 || nr_random_unit(nr_io_random(worker_of(request)->io)) < fault->share;
}

static void abort_with(struct nr_request *request, uint32_t status)
{
    const enum nr_reason reason = NR_REASON_FAULT_ABORT;

    request->record.reason = reason;
    nr_problem_answer(request, &(struct nr_problem){.status = (uint16_t)status,
                                                    .reason = nr_reason_name(reason),
                                                    .detail = nr_reason_detail(reason)});
}

static void break_off(struct nr_request *request)
{
    request->record.reason = NR_REASON_FAULT_RESET;
    request->record.status = nr_reason_status(NR_REASON_FAULT_RESET);
    request->local_answer = true; /* nothing is to be said any more */
    request->request_passed = true;
    nr_exchange_reset(request->down);
}

/* ---- bandwidth ---- */

static void paid(struct nr_op *op)
{
    struct nr_request *request = nr_container_of(op, struct nr_throttle, timer.op)->request;

    if (request->up != NULL)
        nr_proxy_pump_answer(request);
}

static const struct nr_op_kind paid_kind = {paid, "gateway.throttle"};

static void throttle(struct nr_request *request, struct nr_rate rate, bool of_attempt)
{
    struct nr_throttle *throttle = nr_arena_zalloc(request->down->arena, sizeof(*throttle));
    uint64_t bytes_per_s = (uint64_t)((double)rate.count * 1e9 / (double)rate.per_ns);

    throttle->request = request;
    throttle->of_attempt = of_attempt;
    throttle->bytes_per_s = bytes_per_s > 0 ? bytes_per_s : 1;
    nr_timer_init(&throttle->timer, &paid_kind);
    request->throttle = throttle;
    request->record.flags |= NR_RECORD_FAULT_SLOW;
}

size_t nr_throttle_take(struct nr_request *request, size_t bytes)
{
    struct nr_throttle *throttle = request->throttle;
    struct nr_io *io = worker_of(request)->io;
    uint64_t now_ns = nr_io_now_ns(io);
    uint64_t piece = throttle->bytes_per_s / PIECES_PER_S;

    if (now_ns < throttle->next_ns)
        return 0; /* the timer is armed */
    piece = piece > 0 ? piece : 1;
    if (bytes > piece)
        bytes = piece;
    throttle->next_ns = now_ns + (uint64_t)((double)bytes * 1e9 / (double)throttle->bytes_per_s);
    nr_timer_arm(io, &throttle->timer, throttle->next_ns);
    return bytes;
}

void nr_throttle_stop(struct nr_request *request)
{
    nr_timer_disarm(worker_of(request)->io, &request->throttle->timer);
    request->throttle = NULL;
}

/* ---- for the call ---- */

struct handed_over {
    struct nr_call_faults faults;
    struct nr_request *request;
};

/* What the request itself is under comes first. */
static void slow_attempt(struct nr_call_faults *faults, const struct nr_rate *bandwidth)
{
    struct nr_request *request = nr_container_of(faults, struct handed_over, faults)->request;

    if (request->throttle != NULL && !request->throttle->of_attempt)
        return;
    if (request->throttle != NULL) {
        nr_throttle_stop(request);
        request->record.flags &= ~(uint32_t)NR_RECORD_FAULT_SLOW;
    }
    if (bandwidth != NULL)
        throttle(request, *bandwidth, true);
}

static uint32_t count_of(const struct nr_request *request)
{
    return request->live != NULL ? request->live_count
                                 : nr_route_guard(request->route)->fault_count;
}

static void hand_over(struct nr_request *request, const struct nr_call_fault *fault)
{
    struct nr_arena *arena = request->down->arena;

    if (request->faults == NULL) {
        struct handed_over *over = nr_arena_zalloc(arena, sizeof(*over));
        uint32_t count = count_of(request);

        over->request = request;
        over->faults.items = nr_arena_alloc(arena, count * sizeof(*over->faults.items));
        over->faults.struck = worker_of(request)->faults;
        over->faults.slow = slow_attempt;
        request->faults = &over->faults;
    }
    request->faults->items[request->faults->count++] = *fault;
}

/* ---- by hand ---- */

/* What an operator says stands in for the route's own faults; those of its services stay. */
static void take_live(struct nr_request *request)
{
    const struct nr_guard *guard = nr_route_guard(request->route);
    struct nr_route_hand *hand = atomic_load_explicit(&guard->hand, memory_order_acquire);
    uint32_t own = request->route->conf->fault_count, count = 0;
    struct nr_arena *arena = request->down->arena;
    const struct nr_fault_conf *confs;
    struct nr_call_fault *live;

    if (nr_likely(hand == NULL || !nr_route_hand_faulty(hand)))
        return;
    confs = nr_hand_faults_copy(hand, nr_io_now_ns(worker_of(request)->io), arena, &count);
    if (confs == NULL)
        return;
    live = nr_arena_zalloc(arena, (count + guard->fault_count - own) * sizeof(*live));
    for (uint32_t i = 0; i < count; i++)
        live[i] = (struct nr_call_fault){.conf = &confs[i], .by_hand = true};
    for (uint32_t i = own; i < guard->fault_count; i++)
        live[count++] = guard->faults[i];
    request->live = live;
    request->live_count = count;
}

/* ---- the filter ---- */

enum nr_fault_outcome nr_fault_filter(struct nr_request *request, uint32_t from, uint32_t *ret_next,
                                      uint64_t *ret_wait_ns)
{
    struct nr_gateway_worker *worker = worker_of(request);
    const struct nr_call_fault *faults;
    uint64_t left_ns = nr_deadline_left_ns(&request->deadline, nr_io_now_ns(worker->io));

    if (from == 0)
        take_live(request);
    faults = request->live != NULL ? request->live : nr_route_guard(request->route)->faults;
    for (uint32_t i = from; i < count_of(request); i++) {
        const struct nr_fault_conf *fault = faults[i].conf;
        enum nr_fault_kind kind = nr_fault_kind_of(fault);

        if (!concerns(request, fault))
            continue;
        if (fault->where == NR_FAULT_IN_ATTEMPT) {
            hand_over(request, &faults[i]);
            continue;
        }
        if (!strikes(request, fault))
            continue;
        nr_cell_add(&worker->faults[kind], 1);
        if (faults[i].by_hand)
            request->record.flags |= NR_RECORD_BY_HAND;
        switch (kind) {
        case NR_FAULT_DELAY:
            request->record.flags |= NR_RECORD_FAULT_DELAY;
            *ret_next = i + 1;
            *ret_wait_ns = fault->delay_ns < left_ns ? fault->delay_ns : left_ns;
            return NR_FAULT_HOLD;
        case NR_FAULT_ABORT: abort_with(request, fault->abort); return NR_FAULT_DONE;
        case NR_FAULT_RESET: break_off(request); return NR_FAULT_DONE;
        default:
            if (request->throttle == NULL)
                throttle(request, fault->bandwidth, false);
        }
    }
    return NR_FAULT_PASS;
}
