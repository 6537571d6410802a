/* SPDX-License-Identifier: Apache-2.0 */
/* instances.c - the set of instances as it changes: who comes, who goes, who is up.
 *
 * Changes are rare and come from one thread, so everything that takes time (comparing texts,
 * memory) is done before the lock is taken; under it remain a few stores per slot. Workers learn of
 * a change in two ways: the next pick sees the new set at once, and what they keep per instance
 * follows when their watch has been told (see struct nr_service_watch). */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "service/state.h"

enum nr_code nr_instance_spec_of(const struct nr_instance_conf *conf, struct nr_instance_spec *ret,
                                 struct nr_err *err)
{
    struct nr_instance_spec spec = {.text = conf->address.text.ptr,
                                    .weight = conf->weight,
                                    .priority = conf->priority,
                                    .zone = conf->zone.len > 0 ? conf->zone.ptr : NULL};

    if (conf->address.kind != NR_CONFIG_ADDRESS_NAME &&
        nr_addr_parse(spec.text, &spec.addr, err) != NR_OK)
        return nr_err_wrap(err, "instance '%s'", spec.text);
    *ret = spec;
    return NR_OK;
}

/* As many again may be leaving while others come. */
enum { ROOM_MAX = 2 * NR_INSTANCES_MAX };

/* ---- comparing, without the lock ---- */

/* What shall become of whom. */
struct plan {
    const struct nr_instance_spec *specs;
    uint32_t count;
    uint32_t *slot_of; /* per spec: the slot that it keeps; NR_INSTANCE_NONE: it is new */
    bool *stays;       /* per slot */
    char **texts;      /* per spec: a copy, if it is new */
    uint32_t *names;   /* per spec: taken from the roster, if it had none; … */
    uint32_t *old;     /* … per slot: to be given back to it; NULL: nothing */
    uint32_t added;
    uint32_t room; /* slots that `stays` is about */
};

/* A text listed twice means two instances, so each slot is claimed once. Also one that has left is
 * taken back while nobody else has its slot: then its last calls go on counting, and its pools need
 * not be made anew. Who is there comes first. */
static uint32_t find_slot(const struct nr_service *service, const struct plan *plan,
                          const char *text)
{
    uint32_t left = NR_INSTANCE_NONE;

    for (uint32_t i = 0; i < service->room; i++) {
        const struct nr_instance *instance = &service->instances[i];

        if (plan->stays[i] || instance->text == NULL || strcmp(instance->text, text) != 0)
            continue;
        if (instance->present)
            return i;
        left = i;
    }
    return left;
}

static void *zeroed(size_t count, size_t bytes)
{
    void *memory = calloc(count > 0 ? count : 1, bytes);

    nr_assert(memory != NULL);
    return memory;
}

static uint32_t name_of(const struct nr_service *service, const char *text)
{
    if (service->roster == NULL)
        return NR_ID_NONE;
    return nr_roster_take(service->roster, nr_span_of(text));
}

static void plan_make(struct plan *plan, const struct nr_service *service,
                      const struct nr_instance_spec *specs, uint32_t count)
{
    *plan = (struct plan){.specs = specs, .count = count, .room = service->room};
    plan->slot_of = zeroed(count, sizeof(*plan->slot_of));
    plan->stays = zeroed(service->room, sizeof(*plan->stays));
    plan->texts = zeroed(count, sizeof(*plan->texts));
    plan->names = zeroed(count, sizeof(*plan->names));
    plan->old = NULL;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = find_slot(service, plan, specs[i].text);

        plan->slot_of[i] = slot;
        plan->names[i] = NR_ID_NONE;
        if (slot == NR_INSTANCE_NONE || service->instances[slot].name == NR_ID_NONE)
            plan->names[i] = name_of(service, specs[i].text);
        if (slot != NR_INSTANCE_NONE) {
            plan->stays[slot] = true;
            continue;
        }
        plan->added++;
        plan->texts[i] = strdup(specs[i].text);
        nr_assert(plan->texts[i] != NULL);
    }
}

static bool is_local(const struct nr_service *service, const struct nr_instance_spec *spec)
{
    return spec->zone != NULL && nr_span_eq(service->conf->balance.zone, nr_span_of(spec->zone));
}

