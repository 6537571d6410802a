/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "../death.h"
#include "../property.h"
#include "base/random.h"
#include "policy/bulkhead.h"
#include "policy/deadline.h"

#define MS ((uint64_t)1000000)
#define S  (1000 * MS)

/* Calls are letters. ENTER: deadline after `ms` (0: none). NOW: the same without queueing. */
enum op { ENTER, NOW, LEAVE, CANCEL, PERMITS, END };

struct step {
    const char *what;
    uint32_t at_ms;
    enum op op;
    char call;
    uint32_t ms;
    const char
        *then; /* the verdict and what next() hands back: "+a" granted, "xa" expired, "-a" shed */
};

static const char signs[] = {
    [NR_BULKHEAD_GRANTED] = '+', [NR_BULKHEAD_QUEUED] = '.',  [NR_BULKHEAD_FULL] = '!',
    [NR_BULKHEAD_NO_TIME] = 'T', [NR_BULKHEAD_EXPIRED] = 'x', [NR_BULKHEAD_SHED] = '-',
};

struct world {
    struct nr_bulkhead bulkhead;
    struct nr_bulkhead_conf conf;
    struct nr_bulkhead_node nodes[128];
    char said[64];
};

static void say(struct world *w, enum nr_bulkhead_verdict verdict, char call)
{
    size_t len = strlen(w->said);

    assert_true(len + 3 < sizeof(w->said));
    w->said[len] = signs[verdict];
    w->said[len + 1] = call;
    w->said[len + 2] = '\0';
}

static void drain(struct world *w, uint64_t now_ns)
{
    enum nr_bulkhead_verdict verdict;
    struct nr_bulkhead_node *node;

    while ((node = nr_bulkhead_next(&w->bulkhead, &w->conf, now_ns, &verdict)) != NULL)
        say(w, verdict, (char)(node - w->nodes));
}

static void play_step(struct world *w, const struct step *step)
{
    uint64_t now_ns = 50 * S + step->at_ms * MS;
    struct nr_bulkhead_node *node = &w->nodes[(unsigned char)step->call];

    w->said[0] = '\0';
    switch (step->op) {
    case ENTER:
    case NOW:
        nr_bulkhead_node_init(node);
        say(w,
            nr_bulkhead_enter(&w->bulkhead, &w->conf, node, now_ns,
                              step->ms > 0 ? now_ns + step->ms * MS : NR_TIME_NEVER,
                              step->op == ENTER),
            step->call);
        break;
    case LEAVE: nr_bulkhead_leave(&w->bulkhead, node); break;
    case CANCEL: assert_int_equal(nr_bulkhead_cancel(&w->bulkhead, node), step->ms); break;
    case PERMITS: w->conf.concurrent = step->ms; break;
    case END: break;
    }
    if (step->op != ENTER && step->op != NOW)
        drain(w, now_ns);
    assert_string_equal(w->said, step->then);
}

static void play(const struct nr_bulkhead_conf *conf, const struct step *story)
{
    struct world w = {.conf = *conf};

    nr_bulkhead_init(&w.bulkhead);
    for (; story->op != END; story++) {
        if (story->what != NULL)
            print_message("# %s\n", story->what);
        play_step(&w, story);
    }
}

/* clang-format off */
static const struct nr_bulkhead_conf two_and_three = {
    .concurrent = 2, .queue = 3, .wait_ns = 500 * MS, .useful_ns = 10 * MS};

