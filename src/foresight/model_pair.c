/* SPDX-License-Identifier: Apache-2.0 */
/* model_pair.c - one exchange with both its ends.
 *
 *   up:    CONNECTING --> OPEN ------- answer told, and consumed ------> over
 *             |  '--refused, timeout---- reset, broken ------------------^
 *   down:  (under way) --> delivered -- answer ended, reset, caller gone --> over
 *
 * Two events move it. `forth` is whatever comes next to the server: the connection's other end, the
 * request, the news that the caller has gone. `back` is what comes next to the caller: the answer,
 * a break, the end of an exchange that it has reset. What is sent while an event is under way comes
 * with it. A head travels with the first piece of its body, or alone if it is all.
 *
 * The memory goes when both ends are over, the server has given back its holds, and nothing is
 * under way. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "foresight/model_transport.h"

enum {
    ARENA_BYTES = 2048, /* as http's own: what an ordinary request needs of the gateway */
    HEAD_BYTES = 256,   /* of a head on its way, for what the link takes */
};

enum nr_model_stage { CONNECTING, STALLED, OPEN };

/* A body on its way, in numbers. */
struct nr_model_body {
    uint64_t sent;
    uint64_t arrived;
    uint64_t left; /* of what has arrived, to be consumed */
    bool ended;    /* whoever sends it has said so */
    bool end_told; /* … and who receives it knows */
};

struct nr_model_pair {
    struct nr_exchange up;
    struct nr_exchange down;
    struct nr_model_pair *next_free;
    struct nr_model_route *route;
    struct nr_model_target *target;
    struct nr_sim_event forth, back;
    struct nr_link here;   /* target->pairs */
    struct nr_link parked; /* target->parked */
    struct nr_op end_op;   /* of down, on the target's engine */

    enum nr_model_stage stage;
    uint32_t epoch; /* of the target, when it connected */
    enum nr_end up_end, down_end;
    bool up_ending; /* by up_end, from the queue */
    bool up_over;
    bool telling; /* an event of ours runs: what is left is seen to when it returns */
    bool forth_parked, back_parked;

    /* the request */
    struct nr_head *request; /* in our arena; NULL: method and path will do */
    struct nr_span path;
    uint8_t method;
    bool request_sent; /* its head */
    bool caller_waits; /* to send its body */
    bool gone;         /* the caller is, and the server will hear of it */
    bool delivered, down_ending, down_over;
    struct nr_model_body upload;

    /* the answer */
    struct nr_head *answer; /* in the caller's arena; NULL: the status will do */
    int64_t answer_length;
    uint16_t status; /* 0: no head yet */
    bool answer_told;
    bool broken; /* the server has reset it, or died */
    struct nr_model_body download;

    struct nr_arena arena;
    _Alignas(16) char block[ARENA_BYTES];
};

static const char filler[64 * 1024]; /* what bodies consist of */

static struct nr_model_pair *pair_of_up(const struct nr_exchange *x)
{
    return nr_container_of((struct nr_exchange *)(uintptr_t)x, struct nr_model_pair, up);
}

static struct nr_model_pair *pair_of_down(const struct nr_exchange *x)
{
    return nr_container_of((struct nr_exchange *)(uintptr_t)x, struct nr_model_pair, down);
}

static struct nr_sim *sim_of(const struct nr_model_pair *pair)
{
    return pair->target->transport->sim;
}

static uint64_t now_ns(const struct nr_model_pair *pair)
{
    return nr_sim_now_ns(sim_of(pair));
}

/* ---- memory ---- */

static void forth(struct nr_sim *sim, struct nr_sim_event *event);
static void back(struct nr_sim *sim, struct nr_sim_event *event);
static void down_ends(struct nr_op *op);

static const struct nr_op_kind end_kind = {down_ends, "model.end"};

static struct nr_model_pair *pair_new(struct nr_model_route *route)
{
    struct nr_model_transport *transport = route->target->transport;
    struct nr_model_pair *pair = transport->free;