/* A look at DNS mostly finds what was there, and then nobody need be told. */
static bool changes_nothing(const struct nr_service *service, const struct plan *plan)
{
    if (plan->added > 0 || plan->count != service->present)
        return false;
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct nr_instance *instance = &service->instances[plan->slot_of[i]];
        const struct nr_instance_spec *spec = &plan->specs[i];

        if (!instance->present || instance->weight != (spec->weight > 0 ? spec->weight : 1) ||
            instance->priority != spec->priority || instance->local != is_local(service, spec))
            return false;
    }
    return true;
}

/* Texts and names that found a slot are the slot's now. */
static void plan_done(struct plan *plan, const struct nr_service *service)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        free(plan->texts[i]);
        if (service->roster != NULL)
            nr_roster_release(service->roster, plan->names[i]);
    }
    for (uint32_t i = 0; plan->old != NULL && service->roster != NULL && i < service->room; i++)
        nr_roster_release(service->roster, plan->old[i]);
    free(plan->names);
    free(plan->old);
    free(plan->slot_of);
    free(plan->stays);
    free(plan->texts);
}

/* ---- room ---- */

static bool is_free(const struct nr_service *service, uint32_t slot)
{
    return !service->instances[slot].present && service->hosts[slot].in_flight == 0;
}

/* Slots that a newcomer may have. Calls may only end meanwhile, so their number does not fall. */
static uint32_t count_free(struct nr_service *service, const struct plan *plan)
{
    uint32_t count = 0;

    nr_spinlock_lock(&service->lock);
    for (uint32_t i = 0; i < service->room; i++)
        count += is_free(service, i) && !plan->stays[i];
    nr_spinlock_unlock(&service->lock);
    return count;
}

static void grow(struct nr_service *service, uint32_t room)
{
    struct nr_instance *instances = zeroed(room, sizeof(*instances)), *old_instances;
    struct nr_balance_host *hosts = zeroed(room, sizeof(*hosts)), *old_hosts;
    struct nr_select_host *select = zeroed(room, sizeof(*select)), *old_select;
    struct nr_circuit *circuits = NULL, *old_circuits;
    struct nr_eject_host *ejects = NULL, *old_ejects;
    bool *told = NULL, *old_told;

    if (service->conf->breaker != NULL && service->conf->breaker->scope == NR_BREAKER_PER_INSTANCE)
        circuits = zeroed(room, sizeof(*circuits));
    if (service->conf->eject != NULL) {
        ejects = zeroed(room, sizeof(*ejects));
        told = zeroed(room, sizeof(*told));
    }
    nr_spinlock_lock(&service->lock);
    old_ejects = service->outliers.eject.hosts;
    old_told = service->outliers.told;
    old_circuits = service->circuits.slots;
    old_instances = service->instances;
    old_hosts = service->hosts;
    old_select = service->select;
    if (service->room > 0) {
        memcpy(instances, old_instances, service->room * sizeof(*instances));
        memcpy(hosts, old_hosts, service->room * sizeof(*hosts));
        if (circuits != NULL)
            memcpy(circuits, old_circuits, service->room * sizeof(*circuits));
    }
    for (uint32_t i = service->room; i < room; i++)
        instances[i].name = NR_ID_NONE;
    if (service->room > 0 && ejects != NULL) {
        memcpy(ejects, old_ejects, service->room * sizeof(*ejects));
        memcpy(told, old_told, service->room * sizeof(*told));
    }
    service->outliers.eject.hosts = ejects;
    service->outliers.told = told;
    service->circuits.slots = circuits;
    service->instances = instances;
    service->hosts = hosts;
    service->select = select;
    service->set.hosts = hosts;
    service->room = room;
    nr_spinlock_unlock(&service->lock);
    free(old_instances);
    free(old_hosts);
    free(old_select);
    free(old_circuits);
    free(old_ejects);
    free(old_told);
}

static enum nr_code make_room(struct nr_service *service, const struct plan *plan,
                              struct nr_err *err)
{
    uint32_t room = service->room, free_slots = count_free(service, plan);

    service->old_paths = realloc(service->old_paths, (service->old_path_count + plan->added + 1) *
                                                         sizeof(*service->old_paths));
    nr_assert(service->old_paths != NULL);
    if (plan->count > NR_INSTANCES_MAX)
        return nr_err_set(err, NR_ELIMIT, "%u instances; at most %d are supported", plan->count,
                          NR_INSTANCES_MAX);
    if (plan->added <= free_slots)
        return NR_OK;
    room += plan->added - free_slots;
    if (room > ROOM_MAX)
        return nr_err_set(err, NR_ELIMIT, "too many instances are still finishing their calls");
    if (room < service->room * 2)
        room = service->room * 2;
    grow(service, room < ROOM_MAX ? room : ROOM_MAX);
    return NR_OK;
}

