/* SPDX-License-Identifier: Apache-2.0 */
/* world.h - two engines on two hosts, for the contract suite (contract.c).
 *
 * One program per back end links contract.c with its own implementation of these functions:
 * world_epoll.c (loopback, the kernel's sockets) and world_sim.c. A story may use nothing but
 * io.h and this, so that it cannot tell where it runs. */
#ifndef TESTS_IO_WORLD_H
#define TESTS_IO_WORLD_H

#include "io/io.h"

struct world {
    struct nr_io *a;    /* the client's engine, most of the time */
    struct nr_io *b;    /* the server's */
    const char *name;   /* "epoll" or "sim" */
    bool real;          /* time passes by itself and resources are the machine's */
    bool client_first;  /* the client of a pair has said something, and b has read it */
    const char *host_b; /* the IP of b: listen there with port 0 */
    const char
        *name_b; /* a name that resolves to at least host_b; NULL when there is none to count on */
    const char *name_bad; /* a name that does not resolve, without any server being asked */
};

/* Aborts the test when the world cannot be made. */
struct world *world_new(void);

/* Aborts or fails when operations, timers, sockets or buffers are outstanding. */
void world_free(struct world *world);

/* Let something happen: one event, or one turn of each engine (waiting at most some
 * milliseconds). */
void world_step(struct world *world);

/* A listener on host b for the given engines, at a free port; its address in *ret_address. */
struct nr_listener *world_listen(struct world *world, struct nr_io *const *engines, uint32_t count,
                                 struct nr_addr *ret_address);

/* A third engine, on host b too, stepped and freed along with the others. */
struct nr_io *world_engine_on_b(struct world *world);

/* Leave host b no descriptor to accept with (true), or as many as it likes again (false). */
void world_exhaust_files(struct world *world, bool exhausted);

#endif
