/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/slow_start.h"

uint32_t nr_slow_start_weight(uint32_t weight, uint64_t from_ns, uint64_t now_ns,
                              uint64_t window_ns)
{
    uint64_t since_ns = now_ns > from_ns ? now_ns - from_ns : 0;
    uint64_t share; /* in millionths */
    uint64_t now;

    if (since_ns >= window_ns)
        return weight;
    share = (uint64_t)((double)since_ns / (double)window_ns * 1e6);
    share = share > 100000 ? share : 100000;
    now = weight * share / 1000000;
    return now > 0 ? (uint32_t)now : 1;
}
