/* SPDX-License-Identifier: Apache-2.0 */
/* model_server.c - an instance of a service: so many workers, a queue before them, a service time.
 *
 *             .-- queue full: 503
 *   request --+-- WAITING --a worker is free--> WORKING --service time--> answered
 *                    '--------- the caller leaves --------' the work goes on, for nobody: an orphan
 *
 * A caller that has gone leaves its job behind: most services notice nothing until they write the
 * answer, which is what makes short timeouts so dear. With `notices` the job goes with the caller.
 *
 * A job lives until its work is over and its exchange has ended, whichever is later. */
#include <stdlib.h>

#include "base/assert.h"
#include "foresight/model.h"

#define HEALTH_NS UINT64_C(1000000) /* what a health check takes */

enum nr_model_phase { RECEIVING, WAITING, WORKING, OVER };

struct nr_model_job {
    struct nr_link link; /* of the world's free ones, or the instance's queue or workers */
    struct nr_sim_event done;
    struct nr_model_instance *instance;
    struct nr_exchange *x; /* NULL: nobody waits */
    enum nr_model_phase phase;
    uint64_t began_ns; /* to work */
    uint64_t left_ns;  /* the caller went */
    uint64_t sent_bytes;
    uint16_t status;
    bool health; /* a check: takes no worker */
    bool head;   /* a HEAD: no body */
    bool answered;
};

static void work_done(struct nr_sim *sim, struct nr_sim_event *event);
static void begin(struct nr_model_job *job);

/* ---- jobs ---- */

static struct nr_model_job *job_new(struct nr_model_instance *instance, struct nr_exchange *x)
{
    struct nr_link *link = nr_list_pop_front(&instance->world->free_jobs);
    struct nr_model_job *job =
        link != NULL ? nr_container_of(link, struct nr_model_job, link) : malloc(sizeof(*job));

    nr_assert(job != NULL);
    *job = (struct nr_model_job){.done = {.fire = work_done}, .instance = instance, .x = x};
    nr_link_init(&job->link);
    return job;
}

void nr_model_job_free(struct nr_link *link)
{
    free(nr_container_of(link, struct nr_model_job, link));
}

static void job_free_if_over(struct nr_model_job *job)
{
    if (job->phase != OVER || job->x != NULL)
        return;
    nr_list_remove(&job->link);
    nr_list_push_front(&job->instance->world->free_jobs, &job->link);
}

static uint64_t now_ns(const struct nr_model_instance *instance)
{
    return nr_sim_now_ns(instance->world->sim);
}

static struct nr_report_load *load_now(const struct nr_model_instance *instance)
{
    return nr_report_load_at(instance->world->report, instance->index, now_ns(instance));
}

/* ---- answering ---- */

static const char filler[16 * 1024];

static void send_rest(struct nr_model_job *job)
{
    uint64_t total = job->instance->conf->answer_bytes;

    while (job->sent_bytes < total) {
        uint64_t left = total - job->sent_bytes;
        struct nr_span piece = {filler, left < sizeof(filler) ? (size_t)left : sizeof(filler)};
        size_t taken = nr_exchange_send_body(job->x, piece, piece.len == left);

        job->sent_bytes += taken;
        if (taken < piece.len)
            return;
    }
}

static void answer(struct nr_model_job *job, uint16_t status)
{
    bool plain = job->head || status >= 500 || job->instance->conf->answer_bytes == 0;
    struct nr_head head;

    job->phase = OVER;
    job->answered = true;
    if (!job->health) {
        load_now(job->instance)->answered++;
        load_now(job->instance)->failed += status >= 500;
    }
    nr_head_init_response(&head, job->x->arena, status);
    head.body_length = plain ? 0 : (int64_t)job->instance->conf->answer_bytes;
    if (plain)
        job->sent_bytes = job->instance->conf->answer_bytes;
    nr_exchange_send_head(job->x, &head, plain);
    if (!plain)
        send_rest(job);
}

/* ---- working ---- */

/* Work is counted in the seconds in which it was done. */
static void count_work(struct nr_model_instance *instance, uint64_t from_ns)
{
    const struct nr_world *world = instance->world;
    const uint64_t second_ns = 1000000000;
    uint64_t to_ns = now_ns(instance);

    while (from_ns < to_ns) {
        uint64_t into_ns = from_ns < world->start_ns ? 0 : (from_ns - world->start_ns) % second_ns;
        uint64_t part_ns = second_ns - into_ns;

        if (part_ns > to_ns - from_ns)
            part_ns = to_ns - from_ns;
        nr_report_load_at(world->report, instance->index, from_ns)->busy_ns += part_ns;
        from_ns += part_ns;
    }
}

