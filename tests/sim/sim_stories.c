/* SPDX-License-Identifier: Apache-2.0 */
/* sim_stories.c - what naru promises of a bad day, told as stories: a scenario, and a sentence with
 * a figure for everything that must be true of it.
 *
 * The real gateway with a real configuration in virtual time, as in `naru simulate`. The promises
 * are those of a healthy system while one fault lasts: availability of 99.9 %, p95 below 200 ms,
 * p99 below 500 ms, fewer than 0.1 % errors. They hold for any seed.
 * Replay a failure with: ./dev sim stories --seed N
 * The same stories over real sockets: tests/integration/it_stories.py. */
#include "base/compiler.h"
#include "simtest.h"

static const struct simtest *playing; /* one world at a time in a process */

#define PLAY_FAIL(...) simtest_fail(playing, NULL, __VA_ARGS__)
#include "../unit/foresight/play.h"

/* ---- what may be asked of a play ---- */

struct claim;

struct seen {
    const struct nr_report *report;
    const struct nr_report *calm; /* the same traffic when nothing fails; NULL: not played */
};

typedef double figure_fn(const struct seen *seen, const struct claim *claim);

enum bound { IS, AT_MOST, AT_LEAST };

struct claim {
    const char *sentence;
    uint32_t from_s, to_s; /* 0, 0: all of it */
    figure_fn *figure;
    const char *of; /* a kind of request, a reason, a part of an event, an instance; NULL: all */
    enum bound bound;
    double value;
};

static uint32_t end_of(const struct seen *seen, const struct claim *claim)
{
    uint32_t to_s = claim->to_s == 0 ? seen->report->second_count : claim->to_s;

    return to_s < seen->report->second_count ? to_s : seen->report->second_count;
}

#define EACH_SECOND(at)                                                                            \
    for (const struct nr_report_second *at = &seen->report->seconds[claim->from_s],                \
                                       *end = &seen->report->seconds[end_of(seen, claim)];         \
         at < end; at++)

static double failed_share(const struct seen *seen, const struct claim *claim)
{
    double failed = 0, all = 0;

    EACH_SECOND(at)
    {
        failed += at->failed;
        all += at->failed + at->ok;
    }
    return all == 0 ? 1 : failed / all;
}

/* Of all that were answered well, from the first second to the last. */
static double p95(const struct seen *seen, const struct claim *claim)
{
    (void)claim;
    return (double)nr_hist_quantile(&seen->report->latency, 0.95) / 1e3;
}

static double seconds_above_200_ms(const struct seen *seen, const struct claim *claim)
{
    double count = 0;

    EACH_SECOND(at)
    count += at->p95_us > 200000;
    return count;
}

/* Of the worst second. */
static double p99(const struct seen *seen, const struct claim *claim)
{
    double worst_ms = 0;

    EACH_SECOND(at)
    worst_ms = at->p99_us / 1e3 > worst_ms ? at->p99_us / 1e3 : worst_ms;
    return worst_ms;
}

static const struct nr_report_kind *kind_of(const struct nr_report *report, const char *name)
{
    for (uint32_t i = 0; i < report->kind_count; i++)
        if (strcmp(report->kinds[i].name, name) == 0)
            return &report->kinds[i];
    PLAY_FAIL("the story has no requests '%s'", name);
}

static double kind_failed(const struct seen *seen, const struct claim *claim)
{
    const struct nr_report_kind *kind = kind_of(seen->report, claim->of);

    return kind->visits == 0 ? 1 : (double)(kind->visits - kind->ok) / (double)kind->visits;
}

static double kind_p99(const struct nr_report *report, const struct claim *claim)
{
    return (double)nr_hist_quantile(&kind_of(report, claim->of)->latency, 0.99) / 1e3;
}

/* p99, as a multiple of what it is when nothing fails. */
static double p99_against_calm(const struct seen *seen, const struct claim *claim)
{
    return kind_p99(seen->report, claim) / kind_p99(seen->calm, claim);
}

/* Requests that naru answered itself, by the beginning of the reason; NULL: by any. */
static double reasons(const struct seen *seen, const struct claim *claim)
{
    double count = 0;

    EACH_SECOND(at)
    for (uint32_t cause = NR_REASON_NONE + 1; cause < NR_CAUSES; cause++)
        if (claim->of == NULL || strncmp(nr_cause_name(cause), claim->of, strlen(claim->of)) == 0)
            count += at->causes[cause];
    return count;
}

static double events(const struct seen *seen, const struct claim *claim)
{
    double count = 0;

    for (uint32_t i = 0; i < seen->report->event_count; i++) {
        const struct nr_report_event *event = &seen->report->events[i];
        double at_s = (double)event->at_ns / 1e9;

        count += at_s >= claim->from_s && (claim->to_s == 0 || at_s < claim->to_s) &&
                 strstr(event->text, claim->of) != NULL;
    }
    return count;
}

