/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/policies.h"

#include <stddef.h>

#include "base/compiler.h"

static const char *const state_names[] = {"closed", "open", "half_open"};
static const char *const mode_names[] = {"auto", "forced_open", "forced_closed", "disabled",
                                         "observe"};

/* By hand; what the configuration says is auto. */
const char *nr_policies_force_name(enum nr_breaker_mode mode)
{
    static const char *const names[] = {"auto", "open", "closed", "disabled", "auto"};

    return names[mode];
}

static const char *const refusal_names[NR_PERMIT_REFUSALS] = {
    [NR_PERMIT_FULL] = "full", [NR_PERMIT_TIMEOUT] = "timeout", [NR_PERMIT_SHED] = "shed"};

/* ---- which circuit ---- */

struct nr_label nr_policies_subject(const struct nr_gateway *gateway, struct nr_service *service,
                                    const struct nr_circuit_view *circuit,
                                    struct nr_instance_view *instance)
{
    struct nr_span route;

    if (circuit->instance != NR_INSTANCE_NONE) {
        nr_service_instance(service, circuit->instance, instance);
        return (struct nr_label){"instance", nr_span_of(instance->text)};
    }
    if (circuit->route == NR_ID_NONE)
        return (struct nr_label){NULL, {NULL, 0}};
    route = nr_intern_text(nr_gateway_names(gateway).routes, circuit->route);
    return (struct nr_label){"route", route.len > 0 ? route : NR_SPAN("none")};
}

/* ---- metrics ---- */

static void each_service(struct nr_expo *expo, const struct nr_gateway *gateway, uint64_t now_ns,
                         size_t offset)
{
    for (uint32_t s = 0; s < nr_gateway_service_count(gateway); s++) {
        const struct nr_label labels[] = {{"service", nr_gateway_service_name(gateway, s)}};
        struct nr_service_view view;

        nr_service_look(nr_gateway_service(gateway, s), now_ns, &view);
        nr_expo_u64(expo, labels, 1, *(const uint64_t *)(const void *)((char *)&view + offset));
    }
}

typedef void (*each_circuit_fn)(struct nr_expo *expo, const struct nr_circuit_view *circuit,
                                struct nr_label *labels, uint32_t count);

static void each_circuit(struct nr_expo *expo, const struct nr_gateway *gateway, uint64_t now_ns,
                         each_circuit_fn put)
{
    for (uint32_t s = 0; s < nr_gateway_service_count(gateway); s++) {
        struct nr_service *service = nr_gateway_service(gateway, s);
        uint32_t count = nr_service_circuit_count(service);

        for (uint32_t i = 0; i < count; i++) {
            struct nr_label labels[3] = {{"service", nr_gateway_service_name(gateway, s)}};
            struct nr_instance_view instance;
            struct nr_circuit_view circuit;

            nr_service_circuit(service, i, now_ns, &circuit);
            if (!circuit.present)
                continue;
            labels[1] = nr_policies_subject(gateway, service, &circuit, &instance);
            put(expo, &circuit, labels, labels[1].name != NULL ? 2 : 1);
        }
    }
}

static void put_state(struct nr_expo *expo, const struct nr_circuit_view *circuit,
                      struct nr_label *labels, uint32_t count)
{
    nr_expo_u64(expo, labels, count, circuit->state);
}

static void put_moves(struct nr_expo *expo, const struct nr_circuit_view *circuit,
                      struct nr_label *labels, uint32_t count)
{
    for (uint32_t i = 0; i < NR_BREAKER_STATES; i++) {
        labels[count] = (struct nr_label){"to", nr_span_of(state_names[i])};
        nr_expo_u64(expo, labels, count + 1, circuit->moves[i]);
    }
}

static void put_refused(struct nr_expo *expo, const struct nr_circuit_view *circuit,
                        struct nr_label *labels, uint32_t count)
{
    nr_expo_u64(expo, labels, count, circuit->refused);
}

