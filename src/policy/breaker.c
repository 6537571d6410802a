/* SPDX-License-Identifier: Apache-2.0 */
/* breaker.c - closed, open, half-open.
 *
 *           a limit is reached                open_ns is over, somebody asks
 *   CLOSED ---------------------> OPEN ----------------------------------> HALF_OPEN
 *     ^                            ^                                         |  |
 *     |                            '------ the probes fail, or are overdue --'  |
 *     '----------------------------------- all probes back and good ------------'
 *
 * What counts. Each finished call is one result in the window: failed or not, slow or not. The
 * window is the last N calls, or the last N seconds in buckets of one second, so a result
 * leaves between N - 1 and N seconds after it came. Four limits may open the breaker: failure rate
 * and slow rate (both only from `minimum` calls on: one failure of one call is 100 %), failures in
 * a row, failures in the window. They are looked at when a result comes, never when time passes:
 * nothing becomes worse by waiting.
 *
 * Epochs. Every change of state starts an epoch, and a ticket carries the epoch of its call. A call
 * that began before the breaker opened and fails half a minute later says nothing about the service
 * that the probes are looking at just now, so its report is dropped (as gobreaker's generations
 * do). `out` counts the tickets of the epoch: more reports than tickets are a programmer's error
 * and end in an assertion, before they can close a breaker that nobody has proved.
 *
 * Half-open. Exactly `probes` calls are let through and together they decide, by the same rates;
 * where no rate is configured, one failure is enough. It opens again as soon as no result that is
 * still out could turn the rate, so a dead service is not asked more often than it takes to know.
 * It closes only when all are back. An ignored result gives its permit back. When the last permit
 * is out for longer than probe_wait_ns, the missing probes count as failed: else a service that
 * accepts calls and never answers would keep us half-open, refusing everybody, until a timeout far
 * away. The wait counts from the last permit, not from the start of HALF_OPEN, because a service
 * that is rarely called needs time to be asked three times, and that is no reason to open again.
 *
 * Open time. The n-th trip in a row lasts open_ns × factor^(n-1), at most open_max_ns, stretched by
 * jitter so that the probes of many gateways do not arrive together. A trip is a repeated one when
 * the breaker was closed for less time than it had been open before.
 *
 * Sources: M. Nygard, Release It!; the semantics of resilience4j's CircuitBreakerStateMachine and
 * of gobreaker. Here differently: resilience4j decides half-open only when all results are in, and
 * gobreaker opens on any failed probe. */
#include "policy/breaker.h"

#include <string.h>

#include "base/assert.h"

#define SECOND_NS ((uint64_t)1000000000)

static const double rate_slack = 1e-9; /* 7 of 100 reach 7 %, although 0.07 × 100 > 7 */

const struct nr_breaker_conf nr_breaker_conf_default = {
    .window = NR_BREAKER_BY_COUNT,
    .size = 10,
    .minimum = 5,
    .failure_rate = 0.5,
    .slow_rate = 0.8,
    .slow_ns = 2 * SECOND_NS,
    .open_ns = 30 * SECOND_NS,
    .open_factor = 2,
    .open_max_ns = 300 * SECOND_NS,
    .jitter = 0.1,
    .probes = 3,
    .probe_wait_ns = 10 * SECOND_NS,
};

#define TO(state) (1u << NR_BREAKER_##state)
static const unsigned allowed[NR_BREAKER_STATES] = {
    [NR_BREAKER_CLOSED] = TO(OPEN),
    [NR_BREAKER_OPEN] = TO(HALF_OPEN),
    [NR_BREAKER_HALF_OPEN] = TO(OPEN) | TO(CLOSED),
};
#undef TO

/* ---- the window */

static void clear_window(struct nr_breaker *b)
{
    memset(&b->ring, 0, sizeof(b->ring));
    b->sums = (struct nr_breaker_sums){0};
    b->run = 0;
    b->next = 0;
    b->second = 0;
}

static uint32_t size_of(const struct nr_breaker_conf *conf)
{
    uint32_t most =
        conf->window == NR_BREAKER_BY_COUNT ? NR_BREAKER_CALLS_MAX : NR_BREAKER_SECONDS_MAX;

    return conf->size == 0 ? 1 : conf->size > most ? most : conf->size;
}

static void fit_window(struct nr_breaker *b, const struct nr_breaker_conf *conf)
{
    uint32_t size = size_of(conf);

    if (b->size == size && b->window == (uint8_t)conf->window)
        return;
    clear_window(b);
    b->size = size;
    b->window = (uint8_t)conf->window;
}

/* Drop the seconds that have left the window. */
static void advance(struct nr_breaker *b, uint64_t now_ns)
{
    uint64_t second = now_ns / SECOND_NS;

    if (second <= b->second) /* the same; or a clock read before somebody else's */
        return;
    if (second - b->second >= b->size) {
        memset(b->ring.seconds, 0, sizeof(b->ring.seconds));
        b->sums = (struct nr_breaker_sums){0};
        b->second = second;
        return;
    }
    while (b->second < second) {
        struct nr_breaker_sums *old = &b->ring.seconds[++b->second % b->size];

        b->sums.calls -= old->calls;
        b->sums.failed -= old->failed;
        b->sums.slow -= old->slow;
        *old = (struct nr_breaker_sums){0};
    }
}

