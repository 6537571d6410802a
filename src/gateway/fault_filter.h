/* SPDX-License-Identifier: Apache-2.0 */
/* fault_filter.h - faults on purpose, as a filter: the last one before the call. Those of requests
 * strike here, those of attempts are handed to the call. Internal to src/gateway. */
#ifndef NR_GATEWAY_FAULT_FILTER_H
#define NR_GATEWAY_FAULT_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nr_arena;
struct nr_call_fault;
struct nr_gateway_snapshot;
struct nr_request;
struct nr_throttle; /* an answer that is passed on slowly; in the request's arena */

enum nr_fault_outcome {
    NR_FAULT_PASS,
    NR_FAULT_HOLD, /* for *ret_wait_ns, then the rest: nr_fault_filter with from = *ret_next */
    NR_FAULT_DONE, /* answered, or broken off */
};

/* Has any service faults? */
bool nr_faults_of_services(const struct nr_gateway_snapshot *snapshot);

/* What may strike the requests of a route, and their attempts. of_services: as above, asked once
 * for all routes. In the arena; NULL: nothing. */
const struct nr_call_fault *nr_faults_of_route(const struct nr_gateway_snapshot *snapshot,
                                               uint32_t route, bool of_services,
                                               struct nr_arena *arena, uint32_t *ret_count);

/* Draw for each of the guard's faults, from number `from` on. */
enum nr_fault_outcome nr_fault_filter(struct nr_request *request, uint32_t from, uint32_t *ret_next,
                                      uint64_t *ret_wait_ns);

/* How much of so many bytes may be passed on now; when it is less, nr_proxy_pump_answer is called
 * once there may be more. */
size_t nr_throttle_take(struct nr_request *request, size_t bytes);

void nr_throttle_stop(struct nr_request *request);

#endif
