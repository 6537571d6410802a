/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead.c - permits, and a queue that does not become a habit.
 *
 * A node is in one place, and these are the ways:
 *
 *              enter                         next: granted
 *   OUTSIDE ------------------> WAITING ---------------------.
 *     ^ ^  '-------------------- enter: granted ----------.  |
 *     | '---- cancel, next: expired, shed -- WAITING      v  v
 *     '----------------------- leave ------------------- INSIDE
 *
 * Invariants: in_flight counts the nodes INSIDE, queued those WAITING, which are on the list in the
 * order of their coming. A permit is granted only while in_flight < concurrent, and by
 * `enter` only when nobody waits: nobody overtakes from outside.
 *
 * A queue is there for bursts. When it never empties, it serves nobody: everybody waits, then works
 * for clients that are about to give up. CoDel (RFC 8289) tells the two apart by the least wait
 * rather than by the length: once the oldest has waited longer than `target` at every moment
 * of an `interval`, the queue is standing. It then drops one call at once and further ones at
 * intervals of interval / sqrt(count), until the wait is below target or the queue is empty. The
 * decision is made when a permit is free, as the RFC does when a packet is dequeued.
 *
 * While it stands the order is turned round ("adaptive LIFO", B. Maurer, Fail at Scale, 2015): the
 * newest goes first, since its client is the most likely to be still there, and those who would
 * not have made it anyway bear the damage. CoDel drops, and measures, at the other end: the oldest.
 * So under overload most calls are either served at once or refused, and few are late.
 *
 * Nothing that has no time left is held: a call expires at its deadline less `useful_ns`, or after
 * wait_ns, whichever is earlier. Both ends are looked at before a permit is given; in between the
 * owner's timer takes a node out, which costs the queue no search.
 *
 * Here differently from RFC 8289: "at most one packet left" (its MTU clause) is "the queue is
 * empty" because a single call that waits too long is a problem where a single packet is none; and
 * a call that is dropped has an owner, so calls are handed back one by one instead of in a loop. */
#include "policy/bulkhead.h"

#include <math.h>

#include "base/assert.h"
#include "base/compiler.h"

#define MS_NS ((uint64_t)1000000)

const struct nr_bulkhead_conf nr_bulkhead_conf_default = {
    .concurrent = 30,
    .queue = 100,
    .wait_ns = 500 * MS_NS,
    .useful_ns = MS_NS,
    .codel_target_ns = 5 * MS_NS,
    .codel_interval_ns = 100 * MS_NS,
};

#define TO(place) (1u << NR_BULKHEAD_##place)
static const unsigned allowed[NR_BULKHEAD_PLACES] = {
    [NR_BULKHEAD_OUTSIDE] = TO(WAITING) | TO(INSIDE),
    [NR_BULKHEAD_WAITING] = TO(INSIDE) | TO(OUTSIDE),
    [NR_BULKHEAD_INSIDE] = TO(OUTSIDE),
};
#undef TO

/* The one writer of a node's place, of the list and of both counts. */
static void move(struct nr_bulkhead *bulkhead, struct nr_bulkhead_node *node,
                 enum nr_bulkhead_place next)
{
    nr_assert(allowed[node->place] & (1u << next));
    if (node->place == NR_BULKHEAD_WAITING) {
        nr_list_remove(&node->link);
        bulkhead->queued--;
    }
    if (next == NR_BULKHEAD_WAITING) {
        nr_list_push_back(&bulkhead->waiting, &node->link);
        bulkhead->queued++;
    }
    bulkhead->in_flight += next == NR_BULKHEAD_INSIDE;
    bulkhead->in_flight -= node->place == NR_BULKHEAD_INSIDE;
    node->place = next;
}

static struct nr_bulkhead_node *node_of(struct nr_link *link)
{
    return nr_container_of(link, struct nr_bulkhead_node, link);
}

void nr_bulkhead_init(struct nr_bulkhead *bulkhead)
{
    *bulkhead = (struct nr_bulkhead){.queued = 0};
    nr_link_init(&bulkhead->waiting);
}

void nr_bulkhead_node_init(struct nr_bulkhead_node *node)
{
    *node = (struct nr_bulkhead_node){.place = NR_BULKHEAD_OUTSIDE};
    nr_link_init(&node->link);
}

enum nr_bulkhead_verdict nr_bulkhead_enter(struct nr_bulkhead *bulkhead,
                                           const struct nr_bulkhead_conf *conf,
                                           struct nr_bulkhead_node *node, uint64_t now_ns,
                                           uint64_t deadline_ns, bool may_queue)
{
    uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

    if (left_ns < conf->useful_ns || left_ns == 0)
        return NR_BULKHEAD_NO_TIME;
    if (bulkhead->queued == 0 && bulkhead->in_flight < conf->concurrent) {
        move(bulkhead, node, NR_BULKHEAD_INSIDE);
        return NR_BULKHEAD_GRANTED;
    }
    if (!may_queue || bulkhead->queued >= conf->queue)
        return NR_BULKHEAD_FULL;
    left_ns -= conf->useful_ns;
    node->since_ns = now_ns;
    node->expires_ns = now_ns + (left_ns < conf->wait_ns ? left_ns : conf->wait_ns);
    move(bulkhead, node, NR_BULKHEAD_WAITING);
    return NR_BULKHEAD_QUEUED;
}

