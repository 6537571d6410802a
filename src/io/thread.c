/* SPDX-License-Identifier: Apache-2.0 */
/* Threads, and what the machine allows this process. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "io/epoll.h"

struct nr_thread {
    pthread_t id;
    void (*run)(void *ctx);
    void *ctx;
    char name[16];
};

static void *thread_main(void *ctx)
{
    struct nr_thread *thread = ctx;

    pthread_setname_np(pthread_self(), thread->name);
    thread->run(thread->ctx);
    return NULL;
}

/* What a thread does to itself must reach it: a crash is a crash, and a profiler's tick is a tick.
 */
static void all_but_faults(sigset_t *set)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF};

    sigfillset(set);
    for (size_t i = 0; i < NR_COUNT(own); i++)
        sigdelset(set, own[i]);
}

/* Signals are blocked in the threads started here: they are the business of the engine that
 * waits for them, and a handler that a library may install must not run on a worker. */
enum nr_code nr_thread_start(const char *name, void (*run)(void *ctx), void *ctx,
                             struct nr_thread **ret_thread, struct nr_err *err)
{
    struct nr_thread *thread = calloc(1, sizeof(*thread));
    sigset_t blocked, before;
    int error;

    nr_assert(thread != NULL);
    thread->run = run;
    thread->ctx = ctx;
    snprintf(thread->name, sizeof(thread->name), "%s", name);
    all_but_faults(&blocked);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    error = pthread_create(&thread->id, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        free(thread);
        return nr_err_set(err, NR_ELIMIT,
                          "cannot start thread %s: %s; look at the limits of processes (ulimit -u) "
                          "and memory",
                          name, strerror(error));
    }
    *ret_thread = thread;
    return NR_OK;
}

void nr_thread_join(struct nr_thread *thread)
{
    if (thread == NULL)
        return;
    pthread_join(thread->id, NULL);
    free(thread);
}

uint32_t nr_io_cores(void)
{
    cpu_set_t set;
    int count;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    count = CPU_COUNT(&set);
    return count > 0 ? (uint32_t)count : 1;
}

uint64_t nr_io_raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {limit.rlim_max, limit.rlim_max};

        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur;
}