static void sum_up(struct nr_breaker_sums *sums, bool failed, bool slow)
{
    sums->calls++;
    sums->failed += failed;
    sums->slow += slow;
}

static void record_by_count(struct nr_breaker *b, bool failed, bool slow)
{
    uint32_t word = b->next / 64, bit = b->next % 64;
    uint64_t *was_failed = &b->ring.count.failed[word], *was_slow = &b->ring.count.slow[word];

    if (b->sums.calls == b->size) { /* full: the oldest result is where the new one goes */
        b->sums.calls--;
        b->sums.failed -= (uint32_t)(*was_failed >> bit & 1);
        b->sums.slow -= (uint32_t)(*was_slow >> bit & 1);
    }
    *was_failed = (*was_failed & ~((uint64_t)1 << bit)) | (uint64_t)failed << bit;
    *was_slow = (*was_slow & ~((uint64_t)1 << bit)) | (uint64_t)slow << bit;
    sum_up(&b->sums, failed, slow);
    b->next = b->next + 1 == b->size ? 0 : b->next + 1;
}

static void record(struct nr_breaker *b, const struct nr_breaker_conf *conf, uint64_t now_ns,
                   bool failed, bool slow)
{
    fit_window(b, conf);
    if (b->window == NR_BREAKER_BY_COUNT) {
        record_by_count(b, failed, slow);
    } else {
        advance(b, now_ns);
        sum_up(&b->ring.seconds[b->second % b->size], failed, slow);
        sum_up(&b->sums, failed, slow);
    }
    b->run = failed ? b->run + 1 : 0;
}

/* ---- the state */

static void renew(struct nr_breaker *b, enum nr_breaker_state next, uint64_t now_ns)
{
    b->state = next;
    b->out = 0;
    b->since_ns = now_ns;
    clear_window(b);
    if (++b->epoch == NR_BREAKER_TICKET_NONE)
        b->epoch++;
}

static void move(struct nr_breaker *b, enum nr_breaker_state next, uint64_t now_ns)
{
    nr_assert(allowed[b->state] & (1u << next));
    renew(b, next, now_ns);
}

static void open_up(struct nr_breaker *b, const struct nr_breaker_conf *conf, uint64_t now_ns,
                    struct nr_random *random)
{
    double open_ns = (double)conf->open_ns;
    double most_ns = conf->open_max_ns > 0 ? (double)conf->open_max_ns : 0x1p62;

    if (b->state == NR_BREAKER_CLOSED && now_ns >= b->since_ns + b->open_ns)
        b->trips = 0;
    for (uint32_t i = 0; i < b->trips && open_ns < most_ns && conf->open_factor > 1; i++)
        open_ns *= conf->open_factor;
    open_ns = open_ns < most_ns ? open_ns : most_ns;
    open_ns *= 1 + conf->jitter * nr_random_unit(random);
    b->trips++;
    b->open_ns = (uint64_t)open_ns;
    move(b, NR_BREAKER_OPEN, now_ns);
    b->until_ns = now_ns + b->open_ns;
}

static bool reaches(uint32_t part, uint32_t all, double rate)
{
    return part > 0 && rate > 0 && (double)part + rate_slack >= rate * (double)all;
}

static bool too_bad(const struct nr_breaker *b, const struct nr_breaker_conf *conf)
{
    const struct nr_breaker_sums *sums = &b->sums;

    if (conf->consecutive > 0 && b->run >= conf->consecutive)
        return true;
    if (conf->failures > 0 && sums->failed >= conf->failures)
        return true;
    return sums->calls > 0 && sums->calls >= conf->minimum &&
           (reaches(sums->failed, sums->calls, conf->failure_rate) ||
            reaches(sums->slow, sums->calls, conf->slow_rate));
}

static uint32_t probes_of(const struct nr_breaker_conf *conf)
{
    return conf->probes > 0 ? conf->probes : 1;
}

/* All that are still to come counted as good: would it be too bad nevertheless? */
static bool probes_lost(const struct nr_breaker *b, const struct nr_breaker_conf *conf)
{
    uint32_t all = b->sums.calls + b->out + b->permits;

    if (conf->failure_rate <= 0 && b->sums.failed > 0)
        return true;
    return (b->sums.failed > 0 && reaches(b->sums.failed, all, conf->failure_rate)) ||
           (b->sums.slow > 0 && reaches(b->sums.slow, all, conf->slow_rate));
}

static void judge_probes(struct nr_breaker *b, const struct nr_breaker_conf *conf, uint64_t now_ns,
                         struct nr_random *random)
{
    if (probes_lost(b, conf))
        open_up(b, conf, now_ns, random);
    else if (b->out + b->permits == 0)
        move(b, NR_BREAKER_CLOSED, now_ns);
}

