/* SPDX-License-Identifier: Apache-2.0 */
/* shed.c - levels of shedding, with hysteresis twice.
 *
 *            bad for rise_ns                  bad for rise_ns
 *   CALM ----------------------> SHEDDABLE ----------------------> NORMAL
 *     ^                           |   ^                              |
 *     '------ good for fall_ns ---'   '------- good for fall_ns -----'
 *
 * A level sheds all of one class. Shedding relieves what it measures: the moment it begins, queue
 * and CPU go down, and if it ended then, it would begin again the next moment. So a level begins
 * when one reading reaches `enter`, ends only when all readings are below the lower `leave`, and
 * both must have held without a break, bad for rise_ns, good for fall_ns. fall_ns is the longer
 * one: it bounds how often it can flap. Between the two thresholds nothing moves.
 *
 * One step at a time: each level must show for rise_ns that it does not suffice before the next
 * begins. An unknown reading neither begins a level nor keeps one; when nothing is known, it is
 * calm.
 *
 * The classes are those of Google's SRE book ("Handling Overload"), reduced to three. */
#include "policy/shed.h"

#include "base/assert.h"

#define MS_NS ((uint64_t)1000000)

const struct nr_shed_conf nr_shed_conf_default = {
    .enter = {[NR_SHED_SHEDDABLE] = {.queue_ms = 50, .limit_use = 0.9, .cpu = 0.85},
              [NR_SHED_NORMAL] = {.queue_ms = 200, .limit_use = 1.1, .cpu = 0.95}},
    .leave = {[NR_SHED_SHEDDABLE] = {.queue_ms = 10, .limit_use = 0.7, .cpu = 0.7},
              [NR_SHED_NORMAL] = {.queue_ms = 50, .limit_use = 1.0, .cpu = 0.85}},
    .rise_ns = 200 * MS_NS,
    .fall_ns = 2000 * MS_NS,
};

#define TO(level) (1u << NR_SHED_##level)
static const unsigned allowed[NR_SHED_LEVELS] = {
    [NR_SHED_CALM] = TO(SHEDDABLE),
    [NR_SHED_SHEDDABLE] = TO(CALM) | TO(NORMAL),
    [NR_SHED_NORMAL] = TO(SHEDDABLE),
};
#undef TO

static void move(struct nr_shed *shed, enum nr_shed_level next)
{
    nr_assert(allowed[shed->level] & (1u << next));
    *shed = (struct nr_shed){.level = next};
}

void nr_shed_init(struct nr_shed *shed)
{
    *shed = (struct nr_shed){.level = NR_SHED_CALM};
}

static bool any_reaches(const struct nr_shed_input *input, const struct nr_shed_input *mark)
{
    return (input->queue_ms >= 0 && input->queue_ms >= mark->queue_ms) ||
           (input->limit_use >= 0 && input->limit_use >= mark->limit_use) ||
           (input->cpu >= 0 && input->cpu >= mark->cpu);
}

/* Clocks of two workers differ by a turn: a moment before since_ns is no time, not a lot of it. */
static bool held(const struct nr_shed *shed, uint64_t now_ns, uint64_t for_ns)
{
    return now_ns >= shed->since_ns && now_ns - shed->since_ns >= for_ns;
}

bool nr_shed_update(struct nr_shed *shed, const struct nr_shed_conf *conf, uint64_t now_ns,
                    const struct nr_shed_input *input)
{
    bool worse =
        shed->level + 1 < NR_SHED_LEVELS && any_reaches(input, &conf->enter[shed->level + 1]);
    bool better =
        !worse && shed->level > NR_SHED_CALM && !any_reaches(input, &conf->leave[shed->level]);

    if (worse != shed->worse || better != shed->better) {
        shed->worse = worse;
        shed->better = better;
        shed->since_ns = now_ns;
    }
    if (worse && held(shed, now_ns, conf->rise_ns)) {
        move(shed, shed->level + 1);
        return true;
    }
    if (better && held(shed, now_ns, conf->fall_ns)) {
        move(shed, shed->level - 1);
        return true;
    }
    return false;
}
