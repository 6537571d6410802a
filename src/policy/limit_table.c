/* SPDX-License-Identifier: Apache-2.0 */
/* limit_table.c - sets of sixteen slots, and who goes when a set is full.
 *
 * At a million keys the table is larger than every cache, so a decision costs what its cache
 * misses cost. Hence: slots of 32 bytes, two to a line; a key's hash names its set and a line in
 * it, its home; the search starts there and goes round. With half of the slots taken it nearly
 * always ends in the first line or its neighbour, which the memory brings along.
 *
 *      set:  | 0 1 | 2 3 | 4 5 | 6 7 | 8 9 | … | 14 15 |     one line = two slots
 *                          ^ home: 4, 5, 6, … 15, 0, … 3
 *
 * A slot that was ever used is never empty again, only taken over; so the first slot that
 * was never used ends a search: the key is not here. A new key takes the first slot on its way
 * that was never used or that has nothing left to remember (its key is as if never used), which
 * keeps ways short without any sweeping in the background.
 *
 * If there is none, the set is full, and somebody loses his history: the key with the largest
 * share of its allowance left, each measured by its own tier; of equals, the one that will
 * have forgotten first. What that costs is bounded: the one who goes gets back the little
 * that he had used. Had the oldest or a random one to go, an attacker could free himself of a
 * block by making up sixteen keys. (He can't know which keys share a set either: the hash is
 * keyed.)
 *
 * One state is written only after all levels have allowed, and keys that are new are made last,
 * so no level can lose the slot that it was about to write. */
#include "policy/limit_table.h"

#include "base/assert.h"
#include "base/compiler.h"

enum { WAYS = 16, SLOTS_PER_KEY = 2 };

struct slot {
    uint64_t key;
    uint64_t mark; /* 56 more bits of the key, and tier + 1; 0: never used */
    union nr_limit_state state;
};

_Static_assert(sizeof(struct slot) * 2 == NR_CACHE_LINE_BYTES, "two slots to a line");
_Static_assert(sizeof(struct slot) * SLOTS_PER_KEY <= 64, "64 bytes per key");
_Static_assert(NR_LIMIT_TIERS_MAX < 255, "tier + 1 is a byte");

static const union nr_limit_state never_used;

static size_t slot_bytes(uint32_t log_units)
{
    return sizeof(struct slot) + sizeof(uint64_t) * log_units;
}

size_t nr_limit_table_bytes(uint32_t keys, uint32_t log_units)
{
    size_t sets = ((size_t)keys * SLOTS_PER_KEY + WAYS - 1) / WAYS;

    return (sets > 0 ? sets : 1) * WAYS * slot_bytes(log_units);
}

void nr_limit_table_init(struct nr_limit_table *table, void *memory, size_t bytes,
                         uint32_t log_units)
{
    size_t sets = bytes / (WAYS * slot_bytes(log_units));

    nr_assert((uintptr_t)memory % NR_CACHE_LINE_BYTES == 0);
    nr_assert(sets > 0 && sets <= UINT32_MAX && slot_bytes(log_units) <= UINT32_MAX);
    *table = (struct nr_limit_table){
        .slots = memory, .sets = (uint32_t)sets, .slot_bytes = (uint32_t)slot_bytes(log_units)};
}

static uint32_t set_of(const struct nr_limit_table *table, struct nr_hash128 key)
{
    return (uint32_t)(((unsigned __int128)key.lo * table->sets) >> 64);
}

static uint32_t home(struct nr_hash128 key)
{
    return (uint32_t)(key.hi >> 8) & (WAYS - 2); /* even: the start of a line */
}

static unsigned char *slots_of(const struct nr_limit_table *table, uint32_t set)
{
    return table->slots + (size_t)set * WAYS * table->slot_bytes;
}

/* The i-th slot on the key's way. */
static struct slot *slot_at(const struct nr_limit_table *table, unsigned char *set, uint32_t from,
                            uint32_t i)
{
    return (struct slot *)(void *)(set + (size_t)((from + i) % WAYS) * table->slot_bytes);
}

void nr_limit_table_aim(struct nr_limit_use *use)
{
    const struct nr_limit_table *table = use->table;

    use->set = set_of(table, use->key);
    __builtin_prefetch(slot_at(table, slots_of(table, use->set), home(use->key), 0), 1);
}

static bool is_of(const struct slot *slot, struct nr_hash128 key)
{
    return slot->key == key.lo && (slot->mark ^ key.hi) >> 8 == 0;
}

static struct slot *find(const struct nr_limit_table *table, uint32_t number, struct nr_hash128 key)
{
    unsigned char *set = slots_of(table, number);
    uint32_t from = home(key);

    for (uint32_t i = 0; i < WAYS; i++) {
        struct slot *slot = slot_at(table, set, from, i);

        if (slot->mark == 0)
            return NULL;
        if (is_of(slot, key))
            return slot;
    }
    return NULL;
}

/* How the key in the slot stands, by its own tier (the last one, if a reload has dropped it). */
static void look_at(const struct slot *slot, const struct nr_limit_use *use, uint64_t now_ns,
                    struct nr_limit_verdict *ret_verdict)
{
    uint32_t tier = (uint32_t)(slot->mark & 0xff) - 1;