    if (pair != NULL) {
        transport->free = pair->next_free;
    } else {
        pair = malloc(sizeof(*pair));
        nr_assert(pair != NULL);
        nr_arena_init(&pair->arena, pair->block, sizeof(pair->block));
    }
    memset(pair, 0, offsetof(struct nr_model_pair, arena));
    pair->route = route;
    pair->target = route->target;
    pair->forth.fire = forth;
    pair->back.fire = back;
    nr_link_init(&pair->here);
    nr_link_init(&pair->parked);
    nr_op_init(&pair->end_op, &end_kind);
    route->pairs++;
    transport->live++;
    return pair;
}

static void free_if_over(struct nr_model_pair *pair)
{
    struct nr_model_transport *transport = pair->target->transport;
    struct nr_model_route *route = pair->route;

    if (!pair->up_over || pair->telling || pair->down.holds > 0 ||
        (pair->delivered && !pair->down_over) || nr_sim_scheduled(&pair->forth) ||
        !nr_op_idle(&pair->end_op))
        return;
    nr_list_remove(&pair->parked);
    nr_arena_reset(&pair->arena);
    pair->next_free = transport->free;
    transport->free = pair;
    transport->live--;
    if (--route->pairs == 0 && route->detached)
        free(route);
}

void nr_model_pair_free_all(struct nr_model_transport *transport)
{
    while (transport->free != NULL) {
        struct nr_model_pair *pair = transport->free;

        transport->free = pair->next_free;
        nr_arena_done(&pair->arena);
        free(pair);
    }
}

/* ---- the ends ---- */

static void finish_up(struct nr_model_pair *pair, enum nr_end end)
{
    struct nr_model_route *route = pair->route;

    pair->up_over = true;
    nr_sim_cancel(sim_of(pair), &pair->back);
    if (end == NR_END_DONE && pair->epoch == pair->target->epoch) {
        if (route->epoch != pair->epoch)
            route->idle = 0;
        route->epoch = pair->epoch;
        route->idle++;
    }
    pair->up.events->end(&pair->up, end);
}

static void finish_down(struct nr_model_pair *pair, enum nr_end end)
{
    pair->down_over = true;
    nr_list_remove(&pair->here);
    pair->down.events->end(&pair->down, end);
}

/* From outside of this pair's events. */
static void finish_down_now(struct nr_model_pair *pair, enum nr_end end)
{
    pair->telling = true;
    if (!pair->down_over)
        finish_down(pair, end);
    pair->telling = false;
    free_if_over(pair);
}

static void down_ends(struct nr_op *op)
{
    struct nr_model_pair *pair = nr_container_of(op, struct nr_model_pair, end_op);

    finish_down_now(pair, pair->down_end);
}

/* From inside a verb of the server's. */
static void end_down_soon(struct nr_model_pair *pair, enum nr_end end)
{
    if (pair->down_ending || pair->down_over)
        return;
    pair->down_ending = true;
    pair->down_end = end;
    if (pair->target->io != NULL)
        nr_io_defer(pair->target->io, &pair->end_op);
}

static void end_up_soon(struct nr_model_pair *pair, enum nr_end end)
{
    pair->up_ending = true;
    pair->up_end = end;
    nr_sim_at(sim_of(pair), &pair->back, now_ns(pair));
}

/* ---- the link ---- */

static void park(struct nr_model_pair *pair)
{
    if (!nr_link_linked(&pair->parked))
        nr_list_push_back(&pair->target->parked, &pair->parked);
}

static void go_forth(struct nr_model_pair *pair, uint64_t bytes)
{
    if (pair->target->silent) {
        pair->forth_parked = true;
        park(pair);
        return;
    }
    nr_sim_at(sim_of(pair), &pair->forth,
              nr_sim_way_arrival_ns(sim_of(pair), &pair->route->there, bytes));
}

