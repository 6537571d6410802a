/* SPDX-License-Identifier: Apache-2.0 */
/* sim_world.h - what the simulated world is made of; for the sim_*.c files alone.
 *
 *   sim_event.c    what will happen, ordered by (time, sequence)
 *   sim_world.c    making and stepping the world
 *   sim_host.c     hosts, the links between them, their files and descriptors
 *   sim_pipe.c     one direction of a connection: an ordered byte stream over a link
 *   sim_conn.c     connections: handshake, RST, end of life
 *   sim_listen.c   listeners and their backlogs
 *   sim_sock.c     sockets: a connection's end as its engine sees it
 *   sim_engine.c   the back end's table; names, work, signals
 *   sim_faults.c   partitions, silence, death, resets
 *   sim_leak.c     what nr_sim_free looks for
 *
 * Everything runs on one thread. Two rules keep a run a function of its seed: lists are
 * walked in the order in which things were made, never by address; and every draw comes from
 * one of the streams in struct nr_sim, in an order that events alone decide. */
#ifndef NR_IO_SIM_WORLD_H
#define NR_IO_SIM_WORLD_H

#include "base/compiler.h"
#include "io/engine.h"
#include "io/sim.h"

enum {
    SIM_START_NS = 1000 * 1000 * 1000, /* so that a time of 0 is never "now" */
    SIM_RTO_NS_DEFAULT = 200 * 1000 * 1000,
    SIM_WINDOW_BYTES_DEFAULT = 64 * 1024,
    SIM_SEGMENT_BYTES_DEFAULT = 1460,
    SIM_LOSS_ALL_PPM = 1000000,
    SIM_RING_CLASSES = 32, /* ring buffers of 1 << class bytes */
    SIM_RING_CLASS_MIN = 11,
    SIM_POOL_CHUNK = 64, /* structs allocated at a time */
};

struct sim_engine;
struct sim_listener;
struct sim_conn;

/* ---- events ---- */

struct sim_heap_entry {
    uint64_t at_ns;
    uint64_t sequence; /* of equal times, the one scheduled first goes first */
    struct nr_sim_event *event;
};

struct sim_heap {
    struct sim_heap_entry *entries; /* from 1 */
    uint32_t count;
    uint32_t cap;
};

enum { SIM_BUCKET_SHIFT = 15, SIM_BUCKETS = 4096 }; /* of 33 µs: together 134 ms */

struct sim_queue {
    struct sim_heap near;
    struct sim_heap far;
    struct nr_sim_event *buckets[SIM_BUCKETS];
    uint64_t used[SIM_BUCKETS / 64]; /* a bit per bucket that is not empty … */
    uint64_t used_words;             /* … and per word of those that has any */
    uint64_t present;                /* the bucket that `near` ends with */
    uint64_t sequence_next;
};

uint64_t sim_event_next_ns(struct nr_sim *sim); /* UINT64_MAX: none */
/* Take the earliest; only after sim_event_next_ns has found one. */
struct nr_sim_event *sim_event_pop(struct nr_sim *sim);
void sim_queue_done(struct sim_queue *queue);

/* ---- hosts and links ---- */

struct sim_file {
    struct nr_link link; /* in sim_host.disk */
    const char *path;    /* interned */
    char *bytes;
    size_t len;
};

struct sim_host {
    struct nr_link link; /* in nr_sim.hosts, in order of making */
    struct nr_sim *sim;
    uint32_t index;
    uint32_t ip; /* host order */
    char name[16];
    bool up;
    bool silent;
    uint16_t port_next;       /* for connects and for listeners that ask for port 0 */
    uint32_t files;           /* open descriptors */
    uint32_t files_max;       /* 0: unlimited */
    uint64_t signals;         /* raised and not yet waited for: bit signo */
    struct nr_link listeners; /* struct sim_listener, while they listen */
    struct nr_link disk;      /* struct sim_file */
    struct sim_link **links;  /* by the other host's index; NULL until first used */
    uint32_t links_cap;
};

