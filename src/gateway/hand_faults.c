/* SPDX-License-Identifier: Apache-2.0 */
/* hand_faults.c - faults on purpose that an operator puts on a route while it serves.
 *
 * They stand in for those of the configuration, in the very same notation, and end by themselves:
 * an exercise that somebody forgets must not become the next outage. Nothing has to happen for them
 * to end; whoever looks at them looks at the clock.
 *
 * A request takes a copy when it meets them. So a lock that is taken only while there are any is
 * all that guards them, and what an operator says next disturbs no request that has begun. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "config/section.h"
#include "gateway/hand.h"
#include "gateway/living.h"

/* ---- from text ---- */

struct faults_conf {
    struct nr_fault_conf *items;
    uint32_t count;
};

static const struct nr_schema_root faults_root = {
    .field = {.name = "faults",
              .type = NR_SCHEMA_SECTIONS,
              NR_SCHEMA_MANY(struct faults_conf, items, count),
              .section = &nr_fault_schema,
              .doc = "Faults by hand."},
    .bytes = sizeof(struct faults_conf),
};

static enum nr_code load(struct nr_span text, struct nr_hand_faults *ret_faults, struct nr_err *err)
{
    static const struct nr_schema_root *const root = &faults_root;
    static const struct nr_config_source no_source = {0};
    struct nr_hand_faults faults = {0};
    const struct faults_conf *conf;
    struct nr_arena arena;
    struct nr_diags diags;
    enum nr_code code;

    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 1);
    code = nr_config_load_value(&root, &no_source, "faults", text, &diags, &faults.config);
    if (code != NR_OK)
        code = nr_err_set(err, NR_EINVAL, "%s: %s", diags.items[0].path, diags.items[0].text);
    nr_arena_done(&arena);
    if (code != NR_OK)
        return code;
    conf = nr_config_get(faults.config, &faults_root);
    faults.items = conf->items;
    faults.count = conf->count;
    *ret_faults = faults;
    return NR_OK;
}

/* ---- in a hand ---- */

void nr_hand_faults_set(struct nr_route_hand *hand, const struct nr_hand_faults *faults)
{
    struct nr_hand_faults old = hand->faults;

    nr_spinlock_lock(&hand->lock);
    hand->faults = *faults;
    atomic_store_explicit(&hand->faulty, faults->count > 0, memory_order_relaxed);
    nr_spinlock_unlock(&hand->lock);
    nr_config_unref(old.config);
    free((char *)(uintptr_t)old.text.ptr);
}

/* With the lock held. */
static struct nr_fault_conf *copy(const struct nr_hand_faults *faults, struct nr_arena *arena)
{
    struct nr_fault_conf *copies = nr_arena_alloc(arena, faults->count * sizeof(*copies));

    for (uint32_t i = 0; i < faults->count; i++) {
        copies[i] = faults->items[i];
        copies[i].at = (struct nr_section){0};
        if (copies[i].header.len > 0)
            copies[i].header = nr_arena_dup(arena, copies[i].header);
    }
    return copies;
}

const struct nr_fault_conf *nr_hand_faults_copy(struct nr_route_hand *hand, uint64_t now_ns,
                                                struct nr_arena *arena, uint32_t *ret_count)
{
    const struct nr_fault_conf *copies = NULL;

    nr_spinlock_lock(&hand->lock);
    if (hand->faults.count > 0 && now_ns < hand->faults.until_ns) {
        copies = copy(&hand->faults, arena);
        *ret_count = hand->faults.count;
    } else { /* over: nobody needs to look again */
        atomic_store_explicit(&hand->faulty, false, memory_order_relaxed);
    }
    nr_spinlock_unlock(&hand->lock);
    return copies;
}

bool nr_hand_faults_same(const struct nr_route_conf *a, const struct nr_route_conf *b)
{
    if (a->fault_count != b->fault_count)
        return false;
    for (uint32_t i = 0; i < a->fault_count; i++)
        if (!nr_section_equal(&nr_fault_schema, &a->faults[i], &b->faults[i]))
            return false;
    return true;
}

/* ---- what operators say ---- */

enum nr_code nr_gateway_route_fault(struct nr_gateway *gateway, struct nr_span name,
                                    struct nr_span faults, uint64_t until_ns, struct nr_err *err)
{
    struct nr_hand_faults said = {0};
    struct nr_route_hand *hand;

    if (faults.len > 0 && load(faults, &said, err) != NR_OK)
        return err->code;
    hand = nr_hand_of(gateway, name);
    if (hand == NULL) {
        nr_config_unref(said.config);
        return nr_err_set(err, NR_ENOENT, "no route '%.*s'", (int)name.len, name.ptr);
    }
    said.until_ns = until_ns;
    if (said.count > 0) {
        said.text = nr_span_of(strndup(faults.ptr, faults.len));
        nr_assert(said.text.ptr != NULL);
        gateway->faults_said = true;
    }
    nr_hand_faults_set(hand, &said);
    return NR_OK;
}