static void go_back(struct nr_model_pair *pair, uint64_t bytes)
{
    if (pair->target->silent) {
        pair->back_parked = true;
        park(pair);
        return;
    }
    nr_sim_at(sim_of(pair), &pair->back,
              nr_sim_way_arrival_ns(sim_of(pair), &pair->route->back, bytes));
}

void nr_model_pair_heal(struct nr_model_target *target)
{
    struct nr_link waiting;
    struct nr_link *link;

    nr_link_init(&waiting);
    nr_list_splice_back(&waiting, &target->parked);
    while ((link = nr_list_pop_front(&waiting)) != NULL) {
        struct nr_model_pair *pair = nr_container_of(link, struct nr_model_pair, parked);

        if (pair->stage == STALLED)
            pair->stage = CONNECTING;
        if (pair->forth_parked)
            go_forth(pair, 0);
        if (pair->back_parked && !pair->up_over)
            go_back(pair, 0);
        pair->forth_parked = pair->back_parked = false;
    }
}

/* ---- connecting ---- */

static void stall(struct nr_model_pair *pair)
{
    uint64_t within_ns = pair->route->connect_timeout_ns;

    pair->stage = STALLED;
    pair->forth_parked = true;
    park(pair);
    if (within_ns != 0)
        nr_sim_at(sim_of(pair), &pair->forth, pair->up.times.started_ns + within_ns);
}

static void connect_begin(struct nr_model_pair *pair)
{
    struct nr_sim *sim = sim_of(pair);
    uint64_t within_ns = pair->route->connect_timeout_ns;
    uint64_t at_ns;

    if (pair->target->silent) {
        stall(pair);
        return;
    }
    pair->stage = CONNECTING;
    at_ns = nr_sim_way_arrival_ns(sim, &pair->route->there, 0);
    at_ns += nr_sim_way_arrival_ns(sim, &pair->route->back, 0) - now_ns(pair);
    if (within_ns != 0 && at_ns > now_ns(pair) + within_ns) {
        pair->stage = STALLED;
        at_ns = now_ns(pair) + within_ns;
    }
    nr_sim_at(sim, &pair->forth, at_ns);
}

static void connected(struct nr_model_pair *pair)
{
    pair->stage = OPEN;
    pair->epoch = pair->target->epoch;
    pair->up.times.connected_ns = now_ns(pair);
}

static void connect_done(struct nr_model_pair *pair)
{
    if (pair->stage == STALLED) {
        pair->forth_parked = false;
        nr_list_remove(&pair->parked);
        finish_up(pair, NR_END_CONNECT_TIMEOUT);
    } else if (pair->target->silent) {
        stall(pair);
    } else if (pair->target->handler == NULL) {
        finish_up(pair, NR_END_CONNECT_REFUSED);
    } else {
        connected(pair);
        if (pair->request_sent && pair->upload.ended)
            go_forth(pair, HEAD_BYTES + pair->upload.sent);
        if (pair->caller_waits) {
            pair->caller_waits = false;
            pair->up.events->writable(&pair->up);
        }
    }
}

static bool takes_idle(struct nr_model_route *route)
{
    if (route->epoch != route->target->epoch)
        route->idle = 0;
    route->epoch = route->target->epoch;
    if (route->idle == 0)
        return false;
    route->idle--;
    return true;
}

/* ---- bodies ---- */

/* Show what has arrived, in pieces, as long as they are taken. */
static void tell_body(struct nr_exchange *x, struct nr_model_body *body, const bool *over)
{
    uint64_t before, hidden;

    body->left += body->sent - body->arrived;
    body->arrived = body->sent;
    if (body->end_told || (body->left == 0 && !body->ended))
        return;
    do {
        before = body->left;
        hidden = before > sizeof(filler) ? before - sizeof(filler) : 0;
        x->received_bytes = body->arrived - hidden;
        body->end_told = body->ended && hidden == 0;
        x->events->body(x, body->end_told);
    } while (hidden > 0 && body->left < before && !*over);
}

