/* SPDX-License-Identifier: Apache-2.0 */
/* sim_policies.c - any configuration of policies under any weather, and what must always hold.
 *
 * Two services stand on the same three instances, each with policies drawn by the seed: breaker by
 * instance, service or route, bulkhead with and without queue, retries with a budget, ejection,
 * fallback, limits, shedding, faults on purpose; one or two workers. Instances die, answer errors,
 * are slow, cut off; clients leave. After every event:
 *
 *   - what gateway_world.h checks: one end per request, one record, nothing past its deadline, no
 *     work for nobody
 *   - calls in flight never exceed the bulkhead, nor those that wait its queue
 *   - repeats never exceed what requests and time have earned
 *   - an open circuit lets nobody through
 *   - never are more instances ejected than may be, nor all of them
 *   - no more requests pass a limit than it allows
 *   - the answers of the fallback are those that the service counts
 *
 * And at the end, when all is well again, requests are served, and no permit, place in a queue or
 * count of calls in flight is left over. Replay a failure with: ./dev sim policies --seed N */
#include "gateway_world.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/reason.h"
#include "service/service_conf.h"
#include "simtest.h"

enum { REQUESTS_EACH = 40, WARM_REQUESTS_EACH = 12, CALM_REQUESTS_EACH = 5, SERVICES = 2 };

#define MS ((uint64_t)1000000)

/* ---- a configuration by seed ---- */

struct draft {
    char text[4096];
    size_t len;
    struct nr_random random;
    uint32_t limit_per_s; /* of the first route; 0: none */
    uint32_t limit_burst;
};

static void put(struct draft *draft, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct draft *draft, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    draft->len +=
        (size_t)vsnprintf(draft->text + draft->len, sizeof(draft->text) - draft->len, format, args);
    va_end(args);
}

static uint32_t below(struct draft *draft, uint32_t bound)
{
    return (uint32_t)nr_random_below(&draft->random, bound);
}

static uint32_t from_to(struct draft *draft, uint32_t from, uint32_t to)
{
    return from + below(draft, to - from + 1);
}

static bool one_of(struct draft *draft, uint32_t bound)
{
    return below(draft, bound) == 0;
}

#define ANY(draft, ...)                                                                            \
    ((const char *const[]){                                                                        \
        __VA_ARGS__})[below((draft), (uint32_t)NR_COUNT(((const char *const[]){__VA_ARGS__})))]

static void put_breaker(struct draft *d)
{
    put(d, "    breaker: { scope: %s, window: %s, minimum: %u, failure_rate: %u%%, ",
        ANY(d, "instance", "instance", "service", "route"), ANY(d, "10", "2s"), from_to(d, 2, 8),
        from_to(d, 20, 80));
    put(d, "consecutive: %u, slow: 300ms, open: %ums, open_max: 500ms, probes: %u, ", below(d, 4),
        from_to(d, 50, 300), from_to(d, 1, 4));
    put(d, "probe_wait: %ums, observe_only: %s }\n", from_to(d, 100, 2000),
        one_of(d, 8) ? "true" : "false");
}

static void put_bulkhead(struct draft *d)
{
    put(d, "    bulkhead: { concurrent: %u, queue: %u, wait: %ums, target: %s, ", from_to(d, 1, 5),
        below(d, 5), from_to(d, 5, 500), ANY(d, "0s", "5ms"));
    if (one_of(d, 4))
        put(d, "adaptive: { start: 2, min: 1, max: 6 }, ");
    put(d, "observe_only: %s }\n", one_of(d, 8) ? "true" : "false");
}

