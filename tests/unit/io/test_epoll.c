/* SPDX-License-Identifier: Apache-2.0 */
/* What only the real world has: Unix sockets, signals, files, error texts, socket options. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "io/epoll_engine.h"

static const uint64_t ms_ns = 1000 * 1000;

struct fixture {
    struct nr_io *io;
    char directory[64];
    char path[96];     /* in it, made by nobody yet */
    char address[128]; /* unix:path */
};

struct note {
    int calls;
    int32_t result;
};

struct waiter {
    union {
        struct nr_op op;
        struct nr_connect connect;
        struct nr_accept accept;
        struct nr_signal signal;
        struct nr_recv recv;
    };
    struct note note;
};

static void on_done(struct nr_op *op)
{
    struct waiter *w = nr_container_of(op, struct waiter, op);

    w->note.calls++;
    w->note.result = op->result;
}

static struct waiter waiter_make(void)
{
    static const struct nr_op_kind kind = {on_done, "test.waiter"};
    struct waiter w;

    memset(&w, 0, sizeof(w));
    nr_op_init(&w.op, &kind);
    return w;
}

static void until(struct nr_io *io, const struct waiter *w)
{
    for (int i = 0; i < 1000 && w->note.calls == 0; i++)
        nr_epoll_turn(io, 5 * ms_ns);
    assert_int_equal(w->note.calls, 1);
}