static struct nr_span shown(const struct nr_model_body *body)
{
    return (struct nr_span){filler,
                            body->left < sizeof(filler) ? (size_t)body->left : sizeof(filler)};
}

/* ---- to the server ---- */

static struct nr_head *glance(struct nr_model_pair *pair)
{
    struct nr_head *head = nr_arena_zalloc(&pair->arena, sizeof(*head));

    head->text = (char *)(uintptr_t)pair->path.ptr;
    head->text_len = (uint32_t)pair->path.len;
    head->path.len = head->text_len;
    head->method = pair->method;
    head->version = 11;
    head->body_length = NR_BODY_NONE;
    return head;
}

static void deliver(struct nr_model_pair *pair)
{
    struct nr_model_target *target = pair->target;

    pair->delivered = true;
    nr_list_push_back(&target->pairs, &pair->here);
    pair->down.arena = &pair->arena;
    pair->down.times.started_ns = pair->down.times.head_ns = now_ns(pair);
    pair->upload.end_told = pair->upload.ended && pair->upload.sent == 0;
    target->handler->request(target->handler, &pair->down,
                             pair->request != NULL ? pair->request : glance(pair),
                             pair->upload.end_told);
}

/* Somebody sends to a process that is no more. */
static void answer_with_rst(struct nr_model_pair *pair)
{
    pair->broken = true;
    go_back(pair, 0);
}

static void request_arrives(struct nr_model_pair *pair)
{
    if (pair->target->silent) {
        pair->forth_parked = true;
        park(pair);
        return;
    }
    if (!pair->delivered && pair->request_sent) {
        if (pair->target->handler == NULL || pair->epoch != pair->target->epoch) {
            if (!pair->up_over)
                answer_with_rst(pair);
            return;
        }
        deliver(pair);
    }
    if (pair->delivered && !pair->down_over && !pair->down_ending)
        tell_body(&pair->down, &pair->upload, &pair->down_ending);
}

static void forth(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct nr_model_pair *pair = nr_container_of(event, struct nr_model_pair, forth);

    (void)sim;
    pair->telling = true;
    if (pair->stage != OPEN)
        connect_done(pair);
    else
        request_arrives(pair);
    if (pair->gone && pair->delivered && !pair->down_over)
        finish_down(pair, NR_END_PEER_RESET);
    pair->telling = false;
    free_if_over(pair);
}

/* ---- to the caller ---- */

static void tell_answer(struct nr_model_pair *pair)
{
    struct nr_head brief = {.status = pair->status,
                            .version = 11,
                            .keep_alive = true,
                            .body_length = pair->answer_length};
    struct nr_head *head = pair->answer != NULL ? pair->answer : &brief;

    pair->answer_told = true;
    pair->up.times.head_ns = now_ns(pair);
    pair->up.heard = true;
    pair->download.end_told = pair->download.ended && pair->download.sent == 0;
    pair->up.events->head(&pair->up, head, pair->download.end_told);
}

static bool is_complete(const struct nr_model_pair *pair)
{
    return pair->download.end_told && pair->download.left == 0 && pair->upload.ended;
}

static void answer_arrives(struct nr_model_pair *pair)
{
    if (pair->target->silent) {
        pair->back_parked = true;
        park(pair);
        return;
    }
    if (pair->status != 0 && !pair->answer_told)
        tell_answer(pair);
    if (pair->answer_told && !pair->up_ending)
        tell_body(&pair->up, &pair->download, &pair->up_ending);
    if (pair->up_ending)
        return;
    if (is_complete(pair))
        finish_up(pair, NR_END_DONE);
    else if (pair->broken)
        finish_up(pair, NR_END_PEER_RESET);
}

