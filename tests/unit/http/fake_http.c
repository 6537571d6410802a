/* SPDX-License-Identifier: Apache-2.0 */
/* Two halves make a pair: what one sends, the other is told in later steps. A flow is one
 * direction: a queue of heads, bytes within the window, trailers, an end. */
#include "fake_http.h"

#include <stdlib.h>

#include "base/assert.h"

enum { HEADS_MAX = 8, PAIRS_MAX = 512 };

struct flow {
    struct nr_head heads[HEADS_MAX]; /* in the pair's arena */
    int head_count, heads_told;
    char bytes[FAKE_WINDOW_BYTES]; /* sent, not consumed; the first `told` are known to the owner */
    size_t len, told;
    int64_t left; /* of the announced length; -1: not known */
    struct nr_head *trailers;
    bool final;   /* the final head was sent */
    bool ended;   /* the sender has ended */
    bool over;    /* the receiver knows */
    bool starved; /* the sender was given less than it wanted: owes it `writable` */
};

struct half {
    struct nr_exchange x; /* first */
    struct pair *pair;
    struct half *peer;
    struct flow out;
    bool serving, begun, ending, done, drops;
    enum nr_end end;
};

struct pair {
    struct fake_http *fake;
    struct nr_arena arena; /* the serving side's, and copies of heads under way */
    struct half client, server;
    bool slotted, tunnel;
};

struct fake_http {
    struct nr_random random;
    struct nr_handler *handler;
    struct pair *pairs[PAIRS_MAX];
    int count, slots_used;
    struct nr_peer peer;
};

static void finish(struct half *half, enum nr_end end)
{
    if (half->ending)
        return;
    half->ending = true;
    half->end = end;
}

/* ---- verbs ---- */

static void end_flow(struct half *half)
{
    half->out.ended = true;
    if (half->out.left > 0)
        finish(half, NR_END_RESET); /* less than announced */
}

static void send_head(struct nr_exchange *x, const struct nr_head *head, bool ended)
{
    struct half *half = (struct half *)x;
    struct flow *out = &half->out;
    bool interim = half->serving && head->status < 200 && head->status != 101;

    if (half->ending)
        return;
    nr_assert(!out->final && out->head_count < HEADS_MAX);
    nr_head_copy(&out->heads[out->head_count++], head, &half->pair->arena);
    if (interim)
        return;
    out->final = true;
    if (half->serving && head->status == 101) {
        half->pair->tunnel = true;
        half->peer->out.ended = false; /* both directions are bytes from now on */
        half->peer->out.over = false;
    }
    half->drops = half->serving && half->peer->out.heads[0].method == NR_METHOD_HEAD;
    out->left = head->body_length >= 0 && !half->drops ? head->body_length : -1;
    if (ended)
        end_flow(half);
}

static size_t send_body(struct nr_exchange *x, struct nr_span bytes, bool ended)
{
    struct half *half = (struct half *)x;
    struct flow *out = &half->out;
    size_t room = FAKE_WINDOW_BYTES - out->len;
    size_t taken = bytes.len < room ? bytes.len : room;

    if (half->ending || half->drops || out->ended)
        return bytes.len;
    if (half->peer->done) { /* it has answered; what comes late is for nobody */
        out->ended = ended;
        out->len = 0;
        return bytes.len;
    }
    nr_assert(out->final);
    nr_assert(out->left < 0 || bytes.len <= (uint64_t)out->left);
    if (!half->serving && !half->pair->slotted)
        taken = 0;
    if (taken > 0)
        memcpy(out->bytes + out->len, bytes.ptr, taken);
    out->len += taken;
    out->left -= out->left < 0 ? 0 : (int64_t)taken;
    x->sent_bytes += taken;
    out->starved = taken < bytes.len;
    if (ended && taken == bytes.len)
        end_flow(half);
    return taken;
}

static void send_trailers(struct nr_exchange *x, const struct nr_head *trailers)
{
    struct half *half = (struct half *)x;

    if (half->ending || half->out.ended)
        return;
    half->out.trailers = nr_arena_alloc(&half->pair->arena, sizeof(*trailers));
    nr_head_copy(half->out.trailers, trailers, &half->pair->arena);
    end_flow(half);
}

static struct nr_span pending(const struct nr_exchange *x)
{
    const struct half *half = (const struct half *)x;

    return (struct nr_span){half->peer->out.bytes, half->peer->out.told};
}

static void consume(struct nr_exchange *x, size_t bytes)
{
    struct flow *in = &((struct half *)x)->peer->out;

    nr_assert(bytes <= in->told);
    memmove(in->bytes, in->bytes + bytes, in->len - bytes);
    in->len -= bytes;
    in->told -= bytes;
}

static void reset(struct nr_exchange *x)
{
    finish((struct half *)x, NR_END_RESET);
}

static void release(struct nr_exchange *x)
{
    nr_assert(x->holds > 0);
    x->holds--;
}

static const struct nr_peer *peer(const struct nr_exchange *x)
{
    return &((const struct half *)x)->pair->fake->peer;
}

static const struct nr_exchange_verbs verbs = {
    .send_head = send_head,
    .send_body = send_body,
    .send_trailers = send_trailers,
    .pending = pending,
    .consume = consume,
    .reset = reset,
    .release = release,
    .peer = peer,
};

/* ---- events ---- */