static void next_from_queue(struct nr_model_instance *instance)
{
    struct nr_link *first;

    while (instance->busy < instance->capacity &&
           (first = nr_list_pop_front(&instance->queue)) != NULL) {
        instance->queued--;
        begin(nr_container_of(first, struct nr_model_job, link));
    }
}

/* Off the worker, done or given up. */
static void leave_worker(struct nr_model_job *job)
{
    struct nr_model_instance *instance = job->instance;

    nr_sim_cancel(instance->world->sim, &job->done);
    nr_list_remove(&job->link);
    instance->busy--;
    count_work(instance, job->began_ns);
    job->phase = OVER;
}

static void count_orphan(struct nr_model_job *job)
{
    struct nr_model_instance *instance = job->instance;
    uint64_t since_ns = job->left_ns > job->began_ns ? job->left_ns : job->began_ns;

    load_now(instance)->orphans++;
    instance->world->report->instances[instance->index].orphaned_ns += now_ns(instance) - since_ns;
}

static void work_done(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct nr_model_job *job = nr_container_of(event, struct nr_model_job, done);
    struct nr_model_instance *instance = job->instance;

    (void)sim;
    if (job->health) {
        answer(job, 200);
        return;
    }
    leave_worker(job);
    if (job->x != NULL)
        answer(job, job->status);
    else
        count_orphan(job);
    job_free_if_over(job);
    next_from_queue(instance);
}

static void begin(struct nr_model_job *job)
{
    struct nr_model_instance *instance = job->instance;
    double ns = (double)nr_model_latency_ns(instance->latency, &instance->random);

    job->phase = WORKING;
    job->began_ns = now_ns(instance);
    job->status = nr_random_unit(&instance->random) < instance->errors ? 500 : 200;
    instance->busy++;
    nr_list_push_back(&instance->working, &job->link);
    nr_sim_at(instance->world->sim, &job->done,
              job->began_ns + (uint64_t)(ns * instance->faults.slow));
}

static void wait_in_queue(struct nr_model_job *job)
{
    struct nr_model_instance *instance = job->instance;

    if (instance->queued >= instance->conf->queue) {
        load_now(instance)->refused++;
        answer(job, 503);
        return;
    }
    job->phase = WAITING;
    nr_list_push_back(&instance->queue, &job->link);
    instance->queued++;
    if (instance->queued > load_now(instance)->queued)
        load_now(instance)->queued = instance->queued;
}

/* The request is complete. */
static void enter(struct nr_model_job *job)
{
    struct nr_model_instance *instance = job->instance;
    const struct nr_model_faults *faults = &instance->faults;

    if (!job->health)
        nr_report_at(instance->world->report, now_ns(instance))->arrived++;
    if (faults->reset > 0 && nr_random_unit(&instance->random) < faults->reset) {
        job->phase = OVER;
        nr_exchange_reset(job->x);
    } else if (faults->status != 0 && nr_random_unit(&instance->random) < faults->share) {
        answer(job, faults->status);
    } else if (job->health) {
        job->phase = WORKING;
        nr_sim_at(instance->world->sim, &job->done,
                  now_ns(instance) + (uint64_t)((double)HEALTH_NS * faults->slow));
    } else if (instance->capacity == 0 || instance->busy < instance->capacity) {
        begin(job);
    } else {
        wait_in_queue(job);
    }
}

/* ---- the exchange ---- */

static void serving_body(struct nr_exchange *x, bool ended)
{
    struct nr_model_job *job = x->owner;

    nr_exchange_consume(x, nr_exchange_pending(x).len);
    if (ended && job->phase == RECEIVING)
        enter(job);
}

static void serving_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    (void)trailers;
    serving_body(x, true);
}

static void serving_writable(struct nr_exchange *x)
{
    struct nr_model_job *job = x->owner;

    if (job->answered)
        send_rest(job);
}