static void back(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct nr_model_pair *pair = nr_container_of(event, struct nr_model_pair, back);

    (void)sim;
    pair->telling = true;
    if (pair->up_ending)
        finish_up(pair, pair->up_end);
    else
        answer_arrives(pair);
    /* A server without an engine hears of the end now. */
    if (pair->down_ending && !pair->down_over && pair->target->io == NULL)
        finish_down(pair, pair->down_end);
    pair->telling = false;
    free_if_over(pair);
}

/* ---- the caller's verbs ---- */

static void up_send_head(struct nr_exchange *x, const struct nr_head *head, bool ended)
{
    struct nr_model_pair *pair = pair_of_up(x);

    nr_assert(!pair->request_sent);
    pair->request_sent = true;
    pair->upload.ended = ended;
    pair->method = head->method;
    if (pair->target->wants_fields)
        pair->request = nr_head_dup(head, &pair->arena);
    else
        pair->path = nr_arena_dup(&pair->arena, nr_head_text(head, head->path));
    if (ended && pair->stage == OPEN)
        go_forth(pair, HEAD_BYTES);
}

static size_t up_send_body(struct nr_exchange *x, struct nr_span bytes, bool ended)
{
    struct nr_model_pair *pair = pair_of_up(x);

    nr_assert(pair->request_sent && !pair->upload.ended);
    if (pair->up_ending || pair->broken)
        return bytes.len;
    if (pair->stage != OPEN) {
        pair->caller_waits = true;
        return 0;
    }
    pair->upload.sent += bytes.len;
    pair->upload.ended = ended;
    x->sent_bytes += bytes.len;
    go_forth(pair, HEAD_BYTES + bytes.len);
    return bytes.len;
}

static void up_send_trailers(struct nr_exchange *x, const struct nr_head *trailers)
{
    (void)trailers;
    up_send_body(x, (struct nr_span){NULL, 0}, true);
}

static struct nr_span up_pending(const struct nr_exchange *x)
{
    return shown(&pair_of_up(x)->download);
}

static void up_consume(struct nr_exchange *x, size_t bytes)
{
    struct nr_model_pair *pair = pair_of_up(x);
    struct nr_model_body *body = &pair->download;

    nr_assert(bytes <= body->left);
    body->left -= bytes;
    if (!pair->telling && !pair->up_ending && bytes > 0 && (is_complete(pair) || !body->end_told))
        nr_sim_at(sim_of(pair), &pair->back, now_ns(pair));
}

/* The connection breaks. What the server has not got yet, it will not get. */
static void up_reset(struct nr_exchange *x)
{
    struct nr_model_pair *pair = pair_of_up(x);

    if (pair->up_ending || pair->up_over)
        return;
    if (pair->stage != OPEN || (!pair->delivered && !nr_sim_scheduled(&pair->forth))) {
        nr_sim_cancel(sim_of(pair), &pair->forth);
    } else if (!pair->target->silent) {
        pair->gone = true;
        if (!nr_sim_scheduled(&pair->forth))
            go_forth(pair, 0);
    }
    nr_list_remove(&pair->parked);
    pair->forth_parked = pair->back_parked = false;
    end_up_soon(pair, NR_END_RESET);
}

static const struct nr_exchange_verbs up_verbs = {
    .send_head = up_send_head,
    .send_body = up_send_body,
    .send_trailers = up_send_trailers,
    .pending = up_pending,
    .consume = up_consume,
    .reset = up_reset,
};

/* ---- the server's verbs ---- */

/* Nobody waits any more, and no event will come that ends this side. */
static bool is_for_nobody(struct nr_model_pair *pair)
{
    if (!pair->up_over && !pair->up_ending)
        return false;
    end_down_soon(pair, NR_END_PEER_RESET);
    if (pair->target->io == NULL && !nr_sim_scheduled(&pair->forth)) {
        pair->gone = true;
        nr_sim_at(sim_of(pair), &pair->forth, now_ns(pair));
    }
    return true;
}