/* The way between two hosts, or from a host to itself. */
struct sim_link {
    struct nr_link link; /* in nr_sim.links */
    struct nr_sim_link conf;
    struct sim_host *host[2];
    bool cut;
    uint64_t busy_until_ns[2]; /* from host[i]: until when earlier bytes occupy the line */
};

/* Made when missing. */
struct sim_host *sim_host_get(struct nr_sim *sim, const char *ip_text);
/* NULL when no host has that address. Loopback addresses are `from` itself. */
struct sim_host *sim_host_find(struct nr_sim *sim, struct sim_host *from, const struct nr_addr *to);
bool sim_addr_ip4(const struct nr_addr *addr, uint32_t *ret_ip);
struct nr_addr sim_host_addr(const struct sim_host *host, uint16_t port);
uint16_t sim_host_port(struct sim_host *host);
bool sim_host_has_file_left(const struct sim_host *host);
void sim_host_free(struct sim_host *host);

struct sim_link *sim_link_get(struct nr_sim *sim, struct sim_host *a, struct sim_host *b);
/* Can anything pass at this moment? */
bool sim_link_open(const struct sim_link *link);
/* When `bytes` that leave `from` now arrive at the other side: queueing, latency and loss drawn. */
uint64_t sim_link_arrival_ns(struct nr_sim *sim, struct sim_link *link, const struct sim_host *from,
                             uint32_t bytes);

/* ---- pipes: one direction of a connection ---- */

/* A piece under way. */
struct sim_segment {
    struct sim_segment *next;
    uint64_t at_ns;
    uint32_t bytes;
    bool fin;
    bool ack; /* the handshake's last step, ahead of everything */
};

struct sim_pipe {
    struct nr_sim_event arrive; /* of the first segment */
    struct nr_sim_event
        credit; /* the sender, who waits for room, hears that the receiver has read */
    struct sim_segment *first;
    struct sim_segment *last;
    char *ring;          /* NULL while empty */
    uint32_t ring_class; /* of 1 << class bytes */
    uint32_t ring_head;  /* where the oldest byte lies; counts up, taken modulo the size */
    uint32_t arrived;    /* bytes that the receiver may read */
    uint32_t under_way;  /* bytes behind them */
    uint32_t unknown;    /* bytes gone from here of which the sender has not heard */
    uint32_t credit_now; /* those of them that the news under way is about */
    uint64_t credit_at_ns;
    uint64_t last_read_ns;
    uint8_t side; /* the sender's */
    bool parked;  /* the first segment has come to a cut; healing sets it going again */
    bool credit_parked;
    bool refused; /* bytes came to an end that is gone: they are repeated until RST comes */
    bool fin_sent;
    bool fin_arrived;
};

void sim_pipe_init(struct sim_pipe *pipe, int side);
void sim_pipe_done(struct nr_sim *sim, struct sim_pipe *pipe);
/* Bytes that a write would take now. */
uint32_t sim_pipe_room(struct nr_sim *sim, struct sim_pipe *pipe);
int64_t sim_pipe_write(struct nr_sim *sim, struct sim_pipe *pipe, const struct iovec *parts,
                       int count);
void sim_pipe_send_fin(struct nr_sim *sim, struct sim_pipe *pipe);
void sim_pipe_send_ack(struct nr_sim *sim, struct sim_pipe *pipe);
/* At most `bytes` of what has arrived. */
uint32_t sim_pipe_read(struct nr_sim *sim, struct sim_pipe *pipe, char *to, uint32_t bytes);
/* The sender begins to wait for room. */
void sim_pipe_want_room(struct nr_sim *sim, struct sim_pipe *pipe);
/* What is under way is lost for good; what has arrived stays. */
void sim_pipe_drop(struct nr_sim *sim, struct sim_pipe *pipe);
/* The way is open again. */
void sim_pipe_unpark(struct nr_sim *sim, struct sim_pipe *pipe);

/* ---- connections ---- */

enum sim_conn_state {
    SIM_CONN_SYN_SENT,    /* the handshake's next step is at the server */
    SIM_CONN_ACCEPTED,    /* … at the client, a yes */
    SIM_CONN_REFUSED,     /* … at the client, a no */
    SIM_CONN_ESTABLISHED, /* the client knows */
};