static void serving_end(struct nr_exchange *x, enum nr_end end)
{
    struct nr_model_job *job = x->owner;
    struct nr_model_instance *instance = job->instance;

    (void)end;
    job->x = NULL;
    job->left_ns = now_ns(instance);
    if (job->phase == RECEIVING) {
        job->phase = OVER;
    } else if (job->health && job->phase == WORKING) {
        nr_sim_cancel(instance->world->sim, &job->done);
        job->phase = OVER;
    } else if (instance->conf->notices && job->phase == WAITING) {
        nr_list_remove(&job->link);
        instance->queued--;
        job->phase = OVER;
    } else if (instance->conf->notices && job->phase == WORKING) {
        leave_worker(job);
        next_from_queue(instance);
    }
    job_free_if_over(job);
}

static const struct nr_exchange_events serving_events = {
    .body = serving_body,
    .trailers = serving_trailers,
    .writable = serving_writable,
    .end = serving_end,
};

static void request(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                    bool ended)
{
    struct nr_model_instance *instance =
        nr_container_of(handler, struct nr_model_instance, handler);
    struct nr_model_job *job = job_new(instance, x);

    x->events = &serving_events;
    x->owner = job;
    job->head = head->method == NR_METHOD_HEAD;
    job->health = instance->health_path[0] != '\0' &&
                  nr_span_eq(nr_head_text(head, head->path), nr_span_of(instance->health_path));
    if (ended)
        enter(job);
}

static void refused(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                    uint16_t status, const char *reason)
{
    struct nr_model_job *job =
        job_new(nr_container_of(handler, struct nr_model_instance, handler), x);

    (void)head;
    (void)status;
    (void)reason;
    x->events = &serving_events;
    x->owner = job;
    nr_exchange_reset(x);
}

/* ---- life and death ---- */

static void listen_on(struct nr_model_instance *instance)
{
    struct nr_listen_conf listen = {.address = instance->listen, .inherited_fd = -1};
    struct nr_err err = {0};

    if (nr_listener_open(&instance->io, 1, &listen, &instance->listener, &err) != NR_OK)
        nr_assert_failed(err.text, __FILE__, __LINE__);
    instance->server =
        nr_server_new(instance->io, instance->listener, &instance->server_conf, &instance->handler);
}

void nr_model_instance_start(struct nr_model_instance *instance)
{
    instance->handler = (struct nr_handler){request, refused};
    if (instance->wired)
        listen_on(instance);
    if (instance->world->modelled)
        instance->target.handler = &instance->handler;
    instance->up = true;
}

static void drained(void *ctx)
{
    ((struct nr_model_instance *)ctx)->stopping = false;
}

/* What it worked on is lost. Callers that still wait learn of it from their connection. */
static void drop_jobs(struct nr_model_instance *instance)
{
    struct nr_link *first;

    while (!nr_list_empty(&instance->working)) {
        struct nr_model_job *job =
            nr_container_of(instance->working.next, struct nr_model_job, link);

        leave_worker(job);
        job_free_if_over(job);
    }
    while ((first = nr_list_pop_front(&instance->queue)) != NULL) {
        struct nr_model_job *job = nr_container_of(first, struct nr_model_job, link);

        job->phase = OVER;
        job_free_if_over(job);
    }
    instance->queued = 0;
}

void nr_model_instance_stop(struct nr_model_instance *instance)
{
    if (!instance->up)
        return;
    drop_jobs(instance);
    instance->up = false;
    if (instance->world->modelled) {
        instance->target.handler = NULL;
        nr_model_target_abort(&instance->target);
    }
    if (!instance->wired)
        return;
    instance->stopping = true;
    nr_server_on_drained(instance->server, drained, instance);
    nr_server_drain(instance->server);
    nr_server_abort(instance->server);
    nr_listener_close(instance->listener);
}

void nr_model_instance_kill(struct nr_model_instance *instance)
{
    if (!instance->up)
        return;
    nr_sim_kill(instance->world->sim, instance->host);
    nr_model_instance_stop(instance);
}

bool nr_model_instance_revive(struct nr_model_instance *instance)
{
    if (instance->stopping)
        return false;
    if (instance->up)
        return true;
    nr_server_free(instance->server);
    instance->server = NULL;
    nr_sim_revive(instance->world->sim, instance->host);
    nr_model_instance_start(instance);
    return true;
}

void nr_model_instance_silence(struct nr_model_instance *instance, bool silent)
{
    nr_sim_silence(instance->world->sim, instance->host, silent);
    if (instance->world->modelled)
        nr_model_target_silence(&instance->target, silent);
}
