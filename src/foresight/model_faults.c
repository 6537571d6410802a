/* SPDX-License-Identifier: Apache-2.0 */
/* model_faults.c - the schedule of a scenario: instances fail and recover, links change. */
#include <stdlib.h>

#include "base/assert.h"
#include "foresight/model.h"

/* One entry of the schedule for one instance. */
struct nr_model_fault {
    struct nr_sim_event begins;
    struct nr_sim_event ends;
    struct nr_world *world;
    const struct nr_failure_conf *conf;
    struct nr_model_instance *instance;
};

/* A link that changes: to an instance, or (instance NULL) to all clients. */
struct nr_model_link {
    struct nr_sim_event begins;
    struct nr_sim_event ends;
    struct nr_world *world;
    const struct nr_link_conf *conf;
    struct nr_model_instance *instance;
};

struct nr_model_faults_plan {
    struct nr_model_fault *faults;
    uint32_t fault_count;
    struct nr_model_link *links;
    uint32_t link_count;
};

#define REVIVE_RETRY_NS UINT64_C(1000000)

static const char *const verbs[] = {
    [NR_FAILURE_REFUSE] = "refuses connections",
    [NR_FAILURE_BLACKHOLE] = "is silent",
    [NR_FAILURE_RESET] = "resets",
    [NR_FAILURE_SLOW] = "is slow",
    [NR_FAILURE_STATUS] = "answers",
};

/* A failure of a whole service is said once. */
static bool says(const struct nr_model_fault *fault)
{
    return fault->instance->number == 0 || strchr(fault->conf->instance.ptr, '/') != NULL;
}

static void say_begin(const struct nr_model_fault *fault)
{
    const struct nr_failure_conf *conf = fault->conf;
    const char *name = conf->instance.ptr, *verb = verbs[conf->fail];
    struct nr_report *report = fault->world->report;
    uint64_t now_ns = nr_sim_now_ns(fault->world->sim);

    if (conf->fail == NR_FAILURE_SLOW)
        nr_report_event(report, now_ns, NR_TONE_BAD, "%s is slow (× %g)", name, conf->factor);
    else if (conf->fail == NR_FAILURE_STATUS)
        nr_report_event(report, now_ns, NR_TONE_BAD, "%s answers %g %% with %u", name,
                        conf->share * 100, conf->status);
    else
        nr_report_event(report, now_ns, NR_TONE_BAD, "%s %s", name, verb);
}

static void fault_begins(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct nr_model_fault *fault = nr_container_of(event, struct nr_model_fault, begins);
    struct nr_model_instance *instance = fault->instance;
    struct nr_model_faults *faults = &instance->faults;

    if (says(fault))
        say_begin(fault);
    switch ((enum nr_failure)fault->conf->fail) {
    case NR_FAILURE_REFUSE:
        if (faults->dead++ == 0)
            nr_model_instance_kill(instance);
        break;
    case NR_FAILURE_BLACKHOLE:
        if (faults->silent++ == 0)
            nr_model_instance_silence(instance, true);
        break;
    case NR_FAILURE_RESET: faults->reset = fault->conf->share; break;
    case NR_FAILURE_SLOW: faults->slow = fault->conf->factor; break;
    case NR_FAILURE_STATUS:
        faults->share = fault->conf->share;
        faults->status = (uint16_t)fault->conf->status;
        break;
    }
}

static void fault_ends(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct nr_model_fault *fault = nr_container_of(event, struct nr_model_fault, ends);
    struct nr_model_instance *instance = fault->instance;
    struct nr_model_faults *faults = &instance->faults;

    switch ((enum nr_failure)fault->conf->fail) {
    case NR_FAILURE_REFUSE:
        if (faults->dead == 1 && !nr_model_instance_revive(instance)) {
            nr_sim_at(sim, event, nr_sim_now_ns(sim) + REVIVE_RETRY_NS); /* it is still dying */
            return;
        }
        faults->dead--;
        break;
    case NR_FAILURE_BLACKHOLE:
        if (--faults->silent == 0)
            nr_model_instance_silence(instance, false);
        break;
    case NR_FAILURE_RESET: faults->reset = 0; break;
    case NR_FAILURE_SLOW: faults->slow = 1; break;
    case NR_FAILURE_STATUS: faults->status = 0; break;
    }
    if (says(fault))
        nr_report_event(fault->world->report, nr_sim_now_ns(sim), NR_TONE_GOOD, "%s is well again",
                        fault->conf->instance.ptr);
}

/* ---- links ---- */

static void set_link(const struct nr_model_link *link, const struct nr_sim_link *to)
{
    struct nr_world *world = link->world;

    if (link->instance != NULL) {
        nr_sim_set_link(world->sim, nr_model_gateway_host, link->instance->host, to);
        return;
    }
    for (uint32_t i = 0; i < world->clients.host_count; i++)
        nr_sim_set_link(world->sim, nr_model_gateway_host, world->clients.hosts[i].ip, to);
}