/* What all instances were asked by naru, against what naru was asked: its repeats. */
static double load_factor(const struct seen *seen, const struct claim *claim)
{
    double arrived = 0, requests = 0;

    EACH_SECOND(at)
    {
        arrived += at->arrived;
        requests += at->requests;
    }
    return requests == 0 ? 0 : arrived / requests;
}

/* … against what people wanted. */
static double load_per_visit(const struct seen *seen, const struct claim *claim)
{
    double arrived = 0, offered = 0;

    EACH_SECOND(at)
    {
        arrived += at->arrived;
        offered += at->offered;
    }
    return offered == 0 ? 0 : arrived / offered;
}

/* Requests that an instance has worked on. */
static double worked(const struct seen *seen, const struct claim *claim)
{
    double count = 0;

    for (uint32_t i = 0; i < seen->report->instance_count; i++) {
        const struct nr_report_instance *instance = &seen->report->instances[i];

        if (strcmp(instance->name, claim->of) != 0)
            continue;
        for (uint32_t s = claim->from_s; s < end_of(seen, claim); s++)
            count += instance->seconds[s].answered + instance->seconds[s].refused;
    }
    return count;
}

static double work_ms_per_visit(const struct seen *seen, const struct claim *claim)
{
    (void)claim;
    return (double)seen->report->busy_ns / 1e6 / (double)seen->report->visits;
}

static double slowest_ms(const struct seen *seen, const struct claim *claim)
{
    (void)claim;
    return (double)nr_hist_quantile(&seen->report->all, 1) / 1e3;
}

/* ---- the stories ---- */

enum { CLAIMS_MAX = 16, WAYS_MAX = 6, SETS_MAX = 3 };

struct way {
    const char *name;
    const char *sets[SETS_MAX]; /* of the scenario */
    const char *config;         /* one more, of the configuration; NULL: none */
};

struct story {
    const char *name;
    const char *scenario; /* of those that come with naru, or a text with `config` */
    const char *config;
    const char *calm;          /* the scenario's set that takes the failure out; NULL: not played */
    struct way ways[WAYS_MAX]; /* each in turn */
    struct claim claims[CLAIMS_MAX];
};

static const char slow_scenario[] =
    "duration: 60s\n"
    "traffic:\n"
    "  rate: 300/s\n"
    "  clients: { timeout: 5s }\n"
    "  requests: [{ path: /orders/7, weight: 2 }, { path: /ideas/7 }]\n"
    "services:\n"
    "  orders: { latency: { p50: 15ms, p99: 60ms }, capacity: 16 }\n"
    "  ideas: { latency: { p50: 25ms, p99: 90ms }, capacity: 16 }\n"
    "failures: [{ at: 20s, for: 20s, instance: ideas, fail: slow, factor: 40 }]\n";
static const char slow_config[] =
    "gateway:\n"
    "  deadline: 2s\n"
    "  listen: [{ address: \"127.0.0.1:8080\" }]\n"
    "  routes: [{ match: \"/orders/*\", service: orders }, { match: \"/ideas/*\", service: ideas "
    "}]\n"
    "services:\n"
    "  orders: { instances: [\"127.0.0.1:7001\", \"127.0.0.1:7002\"] }\n"
    "  ideas:\n"
    "    instances: [\"127.0.0.1:7011\", \"127.0.0.1:7012\"]\n"
    "    bulkhead: { concurrent: 30, queue: 30, wait: 100ms }\n";

/* Each of the thousand comes once a second, and twice more when it is turned away. */
static const char retry_scenario[] =
    "duration: 30s\n"
    "traffic:\n"
    "  rate: 1000/s\n"
    "  clients: { timeout: 5s, retry: { attempts: 3, backoff: 200ms } }\n"
    "services: { items: { latency: { p50: 10ms, p99: 40ms } } }\n"
    "failures: [{ at: 10s, for: 10s, instance: items, fail: status, status: 503 }]\n";
static const char retry_config[] = "gateway:\n"
                                   "  deadline: 2s\n"
                                   "  listen: [{ address: \"127.0.0.1:8080\" }]\n"
                                   "  routes: [{ match: \"/*\", service: items }]\n"
                                   "services:\n"
                                   "  items:\n"
                                   "    instances: [\"127.0.0.1:7001\", \"127.0.0.1:7002\"]\n"
                                   "    retry: { attempts: 3, budget: { ratio: 20%, min: 1/s } }\n";

static const char leaving_scenario[] = "duration: 20s\n"
                                       "traffic: { rate: 100/s, clients: { timeout: 300ms } }\n"
                                       "services: { reports: { latency: 2s, notices: true } }\n";
