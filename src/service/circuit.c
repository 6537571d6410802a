/* SPDX-License-Identifier: Apache-2.0 */
/* circuit.c - the circuit breakers of a service: one per instance, one for all, or one per route.
 *
 * They are asked behind the balancer, with the lock held: the balancer proposes an instance, its
 * circuit says yes or no, and who is refused is hidden from the balancer until somebody is
 * found or nobody is left. So a closed circuit costs a pick one look at one breaker, and only open
 * ones cost more. When all are certain to refuse until a known moment, that moment is kept, and
 * until then a pick costs one comparison.
 *
 * Who may be probed is proposed before the balancer is asked. P2C would not: it remembers how badly
 * the instance did, and with little to do it takes the other one of two for half a minute more, and
 * again when the circuit has closed. So an instance whose circuit closes starts as one of which
 * nothing is known.
 *
 * Routes are told by the ids of records, which stay the same from one configuration to the next.
 * Their breakers are made when a route first calls, before the lock is taken. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/reason.h"
#include "service/state.h"

enum { HIDDEN_UP = 1, HIDDEN_ABLE = 2, ROUTES_MAX = 1 << 18, DUE_AGAIN_NS = 100 * 1000 * 1000 };

void nr_circuit_init(struct nr_service *service, struct nr_circuit *circuit, uint64_t now_ns)
{
    *circuit = (struct nr_circuit){0};
    nr_breaker_init(&circuit->breaker, now_ns);
    if (service->conf->breaker->observe_only)
        circuit->breaker.mode = NR_BREAKER_OBSERVE;
    if (service->circuits.all != NR_BREAKER_AUTO)
        circuit->breaker.mode = service->circuits.all;
}

void nr_circuits_free(struct nr_circuits *circuits)
{
    for (uint32_t i = 0; i < circuits->route_room; i++)
        free(circuits->routes[i]);
    free(circuits->routes);
    free(circuits->slots);
}

/* ---- which one ---- */

/* NULL: there is none (of a route that has never called). */
static struct nr_circuit *circuit_of(struct nr_service *service, uint32_t instance, uint32_t route)
{
    struct nr_circuits *circuits = &service->circuits;

    switch ((enum nr_breaker_scope)service->conf->breaker->scope) {
    case NR_BREAKER_PER_INSTANCE: return &circuits->slots[instance];
    case NR_BREAKER_PER_SERVICE: return &circuits->one;
    case NR_BREAKER_PER_ROUTE: break;
    }
    route = route < ROUTES_MAX ? route : 0; /* a call of no route */
    return route < circuits->route_room ? circuits->routes[route] : NULL;
}

/* Returns what is no longer needed. */
static void *put_route(struct nr_circuits *circuits, struct nr_circuit **room, uint32_t count,
                       uint32_t route, struct nr_circuit *circuit)
{
    void *old = room;

    if (circuits->route_room < count) {
        if (circuits->route_room > 0)
            memcpy(room, circuits->routes, circuits->route_room * sizeof(struct nr_circuit *));
        old = circuits->routes;
        circuits->routes = room;
        circuits->route_room = count;
    }
    if (circuits->routes[route] != NULL) { /* somebody was faster */
        free(circuit);
        return old;
    }
    circuits->routes[route] = circuit;
    return old;
}

void nr_circuit_prepare(struct nr_service *service, uint32_t route, uint64_t now_ns)
{
    struct nr_circuit *circuit, **room;
    bool known;
    void *old;

    route = route < ROUTES_MAX ? route : 0;
    nr_spinlock_lock(&service->lock);
    known = circuit_of(service, 0, route) != NULL;
    nr_spinlock_unlock(&service->lock);
    if (known)
        return;
    circuit = malloc(sizeof(*circuit));
    room = calloc(route + 16, sizeof(struct nr_circuit *));
    nr_assert(circuit != NULL && room != NULL);
    nr_spinlock_lock(&service->lock);
    nr_circuit_init(service, circuit, now_ns);
    old = put_route(&service->circuits, room, route + 16, route, circuit);
    nr_spinlock_unlock(&service->lock);
    free(old);
}

/* ---- changes of state ---- */

