/* SPDX-License-Identifier: Apache-2.0 */
/* One direction of a connection: bytes in order, in pieces, over a link.
 *
 *      written                                               read
 *   ----------->[ under_way: segments, each with its time | arrived ]-------->
 *                                                                     unknown
 *
 * The bytes lie in one ring, oldest first; segments only say how many of them arrive when.
 * A segment never overtakes: only the first is scheduled, the next when that has arrived and
 * not before. So a lost one holds up what follows, as in TCP, and one event per pipe suffices.
 *
 * Invariants:
 *   under_way + arrived + unknown <= window: back-pressure, and a bound on memory
 *   the arrive event is scheduled, or parked, exactly while there are segments
 *
 * `unknown` are the bytes that were read (or dropped by a dead end) of which the sender has
 * not heard. That news takes one latency. It needs no event unless the sender waits for room:
 * otherwise it is settled when the sender next asks. */
#include <stdlib.h>

#include "base/assert.h"
#include "io/sim_world.h"

static void arrive(struct nr_sim *sim, struct nr_sim_event *event);
static void credit_arrive(struct nr_sim *sim, struct nr_sim_event *event);

void sim_pipe_init(struct sim_pipe *pipe, int side)
{
    *pipe = (struct sim_pipe){
        .arrive = {.fire = arrive},
        .credit = {.fire = credit_arrive},
        .side = (uint8_t)side,
    };
}

/* ---- the ring ---- */

static void *ring_get(struct nr_sim *sim, uint32_t class)
{
    void *ring = sim->rings[class];

    nr_assert(class < SIM_RING_CLASSES);
    if (ring == NULL) {
        ring = malloc((size_t)1 << class);
        nr_assert(ring != NULL);
        return ring;
    }
    sim->rings[class] = *(void **)ring;
    return ring;
}

static void ring_put(struct nr_sim *sim, void *ring, uint32_t class)
{
    if (ring == NULL)
        return;
    *(void **)ring = sim->rings[class];
    sim->rings[class] = ring;
}

/* Copy out of the ring, from `offset` behind its head. */
static void ring_peek(const struct sim_pipe *pipe, uint32_t offset, char *to, uint32_t bytes)
{
    uint32_t size = 1u << pipe->ring_class;
    uint32_t at = (pipe->ring_head + offset) & (size - 1);
    uint32_t first = bytes < size - at ? bytes : size - at;

    memcpy(to, pipe->ring + at, first);
    memcpy(to + first, pipe->ring, bytes - first);
}

static void ring_fill(struct sim_pipe *pipe, uint32_t offset, const char *from, uint32_t bytes)
{
    uint32_t size = 1u << pipe->ring_class;
    uint32_t at = (pipe->ring_head + offset) & (size - 1);
    uint32_t first = bytes < size - at ? bytes : size - at;

    memcpy(pipe->ring + at, from, first);
    memcpy(pipe->ring, from + first, bytes - first);
}

static void ring_reserve(struct nr_sim *sim, struct sim_pipe *pipe, uint32_t bytes)
{
    uint32_t held = pipe->arrived + pipe->under_way;
    uint32_t class = pipe->ring == NULL ? SIM_RING_CLASS_MIN : pipe->ring_class;
    char *ring;

    while ((uint64_t)held + bytes > (uint64_t)1 << class)
        class ++;
    if (pipe->ring != NULL && class == pipe->ring_class)
        return;
    ring = ring_get(sim, class);
    if (pipe->ring != NULL) {
        ring_peek(pipe, 0, ring, held);
        ring_put(sim, pipe->ring, pipe->ring_class);
    }
    pipe->ring = ring;
    pipe->ring_class = class;
    pipe->ring_head = 0;
}

static void ring_release_if_empty(struct nr_sim *sim, struct sim_pipe *pipe)
{
    if (pipe->arrived + pipe->under_way > 0)
        return;
    ring_put(sim, pipe->ring, pipe->ring_class);
    pipe->ring = NULL;
}

/* ---- sending ---- */

static uint32_t window_bytes(const struct sim_conn *conn)
{
    uint32_t window = conn->way->conf.window_bytes;

    return window != 0 ? window : SIM_WINDOW_BYTES_DEFAULT;
}

static uint32_t segment_bytes(const struct sim_conn *conn)
{
    uint32_t bytes = conn->way->conf.segment_bytes;

    return bytes != 0 ? bytes : SIM_SEGMENT_BYTES_DEFAULT;
}

