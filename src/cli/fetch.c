/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.c - one request to the admin listener, by the client that the gateway uses for its calls.
 *
 *   resolve? --> client opened --> head, body --> end --> client closed --> engine quiet: stop
 *                     '-- limit: reset --------------^
 */
#include "cli/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/strbuf.h"
#include "http/client.h"
#include "io/epoll.h"

enum { BODY_BYTES_MAX = 64 * 1024 * 1024 };

static const uint64_t limit_ns = 10000000000u;
static const uint64_t settle_ns = 1000000u;

struct job {
    const struct nr_fetch *what;
    struct nr_io *io;
    struct nr_client *client;
    struct nr_exchange *x; /* NULL: not open */
    struct nr_arena arena;
    struct nr_resolve resolve;
    struct nr_timer limit;
    struct nr_timer settle;
    struct nr_strbuf body;
    uint16_t status;
    enum nr_end end;
    enum nr_code code; /* of what came before the exchange */
    bool limited;      /* too slow, or too long */
    bool ended;        /* the answer is whole */
};

/* ---- the end ---- */

static void on_settle(struct nr_op *op)
{
    struct job *job = nr_container_of(op, struct job, settle.op);

    if (nr_io_outstanding(job->io) == 0)
        nr_io_stop(job->io);
    else
        nr_timer_arm(job->io, &job->settle, nr_io_now_ns(job->io) + settle_ns);
}

static void finish(struct job *job)
{
    nr_timer_disarm(job->io, &job->limit);
    nr_client_close(job->client);
    job->client = NULL;
    nr_timer_arm(job->io, &job->settle, nr_io_now_ns(job->io));
}

static void on_limit(struct nr_op *op)
{
    struct job *job = nr_container_of(op, struct job, limit.op);

    job->limited = true;
    if (job->x != NULL)
        nr_exchange_reset(job->x);
    else
        nr_op_cancel(job->io, &job->resolve.op);
}

/* ---- the exchange ---- */

static void on_head(struct nr_exchange *x, struct nr_head *head, bool ended)
{
    struct job *job = x->owner;

    job->status = head->status;
    job->ended = ended && head->status >= 200;
}

static void on_body(struct nr_exchange *x, bool ended)
{
    struct job *job = x->owner;
    struct nr_span bytes = nr_exchange_pending(x);

    nr_strbuf_add(&job->body, bytes);
    nr_exchange_consume(x, bytes.len);
    job->ended = ended;
    if (job->body.len > BODY_BYTES_MAX) {
        job->limited = true;
        nr_exchange_reset(x);
    }
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    struct job *job = x->owner;

    job->ended = true;
}

static void on_writable(struct nr_exchange *x)
{
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct job *job = x->owner;

    job->end = end;
    job->x = NULL;
    finish(job);
}

static const struct nr_exchange_events events = {on_head, on_body, on_trailers, on_writable,
                                                 on_end};

static void open_exchange(struct job *job, const struct nr_addr *addr)
{
    const struct nr_fetch *what = job->what;
    bool local = addr->family == NR_ADDR_UNIX;
    struct nr_head head;

    job->client = nr_client_new(job->io, addr, &nr_client_conf_default);
    job->x = nr_client_open(job->client, &job->arena, &events, job, true);
    nr_head_init_request(&head, &job->arena, NR_SPAN("GET"),
                         local ? NR_SPAN("localhost") : nr_span_of(what->address), what->path);
    nr_head_add(&head, &job->arena, NR_SPAN("Accept"), NR_SPAN("application/json"));
    nr_head_add(&head, &job->arena, NR_SPAN("User-Agent"), NR_SPAN("naru"));
    if (what->token.len > 0) {
        struct nr_strbuf bearer = {0};

        NR_STRBUF_LIT(&bearer, "Bearer ");
        nr_strbuf_add(&bearer, what->token);
        nr_head_add(&head, &job->arena, NR_SPAN("Authorization"), nr_strbuf_span(&bearer));
        nr_strbuf_done(&bearer);
    }
    nr_exchange_send_head(job->x, &head, true);
}

static void on_resolved(struct nr_op *op)
{
    struct job *job = nr_container_of(op, struct job, resolve.op);

    job->code = (enum nr_code)op->result;
    if (op->result == NR_OK)
        open_exchange(job, &job->resolve.addrs[0]);
    else
        finish(job);
}