struct sim_end {
    struct sim_host *host;
    struct nr_addr address;
    struct sim_sock *sock;   /* NULL: not accepted yet, or closed */
    struct nr_sim_event rst; /* on its way to this end */
    int32_t error;           /* NR_ERESET once reset; stays */
    bool rst_parked;
    bool attached;   /* somebody has, or will get, a handle */
    bool holds_file; /* counted in host->files */
};

struct sim_conn {
    struct nr_link link; /* in nr_sim.conns, in order of making */
    struct nr_sim *sim;
    struct sim_link *way;
    enum sim_conn_state state;
    int32_t refusal; /* REFUSED: what connect will say */
    bool parked;     /* the handshake has come to a cut */
    struct nr_sim_event handshake;
    struct nr_link connecting; /* the client's nr_connect op, until it completes */
    struct sim_engine *client;
    struct sim_end end[2];   /* 0: who connected, 1: who listened */
    struct sim_pipe pipe[2]; /* pipe[i] carries bytes from end i */
    struct nr_link waiting;  /* in sim_listener.backlog */
};

static inline struct sim_conn *sim_conn_of_pipe(struct sim_pipe *pipe)
{
    return nr_container_of(pipe - pipe->side, struct sim_conn, pipe);
}

void sim_conn_open(struct sim_engine *engine, struct nr_connect *connect);
void sim_conn_cancel(struct nr_connect *connect);
/* Send a RST to end `to`; its way takes time and may be cut. */
void sim_conn_send_rst(struct sim_conn *conn, int to);
/* End `at` is reset here and now. */
void sim_conn_reset(struct sim_conn *conn, int at);
/* The handle of end `at` is gone, or will never be. Frees the connection with the second. */
void sim_conn_detach(struct sim_conn *conn, int at);
/* The client's process dies during the handshake, or nobody answers any more. */
void sim_conn_fail(struct sim_conn *conn, int32_t result);
void sim_conn_unpark(struct sim_conn *conn);
bool sim_conn_alive(const struct sim_conn *conn); /* established, open at both ends */
void sim_conn_free(struct sim_conn *conn);

/* ---- sockets ---- */

struct sim_sock {
    struct nr_sock base;
    struct sim_engine *engine;
    struct sim_conn *conn;
    int side;
    struct nr_link link; /* in sim_engine.socks */
    struct nr_op turn;   /* internal: read */
    struct nr_link recv; /* pending operations: at most one */
    struct nr_link writable;
    struct nr_link watch;
};

static inline struct sim_sock *sim_sock_of(struct nr_sock *sock)
{
    return nr_container_of(sock, struct sim_sock, base);
}

/* Counts it in the engine and the host. */
struct sim_sock *sim_sock_new(struct sim_engine *engine, struct sim_conn *conn, int side);
/* Something arrived, ended or broke: complete what can be completed. */
void sim_sock_stir(struct sim_sock *sock);
/* The same for who waits for room. */
void sim_sock_stir_writer(struct sim_sock *sock);
void sim_sock_recv(struct nr_sock *sock, struct nr_recv *recv);
int64_t sim_sock_write(struct nr_sock *sock, const struct iovec *parts, int count);
void sim_sock_when_writable(struct nr_sock *sock, struct nr_op *op);
void sim_sock_watch_close(struct nr_sock *sock, struct nr_op *op);
void sim_sock_shutdown(struct nr_sock *sock);
void sim_sock_close(struct nr_sock *sock, enum nr_close how);
struct nr_addr sim_sock_peer(const struct nr_sock *sock);
struct nr_addr sim_sock_local(const struct nr_sock *sock);

/* ---- listeners ---- */

/* Where one engine's accepts wait. */
struct sim_desk {
    struct sim_engine *engine;
    struct nr_link accepts;
};