static const struct step a_burst[] = {
    {"two go in", 0, ENTER, 'a', 0, "+a"}, {NULL, 0, ENTER, 'b', 0, "+b"},
    {"three wait", 0, ENTER, 'c', 0, ".c"}, {NULL, 1, ENTER, 'd', 0, ".d"}, {NULL, 2, ENTER, 'e', 0, ".e"},
    {"the sixth is refused at once", 3, ENTER, 'f', 0, "!f"},
    {"first come, first served", 10, LEAVE, 'b', 0, "+c"},
    {"a repeated attempt does not queue", 10, NOW, 'f', 0, "!f"},
    {"who gives up makes room", 11, CANCEL, 'd', 1, ""},
    {"once", 11, CANCEL, 'd', 0, ""},
    {NULL, 12, ENTER, 'g', 0, ".g"},
    {"not who is inside", 12, CANCEL, 'c', 0, ""},
    {NULL, 13, LEAVE, 'a', 0, "+e"}, {NULL, 14, LEAVE, 'c', 0, "+g"},
    {NULL, 15, LEAVE, 'e', 0, ""}, {NULL, 16, LEAVE, 'g', 0, ""},
    {"empty again", 17, NOW, 'h', 0, "+h"},
    {.op = END},
};
static const struct step no_time_left[] = {
    {"9 ms are not worth beginning", 0, ENTER, 'a', 9, "Ta"}, {"10 are", 0, ENTER, 'a', 10, "+a"},
    {NULL, 0, ENTER, 'b', 0, "+b"},
    {"waits until 40, and not until its deadline at 50", 0, ENTER, 'c', 50, ".c"},
    {"waits until 500", 0, ENTER, 'd', 5000, ".d"}, {NULL, 0, ENTER, 'e', 0, ".e"},
    {"c is not begun any more", 40, LEAVE, 'a', 0, "xc+d"},
    {NULL, 40, ENTER, 'f', 0, ".f"},
    {"500 ms are over for e, not for f", 500, LEAVE, 'b', 0, "xe+f"},
    {.op = END},
};
static const struct step permits_move[] = {
    {NULL, 0, ENTER, 'a', 0, "+a"}, {NULL, 0, ENTER, 'b', 0, "+b"}, {NULL, 0, ENTER, 'c', 0, ".c"},
    {NULL, 0, ENTER, 'd', 0, ".d"},
    {"one permit less: two must leave before one enters", 1, PERMITS, 0, 1, ""},
    {NULL, 2, LEAVE, 'a', 0, ""}, {NULL, 3, LEAVE, 'b', 0, "+c"},
    {"ten permits", 4, PERMITS, 0, 10, "+d"},
    {.op = END},
};

/* RFC 8289 with TARGET 5 ms and INTERVAL 100 ms. One permit; a call is served every 50 ms. */
static const struct nr_bulkhead_conf codel = {
    .concurrent = 1, .queue = 20, .wait_ns = 800 * MS, .codel_target_ns = 5 * MS,
    .codel_interval_ns = 100 * MS};
static const struct step a_standing_queue[] = {
    {NULL, 0, ENTER, 'a', 0, "+a"},
    {NULL, 0, ENTER, 'b', 0, ".b"}, {NULL, 0, ENTER, 'c', 0, ".c"}, {NULL, 0, ENTER, 'd', 0, ".d"},
    {NULL, 0, ENTER, 'e', 0, ".e"}, {NULL, 0, ENTER, 'f', 0, ".f"}, {NULL, 0, ENTER, 'g', 0, ".g"},
    {NULL, 0, ENTER, 'h', 0, ".h"}, {NULL, 0, ENTER, 'i', 0, ".i"}, {NULL, 0, ENTER, 'j', 0, ".j"},
    {"above target, but not for an interval", 50, LEAVE, 'a', 0, "+b"},
    {NULL, 100, LEAVE, 'b', 0, "+c"},
    {"an interval: the oldest is dropped, the newest is served", 150, LEAVE, 'c', 0, "-d+j"},
    {"not yet time for the second drop (250)", 200, LEAVE, 'j', 0, "+i"},
    {"250", 250, LEAVE, 'i', 0, "-e+h"},
    {"250 + 100 / sqrt(2) = 320.7", 320, LEAVE, 'h', 0, "+g"},
    {NULL, 321, LEAVE, 'g', 0, "-f"},
    {"empty: at rest", 322, ENTER, 'k', 0, "+k"}, {NULL, 322, ENTER, 'l', 0, ".l"},
    {NULL, 323, ENTER, 'm', 0, ".m"},
    {"a short wait is served in order", 324, LEAVE, 'k', 0, "+l"}, {NULL, 327, LEAVE, 'l', 0, "+m"},
    {NULL, 328, LEAVE, 'm', 0, ""},
    {.op = END},
};
static const struct step overload_returns[] = {
    {NULL, 0, ENTER, 'a', 0, "+a"},
    {NULL, 0, ENTER, 'b', 0, ".b"}, {NULL, 0, ENTER, 'c', 0, ".c"}, {NULL, 0, ENTER, 'd', 0, ".d"},
    {NULL, 0, ENTER, 'e', 0, ".e"}, {NULL, 0, ENTER, 'f', 0, ".f"}, {NULL, 0, ENTER, 'g', 0, ".g"},
    {NULL, 0, ENTER, 'h', 0, ".h"},
    {NULL, 50, LEAVE, 'a', 0, "+b"}, {NULL, 150, LEAVE, 'b', 0, "-c+h"}, {NULL, 250, LEAVE, 'h', 0, "-d+g"},
    {"a late look: the drops of 320.7 and 378.4", 400, LEAVE, 'g', 0, "-e-f"},
    {NULL, 410, ENTER, 'i', 0, "+i"}, {NULL, 410, ENTER, 'j', 0, ".j"}, {NULL, 410, ENTER, 'k', 0, ".k"},
    {NULL, 410, ENTER, 'l', 0, ".l"}, {NULL, 410, ENTER, 'm', 0, ".m"},
    {NULL, 460, LEAVE, 'i', 0, "+j"}, {"overload again", 560, LEAVE, 'j', 0, "-k+m"},
    {"it goes on at the rate of then: 560 + 100 / sqrt(3)", 618, LEAVE, 'm', 0, "-l"},
    {.op = END},
};
static const struct step a_burst_is_no_overload[] = {
    {NULL, 0, ENTER, 'a', 0, "+a"}, {NULL, 0, ENTER, 'b', 0, ".b"}, {NULL, 0, ENTER, 'c', 0, ".c"},
    {"above", 50, LEAVE, 'a', 0, "+b"},
    {"above, and empty before the interval ends", 149, LEAVE, 'b', 0, "+c"},
    {NULL, 149, ENTER, 'd', 0, ".d"},
    {"below: the count begins anew", 153, LEAVE, 'c', 0, "+d"},
    {NULL, 153, ENTER, 'e', 0, ".e"}, {NULL, 153, ENTER, 'f', 0, ".f"},
    {"above since 160", 160, LEAVE, 'd', 0, "+e"}, {"until 259 nothing is dropped", 259, LEAVE, 'e', 0, "+f"},
    {.op = END},
};
/* clang-format on */

