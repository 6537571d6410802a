/* SPDX-License-Identifier: Apache-2.0 */
/* fake_client.h - nr_client without connections: each exchange follows a script.
 *
 * The test program defines the functions of http/client.h itself, so the linker takes these and not
 * http's. So a call can be shown every end that an exchange can have, at an exact time, and what it
 * sends is seen byte by byte. Time and the queue are a simulated engine's. */
#ifndef NR_TEST_FAKE_CLIENT_H
#define NR_TEST_FAKE_CLIENT_H

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "http/client.h"
#include "io/sim.h"

#define MS ((uint64_t)1000000)

enum fake_does {
    FAKE_ANSWERS, /* head, body, end */
    FAKE_FAILS,   /* `end` with what the script says */
    FAKE_HANGS,
    FAKE_TRUNCATES, /* head, half of the body, `end` */
    FAKE_TUNNELS,   /* 101, then silence */
};

struct fake_script {
    enum fake_does does;
    uint64_t connect_ms; /* until bytes are taken */
    uint64_t after_ms;   /* from the opening to what it does */
    uint16_t status;
    const char *body;
    const char *field; /* one more field of the head; NULL: none */
    const char *value;
    enum nr_end end;
    bool early;         /* does it before the request is complete */
    bool reused;        /* went over a pooled connection */
    bool interim;       /* 103 first, at half of after_ms */
    uint64_t linger_ms; /* from a reset to its `end` */
    size_t step_bytes;  /* taken of the body at a time, a millisecond apart; 0: everything */
};

/* A test of many calls at once wants more, and shorter bodies. */
#ifndef FAKE_OPENS_MAX
enum { FAKE_OPENS_MAX = 16, FAKE_BODY_MAX = 256 * 1024 };
#endif

/* What was seen of one exchange. */
struct fake_open {
    uint16_t port;
    bool fresh;
    bool ended;
    bool reset;
    bool trailers;
    bool over;
    uint64_t at_ns;
    char deadline[24]; /* X-Request-Deadline, X-Request-Attempt; "" if absent */
    char attempt[24];
    size_t body_bytes;
    char *body;
};

struct fake_world {
    struct fake_script scripts[FAKE_OPENS_MAX]; /* of the n-th opening, whichever instance */
    struct fake_open opens[FAKE_OPENS_MAX];
    uint32_t open_count;
    uint32_t clients;
    uint16_t
        first_port; /* not 0: scripts belong to ports from this one on, and opens wrap around */
};

struct nr_client {
    struct nr_io *io;
    struct nr_addr addr;
    struct nr_client_counts *counts;
    struct nr_client_counts own;
    uint32_t prewarmed;
};

struct fake_x {
    struct nr_exchange x;
    struct nr_io *io;
    const struct fake_script *script;
    struct fake_open *seen;
    struct nr_timer timer; /* to what it does, or to the interim head */
    struct nr_timer take;  /* to when bytes are taken again */
    struct nr_timer linger;
    struct nr_op end_op;
    enum nr_end end;
    size_t room;
    struct nr_span answer; /* not yet consumed */
    bool head_sent, acted, interim_sent, waits, answer_told, ending;
};

static struct fake_world *fake; /* the test's; one at a time */

const struct nr_client_conf nr_client_conf_default = {0};

struct nr_client *nr_client_new(struct nr_io *io, const struct nr_addr *address,
                                const struct nr_client_conf *conf)
{
    struct nr_client *client = calloc(1, sizeof(*client));

    (void)conf;
    client->io = io;
    client->addr = *address;
    client->counts = &client->own;
    fake->clients++;
    return client;
}

void nr_client_close(struct nr_client *client)
{
    if (client == NULL)
        return;
    fake->clients--;
    free(client);
}

const struct nr_client_counts *nr_client_counts(const struct nr_client *client)
{
    return client->counts;
}

void nr_client_count_into(struct nr_client *client, struct nr_client_counts *counts)
{
    client->counts = counts;
}

void nr_client_prewarm(struct nr_client *client, uint32_t connections)
{
    client->prewarmed = connections;
}

static void fake_ends(struct fake_x *f, enum nr_end end)
{
    if (f->ending)
        return;
    f->ending = true;
    f->end = end;
    nr_timer_disarm(f->io, &f->timer);
    nr_timer_disarm(f->io, &f->take);
    if (end == NR_END_RESET && f->script->linger_ms > 0)
        nr_timer_arm(f->io, &f->linger, nr_io_now_ns(f->io) + f->script->linger_ms * MS);
    else
        nr_io_defer(f->io, &f->end_op);
}

