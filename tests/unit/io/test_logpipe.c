/* SPDX-License-Identifier: Apache-2.0 */
/* The log pipe: lines whole and in order, a reader that stalls, a disk that is full. */
#include "io/logpipe.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { LINES = 20000, PRODUCERS = 2 };

static struct nr_logpipe *open_pipe(int fd, uint32_t producers, size_t bytes,
                                    void (*failed)(void *, enum nr_code, const char *), void *ctx)
{
    struct nr_logpipe_conf conf = {.fd = fd,
                                   .producers = producers,
                                   .bytes = bytes,
                                   .name = "log",
                                   .failed = failed,
                                   .ctx = ctx};
    struct nr_logpipe *pipe = NULL;

    assert_int_equal(nr_logpipe_new(&conf, &pipe, NULL), NR_OK);
    return pipe;
}

struct producer {
    struct nr_logpipe *pipe;
    uint32_t number;
    uint32_t put;
};

static void *produce(void *arg)
{
    struct producer *producer = arg;

    for (uint32_t i = 0; i < LINES; i++) {
        char line[64];
        int len = snprintf(line, sizeof(line), "%u %u xxxxxxxxxxxxxxxx\n", producer->number, i);

        if (nr_logpipe_put(producer->pipe, producer->number, (struct nr_span){line, (size_t)len}))
            producer->put++;
    }
    return NULL;
}

/* Two threads write to a file as fast as they can: what was not dropped is there, whole, and each
 * producer's in its order. */
static void lines_are_whole_and_in_order(void **state)
{
    FILE *file = tmpfile();
    struct nr_logpipe *pipe = open_pipe(fileno(file), PRODUCERS, 1 << 20, NULL, NULL);
    struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    uint32_t next[PRODUCERS] = {0}, seen[PRODUCERS] = {0}, who, number;
    uint64_t dropped;
    char line[128];

    (void)state;
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){.pipe = pipe, .number = i};
        pthread_create(&threads[i], NULL, produce, &producers[i]);
    }
    for (uint32_t i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    dropped = nr_logpipe_dropped(pipe);
    nr_logpipe_free(pipe, 5000);
    rewind(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        assert_int_equal(sscanf(line, "%u %u xxxxxxxxxxxxxxxx\n", &who, &number), 2);
        assert_true(who < PRODUCERS && number >= next[who]);
        next[who] = number + 1;
        seen[who]++;
    }
    assert_int_equal(seen[0], producers[0].put);
    assert_int_equal(seen[1], producers[1].put);
    assert_int_equal(seen[0] + seen[1] + dropped, PRODUCERS * LINES);
    fclose(file);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* Nobody reads the pipe: putting stays quick, lines are dropped and counted, and the end does not
 * wait for a reader that never comes. */
static void a_stalled_reader_stalls_nobody(void **state)
{
    struct producer producer = {.number = 0};
    uint64_t started_ms;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    producer.pipe = open_pipe(fds[1], 1, 4096, NULL, NULL);
    started_ms = now_ms();
    produce(&producer);
    assert_true(now_ms() - started_ms < 2000);
    assert_true(producer.put < LINES);
    assert_int_equal(nr_logpipe_dropped(producer.pipe), LINES - producer.put);
    started_ms = now_ms();
    nr_logpipe_free(producer.pipe, 100);
    assert_true(now_ms() - started_ms < 2000);
    close(fds[0]);
    close(fds[1]);
}

/* An idle pipe's thread sleeps; one line wakes it. */
static void a_single_line_arrives_soon(void **state)
{
    struct nr_logpipe *pipe;
    struct pollfd readable;
    char got[16];
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pipe = open_pipe(fds[1], 1, 4096, NULL, NULL);
    for (int i = 0; i < 20; i++) {
        usleep(i % 2 == 0 ? 10000 : 0);
        assert_true(nr_logpipe_put_shared(pipe, 0, NR_SPAN("hello\n")));
        readable = (struct pollfd){.fd = fds[0], .events = POLLIN};
        assert_int_equal(poll(&readable, 1, 5000), 1);
        assert_int_equal(read(fds[0], got, sizeof(got)), 6);
    }
    nr_logpipe_free(pipe, 1000);
    close(fds[0]);
    close(fds[1]);
}

struct failure {
    int calls;
    enum nr_code code;
};

static void note_failure(void *ctx, enum nr_code code, const char *text)
{
    struct failure *failure = ctx;

    (void)text;
    __atomic_add_fetch(&failure->calls, 1, __ATOMIC_SEQ_CST);
    failure->code = code;
}

/* /dev/full answers every write with ENOSPC: reported once, each line counted. */
static void a_full_disk_is_reported_once(void **state)
{
    struct failure failure = {0};
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct nr_logpipe *pipe = open_pipe(fd, 1, 4096, note_failure, &failure);

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_true(nr_logpipe_put(pipe, 0, NR_SPAN("one\ntwo\n")));
        usleep(10000);
    }
    for (int i = 0; i < 500 && nr_logpipe_dropped(pipe) < 10; i++)
        usleep(10000);
    assert_int_equal(nr_logpipe_dropped(pipe), 10);
    nr_logpipe_free(pipe, 1000);
    assert_int_equal(failure.calls, 1);
    assert_int_equal(failure.code, NR_ENOSPC);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_whole_and_in_order),
        cmocka_unit_test(a_stalled_reader_stalls_nobody),
        cmocka_unit_test(a_single_line_arrives_soon),
        cmocka_unit_test(a_full_disk_is_reported_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
