/* SPDX-License-Identifier: Apache-2.0 */
/* split.c - weighted services: a canary, an A/B test, one path of a monolith at a time.
 *
 * A key is hashed to a point on the line of all weights; the targets lie on that line in the order
 * of the configuration. So when the share of the last one grows, those who had it keep it. */
#include "base/assert.h"
#include "codec/pairs.h"
#include "gateway/plan.h"

static uint64_t hash_of(struct nr_span key, uint64_t seed)
{
    uint64_t hash = seed ^ 0xcbf29ce484222325u;

    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.ptr[i]) * 0x100000001b3u;
    /* The finalizer of MurmurHash3: one bit of the key reaches all of the hash. */
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53u;
    return hash ^ hash >> 33;
}

static struct nr_span key_of(const struct nr_split_conf *split, const struct nr_head *head)
{
    const struct nr_field *field;

    if (split->cookie.len > 0)
        return nr_cookie_get(head, split->cookie);
    field = nr_head_find_name(head, split->header, NULL);
    return field == NULL ? (struct nr_span){NULL, 0} : nr_head_value(head, field);
}

uint32_t nr_split_pick(const struct nr_plan *plan, const struct nr_head *head,
                       struct nr_random *random)
{
    struct nr_span key = {NULL, 0};
    uint64_t sum = plan->targets[plan->target_count - 1].up_to;
    uint64_t number, point;
    uint32_t at = 0;

    nr_assert(sum > 0);
    if (plan->conf->split != NULL)
        key = key_of(plan->conf->split, head);
    number = key.len > 0 ? hash_of(key, plan->split_seed) : nr_random_u64(random);
    /* As a fraction of the whole, not as a remainder: then a growing sum moves few. */
    point = (uint64_t)((__extension__(unsigned __int128) number * sum) >> 64);
    while (point >= plan->targets[at].up_to)
        at++;
    return plan->targets[at].service;
}