void nr_bulkhead_leave(struct nr_bulkhead *bulkhead, struct nr_bulkhead_node *node)
{
    nr_assert(node->place == NR_BULKHEAD_INSIDE);
    move(bulkhead, node, NR_BULKHEAD_OUTSIDE);
}

bool nr_bulkhead_cancel(struct nr_bulkhead *bulkhead, struct nr_bulkhead_node *node)
{
    if (node->place != NR_BULKHEAD_WAITING)
        return false;
    move(bulkhead, node, NR_BULKHEAD_OUTSIDE);
    return true;
}

/* ---- CoDel; the names are those of RFC 8289, section 5 */

static uint64_t control_law(const struct nr_bulkhead_conf *conf, uint64_t from_ns, uint32_t count)
{
    return from_ns + (uint64_t)((double)conf->codel_interval_ns / sqrt((double)count));
}

/* Has the oldest waited too long, and that for a whole interval? */
static bool ok_to_drop(struct nr_codel *codel, const struct nr_bulkhead_conf *conf,
                       uint64_t waited_ns, uint64_t now_ns)
{
    if (waited_ns < conf->codel_target_ns) {
        codel->above_at_ns = 0;
        return false;
    }
    if (codel->above_at_ns == 0) {
        codel->above_at_ns = now_ns + conf->codel_interval_ns;
        return false;
    }
    return now_ns >= codel->above_at_ns;
}

/* "if we've been dropping recently, start near the rate that controlled the queue then" */
static void begin_dropping(struct nr_codel *codel, const struct nr_bulkhead_conf *conf,
                           uint64_t now_ns)
{
    uint32_t delta = codel->count - codel->last_count;
    bool recently = now_ns < codel->drop_at_ns + 16 * conf->codel_interval_ns;

    codel->dropping = true;
    codel->count = delta > 1 && recently ? delta : 1;
    codel->drop_at_ns = control_law(conf, now_ns, codel->count);
    codel->last_count = codel->count;
}

static bool codel_drops(struct nr_codel *codel, const struct nr_bulkhead_conf *conf,
                        uint64_t waited_ns, uint64_t now_ns)
{
    bool ok;

    if (conf->codel_target_ns == 0) {
        *codel = (struct nr_codel){0};
        return false;
    }
    ok = ok_to_drop(codel, conf, waited_ns, now_ns);
    if (!codel->dropping) {
        if (ok)
            begin_dropping(codel, conf, now_ns);
        return ok;
    }
    if (!ok) {
        codel->dropping = false;
        return false;
    }
    if (now_ns < codel->drop_at_ns)
        return false;
    codel->count++;
    codel->drop_at_ns = control_law(conf, codel->drop_at_ns, codel->count);
    return true;
}

static void codel_rest(struct nr_codel *codel)
{
    codel->above_at_ns = 0;
    codel->dropping = false;
}

struct nr_bulkhead_node *nr_bulkhead_next(struct nr_bulkhead *bulkhead,
                                          const struct nr_bulkhead_conf *conf, uint64_t now_ns,
                                          enum nr_bulkhead_verdict *ret_verdict)
{
    struct nr_bulkhead_node *node;

    if (bulkhead->queued == 0) {
        if (bulkhead->in_flight < conf->concurrent)
            codel_rest(&bulkhead->codel);
        return NULL;
    }
    if (bulkhead->in_flight >= conf->concurrent)
        return NULL;
    node = node_of(bulkhead->waiting.next);
    if (now_ns < node->expires_ns &&
        codel_drops(&bulkhead->codel, conf, nr_bulkhead_oldest_ns(bulkhead, now_ns), now_ns)) {
        move(bulkhead, node, NR_BULKHEAD_OUTSIDE);
        *ret_verdict = NR_BULKHEAD_SHED;
        return node;
    }
    if (bulkhead->codel.dropping && now_ns < node->expires_ns)
        node = node_of(bulkhead->waiting.prev);
    if (now_ns >= node->expires_ns) {
        move(bulkhead, node, NR_BULKHEAD_OUTSIDE);
        *ret_verdict = NR_BULKHEAD_EXPIRED;
        return node;
    }
    move(bulkhead, node, NR_BULKHEAD_INSIDE);
    *ret_verdict = NR_BULKHEAD_GRANTED;
    return node;
}

uint64_t nr_bulkhead_oldest_ns(const struct nr_bulkhead *bulkhead, uint64_t now_ns)
{
    const struct nr_bulkhead_node *oldest;

    if (bulkhead->queued == 0)
        return 0;
    oldest = node_of(bulkhead->waiting.next);
    return now_ns > oldest->since_ns ? now_ns - oldest->since_ns : 0;
}