/* ---- changing, with the lock held ---- */

/* A client that closes may still borrow the path of its Unix socket, so those stay; everybody
 * else's text can go: it is returned, to be freed outside the lock. */
static char *take_text(struct nr_service *service, struct nr_instance *instance)
{
    if (instance->addr.family != NR_ADDR_UNIX)
        return instance->text;
    service->old_paths[service->old_path_count++] = instance->text;
    return NULL;
}

static void describe(struct nr_service *service, uint32_t slot, const struct nr_instance_spec *spec)
{
    struct nr_instance *instance = &service->instances[slot];

    nr_assert(spec->priority < NR_TIERS_MAX);
    instance->weight = spec->weight > 0 ? spec->weight : 1;
    instance->priority = spec->priority;
    instance->local = is_local(service, spec);
}

/* The newcomer's own text outlives the spec, and a Unix path is borrowed from it. */
static struct nr_addr own_addr(const struct nr_instance_spec *spec, const char *text)
{
    struct nr_addr addr = spec->addr;

    if (addr.family == NR_ADDR_UNIX && nr_addr_parse(text, &addr, NULL) != NR_OK)
        nr_assert(!"what was parsed once can be parsed again");
    return addr;
}

/* Down at first, if so configured; the first check that passes is enough to change that. */
static void wait_for_check(const struct nr_service *service, struct nr_instance *instance)
{
    const struct nr_health_conf *conf = service->conf->health;

    if (conf == NULL || conf->initial != NR_HEALTH_INITIAL_DOWN)
        return;
    instance->health.state = NR_HEALTH_DOWN;
    instance->health.streak = conf->rise > 0 ? conf->rise - 1 : 0;
}

/* Returns the text of who had the slot before, to be freed outside the lock. */
static char *move_in(struct nr_service *service, uint32_t slot, const struct nr_instance_spec *spec,
                     char *text)
{
    struct nr_instance *instance = &service->instances[slot];
    char *old = take_text(service, instance);

    *instance = (struct nr_instance){
        .addr = own_addr(spec, text),
        .text = text,
        .generation = instance->generation + 1,
        .present = true,
        .own_weight = NR_WEIGHT_CONFIGURED,
        .name = service->roster == NULL ? slot : NR_ID_NONE,
    };
    nr_health_track_init(&instance->health);
    wait_for_check(service, instance);
    service->hosts[slot] = (struct nr_balance_host){.penalty = 1};
    if (service->circuits.slots != NULL)
        nr_circuit_init(service, &service->circuits.slots[slot], 0);
    describe(service, slot, spec);
    nr_service_make_token(service, instance);
    return old;
}

/* The balancer's sums over the slots, after any of them has changed. */
static void recount(struct nr_service *service)
{
    uint32_t count = service->room;

    while (count > 0 && is_free(service, count - 1))
        count--;
    service->present = 0;
    for (uint32_t i = 0; i < service->room; i++)
        if (!service->instances[i].present)
            nr_outlier_clear(service, i);
    service->outliers.eject.count = count;
    for (uint32_t i = 0; i < count; i++) {
        service->present += service->instances[i].present;
    }
    service->set.count = count;
    nr_service_steer(service);
}

/* Its last call is over: from now on only records tell of it. */
static void give_back_name(struct nr_service *service, struct plan *plan, uint32_t slot)
{
    struct nr_instance *instance = &service->instances[slot];

    plan->old[slot] = NR_ID_NONE;
    if (service->roster == NULL || !is_free(service, slot))
        return;
    plan->old[slot] = instance->name;
    instance->name = NR_ID_NONE;
}

static void take_name(struct nr_service *service, struct plan *plan, uint32_t spec, uint32_t slot)
{
    if (plan->names[spec] == NR_ID_NONE || service->instances[slot].name != NR_ID_NONE)
        return;
    service->instances[slot].name = plan->names[spec];
    plan->names[spec] = NR_ID_NONE;
}

