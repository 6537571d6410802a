/* SPDX-License-Identifier: Apache-2.0 */
/* breaker.h - the circuit breaker: stop calling what does not answer.
 *
 * Pure: time and randomness are arguments, nothing is allocated. Not thread-safe: the service that
 * embeds it holds its lock. The configuration is passed per call, because state outlives a reload;
 * when a reload changes the window's kind or size, the window starts empty.
 *
 * Who wants to tell others of a change of state compares `epoch` before and after a call: every
 * change bumps it. */
#ifndef NR_POLICY_BREAKER_H
#define NR_POLICY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"

enum { NR_BREAKER_CALLS_MAX = 256, NR_BREAKER_SECONDS_MAX = 60, NR_BREAKER_TICKET_NONE = 0 };

enum nr_breaker_state {
    NR_BREAKER_CLOSED,
    NR_BREAKER_OPEN,
    NR_BREAKER_HALF_OPEN,
    NR_BREAKER_STATES
};

enum nr_breaker_mode {
    NR_BREAKER_AUTO,
    NR_BREAKER_FORCED_OPEN,   /* refuses everything, records nothing */
    NR_BREAKER_FORCED_CLOSED, /* lets everything pass, keeps its window, never trips */
    NR_BREAKER_DISABLED,      /* as if it were not there */
    NR_BREAKER_OBSERVE,       /* decides as ever and lets pass what it would have refused */
};

/* Only an operator says so, never the configuration. */
static inline bool nr_breaker_by_hand(enum nr_breaker_mode mode)
{
    return mode != NR_BREAKER_AUTO && mode != NR_BREAKER_OBSERVE;
}

enum nr_breaker_window { NR_BREAKER_BY_COUNT, NR_BREAKER_BY_TIME };

struct nr_breaker_conf {
    enum nr_breaker_window window;
    uint32_t size;          /* calls (at most 256) or seconds (at most 60); more is cut, 0 is 1 */
    uint32_t minimum;       /* calls in the window before a rate is believed */
    double failure_rate;    /* opens from this share on, 0 to 1; 0: off */
    double slow_rate;       /* the same for slow calls; 0: off */
    uint64_t slow_ns;       /* a call that took longer is slow, whatever came of it */
    uint32_t consecutive;   /* opens after so many failures in a row; 0: off */
    uint32_t failures;      /* opens after so many failures in the window; 0: off */
    uint64_t open_ns;       /* how long it stays open the first time */
    double open_factor;     /* each repeated trip is so much longer; at most 1: does not grow */
    uint64_t open_max_ns;   /* bound of the growth, before jitter; 0: none */
    double jitter;          /* open time is stretched by up to this share of itself */
    uint32_t probes;        /* calls that decide in HALF_OPEN; 0 is 1 */
    uint64_t probe_wait_ns; /* probes that are out longer count as failed; 0: waits for ever */
};

/* Window of 10 calls, minimum 5, 50 % failed, 80 % slower than 2 s; open 30 s, doubling up to 5
 * minutes; 3 probes. */
extern const struct nr_breaker_conf nr_breaker_conf_default;

struct nr_breaker_sums {
    uint32_t calls;
    uint32_t failed;
    uint32_t slow;
};

struct nr_breaker {
    enum nr_breaker_state state;
    enum nr_breaker_mode mode;
    uint32_t epoch;    /* bumped on every transition; never NR_BREAKER_TICKET_NONE */
    uint32_t out;      /* tickets of this epoch that have not been reported */
    uint32_t permits;  /* HALF_OPEN: probes that may still start */
    uint32_t trips;    /* in a row, without a time of health between them */
    uint32_t run;      /* failures in a row */
    uint32_t next;     /* BY_COUNT: where the next result goes */
    uint32_t size;     /* of the window as it is filled */
    uint8_t window;    /* enum nr_breaker_window, as it is filled */
    uint64_t since_ns; /* when this state began */
    uint64_t until_ns; /* OPEN: until when; HALF_OPEN: when overdue probes count as failed */
    uint64_t open_ns;  /* how long the latest OPEN was meant to last */
    uint64_t second;   /* BY_TIME: of the newest bucket */
    struct nr_breaker_sums sums; /* of the window, or of the probes */
    union {
        struct {
            uint64_t failed[NR_BREAKER_CALLS_MAX / 64];
            uint64_t slow[NR_BREAKER_CALLS_MAX / 64];
        } count;
        struct nr_breaker_sums seconds[NR_BREAKER_SECONDS_MAX];
    } ring;
};

enum nr_breaker_verdict {
    NR_BREAKER_PASS,
    NR_BREAKER_REFUSE,
    NR_BREAKER_WOULD_REFUSE, /* OBSERVE: call it; in earnest it would have been refused */
};

enum nr_breaker_result {
    NR_BREAKER_OK,
    NR_BREAKER_FAILED,
    NR_BREAKER_IGNORED, /* says nothing of the service: the client left, a 4xx, never sent */
};

void nr_breaker_init(struct nr_breaker *b, uint64_t now_ns);

/* May a call start? After PASS or WOULD_REFUSE the caller owes exactly one _report of
 * *ret_ticket, or a half-open breaker never recovers (except by probe_wait_ns); after REFUSE
 * *ret_ticket is untouched and nothing is owed. */
enum nr_breaker_verdict nr_breaker_allow(struct nr_breaker *b, const struct nr_breaker_conf *conf,
                                         uint64_t now_ns, struct nr_random *random,
                                         uint32_t *ret_ticket);

/* A call is over. A ticket from an earlier epoch is ignored: its news is stale. */
void nr_breaker_report(struct nr_breaker *b, const struct nr_breaker_conf *conf, uint32_t ticket,
                       uint64_t now_ns, struct nr_random *random, enum nr_breaker_result result,
                       uint64_t took_ns);

/* By hand: start afresh (closed, window empty, no trips) in this mode. Calls that are out
 * become stale. */
void nr_breaker_force(struct nr_breaker *b, enum nr_breaker_mode mode, uint64_t now_ns);

/* `to` begins with what `from` knows. Tickets of `from` are reported to `from` alone, so none is
 * out: probes are let through anew. */
void nr_breaker_inherit(struct nr_breaker *to, const struct nr_breaker *from);

/* For how long it is certain to refuse, for Retry-After; 0 when it may let pass. */
uint64_t nr_breaker_wait_ns(const struct nr_breaker *b, uint64_t now_ns);

struct nr_breaker_view {
    struct nr_breaker_sums sums;
    double failure_rate; /* -1: not enough calls to tell */
    double slow_rate;    /* -1: the same */
};

/* What it knows now; forgets what has left a time window. */
struct nr_breaker_view nr_breaker_look(struct nr_breaker *b, const struct nr_breaker_conf *conf,
                                       uint64_t now_ns);

#endif
