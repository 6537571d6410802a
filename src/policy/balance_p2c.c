/* SPDX-License-Identifier: Apache-2.0 */
/* balance_p2c.c - the power of two choices on latency × calls in flight.
 *
 * Two hosts are drawn at random by weight, and the cheaper one is taken:
 *
 *     cost = latency × penalty × (1 + in_flight × burden),   burden = 1 / weight
 *
 * Two random choices come close to choosing the best of all, without everybody running to the same
 * best host at once (Mitzenmacher 2001).
 *
 * latency  is a peak-sensitive moving average, as in Finagle and Linkerd: an answer slower than the
 *          average replaces it at once, a faster one moves it by 1 - e^(-dt/10 s). It also fades
 *          while nothing is heard, or a host that was slow once would never be asked again.
 * penalty  is a factor of 1 to 256 that quadruples with each failure, shrinks to a quarter with
 *          each success and fades with a time constant of 3 s. A failure never lowers the latency
 *          (an error is often fast), so a host that refuses within 100 µs loses against one
 *          that works for 20 ms, from its second failure on; and since it fades, the host is
 *          tried again some ten seconds after its last failure, with single calls.
 *
 * A host of which nothing is known costs nothing while idle, so that it is tried, and a fixed
 * second per call in flight after that, so that it is not flooded before its first answer.
 *
 * e^-x is replaced by 1 / (1 + x + x²/2 + x³/6), which is above e^-x, falls with x and never
 * reaches zero: what matters is that the weight of the past falls smoothly, and four
 * multiplications cost less than a library call under a lock, and are the same on every machine. */
#include "policy/balance.h"

static const float latency_fade_ns = 10e9f;
static const float penalty_fade_ns = 3e9f;
static const float penalty_step = 4.0f;
static const float penalty_max = 256.0f;
static const float unknown_ns = 1e9f;

static float fade(uint64_t since_ns, uint64_t now_ns, float constant_ns)
{
    float x = now_ns > since_ns ? (float)(now_ns - since_ns) / constant_ns : 0.0f;

    return 1.0f / (1.0f + x * (1.0f + x * (0.5f + x * (1.0f / 6.0f))));
}

float nr_balance_cost(const struct nr_balance_host *host, uint64_t now_ns)
{
    float load = (float)host->in_flight * host->burden;
    float penalty = 1.0f + (host->penalty - 1.0f) * fade(host->stamp_ns, now_ns, penalty_fade_ns);

    if (host->ewma_ns <= 0.0f)
        return unknown_ns * penalty * load;
    return host->ewma_ns * fade(host->stamp_ns, now_ns, latency_fade_ns) * penalty * (1.0f + load);
}

static float observed_ewma(const struct nr_balance_host *host, float observed_ns, float past,
                           bool ok)
{
    float faded = host->ewma_ns * past;

    if (host->ewma_ns <= 0.0f) /* all that is known is a failure: then it is thought slow */
        return ok || observed_ns > unknown_ns ? observed_ns : unknown_ns;
    if (observed_ns > faded)
        return ok || observed_ns > host->ewma_ns ? observed_ns : host->ewma_ns;
    return ok ? faded + observed_ns * (1.0f - past) : host->ewma_ns;
}

void nr_balance_observe(struct nr_balance_host *host, uint64_t now_ns, uint64_t latency_ns, bool ok)
{
    float past = fade(host->stamp_ns, now_ns, latency_fade_ns);
    float excess = (host->penalty - 1.0f) * fade(host->stamp_ns, now_ns, penalty_fade_ns);
    float observed_ns = (float)(latency_ns > 0 ? latency_ns : 1);

    host->ewma_ns = observed_ewma(host, observed_ns, past, ok);
    host->penalty = ok ? (1.0f + excess) / penalty_step : (1.0f + excess) * penalty_step;
    if (host->penalty < 1.0f)
        host->penalty = 1.0f;
    if (host->penalty > penalty_max)
        host->penalty = penalty_max;
    host->stamp_ns = now_ns;
}

void nr_balance_forget(struct nr_balance_host *host)
{
    host->ewma_ns = 0.0f;
    host->penalty = 1.0f;
}

uint32_t nr_balance_pick_p2c(struct nr_balance_set *b, uint64_t skip, struct nr_random *random,
                             uint64_t now_ns)
{
    uint32_t first, second;

    if (nr_balance_is_plain(b, skip)) {
        first = (uint32_t)nr_random_below(random, b->count);
        second = (uint32_t)nr_random_below(random, b->count - 1);
        second += second >= first;
    } else {
        first = nr_balance_draw(b, skip, NR_BALANCE_NONE, random);
        if (first == NR_BALANCE_NONE)
            return NR_BALANCE_NONE;
        second = nr_balance_draw(b, skip, first, random);
        if (second == NR_BALANCE_NONE)
            return first;
    }
    return nr_balance_cost(&b->hosts[second], now_ns) < nr_balance_cost(&b->hosts[first], now_ns)
               ? second
               : first;
}
