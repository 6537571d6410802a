/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "gateway/request.h"
#include "naru/span.h"

/* Everything put into the text is our own constant or an id of checked characters, so
 * nothing needs escaping. */
static struct nr_span problem_json(struct nr_request *request, const struct nr_problem *problem)
{
    struct nr_span phrase = nr_status_phrase(problem->status);

    return nr_arena_printf(
        request->down->arena,
        "{\"type\":\"about:blank\",\"title\":\"%.*s\",\"status\":%u,\"detail\":\"%s\","
        "\"reason\":\"%s\",\"request_id\":\"%.*s\"}\n",
        (int)phrase.len, phrase.ptr, problem->status, problem->detail, problem->reason,
        (int)request->request_id.len, request->request_id.ptr);
}

/* Whoever repeats what has been repeated here, or what was refused because there is too much of it,
 * only adds to that. */
static bool repeating_is_no_use(const struct nr_record *record)
{
    return record->attempt_count > 1 || record->reason == NR_REASON_OVERLOADED ||
           record->reason == NR_REASON_CIRCUIT_OPEN ||
           (record->reason >= NR_REASON_BULKHEAD_FULL && record->reason <= NR_REASON_QUEUE_SHED) ||
           (record->flags & NR_RECORD_RETRY_BUDGET) != 0;
}

void nr_problem_answer(struct nr_request *request, const struct nr_problem *problem)
{
    struct nr_arena *arena = request->down->arena;
    struct nr_head head;

    nr_head_init_response(&head, arena, problem->status);
    nr_head_add(&head, arena, NR_SPAN("Content-Type"), NR_SPAN("application/problem+json"));
    nr_respond_sign(request, &head);
    if (repeating_is_no_use(&request->record))
        nr_head_add(&head, arena, NR_SPAN("X-Naru-Retry"), NR_SPAN("no"));
    if (problem->extra_name.len > 0)
        nr_head_add(&head, arena, problem->extra_name, problem->extra_value);
    nr_respond(request, &head, problem_json(request, problem));
}

void nr_problem_call(struct nr_request *request, const struct nr_exchange *call)
{
    enum nr_reason reason = nr_call_reason(call);
    uint64_t wait_ns = nr_call_wait_ns(call);
    struct nr_problem problem = {.status = nr_reason_status(reason),
                                 .reason = nr_reason_name(reason),
                                 .detail = nr_reason_detail(reason)};

    request->record.reason = (uint16_t)reason;
    if (reason == NR_REASON_FAULT_ABORT)
        problem.status = nr_call_abort_status(call);
    if (reason == NR_REASON_CIRCUIT_OPEN && wait_ns > 0) {
        problem.extra_name = NR_SPAN("Retry-After");
        problem.extra_value =
            nr_arena_printf(request->down->arena, "%" PRIu64, wait_ns / 1000000000 + 1);
    }
    nr_problem_answer(request, &problem);
}

void nr_problem_reason(struct nr_request *request, enum nr_reason reason)
{
    request->record.reason = (uint16_t)reason;
    nr_problem_answer(request, &(struct nr_problem){.status = nr_reason_status(reason),
                                                    .reason = nr_reason_name(reason),
                                                    .detail = nr_reason_detail(reason)});
}