/* Something has happened to the circuit: tell, if it has changed. */
static void notice(struct nr_service *service, struct nr_circuit *circuit, uint32_t before,
                   uint32_t instance, uint32_t route)
{
    const struct nr_breaker *b = &circuit->breaker;
    uint32_t scope = service->conf->breaker->scope;

    if (nr_likely(b->epoch == before))
        return;
    circuit->moves[b->state]++;
    service->circuits.shut_until_ns = 0;
    service->circuits.due_ns = 0;
    nr_service_notice(
        service, &(struct nr_notice){
                     .kind = NR_NOTICE_CIRCUIT,
                     .state = (uint8_t)b->state,
                     .observed = b->mode == NR_BREAKER_OBSERVE,
                     .instance = scope == NR_BREAKER_PER_INSTANCE ? instance : NR_INSTANCE_NONE,
                     .route = scope == NR_BREAKER_PER_ROUTE ? route : NR_ID_NONE,
                     .lasts_ns = b->state == NR_BREAKER_OPEN ? b->until_ns - b->since_ns : 0,
                 });
}

static bool ask(struct nr_service *service, uint32_t instance, struct nr_random *random,
                struct nr_pick *pick)
{
    struct nr_circuit *circuit = circuit_of(service, instance, pick->route);
    struct nr_breaker *b;
    uint32_t before;
    enum nr_breaker_verdict verdict;

    nr_assert(circuit != NULL);
    b = &circuit->breaker;
    before = b->epoch;
    verdict =
        nr_breaker_allow(b, &service->conf->breaker->policy, pick->now_ns, random, &pick->ticket);
    notice(service, circuit, before, instance, pick->route);
    if (verdict == NR_BREAKER_REFUSE) {
        circuit->refused++;
        return false;
    }
    if (verdict == NR_BREAKER_WOULD_REFUSE) {
        circuit->refused++;
        pick->flags |= NR_RECORD_WOULD_OPEN;
    } else if (b->state == NR_BREAKER_HALF_OPEN) {
        pick->flags |= NR_RECORD_PROBE;
    }
    return true;
}

void nr_circuit_report(struct nr_service *service, const struct nr_outcome *report,
                       struct nr_random *random)
{
    struct nr_circuit *circuit = circuit_of(service, report->instance, report->route);
    enum nr_breaker_result result = report->latency_ns == 0 ? NR_BREAKER_IGNORED
                                    : report->ok            ? NR_BREAKER_OK
                                                            : NR_BREAKER_FAILED;
    uint32_t before;

    if (circuit == NULL || report->ticket == NR_BREAKER_TICKET_NONE)
        return;
    before = circuit->breaker.epoch;
    nr_breaker_report(&circuit->breaker, &service->conf->breaker->policy, report->ticket,
                      report->now_ns, random, result, report->latency_ns);
    if (circuit->breaker.state == NR_BREAKER_HALF_OPEN && result == NR_BREAKER_IGNORED) {
        service->circuits.shut_until_ns = 0; /* its permit is back */
        service->circuits.due_ns = 0;
    }
    if (circuit->breaker.epoch != before && circuit->breaker.state == NR_BREAKER_CLOSED &&
        service->conf->breaker->scope == NR_BREAKER_PER_INSTANCE)
        nr_balance_forget(&service->hosts[report->instance]);
    notice(service, circuit, before, report->instance, report->route);
}

/* ---- picking ---- */

static void hide(struct nr_service *service, uint32_t i)
{
    struct nr_instance *instance = &service->instances[i];
    struct nr_balance_host *host = &service->hosts[i];

    instance->hidden = (uint8_t)((host->up ? HIDDEN_UP : 0) | (instance->able ? HIDDEN_ABLE : 0));
    if (host->up) {
        host->up = false;
        service->set.up--;
        service->set.weight_up -= host->weight;
    }
    instance->able = false;
}

static void show_all(struct nr_service *service)
{
    for (uint32_t i = 0; i < service->set.count; i++) {
        struct nr_instance *instance = &service->instances[i];
        struct nr_balance_host *host = &service->hosts[i];

        if (instance->hidden == 0)
            continue;
        if ((instance->hidden & HIDDEN_UP) != 0) {
            host->up = true;
            service->set.up++;
            service->set.weight_up += host->weight;
        }
        instance->able = (instance->hidden & HIDDEN_ABLE) != 0;
        instance->hidden = 0;
    }
}