static int setup(void **state)
{
    struct nr_epoll_conf conf = {.work_threads = 1};
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    snprintf(f->directory, sizeof(f->directory), "/tmp/naru-test-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof(f->path), "%s/sock", f->directory);
    snprintf(f->address, sizeof(f->address), "unix:%s", f->path);
    assert_int_equal(nr_io_new_epoll(&conf, &f->io, NULL), NR_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    nr_io_free(f->io);
    unlink(f->path);
    rmdir(f->directory);
    free(f);
    return 0;
}

static enum nr_code listen_on(struct nr_io *io, const char *address, uint32_t unix_mode,
                              struct nr_listener **ret_listener, struct nr_err *err)
{
    struct nr_listen_conf conf = {.inherited_fd = -1, .unix_mode = unix_mode};

    assert_int_equal(nr_addr_parse(address, &conf.address, NULL), NR_OK);
    return nr_listener_open(&io, 1, &conf, ret_listener, err);
}

/* ---- Unix sockets ---- */

static void connect_through(struct nr_io *io, struct nr_listener *listener)
{
    struct waiter accepted = waiter_make(), connected = waiter_make();

    connected.connect.to = nr_listener_address(listener);
    nr_listener_accept(listener, io, &accepted.accept);
    nr_sock_connect(io, &connected.connect);
    until(io, &connected);
    until(io, &accepted);
    assert_int_equal(connected.note.result, NR_OK);
    assert_int_equal(accepted.note.result, NR_OK);
    assert_int_equal(accepted.accept.peer.family, NR_ADDR_UNIX);
    nr_sock_close(connected.connect.sock, NR_CLOSE_GRACEFUL);
    nr_sock_close(accepted.accept.sock, NR_CLOSE_GRACEFUL);
}

static void a_unix_socket_has_its_mode_and_goes_with_its_listener(void **state)
{
    struct fixture *f = *state;
    struct nr_listener *listener;
    struct stat st;
    mode_t umask_before = umask(0077);

    assert_int_equal(listen_on(f->io, f->address, 0666, &listener, NULL), NR_OK);
    umask(umask_before);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    connect_through(f->io, listener);
    nr_listener_close(listener);
    assert_int_not_equal(stat(f->path, &st), 0);
    assert_int_equal(listen_on(f->io, f->address, 0, &listener, NULL), NR_OK);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    nr_listener_close(listener);
}

static void a_stale_socket_file_is_replaced_a_live_one_is_not(void **state)
{
    struct fixture *f = *state;
    struct nr_listener *listener, *second;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct nr_err err;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", f->path);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    close(fd); /* as if its process had died */
    assert_int_equal(listen_on(f->io, f->address, 0, &listener, NULL), NR_OK);
    connect_through(f->io, listener);
    assert_int_equal(listen_on(f->io, f->address, 0, &second, &err), NR_EADDRINUSE);
    assert_non_null(strstr(err.text, "ss -lxp"));
    nr_listener_close(listener);
}

static void a_file_in_the_way_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct nr_listener *listener;
    struct nr_err err;
    int fd = open(f->path, O_CREAT | O_WRONLY, 0600);

    close(fd);
    assert_int_equal(listen_on(f->io, f->address, 0, &listener, &err), NR_EEXIST);
    assert_int_equal(access(f->path, F_OK), 0);
    assert_int_equal(listen_on(f->io, "unix:/nowhere/at/all", 0, &listener, &err), NR_ENOENT);
}

static void an_abstract_name_needs_no_file(void **state)
{
    struct fixture *f = *state;
    struct nr_listener *listener;
    char address[64];

    snprintf(address, sizeof(address), "unix:@naru-test-%d", (int)getpid());
    assert_int_equal(listen_on(f->io, address, 0, &listener, NULL), NR_OK);
    connect_through(f->io, listener);
    nr_listener_close(listener);
}

static void nobody_behind_a_unix_socket_is_refused(void **state)
{
    struct fixture *f = *state;
    struct waiter connected = waiter_make();

    assert_int_equal(nr_addr_parse(f->address, &connected.connect.to, NULL), NR_OK);
    nr_sock_connect(f->io, &connected.connect);
    until(f->io, &connected);
    assert_int_equal(connected.note.result, NR_EREFUSED);
}

/* ---- listening ---- */

static void errors_say_what_to_do(void **state)
{
    struct fixture *f = *state;
    struct nr_listener *first, *second;
    char address[NR_ADDR_TEXT_BYTES], expected[256];
    struct nr_addr bound;
    struct nr_err err;

    assert_int_equal(listen_on(f->io, "127.0.0.1:0", 0, &first, NULL), NR_OK);
    bound = nr_listener_address(first);
    nr_addr_format(&bound, address, sizeof(address));
    snprintf(expected, sizeof(expected),
             "cannot listen on %s: address in use; another process listens there: ss -ltnp "
             "'sport = :%u' shows it",
             address, (unsigned)bound.port);
    assert_int_equal(listen_on(f->io, address, 0, &second, &err), NR_EADDRINUSE);
    assert_string_equal(err.text, expected);
    nr_listener_close(first);
    /* TEST-NET-1, RFC 5737: an address that is nobody's. */
    assert_int_equal(listen_on(f->io, "192.0.2.1:0", 0, &first, &err), NR_EINVAL);
    assert_non_null(strstr(err.text, "no such address"));
}

static void every_address_takes_v4_and_shows_it_as_v4(void **state)
{
    struct fixture *f = *state;
    struct nr_listener *listener;
    struct waiter accepted = waiter_make(), connected = waiter_make();
    char text[NR_ADDR_TEXT_BYTES];

    assert_int_equal(listen_on(f->io, "*:0", 0, &listener, NULL), NR_OK);
    assert_int_equal(nr_addr_parse("127.0.0.1:0", &connected.connect.to, NULL), NR_OK);
    connected.connect.to.port = nr_listener_address(listener).port;
    nr_listener_accept(listener, f->io, &accepted.accept);
    nr_sock_connect(f->io, &connected.connect);
    until(f->io, &accepted);
    until(f->io, &connected);
    nr_addr_format_ip(&accepted.accept.peer, text, sizeof(text));
    assert_string_equal(text, "127.0.0.1");
    nr_sock_close(accepted.accept.sock, NR_CLOSE_GRACEFUL);
    nr_sock_close(connected.connect.sock, NR_CLOSE_GRACEFUL);
    nr_listener_close(listener);
}

/* Every connected TCP socket of this process; accepted ones inherit it from the listener. */
static int count_without_nodelay(void)
{
    int count = 0;

    for (int fd = 3; fd < 256; fd++) {
        struct tcp_info info;
        socklen_t len = sizeof(info), int_len = sizeof(int);
        int nodelay = 0;

        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
            continue;
        getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &int_len);
        count += nodelay == 0;
    }
    return count;
}

static void nagle_is_off_on_both_sides(void **state)
{
    struct fixture *f = *state;
    struct nr_listener *listener;
    struct waiter accepted = waiter_make(), connected = waiter_make();

    assert_int_equal(listen_on(f->io, "127.0.0.1:0", 0, &listener, NULL), NR_OK);
    connected.connect.to = nr_listener_address(listener);
    nr_listener_accept(listener, f->io, &accepted.accept);
    nr_sock_connect(f->io, &connected.connect);
    until(f->io, &accepted);
    until(f->io, &connected);
    assert_int_equal(count_without_nodelay(), 0);
    nr_sock_close(accepted.accept.sock, NR_CLOSE_GRACEFUL);
    nr_sock_close(connected.connect.sock, NR_CLOSE_GRACEFUL);
    nr_listener_close(listener);
}

