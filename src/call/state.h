/* SPDX-License-Identifier: Apache-2.0 */
/* state.h - one call: its life (call.c), its present attempt (attempt.c), whether a failed one is
 * repeated (repeat.c), the body kept for that (replay.c), which service is asked instead
 * (stand_in.c) and what goes wrong on purpose (fault.c). Internal to src/call.
 *
 *      open --no instance, no time------------------------------------.
 *        |                                                            v
 *        '--> ATTEMPT --final head--> ATTEMPT, committed --up's end--> finish: `end`
 *              ^  ^ '--up's end: failed-----------------.             ^
 *              |  |  '--head that is discarded, up's end-+--not to be-'
 *              |  '-----------repeat at once-------------'  repeated
 *              '-- PAUSED <---repeat after back-off------'
 *
 *      Before the first attempt a call may be QUEUED for a permit. Where it would finish without an
 *      answer, another service may stand in, and all begins anew with that.
 *
 *   1. There is at most one exchange upstream (attempt.up), and while it is there, nothing but its
 *      own `end` ends the call. So everything inside the call is over when the owner hears `end`,
 *      and `end` comes from the engine's queue, once.
 *      Without one (PAUSED, ENDING) what the owner sends of its body stays with the owner.
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
    uint32_t name;   /* … in records */
    uint32_t ticket; /* of its circuit */
    uint16_t status; /* of the final head; 0: none yet */
    bool timed_out;  /* we have reset it because its time was over */
    bool refreshed;  /* its first connection had gone stale, this is the second */
    bool discarded;  /* its answer is not for the owner: when it has ended, there is another try */
    bool struck;     /* `up` is no instance, but a fault on purpose: see fault.c */
    uint64_t started_ns;
    uint64_t until_ns;        /* the head must be there */
    uint64_t first_byte_ns;   /* any byte of the answer must be there; NR_TIME_NEVER: no bound */
    uint64_t head_latency_ns; /* 0: no final head yet */
};

enum nr_call_stage {
    NR_CALL_ATTEMPT, /* attempt.up is there */
    NR_CALL_QUEUED,  /* waiting for a permit, before the first attempt */
    NR_CALL_PAUSED,  /* backing off until resume_at_ns */
    NR_CALL_ENDING,  /* `end` is on its way */
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
    struct nr_call_faults *faults; /* NULL: none */
    bool (*stand_in)(struct nr_exchange *call, enum nr_reason reason,
                     struct nr_call_next *ret_next);
    struct nr_deadline deadline;
    struct nr_timer timer;
    struct nr_op end_op; /* brings `end` where no exchange upstream does */
    enum nr_end end;     /* … and how */
    struct nr_permit permit;
    struct nr_attempt attempt;
    struct nr_replay replay;
    uint64_t first_start_ns;
    uint64_t tried; /* instances, as nr_service_pick wants them */
    uint64_t key;
    uint64_t wait_ns;      /* see nr_call_wait_ns */
    uint32_t attempts;     /* on the present service */
    uint32_t pauses;       /* back-offs so far, likewise */
    uint64_t resume_at_ns; /* a repeat is decided: not before */
    uint64_t paused_ns;    /* PAUSED: since */
    enum nr_call_stage stage;
    enum nr_reason reason;
    enum nr_reason first_reason; /* why the first service had no answer, once another stands in */
    uint64_t first_wait_ns;
    uint8_t hop; /* of the present service: see struct nr_record_attempt */
    bool has_key;
    bool ended_at_open;  /* no request body */
    bool no_fallback;    /* the last answer is passed on, whatever the service has */
    bool committed;      /* the final head has reached the owner */
    bool answered;       /* the answer is complete */
    bool tunnel;         /* after a 101 */
    bool over;           /* see above */
    bool owner_waits;    /* a send_body took less than it was given */
    bool fresh;          /* the next attempt must not use a pooled connection */
    bool gives_up;       /* the discarded answer was the last: there is a fallback */
    bool came_as_repeat; /* whoever calls us is repeating already */
    bool processed;      /* an instance may have acted on the request */
};

/* Pick an instance and start an attempt there. */
enum nr_attempt_start {
    NR_ATTEMPT_STARTED,
    NR_ATTEMPT_QUEUED, /* the first one only: queue.c goes on when there is a permit */
    NR_ATTEMPT_NOT,    /* *ret_reason says why */
};
enum nr_attempt_start nr_attempt_start(struct nr_call *c, int *ret_reason);

