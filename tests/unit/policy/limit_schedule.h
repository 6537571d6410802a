/* SPDX-License-Identifier: Apache-2.0 */
/* limit_schedule.h - random configurations and schedules, and what must hold of every limiter.
 *
 * Time goes on by random steps (bursts, pauses, exact periods); costs are random; each decision is
 * compared with the properties below. */
#ifndef NR_TESTS_LIMIT_SCHEDULE_H
#define NR_TESTS_LIMIT_SCHEDULE_H

#include <cmocka.h>
#include <string.h>

#include "../property.h"
#include "base/random.h"
#include "policy/limit.h"

#define MS ((uint64_t)1000000)
#define S  (1000 * MS)

enum { LIMIT_STEPS = 60, LIMIT_UNITS = 64 };

struct limit_room {
    union nr_limit_state state;
    uint64_t stamps[LIMIT_UNITS];
};

struct limit_schedule {
    struct limit_room room;
    struct nr_limit_conf conf;
    struct nr_random random;
    uint64_t now_ns;
    uint64_t at_ns[LIMIT_STEPS]; /* what was admitted */
    uint64_t units[LIMIT_STEPS];
    uint32_t admitted;
};

static inline struct nr_limit_conf limit_conf_random(struct nr_random *random,
                                                     enum nr_limit_algorithm algorithm)
{
    static const uint64_t periods_ns[] = {7, 1000, 250 * MS, S, 60 * S, 15 * 60 * S, 86400 * S};

    return (struct nr_limit_conf){
        .algorithm = algorithm,
        .limit = 1 + (uint32_t)nr_random_below(random, 20),
        .burst = 1 + (uint32_t)nr_random_below(random, 20),
        .smooth_after = (uint32_t)nr_random_below(random, 25),
        .log_units = LIMIT_UNITS,
        .period_ns = periods_ns[nr_random_below(random, sizeof(periods_ns) / sizeof(uint64_t))],
    };
}

static inline void limit_step_time(struct limit_schedule *s)
{
    uint64_t interval_ns = s->conf.period_ns / s->conf.limit;

    switch (nr_random_below(&s->random, 6)) {
    case 0:
    case 1: break; /* in the same instant */
    case 2: s->now_ns += interval_ns; break;
    case 3: s->now_ns += nr_random_below(&s->random, interval_ns + 1); break;
    case 4: s->now_ns += nr_random_below(&s->random, s->conf.period_ns); break;
    default: s->now_ns += nr_random_below(&s->random, 3) * s->conf.period_ns; break;
    }
}

/* No window that ends with an admission holds more than the algorithm's bound. */
static inline void limit_windows_hold(const struct limit_schedule *s)
{
    for (uint32_t last = 0; last < s->admitted; last++) {
        uint64_t sum = 0;

        for (uint32_t first = last + 1; first-- > 0;) {
            /* The shortest window that holds both: its start is excluded. */
            uint64_t window_ns = s->at_ns[last] - s->at_ns[first] + 1;

            sum += s->units[first];
            assert_true(sum <= nr_limit_bound(&s->conf, window_ns));
        }
    }
}

/* After the promised time, and not one nanosecond before, the same cost passes. */
static inline void limit_retry_holds(struct limit_schedule *s, uint32_t cost,
                                     const struct nr_limit_verdict *refused)
{
    struct nr_limit_verdict later;

    assert_true(refused->retry_ns > 0);
    if (refused->retry_ns == NR_LIMIT_NEVER) {
        assert_true(cost > refused->limit);
        return;
    }
    assert_true(cost <= refused->limit);
    nr_limit_check(&s->room.state, &s->conf, s->now_ns + refused->retry_ns, cost, &later);
    assert_true(later.allowed);
    nr_limit_check(&s->room.state, &s->conf, s->now_ns + refused->retry_ns - 1, cost, &later);
    assert_true(!later.allowed);
}

/* What is left is exactly what passes, more time never leaves less, and after `reset` all is
 * left. */
static inline void limit_numbers_hold(struct limit_schedule *s)
{
    struct nr_limit_verdict now, one, later, reset;
    uint64_t step_ns = nr_random_below(&s->random, 2 * s->conf.period_ns);

    nr_limit_check(&s->room.state, &s->conf, s->now_ns, 0, &now);
    assert_true(now.allowed && now.retry_ns == 0 && now.remaining <= now.limit);
    nr_limit_check(&s->room.state, &s->conf, s->now_ns, now.remaining, &one);
    assert_true(one.allowed && one.remaining == 0);
    nr_limit_check(&s->room.state, &s->conf, s->now_ns, now.remaining + 1, &one);
    assert_true(!one.allowed && one.remaining == now.remaining);
    nr_limit_check(&s->room.state, &s->conf, s->now_ns + step_ns, 0, &later);
    assert_true(later.remaining >= now.remaining);
    assert_true(later.reset_ns <= now.reset_ns);
    nr_limit_check(&s->room.state, &s->conf, s->now_ns + now.reset_ns, 0, &reset);
    assert_true(reset.remaining == reset.limit && reset.reset_ns == 0);
    nr_limit_check(&s->room.state, &s->conf, s->now_ns > 5 ? s->now_ns - 5 : 0, 0, &later);
    assert_true(later.remaining <= now.limit); /* a clock that jumps back harms nobody */
}

static inline void limit_step(struct limit_schedule *s)
{
    uint32_t cost = nr_random_below(&s->random, 4) > 0
                        ? 1
                        : (uint32_t)nr_random_below(&s->random, s->conf.limit + 3);
    struct nr_limit_verdict dry, wet;
    struct limit_room before;

    limit_step_time(s);
    before = s->room;
    nr_limit_check(&s->room.state, &s->conf, s->now_ns, cost, &dry);
    assert_true(memcmp(&before, &s->room, sizeof(before)) == 0);
    nr_limit_take(&s->room.state, &s->conf, s->now_ns, cost, &wet);
    assert_true(memcmp(&dry, &wet, sizeof(dry)) == 0);
    if (!wet.allowed) {
        assert_true(memcmp(&before, &s->room, sizeof(before)) == 0);
        limit_retry_holds(s, cost, &wet);
    } else if (cost > 0) {
        s->at_ns[s->admitted] = s->now_ns;
        s->units[s->admitted++] = cost;
    }
    limit_numbers_hold(s);
}

static inline void limit_holds_in_any_schedule(enum nr_limit_algorithm algorithm)
{
    PROPERTY_FOR_ANY (seed) {
        struct limit_schedule s = {.now_ns = 0};

        nr_random_init(&s.random, seed);
        s.conf = limit_conf_random(&s.random, algorithm);
        s.now_ns = nr_random_below(&s.random, 2) * nr_random_below(&s.random, 100 * S);
        assert_true(nr_limit_conf_ok(&s.conf));
        for (uint32_t i = 0; i < LIMIT_STEPS; i++)
            limit_step(&s);
        limit_windows_hold(&s);
    }
}

#endif