static void put_service(struct draft *d, const char *name)
{
    put(d,
        "  %s:\n    instances: [\"10.0.1.1:7000\", \"10.0.1.2:7000\", \"10.0.1.3:7000\"]\n"
        "    balance: %s\n"
        "    timeouts: { connect: %ums, attempt: %ums, idle: 1s }\n"
        "    pool: { idle_timeout: 1s }\n",
        name, ANY(d, "p2c", "p2c", "round_robin", "least_requests", "ip_hash"),
        from_to(d, 100, 300), from_to(d, 300, 900));
    put(d, "    retry: { attempts: %u, on: %s, backoff: { base: %ums, jitter: %s }, ",
        from_to(d, 1, 3),
        ANY(d, "[connect, reset]", "[connect, reset, 502, 503, 504]",
            "[connect, reset, timeout, 429, 500, 503]"),
        from_to(d, 1, 50), ANY(d, "full", "additive", "none"));
    put(d, "budget: { ratio: %u%%, min: %u/s } }\n", below(d, 60), from_to(d, 1, 10));
    if (!one_of(d, 3))
        put(d,
            "    health: { path: /healthz, interval: 200ms, timeout: 150ms, rise: 1, fall: 2 }\n");
    if (!one_of(d, 4))
        put_breaker(d);
    if (!one_of(d, 4))
        put_bulkhead(d);
    if (one_of(d, 3))
        put(d,
            "    eject: { consecutive_5xx: %u, base: 200ms, max: 500ms, interval: 200ms, "
            "max_share: %u%%, observe_only: %s }\n",
            from_to(d, 2, 5), from_to(d, 10, 70), one_of(d, 8) ? "true" : "false");
    if (one_of(d, 3))
        put(d, "    fallback: { status: 203, json: { held: true } }\n");
}

static void put_limit(struct draft *d)
{
    static const char *const algorithms[] = {"token_bucket", "gcra", "sliding_log", "leaky_bucket"};
    uint32_t which = below(d, NR_COUNT(algorithms));

    d->limit_per_s = from_to(d, 20, 200);
    d->limit_burst = which == 2 ? d->limit_per_s : from_to(d, 1, 20);
    put(d, ", limits: [{ key: global, rate: %u/s, algorithm: %s", d->limit_per_s,
        algorithms[which]);
    if (which != 2)
        put(d, ", burst: %u", d->limit_burst);
    put(d, " }]");
}

static void write_config(struct draft *d, uint64_t seed)
{
    *d = (struct draft){.len = 0};
    nr_random_init(&d->random, seed);
    put(d, "gateway:\n  deadline: 2s\n  listen: [{ address: \"10.0.0.1:8080\" }]\n");
    if (one_of(d, 4))
        put(d, "  shedding: { capacity: 5, rise: 20ms, fall: 100ms }\n");
    put(d, "  routes:\n    - { match: { path: \"/b/*\" }, service: b, strip_prefix: /b");
    if (one_of(d, 3))
        put_limit(d);
    put(d, " }\n    - { match: { path: \"/*\" }, service: a");
    if (one_of(d, 4))
        put(d, ", faults: [{ at: request, delay: 50ms, percent: 5%% }, { at: request, abort: 503, "
               "percent: 2%% }]");
    put(d, " }\nservices:\n");
    put_service(d, "a");
    put_service(d, "b");
}

/* ---- what is watched ---- */

struct circuit_seen {
    uint64_t moves; /* of all kinds */
    uint64_t picks; /* of its instance */
    bool open;
};

struct watched {
    struct world world; /* first: records bring it */
    struct draft draft;
    struct circuit_seen circuits[SERVICES][INSTANCES];
    uint64_t fallback_records;
    uint64_t limit_from_ns;
    uint64_t limited_passed; /* requests of the first route that were not refused by the limit */
    bool calm;
    uint32_t reasons_in_calm;
};

static void require(struct watched *w, bool right, const char *what)
{
    if (!right)
        simtest_fail(w->world.test, w->world.sim, "%s, with\n%s", what, w->draft.text);
}

static struct nr_service *service_of(struct watched *w, uint32_t i)
{
    return nr_gateway_service(w->world.gateway, i);
}

static void check_bulkhead(struct watched *w, struct nr_service *service)
{
    const struct nr_service_conf *conf = nr_service_conf(service);
    struct nr_service_view view;
    double earned, seconds = (double)nr_sim_now_ns(w->world.sim) / 1e9;

    nr_service_look(service, nr_sim_now_ns(w->world.sim), &view);
    if (conf->bulkhead != NULL && !conf->bulkhead->observe_only) {
        /* A limit that was learnt may shrink below what is under way already. */
        require(w,
                view.in_flight <= view.limit || (conf->bulkhead->adaptive != NULL &&
                                                 view.in_flight <= conf->bulkhead->adaptive->max),
                "more calls in flight than the bulkhead lets in");
        require(w, view.queued <= conf->bulkhead->policy.queue, "a queue longer than it may be");
    }
    earned = conf->retry.budget.policy.ratio * (double)w->world.verdict.started +
             conf->retry.budget.policy.min_per_s * (seconds + 1) + 1;
    require(w, (double)view.repeats <= earned, "more repeats than were earned");
}