/* How long the one that opens first is certain to refuse; 0: one of them may let pass any time. */
static uint64_t least_wait_ns(struct nr_service *service, uint32_t route, uint64_t now_ns)
{
    uint64_t least = UINT64_MAX;

    if (service->conf->breaker->scope != NR_BREAKER_PER_INSTANCE)
        return nr_breaker_wait_ns(&circuit_of(service, 0, route)->breaker, now_ns);
    for (uint32_t i = 0; i < service->set.count; i++) {
        uint64_t wait_ns;

        if (service->instances[i].hidden == 0)
            continue;
        wait_ns = nr_breaker_wait_ns(&service->circuits.slots[i].breaker, now_ns);
        least = wait_ns < least ? wait_ns : least;
    }
    return least == UINT64_MAX ? 0 : least;
}

/* Has an operator opened one of those that refuse? */
static bool is_forced(struct nr_service *service, uint32_t route)
{
    if (service->conf->breaker->scope != NR_BREAKER_PER_INSTANCE)
        return circuit_of(service, 0, route)->breaker.mode == NR_BREAKER_FORCED_OPEN;
    for (uint32_t i = 0; i < service->set.count; i++)
        if (service->instances[i].hidden != 0 &&
            service->circuits.slots[i].breaker.mode == NR_BREAKER_FORCED_OPEN)
            return true;
    return false;
}

static void refuse(struct nr_service *service, struct nr_pick *pick)
{
    pick->reason = NR_REASON_CIRCUIT_OPEN;
    if (is_forced(service, pick->route))
        pick->flags |= NR_RECORD_BY_HAND;
    pick->wait_ns = least_wait_ns(service, pick->route, pick->now_ns);
    if (service->conf->breaker->scope == NR_BREAKER_PER_INSTANCE && pick->wait_ns > 0)
        service->circuits.shut_until_ns = pick->now_ns + pick->wait_ns;
}

bool nr_circuit_is_shut(struct nr_service *service, struct nr_pick *pick)
{
    uint64_t until_ns = service->circuits.shut_until_ns;

    if (service->conf->breaker->scope != NR_BREAKER_PER_INSTANCE)
        until_ns = pick->now_ns + least_wait_ns(service, pick->route, pick->now_ns);
    if (pick->now_ns >= until_ns)
        return false;
    pick->reason = NR_REASON_CIRCUIT_OPEN;
    pick->wait_ns = until_ns - pick->now_ns;
    return true;
}

/* An instance that takes calls and whose circuit lets a probe pass. Who is looked at in vain (all
 * its probes are out, or it is down as well) is looked at again a little later. */
static uint32_t due_for_probe(struct nr_service *service, const struct nr_pick *pick)
{
    uint64_t next_ns = NR_TIME_NEVER;

    for (uint32_t i = 0; i < service->set.count; i++) {
        const struct nr_breaker *b = &service->circuits.slots[i].breaker;
        uint64_t again_ns = nr_breaker_wait_ns(b, pick->now_ns);

        if (b->state == NR_BREAKER_CLOSED || b->mode != NR_BREAKER_AUTO)
            continue;
        if (again_ns == 0 && service->hosts[i].up &&
            (b->state == NR_BREAKER_OPEN || b->permits > 0))
            return i;
        again_ns = pick->now_ns + (again_ns > 0 ? again_ns : DUE_AGAIN_NS);
        next_ns = again_ns < next_ns ? again_ns : next_ns;
    }
    service->circuits.due_ns = next_ns;
    return NR_BALANCE_NONE;
}

/* Only with a first attempt that would go anywhere. */
static uint32_t probe(struct nr_service *service, struct nr_random *random, struct nr_pick *pick)
{
    uint32_t instance;

    if (nr_likely(pick->now_ns < service->circuits.due_ns) || pick->has_key || pick->repeat)
        return NR_BALANCE_NONE;
    instance = due_for_probe(service, pick);
    return instance != NR_BALANCE_NONE && ask(service, instance, random, pick) ? instance
                                                                               : NR_BALANCE_NONE;
}