/* The attempt once more, to the same instance, over a connection of its own. */
void nr_attempt_again(struct nr_call *c);

/* Send the request to the attempt's instance. fresh: not over a pooled connection. */
void nr_attempt_go(struct nr_call *c, bool fresh);

/* `up` is over: the last that is heard of it. */
void nr_attempt_ended(struct nr_exchange *up, enum nr_end end);

/* Its place in the record. */
struct nr_record_attempt *nr_attempt_slot(struct nr_call *c);

/* The attempt's last words for the record. */
void nr_attempt_note(struct nr_call *c, enum nr_attempt_result result);

/* Send on what earlier attempts have seen already, then it is the owner's turn. */
void nr_attempt_pass_on(struct nr_call *c);

/* A pooled connection that broke before any byte of the answer had gone stale while it was
 * idle. That is how keep-alive works, and says nothing of the instance. */
static inline bool nr_attempt_was_stale(const struct nr_exchange *up, enum nr_end end)
{
    return up->reused && !up->heard &&
           (end == NR_END_PEER_CLOSED || end == NR_END_PEER_RESET || end == NR_END_UNPROCESSED);
}

/* The request has been sent completely: from now on the first byte is due. */
void nr_attempt_request_sent(struct nr_call *c);

/* The owner or the deadline takes the attempt away before or within its answer. */
void nr_attempt_note_given_up(struct nr_call *c, enum nr_attempt_result result);

/* ---- queue.c ---- */

void nr_queue_init(struct nr_call *c);

/* The timer has fired while QUEUED. */
void nr_queue_expired(struct nr_call *c);

/* The owner leaves while QUEUED. False: the permit's operation is on its way, and ends the call. */
bool nr_queue_leave(struct nr_call *c);

/* ---- repeat.c ---- */

/* May the request be sent twice, whatever has become of it? */
bool nr_repeat_is_safe(const struct nr_call *c);

/* A final head is there: is it discarded, because there will be another attempt? The attempt's
 * `end` goes on then (nr_repeat_go_on). If it is the last word, it may have to tell the owner that
 * repeating it is no use. */
bool nr_repeat_instead_of(struct nr_call *c, struct nr_head *head, bool ended);

/* The same for a fault's answer, which has a status and nothing else. It is always discarded: when
 * it is the last word, the owner says it in its own way (NR_REASON_FAULT_ABORT). */
void nr_repeat_aborted(struct nr_call *c, uint16_t status);

/* A body of a discarded answer: up to a limit it is read, to keep the connection. */
void nr_repeat_drop_body(struct nr_call *c, struct nr_exchange *up);

/* A pooled connection had gone stale: true, and the attempt goes on over a fresh one, if that is
 * safe and has not happened to it before. */
bool nr_repeat_stale(struct nr_call *c, const struct nr_exchange *up, enum nr_end end);

/* The attempt has ended without a final head. Goes on, or finishes the call. */
void nr_repeat_failed(struct nr_call *c, struct nr_exchange *up, enum nr_end end);

/* A repeat is decided, and nothing is left upstream. */
void nr_repeat_go_on(struct nr_call *c, enum nr_end end);

/* The pause is over. */
void nr_repeat_resume(struct nr_call *c);

/* … or cut short: the ledger counts what has passed of it. */
void nr_repeat_note_pause(struct nr_call *c);

/* ---- stand_in.c ---- */

/* Is another service configured to stand in? */
static inline bool nr_stand_in_is_there(const struct nr_call *c)
{
    return c->conf->fallback != NULL && c->conf->fallback->service.len > 0 && !c->no_fallback;
}

/* May it be asked with this request? If not, the record says why. */
bool nr_stand_in_may(struct nr_call *c);

/* The service has no answer (c->reason): true if another one is asked now. */
bool nr_stand_in_ask(struct nr_call *c);

/* ---- fault.c ---- */

/* The attempt has its instance: do faults strike? Then `up` is theirs, and they go on. */
bool nr_fault_strikes(struct nr_call *c);

/* ---- call.c ---- */

/* Arm the timer if what holds now is earlier than what it is armed for. */
void nr_call_bound(struct nr_call *c);

/* The present service has no answer (c->reason); nothing upstream is left. Another stands in, or it
 * is the end. Never from inside a verb. */
void nr_call_fail(struct nr_call *c, enum nr_end end);

/* Last words to the owner, from an event of upstream's or the timer. Nothing upstream is left. */
void nr_call_finish(struct nr_call *c, enum nr_end end);

#endif
