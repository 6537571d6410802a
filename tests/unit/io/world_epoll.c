/* SPDX-License-Identifier: Apache-2.0 */
/* The real world for the contract suite: engines of epoll on loopback, stepped in one thread. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "contract.h"
#include "io/epoll_engine.h"

#ifndef WORLD_CLIENT_FIRST
#define WORLD_CLIENT_FIRST false
#endif

enum { ENGINES_MAX = 4 };

struct world_epoll {
    struct world base;
    struct nr_io *engines[ENGINES_MAX];
    int count;
    int descriptors; /* that were open before */
    struct rlimit files;
};

static struct world_epoll *of(struct world *world)
{
    return (struct world_epoll *)(void *)world;
}

static int count_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static struct nr_io *add_engine(struct world_epoll *w)
{
    struct nr_epoll_conf conf = {.work_threads = 2};

    assert_true(w->count < ENGINES_MAX);
    assert_int_equal(nr_io_new_epoll(&conf, &w->engines[w->count], NULL), NR_OK);
    return w->engines[w->count++];
}

struct world *world_new(void)
{
    struct world_epoll *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->base = (struct world){
        .name = "epoll",
        .real = true,
        .client_first = WORLD_CLIENT_FIRST,
        .host_b = "127.0.0.1",
        .name_b = "localhost",
        .name_bad = "nowhere.onion", /* RFC 7686: never asked in the DNS */
    };
    w->descriptors = count_descriptors();
    w->base.a = add_engine(w);
    w->base.b = add_engine(w);
    return &w->base;
}

void world_free(struct world *world)
{
    struct world_epoll *w = of(world);

    for (int i = 0; i < w->count; i++)
        nr_io_free(w->engines[i]);
    assert_int_equal(count_descriptors(), w->descriptors);
    free(w);
}

/* Without waiting while anything moves; when nothing does, a millisecond in each. */
void world_step(struct world *world)
{
    struct world_epoll *w = of(world);
    bool moved = false;

    for (int i = 0; i < w->count; i++) {
        uint32_t runs = atomic_load(&w->engines[i]->runs);

        nr_epoll_turn(w->engines[i], 0);
        moved |= runs != atomic_load(&w->engines[i]->runs);
    }
    for (int i = 0; i < w->count && !moved; i++)
        nr_epoll_turn(w->engines[i], NR_TIMERS_TICK_NS);
}

struct nr_listener *world_listen(struct world *world, struct nr_io *const *engines, uint32_t count,
                                 struct nr_addr *ret_address)
{
    struct nr_listen_conf conf = {.inherited_fd = -1};
    struct nr_listener *listener;

    assert_int_equal(nr_addr_parse("127.0.0.1:0", &conf.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(engines, count, &conf, &listener, NULL), NR_OK);
    *ret_address = nr_listener_address(listener);
    return listener;
}

struct nr_io *world_engine_on_b(struct world *world)
{
    return add_engine(of(world));
}

/* The limit is on descriptor numbers: put it just above the highest that is taken. */
void world_exhaust_files(struct world *world, bool exhausted)
{
    struct world_epoll *w = of(world);

    if (exhausted) {
        struct rlimit none;
        int lowest_free = dup(0);

        assert_true(lowest_free >= 0);
        close(lowest_free);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &w->files), 0);
        none = w->files;
        none.rlim_cur = (rlim_t)lowest_free;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    } else {
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &w->files), 0);
    }
}
