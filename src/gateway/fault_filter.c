/* SPDX-License-Identifier: Apache-2.0 */
/* fault_filter.c - what goes wrong on purpose, so that somebody can see what happens then.
 *
 * Faults are put in behind limits and shedding, which must hold in an exercise, too, and before the
 * call. Chance is the engine's, so in the simulator the same seed strikes the same requests.
 * Whatever strikes is in the record: an exercise must never be mistaken for an outage. */
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
};

static struct nr_gateway_worker *worker_of(const struct nr_request *request)
{
    return request->port->worker;
}

static bool strikes(struct nr_request *request, const struct nr_fault_conf *fault)
{
    struct nr_span name, value, sent;

    if (fault->header.len > 0) {
        nr_fault_header(fault, &name, &value);
        sent = nr_client_header(request->head, name);
        if (sent.ptr == NULL || (value.ptr != NULL && !nr_span_eq(sent, value)))
            return false;
    }
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

static void throttle(struct nr_request *request, struct nr_rate rate)
{
    struct nr_throttle *throttle = nr_arena_zalloc(request->down->arena, sizeof(*throttle));
    uint64_t bytes_per_s = (uint64_t)((double)rate.count * 1e9 / (double)rate.per_ns);

    throttle->request = request;
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

/* ---- the filter ---- */

enum nr_fault_outcome nr_fault_filter(struct nr_request *request, uint32_t from, uint32_t *ret_next,
                                      uint64_t *ret_wait_ns)
{
    const struct nr_route_conf *conf = request->route->conf;
    struct nr_gateway_worker *worker = worker_of(request);
    uint64_t left_ns = nr_deadline_left_ns(&request->deadline, nr_io_now_ns(worker->io));

    for (uint32_t i = from; i < conf->fault_count; i++) {
        const struct nr_fault_conf *fault = &conf->faults[i];
        enum nr_fault_kind kind = nr_fault_kind_of(fault);

        if (!strikes(request, fault))
            continue;
        nr_cell_add(&worker->faults[kind], 1);
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
                throttle(request, fault->bandwidth);
        }
    }
    return NR_FAULT_PASS;
}