static void stories(void **state)
{
    static const struct {
        const struct nr_bulkhead_conf *conf;
        const struct step *story;
    } all[] = {
        {&two_and_three, a_burst},      {&two_and_three, no_time_left},
        {&two_and_three, permits_move}, {&codel, a_standing_queue},
        {&codel, overload_returns},     {&codel, a_burst_is_no_overload},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        play(all[i].conf, all[i].story);
}

static void leave_twice(void *argument)
{
    static const struct step twice[] = {{NULL, 0, ENTER, 'a', 0, "+a"},
                                        {NULL, 0, LEAVE, 'a', 0, ""},
                                        {NULL, 0, LEAVE, 'a', 0, ""},
                                        {.op = END}};

    play(&two_and_three, twice);
}

static void leaving_twice_is_a_programmers_error(void **state)
{
    assert_true(aborts(leave_twice, NULL));
}

/* ---- any schedule */

enum { NODES = 40 };

struct chaos {
    struct nr_bulkhead bulkhead;
    struct nr_bulkhead_conf conf;
    struct nr_bulkhead_node nodes[NODES];
    uint64_t order[NODES]; /* when it began to wait, as a number; 0: does not */
    uint64_t deadline_ns[NODES];
    uint64_t clock;
};

static void check_counts(const struct chaos *c)
{
    uint32_t inside = 0, waiting = 0;

    for (int i = 0; i < NODES; i++) {
        inside += c->nodes[i].place == NR_BULKHEAD_INSIDE;
        waiting += c->nodes[i].place == NR_BULKHEAD_WAITING;
    }
    assert_int_equal(c->bulkhead.in_flight, inside);
    assert_int_equal(c->bulkhead.queued, waiting);
    assert_true(waiting <= c->conf.queue);
}

/* The oldest (or the newest) of those that wait. */
static int extreme(const struct chaos *c, bool newest)
{
    int found = -1;

    for (int i = 0; i < NODES; i++)
        if (c->order[i] > 0 && (found < 0 || (c->order[i] > c->order[found]) == newest))
            found = i;
    return found;
}

static void drain_chaos(struct chaos *c, uint64_t now_ns)
{
    enum nr_bulkhead_verdict verdict;

    for (;;) {
        int oldest = extreme(c, false), newest = extreme(c, true), which;
        struct nr_bulkhead_node *node = nr_bulkhead_next(&c->bulkhead, &c->conf, now_ns, &verdict);

        if (node == NULL)
            break;
        which = (int)(node - c->nodes);
        assert_true(c->order[which] > 0);
        switch (verdict) {
        case NR_BULKHEAD_GRANTED:
            assert_int_equal(which, nr_bulkhead_overloaded(&c->bulkhead) ? newest : oldest);
            assert_true(c->bulkhead.in_flight <= c->conf.concurrent);
            assert_true(now_ns < node->expires_ns);
            assert_true(c->deadline_ns[which] - now_ns >= c->conf.useful_ns);
            break;
        case NR_BULKHEAD_EXPIRED: assert_true(now_ns >= node->expires_ns); break;
        case NR_BULKHEAD_SHED: /* only the oldest, and only one that waited longer than the target
                                */
            assert_int_equal(which, oldest);
            assert_true(now_ns - node->since_ns >= c->conf.codel_target_ns);
            break;
        default: fail();
        }
        c->order[which] = 0;
    }
    /* Work is conserved: nobody waits while a permit is free. */
    assert_true(c->bulkhead.queued == 0 || c->bulkhead.in_flight >= c->conf.concurrent);
}

static void enter_chaos(struct chaos *c, struct nr_random *random, int i, uint64_t now_ns)
{
    bool may_queue = nr_random_below(random, 4) > 0;
    uint32_t in_flight = c->bulkhead.in_flight, queued = c->bulkhead.queued;

    c->deadline_ns[i] =
        nr_random_below(random, 4) == 0 ? NR_TIME_NEVER : now_ns + nr_random_below(random, S);
    switch (nr_bulkhead_enter(&c->bulkhead, &c->conf, &c->nodes[i], now_ns, c->deadline_ns[i],
                              may_queue)) {
    case NR_BULKHEAD_GRANTED: assert_true(in_flight < c->conf.concurrent && queued == 0); break;
    case NR_BULKHEAD_QUEUED:
        assert_true(may_queue);
        assert_true(c->nodes[i].expires_ns <= now_ns + c->conf.wait_ns);
        assert_true(c->nodes[i].expires_ns + c->conf.useful_ns <= c->deadline_ns[i]);
        c->order[i] = ++c->clock;
        break;
    case NR_BULKHEAD_FULL:
        assert_true(in_flight >= c->conf.concurrent || queued > 0);
        assert_true(!may_queue || queued == c->conf.queue);
        break;
    case NR_BULKHEAD_NO_TIME:
        assert_true(c->deadline_ns[i] - now_ns < c->conf.useful_ns || c->deadline_ns[i] == now_ns);
        break;
    default: fail();
    }
}

static void any_schedule(void **state)
{
    uint32_t sheds = 0;

    PROPERTY_FOR_ANY (seed) {
        struct chaos c = {.clock = 0};
        struct nr_random random;
        uint64_t now_ns = 7 * S;

        nr_random_init(&random, seed);
        nr_bulkhead_init(&c.bulkhead);
        for (int i = 0; i < NODES; i++)
            nr_bulkhead_node_init(&c.nodes[i]);
        c.conf = (struct nr_bulkhead_conf){
            .concurrent = 1 + (uint32_t)nr_random_below(&random, 8),
            .queue = (uint32_t)nr_random_below(&random, 30),
            .wait_ns = nr_random_below(&random, S),
            .useful_ns = nr_random_below(&random, 20 * MS),
            .codel_target_ns = nr_random_below(&random, 3) * 5 * MS,
            .codel_interval_ns = 1 + nr_random_below(&random, 100 * MS),
        };
        for (int step = 0; step < 120; step++) {
            int i = (int)nr_random_below(&random, NODES);
            bool drains = true;

            now_ns += nr_random_below(&random, 20 * MS);
            if (c.nodes[i].place == NR_BULKHEAD_OUTSIDE) {
                enter_chaos(&c, &random, i, now_ns);
                drains = false;
            } else if (c.nodes[i].place == NR_BULKHEAD_INSIDE) {
                nr_bulkhead_leave(&c.bulkhead, &c.nodes[i]);
            } else if (nr_random_below(&random, 4) == 0) {
                assert_true(nr_bulkhead_cancel(&c.bulkhead, &c.nodes[i]));
                c.order[i] = 0;
            }
            if (drains && nr_random_below(&random, 4) > 0) /* a late drain lets nobody overtake */
                drain_chaos(&c, now_ns);
            sheds += nr_bulkhead_overloaded(&c.bulkhead);
            check_counts(&c);
            assert_true(c.bulkhead.in_flight <= c.conf.concurrent);
        }
    }
    property_covers(sheds, 1000); /* the schedules do reach overload */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories),
        cmocka_unit_test(leaving_twice_is_a_programmers_error),
        property_test(any_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