/* ---- the beginning ---- */

/* "localhost:9900": a name, to be looked up. */
static bool split_name(const char *address, char *name, size_t room, uint16_t *ret_port)
{
    const char *colon = strrchr(address, ':');
    char *end;
    unsigned long port = colon == NULL ? 0 : strtoul(colon + 1, &end, 10);

    if (colon == NULL || colon == address || (size_t)(colon - address) >= room || port == 0 ||
        port > 65535 || *end != '\0')
        return false;
    memcpy(name, address, (size_t)(colon - address));
    name[colon - address] = '\0';
    *ret_port = (uint16_t)port;
    return true;
}

static enum nr_code begin(struct job *job, char *name, size_t room, struct nr_err *err)
{
    static const struct nr_op_kind resolve_kind = {on_resolved, "fetch.resolve"};
    struct nr_addr addr;

    nr_op_init(&job->resolve.op, &resolve_kind);
    if (nr_addr_parse(job->what->address, &addr, NULL) == NR_OK) {
        open_exchange(job, &addr);
        return NR_OK;
    }
    if (!split_name(job->what->address, name, room, &job->resolve.port))
        return nr_err_set(err, NR_EINVAL, "'%s' is no address such as 127.0.0.1:9900",
                          job->what->address);
    job->resolve.name = name;
    nr_io_resolve(job->io, &job->resolve);
    return NR_OK;
}

/* What came of it, in a line. */
static enum nr_code outcome(const struct job *job, struct nr_err *err)
{
    const char *at = job->what->address;

    if (job->limited)
        return nr_err_set(err, NR_ETIMEOUT, "no whole answer from %s within 10 s: is it naru?", at);
    if (job->code != NR_OK)
        return nr_err_set(err, job->code, "cannot look up %s: %s", at, nr_code_text(job->code));
    if (job->ended)
        return NR_OK;
    switch (job->end) {
    case NR_END_CONNECT_REFUSED:
        return nr_err_set(err, NR_EREFUSED,
                          "nobody listens on %s: is naru running, and is this its admin address?",
                          at);
    case NR_END_CONNECT_FAILED:
        return nr_err_set(err, NR_EUNREACHABLE,
                          "cannot reach %s: is naru running, and is this its admin address?", at);
    case NR_END_CONNECT_TIMEOUT:
        return nr_err_set(err, NR_ETIMEOUT, "%s does not take the connection", at);
    case NR_END_PROTOCOL:
        return nr_err_set(err, NR_EPROTO, "what listens on %s does not speak HTTP: wrong port?",
                          at);
    default: return nr_err_set(err, NR_ECLOSED, "%s broke off: %s", at, nr_end_text(job->end));
    }
}

static enum nr_code run(struct job *job, struct nr_err *err)
{
    static const struct nr_op_kind limit_kind = {on_limit, "fetch.limit"};
    static const struct nr_op_kind settle_kind = {on_settle, "fetch.settle"};
    char name[256];
    enum nr_code code;

    nr_arena_init(&job->arena, NULL, 0);
    nr_timer_init(&job->limit, &limit_kind);
    nr_timer_init(&job->settle, &settle_kind);
    code = begin(job, name, sizeof(name), err);
    if (code == NR_OK) {
        nr_timer_arm(job->io, &job->limit, nr_io_now_ns(job->io) + limit_ns);
        nr_io_run(job->io);
        code = outcome(job, err);
    }
    nr_arena_done(&job->arena);
    return code;
}

enum nr_code nr_cli_fetch(const struct nr_fetch *fetch, struct nr_fetched *ret_fetched,
                          struct nr_err *err)
{
    const struct nr_epoll_conf conf = {.work_threads = 1};
    struct job *job = calloc(1, sizeof(*job));
    enum nr_code code;

    nr_assert(job != NULL);
    job->what = fetch;
    code = nr_io_new_epoll(&conf, &job->io, err);
    if (code == NR_OK) {
        code = run(job, err);
        nr_io_free(job->io);
    }
    if (code == NR_OK) {
        *ret_fetched = (struct nr_fetched){.status = job->status};
        ret_fetched->body = nr_strbuf_take(&job->body, &ret_fetched->len);
    }
    nr_strbuf_done(&job->body);
    free(job);
    return code;
}
