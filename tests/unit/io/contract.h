/* SPDX-License-Identifier: Apache-2.0 */
/* contract.h - what the stories of the contract share. See world.h. */
#ifndef TESTS_IO_CONTRACT_H
#define TESTS_IO_CONTRACT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "world.h"

/* An operation and what became of it. */
struct waiter {
    union {
        struct nr_op op;
        struct nr_timer timer;
        struct nr_connect connect;
        struct nr_recv recv;
        struct nr_accept accept;
        struct nr_resolve resolve;
        struct nr_work work;
        struct nr_signal signal;
    };
    int calls;
    int32_t result;
    int place;                      /* 1: the first of those that share `counter` */
    int *counter;                   /* NULL: places do not matter */
    void (*then)(struct waiter *w); /* NULL: nothing further happens in the callback */
    void *ctx;
};

struct pair {
    struct nr_sock *a, *b;
};

/* A fresh waiter of no particular operation. */
struct waiter waiter_make(void);

/* Step until it has called back; fails the test when that does not come. */
void until(struct world *world, const struct waiter *w);

/* Step until *flag; fails the test when that does not come. */
void until_true(struct world *world, const bool *flag);

/* Step a while, so that what must not happen has had its chance. */
void settle(struct world *world);

/* A connection from a to b; its listener is closed again. */
struct pair pair_make(struct world *world);
void pair_close(struct pair *pair);

/* Write all of it, which must go at once. */
void say(struct nr_sock *sock, const char *text);

/* Receive until `text` is complete. */
void hear(struct world *world, struct nr_sock *sock, const char *text);

/* One recv of its own; the buffer, if any, is put back. Returns its result. */
int32_t recv_once(struct world *world, struct nr_sock *sock);

int world_setup(void **state);
int world_teardown(void **state);

/* The stories, by file. */
void ops_submit_never_calls_back(void **state);
void ops_cancel_calls_back_once_later(void **state);
void ops_cancel_of_ready_keeps_its_result(void **state);
void ops_cancel_of_idle_is_nothing(void **state);
void ops_drain_in_order(void **state);
void ops_post_keeps_order(void **state);
void ops_timers_fire_in_order(void **state);
void ops_timer_moves(void **state);
void ops_timer_disarmed_in_its_turn(void **state);
void ops_many_timers(void **state);
void ops_resolve(void **state);
void ops_work(void **state);

void sock_recv_lends_only_with_data(void **state);
void sock_recv_appends(void **state);
void sock_recv_large(void **state);
void sock_fin_and_reset(void **state);
void sock_half_close(void **state);
void sock_close_cancels(void **state);
void sock_write_until_full(void **state);
void sock_watch_behind_unread_data(void **state);
void sock_watch_sees_reset(void **state);
void sock_connect_refused(void **state);
void sock_connect_cancelled(void **state);
void sock_addresses(void **state);
void sock_busy_one_starves_nobody(void **state);

void listen_waits_in_the_backlog(void **state);
void listen_shares_evenly(void **state);
void listen_close_cancels(void **state);
void listen_cancelled_accept(void **state);
void listen_out_of_files(void **state);
void listen_address_in_use(void **state);

#endif
