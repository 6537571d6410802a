/* SPDX-License-Identifier: Apache-2.0 */
/* limit.c - which algorithm, and several limits as one.
 *
 * Hierarchies. "10,000/min for the API, 100/min for a user, 10/min for an endpoint": a request that
 * the endpoint's limit refuses must not eat from the user's, or a client that hammers one
 * endpoint locks itself out of all others. So first every level is only asked, and when all have
 * allowed, all are charged. That is why no algorithm here writes while it decides.
 *
 * The client is told of one level. Of several refusals that is the one that lasts longest: after a
 * shorter wait it would be refused again. When all allow, it is the one with the smallest share
 * left, the one that it will meet first. */
#include "policy/limit.h"

#include "base/assert.h"
#include "policy/limit_algorithm.h"

/* What drains in more than this is no rate limit, and 2^62 ns leave room to add two of them. */
static const uint64_t drain_ns_max = (uint64_t)1 << 62;

static bool drains_in_time(const struct nr_limit_conf *conf)
{
    uint64_t units = (uint64_t)conf->burst + 1;

    return units <= drain_ns_max / nr_limit_interval_ns(conf);
}

bool nr_limit_conf_ok(const struct nr_limit_conf *conf)
{
    if (conf->limit == 0 || conf->period_ns == 0 || conf->period_ns > NR_LIMIT_PERIOD_NS_MAX)
        return false;
    switch (conf->algorithm) {
    case NR_LIMIT_TOKEN_BUCKET:
    case NR_LIMIT_GCRA: return conf->burst > 0 && drains_in_time(conf);
    case NR_LIMIT_LEAKY_BUCKET: return conf->burst < UINT32_MAX && drains_in_time(conf);
    case NR_LIMIT_FIXED_WINDOW:
    case NR_LIMIT_SLIDING_WINDOW: return true;
    case NR_LIMIT_SLIDING_LOG: return conf->log_units >= conf->limit;
    }
    return false;
}

size_t nr_limit_state_bytes(const struct nr_limit_conf *conf)
{
    size_t stamps = conf->algorithm == NR_LIMIT_SLIDING_LOG ? conf->log_units : 0;

    return sizeof(union nr_limit_state) + stamps * sizeof(uint64_t);
}

void nr_limit_check(const union nr_limit_state *state, const struct nr_limit_conf *conf,
                    uint64_t now_ns, uint32_t cost, struct nr_limit_verdict *ret_verdict)
{
    *ret_verdict = (struct nr_limit_verdict){0};
    switch (conf->algorithm) {
    case NR_LIMIT_TOKEN_BUCKET:
        nr_limit_bucket_check(state, conf, now_ns, cost, ret_verdict);
        break;
    case NR_LIMIT_LEAKY_BUCKET: nr_limit_leaky_check(state, conf, now_ns, cost, ret_verdict); break;
    case NR_LIMIT_FIXED_WINDOW: nr_limit_fixed_check(state, conf, now_ns, cost, ret_verdict); break;
    case NR_LIMIT_SLIDING_WINDOW:
        nr_limit_sliding_check(state, conf, now_ns, cost, ret_verdict);
        break;
    case NR_LIMIT_SLIDING_LOG: nr_limit_log_check(state, conf, now_ns, cost, ret_verdict); break;
    case NR_LIMIT_GCRA: nr_limit_gcra_check(state, conf, now_ns, cost, ret_verdict); break;
    }
}

void nr_limit_consume(union nr_limit_state *state, const struct nr_limit_conf *conf,
                      uint64_t now_ns, uint32_t cost)
{
    if (cost == 0)
        return;
    switch (conf->algorithm) {
    case NR_LIMIT_TOKEN_BUCKET: nr_limit_bucket_consume(state, conf, now_ns, cost); break;
    case NR_LIMIT_LEAKY_BUCKET: nr_limit_leaky_consume(state, conf, now_ns, cost); break;
    case NR_LIMIT_FIXED_WINDOW: nr_limit_fixed_consume(state, conf, now_ns, cost); break;
    case NR_LIMIT_SLIDING_WINDOW: nr_limit_sliding_consume(state, conf, now_ns, cost); break;
    case NR_LIMIT_SLIDING_LOG: nr_limit_log_consume(state, conf, now_ns, cost); break;
    case NR_LIMIT_GCRA: nr_limit_gcra_consume(state, conf, now_ns, cost); break;
    }
}

bool nr_limit_take(union nr_limit_state *state, const struct nr_limit_conf *conf, uint64_t now_ns,
                   uint32_t cost, struct nr_limit_verdict *ret_verdict)
{
    nr_limit_check(state, conf, now_ns, cost, ret_verdict);
    if (ret_verdict->allowed)
        nr_limit_consume(state, conf, now_ns, cost);
    return ret_verdict->allowed;
}

bool nr_limit_take_all(struct nr_limit_part *parts, size_t count, uint64_t now_ns,
                       size_t *ret_tightest)
{
    size_t tightest = 0;

    nr_assert(count > 0);
    for (size_t i = 0; i < count; i++) {
        nr_limit_check(parts[i].state, parts[i].conf, now_ns, parts[i].cost, &parts[i].verdict);
        if (nr_limit_tighter(&parts[i].verdict, &parts[tightest].verdict))
            tightest = i;
    }
    *ret_tightest = tightest;
    if (!parts[tightest].verdict.allowed)
        return false;
    for (size_t i = 0; i < count; i++)
        nr_limit_consume(parts[i].state, parts[i].conf, now_ns, parts[i].cost);
    return true;
}

uint64_t nr_limit_bound(const struct nr_limit_conf *conf, uint64_t window_ns)
{
    uint64_t whole = window_ns / conf->period_ns;
    uint64_t begun = whole + (window_ns % conf->period_ns != 0);
    uint64_t dripped = nr_limit_scale_down(window_ns, conf->limit, conf->period_ns);

    switch (conf->algorithm) {
    case NR_LIMIT_TOKEN_BUCKET:
    case NR_LIMIT_GCRA: return conf->burst + dripped;
    case NR_LIMIT_LEAKY_BUCKET: return (uint64_t)conf->burst + 1 + dripped;
    case NR_LIMIT_SLIDING_LOG: return begun * conf->limit;
    case NR_LIMIT_FIXED_WINDOW:
    case NR_LIMIT_SLIDING_WINDOW: return (begun + 1) * conf->limit;
    }
    return 0;
}