static void apply(struct nr_service *service, struct plan *plan)
{
    uint32_t slot = 0;

    plan->old = zeroed(service->room, sizeof(*plan->old));
    nr_spinlock_lock(&service->lock);
    for (uint32_t i = 0; i < service->room; i++) {
        service->instances[i].present = i < plan->room && plan->stays[i];
        give_back_name(service, plan, i);
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        if (plan->slot_of[i] != NR_INSTANCE_NONE) {
            describe(service, plan->slot_of[i], &plan->specs[i]);
            take_name(service, plan, i, plan->slot_of[i]);
            continue;
        }
        while (!is_free(service, slot))
            slot++;
        nr_assert(slot < service->room);
        plan->texts[i] = move_in(service, slot, &plan->specs[i], plan->texts[i]);
        take_name(service, plan, i, slot);
    }
    recount(service);
    atomic_store_explicit(&service->epoch, nr_service_epoch(service) + 1, memory_order_relaxed);
    nr_spinlock_unlock(&service->lock);
}

/* ---- telling ---- */

static void watch_told(struct nr_op *op)
{
    struct nr_service_watch *watch = nr_container_of(op, struct nr_service_watch, op);

    if (watch->removing) { /* then the service may be gone, too */
        watch->removed(watch);
        return;
    }
    nr_spinlock_lock(&watch->service->lock);
    watch->posted = false;
    nr_spinlock_unlock(&watch->service->lock);
    watch->changed(watch);
}

static const struct nr_op_kind watch_kind = {watch_told, "service.changed"};

void nr_service_watch(struct nr_service *service, struct nr_io *io, struct nr_service_watch *watch)
{
    watch->service = service;
    watch->io = io;
    watch->posted = false;
    watch->removing = false;
    nr_op_init(&watch->op, &watch_kind);
    nr_link_init(&watch->link);
    if (io == NULL)
        return;
    nr_spinlock_lock(&service->lock);
    watch->epoch = nr_service_epoch(service);
    nr_list_push_back(&service->watches, &watch->link);
    nr_spinlock_unlock(&service->lock);
}

void nr_service_unwatch(struct nr_service_watch *watch)
{
    struct nr_service *service = watch->service;
    bool posted;

    nr_spinlock_lock(&service->lock);
    if (nr_link_linked(&watch->link))
        nr_list_remove(&watch->link);
    posted = watch->posted;
    watch->removing = true;
    nr_spinlock_unlock(&service->lock);
    if (!posted)
        watch->removed(watch);
}

/* The next watch that has not been told yet, marked as told. */
static struct nr_service_watch *next_untold(struct nr_service *service)
{
    struct nr_service_watch *found = NULL;

    nr_spinlock_lock(&service->lock);
    for (struct nr_link *link = service->watches.next; link != &service->watches;
         link = link->next) {
        struct nr_service_watch *watch = nr_container_of(link, struct nr_service_watch, link);

        if (watch->posted || watch->epoch == nr_service_epoch(service))
            continue;
        watch->posted = true;
        watch->epoch = nr_service_epoch(service);
        found = watch;
        break;
    }
    nr_spinlock_unlock(&service->lock);
    return found;
}

/* Posting is a system call, so it happens outside the lock. What is marked stays in memory until
 * its operation has run. */
static void tell(struct nr_service *service)
{
    struct nr_service_watch *watch;

    while ((watch = next_untold(service)) != NULL)
        nr_io_post(watch->io, &watch->op);
}

void nr_service_set_checker(struct nr_service *service, struct nr_service_watch *watch)
{
    nr_spinlock_lock(&service->lock);
    service->checker = watch;
    nr_spinlock_unlock(&service->lock);
}

void nr_service_doubt(struct nr_service *service, uint32_t instance)
{
    struct nr_service_watch *watch = NULL;
    struct nr_instance *doubted;

    nr_spinlock_lock(&service->lock);
    nr_assert(instance < service->room);
    doubted = &service->instances[instance];
    if (service->checker != NULL && doubted->present && !doubted->doubted &&
        doubted->health.state != NR_HEALTH_DOWN) {
        doubted->doubted = true;
        if (!service->checker->posted)
            watch = service->checker;
        service->checker->posted = true;
    }
    nr_spinlock_unlock(&service->lock);
    if (watch != NULL)
        nr_io_post(watch->io, &watch->op);
}