uint32_t nr_circuit_choose(struct nr_service *service, struct nr_random *random,
                           struct nr_pick *pick, nr_service_choose_fn choose)
{
    bool each = service->conf->breaker->scope == NR_BREAKER_PER_INSTANCE, refused = false;
    uint32_t instance = each ? probe(service, random, pick) : NR_BALANCE_NONE;

    if (instance != NR_BALANCE_NONE)
        return instance;
    while ((instance = choose(service, random, pick)) != NR_BALANCE_NONE &&
           !ask(service, instance, random, pick)) {
        refused = true;
        if (!each)
            break;
        hide(service, instance);
    }
    if (nr_likely(!refused))
        return instance;
    if (instance == NR_BALANCE_NONE || !each) {
        refuse(service, pick);
        instance = NR_BALANCE_NONE;
    }
    show_all(service);
    return instance;
}

/* ---- by hand ---- */

static void force(const struct nr_service *service, struct nr_circuit *circuit,
                  enum nr_breaker_mode mode, uint64_t now_ns)
{
    if (mode == NR_BREAKER_AUTO && service->conf->breaker->observe_only)
        mode = NR_BREAKER_OBSERVE;
    nr_breaker_force(&circuit->breaker, mode, now_ns);
}

/* With the lock held. */
static bool force_those(struct nr_service *service, uint32_t which, enum nr_breaker_mode mode,
                        uint64_t now_ns)
{
    struct nr_circuits *circuits = &service->circuits;
    bool found = false, all = which == NR_CIRCUIT_ALL;

    if (service->conf->breaker->scope == NR_BREAKER_PER_SERVICE) {
        force(service, &circuits->one, mode, now_ns);
        return true;
    }
    for (uint32_t i = 0; circuits->slots != NULL && i < service->set.count; i++)
        if (service->instances[i].present && (all || which == i)) {
            force(service, &circuits->slots[i], mode, now_ns);
            found = true;
        }
    for (uint32_t i = 0; i < circuits->route_room; i++)
        if (circuits->routes[i] != NULL && (all || which == i)) {
            force(service, circuits->routes[i], mode, now_ns);
            found = true;
        }
    return found || all;
}

bool nr_service_breaker_force(struct nr_service *service, uint32_t which, enum nr_breaker_mode mode,
                              uint64_t now_ns)
{
    bool all = which == NR_CIRCUIT_ALL, found;
    struct nr_io *bell = NULL;

    if (service->conf->breaker == NULL)
        return false;
    if (service->by_route && !all)
        nr_circuit_prepare(service, which, now_ns);
    nr_spinlock_lock(&service->lock);
    found = force_those(service, which, mode, now_ns);
    if (found) {
        service->circuits.shut_until_ns = 0;
        service->circuits.all = all ? mode : NR_BREAKER_AUTO;
        nr_service_notice(service,
                          &(struct nr_notice){
                              .kind = NR_NOTICE_FORCED,
                              .state = (uint8_t)mode,
                              .observed = all,
                              .instance = service->by_route || all ? NR_INSTANCE_NONE : which,
                              .route = service->by_route && !all ? which : NR_ID_NONE,
                          });
        bell = nr_service_bell(service);
    }
    nr_spinlock_unlock(&service->lock);
    nr_service_ring(service, bell);
    return found;
}

enum nr_breaker_mode nr_service_breaker_forced(struct nr_service *service)
{
    enum nr_breaker_mode mode;

    nr_spinlock_lock(&service->lock);
    mode = service->circuits.all;
    nr_spinlock_unlock(&service->lock);
    return mode;
}

/* ---- looking ---- */

static uint32_t circuit_count(const struct nr_service *service)
{
    switch ((enum nr_breaker_scope)service->conf->breaker->scope) {
    case NR_BREAKER_PER_INSTANCE: return service->set.count;
    case NR_BREAKER_PER_SERVICE: return 1;
    case NR_BREAKER_PER_ROUTE: break;
    }
    return service->circuits.route_room;
}

uint32_t nr_service_circuit_count(struct nr_service *service)
{
    uint32_t count;

    if (service->conf->breaker == NULL)
        return 0;
    nr_spinlock_lock(&service->lock);
    count = circuit_count(service);
    nr_spinlock_unlock(&service->lock);
    return count;
}

