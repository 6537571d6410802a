/* SPDX-License-Identifier: Apache-2.0 */
/* state.h - one call: its life (call.c), its present attempt (attempt.c) and the body kept for a
 * repetition (replay.c). Internal to src/call.
 *
 *      open --no instance, no time------------------------------.
 *        |                                                      v
 *        '--> ATTEMPT --final head--> COMMITTED --up's end--> finish: `end`
 *               ^  '--up's end: failed--.                       ^
 *               '--retry decided--------+--not to be repeated---'
 *
 *   1. There is at most one exchange upstream (attempt.up), and while it is there, nothing but its
 *      own `end` ends the call. So everything inside the call is over when the owner hears `end`,
 *      and `end` comes from the engine's queue, once.
 *   2. `over` means that the call will not go on, whatever upstream still says: the owner has reset
 *      it, or its deadline has passed. Only attempt.up's `end` is awaited.
 *   3. One timer bounds both attempt and deadline. It is armed for the earlier of the two when an
 *      attempt starts, and never touched when a bound moves away: when it fires too early, it is
 *      armed again for what then holds. A plain request arms and disarms once. */
#ifndef NR_CALL_STATE_H
#define NR_CALL_STATE_H

#include "base/buf.h"
#include "base/compiler.h"
#include "call/call.h"
#include "service/service_conf.h"

/* ---- replay ---- */

enum { NR_REPLAY_BYTES_MAX = 64 * 1024 };

/* What the owner has sent of the request's body, as far as it is kept, and how far the present
 * attempt has got with it. Bytes are kept when upstream takes them, so `kept` is exactly what the
 * attempts have seen. */
struct nr_replay {
    struct nr_buf *first; /* chain */
    struct nr_buf *last;
    struct nr_buf *at;        /* resending: buffer to go on with; NULL: all of it is sent */
    uint32_t at_bytes;        /* … and how much of that is sent */
    uint32_t kept_bytes;      /* in the chain */
    uint32_t budget_bytes;    /* taken from the engine's budget */
    uint32_t want_bytes;      /* expected body, for the size of buffers */
    bool keep;                /* what is sent from now on shall be kept */
    bool lost;                /* bytes have been sent that are not kept */
    bool ended;               /* the owner has ended the body */
    bool end_sent;            /* … and this attempt knows */
    struct nr_head *trailers; /* a copy; NULL: none */
};

/* keep: a repetition is thinkable at all. body_length as in struct nr_head. */
void nr_replay_init(struct nr_replay *replay, bool keep, int64_t body_length);

/* These bytes went upstream. */
void nr_replay_sent(struct nr_replay *replay, struct nr_io *io, struct nr_call_budget *budget,
                    struct nr_span bytes);

/* A new attempt begins: start from the first byte. Only if nothing is lost. */
void nr_replay_rewind(struct nr_replay *replay);

/* Has the attempt been given everything that the owner has handed over? */
static inline bool nr_replay_flushed(const struct nr_replay *replay)
{
    return replay->at == NULL && replay->ended == replay->end_sent;
}

/* Send on what the attempt has not seen yet, end and trailers included. */
void nr_replay_flush(struct nr_replay *replay, struct nr_exchange *up);

/* No repetition will come: keep nothing more, and give the memory back as soon as it is sent. */
void nr_replay_commit(struct nr_replay *replay, struct nr_io *io, struct nr_call_budget *budget);

/* Give back everything. */
void nr_replay_drop(struct nr_replay *replay, struct nr_io *io, struct nr_call_budget *budget);

/* ---- the call ---- */

struct nr_attempt {
    struct nr_exchange *up; /* NULL: none */
    uint32_t instance;
    uint16_t status; /* of the final head; 0: none yet */
    bool timed_out;  /* we have reset it because its time was over */
    uint64_t started_ns;
    uint64_t until_ns;        /* the head must be there */
    uint64_t first_byte_ns;   /* any byte of the answer must be there; NR_TIME_NEVER: no bound */
    uint64_t head_latency_ns; /* 0: no final head yet */
};

struct nr_call {
    struct nr_exchange x;
    struct nr_io *io;
    struct nr_service_pools *pools;
    struct nr_service *service;
    const struct nr_service_conf *conf;
    struct nr_head *request;
    struct nr_record *record;
    struct nr_call_budget *budget;
    struct nr_deadline deadline;
    struct nr_timer timer;
    struct nr_op failed_op; /* tells of a failure before any attempt */
    struct nr_attempt attempt;
    struct nr_replay replay;
    uint64_t first_start_ns;
    uint64_t tried; /* instances, as nr_service_pick wants them */
    uint64_t key;
    uint32_t attempts;
    enum nr_reason reason;
    bool has_key;
    bool ended_at_open; /* no request body */
    bool committed;     /* the final head has reached the owner */
    bool answered;      /* the answer is complete */
    bool tunnel;        /* after a 101 */
    bool over;          /* see above */
    bool owner_waits;   /* a send_body took less than it was given */
};

/* Pick an instance and start an attempt there. False, with *ret_reason, when there is none. fresh:
 * not over a pooled connection. */
bool nr_attempt_start(struct nr_call *c, bool fresh, int *ret_reason);

/* The request has been sent completely: from now on the first byte is due. */
void nr_attempt_request_sent(struct nr_call *c);

/* The owner or the deadline takes the attempt away before or within its answer. */
void nr_attempt_note_given_up(struct nr_call *c, enum nr_attempt_result result);

/* Arm the timer if what holds now is earlier than what it is armed for. */
void nr_call_bound(struct nr_call *c);

/* Last words to the owner. Nothing upstream is left. */
void nr_call_finish(struct nr_call *c, enum nr_end end);

#endif