/* The next head for this half. */
static bool tell_head(struct half *half, struct flow *in)
{
    struct nr_head *head;
    bool ended;

    if (in->heads_told == in->head_count)
        return false;
    head = nr_arena_alloc(half->x.arena, sizeof(*head));
    nr_head_copy(head, &in->heads[in->heads_told++], half->x.arena);
    ended = in->ended && in->len == 0 && in->trailers == NULL && in->heads_told == in->head_count &&
            head->status != 101;
    in->over = ended;
    if (half->serving) {
        half->begun = true;
        half->pair->fake->handler->request(half->pair->fake->handler, &half->x, head, ended);
    } else {
        half->x.events->head(&half->x, head, ended);
    }
    return true;
}

static bool tell_body(struct half *half, struct flow *in)
{
    size_t news = in->len - in->told;
    bool ended = in->ended && in->trailers == NULL;

    if (in->over || in->head_count == 0 || (news == 0 && !ended))
        return false;
    if (news > 1 && nr_random_below(&half->pair->fake->random, 2) == 0) {
        news = 1 + (size_t)nr_random_below(&half->pair->fake->random, news - 1);
        ended = false;
    }
    in->told += news;
    half->x.received_bytes += news;
    in->over = ended;
    half->x.events->body(&half->x, ended);
    return true;
}

static bool tell_trailers(struct half *half, struct flow *in)
{
    struct nr_head *trailers;

    if (in->over || in->trailers == NULL || in->len > 0)
        return false;
    in->over = true;
    trailers = nr_arena_alloc(half->x.arena, sizeof(*trailers));
    nr_head_copy(trailers, in->trailers, half->x.arena);
    half->x.events->trailers(&half->x, trailers);
    return true;
}

static bool tell_end(struct half *half)
{
    struct pair *pair = half->pair;
    bool broken = half->peer->ending && half->peer->end != NR_END_DONE;

    if (half->serving && !half->begun)
        return false;
    if (!half->ending && half->out.ended &&
        ((half->serving && !pair->tunnel) || (half->peer->out.over && half->peer->out.told == 0)))
        finish(half, NR_END_DONE); /* a server that has answered need not read on */
    if (!half->ending && broken)
        finish(half, NR_END_PEER_RESET);
    if (!half->ending || half->done)
        return false;
    half->done = true;
    half->x.events->end(&half->x, half->end);
    if (!half->serving && pair->slotted) {
        pair->slotted = false;
        pair->fake->slots_used--;
    }
    return true;
}

static bool tell_writable(struct half *half)
{
    struct flow *out = &half->out;

    if (half->peer->done)
        out->len = 0;
    if (!out->starved || out->len == FAKE_WINDOW_BYTES || (!half->serving && !half->pair->slotted))
        return false;
    out->starved = false;
    half->x.events->writable(&half->x);
    return true;
}

static bool take_slot(struct pair *pair)
{
    if (pair->slotted || pair->client.done || pair->fake->slots_used == FAKE_SLOTS)
        return false;
    pair->slotted = true;
    pair->fake->slots_used++;
    return true;
}

static bool step_half(struct half *half)
{
    struct flow *in = &half->peer->out;

    if (half->done)
        return false;
    if (tell_end(half))
        return true;
    if (half->ending || (half->serving && !half->pair->slotted && !half->begun))
        return false;
    if (nr_random_below(&half->pair->fake->random, 2) == 0 && half->x.events != NULL &&
        tell_writable(half))
        return true;
    return tell_head(half, in) ||
           (half->x.events != NULL &&
            (tell_body(half, in) || tell_trailers(half, in) || tell_writable(half)));
}

bool fake_http_step(struct fake_http *fake)
{
    int from = fake->count == 0 ? 0 : (int)nr_random_below(&fake->random, (uint64_t)fake->count);

    for (int i = 0; i < fake->count; i++) {
        struct pair *pair = fake->pairs[(from + i) % fake->count];
        bool first = nr_random_below(&fake->random, 2) == 0;

        take_slot(pair);
        if (step_half(first ? &pair->client : &pair->server) ||
            step_half(first ? &pair->server : &pair->client))
            return true;
    }
    return false;
}

/* ---- life ---- */

struct fake_http *fake_http_new(uint64_t seed, struct nr_handler *handler)
{
    struct fake_http *fake = calloc(1, sizeof(*fake));

    nr_assert(fake != NULL);
    nr_random_init(&fake->random, seed);
    fake->handler = handler;
    return fake;
}

struct nr_exchange *fake_http_open(struct fake_http *fake, struct nr_arena *arena,
                                   const struct nr_exchange_events *events, void *owner)
{
    struct pair *pair = calloc(1, sizeof(*pair));

    nr_assert(pair != NULL && fake->count < PAIRS_MAX);
    fake->pairs[fake->count++] = pair;
    pair->fake = fake;
    nr_arena_init(&pair->arena, NULL, 0);
    pair->client = (struct half){.pair = pair, .peer = &pair->server};
    pair->client.x =
        (struct nr_exchange){.verbs = &verbs, .events = events, .owner = owner, .arena = arena};
    pair->server = (struct half){.pair = pair, .peer = &pair->client, .serving = true};
    pair->server.x = (struct nr_exchange){.verbs = &verbs, .arena = &pair->arena};
    return &pair->client.x;
}

void fake_http_free(struct fake_http *fake)
{
    for (int i = 0; i < fake->count; i++) {
        struct pair *pair = fake->pairs[i];

        nr_assert(pair->client.done && (pair->server.done || !pair->server.begun));
        nr_assert(pair->server.x.holds == 0);
        nr_arena_done(&pair->arena);
        free(pair);
    }
    free(fake);
}