static void link_begins(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct nr_model_link *link = nr_container_of(event, struct nr_model_link, begins);
    const struct nr_link_conf *conf = link->conf;
    struct nr_sim_link to = nr_model_link_default;

    to.latency_min_ns = conf->latency_ns;
    to.latency_max_ns = conf->latency_ns + conf->jitter_ns;
    to.loss_ppm = (uint32_t)(conf->loss * 1e6);
    if (conf->rate.count > 0)
        to.bytes_per_s = (uint64_t)((double)conf->rate.count * 1e9 / (double)conf->rate.per_ns);
    set_link(link, &to);
    if (conf->at_ns > 0)
        nr_report_event(link->world->report, nr_sim_now_ns(sim), NR_TONE_BAD,
                        "the link to %s has changed",
                        link->instance != NULL ? link->instance->name.ptr : "the clients");
}

static void link_ends(struct nr_sim *sim, struct nr_sim_event *event)
{
    struct nr_model_link *link = nr_container_of(event, struct nr_model_link, ends);

    set_link(link, &nr_model_link_default);
    nr_report_event(link->world->report, nr_sim_now_ns(sim), NR_TONE_GOOD,
                    "the link to %s is well again",
                    link->instance != NULL ? link->instance->name.ptr : "the clients");
}

/* ---- the plan ---- */

static bool is_meant(const struct nr_model_instance *instance, struct nr_span text)
{
    struct nr_span service;
    uint32_t number;

    return nr_scenario_target(text, &service, &number) && instance->name.len > service.len &&
           instance->name.ptr[service.len] == '/' &&
           memcmp(instance->name.ptr, service.ptr, service.len) == 0 &&
           (number == UINT32_MAX || number == instance->number);
}

/* When it begins, and when it ends again, if that is before the end. */
static void schedule(struct nr_world *world, struct nr_sim_event *begins, struct nr_sim_event *ends,
                     uint64_t at_ns, uint64_t for_ns)
{
    nr_sim_at(world->sim, begins, world->start_ns + at_ns);
    if (for_ns != UINT64_MAX)
        nr_sim_at(world->sim, ends, world->start_ns + at_ns + for_ns);
}

static void plan_fault(struct nr_model_faults_plan *plan, struct nr_world *world,
                       const struct nr_failure_conf *conf)
{
    for (uint32_t i = 0; i < world->instance_count; i++) {
        struct nr_model_fault *fault;

        if (!is_meant(&world->instances[i], conf->instance))
            continue;
        fault = &plan->faults[plan->fault_count++];
        *fault = (struct nr_model_fault){.begins = {.fire = fault_begins},
                                         .ends = {.fire = fault_ends},
                                         .world = world,
                                         .conf = conf,
                                         .instance = &world->instances[i]};
        schedule(world, &fault->begins, &fault->ends, conf->at_ns, conf->for_ns);
    }
}

static void plan_link(struct nr_model_faults_plan *plan, struct nr_world *world,
                      const struct nr_link_conf *conf, struct nr_model_instance *instance)
{
    struct nr_model_link *link = &plan->links[plan->link_count++];

    *link = (struct nr_model_link){.begins = {.fire = link_begins},
                                   .ends = {.fire = link_ends},
                                   .world = world,
                                   .conf = conf,
                                   .instance = instance};
    schedule(world, &link->begins, &link->ends, conf->at_ns, conf->for_ns);
}

struct nr_model_faults_plan *nr_model_faults_new(struct nr_world *world)
{
    const struct nr_scenario *scenario = world->scenario;
    struct nr_model_faults_plan *plan = calloc(1, sizeof(*plan));

    nr_assert(plan != NULL);
    plan->faults =
        calloc((size_t)scenario->failure_count * world->instance_count + 1, sizeof(*plan->faults));
    plan->links = calloc((size_t)scenario->link_count * (world->instance_count + 1) + 1,
                         sizeof(*plan->links));
    nr_assert(plan->faults != NULL && plan->links != NULL);
    for (uint32_t i = 0; i < scenario->failure_count; i++)
        plan_fault(plan, world, &scenario->failures[i]);
    for (uint32_t i = 0; i < scenario->link_count; i++) {
        if (nr_span_eq(scenario->links[i].to, NR_SPAN("clients")))
            plan_link(plan, world, &scenario->links[i], NULL);
        for (uint32_t k = 0; k < world->instance_count; k++)
            if (is_meant(&world->instances[k], scenario->links[i].to))
                plan_link(plan, world, &scenario->links[i], &world->instances[k]);
    }
    return plan;
}

void nr_model_faults_free(struct nr_world *world)
{
    struct nr_model_faults_plan *plan = world->faults;

    for (uint32_t i = 0; i < plan->fault_count; i++) {
        nr_sim_cancel(world->sim, &plan->faults[i].begins);
        nr_sim_cancel(world->sim, &plan->faults[i].ends);
    }
    for (uint32_t i = 0; i < plan->link_count; i++) {
        nr_sim_cancel(world->sim, &plan->links[i].begins);
        nr_sim_cancel(world->sim, &plan->links[i].ends);
    }
    free(plan->faults);
    free(plan->links);
    free(plan);
}
