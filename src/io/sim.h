/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h - a world in one thread: engines, hosts, links and time by seed.
 *
 * The same seed gives the same bytes in the same order at the same virtual time. Time
 * passes only when every engine is idle: it then jumps to the next event. Links carry
 * ordered byte streams, as TCP does: loss shows as delay (a retransmission) and a link that loses
 * everything as a stall, never as missing bytes.
 *
 * The clock starts at one second, so that 0 is never "now". A host reaches itself (also as
 * 127.0.0.1 and over Unix paths) over a wire of some microseconds that loses nothing.
 *
 * As on Linux: what arrived before a RST can still be read; closing over unread bytes resets; a
 * RST that meets a cut is lost, and who only waits for that peer waits for ever.
 *
 * Everything that the world owns dies with nr_sim_free, which first checks for leaks. */
#ifndef NR_IO_SIM_H
#define NR_IO_SIM_H

#include "io/io.h"

struct nr_sim;
struct sim_link;
struct sim_host;

struct nr_sim_link {
    uint64_t latency_min_ns; /* one way; drawn uniformly per segment */
    uint64_t latency_max_ns;
    uint64_t bytes_per_s; /* 0: unlimited */
    uint32_t loss_ppm;    /* a lost segment arrives rto_ns later, and what follows waits for it */
    uint64_t rto_ns;      /* 0: 200 ms */
    uint32_t
        window_bytes; /* unread bytes a connection may have under way; 0: 64 KiB: back-pressure */
    uint32_t segment_bytes; /* largest piece delivered, and read, at once; small ones (1!) find
                               split bugs; 0: 1460 delivered, reads take whatever has come */
    bool split_randomly;    /* pieces of random size up to segment_bytes */
};

struct nr_sim_conf {
    uint64_t seed;
    struct nr_sim_link link; /* between any two hosts without a link of their own */
    uint64_t wall_start_ns;  /* 0: 2026-01-01 */
    /* Every operation that completes, for finding the step at which two runs differ. NULL: none. */
    void (*trace)(void *ctx, uint64_t now_ns, const char *host, const char *op_name,
                  int32_t result);
    void *trace_ctx;
};

struct nr_sim *nr_sim_new(const struct nr_sim_conf *conf);

/* Aborts when an engine still has operations, timers, sockets or buffers outstanding, or a
 * listener is open; names them on stderr first. NULL is fine. */
void nr_sim_free(struct nr_sim *sim);

/* A host has one IPv4 address ("10.0.0.1") and any number of engines (processes or threads). */
struct nr_io *nr_sim_engine(struct nr_sim *sim, const char *host_ip);

/* Exactly one event: an operation's callback, an arrival, a timer. False: nothing left to happen.
 */
bool nr_sim_step(struct nr_sim *sim);

/* Step until nothing is left to happen by until_ns; the clock then stands there. UINT64_MAX: until
 * nothing is left at all. */
void nr_sim_run(struct nr_sim *sim, uint64_t until_ns);

uint64_t nr_sim_now_ns(const struct nr_sim *sim);
struct nr_random *
nr_sim_random(struct nr_sim *sim); /* the test's own stream, apart from the engines' */

/* ---- what the test, or a model, does at a time of its own ---- */

/* Something that will happen, embedded in what it happens to; all zero but `fire` before the first
 * use. It fires between the turns of the engines, at the very nanosecond (an engine's timers have a
 * resolution of a millisecond), and may use any of them as its owner. */
struct nr_sim_event {
    void (*fire)(struct nr_sim *sim, struct nr_sim_event *event);
    /* the world's: see sim_event.c */
    uint64_t at_ns;
    uint64_t sequence;
    struct nr_sim_event *next, *prev;
    uint32_t heap_at;
    uint8_t where; /* 0: not scheduled */
};

/* Schedule, or move, to at_ns; a time in the past is the present. */
void nr_sim_at(struct nr_sim *sim, struct nr_sim_event *event, uint64_t at_ns);

/* Scheduled or not, it will not fire. */
void nr_sim_cancel(struct nr_sim *sim, struct nr_sim_event *event);

static inline bool nr_sim_scheduled(const struct nr_sim_event *event)
{
    return event->where != 0;
}

/* Whoever connects to this address reaches that host, at the same port or path, and that host may
 * listen on it. So services that all stand on 127.0.0.1 in a configuration can be given a host
 * each. The text of a Unix path is copied. */
void nr_sim_stand_in(struct nr_sim *sim, const struct nr_addr *address, const char *host_ip);

/* The way from one host to another, for models that send messages without a socket: the same links,
 * faults included. Lives as long as the world. */
struct nr_sim_way {
    struct sim_link *link;
    struct sim_host *from;
};
struct nr_sim_way nr_sim_way(struct nr_sim *sim, const char *from_ip, const char *to_ip);

/* When a message of so many bytes that leaves now will have arrived: in segments, as TCP sends it,
 * a window of 64 KiB for each round trip. Whether anything passes at that moment (silence, a cut)
 * is not looked at. */
uint64_t nr_sim_way_arrival_ns(struct nr_sim *sim, const struct nr_sim_way *way, uint64_t bytes);

/* ---- faults ---- */

/* Change the link between two hosts, both ways, from now on. */
void nr_sim_set_link(struct nr_sim *sim, const char *a, const char *b,
                     const struct nr_sim_link *link);

/* Nothing passes between them until healed; bytes wait, connects hang. */
void nr_sim_partition(struct nr_sim *sim, const char *a, const char *b, bool cut);

/* Process death (kill -9): listeners vanish, connections are reset, new connects refused. The
 * engine's own owners are told nothing: its sockets are dead (recv gives NR_ERESET through the
 * normal queue) so that the test can tear it down. `up` again allows listening anew. */
void nr_sim_kill(struct nr_sim *sim, const char *host_ip);
void nr_sim_revive(struct nr_sim *sim, const char *host_ip);

/* Power loss or a cable: no RST, no FIN, silence. */
void nr_sim_silence(struct nr_sim *sim, const char *host_ip, bool silent);

/* Reset one established connection of the pair at random; false when there is none. */
bool nr_sim_reset_one(struct nr_sim *sim, const char *a, const char *b);

/* How many descriptors the host may open; beyond it: NR_EFILES. 0: unlimited. */
void nr_sim_limit_files(struct nr_sim *sim, const char *host_ip, uint32_t files_max);

/* Names: answers of nr_io_resolve; text is "10.0.0.5 10.0.0.6" or NULL for NR_ENAME. */
void nr_sim_name(struct nr_sim *sim, const char *name, const char *addresses, uint32_t ttl_s);

/* Put a file where nr_io_read_file of that host finds it; bytes NULL removes it. */
void nr_sim_file(struct nr_sim *sim, const char *host_ip, const char *path, struct nr_span bytes);

/* Deliver a signal to the host's waiting nr_io_signal operations. */
void nr_sim_raise(struct nr_sim *sim, const char *host_ip, int signo);

/* Established connections between the two now. */
uint32_t nr_sim_connections(const struct nr_sim *sim, const char *a, const char *b);

#endif