static void down_send_head(struct nr_exchange *x, const struct nr_head *head, bool ended)
{
    struct nr_model_pair *pair = pair_of_down(x);

    if (head->status < 200 || is_for_nobody(pair))
        return; /* an interim answer is not passed on */
    pair->status = head->status;
    pair->answer_length = head->body_length;
    pair->download.ended = ended;
    if (pair->route->wants_fields)
        pair->answer = nr_head_dup(head, pair->up.arena);
    if (!ended)
        return;
    go_back(pair, HEAD_BYTES);
    end_down_soon(pair, NR_END_DONE);
}

static size_t down_send_body(struct nr_exchange *x, struct nr_span bytes, bool ended)
{
    struct nr_model_pair *pair = pair_of_down(x);

    if (is_for_nobody(pair))
        return bytes.len;
    pair->download.sent += bytes.len;
    pair->download.ended = ended;
    x->sent_bytes += bytes.len;
    go_back(pair, HEAD_BYTES + bytes.len);
    if (ended)
        end_down_soon(pair, NR_END_DONE);
    return bytes.len;
}

static void down_send_trailers(struct nr_exchange *x, const struct nr_head *trailers)
{
    (void)trailers;
    down_send_body(x, (struct nr_span){NULL, 0}, true);
}

static struct nr_span down_pending(const struct nr_exchange *x)
{
    return shown(&pair_of_down(x)->upload);
}

static void down_consume(struct nr_exchange *x, size_t bytes)
{
    struct nr_model_pair *pair = pair_of_down(x);
    struct nr_model_body *body = &pair->upload;

    nr_assert(bytes <= body->left);
    body->left -= bytes;
    if (!pair->telling && !pair->down_ending && bytes > 0 && !body->end_told)
        nr_sim_at(sim_of(pair), &pair->forth, now_ns(pair));
}

static void down_reset(struct nr_exchange *x)
{
    struct nr_model_pair *pair = pair_of_down(x);

    if (pair->down_ending || pair->down_over || is_for_nobody(pair))
        return;
    pair->broken = true;
    go_back(pair, 0);
    end_down_soon(pair, NR_END_RESET);
}

static void down_release(struct nr_exchange *x)
{
    nr_assert(x->holds > 0);
    x->holds--;
    free_if_over(pair_of_down(x));
}

static const struct nr_peer *down_peer(const struct nr_exchange *x)
{
    return &pair_of_down(x)->route->peer;
}

static const struct nr_exchange_verbs down_verbs = {
    .send_head = down_send_head,
    .send_body = down_send_body,
    .send_trailers = down_send_trailers,
    .pending = down_pending,
    .consume = down_consume,
    .reset = down_reset,
    .release = down_release,
    .peer = down_peer,
};

/* ---- the beginning, and the end of a target ---- */

struct nr_exchange *nr_model_open(struct nr_model_route *route, struct nr_arena *arena,
                                  const struct nr_exchange_events *events, void *owner, bool fresh)
{
    struct nr_model_pair *pair = pair_new(route);

    pair->up.verbs = &up_verbs;
    pair->up.events = events;
    pair->up.owner = owner;
    pair->up.arena = arena;
    pair->up.times.started_ns = now_ns(pair);
    pair->down.verbs = &down_verbs;
    if (!fresh && takes_idle(route)) {
        connected(pair);
        pair->up.reused = true;
    } else {
        connect_begin(pair);
    }
    return &pair->up;
}

void nr_model_pair_abort(struct nr_model_target *target)
{
    while (!nr_list_empty(&target->pairs)) {
        struct nr_model_pair *pair =
            nr_container_of(target->pairs.next, struct nr_model_pair, here);

        /* An answer that is under way still arrives. */
        if (!pair->down_ending && !pair->up_over && !pair->up_ending) {
            pair->broken = true;
            go_back(pair, 0);
        }
        finish_down_now(pair, pair->down_ending ? pair->down_end : NR_END_SHUTDOWN);
    }
}
