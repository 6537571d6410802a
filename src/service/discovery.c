/* SPDX-License-Identifier: Apache-2.0 */
/* discovery.c - instances that are found: by DNS, or in a file.
 *
 *      WAITING --time--> ASKING --answer--> (names of the file) --> WAITING
 *         ^                 '----failure: the last answer is kept------^
 *
 * DNS. Each address is an instance. An answer holds for the least TTL of its records, one second at
 * least. Of A and AAAA only the family that the resolver puts first counts (RFC 6724), or
 * a host with both would be two instances.
 *
 * File. It is read once a second, on a pool thread, and compared with what was read before: no
 * clock of a file system can be wrong about that, and for a file of this size it is as cheap as
 * asking for its time. New content must be the same twice, a moment apart: whoever writes in place
 * may be caught in the middle. Names in it are looked up when they come.
 *
 * Failures and recoveries are said once each, not each second. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "service/state.h"

enum { FILE_BYTES_MAX = 1024 * 1024 };

static const uint64_t second_ns = 1000000000u;
static const uint64_t again_ns = 5000000000u;  /* after a failure of DNS */
static const uint64_t certain_ns = 100000000u; /* between two looks at new content */
static const uint64_t ttl_s_max = 24 * 3600;

struct nr_discovery {
    struct nr_service *service;
    struct nr_io *io;
    const struct nr_instances_conf *conf;
    struct nr_timer timer;
    struct nr_resolve resolve;
    struct nr_work work;
    bool asking;
    bool failing; /* the last round failed, and that was said */
    bool anew;    /* what fails now is not what failed before */

    /* The pool thread's while `work` runs. */
    char *bytes; /* read in this round */
    size_t len;
    struct nr_err err;

    char *before; /* read in the round before; NULL: nothing yet */
    size_t before_len;
    bool settled;      /* what was read before has been used, … */
    struct nr_err bad; /* … and this was wrong with it; NR_OK: nothing */

    /* One round only, for nr_service_resolve. */
    void (*once)(void *ctx, const struct nr_err *err);
    void *once_ctx;

    void (*stopped)(void *ctx);
    void *stopped_ctx;
    struct nr_op stop_op;
};

/* ---- telling ---- */

void nr_service_on_news(struct nr_service *service, nr_service_news_fn fn, void *ctx)
{
    service->news = fn;
    service->news_ctx = ctx;
}

