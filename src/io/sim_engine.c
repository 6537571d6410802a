/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated engine: the back end's table, and what is neither socket nor listener. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "base/assert.h"
#include "io/sim_world.h"

enum {
    RESOLVE_MIN_NS = 100 * 1000, /* a name server in the same building … */
    RESOLVE_MAX_NS = 5 * 1000 * 1000,
    WORK_QUEUE_MAX = 4096,
    WORK_MIN_NS = 10 * 1000,
    WORK_MAX_NS = 2 * 1000 * 1000,
};

static const uint64_t resolve_timeout_ns = 5000000000u; /* c-ares gives up about then */

/* ---- jobs: what takes a while and then completes ---- */

static struct sim_job *job_new(struct sim_engine *engine, struct nr_op *op,
                               void (*fire)(struct nr_sim *sim, struct nr_sim_event *event))
{
    struct sim_job *job = sim_zalloc(sizeof(*job));

    job->engine = engine;
    job->event.fire = fire;
    nr_link_init(&job->op);
    nr_list_push_back(&job->op, &op->link);
    nr_list_push_back(&engine->jobs, &job->link);
    return job;
}

static struct nr_op *job_op(const struct sim_job *job)
{
    return nr_container_of(job->op.next, struct nr_op, link);
}

static void job_done(struct sim_job *job, int32_t result)
{
    nr_engine_ready(&job->engine->io, job_op(job), result);
    nr_sim_cancel(job->engine->sim, &job->event);
    nr_list_remove(&job->link);
    free(job);
}

static uint64_t soon(struct nr_sim *sim, uint64_t min_ns, uint64_t max_ns)
{
    return sim->now_ns + min_ns + nr_random_below(&sim->net, max_ns - min_ns);
}

/* ---- names ---- */

static bool add_address(struct nr_resolve *resolve, const char *text)
{
    struct nr_addr *addr = &resolve->addrs[resolve->count];
    struct in_addr v4;
    struct in6_addr v6;

    if (resolve->count == NR_RESOLVE_ADDRS_MAX)
        return true;
    *addr = (struct nr_addr){.family = NR_ADDR_V4, .port = resolve->port};
    if (inet_pton(AF_INET, text, &v4) == 1) {
        memcpy(addr->ip, &v4, 4);
    } else if (inet_pton(AF_INET6, text, &v6) == 1) {
        addr->family = NR_ADDR_V6;
        memcpy(addr->ip, &v6, 16);
    } else {
        return false;
    }
    resolve->count++;
    return true;
}

static void add_addresses(struct nr_resolve *resolve, const char *list)
{
    char text[64];

    while (*list != '\0') {
        size_t len = strcspn(list, " ");

        if (len > 0 && len < sizeof(text)) {
            memcpy(text, list, len);
            text[len] = '\0';
            nr_assert(add_address(resolve, text)); /* nr_sim_name was given something else */
        }
        list += len + (list[len] == ' ');
    }
}

static int32_t look_up(struct nr_sim *sim, struct nr_resolve *resolve)
{
    if (add_address(resolve, resolve->name)) {
        resolve->ttl_s = UINT32_MAX;
        return NR_OK;
    }
    for (struct nr_link *at = sim->names.next; at != &sim->names; at = at->next) {
        const struct sim_name *name = nr_container_of(at, const struct sim_name, link);

        if (strcmp(name->name, resolve->name) != 0 || name->addresses == NULL)
            continue;
        add_addresses(resolve, name->addresses);
        resolve->ttl_s = name->ttl_s;
    }
    return resolve->count > 0 ? NR_OK : NR_ENAME;
}

static void resolve_fire(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct sim_job *job = nr_container_of(event, struct sim_job, event);
    struct nr_resolve *resolve = nr_container_of(job_op(job), struct nr_resolve, op);

    /* A silent host asked a server that it cannot reach; it has waited in vain. */
    if (job->ran)
        job_done(job, NR_ETIMEOUT);
    else
        job_done(job, look_up(sim, resolve));
}

static void resolve_start(struct nr_io *io, struct nr_resolve *resolve)
{
    struct sim_engine *engine = sim_engine_of(io);
    struct sim_job *job = job_new(engine, &resolve->op, resolve_fire);
    struct nr_sim *sim = engine->sim;

    job->ran = engine->host->silent;
    nr_sim_at(sim, &job->event,
              job->ran ? sim->now_ns + resolve_timeout_ns
                       : soon(sim, RESOLVE_MIN_NS, RESOLVE_MAX_NS));
}

/* ---- blocking work ---- */

/* Work begins after a while and ends after another: between the two it can no longer be stopped.
 * What it does happens at its beginning. */
static void work_fire(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct sim_job *job = nr_container_of(event, struct sim_job, event);
    struct nr_work *work = nr_container_of(job_op(job), struct nr_work, op);

    if (job->ran) {
        job->engine->work_queued--;
        job_done(job, job->canceled ? NR_ECANCELED : NR_OK);
        return;
    }
    job->ran = true;
    nr_sim_at(sim, &job->event, soon(sim, WORK_MIN_NS, WORK_MAX_NS));
    work->run(work);
}

static void work_start(struct nr_io *io, struct nr_work *work)
{
    struct sim_engine *engine = sim_engine_of(io);
    struct sim_job *job;

    if (engine->work_queued == WORK_QUEUE_MAX) {
        nr_engine_ready(io, &work->op, NR_ELIMIT);
        return;
    }
    engine->work_queued++;
    job = job_new(engine, &work->op, work_fire);
    nr_sim_at(engine->sim, &job->event, soon(engine->sim, WORK_MIN_NS, WORK_MAX_NS));
}

