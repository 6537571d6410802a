/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - one instance's health check. Internal to src/service: checker.c runs the loop and asks
 * over HTTP, check_tcp.c over TCP, and both search what comes with struct nr_needle. */
#ifndef NR_SERVICE_CHECK_H
#define NR_SERVICE_CHECK_H

#include "service/state.h"

enum {
    CHECK_ARENA_BYTES = 1536, /* both heads, of a usual size */
    CHECK_BODY_BYTES_MAX = 64 * 1024,
    NR_NEEDLE_BYTES_MAX = 256,
};

/* A text that is looked for in bytes that come in pieces. */
struct nr_needle {
    struct nr_span text; /* borrowed; empty is found at once */
    bool found;
    uint32_t kept; /* the end of what came, too short to hold the text */
    char end[NR_NEEDLE_BYTES_MAX];
};

void nr_needle_init(struct nr_needle *needle, struct nr_span text);
void nr_needle_see(struct nr_needle *needle, struct nr_span piece);

struct check {
    struct nr_link link; /* checker->checks */
    struct nr_health_checker *checker;
    uint32_t instance;
    uint32_t generation; /* of the instance's slot */
    bool leaving;        /* its instance is gone: to be freed with its verdict */
    struct nr_timer timer;
    struct nr_client *client;  /* HTTP; NULL until the address is known */
    struct nr_exchange *x;     /* HTTP, while checking */
    struct nr_connect connect; /* TCP */
    struct nr_recv recv;       /* TCP, when something must come back */
    struct nr_needle needle;   /* what must be found in the bytes that come */
    uint32_t heard_bytes;
    bool gave_up; /* its time was over, or it is not wanted any more */
    uint64_t started_ns;
    bool unknown; /* we had no descriptor to check with: that says nothing of the instance */
    bool ok;
    const char *verdict; /* why not, or "passed" */
    uint16_t status;
    struct nr_arena arena; /* while checking */
    char memory[CHECK_ARENA_BYTES];
};

struct nr_health_checker {
    struct nr_service *service;
    struct nr_io *io;
    const struct nr_health_conf *conf; /* NULL: nothing to check */
    struct nr_health_rule rule;
    struct nr_link checks; /* struct check: one per instance, and those that are leaving */
    struct nr_service_watch watch;
    bool watching;
    struct nr_discovery *discovery; /* NULL: stopped */
    struct nr_timer tick;           /* of ejection */
    bool listening;                 /* to the service's notices */
    uint32_t running;               /* checks in state CHECKING */
    void (*stopped)(void *ctx);     /* not NULL: stopping */
    void *stopped_ctx;
    struct nr_op stop_op;
};

/* The check has its verdict. */
void nr_check_conclude(struct check *check);

/* Start over TCP; ends in nr_check_conclude. nr_check_tcp_busy: it has not yet. */
void nr_check_tcp_init(struct check *check);
void nr_check_tcp_start(struct check *check, const struct nr_addr *addr);
bool nr_check_tcp_busy(const struct check *check);
void nr_check_tcp_give_up(struct check *check);

#endif
