/* SPDX-License-Identifier: Apache-2.0 */
/* exposition.c - which metrics there are.
 *
 * Names follow the conventions of Prometheus: base units (seconds, bytes), _total for counters,
 * naru_ in front of ours and process_ as every exporter has it. Zero rows are left out where the
 * table is sparse (methods × classes), and kept where an alert needs them (instances). */
#include "observe/exposition.h"

#include "base/compiler.h"
#include "observe/access_log.h"
#include "observe/expo.h"
#include "observe/expo_limits.h"
#include "observe/expo_machine.h"
#include "observe/overrides.h"
#include "observe/policies.h"
#include "observe/record_json.h"

static const char *const class_names[NR_CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

static struct nr_span class_name(uint32_t class)
{
    return nr_span_of(class_names[class]);
}

static struct nr_span or_none(struct nr_span name)
{
    return name.len > 0 ? name : NR_SPAN("none");
}

/* ---- requests ---- */

static struct nr_span route_label(const struct nr_cells *sum, uint32_t row)
{
    uint32_t counted = sum->names->counted_routes;

    if (row >= counted)
        return row == counted ? NR_SPAN("none") : NR_SPAN("other");
    return or_none(nr_names_route(sum->names, row));
}

/* An id that means nothing at present has nothing to show. */
static bool is_shown(const struct nr_cells *sum, uint32_t row)
{
    uint32_t counted = sum->names->counted_routes;

    if (row >= counted)
        return row == counted || counted < sum->names->route_count;
    return sum->names->routes[row].len > 0;
}

static void requests(struct nr_expo *expo, const struct nr_cells *sum)
{
    nr_expo_family(expo, "naru_requests", NR_EXPO_COUNTER,
                   "Requests finished, by route, method and class of the status answered.");
    for (uint32_t row = 0; row < nr_cells_route_rows(sum->names); row++)
        for (uint32_t method = 0; method < NR_METHODS; method++)
            for (uint32_t class = 0; class < NR_CLASSES; class ++) {
                uint64_t value = nr_cells_of_route(sum, row)->requests[method][class];
                struct nr_span name =
                    method == NR_METHOD_OTHER ? NR_SPAN("other") : nr_method_name(method);
                const struct nr_label labels[] = {{"route", route_label(sum, row)},
                                                  {"method", name},
                                                  {"class", class_name(class)}};

                if (value > 0 && is_shown(sum, row))
                    nr_expo_u64(expo, labels, NR_COUNT(labels), value);
            }
    nr_expo_family(expo, "naru_request_duration_seconds", NR_EXPO_HISTOGRAM,
                   "Time from the first byte of a request to the end of its answer; no tunnels.");
    for (uint32_t row = 0; row < nr_cells_route_rows(sum->names); row++) {
        const struct nr_label labels[] = {{"route", route_label(sum, row)}};

        if (is_shown(sum, row))
            nr_expo_hist(expo, labels, 1, nr_cells_of_route(sum, row)->duration_us);
    }
}

/* As its callers see it: repeats within a request are not counted, what naru answered in its place
 * is. */
static void services_red(struct nr_expo *expo, const struct nr_cells *sum)
{
    nr_expo_family(expo, "naru_service_requests", NR_EXPO_COUNTER,
                   "Requests finished that were meant for a service, by class of the status "
                   "answered; repeats are not counted.");
    for (uint32_t i = 0; i < sum->names->service_count; i++)
        for (uint32_t class = 0; class < NR_CLASSES && sum->services[i] != NULL; class ++) {
            const struct nr_label labels[] = {{"service", nr_names_service(sum->names, i)},
                                              {"class", class_name(class)}};

            if (sum->services[i]->requests[class] > 0)
                nr_expo_u64(expo, labels, NR_COUNT(labels), sum->services[i]->requests[class]);
        }
    nr_expo_family(expo, "naru_service_request_duration_seconds", NR_EXPO_HISTOGRAM,
                   "Time of these requests from their first byte to the end of the answer, repeats "
                   "included; no tunnels.");
    for (uint32_t i = 0; i < sum->names->service_count; i++) {
        const struct nr_label labels[] = {{"service", nr_names_service(sum->names, i)}};

        if (sum->services[i] != NULL && labels[0].value.len > 0)
            nr_expo_hist(expo, labels, 1, sum->services[i]->duration_us);
    }
}

static void bytes_of_routes(struct nr_expo *expo, const struct nr_cells *sum)
{
    nr_expo_family(expo, "naru_request_body_bytes", NR_EXPO_COUNTER,
                   "Bytes of request bodies received.");
    for (uint32_t row = 0; row < nr_cells_route_rows(sum->names); row++) {
        const struct nr_label labels[] = {{"route", route_label(sum, row)}};

        if (is_shown(sum, row))
            nr_expo_u64(expo, labels, 1, nr_cells_of_route(sum, row)->received_bytes);
    }
    nr_expo_family(expo, "naru_response_body_bytes", NR_EXPO_COUNTER,
                   "Bytes of response bodies sent.");
    for (uint32_t row = 0; row < nr_cells_route_rows(sum->names); row++) {
        const struct nr_label labels[] = {{"route", route_label(sum, row)}};

        if (is_shown(sum, row))
            nr_expo_u64(expo, labels, 1, nr_cells_of_route(sum, row)->sent_bytes);
    }
}

static void reasons(struct nr_expo *expo, const struct nr_cells *sum)
{
    nr_expo_family(expo, "naru_reasons", NR_EXPO_COUNTER,
                   "Requests that naru answered itself or lost, by reason.");
    for (uint32_t i = NR_REASON_NONE + 1; i < NR_REASONS; i++) {
        const struct nr_label labels[] = {{"reason", nr_span_of(nr_reason_name(i))}};

        nr_expo_u64(expo, labels, 1, sum->reasons[i]);
    }
    nr_expo_family(expo, "naru_bad_requests", NR_EXPO_COUNTER,
                   "Requests refused because they are not HTTP as naru wants it, by cause.");
    for (uint32_t i = NR_H1_OK + 1; i < NR_H1_REASONS; i++) {
        const struct nr_label labels[] = {{"cause", nr_span_of(nr_h1_reason_text(i))}};

        if (sum->refusals[i] > 0)
            nr_expo_u64(expo, labels, 1, sum->refusals[i]);
    }
    nr_expo_family(expo, "naru_tunnels", NR_EXPO_COUNTER,
                   "Upgraded connections (WebSocket) that have ended.");
    nr_expo_u64(expo, NULL, 0, sum->tunnels);
}

/* ---- TCP ---- */

static void each_tcp(struct nr_expo *expo, const struct nr_cells *sum, size_t offset)
{
    for (uint32_t i = 0; i < sum->names->service_count; i++) {
        const struct nr_label labels[] = {{"service", nr_names_service(sum->names, i)}};
        const char *row = (const char *)&sum->tcp[i];

        if (sum->tcp[i].connections > 0)
            nr_expo_u64(expo, labels, 1, *(const uint64_t *)(const void *)(row + offset));
    }
}

static void tcp(struct nr_expo *expo, const struct nr_cells *sum)
{
    nr_expo_family(expo, "naru_tcp_connections", NR_EXPO_COUNTER,
                   "TCP connections passed on, that have ended.");
    each_tcp(expo, sum, offsetof(struct nr_tcp_cells, connections));
    nr_expo_family(expo, "naru_tcp_connections_failed", NR_EXPO_COUNTER,
                   "Those of them that ended for a reason: see naru_reasons.");
    each_tcp(expo, sum, offsetof(struct nr_tcp_cells, failed));
    nr_expo_family(expo, "naru_tcp_received_bytes", NR_EXPO_COUNTER,
                   "Bytes from clients of TCP connections that have ended.");
    each_tcp(expo, sum, offsetof(struct nr_tcp_cells, received_bytes));
    nr_expo_family(expo, "naru_tcp_sent_bytes", NR_EXPO_COUNTER,
                   "Bytes to clients of TCP connections that have ended.");
    each_tcp(expo, sum, offsetof(struct nr_tcp_cells, sent_bytes));
}

/* ---- attempts ---- */

typedef void (*each_instance_fn)(struct nr_expo *expo, const struct nr_instance_cells *cells,
                                 struct nr_label *labels);

static void each_instance(struct nr_expo *expo, const struct nr_cells *sum, each_instance_fn put)
{
    for (uint32_t service = 0; service < sum->names->service_count; service++) {
        const struct nr_roster *roster = sum->names->services[service].instances;
        uint32_t count = roster != NULL ? nr_roster_count(roster) : 0;

        for (uint32_t place = 0; place < count; place++) {
            uint32_t id = nr_roster_at(roster, place);
            char text[NR_ROSTER_TEXT_BYTES];
            struct nr_label labels[4] = {
                {"service", nr_names_service(sum->names, service)},
                {"instance", nr_names_instance(sum->names, service, id, text)},
            };

            if (labels[0].value.len > 0 && labels[1].value.len > 0)
                put(expo, nr_cells_of_instance(sum, service, id), labels);
        }
    }
}

static void put_attempts(struct nr_expo *expo, const struct nr_instance_cells *cells,
                         struct nr_label *labels)
{
    labels[2] = (struct nr_label){"result", NR_SPAN("answered")};
    for (uint32_t class = 1; class < NR_CLASSES; class ++) {
        labels[3] = (struct nr_label){"class", class_name(class)};
        if (cells->answers[class] > 0)
            nr_expo_u64(expo, labels, 4, cells->answers[class]);
    }
    labels[3] = (struct nr_label){"class", class_name(0)};
    for (uint32_t i = 0; i < NR_ATTEMPT_RESULTS; i++) {
        labels[2].value = nr_span_of(nr_attempt_result_name(i));
        if (i != NR_ATTEMPT_ANSWERED && cells->results[i] > 0)
            nr_expo_u64(expo, labels, 4, cells->results[i]);
    }
}

static void put_duration(struct nr_expo *expo, const struct nr_instance_cells *cells,
                         struct nr_label *labels)
{
    nr_expo_hist(expo, labels, 2, cells->duration_us);
}

static void put_reused(struct nr_expo *expo, const struct nr_instance_cells *cells,
                       struct nr_label *labels)
{
    nr_expo_u64(expo, labels, 2, cells->reused);
}

static void attempts(struct nr_expo *expo, const struct nr_cells *sum)
{
    nr_expo_family(expo, "naru_upstream_attempts", NR_EXPO_COUNTER,
                   "Attempts at an instance, by result, and class of the status if answered.");
    each_instance(expo, sum, put_attempts);
    nr_expo_family(expo, "naru_upstream_attempt_duration_seconds", NR_EXPO_HISTOGRAM,
                   "Time from an attempt's start to the head of its answer.");
    each_instance(expo, sum, put_duration);
    nr_expo_family(expo, "naru_upstream_connections_reused", NR_EXPO_COUNTER,
                   "Attempts that went over a pooled connection.");
    each_instance(expo, sum, put_reused);
    nr_expo_family(expo, "naru_upstream_retries", NR_EXPO_COUNTER,
                   "Attempts beyond the first of their request.");
    nr_expo_u64(expo, NULL, 0, sum->retries);
}

/* ---- instances now ---- */

enum instance_fact { IS_UP, IN_FLIGHT, TAKES, STEERED };

/* What an operator has said of it; nothing for the many of which nobody has said anything. */
static void steered(struct nr_expo *expo, const struct nr_instance_view *view,
                    struct nr_label labels[3])
{
    const struct {
        bool is;
        struct nr_span name;
    } facts[] = {
        {view->draining, NR_SPAN("drain")},
        {view->force == NR_FORCE_UP, NR_SPAN("force_up")},
        {view->force == NR_FORCE_DOWN, NR_SPAN("force_down")},
        {view->weight != view->configured_weight, NR_SPAN("weight")},
    };

    for (size_t i = 0; i < NR_COUNT(facts); i++) {
        labels[2] = (struct nr_label){"by", facts[i].name};
        if (facts[i].is)
            nr_expo_u64(expo, labels, 3, 1);
    }
}

static uint64_t value_of(const struct nr_instance_view *view, enum instance_fact fact)
{
    switch (fact) {
    case IN_FLIGHT: return view->in_flight;
    case TAKES: return view->takes;
    default: return view->health != NR_HEALTH_DOWN;
    }
}

static void instances(struct nr_expo *expo, const struct nr_gateway *gateway,
                      enum instance_fact fact)
{
    for (uint32_t s = 0; s < nr_gateway_service_count(gateway); s++) {
        struct nr_service *service = nr_gateway_service(gateway, s);

        for (uint32_t i = 0; i < nr_service_instance_count(service); i++) {
            struct nr_instance_view view;
            struct nr_label labels[3] = {{"service", nr_gateway_service_name(gateway, s)}};

            nr_service_instance(service, i, &view);
            if (view.text[0] == '\0')
                continue; /* a number without an instance */
            labels[1] = (struct nr_label){"instance", nr_span_of(view.text)};
            if (fact == STEERED)
                steered(expo, &view, labels);
            else
                nr_expo_u64(expo, labels, 2, value_of(&view, fact));
        }
    }
}

static void services(struct nr_expo *expo, const struct nr_gateway *gateway)
{
    nr_expo_family(expo, "naru_instance_up", NR_EXPO_GAUGE,
                   "1 unless health checks hold the instance for dead.");
    instances(expo, gateway, IS_UP);
    nr_expo_family(expo, "naru_instance_in_flight", NR_EXPO_GAUGE,
                   "Calls under way to the instance.");
    instances(expo, gateway, IN_FLIGHT);
    nr_expo_family(
        expo, "naru_instance_takes", NR_EXPO_GAUGE,
        "1 while the instance takes new calls: by health, operators, priority and zone.");
    instances(expo, gateway, TAKES);
    nr_expo_family(expo, "naru_instance_steered", NR_EXPO_GAUGE,
                   "1 for what an operator has said of the instance by the admin API.");
    instances(expo, gateway, STEERED);
}

/* ---- pools ---- */

enum pool_figure { POOL_CONNECTS, POOL_FAILURES, POOL_WAITS, POOL_EXHAUSTED, POOL_STALE };

static uint64_t figure_of(const struct nr_client_counts *counts, enum pool_figure figure)
{
    switch (figure) {
    case POOL_CONNECTS: return counts->connects;
    case POOL_FAILURES: return counts->connect_failures;
    case POOL_WAITS: return counts->waits;
    case POOL_EXHAUSTED: return counts->exhausted;
    default: return counts->stale;
    }
}

static void pool_counter(struct nr_expo *expo, const struct nr_gateway *gateway,
                         enum pool_figure figure, const char *name, const char *help)
{
    nr_expo_family(expo, name, NR_EXPO_COUNTER, help);
    for (uint32_t s = 0; s < nr_gateway_service_count(gateway); s++) {
        const struct nr_label label = {"service", nr_gateway_service_name(gateway, s)};
        struct nr_client_counts counts = nr_service_counts(nr_gateway_service(gateway, s));

        nr_expo_u64(expo, &label, 1, figure_of(&counts, figure));
    }
}

static void pool_states(struct nr_expo *expo, const struct nr_gateway *gateway)
{
    nr_expo_family(expo, "naru_pool_connections", NR_EXPO_GAUGE,
                   "Connections to the service's instances: busy (or connecting), and idle.");
    for (uint32_t s = 0; s < nr_gateway_service_count(gateway); s++) {
        struct nr_client_counts counts = nr_service_counts(nr_gateway_service(gateway, s));
        struct nr_label labels[2] = {{"service", nr_gateway_service_name(gateway, s)}};

        labels[1] = (struct nr_label){"state", NR_SPAN("busy")};
        nr_expo_u64(expo, labels, 2, counts.open > counts.idle ? counts.open - counts.idle : 0);
        labels[1] = (struct nr_label){"state", NR_SPAN("idle")};
        nr_expo_u64(expo, labels, 2, counts.idle);
    }
    nr_expo_family(expo, "naru_pool_waiting", NR_EXPO_GAUGE,
                   "Requests that wait for a connection, because all are in use.");
    for (uint32_t s = 0; s < nr_gateway_service_count(gateway); s++) {
        const struct nr_label label = {"service", nr_gateway_service_name(gateway, s)};

        nr_expo_u64(expo, &label, 1, nr_service_counts(nr_gateway_service(gateway, s)).waiting);
    }
}

static void pools(struct nr_expo *expo, const struct nr_gateway *gateway)
{
    pool_states(expo, gateway);
    pool_counter(expo, gateway, POOL_CONNECTS, "naru_pool_connects",
                 "Connections opened to the service's instances.");
    pool_counter(expo, gateway, POOL_FAILURES, "naru_pool_connect_failures",
                 "Those of them that did not come about.");
    pool_counter(expo, gateway, POOL_WAITS, "naru_pool_waits",
                 "Requests that found all connections in use.");
    pool_counter(expo, gateway, POOL_EXHAUSTED, "naru_pool_exhausted",
                 "Those of them that got none in time, or found too many waiting.");
    pool_counter(expo, gateway, POOL_STALE, "naru_pool_stale",
                 "Requests that met a pooled connection which the instance had closed.");
}

/* ---- the process ---- */

static void connections(struct nr_expo *expo, const struct nr_exposition *of)
{
    struct nr_server_counts sum = {0};

    for (uint32_t i = 0; i < of->worker_count; i++) {
        struct nr_server_counts counts = nr_gateway_worker_counts(of->workers[i]);

        sum.accepted += counts.accepted;
        sum.refused += counts.refused;
        sum.proxy_refused += counts.proxy_refused;
        sum.crowded += counts.crowded;
        sum.open += counts.open;
        sum.active += counts.active;
    }
    nr_expo_family(expo, "naru_connections_open", NR_EXPO_GAUGE, "Client connections open.");
    nr_expo_u64(expo, NULL, 0, sum.open);
    nr_expo_family(expo, "naru_connections_accepted", NR_EXPO_COUNTER,
                   "Client connections accepted.");
    nr_expo_u64(expo, NULL, 0, sum.accepted);
    nr_expo_family(expo, "naru_requests_refused", NR_EXPO_COUNTER,
                   "Requests refused by the protocol: malformed, too large, too slow.");
    nr_expo_u64(expo, NULL, 0, sum.refused);
    nr_expo_family(expo, "naru_proxy_headers_refused", NR_EXPO_COUNTER,
                   "Connections closed because their PROXY header was malformed, missing or not to "
                   "be trusted.");
    nr_expo_u64(expo, NULL, 0, sum.proxy_refused);
    nr_expo_family(expo, "naru_connections_crowded", NR_EXPO_COUNTER,
                   "Connections closed because their client had too many.");
    nr_expo_u64(expo, NULL, 0, sum.crowded);
    nr_expo_family(expo, "naru_requests_active", NR_EXPO_GAUGE, "Requests under way.");
    nr_expo_u64(expo, NULL, 0, sum.active);
}

static void accepting(struct nr_expo *expo, const struct nr_exposition *of)
{
    uint64_t pauses = 0, paused = 0;

    for (uint32_t i = 0; i < of->worker_count; i++) {
        pauses += nr_io_accept_pauses(of->engines[i]);
        paused += nr_io_accept_paused(of->engines[i]);
    }
    nr_expo_family(expo, "naru_accept_pauses", NR_EXPO_COUNTER,
                   "Times that a worker paused accepting, because descriptors were short.");
    nr_expo_u64(expo, NULL, 0, pauses);
    nr_expo_family(expo, "naru_accept_paused", NR_EXPO_GAUGE,
                   "Listeners, on each worker, that pause for that reason now.");
    nr_expo_u64(expo, NULL, 0, paused);
}

static void logs(struct nr_expo *expo, const struct nr_exposition *of)
{
    const struct nr_label access = {"log", NR_SPAN("access")};
    const struct nr_label program = {"log", NR_SPAN("program")};

    nr_expo_family(expo, "naru_log_dropped", NR_EXPO_COUNTER,
                   "Log lines lost because their reader stalled or writing failed.");
    if (of->access_log != NULL)
        nr_expo_u64(expo, &access, 1, nr_logpipe_dropped(of->access_log));
    if (of->program_log != NULL)
        nr_expo_u64(expo, &program, 1, nr_logpipe_dropped(of->program_log));
}

static void control(struct nr_expo *expo, const struct nr_exposition *of)
{
    const struct nr_label done = {"result", NR_SPAN("done")};
    const struct nr_label refused = {"result", NR_SPAN("refused")};

    nr_expo_family(expo, "naru_config_version", NR_EXPO_GAUGE,
                   "Version of the configuration in force; each change makes another.");
    nr_expo_u64(expo, NULL, 0, of->config_version);
    nr_expo_family(expo, "naru_admin_changes", NR_EXPO_COUNTER,
                   "What was changed by the admin API, or was asked for and refused.");
    nr_expo_u64(expo, &done, 1, of->changes_done);
    nr_expo_u64(expo, &refused, 1, of->changes_refused);
}

static void state(struct nr_expo *expo, const struct nr_exposition *of)
{
    const struct nr_label version = {"version", nr_span_of(of->version)};

    nr_expo_family(expo, "naru_build_info", NR_EXPO_GAUGE, "Always 1; the version is the label.");
    nr_expo_u64(expo, &version, 1, 1);
    nr_expo_family(expo, "naru_ready", NR_EXPO_GAUGE, "1 while /ready answers 200.");
    nr_expo_u64(expo, NULL, 0, of->ready);
    nr_expo_family(expo, "naru_workers", NR_EXPO_GAUGE, "Worker threads.");
    nr_expo_u64(expo, NULL, 0, of->worker_count);
    if (of->config_version > 0)
        control(expo, of);
}

char *nr_exposition_text(const struct nr_exposition *of, bool open_metrics, size_t *ret_len)
{
    struct nr_expo expo = {.open_metrics = open_metrics};

    state(&expo, of);
    if (of->observe != NULL) {
        struct nr_cells *sum = nr_observe_sum(of->observe);

        requests(&expo, sum);
        services_red(&expo, sum);
        bytes_of_routes(&expo, sum);
        reasons(&expo, sum);
        tcp(&expo, sum);
        attempts(&expo, sum);
        nr_cells_free(sum);
        nr_expo_family(&expo, "naru_watchdog_stalls", NR_EXPO_COUNTER,
                       "Times that one callback held a worker's loop for too long.");
        nr_expo_u64(&expo, NULL, 0, nr_observe_stalls(of->observe));
    }
    if (of->gateway != NULL) {
        services(&expo, of->gateway);
        nr_policies_metrics(&expo, of->gateway, of->now_ns);
        pools(&expo, of->gateway);
        nr_expo_limits(&expo, of->gateway);
        nr_expo_guards(&expo, of->gateway);
        nr_overrides_metrics(&expo, of->gateway, of->now_ns);
    }
    if (of->worker_count > 0) {
        connections(&expo, of);
        nr_expo_workers(&expo, of->engines, of->worker_count);
        accepting(&expo, of);
    }
    logs(&expo, of);
    nr_expo_process(&expo);
    nr_expo_machine(&expo);
    nr_expo_end(&expo);
    return nr_strbuf_take(&expo.out, ret_len);
}