static void fake_lingered(struct nr_op *op)
{
    struct fake_x *f = nr_container_of(op, struct fake_x, linger.op);

    nr_io_defer(f->io, &f->end_op);
}

static void fake_end_now(struct nr_op *op)
{
    struct fake_x *f = nr_container_of(op, struct fake_x, end_op);

    f->seen->over = true;
    f->x.events->end(&f->x, f->end);
    free(f);
}

/* Both directions complete? */
static void fake_check_done(struct fake_x *f)
{
    if (f->acted && f->script->does == FAKE_ANSWERS && f->answer_told && f->answer.len == 0 &&
        f->seen->ended)
        fake_ends(f, NR_END_DONE);
}

static void fake_head(struct fake_x *f, uint16_t status, bool ended)
{
    struct nr_head *head = nr_arena_alloc(f->x.arena, sizeof(*head));

    nr_head_init_response(head, f->x.arena, status);
    if (f->script->field != NULL)
        nr_head_add(head, f->x.arena, nr_span_of(f->script->field), nr_span_of(f->script->value));
    f->x.times.head_ns = nr_io_now_ns(f->io);
    f->x.events->head(&f->x, head, ended);
}

static void fake_act(struct fake_x *f)
{
    const struct fake_script *s = f->script;
    struct nr_span body = nr_span_of(s->body != NULL ? s->body : "");

    if (!s->early && !f->seen->ended && s->does != FAKE_FAILS)
        return; /* waits for the request */
    f->acted = true;
    switch (s->does) {
    case FAKE_HANGS: return;
    case FAKE_FAILS: fake_ends(f, s->end); return;
    case FAKE_TUNNELS: fake_head(f, 101, false); return;
    case FAKE_ANSWERS:
    case FAKE_TRUNCATES: break;
    }
    if (s->does == FAKE_TRUNCATES)
        body.len /= 2;
    f->answer_told = body.len == 0 && s->does == FAKE_ANSWERS;
    fake_head(f, s->status, f->answer_told);
    if (!f->ending && body.len > 0) {
        f->answer = body;
        f->x.received_bytes = body.len;
        f->answer_told = s->does == FAKE_ANSWERS;
        f->x.events->body(&f->x, f->answer_told);
    }
    if (s->does == FAKE_TRUNCATES)
        fake_ends(f, s->end);
    fake_check_done(f);
}

static void fake_timer(struct nr_op *op)
{
    struct fake_x *f = nr_container_of(op, struct fake_x, timer.op);

    if (f->script->interim && !f->interim_sent) {
        f->interim_sent = true;
        nr_timer_arm(f->io, &f->timer, f->seen->at_ns + f->script->after_ms * MS);
        fake_head(f, 103, false);
        return;
    }
    fake_act(f);
}

static void fake_take(struct nr_op *op)
{
    struct fake_x *f = nr_container_of(op, struct fake_x, take.op);

    f->x.times.connected_ns = nr_io_now_ns(f->io);
    f->room = f->script->step_bytes > 0 ? f->script->step_bytes : SIZE_MAX;
    if (!f->waits)
        return;
    f->waits = false;
    f->x.events->writable(&f->x);
}

static void copy_field(struct nr_head *head, struct nr_span name, char *to)
{
    const struct nr_field *field = nr_head_find_name(head, name, NULL);

    to[0] = '\0';
    if (field == NULL)
        return;
    nr_assert(nr_head_find_name(head, name, field) == NULL); /* once */
    nr_assert(field->value_len < 24);
    memcpy(to, nr_head_value(head, field).ptr, field->value_len);
    to[field->value_len] = '\0';
}

/* The request is complete: what waited for it happens now, or at its time. */
static void fake_request_ended(struct fake_x *f)
{
    f->seen->ended = true;
    if (!f->acted && !nr_timer_armed(&f->timer) && f->script->does != FAKE_HANGS)
        nr_timer_arm(f->io, &f->timer, nr_io_now_ns(f->io));
    fake_check_done(f);
}

static void fake_send_head(struct nr_exchange *x, const struct nr_head *head, bool ended)
{
    struct fake_x *f = nr_container_of(x, struct fake_x, x);

    nr_assert(!f->head_sent);
    f->head_sent = true;
    copy_field((struct nr_head *)(uintptr_t)head, NR_SPAN("X-Request-Deadline"), f->seen->deadline);
    copy_field((struct nr_head *)(uintptr_t)head, NR_SPAN("X-Request-Attempt"), f->seen->attempt);
    if (ended)
        fake_request_ended(f);
}