static const char leaving_config[] =
    "gateway:\n"
    "  deadline: 6s\n"
    "  listen: [{ address: \"127.0.0.1:8080\" }]\n"
    "  routes: [{ match: \"/*\", service: reports }]\n"
    "services: { reports: { instances: [\"127.0.0.1:7001\", \"127.0.0.1:7002\"] } }\n";

static const char deadline_scenario[] =
    "duration: 30s\n"
    "traffic: { rate: 200/s, clients: { timeout: 5s } }\n"
    "services: { app: { latency: { p50: 150ms, p99: 4s }, errors: 20%, capacity: 50, queue: 50 } "
    "}\n"
    "failures: [{ at: 10s, for: 5s, instance: app/0, fail: blackhole }]\n"
    "links: [{ to: app/1, at: 0s, latency: 20ms, jitter: 20ms, loss: 1% }]\n";
static const char deadline_config[] =
    "gateway:\n"
    "  deadline: 500ms\n"
    "  listen: [{ address: \"127.0.0.1:8080\" }]\n"
    "  routes: [{ match: \"/*\", service: app }]\n"
    "services:\n"
    "  app:\n"
    "    instances: [\"127.0.0.1:7001\", \"127.0.0.1:7002\", \"127.0.0.1:7003\"]\n"
    "    timeouts: { connect: 200ms, attempt: 200ms }\n"
    "    bulkhead: { concurrent: 60, queue: 60 }\n"
    "    retry: { attempts: 3, on: [connect, reset, timeout, 500, 503] }\n";

/* clang-format off */
static const struct story stories[] = {
    {"payment is down for 60 s", "payment-down", NULL, NULL,
     {{"it refuses", {"failures[0].fail=refuse"}, NULL},
      {"its hosts are silent", {"failures[0].fail=blackhole"}, NULL},
      {"it breaks every connection", {"failures[0].fail=reset"}, NULL},
      {"it is 50 times slower", {"failures[0].fail=slow", "failures[0].factor=50"}, NULL},
      {"it answers 503", {"failures[0].fail=status", "failures[0].status=503"}, NULL}},
     {{"who browses does not notice", 0, 0, kind_failed, "GET /products/7", IS, 0},
      {"who orders does not notice", 0, 0, kind_failed, "POST /orders", IS, 0},
      {"charges are made or held, for 99.9 % of those who ask", 0, 0, kind_failed, "POST /charges", AT_MOST, 0.001},
      {"while it lasts, fewer than 0.1 % of all see an error", 20, 80, failed_share, NULL, AT_MOST, 0.001},
      {"p99 is below 500 ms, second by second", 0, 120, p99, NULL, AT_MOST, 500},
      {"p95 is below 200 ms", 0, 0, p95, NULL, AT_MOST, 200},
      {"and above it only in the few seconds in which circuits learn or try again", 0, 120, seconds_above_200_ms, NULL, AT_MOST, 5},
      {"the circuits of both instances open", 20, 80, events, "opened for", AT_LEAST, 2},
      {"charges are held from then on", 22, 80, reasons, NULL, AT_LEAST, 2000},
      {"and payment is left alone, but for probes and health checks", 25, 80, worked, "payment/0", AT_MOST, 120},
      {"12 s after it is back no circuit holds a charge any more", 92, 0, reasons, "circuit_open", IS, 0},
      {"and no health check does", 92, 0, reasons, "no_healthy", IS, 0},
      /* Some 1,400 charges, of which payment answers one in thousands too late by itself. */
      {"nor is one held but for payment's own slow answers", 92, 0, reasons, NULL, AT_MOST, 2},
      {"because the circuits have closed", 80, 92, events, " closed", AT_LEAST, 2}}},

    {"a slow service touches nobody else", slow_scenario, slow_config, "failures=[]", {{0}},
     {{"nobody who orders fails", 0, 0, kind_failed, "GET /orders/7", IS, 0},
      {"their p99 stays what it is on a good day", 0, 0, p99_against_calm, "GET /orders/7", AT_MOST, 1.1},
      {"the bulkhead of the slow one fills, and its queue refuses", 20, 40, reasons, "queue_", AT_LEAST, 100},
      {"nobody waits for it longer than its deadline", 0, 0, slowest_ms, NULL, AT_MOST, 2050},
      {"five seconds after it is quick again nobody is refused", 45, 0, reasons, NULL, IS, 0}}},

    {"a thousand clients retry", retry_scenario, retry_config, NULL, {{0}},
     {{"all in all the service gets no more than 1.2 times what naru is asked", 0, 0, load_factor, NULL, AT_MOST, 1.2},
      {"while it fails, too, when what was saved in ten good seconds is spent", 15, 20, load_factor, NULL, AT_MOST, 1.21},
      {"which is used", 10, 20, load_factor, NULL, AT_LEAST, 1.1},
      {"three seconds after it is well again nobody is refused", 23, 0, reasons, NULL, IS, 0}}},

    {"a thousand clients retry, and there is a circuit breaker", retry_scenario, retry_config, NULL,
     {{"it refuses for them", {NULL}, "services.items.breaker={ open: 1s, open_max: 2s }"}},
     {{"the failing service gets less than on a good day, although all try three times", 12, 20, load_per_visit, NULL, AT_MOST, 0.2},
      {"on which it gets this", 2, 9, load_per_visit, NULL, AT_LEAST, 0.95},
      {"five seconds after it is well again nobody is refused", 25, 0, reasons, NULL, IS, 0}}},

    {"one dead instance of three", "dead-instance", NULL, NULL,
     {{"it refuses", {"failures[0].fail=refuse"}, "services.payment.breaker={}"},
      {"its host is silent", {"failures[0].fail=blackhole"}, "services.payment.breaker={}"},
      {"it breaks every connection", {"failures[0].fail=reset"}, "services.payment.breaker={}"},
      {"it answers 503", {"failures[0].fail=status", "failures[0].status=503"}, "services.payment.breaker={}"}},
     {{"nobody notices", 0, 0, failed_share, NULL, AT_MOST, 0.001},
      {"no circuit of the others opens", 0, 0, events, "7001 opened", IS, 0},
      {"of neither", 0, 0, events, "7003 opened", IS, 0},
      {"so nobody is refused", 0, 0, reasons, "circuit_open", IS, 0}}},

    {"clients leave", leaving_scenario, leaving_config, NULL, {{0}},
     {{"all of them are seen to leave", 0, 0, reasons, "client_closed", AT_LEAST, 1800},
      {"the service works until then, and not the two seconds that it would", 0, 0, work_ms_per_visit, NULL, AT_MOST, 302}}},

    {"nothing outlives its deadline", deadline_scenario, deadline_config, NULL, {{0}},
     {{"some of them meet it", 0, 0, reasons, "deadline", AT_LEAST, 100},
      {"and are answered within 10 ms (a histogram is 1.6 % wrong)", 0, 0, slowest_ms, NULL, AT_MOST, 519}}},
};
/* clang-format on */

