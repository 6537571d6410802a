/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h - a real gateway between peers that speak raw bytes, in the simulator: tests as scripts.
 *
 * A script reads like a conversation, and each line of it waits in virtual time until it has
 * come true:
 *
 *     struct stage *s = stage_new(&(struct stage_conf){.gateway = "deadline: 2s"});
 *     struct peer *client = stage_client(s);
 *     struct peer *up;
 *
 *     peer_send(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
 *     up = stage_upstream(s);
 *     peer_expect(up, "GET / HTTP/1.1\r\n…");
 *     peer_send(up, "HTTP/1.1 200 OK\r\n…");
 *     …
 *     stage_record(s, 200, NR_REASON_NONE);
 *     stage_done(s);
 *
 * Clients and instances are no HTTP of ours: they send what the script says and compare what they
 * get, byte by byte. Links take exactly one millisecond each way unless the script wants others, so
 * that moments can be told exactly. stage_done ends in nr_sim_free, which aborts when anything
 * leaked, and fails when a request left a record that the script has not asked for. */
#ifndef NR_TESTS_UNIT_GATEWAY_STAGE_H
#define NR_TESTS_UNIT_GATEWAY_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/reason.h"
#include "base/record.h"
#include "gateway/gateway.h"
#include "io/sim.h"

enum { STAGE_INSTANCES = 3, STAGE_PEERS = 128, STAGE_RECORDS = 64 };

#define STAGE_MS ((uint64_t)1000000)
#define STAGE_US ((uint64_t)1000)

/* Lines of YAML flow style that join the sections: "deadline: 2s, drain_timeout: 1s". NULL: none.
 */
struct stage_conf {
    const char *gateway;
    const char *listen;  /* "half_close: allow, limits: { idle_timeout: 1s }" */
    const char *route;   /* "strip_prefix: /api" */
    const char *match;   /* of the only route; NULL: path: "/\*" */
    const char *service; /* "retry: { attempts: 1 }" */
    const char *limits;  /* "per_user: { key: \"header:X-User\", rate: 100/min }" */
    uint32_t instances;  /* 0: one */
    struct nr_sim_link link;
    uint64_t seed;
};

/* A finished request as its sink saw it. */
struct stage_record {
    struct nr_record r;
    char path[256];
    char method[32];
    char host[64];
    char user_agent[64];
    char request_id[80];
};

enum peer_end { PEER_OPEN, PEER_FIN, PEER_RESET };

struct stage;

/* One end of a connection: a client, or what an instance has accepted. */
struct peer {
    struct stage *stage;
    struct nr_io *io;
    struct nr_sock *sock; /* NULL: closed by the script */
    struct nr_recv recv;
    struct nr_op writable;
    struct nr_connect connect;
    int instance; /* -1: a client */

    char *in; /* received and not yet expected */
    size_t in_len;
    size_t in_cap;
    uint64_t in_bytes;  /* in all */
    bool deaf;          /* does not read */
    bool takes_pattern; /* compares at once instead of keeping */
    uint64_t pattern_in;
    uint64_t pattern_in_total;

    char *out; /* still to be sent */
    size_t out_len;
    uint64_t pattern_out; /* bytes of the pattern sent */
    uint64_t pattern_out_total;
    bool fin_after; /* FIN once all of it is sent */

    enum peer_end end; /* what the gateway did */
    uint64_t end_ns;
    uint64_t at_ns; /* of the latest byte */
};

struct stage_instance {
    struct stage *stage;
    struct nr_io *io;
    struct nr_listener *listener; /* NULL: refuses */
    struct nr_accept accept;
    uint32_t accepted;
};

struct stage {
    struct nr_sim *sim;
    struct nr_io *gateway_io;
    struct nr_io *client_io;
    struct nr_config *config;
    struct nr_gateway *gateway;
    struct nr_gateway_worker *worker;
    struct nr_record_sink sink;
    struct stage_instance instances[STAGE_INSTANCES];
    struct peer *peers[STAGE_PEERS];
    uint32_t peer_count;
    uint32_t upstream_taken; /* peers[] before this have been handed to the script */
    struct stage_record records[STAGE_RECORDS];
    uint32_t record_count;
    uint32_t record_taken;
    uint32_t bufs_peak; /* most buffers that the gateway's engine has lent at once */
    bool drained;
};

/* What a forwarded request gains behind the client's own fields, when its Host is "a". */
#define ADDED                                                                                      \
    "X-Forwarded-For: 10.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"              \
    "X-Request-Id: *\r\nVia: 1.1 naru\r\nX-Request-Deadline: *\r\n"
/* What a forwarded answer gains, when it has no Date. */
#define STAMPED "Date: *\r\nX-Request-Id: *\r\nVia: 1.1 naru\r\n"
/* The plainest request, as it is sent and as it is forwarded. */
#define GET_A "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
#define GOT_A "GET /a HTTP/1.1\r\nHost: a\r\n" ADDED "\r\n"

/* ---- the stage ---- */

struct stage *stage_new(const struct stage_conf *conf);
void stage_done(struct stage *s);

/* A client, connected. */
#define stage_client(s) stage_client_at(s, __FILE__, __LINE__)
/* The next connection that the gateway opens (or has opened) to any instance. */
#define stage_upstream(s) stage_upstream_at(s, __FILE__, __LINE__)
/* The next record; fails unless it has this status and reason. */
#define stage_record(s, status, reason) stage_record_at(s, status, reason, __FILE__, __LINE__)

struct peer *stage_client_at(struct stage *s, const char *file, int line);
struct peer *stage_upstream_at(struct stage *s, const char *file, int line);
const struct stage_record *stage_record_at(struct stage *s, uint16_t status, enum nr_reason reason,
                                           const char *file, int line);

/* From now on the instance refuses connections; its host answers. */
void stage_refuse(struct stage *s, uint32_t instance);
/* Its host, and whether bytes of any kind reach it. */
const char *stage_host(uint32_t instance);
void stage_silence(struct stage *s, uint32_t instance, bool silent);
void stage_silence_client(struct stage *s, bool silent);

uint64_t stage_now_ns(const struct stage *s);
/* Let that much time pass, whatever happens in it. */
void stage_wait_ms(struct stage *s, uint64_t ms);
/* How many connections lead from the gateway to the instance now. */
uint32_t stage_connections(const struct stage *s, uint32_t instance);

/* at_ns is ms after since_ns, within the tick of a timer. */
#define expect_after(at_ns, since_ns, ms)                                                          \
    assert_in_range((at_ns) - (since_ns), (uint64_t)(ms)*STAGE_MS,                                 \
                    (uint64_t)(ms)*STAGE_MS + STAGE_MS)

/* ---- peers ---- */

void peer_send(struct peer *p, const char *text);
void peer_send_bytes(struct peer *p, const void *bytes, size_t len);
/* Bytes of the pattern, behind what has been sent of it before; as fast as they are taken. */
void peer_send_pattern(struct peer *p, uint64_t bytes);
/* From here on everything that comes is `bytes` bytes of the pattern, compared as they come;
 * peer_expect_pattern(p, 0) then waits for the rest. */
void peer_takes_pattern(struct peer *p, uint64_t bytes);
/* FIN, behind everything that is still to be sent; goes on reading. */
void peer_fin(struct peer *p);
void peer_reset(struct peer *p);
void peer_close(struct peer *p);
void peer_stop_reading(struct peer *p);
void peer_read_on(struct peer *p);

/* The next bytes are these; '*' stands for any, up to the end of its line. */
#define peer_expect(p, text) peer_expect_at(p, text, __FILE__, __LINE__)
/* A head is next, whatever it says. */
#define peer_expect_head(p) peer_expect_head_at(p, __FILE__, __LINE__)
/* That many bytes of the pattern are next. */
#define peer_expect_pattern(p, bytes) peer_expect_pattern_at(p, bytes, __FILE__, __LINE__)
/* Everything that was sent has been expected, and the gateway closed in this way. */
#define peer_expect_fin(p)   peer_expect_end_at(p, PEER_FIN, __FILE__, __LINE__)
#define peer_expect_reset(p) peer_expect_end_at(p, PEER_RESET, __FILE__, __LINE__)
/* Nothing comes and nothing ends for so long. */
#define peer_expect_silence(p, ms) peer_expect_silence_at(p, ms, __FILE__, __LINE__)

void peer_expect_at(struct peer *p, const char *text, const char *file, int line);
void peer_expect_head_at(struct peer *p, const char *file, int line);
void peer_expect_pattern_at(struct peer *p, uint64_t bytes, const char *file, int line);
void peer_expect_end_at(struct peer *p, enum peer_end end, const char *file, int line);
void peer_expect_silence_at(struct peer *p, uint64_t ms, const char *file, int line);

/* ---- what the two files of the stage share ---- */

struct peer *peer_new(struct stage *s, struct nr_io *io, int instance);
void peer_start(struct peer *p, struct nr_sock *sock);
void peer_free(struct peer *p);
/* One event of the world; fails with `what` when none is left, or the world has become too old. */
void stage_step(struct stage *s, uint64_t until_ns, const char *what, const char *file, int line);
uint64_t stage_patience_ns(const struct stage *s);

#endif