/* With the lock held. */
static void look(struct nr_service *service, uint32_t which, uint64_t now_ns,
                 struct nr_circuit_view *ret_view)
{
    uint32_t scope = service->conf->breaker->scope;
    struct nr_circuit *circuit = circuit_of(service, which, which);

    if (circuit == NULL || (scope == NR_BREAKER_PER_INSTANCE && !service->instances[which].present))
        return;
    ret_view->present = true;
    ret_view->instance = scope == NR_BREAKER_PER_INSTANCE ? which : NR_INSTANCE_NONE;
    ret_view->route = scope == NR_BREAKER_PER_ROUTE ? which : NR_ID_NONE;
    ret_view->state =
        circuit->breaker.mode == NR_BREAKER_FORCED_OPEN ? NR_BREAKER_OPEN : circuit->breaker.state;
    ret_view->mode = circuit->breaker.mode;
    ret_view->refused = circuit->refused;
    ret_view->wait_ns = nr_breaker_wait_ns(&circuit->breaker, now_ns);
    memcpy(ret_view->moves, circuit->moves, sizeof(ret_view->moves));
    ret_view->window = nr_breaker_look(&circuit->breaker, &service->conf->breaker->policy, now_ns);
}

void nr_service_circuit(struct nr_service *service, uint32_t which, uint64_t now_ns,
                        struct nr_circuit_view *ret_view)
{
    *ret_view = (struct nr_circuit_view){0};
    if (service->conf->breaker == NULL)
        return;
    nr_spinlock_lock(&service->lock);
    if (which < circuit_count(service))
        look(service, which, now_ns, ret_view);
    nr_spinlock_unlock(&service->lock);
}

/* ---- a successor ---- */

/* What an operator has said stays said; what the configuration says is the new one's. */
static void inherit(struct nr_circuit *circuit, const struct nr_circuit *from)
{
    enum nr_breaker_mode mode = circuit->breaker.mode;

    *circuit = *from;
    nr_breaker_inherit(&circuit->breaker, &from->breaker);
    if (!nr_breaker_by_hand(from->breaker.mode))
        circuit->breaker.mode = mode;
}

bool nr_circuits_alike(const struct nr_service *to, const struct nr_service *from)
{
    return to->conf->breaker != NULL && from->conf->breaker != NULL &&
           to->conf->breaker->scope == from->conf->breaker->scope;
}

void nr_circuit_inherit(struct nr_service *to, uint32_t instance, const struct nr_circuit *from)
{
    if (to->circuits.slots != NULL)
        inherit(&to->circuits.slots[instance], from);
}

/* What holds for all holds for those that the predecessor did not have, too. */
static void inherit_all(struct nr_service *to, struct nr_service *from)
{
    enum nr_breaker_mode mode = nr_service_breaker_forced(from);

    if (mode == NR_BREAKER_AUTO || !nr_circuits_alike(to, from))
        return;
    nr_spinlock_lock(&to->lock);
    to->circuits.all = mode;
    (void)force_those(to, NR_CIRCUIT_ALL, mode, 0);
    nr_spinlock_unlock(&to->lock);
}

void nr_circuits_inherit(struct nr_service *to, struct nr_service *from)
{
    struct nr_circuit *copy = malloc(sizeof(*copy));

    nr_assert(copy != NULL);
    for (uint32_t i = 0; nr_circuits_alike(to, from); i++) {
        struct nr_circuit *circuit = NULL;
        uint32_t count;

        nr_spinlock_lock(&from->lock);
        count = from->conf->breaker->scope == NR_BREAKER_PER_INSTANCE ? 0 : circuit_count(from);
        if (i < count)
            circuit = circuit_of(from, i, i);
        if (circuit != NULL)
            *copy = *circuit;
        nr_spinlock_unlock(&from->lock);
        if (i >= count)
            break;
        if (circuit == NULL)
            continue;
        if (to->conf->breaker->scope == NR_BREAKER_PER_ROUTE)
            nr_circuit_prepare(to, i, 0);
        nr_spinlock_lock(&to->lock);
        inherit(circuit_of(to, i, i), copy);
        nr_spinlock_unlock(&to->lock);
    }
    free(copy);
    inherit_all(to, from);
}