static void retries(struct nr_expo *expo, const struct nr_gateway *gateway, uint64_t now_ns)
{
    nr_expo_family(expo, "naru_retries", NR_EXPO_COUNTER,
                   "Attempts beyond the first that the retry budget has paid for.");
    each_service(expo, gateway, now_ns, offsetof(struct nr_service_view, repeats));
    nr_expo_family(expo, "naru_retries_unpaid", NR_EXPO_COUNTER,
                   "Repeats that were not made, because the retry budget was spent.");
    each_service(expo, gateway, now_ns, offsetof(struct nr_service_view, repeats_unpaid));
    nr_expo_family(expo, "naru_retry_budget_left", NR_EXPO_GAUGE,
                   "Repeats that the service's retry budget would pay for now.");
    each_service(expo, gateway, now_ns, offsetof(struct nr_service_view, retry_budget_left));
}

static void breakers(struct nr_expo *expo, const struct nr_gateway *gateway, uint64_t now_ns)
{
    nr_expo_family(expo, "naru_breaker_state", NR_EXPO_GAUGE,
                   "Circuit breakers: 0 closed, 1 open, 2 half open.");
    each_circuit(expo, gateway, now_ns, put_state);
    nr_expo_family(expo, "naru_breaker_transitions", NR_EXPO_COUNTER,
                   "Changes of state of circuit breakers, by the new state.");
    each_circuit(expo, gateway, now_ns, put_moves);
    nr_expo_family(expo, "naru_breaker_refused", NR_EXPO_COUNTER,
                   "Times that a circuit breaker did not let a call pass (or would not have).");
    each_circuit(expo, gateway, now_ns, put_refused);
}

static void bulkheads(struct nr_expo *expo, const struct nr_gateway *gateway, uint64_t now_ns)
{
    nr_expo_family(expo, "naru_bulkhead_in_flight", NR_EXPO_GAUGE,
                   "Calls that hold a permit of their service.");
    each_service(expo, gateway, now_ns, offsetof(struct nr_service_view, in_flight));
    nr_expo_family(expo, "naru_bulkhead_limit", NR_EXPO_GAUGE, "Permits of the service.");
    each_service(expo, gateway, now_ns, offsetof(struct nr_service_view, limit));
    nr_expo_family(expo, "naru_bulkhead_queue", NR_EXPO_GAUGE, "Calls that wait for a permit.");
    each_service(expo, gateway, now_ns, offsetof(struct nr_service_view, queued));
    nr_expo_family(expo, "naru_bulkhead_refused", NR_EXPO_COUNTER,
                   "Calls that got no permit: the queue was full, they waited too long, or it was "
                   "cut back.");
    for (uint32_t s = 0; s < nr_gateway_service_count(gateway); s++)
        for (uint32_t i = 0; i < NR_PERMIT_REFUSALS; i++) {
            const struct nr_label labels[] = {{"service", nr_gateway_service_name(gateway, s)},
                                              {"cause", nr_span_of(refusal_names[i])}};
            struct nr_service_view view;

            nr_service_look(nr_gateway_service(gateway, s), now_ns, &view);
            nr_expo_u64(expo, labels, 2, view.refused[i]);
        }
}

void nr_policies_metrics(struct nr_expo *expo, const struct nr_gateway *gateway, uint64_t now_ns)
{
    retries(expo, gateway, now_ns);
    breakers(expo, gateway, now_ns);
    bulkheads(expo, gateway, now_ns);
    nr_expo_family(expo, "naru_fallbacks", NR_EXPO_COUNTER,
                   "Requests answered by their service's fallback.");
    each_service(expo, gateway, now_ns, offsetof(struct nr_service_view, fallbacks));
    nr_expo_family(
        expo, "naru_ejections", NR_EXPO_COUNTER,
        "Times that an instance was left out because it answered worse than the others.");
    each_service(expo, gateway, now_ns, offsetof(struct nr_service_view, ejections));
}

/* ---- JSON ---- */

static void set_text(struct nr_json *object, const char *key, const char *text)
{
    nr_json_set(object, key, nr_json_string(nr_span_of(text)));
}

static void set_rate(struct nr_json *object, const char *key, double rate)
{
    nr_json_set(object, key, rate < 0 ? nr_json_null() : nr_json_real(rate));
}