void nr_service_tell(struct nr_service *service, bool bad, const char *format, ...)
{
    char text[NR_ERR_TEXT_BYTES];
    va_list args;

    if (service->news == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    service->news(service->news_ctx, service, bad, text);
}

static const char *source_of(const struct nr_discovery *d)
{
    return d->conf->file.len > 0 ? d->conf->file.ptr : d->conf->dns.host.ptr;
}

/* ---- the round ---- */

static void discovery_free(struct nr_discovery *d)
{
    nr_timer_disarm(d->io, &d->timer);
    free(d->bytes);
    free(d->before);
    free(d);
}

static void on_stopped(struct nr_op *op)
{
    struct nr_discovery *d = nr_container_of(op, struct nr_discovery, stop_op);
    void (*stopped)(void *ctx) = d->stopped;
    void *ctx = d->stopped_ctx;

    discovery_free(d);
    stopped(ctx);
}

static const struct nr_op_kind stop_kind = {on_stopped, "discovery.stop"};

/* The round is over; err NULL: it went well. The next one after_ns from now. */
static void round_over(struct nr_discovery *d, const struct nr_err *err, uint64_t after_ns)
{
    d->asking = false;
    if (d->once != NULL) {
        d->once(d->once_ctx, err);
        discovery_free(d);
        return;
    }
    if (d->stopped != NULL) {
        nr_io_defer(d->io, &d->stop_op);
        return;
    }
    if (err != NULL && (!d->failing || d->anew))
        nr_service_tell(d->service, true, "%s; the instances stay as they are", err->text);
    else if (err == NULL && d->failing)
        nr_service_tell(d->service, false, "'%s' can be used again", source_of(d));
    d->failing = err != NULL;
    d->anew = false;
    nr_timer_arm(d->io, &d->timer, nr_io_now_ns(d->io) + after_ns);
}

/* ---- DNS ---- */

static bool listed(const struct nr_instance_spec *specs, uint32_t count, const struct nr_addr *addr)
{
    for (uint32_t i = 0; i < count; i++)
        if (nr_addr_eq(&specs[i].addr, addr))
            return true;
    return false;
}

static enum nr_code use_addresses(struct nr_discovery *d, struct nr_err *err)
{
    struct nr_instance_spec specs[NR_RESOLVE_ADDRS_MAX];
    char texts[NR_RESOLVE_ADDRS_MAX][64];
    uint32_t count = 0;

    for (uint32_t i = 0; i < d->resolve.count; i++) {
        const struct nr_addr *addr = &d->resolve.addrs[i];

        if (addr->family != d->resolve.addrs[0].family || listed(specs, count, addr))
            continue;
        nr_addr_format(addr, texts[count], sizeof(texts[0]));
        specs[count] = (struct nr_instance_spec){.text = texts[count], .addr = *addr, .weight = 1};
        count++;
    }
    return nr_service_set_instances(d->service, specs, count, err);
}

static uint64_t refresh_ns(const struct nr_discovery *d)
{
    uint64_t ttl_s = d->resolve.ttl_s;

    if (d->conf->refresh_ns != 0)
        return d->conf->refresh_ns;
    if (ttl_s > ttl_s_max)
        ttl_s = ttl_s_max;
    return (ttl_s > 0 ? ttl_s : 1) * second_ns;
}

static void on_resolved(struct nr_op *op)
{
    struct nr_discovery *d = nr_container_of(op, struct nr_discovery, resolve.op);
    struct nr_err err = {0};

    if (op->result == NR_OK && d->stopped == NULL)
        op->result = use_addresses(d, &err);
    else if (op->result != NR_OK)
        nr_err_set(&err, (enum nr_code)op->result,
                   op->result == NR_ENAME ? "'%s' does not resolve"
                                          : "'%s': no name server answered",
                   source_of(d));
    if (op->result == NR_OK)
        round_over(d, NULL, refresh_ns(d));
    else
        round_over(d, d->once != NULL ? NULL : &err, again_ns);
}

static const struct nr_op_kind resolve_kind = {on_resolved, "discovery.resolve"};

/* ---- file ---- */

static void run_read(struct nr_work *work)
{
    struct nr_discovery *d = nr_container_of(work, struct nr_discovery, work);

    d->err = (struct nr_err){0};
    d->bytes = NULL;
    if (nr_io_read_file(d->io, d->conf->file.ptr, FILE_BYTES_MAX, &d->bytes, &d->len, &d->err) !=
        NR_OK)
        d->bytes = NULL;
}

/* What was wrong, if anything, after the file has been used or looked at. New content is judged
 * anew, so what is wrong with it is said even if the one before was wrong too. */
static void judged(struct nr_discovery *d, uint64_t after_ns)
{
    round_over(d, d->bad.code == NR_OK ? NULL : &d->bad, after_ns);
}

/* Names that are not known today may be so tomorrow: they are looked up again. */
static void names_known(void *ctx, const struct nr_err *err)
{
    struct nr_discovery *d = ctx;

    if (err != NULL)
        d->bad = *err;
    d->settled = err == NULL;
    judged(d, err == NULL ? second_ns : again_ns);
}

/* Parsing takes some hundred microseconds, and only when the file has changed. */
static enum nr_code use_file(struct nr_discovery *d)
{
    struct nr_span bytes = {d->before, d->before_len};
    struct nr_found found;

    d->bad = (struct nr_err){0};
    if (nr_found_parse(d->conf->file.ptr, bytes, &found, &d->bad) != NR_OK)
        return d->bad.code;
    if (nr_service_set_instances(d->service, found.specs, found.count, &d->bad) != NR_OK)
        nr_err_wrap(&d->bad, "%s", source_of(d));
    nr_found_done(&found);
    return d->bad.code;
}

/* Keeps what was read. True: it is what was read the last time. */
static bool same_as_before(struct nr_discovery *d)
{
    bool same =
        d->before != NULL && d->before_len == d->len && memcmp(d->before, d->bytes, d->len) == 0;

    free(d->before);
    d->before = d->bytes;
    d->before_len = d->len;
    d->bytes = NULL;
    return same;
}

static void on_read(struct nr_op *op)
{
    struct nr_discovery *d = nr_container_of(op, struct nr_discovery, work.op);

    if (op->result != NR_OK)
        nr_err_set(&d->err, (enum nr_code)op->result, "cannot read %s: too much is being read",
                   source_of(d));
    if (op->result != NR_OK || d->bytes == NULL || d->stopped != NULL) {
        round_over(d, &d->err, second_ns);
        return;
    }
    if (!same_as_before(d)) {
        d->settled = false;
        d->anew = true;
        if (d->once == NULL) {
            d->asking = false;
            nr_timer_arm(d->io, &d->timer, nr_io_now_ns(d->io) + certain_ns);
            return;
        }
    }
    if (d->settled) {
        judged(d, second_ns);
        return;
    }
    d->settled = true;
    if (use_file(d) != NR_OK)
        judged(d, second_ns);
    else
        nr_service_resolve_names(d->service, d->io, names_known, d);
}

static const struct nr_op_kind read_kind = {on_read, "discovery.read"};

/* ---- its life ---- */

static void ask(struct nr_discovery *d)
{
    d->asking = true;
    if (d->conf->file.len > 0) {
        d->work.run = run_read;
        nr_io_work(d->io, &d->work);
        return;
    }
    d->resolve.name = d->conf->dns.host.ptr;
    d->resolve.port = d->conf->dns.port;
    d->resolve.count = 0;
    nr_io_resolve(d->io, &d->resolve);
}

static void on_timer(struct nr_op *op)
{
    ask(nr_container_of(op, struct nr_discovery, timer.op));
}

static const struct nr_op_kind timer_kind = {on_timer, "discovery.timer"};

static struct nr_discovery *discovery_new(struct nr_service *service, struct nr_io *io)
{
    struct nr_discovery *d = calloc(1, sizeof(*d));

    nr_assert(d != NULL);
    d->service = service;
    d->io = io;
    d->conf = &service->conf->found;
    nr_timer_init(&d->timer, &timer_kind);
    nr_op_init(&d->resolve.op, &resolve_kind);
    nr_op_init(&d->work.op, &read_kind);
    nr_op_init(&d->stop_op, &stop_kind);
    return d;
}

struct nr_discovery *nr_discovery_start(struct nr_service *service, struct nr_io *io)
{
    struct nr_discovery *d = discovery_new(service, io);

    if (nr_instances_are_found(d->conf))
        ask(d);
    return d;
}

void nr_discovery_stop(struct nr_discovery *d, void (*stopped)(void *ctx), void *ctx)
{
    nr_assert(d->stopped == NULL && stopped != NULL);
    d->stopped = stopped;
    d->stopped_ctx = ctx;
    nr_timer_disarm(d->io, &d->timer);
    if (!d->asking) {
        nr_io_defer(d->io, &d->stop_op);
        return;
    }
    nr_op_cancel(d->io, &d->resolve.op); /* whichever is idle is left alone */
    nr_op_cancel(d->io, &d->work.op);
}

void nr_service_resolve(struct nr_service *service, struct nr_io *io,
                        void (*done)(void *ctx, const struct nr_err *err), void *ctx)
{
    struct nr_discovery *d;

    if (!nr_instances_are_found(&service->conf->found)) {
        nr_service_resolve_names(service, io, done, ctx);
        return;
    }
    d = discovery_new(service, io);
    d->once = done;
    d->once_ctx = ctx;
    ask(d);
}
