/* SPDX-License-Identifier: Apache-2.0 */
/* backoff.h - how long to wait before a repeat, and whether that is worth it.
 *
 * Pure: randomness is an argument. */
#ifndef NR_POLICY_BACKOFF_H
#define NR_POLICY_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "naru/span.h"

enum nr_backoff_jitter {
    NR_BACKOFF_FULL,     /* anything between 0 and the delay */
    NR_BACKOFF_ADDITIVE, /* the delay and up to as much again */
    NR_BACKOFF_EXACT,    /* the delay: for what is alone in the world */
};

struct nr_backoff_conf {
    uint64_t base_ns;
    double factor;   /* below 1 counts as 1 */
    uint64_t max_ns; /* of the delay, before jitter; 0: none */
    enum nr_backoff_jitter jitter;
};

/* 25 ms, doubling, at most 30 s, full jitter. */
extern const struct nr_backoff_conf nr_backoff_conf_default;

/* The pause before the n-th repeat, n from 1. n 0 is the repeat on another instance, at once. */
uint64_t nr_backoff_ns(const struct nr_backoff_conf *conf, uint32_t n, struct nr_random *random);

/* Parse the delay-seconds form of Retry-After.
 *
 * *ret_delay_ms   clamped to 24 h, so a hostile upstream cannot park a request for ever
 * returns false   on anything else, the HTTP-date form included; *ret_delay_ms is then untouched
 *                 and our own back-off applies
 *
 * Source: RFC 9110, section 10.2.3. */
bool nr_retry_after_parse(struct nr_span text, uint64_t *ret_delay_ms);

/* The pause when the service asked for retry_after_ns (0: it did not): never shorter than that, and
 * false if no worthwhile time (NR_RETRY_LEFT_NS_MIN) would be left of left_ns after it;
 * *ret_pause_ns is then untouched. */
bool nr_backoff_within(uint64_t backoff_ns, uint64_t retry_after_ns, uint64_t left_ns,
                       uint64_t *ret_pause_ns);

#endif