    if (tier >= use->tier_count)
        tier = use->tier_count - 1u;
    nr_limit_check(&slot->state, &use->tiers[tier], now_ns, 0, ret_verdict);
}

static bool is_fuller(const struct nr_limit_verdict *a, const struct nr_limit_verdict *b)
{
    uint64_t share_a = (uint64_t)a->remaining * b->limit;
    uint64_t share_b = (uint64_t)b->remaining * a->limit;

    return share_a != share_b ? share_a > share_b : a->reset_ns < b->reset_ns;
}

/* Whose place a new key takes. */
static struct slot *make_room(const struct nr_limit_use *use, uint64_t now_ns, bool *ret_evicted)
{
    unsigned char *set = slots_of(use->table, use->set);
    uint32_t from = home(use->key);
    struct slot *fullest = NULL;
    struct nr_limit_verdict best;

    *ret_evicted = false;
    for (uint32_t i = 0; i < WAYS; i++) {
        struct slot *slot = slot_at(use->table, set, from, i);
        struct nr_limit_verdict stands;

        if (slot->mark == 0)
            return slot;
        look_at(slot, use, now_ns, &stands);
        if (stands.reset_ns == 0)
            return slot;
        if (fullest == NULL || is_fuller(&stands, &best)) {
            fullest = slot;
            best = stands;
        }
    }
    *ret_evicted = true;
    return fullest;
}

static const struct nr_limit_conf *conf_of(const struct nr_limit_use *use)
{
    return &use->tiers[use->tier];
}

static void charge(const struct nr_limit_use *use, struct slot *slot, uint64_t now_ns)
{
    slot->mark = (use->key.hi & ~(uint64_t)0xff) | (use->tier + 1u);
    nr_limit_consume(&slot->state, conf_of(use), now_ns, use->cost);
}

static void charge_new(struct nr_limit_use *use, uint64_t now_ns)
{
    struct slot *slot = make_room(use, now_ns, &use->evicted);

    use->settled = slot->mark == 0;
    slot->key = use->key.lo;
    slot->state = never_used;
    charge(use, slot, now_ns);
}

static void check(struct nr_limit_use *use, const struct slot *slot, uint64_t now_ns)
{
    const union nr_limit_state *state = slot != NULL ? &slot->state : &never_used;
    uint64_t wait_ns;

    nr_limit_check(state, conf_of(use), now_ns, use->cost, &use->verdict);
    wait_ns = use->verdict.wait_ns;
    if (nr_likely(wait_ns <= use->wait_ns_max || use->wait_ns_max == 0))
        return;
    nr_limit_check(state, conf_of(use), now_ns, 0, &use->verdict); /* the line stays as it is */
    use->verdict.allowed = false;
    use->verdict.retry_ns = wait_ns - use->wait_ns_max;
}

/* The usual case: one limit, one search. */
static bool take_one(struct nr_limit_use *use, uint64_t now_ns)
{
    struct slot *slot = find(use->table, use->set, use->key);

    check(use, slot, now_ns);
    if (!use->verdict.allowed)
        return false;
    if (slot != NULL)
        charge(use, slot, now_ns);
    else if (use->cost > 0)
        charge_new(use, now_ns);
    return true;
}

enum { USES_MAX = 64 };

bool nr_limit_table_take_all(struct nr_limit_use *const *uses, size_t count, uint64_t now_ns,
                             size_t *ret_tightest)
{
    struct slot *slots[USES_MAX]; /* of those that are known; they stay until all are charged */
    size_t tightest = 0;

    nr_assert(count > 0 && count <= USES_MAX);
    *ret_tightest = 0;
    uses[0]->evicted = uses[0]->settled = false;
    if (count == 1)
        return take_one(uses[0], now_ns);
    for (size_t i = 0; i < count; i++) {
        struct nr_limit_use *use = uses[i];

        slots[i] = find(use->table, use->set, use->key);
        use->evicted = use->settled = false;
        check(use, slots[i], now_ns);
        if (i > 0 && nr_limit_tighter(&use->verdict, &uses[tightest]->verdict))
            tightest = i;
    }
    *ret_tightest = tightest;
    if (!uses[tightest]->verdict.allowed)
        return false;
    for (size_t i = 0; i < count; i++)
        if (slots[i] != NULL)
            charge(uses[i], slots[i], now_ns);
    for (size_t i = 0; i < count; i++)
        if (slots[i] == NULL && uses[i]->cost > 0)
            charge_new(uses[i], now_ns);
    return true;
}

void nr_limit_table_look(const struct nr_limit_use *use, uint64_t now_ns,
                         struct nr_limit_verdict *ret_verdict)
{
    const struct slot *slot = find(use->table, use->set, use->key);

    nr_limit_check(slot != NULL ? &slot->state : &never_used, conf_of(use), now_ns, 0, ret_verdict);
}

void nr_limit_table_forget(struct nr_limit_table *table, struct nr_hash128 key)
{
    struct slot *slot = find(table, set_of(table, key), key);

    if (slot != NULL)
        slot->state = never_used;
}