static void push(struct nr_sim *sim, struct sim_pipe *pipe, struct sim_segment piece)
{
    struct sim_conn *conn = sim_conn_of_pipe(pipe);
    struct sim_segment *segment = sim_pool_get(&sim->segments);

    *segment = piece;
    segment->at_ns = sim_link_arrival_ns(sim, conn->way, conn->end[pipe->side].host, piece.bytes);
    if (pipe->first != NULL) {
        pipe->last->next = segment;
    } else {
        pipe->first = segment;
        nr_sim_at(sim, &pipe->arrive, segment->at_ns);
    }
    pipe->last = segment;
}

static void settle_credit(struct nr_sim *sim, struct sim_pipe *pipe)
{
    struct sim_conn *conn = sim_conn_of_pipe(pipe);
    uint64_t latency_ns = conn->way->conf.latency_max_ns;

    if (pipe->credit_now == 0 || sim->now_ns < pipe->credit_at_ns || !sim_link_open(conn->way))
        return;
    if (sim->now_ns >= pipe->last_read_ns + latency_ns)
        pipe->credit_now = pipe->unknown; /* the later news has come as well */
    pipe->unknown -= pipe->credit_now;
    pipe->credit_now = pipe->unknown;
    pipe->credit_at_ns = pipe->last_read_ns + latency_ns;
}

uint32_t sim_pipe_room(struct nr_sim *sim, struct sim_pipe *pipe)
{
    uint32_t window = window_bytes(sim_conn_of_pipe(pipe));
    uint32_t used;

    settle_credit(sim, pipe);
    used = pipe->arrived + pipe->under_way + pipe->unknown;
    return used < window ? window - used : 0; /* a window may have been made smaller */
}

/* Cut what was just put into the ring into segments. */
static void send_bytes(struct nr_sim *sim, struct sim_pipe *pipe, uint32_t bytes)
{
    struct sim_conn *conn = sim_conn_of_pipe(pipe);
    uint32_t piece_max = segment_bytes(conn);

    while (bytes > 0) {
        uint32_t piece = bytes < piece_max ? bytes : piece_max;

        if (conn->way->conf.split_randomly)
            piece = 1 + (uint32_t)nr_random_below(&sim->net, piece);
        push(sim, pipe, (struct sim_segment){.bytes = piece});
        bytes -= piece;
    }
}

int64_t sim_pipe_write(struct nr_sim *sim, struct sim_pipe *pipe, const struct iovec *parts,
                       int count)
{
    uint32_t room = sim_pipe_room(sim, pipe), taken = 0;

    for (int i = 0; i < count && taken < room; i++) {
        uint32_t bytes =
            parts[i].iov_len < room - taken ? (uint32_t)parts[i].iov_len : room - taken;

        if (bytes == 0)
            continue;
        ring_reserve(sim, pipe, bytes);
        ring_fill(pipe, pipe->arrived + pipe->under_way, parts[i].iov_base, bytes);
        pipe->under_way += bytes;
        taken += bytes;
    }
    send_bytes(sim, pipe, taken);
    return taken;
}

void sim_pipe_send_fin(struct nr_sim *sim, struct sim_pipe *pipe)
{
    if (pipe->fin_sent)
        return;
    pipe->fin_sent = true;
    push(sim, pipe, (struct sim_segment){.fin = true});
}

void sim_pipe_send_ack(struct nr_sim *sim, struct sim_pipe *pipe)
{
    push(sim, pipe, (struct sim_segment){.ack = true});
}

void sim_pipe_want_room(struct nr_sim *sim, struct sim_pipe *pipe)
{
    if (pipe->credit_now > 0 && !nr_sim_scheduled(&pipe->credit) && !pipe->credit_parked)
        nr_sim_at(sim, &pipe->credit, pipe->credit_at_ns);
}

static void credit_arrive(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct sim_pipe *pipe = nr_container_of(event, struct sim_pipe, credit);
    struct sim_conn *conn = sim_conn_of_pipe(pipe);
    struct sim_sock *sender = conn->end[pipe->side].sock;

    if (!sim_link_open(conn->way)) {
        pipe->credit_parked = true;
        return;
    }
    settle_credit(sim, pipe);
    if (sender != NULL)
        sim_sock_stir_writer(sender);
}

/* ---- arriving ---- */