static struct nr_json *circuit_json(const struct nr_gateway *gateway, struct nr_service *service,
                                    const struct nr_circuit_view *circuit)
{
    struct nr_json *object = nr_json_object();
    struct nr_instance_view instance;
    struct nr_label of = nr_policies_subject(gateway, service, circuit, &instance);

    if (of.name != NULL)
        nr_json_set(object, of.name, nr_json_string(of.value));
    set_text(object, "state", state_names[circuit->state]);
    set_text(object, "mode", mode_names[circuit->mode]);
    set_text(object, "force", nr_policies_force_name(circuit->mode));
    nr_json_set(object, "calls", nr_json_integer(circuit->window.sums.calls));
    nr_json_set(object, "failed", nr_json_integer(circuit->window.sums.failed));
    nr_json_set(object, "slow", nr_json_integer(circuit->window.sums.slow));
    set_rate(object, "failure_rate", circuit->window.failure_rate);
    set_rate(object, "slow_rate", circuit->window.slow_rate);
    nr_json_set(object, "refused", nr_json_integer((int64_t)circuit->refused));
    if (circuit->state == NR_BREAKER_OPEN && circuit->mode != NR_BREAKER_FORCED_OPEN)
        nr_json_set(object, "opens_to_probes_in_ms",
                    nr_json_integer((int64_t)(circuit->wait_ns / 1000000)));
    return object;
}

static struct nr_json *bulkhead_json(const struct nr_service_view *view)
{
    struct nr_json *object = nr_json_object(), *refused = nr_json_object();

    nr_json_set(object, "in_flight", nr_json_integer((int64_t)view->in_flight));
    nr_json_set(object, "limit", nr_json_integer((int64_t)view->limit));
    nr_json_set(object, "limit_by_hand", nr_json_bool(view->limit_by_hand));
    nr_json_set(object, "queued", nr_json_integer((int64_t)view->queued));
    for (uint32_t i = 0; i < NR_PERMIT_REFUSALS; i++)
        nr_json_set(refused, refusal_names[i], nr_json_integer((int64_t)view->refused[i]));
    nr_json_set(object, "refused", refused);
    return object;
}

/* Addresses. */
static struct nr_json *ejected_json(struct nr_service *service)
{
    struct nr_json *list = nr_json_array();
    struct nr_instance_view view;

    for (uint32_t i = 0; i < nr_service_instance_count(service); i++) {
        nr_service_instance(service, i, &view);
        if (view.present && view.ejected)
            nr_json_push(list, nr_json_string(nr_span_of(view.text)));
    }
    return list;
}

struct nr_json *nr_policies_circuits_json(const struct nr_gateway *gateway, uint32_t number,
                                          uint64_t now_ns)
{
    struct nr_service *service = nr_gateway_service(gateway, number);
    uint32_t count = nr_service_circuit_count(service);
    struct nr_json *circuits = nr_json_array();

    for (uint32_t i = 0; i < count; i++) {
        struct nr_circuit_view circuit;

        nr_service_circuit(service, i, now_ns, &circuit);
        if (circuit.present)
            nr_json_push(circuits, circuit_json(gateway, service, &circuit));
    }
    return circuits;
}

struct nr_json *nr_policies_json(const struct nr_gateway *gateway, uint32_t number, uint64_t now_ns)
{
    struct nr_json *object = nr_json_object(), *retry = nr_json_object();
    struct nr_service *service = nr_gateway_service(gateway, number);
    struct nr_service_view view;

    nr_service_look(service, now_ns, &view);
    nr_json_set(retry, "made", nr_json_integer((int64_t)view.repeats));
    nr_json_set(retry, "unpaid", nr_json_integer((int64_t)view.repeats_unpaid));
    nr_json_set(retry, "budget_left", nr_json_integer((int64_t)view.retry_budget_left));
    nr_json_set(object, "retries", retry);
    nr_json_set(object, "bulkhead", bulkhead_json(&view));
    nr_json_set(object, "circuits", nr_policies_circuits_json(gateway, number, now_ns));
    nr_json_set(object, "ejected", ejected_json(service));
    return object;
}