static size_t fake_send_body(struct nr_exchange *x, struct nr_span bytes, bool ended)
{
    struct fake_x *f = nr_container_of(x, struct fake_x, x);
    size_t taken = bytes.len < f->room ? bytes.len : f->room;

    nr_assert(f->head_sent && !f->seen->ended);
    if (f->ending)
        return bytes.len;
    nr_assert(f->seen->body_bytes + taken <= FAKE_BODY_MAX);
    if (taken > 0)
        memcpy(f->seen->body + f->seen->body_bytes, bytes.ptr, taken);
    f->seen->body_bytes += taken;
    f->x.sent_bytes += taken;
    if (f->script->step_bytes > 0 && taken > 0)
        f->room -= taken;
    if (taken < bytes.len) {
        f->waits = true;
        if (!nr_timer_armed(&f->take))
            nr_timer_arm(f->io, &f->take, nr_io_now_ns(f->io) + MS);
    } else if (ended) {
        fake_request_ended(f);
    }
    return taken;
}

static void fake_send_trailers(struct nr_exchange *x, const struct nr_head *trailers)
{
    struct fake_x *f = nr_container_of(x, struct fake_x, x);

    nr_assert(nr_head_find_name(trailers, NR_SPAN("X-Sum"), NULL) != NULL);
    f->seen->trailers = true;
    fake_request_ended(f);
}

static struct nr_span fake_pending(const struct nr_exchange *x)
{
    return nr_container_of((struct nr_exchange *)(uintptr_t)x, struct fake_x, x)->answer;
}

static void fake_consume(struct nr_exchange *x, size_t bytes)
{
    struct fake_x *f = nr_container_of(x, struct fake_x, x);

    f->answer = nr_span_from(f->answer, bytes);
    fake_check_done(f);
}

static void fake_reset(struct nr_exchange *x)
{
    struct fake_x *f = nr_container_of(x, struct fake_x, x);

    f->seen->reset = true;
    fake_ends(f, NR_END_RESET);
}

static const struct nr_exchange_verbs fake_verbs = {
    .send_head = fake_send_head,
    .send_body = fake_send_body,
    .send_trailers = fake_send_trailers,
    .pending = fake_pending,
    .consume = fake_consume,
    .reset = fake_reset,
};

struct nr_exchange *nr_client_open(struct nr_client *client, struct nr_arena *arena,
                                   const struct nr_exchange_events *events, void *owner, bool fresh)
{
    static const struct nr_op_kind timer_kind = {fake_timer, "fake.timer"};
    static const struct nr_op_kind take_kind = {fake_take, "fake.take"};
    static const struct nr_op_kind linger_kind = {fake_lingered, "fake.linger"};
    static const struct nr_op_kind end_kind = {fake_end_now, "fake.end"};
    struct fake_x *f = calloc(1, sizeof(*f));
    uint32_t n = fake->open_count++;

    nr_assert(fake->first_port != 0 || n < FAKE_OPENS_MAX);
    f->x = (struct nr_exchange){
        .verbs = &fake_verbs, .events = events, .owner = owner, .arena = arena};
    f->io = client->io;
    if (fake->first_port != 0)
        f->script = &fake->scripts[client->addr.port - fake->first_port];
    else
        f->script = &fake->scripts[n];
    f->seen = &fake->opens[n % FAKE_OPENS_MAX];
    nr_assert(n < FAKE_OPENS_MAX || f->seen->over);
    free(f->seen->body);
    *f->seen = (struct fake_open){.port = client->addr.port,
                                  .fresh = fresh,
                                  .at_ns = nr_io_now_ns(client->io),
                                  .body = malloc(FAKE_BODY_MAX)};
    f->x.reused = f->script->reused && !fresh;
    nr_timer_init(&f->timer, &timer_kind);
    nr_timer_init(&f->take, &take_kind);
    nr_timer_init(&f->linger, &linger_kind);
    nr_op_init(&f->end_op, &end_kind);
    nr_timer_arm(f->io, &f->take, f->seen->at_ns + f->script->connect_ms * MS);
    if (f->script->does != FAKE_HANGS)
        nr_timer_arm(f->io, &f->timer,
                     f->seen->at_ns + f->script->after_ms * MS / (f->script->interim ? 2 : 1));
    return &f->x;
}

static inline void fake_done(void)
{
    for (uint32_t i = 0; i < fake->open_count && i < FAKE_OPENS_MAX; i++) {
        nr_assert(fake->opens[i].over); /* every exchange has ended */
        free(fake->opens[i].body);
    }
}

#endif
