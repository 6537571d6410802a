/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/hand.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/living.h"

/* ---- life ---- */

static struct nr_route_hand *hand_new(struct nr_span name)
{
    struct nr_route_hand *hand = calloc(1, sizeof(*hand));

    nr_assert(hand != NULL);
    atomic_init(&hand->refs, 1);
    nr_spinlock_init(&hand->lock);
    hand->name = strndup(name.ptr, name.len);
    nr_assert(hand->name != NULL);
    return hand;
}

static struct nr_route_hand *hand_ref(struct nr_route_hand *hand)
{
    atomic_fetch_add_explicit(&hand->refs, 1, memory_order_relaxed);
    return hand;
}

void nr_route_hand_unref(struct nr_route_hand *hand)
{
    if (hand == NULL || atomic_fetch_sub_explicit(&hand->refs, 1, memory_order_acq_rel) != 1)
        return;
    nr_hand_faults_set(hand, &(struct nr_hand_faults){0});
    free(hand->name);
    free(hand);
}

void nr_hands_free(struct nr_gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->hand_count; i++)
        nr_route_hand_unref(gateway->hands[i]);
    free(gateway->hands);
}

/* ---- in a snapshot ---- */

static const struct nr_route_conf *route_named(const struct nr_gateway_snapshot *snapshot,
                                               struct nr_span name)
{
    for (uint32_t i = 0; i < snapshot->conf->route_count; i++)
        if (nr_span_eq(snapshot->conf->routes[i].name, name))
            return &snapshot->conf->routes[i];
    return NULL;
}

/* From now on its routes of that name have a guard that knows the hand. */
static void put_in(const struct nr_gateway_snapshot *snapshot, struct nr_route_hand *hand)
{
    for (uint32_t i = 0; i < snapshot->conf->route_count; i++) {
        struct nr_guard *guard = &snapshot->guards->routes[i];

        if (!nr_span_eq(snapshot->conf->routes[i].name, nr_span_of(hand->name)))
            continue;
        atomic_store_explicit(&guard->hand, hand_ref(hand), memory_order_release);
        atomic_store_explicit(&snapshot->routes[i].guard, guard, memory_order_release);
    }
}

struct nr_route_hand *nr_hand_of(struct nr_gateway *gateway, struct nr_span name)
{
    struct nr_route_hand *hand;

    for (uint32_t i = 0; i < gateway->hand_count; i++)
        if (nr_span_eq(nr_span_of(gateway->hands[i]->name), name))
            return gateway->hands[i];
    if (route_named(gateway->current, name) == NULL)
        return NULL;
    hand = hand_new(name);
    gateway->hands = realloc(gateway->hands, (gateway->hand_count + 1) * sizeof(void *));
    nr_assert(gateway->hands != NULL);
    gateway->hands[gateway->hand_count++] = hand;
    put_in(gateway->current, hand);
    return hand;
}

void nr_hands_adopt(struct nr_gateway *gateway, const struct nr_gateway_snapshot *snapshot,
                    const struct nr_gateway_snapshot *before)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < gateway->hand_count; i++) {
        struct nr_route_hand *hand = gateway->hands[i];
        const struct nr_route_conf *now = route_named(snapshot, nr_span_of(hand->name));
        const struct nr_route_conf *old = route_named(before, nr_span_of(hand->name));

        if (now == NULL) {
            nr_route_hand_unref(hand);
            continue;
        }
        gateway->hands[kept++] = hand;
        if (old == NULL || now->enabled != old->enabled)
            atomic_store_explicit(&hand->enabled, NR_SAID_NOTHING, memory_order_relaxed);
        if (old == NULL || !nr_hand_faults_same(now, old))
            nr_hand_faults_set(hand, &(struct nr_hand_faults){0});
        put_in(snapshot, hand);
    }
    gateway->hand_count = kept;
}

/* ---- what operators say ---- */

enum nr_code nr_gateway_route_enable(struct nr_gateway *gateway, struct nr_span name,
                                     enum nr_said said, struct nr_err *err)
{
    struct nr_route_hand *hand = nr_hand_of(gateway, name);

    if (hand == NULL)
        return nr_err_set(err, NR_ENOENT, "no route '%.*s'", (int)name.len, name.ptr);
    atomic_store_explicit(&hand->enabled, (uint8_t)said, memory_order_relaxed);
    return NR_OK;
}

bool nr_gateway_route(const struct nr_gateway *gateway, struct nr_span name, uint64_t now_ns,
                      struct nr_gateway_route_view *ret_view)
{
    const struct nr_route_conf *conf = route_named(gateway->current, name);

    if (conf == NULL)
        return false;
    *ret_view = (struct nr_gateway_route_view){.conf = conf, .enabled = conf->enabled};
    for (uint32_t i = 0; i < gateway->hand_count; i++) {
        const struct nr_route_hand *hand = gateway->hands[i];

        if (!nr_span_eq(nr_span_of(hand->name), name))
            continue;
        ret_view->enabled_said = nr_route_hand_enabled(hand);
        if (hand->faults.count > 0 && now_ns < hand->faults.until_ns) {
            ret_view->faults = hand->faults.text;
            ret_view->faults_until_ns = hand->faults.until_ns;
        }
    }
    if (ret_view->enabled_said != NR_SAID_NOTHING)
        ret_view->enabled = ret_view->enabled_said == NR_SAID_YES;
    return true;
}

uint32_t nr_gateway_route_hand_count(const struct nr_gateway *gateway)
{
    return gateway->hand_count;
}

struct nr_span nr_gateway_route_hand(const struct nr_gateway *gateway, uint32_t hand)
{
    nr_assert(hand < gateway->hand_count);
    return nr_span_of(gateway->hands[hand]->name);
}