/* What time alone changes; asked before every decision. */
static void settle(struct nr_breaker *b, const struct nr_breaker_conf *conf, uint64_t now_ns,
                   struct nr_random *random)
{
    if (b->state == NR_BREAKER_OPEN && now_ns >= b->until_ns) {
        move(b, NR_BREAKER_HALF_OPEN, now_ns);
        b->permits = probes_of(conf);
        b->until_ns = 0;
    } else if (b->state == NR_BREAKER_HALF_OPEN && b->permits == 0 && conf->probe_wait_ns > 0 &&
               now_ns >= b->until_ns) {
        open_up(b, conf, now_ns, random);
    }
}

static bool take_probe(struct nr_breaker *b, const struct nr_breaker_conf *conf, uint64_t now_ns)
{
    if (b->permits == 0)
        return false;
    b->permits--;
    b->until_ns = now_ns + conf->probe_wait_ns;
    return true;
}

enum nr_breaker_verdict nr_breaker_allow(struct nr_breaker *b, const struct nr_breaker_conf *conf,
                                         uint64_t now_ns, struct nr_random *random,
                                         uint32_t *ret_ticket)
{
    if (b->mode == NR_BREAKER_FORCED_OPEN)
        return NR_BREAKER_REFUSE;
    if (b->mode == NR_BREAKER_DISABLED) {
        *ret_ticket = NR_BREAKER_TICKET_NONE;
        return NR_BREAKER_PASS;
    }
    if (b->state != NR_BREAKER_CLOSED) {
        settle(b, conf, now_ns, random);
        if (b->state == NR_BREAKER_OPEN || !take_probe(b, conf, now_ns)) {
            if (b->mode != NR_BREAKER_OBSERVE)
                return NR_BREAKER_REFUSE;
            *ret_ticket = NR_BREAKER_TICKET_NONE;
            return NR_BREAKER_WOULD_REFUSE;
        }
    }
    b->out++;
    *ret_ticket = b->epoch;
    return NR_BREAKER_PASS;
}

void nr_breaker_report(struct nr_breaker *b, const struct nr_breaker_conf *conf, uint32_t ticket,
                       uint64_t now_ns, struct nr_random *random, enum nr_breaker_result result,
                       uint64_t took_ns)
{
    bool failed = result == NR_BREAKER_FAILED, slow = took_ns > conf->slow_ns;

    if (ticket != b->epoch)
        return;
    nr_assert(b->out > 0);
    b->out--;
    if (result == NR_BREAKER_IGNORED) {
        b->permits += b->state == NR_BREAKER_HALF_OPEN;
        return;
    }
    if (b->state == NR_BREAKER_HALF_OPEN) {
        sum_up(&b->sums, failed, slow);
        judge_probes(b, conf, now_ns, random);
        return;
    }
    record(b, conf, now_ns, failed, slow);
    if (b->mode != NR_BREAKER_FORCED_CLOSED && too_bad(b, conf))
        open_up(b, conf, now_ns, random);
}

/* ---- by hand, and for looking */

void nr_breaker_init(struct nr_breaker *b, uint64_t now_ns)
{
    *b = (struct nr_breaker){.epoch = 1, .since_ns = now_ns};
}

void nr_breaker_force(struct nr_breaker *b, enum nr_breaker_mode mode, uint64_t now_ns)
{
    renew(b, NR_BREAKER_CLOSED, now_ns); /* the one way around the table: a fresh start */
    b->mode = mode;
    b->trips = 0;
    b->permits = 0;
    b->open_ns = 0;
}

void nr_breaker_inherit(struct nr_breaker *to, const struct nr_breaker *from)
{
    *to = *from;
    to->out = 0;
    if (from->state != NR_BREAKER_HALF_OPEN)
        return;
    to->permits = from->permits + from->out;
    to->until_ns = 0;
}

uint64_t nr_breaker_wait_ns(const struct nr_breaker *b, uint64_t now_ns)
{
    if (b->mode != NR_BREAKER_AUTO || b->state != NR_BREAKER_OPEN || now_ns >= b->until_ns)
        return 0;
    return b->until_ns - now_ns;
}

struct nr_breaker_view nr_breaker_look(struct nr_breaker *b, const struct nr_breaker_conf *conf,
                                       uint64_t now_ns)
{
    struct nr_breaker_view view = {.failure_rate = -1, .slow_rate = -1};

    if (b->state == NR_BREAKER_CLOSED && b->window == NR_BREAKER_BY_TIME && b->size > 0)
        advance(b, now_ns);
    view.sums = b->sums;
    if (b->sums.calls == 0 || (b->state == NR_BREAKER_CLOSED && b->sums.calls < conf->minimum))
        return view;
    view.failure_rate = (double)b->sums.failed / (double)b->sums.calls;
    view.slow_rate = (double)b->sums.slow / (double)b->sums.calls;
    return view;
}