/* From one event to the next: if it was open, and is, nobody has been sent there. */
static void check_circuits(struct watched *w, uint32_t number, struct nr_service *service)
{
    const struct nr_service_conf *conf = nr_service_conf(service);

    if (conf->breaker == NULL || conf->breaker->scope != NR_BREAKER_PER_INSTANCE ||
        conf->breaker->observe_only)
        return;
    for (uint32_t i = 0; i < INSTANCES; i++) {
        struct circuit_seen *seen = &w->circuits[number][i], now;
        struct nr_instance_view instance;
        struct nr_circuit_view circuit;

        nr_service_instance(service, i, &instance);
        nr_service_circuit(service, i, nr_sim_now_ns(w->world.sim), &circuit);
        now = (struct circuit_seen){.picks = instance.picks,
                                    .open = circuit.state == NR_BREAKER_OPEN};
        for (int to = 0; to < NR_BREAKER_STATES; to++)
            now.moves += circuit.moves[to];
        require(w, !seen->open || now.moves != seen->moves || now.picks == seen->picks,
                "an open circuit let somebody through");
        *seen = now;
    }
}

static void check_ejected(struct watched *w, struct nr_service *service)
{
    const struct nr_service_conf *conf = nr_service_conf(service);
    uint32_t ejected = 0, may;

    if (conf->eject == NULL || conf->eject->observe_only)
        return;
    may = (uint32_t)(conf->eject->policy.share * INSTANCES);
    for (uint32_t i = 0; i < INSTANCES; i++) {
        struct nr_instance_view view;

        nr_service_instance(service, i, &view);
        ejected += view.ejected;
    }
    require(w, ejected <= (may > 1 ? may : 1) && ejected < INSTANCES,
            "more instances are ejected than may be");
}

static void watch(struct watched *w)
{
    world_check(&w->world);
    for (uint32_t i = 0; i < SERVICES; i++) {
        struct nr_service *service = service_of(w, i);

        check_bulkhead(w, service);
        check_circuits(w, i, service);
        check_ejected(w, service);
    }
}

/* Whatever the algorithm: no more than its burst at once, and its rate over all of the time. */
static void check_limit(struct watched *w, const struct nr_record *record)
{
    uint64_t now_ns = nr_sim_now_ns(w->world.sim);
    double allowed;

    if (w->draft.limit_per_s == 0 || record->limit == 0 || record->reason == NR_REASON_RATE_LIMITED)
        return;
    if (w->limit_from_ns == 0)
        w->limit_from_ns = record->start_ns;
    w->limited_passed++;
    allowed = w->draft.limit_burst + 1 +
              w->draft.limit_per_s * ((double)(now_ns - w->limit_from_ns) / 1e9 + 1);
    require(w, (double)w->limited_passed <= allowed, "more passed a limit than it allows");
}

static void on_record(struct world *world, const struct nr_record *record)
{
    struct watched *w = nr_container_of(world, struct watched, world);

    w->fallback_records += (record->flags & NR_RECORD_FALLBACK) != 0;
    require(w, (record->flags & NR_RECORD_FALLBACK) == 0 || record->status == 203,
            "a fallback with another status than its own");
    check_limit(w, record);
    if (!w->calm)
        return;
    switch (record->reason) {
    case NR_REASON_NONE:
    case NR_REASON_RATE_LIMITED: /* these depend on the load, not on anybody's health */
    case NR_REASON_SHED:
    case NR_REASON_FAULT_ABORT:
    case NR_REASON_BULKHEAD_FULL:
    case NR_REASON_QUEUE_TIMEOUT:
    case NR_REASON_QUEUE_SHED: break;
    default:
        simtest_fail(world->test, world->sim, "in the calm a request was refused: %s, with\n%s",
                     nr_reason_name((enum nr_reason)record->reason), w->draft.text);
    }
}

/* ---- weather ---- */

static const struct nr_sim_link lossy = {
    .latency_min_ns = 1 * MS, .latency_max_ns = 20 * MS, .loss_ppm = 50000, .split_randomly = true};
static const struct nr_sim_link fine = {.latency_min_ns = MS / 20, .latency_max_ns = MS / 2};