/* Pools prewarm who has come up. */
static void tell_of_health(struct nr_service *service)
{
    if (service->conf->pool.prewarm == 0)
        return;
    nr_spinlock_lock(&service->lock);
    atomic_store_explicit(&service->epoch, nr_service_epoch(service) + 1, memory_order_relaxed);
    nr_spinlock_unlock(&service->lock);
    tell(service);
}

enum nr_code nr_service_set_instances(struct nr_service *service,
                                      const struct nr_instance_spec *specs, uint32_t count,
                                      struct nr_err *err)
{
    enum nr_code code;
    struct plan plan;

    plan_make(&plan, service, specs, count);
    if (changes_nothing(service, &plan)) {
        plan_done(&plan, service);
        return NR_OK;
    }
    code = make_room(service, &plan, err);
    if (code == NR_OK)
        apply(service, &plan);
    plan_done(&plan, service);
    if (code != NR_OK)
        return code;
    nr_service_tables(service);
    tell(service);
    return NR_OK;
}

/* ---- names in records ---- */

void nr_service_enrol(struct nr_service *service, struct nr_roster *roster)
{
    if (service->roster == roster)
        return;
    nr_assert(service->roster == NULL);
    service->roster = nr_roster_ref(roster);
    for (uint32_t i = 0; i < service->room; i++) {
        struct nr_instance *instance = &service->instances[i];
        uint32_t name = instance->present ? name_of(service, instance->text) : NR_ID_NONE;

        nr_spinlock_lock(&service->lock);
        instance->name = name;
        nr_spinlock_unlock(&service->lock);
    }
}

void nr_service_strike(struct nr_service *service)
{
    for (uint32_t i = 0; service->roster != NULL && i < service->room; i++)
        nr_roster_release(service->roster, service->instances[i].name);
    nr_roster_unref(service->roster);
}

/* ---- one instance ---- */

struct nr_slot nr_service_slot(struct nr_service *service, uint32_t instance)
{
    struct nr_slot slot = {0};

    nr_spinlock_lock(&service->lock);
    if (instance < service->set.count) {
        const struct nr_instance *from = &service->instances[instance];

        slot = (struct nr_slot){from->generation, from->present, service->hosts[instance].up,
                                from->doubted,    from->addr,    from->health.state};
    }
    nr_spinlock_unlock(&service->lock);
    return slot;
}

uint32_t nr_service_instance_count(struct nr_service *service)
{
    uint32_t count;

    nr_spinlock_lock(&service->lock);
    count = service->set.count;
    nr_spinlock_unlock(&service->lock);
    return count;
}

void nr_service_set_address(struct nr_service *service, uint32_t instance,
                            const struct nr_addr *addr)
{
    nr_spinlock_lock(&service->lock);
    nr_assert(service->instances[instance].addr.family == NR_ADDR_NONE);
    service->instances[instance].addr = *addr;
    nr_service_steer(service);
    nr_spinlock_unlock(&service->lock);
    nr_service_tables(service);
    tell_of_health(service);
}

bool nr_service_address(struct nr_service *service, uint32_t instance, struct nr_addr *ret_addr)
{
    nr_spinlock_lock(&service->lock);
    nr_assert(instance < service->room);
    *ret_addr = service->instances[instance].addr;
    nr_spinlock_unlock(&service->lock);
    return ret_addr->family != NR_ADDR_NONE;
}

void nr_service_check_note(struct nr_service *service, uint32_t instance, const char *verdict,
                           uint16_t status)
{
    nr_spinlock_lock(&service->lock);
    nr_assert(instance < service->room);
    service->instances[instance].verdict = verdict;
    service->instances[instance].status = status;
    nr_spinlock_unlock(&service->lock);
}

void nr_service_check_result(struct nr_service *service, uint32_t instance,
                             const struct nr_health_rule *rule, bool ok)
{
    enum nr_health from, to;

    nr_spinlock_lock(&service->lock);
    from = service->instances[instance].health.state;
    service->instances[instance].doubted = false;
    if (nr_health_track_result(&service->instances[instance].health, rule, ok))
        nr_service_steer(service);
    to = service->instances[instance].health.state;
    nr_spinlock_unlock(&service->lock);
    if (from != to) {
        nr_service_tables(service);
        tell_of_health(service);
    }
    if (from != to && service->changed != NULL)
        service->changed(service->changed_ctx, service, instance, from, to);
}