static void arrive_ack(struct sim_conn *conn)
{
    struct sim_host *host = conn->end[1].host;
    struct sim_listener *listener = sim_listener_find(host, &conn->end[1].address);

    if (!conn->end[1].attached)
        return; /* a reset was faster */
    if (host->up && listener != NULL) {
        sim_listener_enqueue(listener, conn);
        return;
    }
    sim_conn_send_rst(conn, 0);
    sim_conn_detach(conn, 1);
}

/* Bytes for an end that is gone are never acknowledged, they are answered with RST. What follows
 * them is doomed as well, so all of it goes at once. */
static void arrive_nowhere(struct nr_sim *sim, struct sim_pipe *pipe, uint32_t bytes)
{
    if (bytes == 0)
        return;
    pipe->unknown += pipe->under_way;
    pipe->refused = true;
    sim_pipe_drop(sim, pipe);
    sim_conn_send_rst(sim_conn_of_pipe(pipe), pipe->side);
}

static void arrive(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct sim_pipe *pipe = nr_container_of(event, struct sim_pipe, arrive);
    struct sim_conn *conn = sim_conn_of_pipe(pipe);
    struct sim_end *receiver = &conn->end[1 - pipe->side];
    struct sim_segment segment;

    if (!sim_link_open(conn->way)) {
        pipe->parked = true;
        return;
    }
    segment = *pipe->first;
    sim_pool_put(&sim->segments, pipe->first);
    pipe->first = segment.next;
    if (pipe->first != NULL)
        nr_sim_at(sim, &pipe->arrive, pipe->first->at_ns);
    if (segment.ack) {
        arrive_ack(conn); /* the connection may be gone after this */
        return;
    }
    if (!receiver->attached || receiver->error != NR_OK) {
        arrive_nowhere(sim, pipe, segment.bytes);
        return;
    }
    pipe->under_way -= segment.bytes;
    pipe->arrived += segment.bytes;
    pipe->fin_arrived = pipe->fin_arrived || segment.fin;
    if (receiver->sock != NULL)
        sim_sock_stir(receiver->sock);
}

uint32_t sim_pipe_read(struct nr_sim *sim, struct sim_pipe *pipe, char *to, uint32_t bytes)
{
    struct sim_conn *conn = sim_conn_of_pipe(pipe);
    struct sim_end *sender = &conn->end[pipe->side];
    const struct nr_sim_link *way = &conn->way->conf;

    if (bytes > pipe->arrived)
        bytes = pipe->arrived;
    if (way->segment_bytes != 0 && bytes > way->segment_bytes)
        bytes = way->segment_bytes; /* who asks for small pieces gets them however late he reads */
    ring_peek(pipe, 0, to, bytes);
    pipe->ring_head += bytes;
    pipe->arrived -= bytes;
    ring_release_if_empty(sim, pipe);
    if (pipe->credit_now == 0) {
        pipe->credit_now = bytes;
        pipe->credit_at_ns = sim->now_ns + way->latency_max_ns;
    }
    pipe->unknown += bytes;
    pipe->last_read_ns = sim->now_ns;
    if (sender->sock != NULL && !nr_list_empty(&sender->sock->writable))
        sim_pipe_want_room(sim, pipe);
    return bytes;
}

void sim_pipe_drop(struct nr_sim *sim, struct sim_pipe *pipe)
{
    while (pipe->first != NULL) {
        struct sim_segment *segment = pipe->first;

        pipe->first = segment->next;
        sim_pool_put(&sim->segments, segment);
    }
    pipe->under_way = 0;
    pipe->parked = false;
    nr_sim_cancel(sim, &pipe->arrive);
    ring_release_if_empty(sim, pipe);
}

void sim_pipe_unpark(struct nr_sim *sim, struct sim_pipe *pipe)
{
    struct sim_conn *conn = sim_conn_of_pipe(pipe);
    struct sim_host *from = conn->end[pipe->side].host;
    struct sim_host *to = conn->end[1 - pipe->side].host;

    if (pipe->parked) {
        pipe->parked = false;
        nr_sim_at(sim, &pipe->arrive, sim_link_arrival_ns(sim, conn->way, from, 0));
    }
    if (pipe->credit_parked) {
        pipe->credit_parked = false;
        nr_sim_at(sim, &pipe->credit, sim_link_arrival_ns(sim, conn->way, to, 0));
    }
}

void sim_pipe_done(struct nr_sim *sim, struct sim_pipe *pipe)
{
    sim_pipe_drop(sim, pipe);
    ring_put(sim, pipe->ring, pipe->ring_class);
    pipe->ring = NULL;
    nr_sim_cancel(sim, &pipe->credit);
}