static void break_something(struct world *world)
{
    struct nr_random *random = nr_sim_random(world->sim);
    struct instance *instance = &world->instances[nr_random_below(random, INSTANCES)];
    struct client *client = &world->clients[nr_random_below(random, CLIENTS)];
    const char *gateway = world_gateway_host();
    uint64_t what = nr_random_below(random, 12);

    if (what == 4 || what == 6)
        world_bad_link(world, instance);
    switch (what) {
    case 0: world_kill(world, instance); break;
    case 1:
    case 2:
    case 3: world_restart(world, instance); break;
    case 4: nr_sim_partition(world->sim, gateway, instance->host, true); break;
    case 5: nr_sim_partition(world->sim, gateway, instance->host, false); break;
    case 6: nr_sim_set_link(world->sim, gateway, instance->host, &lossy); break;
    case 7: nr_sim_reset_one(world->sim, gateway, instance->host); break;
    case 8:
    case 9: instance->error_pct = (uint32_t)nr_random_below(random, 101); break;
    case 10: instance->error_pct = 0; break;
    default: nr_sim_reset_one(world->sim, gateway, client->host); break;
    }
}

static void heal(struct world *world)
{
    for (int i = 0; i < INSTANCES; i++) {
        struct instance *instance = &world->instances[i];

        instance->error_pct = 0;
        nr_sim_partition(world->sim, world_gateway_host(), instance->host, false);
        nr_sim_set_link(world->sim, world_gateway_host(), instance->host, &fine);
        while (instance->stopping && nr_sim_step(world->sim))
            continue;
        world_restart(world, instance);
        world_good_link(world, instance);
    }
}

/* ---- the story ---- */

static void step(struct watched *w)
{
    require(w, nr_sim_step(w->world.sim), "a request waits for what will never happen");
    watch(w);
}

static void rest(struct watched *w, uint64_t ms)
{
    uint64_t until_ns = nr_sim_now_ns(w->world.sim) + ms * MS;

    while (nr_sim_now_ns(w->world.sim) < until_ns)
        step(w);
}

/* Every client goes on with one service until it has had its requests, then with the other. */
static void load(struct watched *w, uint32_t requests, bool stormy)
{
    uint64_t next_fault_ns = 0;

    for (uint32_t i = 0; i < SERVICES; i++) {
        w->world.path_prefix = i == 0 ? "" : "/b";
        world_load(&w->world, requests);
        while (world_busy(&w->world)) {
            uint64_t now_ns = nr_sim_now_ns(w->world.sim);

            if (stormy && now_ns >= next_fault_ns) {
                next_fault_ns = now_ns + nr_random_below(nr_sim_random(w->world.sim), 150) * MS;
                break_something(&w->world);
            }
            step(w);
        }
    }
}

static void check_empty(struct watched *w)
{
    uint64_t fallbacks = 0;

    for (uint32_t i = 0; i < SERVICES; i++) {
        struct nr_service *service = service_of(w, i);
        struct nr_service_view view;

        nr_service_look(service, nr_sim_now_ns(w->world.sim), &view);
        require(w, view.in_flight == 0 && view.queued == 0, "a permit is left over");
        fallbacks += view.fallbacks;
        for (uint32_t k = 0; k < INSTANCES; k++) {
            struct nr_instance_view instance;

            nr_service_instance(service, k, &instance);
            require(w, instance.in_flight == 0, "a call is left over");
        }
    }
    require(w, fallbacks == w->fallback_records, "the fallbacks are not those of the records");
    require(w, w->world.verdict.fallbacks <= fallbacks, "an answer of a fallback that was none");
}

static void run(struct simtest *test)
{
    static struct watched w; /* one world at a time in a process */
    struct verdict calm;

    w = (struct watched){.calm = false};
    write_config(&w.draft, test->seed);
    world_init(&w.world, test,
               &(struct world_conf){.config = w.draft.text,
                                    .workers = 1 + (uint32_t)(test->seed % 2),
                                    .impatient = true});
    w.world.on_record = on_record;
    load(&w, REQUESTS_EACH, true);
    heal(&w.world);
    rest(&w, 3000); /* health checks see it, ejections and open circuits run out */
    w.world.quick = true;
    load(&w, WARM_REQUESTS_EACH, false); /* probes */
    rest(&w, 600);
    load(&w, WARM_REQUESTS_EACH, false);
    w.calm = true;
    calm = w.world.verdict;
    load(&w, CALM_REQUESTS_EACH, false);
    require(&w, w.world.verdict.broken == calm.broken, "an answer broke off in the calm");
    require(&w, w.world.verdict.sorry == calm.sorry, "an error in the calm");
    rest(&w, 50);
    check_empty(&w);
    world_done(&w.world);
}

int main(int argc, char **argv)
{
    return simtest_main(argc, argv, "policies", 40, run);
}