struct sim_listener {
    struct nr_listener base;
    struct nr_link link; /* in sim_host.listeners; on no list once the host was killed */
    struct nr_link all;  /* in nr_sim.listeners */
    struct sim_host *host;
    struct nr_addr address;
    uint32_t backlog_max;
    uint32_t backlog_count;
    struct nr_link backlog;    /* struct sim_conn.waiting */
    struct nr_sim_event retry; /* out of descriptors: look again later */
    bool holds_file;
    uint32_t desk_count;
    struct sim_desk desks[];
};

enum nr_code sim_listener_open(struct nr_io *const *engines, uint32_t count,
                               const struct nr_listen_conf *conf, struct nr_listener **ret_listener,
                               struct nr_err *err);
struct nr_addr sim_listener_address(const struct nr_listener *listener);
void sim_listener_accept(struct nr_listener *listener, struct nr_io *io, struct nr_accept *accept);
void sim_listener_close(struct nr_listener *listener);
void sim_listener_client_first(struct nr_listener *listener, bool on);
/* NULL: nobody listens there. */
struct sim_listener *sim_listener_find(struct sim_host *host, const struct nr_addr *to);
void sim_listener_enqueue(struct sim_listener *listener, struct sim_conn *conn);
/* Its process died: deaf, but its owner still holds it. */
void sim_listener_kill(struct sim_listener *listener);

/* ---- engines ---- */

struct sim_engine {
    struct nr_io io;
    struct nr_sim *sim;
    struct sim_host *host;
    uint32_t index;
    struct nr_link socks;   /* open ones */
    struct nr_link jobs;    /* names and work under way: struct sim_job */
    struct nr_link signals; /* waiting nr_signal.op */
    uint32_t work_queued;
};

static inline struct sim_engine *sim_engine_of(struct nr_io *io)
{
    return nr_container_of(io, struct sim_engine, io);
}

/* A name or a piece of work under way. */
struct sim_job {
    struct nr_link link; /* in sim_engine.jobs */
    struct nr_link op;   /* the operation, alone on this list */
    struct sim_engine *engine;
    struct nr_sim_event event;
    bool ran;      /* work: `run` has been called, its end is yet to come */
    bool canceled; /* after it ran */
};

struct sim_engine *sim_engine_new(struct nr_sim *sim, struct sim_host *host);
void sim_engine_free(struct sim_engine *engine);

/* ---- the world ---- */

struct sim_name {
    struct nr_link link;   /* in nr_sim.names */
    const char *name;      /* interned */
    const char *addresses; /* interned; NULL: NR_ENAME */
    uint32_t ttl_s;
};

/* A text that lives as long as the world. */
struct sim_text {
    struct sim_text *next;
    char text[];
};

/* Free structs of one size. */
struct sim_pool {
    void *free;
    void *chunks;
    uint32_t bytes;
};

void *sim_pool_get(struct sim_pool *pool);
void sim_pool_put(struct sim_pool *pool, void *memory);
void sim_pool_done(struct sim_pool *pool);

/* An address that another host answers for. */
struct sim_stand_in {
    struct nr_addr address; /* a path is interned */
    struct sim_host *host;
};

struct nr_sim {
    struct nr_sim_conf conf;
    uint64_t now_ns;
    uint64_t steps_at_now; /* a world that stands still is a bug of its inhabitants */
    struct sim_queue queue;
    struct nr_random choice; /* which engine runs next */
    struct nr_random net;    /* latency, loss, pieces */
    struct nr_random test;   /* the test's own */
    struct nr_link hosts;
    struct nr_link links;
    struct nr_link conns;
    struct nr_link listeners;
    struct nr_link names;
    uint32_t host_count;
    struct sim_stand_in *stand_ins;
    uint32_t stand_in_count;
    struct sim_engine **engines; /* in order of making */
    uint32_t engine_count;
    uint32_t engine_cap;
    struct sim_pool segments;
    struct sim_pool conn_pool;
    void *rings[SIM_RING_CLASSES];
    struct sim_text *texts;
};

void *sim_zalloc(size_t bytes);
/* The same text gives the same pointer; valid until the world ends. */
const char *sim_intern(struct nr_sim *sim, const char *text);
/* Aborts when something is outstanding. */
void sim_leak_check(const struct nr_sim *sim);

#endif