static void an_inherited_descriptor_is_listened_on(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct nr_listen_conf conf = {.inherited_fd = socket(AF_INET, SOCK_STREAM, 0)};
    struct waiter accepted = waiter_make(), connected = waiter_make();
    struct nr_listener *listener;
    struct nr_err err;

    assert_int_equal(bind(conf.inherited_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(nr_listener_open(&f->io, 1, &conf, &listener, &err), NR_EINVAL);
    assert_int_equal(listen(conf.inherited_fd, 5), 0);
    assert_int_equal(nr_listener_open(&f->io, 1, &conf, &listener, &err), NR_OK);
    connected.connect.to = nr_listener_address(listener);
    nr_listener_accept(listener, f->io, &accepted.accept);
    nr_sock_connect(f->io, &connected.connect);
    until(f->io, &accepted);
    until(f->io, &connected);
    assert_int_equal(connected.note.result, NR_OK);
    nr_sock_close(accepted.accept.sock, NR_CLOSE_GRACEFUL);
    nr_sock_close(connected.connect.sock, NR_CLOSE_GRACEFUL);
    nr_listener_close(listener);
}

/* While descriptors are out and a connection waits, the engine sleeps. */
static void out_of_files_does_not_spin(void **state)
{
    struct fixture *f = *state;
    struct nr_listener *listener;
    struct waiter accepted = waiter_make(), again = waiter_make(), connected = waiter_make();
    struct rlimit limit, none;
    uint64_t start_ns;
    int lowest_free, turns = 0;

    assert_int_equal(listen_on(f->io, "127.0.0.1:0", 0, &listener, NULL), NR_OK);
    connected.connect.to = nr_listener_address(listener);
    nr_sock_connect(f->io, &connected.connect);
    until(f->io, &connected);
    lowest_free = dup(0);
    close(lowest_free);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = (rlim_t)lowest_free;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    nr_listener_accept(listener, f->io, &accepted.accept);
    until(f->io, &accepted);
    nr_listener_accept(listener, f->io, &again.accept);
    start_ns = nr_io_clock_ns(f->io);
    while (nr_io_clock_ns(f->io) < start_ns + 60 * ms_ns) {
        nr_epoll_turn(f->io, 20 * ms_ns);
        turns++;
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(accepted.note.result, NR_EFILES);
    assert_in_range(turns, 1, 12);
    until(f->io, &again);
    assert_int_equal(again.note.result, NR_OK);
    nr_sock_close(again.accept.sock, NR_CLOSE_GRACEFUL);
    nr_sock_close(connected.connect.sock, NR_CLOSE_GRACEFUL);
    nr_listener_close(listener);
}

struct asked {
    struct nr_shortage shortage;
    int times;
};

static void on_asked(struct nr_shortage *shortage)
{
    nr_container_of(shortage, struct asked, shortage)->times++;
}

/* At sockets_max a connection waits in the backlog, whoever holds descriptors for nothing is asked
 * to close some, and the first socket that closes lets it in. */
static void short_of_files_accepting_waits(void **state)
{
    struct fixture *f = *state;
    struct nr_epoll_conf conf = {.work_threads = 1, .sockets_max = 1};
    struct waiter first = waiter_make(), second = waiter_make();
    struct waiter one = waiter_make(), two = waiter_make();
    struct asked asked = {.shortage.asked = on_asked};
    struct nr_listener *listener;
    uint64_t start_ns, pauses;
    struct nr_io *io;
    int turns = 0;

    assert_int_equal(nr_io_new_epoll(&conf, &io, NULL), NR_OK);
    assert_int_equal(listen_on(io, "127.0.0.1:0", 0, &listener, NULL), NR_OK);
    nr_shortage_watch(io, &asked.shortage);
    one.connect.to = two.connect.to = nr_listener_address(listener);
    nr_sock_connect(f->io, &one.connect);
    until(f->io, &one);
    nr_sock_connect(f->io, &two.connect);
    until(f->io, &two); /* the backlog has it */
    nr_listener_accept(listener, io, &first.accept);
    until(io, &first);
    nr_listener_accept(listener, io, &second.accept);
    start_ns = nr_io_clock_ns(io);
    while (nr_io_clock_ns(io) < start_ns + 250 * ms_ns) {
        nr_epoll_turn(io, 50 * ms_ns);
        turns++;
    }
    pauses = nr_io_accept_pauses(io);
    assert_in_range(pauses, 1, 4);
    assert_int_equal(nr_io_accept_paused(io), 1);
    assert_in_range(asked.times, 1, 4);
    assert_in_range(turns, 1, 30);
    assert_int_equal(second.note.calls, 0);
    nr_sock_close(first.accept.sock, NR_CLOSE_GRACEFUL);
    assert_int_equal(nr_io_accept_paused(io), 0);
    until(io, &second);
    assert_int_equal(second.note.result, NR_OK);
    nr_sock_close(second.accept.sock, NR_CLOSE_GRACEFUL);
    nr_sock_close(one.connect.sock, NR_CLOSE_GRACEFUL);
    nr_sock_close(two.connect.sock, NR_CLOSE_GRACEFUL);
    nr_shortage_unwatch(&asked.shortage);
    nr_listener_close(listener);
    nr_io_free(io);
}

/* ---- signals, files ---- */

/* ---- clients that speak first ---- */

enum { CROWD = NR_EPOLL_YOUNG_MAX + 20 };

/* Blocking sockets of the test's own: what a client does must not depend on the engine. */
static int client_of(struct nr_listener *listener, const char *says)
{
    struct nr_addr address = nr_listener_address(listener);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(address.port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(write(fd, says, strlen(says)), strlen(says));
    return fd;
}

static struct nr_sock *accept_one(struct nr_io *io, struct nr_listener *listener)
{
    struct waiter accepted = waiter_make();

    nr_listener_accept(listener, io, &accepted.accept);
    until(io, &accepted);
    assert_int_equal(accepted.note.result, NR_OK);
    return accepted.accept.sock;
}

static void read_one(struct nr_io *io, struct nr_sock *sock, int32_t want)
{
    struct waiter received = waiter_make();

    nr_sock_recv(sock, &received.recv);
    until(io, &received);
    assert_int_equal(received.note.result, want);
    nr_buf_put(nr_io_bufs(io), received.recv.buf);
}

static void clients_that_speak_first_are_accepted_when_they_have(void **state)
{
    struct fixture *f = *state;
    struct nr_listener *listener;
    struct waiter accepted = waiter_make();
    uint64_t start_ns;
    int silent, speaker;

    assert_int_equal(listen_on(f->io, "127.0.0.1:0", 0, &listener, NULL), NR_OK);
    nr_listener_client_first(listener, true);
    silent = client_of(listener, "");
    start_ns = nr_epoll_clock_ns(f->io);
    speaker = client_of(listener, "hello");
    nr_listener_accept(listener, f->io, &accepted.accept);
    until(f->io, &accepted); /* the speaker, though it came later */
    read_one(f->io, accepted.accept.sock, 5);
    nr_sock_close(accepted.accept.sock, NR_CLOSE_GRACEFUL);
    nr_sock_close(accept_one(f->io, listener), NR_CLOSE_GRACEFUL); /* silent, but here */
    assert_true(nr_epoll_clock_ns(f->io) - start_ns > 500 * ms_ns);
    nr_listener_close(listener);
    close(silent);
    close(speaker);
}

/* Each is told that its client has gone, whether it was registered at once, because so many came,
 * or after a while, because nobody read from it. */
static void a_crowd_of_the_young_hears_who_leaves(void **state)
{
    struct fixture *f = *state;
    static struct waiter watches[CROWD];
    static struct nr_sock *socks[CROWD];
    static int clients[CROWD];
    struct nr_listener *listener;

    assert_int_equal(listen_on(f->io, "127.0.0.1:0", 0, &listener, NULL), NR_OK);
    nr_listener_client_first(listener, true);
    for (int i = 0; i < CROWD; i++) {
        clients[i] = client_of(listener, "x");
        socks[i] = accept_one(f->io, listener);
        watches[i] = waiter_make();
        nr_sock_watch_close(socks[i], &watches[i].op);
    }
    for (int i = 0; i < CROWD; i++)
        close(clients[i]);
    for (int i = 0; i < CROWD; i++) {
        until(f->io, &watches[i]);
        assert_int_equal(watches[i].note.result, NR_ECLOSED);
        read_one(f->io, socks[i], 1); /* what stood before the FIN */
        read_one(f->io, socks[i], 0);
        nr_sock_close(socks[i], NR_CLOSE_GRACEFUL);
    }
    nr_listener_close(listener);
}

static void the_young_close_and_talk_like_others(void **state)
{
    struct fixture *f = *state;
    struct iovec part = {(void *)(uintptr_t) "ok", 2};
    struct nr_listener *listener;
    struct nr_sock *sock;
    char answer[2];
    int client;

    assert_int_equal(listen_on(f->io, "127.0.0.1:0", 0, &listener, NULL), NR_OK);
    nr_listener_client_first(listener, true);
    for (int i = 0; i < 3 * CROWD; i++) { /* round the ring: places are given back */
        client = client_of(listener, "ping");
        sock = accept_one(f->io, listener);
        read_one(f->io, sock, 4);
        assert_int_equal(nr_sock_write(sock, &part, 1), 2);
        if (i % 2 == 0) { /* this one asks again, and so is registered */
            assert_int_equal(write(client, "again", 5), 5);
            read_one(f->io, sock, 5);
        }
        nr_sock_close(sock, NR_CLOSE_GRACEFUL);
        assert_int_equal(read(client, answer, 2), 2);
        close(client);
    }
    nr_listener_close(listener);
}

static void signals_complete_whoever_waits(void **state)
{
    struct fixture *f = *state;
    struct waiter first = waiter_make(), other = waiter_make(), second = waiter_make();

    first.signal.signo = SIGUSR1;
    other.signal.signo = SIGHUP;
    nr_io_signal(f->io, &first.signal);
    nr_io_signal(f->io, &other.signal);
    kill(getpid(), SIGUSR1);
    until(f->io, &first);
    assert_int_equal(first.note.result, NR_OK);
    assert_int_equal(other.note.calls, 0);
    kill(getpid(), SIGUSR1); /* nobody waits: it stays pending until somebody does */
    nr_epoll_turn(f->io, ms_ns);
    second.signal.signo = SIGUSR1;
    nr_io_signal(f->io, &second.signal);
    until(f->io, &second);
    nr_op_cancel(f->io, &other.op);
    until(f->io, &other);
    assert_int_equal(other.note.result, NR_ECANCELED);
}

static void files_are_read_whole_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    struct nr_err err;
    char *bytes = NULL;
    size_t len = 0;
    FILE *file = fopen(f->path, "w");

    for (int i = 0; i < 10000; i++)
        fputc('a' + i % 26, file);
    fclose(file);
    assert_int_equal(nr_io_read_file(f->io, f->path, 10000, &bytes, &len, &err), NR_OK);
    assert_int_equal(len, 10000);
    assert_int_equal(bytes[9999], 'a' + 9999 % 26);
    assert_int_equal(bytes[10000], '\0');
    free(bytes);
    bytes = NULL;
    assert_int_equal(nr_io_read_file(f->io, f->path, 9999, &bytes, &len, &err), NR_ELIMIT);
    assert_null(bytes);
    assert_int_equal(nr_io_read_file(f->io, "/proc/self/stat", 1 << 20, &bytes, &len, &err), NR_OK);
    assert_true(len > 0); /* stat(2) says 0 for it */
    free(bytes);
    assert_int_equal(nr_io_read_file(f->io, "/nowhere", 10, &bytes, &len, &err), NR_ENOENT);
    assert_int_equal(nr_io_read_file(f->io, f->directory, 10, &bytes, &len, &err), NR_EIO);
}

static void randomness_differs_from_engine_to_engine(void **state)
{
    struct fixture *f = *state;
    struct nr_epoll_conf conf = {.work_threads = 1};
    struct nr_io *other;
    uint8_t a[300] = {0}, b[300] = {0};

    assert_int_equal(nr_io_new_epoll(&conf, &other, NULL), NR_OK);
    assert_true(nr_random_u64(nr_io_random(f->io)) != nr_random_u64(nr_io_random(other)));
    nr_io_entropy(f->io, a, sizeof(a));
    nr_io_entropy(other, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_memory_not_equal(a + 260, (uint8_t[40]){0}, 40); /* to the end */
    nr_io_free(other);
}

static void the_machine_has_limits(void **state)
{
    struct rlimit limit;

    assert_true(nr_io_cores() >= 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(nr_io_raise_file_limit() == limit.rlim_max);
}

#define STORY(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_unix_socket_has_its_mode_and_goes_with_its_listener),
        STORY(a_stale_socket_file_is_replaced_a_live_one_is_not),
        STORY(a_file_in_the_way_is_left_alone),
        STORY(an_abstract_name_needs_no_file),
        STORY(nobody_behind_a_unix_socket_is_refused),
        STORY(errors_say_what_to_do),
        STORY(every_address_takes_v4_and_shows_it_as_v4),
        STORY(nagle_is_off_on_both_sides),
        STORY(an_inherited_descriptor_is_listened_on),
        STORY(out_of_files_does_not_spin),
        STORY(clients_that_speak_first_are_accepted_when_they_have),
        STORY(a_crowd_of_the_young_hears_who_leaves),
        STORY(the_young_close_and_talk_like_others),
        STORY(short_of_files_accepting_waits),
        STORY(signals_complete_whoever_waits),
        STORY(files_are_read_whole_or_not_at_all),
        STORY(randomness_differs_from_engine_to_engine),
        STORY(the_machine_has_limits),
    };

    nr_io_block_signals();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