/* ---- telling them ---- */

static bool holds(const struct claim *claim, double figure)
{
    switch (claim->bound) {
    case IS: return figure == claim->value;
    case AT_MOST: return figure <= claim->value;
    case AT_LEAST: return figure >= claim->value;
    }
    return false;
}

static void judge(const struct story *story, const struct way *way, const struct seen *seen)
{
    static const char *const words[] = {
        [IS] = "exactly", [AT_MOST] = "at most", [AT_LEAST] = "at least"};

    for (uint32_t i = 0; i < CLAIMS_MAX && story->claims[i].sentence != NULL; i++) {
        const struct claim *claim = &story->claims[i];
        double figure = claim->figure(seen, claim);

        if (playing->tracing)
            printf("#   %-70s %g\n", claim->sentence, figure);
        if (!holds(claim, figure))
            PLAY_FAIL("%s%s%s: \"%s\": it is %g, and should be %s %g", story->name,
                      way->name != NULL ? ", " : "", way->name != NULL ? way->name : "",
                      claim->sentence, figure, words[claim->bound], claim->value);
    }
}

static void hash_report(struct simtest *test, const struct nr_report *report)
{
    struct nr_json *json = nr_report_json(report);
    char *text = nr_json_dump(json, 0);

    simtest_hash(test, nr_span_of(text));
    free(text);
    nr_json_free(json);
}

static void tell(struct simtest *test, const struct story *story, const struct way *way)
{
    struct play what = {.scenario = story->scenario,
                        .config = story->config,
                        .config_sets = {way->config},
                        .seed = test->seed};
    struct played played, calm;
    struct seen seen = {0};

    if (test->tracing)
        printf("# %s%s%s\n", story->name, way->name != NULL ? ", " : "",
               way->name != NULL ? way->name : "");
    if (story->calm != NULL) {
        what.scenario_sets[0] = story->calm;
        seen.calm = play(&calm, &what);
    }
    memcpy(what.scenario_sets, way->sets, sizeof(way->sets));
    seen.report = play(&played, &what);
    judge(story, way, &seen);
    hash_report(test, seen.report);
    play_done(&played);
    if (seen.calm != NULL)
        play_done(&calm);
}

static void run(struct simtest *test)
{
    playing = test;
    for (size_t i = 0; i < NR_COUNT(stories); i++) {
        tell(test, &stories[i], &stories[i].ways[0]);
        for (uint32_t way = 1; way < WAYS_MAX && stories[i].ways[way].name != NULL; way++)
            tell(test, &stories[i], &stories[i].ways[way]);
    }
}

int main(int argc, char **argv)
{
    return simtest_main(argc, argv, "stories", 6, run);
}
