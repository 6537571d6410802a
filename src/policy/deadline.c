/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/deadline.h"

/* a + b, or never when that is beyond what the clock can show. */
static uint64_t after(uint64_t a, uint64_t b)
{
    return b >= NR_TIME_NEVER || a >= NR_TIME_NEVER - b ? NR_TIME_NEVER : a + b;
}

struct nr_deadline nr_deadline_start(uint64_t now_ns, uint64_t limit_ns)
{
    struct nr_deadline deadline = {.start_ns = now_ns, .at_ns = NR_TIME_NEVER};

    nr_deadline_tighten(&deadline, limit_ns);
    return deadline;
}

void nr_deadline_tighten(struct nr_deadline *deadline, uint64_t limit_ns)
{
    uint64_t at_ns = limit_ns == 0 ? NR_TIME_NEVER : after(deadline->start_ns, limit_ns);

    if (at_ns < deadline->at_ns)
        deadline->at_ns = at_ns;
}

uint64_t nr_deadline_left_ns(const struct nr_deadline *deadline, uint64_t now_ns)
{
    return deadline->at_ns > now_ns ? deadline->at_ns - now_ns : 0;
}

uint64_t nr_deadline_bound_ns(const struct nr_deadline *deadline, uint64_t now_ns, uint64_t want_ns)
{
    uint64_t at_ns = want_ns == 0 ? NR_TIME_NEVER : after(now_ns, want_ns);

    return at_ns < deadline->at_ns ? at_ns : deadline->at_ns;
}