static void work_cancel(struct nr_op *op)
{
    struct sim_job *job = nr_container_of(op->link.next, struct sim_job, op);

    job->canceled = true;
    if (job->ran)
        return;
    job->engine->work_queued--;
    job_done(job, NR_ECANCELED);
}

/* ---- files, signals ---- */

static enum nr_code read_file(struct nr_io *io, const char *path, size_t bytes_max,
                              char **ret_bytes, size_t *ret_len, struct nr_err *err)
{
    struct sim_host *host = sim_engine_of(io)->host;

    for (struct nr_link *at = host->disk.next; at != &host->disk; at = at->next) {
        const struct sim_file *file = nr_container_of(at, const struct sim_file, link);

        if (strcmp(file->path, path) != 0)
            continue;
        if (file->len > bytes_max)
            return nr_err_set(err, NR_ELIMIT, "%s: %zu bytes, at most %zu are read", path,
                              file->len, bytes_max);
        *ret_bytes = sim_zalloc(file->len + 1);
        if (file->len > 0)
            memcpy(*ret_bytes, file->bytes, file->len);
        *ret_len = file->len;
        return NR_OK;
    }
    return nr_err_set(err, NR_ENOENT, "%s: no such file on host %s", path, host->name);
}

static void signal_wait(struct nr_io *io, struct nr_signal *signal)
{
    struct sim_engine *engine = sim_engine_of(io);
    uint64_t bit = (uint64_t)1 << signal->signo;

    nr_assert(signal->signo > 0 && signal->signo < 64);
    if ((engine->host->signals & bit) != 0) {
        engine->host->signals &= ~bit;
        nr_engine_ready(io, &signal->op, NR_OK);
        return;
    }
    nr_list_push_back(&engine->signals, &signal->op.link);
}

/* ---- the table ---- */

static uint64_t clock_ns(struct nr_io *io)
{
    return io->now_ns;
}

static void entropy(struct nr_io *io, void *to, size_t bytes)
{
    char *at = to;

    while (bytes > 0) {
        uint64_t word = nr_random_u64(&io->random);
        size_t piece = bytes < sizeof(word) ? bytes : sizeof(word);

        memcpy(at, &word, piece);
        at += piece;
        bytes -= piece;
    }
}

static void cancel(struct nr_io *io, struct nr_op *op)
{
    switch (op->type) {
    case NR_OP_CONNECT: sim_conn_cancel(nr_container_of(op, struct nr_connect, op)); break;
    case NR_OP_RESOLVE:
        job_done(nr_container_of(op->link.next, struct sim_job, op), NR_ECANCELED);
        break;
    case NR_OP_WORK: work_cancel(op); break;
    default: nr_engine_ready(io, op, NR_ECANCELED); /* it was on a list, no more */
    }
}

static void connect_start(struct nr_io *io, struct nr_connect *connect)
{
    sim_conn_open(sim_engine_of(io), connect);
}

static void run(struct nr_io *io)
{
    nr_assert_failed("a simulated engine is stepped by nr_sim_step", __FILE__, __LINE__);
}

static void stop(struct nr_io *io)
{
    nr_assert_failed("a simulated engine does not run by itself", __FILE__, __LINE__);
}

static const struct nr_io_backend backend = {
    .clock_ns = clock_ns,
    .entropy = entropy,
    .cancel = cancel,
    .post = nr_engine_arrived,
    .connect = connect_start,
    .recv = sim_sock_recv,
    .write = sim_sock_write,
    .when_writable = sim_sock_when_writable,
    .watch_close = sim_sock_watch_close,
    .shutdown = sim_sock_shutdown,
    .close = sim_sock_close,
    .peer = sim_sock_peer,
    .local = sim_sock_local,
    .listener_open = sim_listener_open,
    .listener_address = sim_listener_address,
    .accept = sim_listener_accept,
    .listener_close = sim_listener_close,
    .listener_client_first = sim_listener_client_first,
    .resolve = resolve_start,
    .work = work_start,
    .read_file = read_file,
    .signal = signal_wait,
    .run = run,
    .stop = stop,
};

static void trace(struct nr_io *io, const struct nr_op *op)
{
    const struct sim_engine *engine = sim_engine_of(io);
    const struct nr_sim_conf *conf = &engine->sim->conf;

    conf->trace(conf->trace_ctx, io->now_ns, engine->host->name, op->kind->name, op->result);
}

struct sim_engine *sim_engine_new(struct nr_sim *sim, struct sim_host *host)
{
    struct sim_engine *engine = sim_zalloc(sizeof(*engine));

    engine->sim = sim;
    engine->host = host;
    engine->index = sim->engine_count;
    nr_link_init(&engine->socks);
    nr_link_init(&engine->jobs);
    nr_link_init(&engine->signals);
    nr_engine_init(&engine->io, &backend, sim->now_ns, sim->conf.wall_start_ns + sim->now_ns,
                   sim->conf.seed ^ ((uint64_t)(engine->index + 1) << 32));
    if (sim->conf.trace != NULL)
        engine->io.trace = trace;
    return engine;
}

void sim_engine_free(struct sim_engine *engine)
{
    nr_engine_done(&engine->io);
    free(engine);
}
