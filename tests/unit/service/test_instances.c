/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of instances that change while calls are under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "../call/fake_client.h"
#include "base/reason.h"
#include "io/sim.h"
#include "service/service_conf.h"
#include "service/state.h"

enum { SPECS_MAX = 1200 };

struct bench {
    struct fake_world world;
    struct nr_sim *sim;
    struct nr_io *control, *worker;
    struct nr_service_conf conf;
    struct nr_service *service;
    struct nr_random random;
    char texts[SPECS_MAX][24];
};

static void bench_init(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    fake = &b->world;
    b->sim = nr_sim_new(&(struct nr_sim_conf){.seed = 1});
    b->control = nr_sim_engine(b->sim, "10.0.0.1");
    b->worker = nr_sim_engine(b->sim, "10.0.0.1");
    nr_random_init(&b->random, 1);
    b->conf = (struct nr_service_conf){
        .name = NR_SPAN("orders"),
        .balance = {.algorithm = NR_BALANCE_LEAST_REQUESTS},
        .pool = {.max_idle = 8, .max_connections = 8, .idle_timeout_ns = 1000 * MS}};
    assert_int_equal(nr_service_new(&b->conf, 0, &b->service, NULL), NR_OK);
}

static void bench_done(struct bench *b)
{
    nr_service_free(b->service);
    nr_sim_run(b->sim, UINT64_MAX);
    nr_sim_free(b->sim);
}

/* "1 2 2*3": instances 10.0.1.1, 10.0.1.2 and one more 10.0.1.2, of weight 3. */
static enum nr_code set(struct bench *b, const char *list)
{
    struct nr_instance_spec specs[16];
    uint32_t count = 0;

    while (*list != '\0') {
        char *end;
        unsigned long number = strtoul(list, &end, 10);

        assert_ptr_not_equal(end, list);
        snprintf(b->texts[count], sizeof(b->texts[0]), "10.0.1.%lu:80", number);
        specs[count] = (struct nr_instance_spec){.text = b->texts[count], .weight = 1};
        assert_int_equal(nr_addr_parse(b->texts[count], &specs[count].addr, NULL), NR_OK);
        if (*end == '*')
            specs[count].weight = (uint32_t)strtoul(end + 1, &end, 10);
        count++;
        list = *end == ' ' ? end + 1 : end;
    }
    return nr_service_set_instances(b->service, specs, count, NULL);
}

/* What stands where: "1 2(leaving) - 3*2". */
static const char *slots(struct bench *b)
{
    static char text[256];
    size_t len = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < nr_service_instance_count(b->service); i++) {
        struct nr_instance_view v;

        nr_service_instance(b->service, i, &v);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", i > 0 ? " " : "");
        if (v.text[0] == '\0') {
            len += (size_t)snprintf(text + len, sizeof(text) - len, "-");
            continue;
        }
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%u", v.addr.ip[3]);
        if (v.weight != 1)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "*%u", v.weight);
        if (!v.present)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "(leaving)");
    }
    return text;
}

static uint32_t pick(struct bench *b)
{
    int reason;

    return nr_service_pick(b->service, &b->random, 0, 0, &reason);
}

static void report(struct bench *b, uint32_t instance)
{
    nr_service_report(b->service, instance, 1, 1000, true);
}

static void numbers_stay(void **state)
{
    static const struct {
        const char *what, *set, *slots;
    } steps[] = {
        {"three come", "1 2 3", "1 2 3"},
        {"the order does not matter", "3 1 2", "1 2 3"},
        {"one goes, and the others keep their numbers", "1 3", "1 - 3"},
        {"a newcomer takes the free number", "1 3 4", "1 4 3"},
        {"weights change in place", "1*5 3 4", "1*5 4 3"},
        {"the last goes: the count shrinks", "4 1", "1 4"},
        {"listed twice: twice there", "1 4 4", "1 4 4"},
        {"once again", "1 4", "1 4"},
        {"all are exchanged", "5 6 7", "5 6 7"},
        {"nobody is left", "", ""},
        {"who comes back gets its old number while it is free", "8 7 1", "8 1 7"},
    };
    struct bench b;

    bench_init(&b);
    for (size_t i = 0; i < NR_COUNT(steps); i++) {
        print_message("%s\n", steps[i].what);
        assert_int_equal(set(&b, steps[i].set), NR_OK);
        assert_string_equal(slots(&b), steps[i].slots);
    }
    bench_done(&b);
}

static void who_leaves_finishes_its_calls(void **state)
{
    struct nr_instance_view v;
    uint32_t one, two;
    int reason = -1;
    struct bench b;

    bench_init(&b);
    assert_int_equal(set(&b, "1 2"), NR_OK);
    one = pick(&b);
    two = pick(&b);
    assert_int_equal(one + two, 1); /* one call each */
    assert_int_equal(set(&b, "2"), NR_OK);
    assert_string_equal(slots(&b), "1(leaving) 2");
    for (int i = 0; i < 20; i++) /* no new call, though it has the fewest */
        assert_int_equal(pick(&b), 1);
    assert_int_equal(set(&b, "2 3"), NR_OK); /* its number is not given away */
    assert_string_equal(slots(&b), "1(leaving) 2 3");
    report(&b, 0);
    assert_string_equal(slots(&b), "- 2 3");
    assert_int_equal(set(&b, "2 3 4"), NR_OK); /* now it is */
    assert_string_equal(slots(&b), "4 2 3");
    nr_service_instance(b.service, 0, &v);
    assert_int_equal(v.picks, 0); /* and nothing is inherited */
    assert_int_equal(v.ewma_us, 0);
    assert_int_equal(v.health, NR_HEALTH_UNKNOWN);

    assert_int_equal(set(&b, ""), NR_OK);
    assert_true(nr_service_pick(b.service, &b.random, 0, 0, &reason) == NR_INSTANCE_NONE);
    assert_int_equal(reason, NR_REASON_NO_INSTANCE);
    for (int i = 0; i < 21; i++)
        report(&b, 1);
    assert_int_equal(nr_service_instance_count(b.service), 1 + 1); /* until the next change */
    assert_int_equal(set(&b, "5"), NR_OK);
    assert_int_equal(nr_service_instance_count(b.service), 1);
    bench_done(&b);
}

static void who_comes_back_is_known(void **state)
{
    struct nr_instance_view v;
    struct bench b;

    bench_init(&b);
    assert_int_equal(set(&b, "1 2"), NR_OK);
    assert_int_equal(pick(&b) + pick(&b), 1);
    nr_service_check_result(b.service, 0, &(struct nr_health_rule){0}, false);
    assert_int_equal(set(&b, "2"), NR_OK);
    assert_int_equal(set(&b, "2 1"), NR_OK);
    assert_string_equal(slots(&b), "1 2");
    nr_service_instance(b.service, 0, &v);
    assert_int_equal(v.in_flight, 1);
    assert_int_equal(v.health, NR_HEALTH_DOWN); /* leaving the list and coming back heals nobody */
    assert_int_equal(pick(&b), 1);
    report(&b, 0);
    report(&b, 1);
    report(&b, 1);
    bench_done(&b);
}

static void too_many_change_nothing(void **state)
{
    static struct nr_instance_spec specs[SPECS_MAX];
    struct nr_err err = {0};
    struct bench b;

    bench_init(&b);
    for (uint32_t i = 0; i < SPECS_MAX; i++) {
        snprintf(b.texts[i], sizeof(b.texts[i]), "10.1.%u.%u:80", i / 256, i % 256);
        specs[i].text = b.texts[i];
        assert_int_equal(nr_addr_parse(specs[i].text, &specs[i].addr, NULL), NR_OK);
    }
    assert_int_equal(nr_service_set_instances(b.service, specs, 3, NULL), NR_OK);
    assert_int_equal(nr_service_set_instances(b.service, specs, NR_INSTANCES_MAX + 1, &err),
                     NR_ELIMIT);
    assert_non_null(strstr(err.text, "1024"));
    assert_int_equal(nr_service_instance_count(b.service), 3);
    assert_int_equal(nr_service_set_instances(b.service, specs, NR_INSTANCES_MAX, NULL), NR_OK);
    assert_int_equal(nr_service_set_instances(b.service, specs + 100, NR_INSTANCES_MAX, NULL),
                     NR_OK);
    assert_int_equal(nr_service_instance_count(b.service), NR_INSTANCES_MAX);
    assert_int_equal(nr_service_set_instances(b.service, specs + 100, NR_INSTANCES_MAX, NULL),
                     NR_OK);
    bench_done(&b);
}

/* A Unix socket's path is borrowed from the instance, never from the list that brought it. */
static void unix_paths_are_owned(void **state)
{
    char text[] = "unix:/run/a.sock";
    struct nr_instance_spec spec = {.text = text};
    struct nr_addr addr;
    struct bench b;

    bench_init(&b);
    assert_int_equal(nr_addr_parse(text, &spec.addr, NULL), NR_OK);
    assert_int_equal(nr_service_set_instances(b.service, &spec, 1, NULL), NR_OK);
    memset(text, 'x', sizeof(text) - 1);
    assert_true(nr_service_address(b.service, 0, &addr));
    assert_string_equal(addr.path, "/run/a.sock");
    assert_int_equal(set(&b, "1"), NR_OK); /* the slot is another's, the path still stands */
    assert_string_equal(slots(&b), "1");
    assert_string_equal(addr.path, "/run/a.sock");
    bench_done(&b);
}

/* ---- pools ---- */

static void pools_follow(void **state)
{
    struct nr_service_pools *pools, *others;
    struct nr_client *one, *two;
    struct bench b;

    bench_init(&b);
    assert_int_equal(set(&b, "1 2"), NR_OK);
    pools = nr_service_pools_new(b.service, b.worker);
    others = nr_service_pools_new(b.service, b.control);
    one = nr_service_client(pools, 0);
    two = nr_service_client(pools, 1);
    nr_service_client(others, 0);
    assert_int_equal(b.world.clients, 3);
    assert_int_equal(set(&b, "2"), NR_OK);
    nr_sim_run(b.sim, nr_sim_now_ns(b.sim) + MS); /* nobody calls: the watch closes it */
    assert_int_equal(b.world.clients, 1);
    assert_ptr_equal(nr_service_client(pools, 1), two);
    (void)one;

    assert_int_equal(set(&b, "2 3"), NR_OK); /* the number is a newcomer's … */
    assert_int_equal(nr_service_client(pools, 0)->addr.ip[3], 3);
    assert_int_equal(set(&b, "2"), NR_OK);
    assert_int_equal(set(&b, "2 4"), NR_OK); /* … and another's, before the watch has run */
    assert_int_equal(nr_service_client(pools, 0)->addr.ip[3], 4);
    assert_int_equal(nr_service_client(others, 0)->addr.ip[3], 4);
    assert_int_equal(b.world.clients, 3);
    assert_int_equal(set(&b, "2 4 5 6 7 8 9 10"), NR_OK);
    assert_int_equal(nr_service_client(pools, 7)->addr.ip[3], 10);

    nr_service_pools_free(pools); /* a change is on its way to it: freed when that has come */
    nr_service_pools_free(others);
    assert_int_equal(b.world.clients, 0);
    nr_sim_run(b.sim, UINT64_MAX);
    bench_done(&b);
}

/* ---- many workers ---- */

enum { THREADS = 3, ROUNDS = 20000 };

static void *work(void *arg)
{
    struct nr_service *service = arg;
    struct nr_random random;
    int reason;

    nr_random_init(&random, (uint64_t)pthread_self());
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint32_t one = nr_service_pick(service, &random, i, 0, &reason);
        struct nr_addr addr;

        assert_true(one != NR_INSTANCE_NONE); /* 10.0.1.1 is always there */
        assert_true(nr_service_address(service, one, &addr));
        nr_service_report(service, one, i, 1000, true);
    }
    return NULL;
}

static void sets_change_under_load(void **state)
{
    static const char *const sets[] = {"1 2 3", "1", "1 2 3 4 5 6 7 8 9", "9 1", "1 2 1"};
    struct nr_roster *roster = nr_roster_new(2);
    uint64_t in_flight = 0;
    pthread_t threads[THREADS];
    struct bench b;

    bench_init(&b);
    nr_service_enrol(b.service, roster);
    assert_int_equal(set(&b, "1"), NR_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, b.service), 0);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(set(&b, sets[(size_t)i % NR_COUNT(sets)]), NR_OK);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(set(&b, "1 2"), NR_OK);
    for (uint32_t i = 0; i < nr_service_instance_count(b.service); i++) {
        struct nr_instance_view v;

        nr_service_instance(b.service, i, &v);
        in_flight += v.in_flight;
    }
    assert_int_equal(in_flight, 0);
    bench_done(&b);
    nr_roster_unref(roster);
}

/* ---- names in records ---- */

static uint32_t pick_named(struct bench *b, uint32_t *ret_instance)
{
    struct nr_pick pick = {0};

    *ret_instance = nr_service_pick_by(b->service, &b->random, &pick);
    assert_true(*ret_instance != NR_INSTANCE_NONE);
    return pick.name;
}

static void is_named(const struct nr_roster *roster, uint32_t id, const char *want)
{
    char text[NR_ROSTER_TEXT_BYTES];

    assert_true(nr_span_eq(nr_roster_text(roster, id, text), nr_span_of(want)));
}

/* A record keeps what pick.name was: whoever has the number later is somebody else. */
static void a_name_outlives_its_number(void **state)
{
    struct nr_roster *roster = nr_roster_new(4);
    uint32_t instance, other, one, two;
    struct bench b;

    bench_init(&b);
    assert_int_equal(set(&b, "1 1"), NR_OK); /* found before anybody may pick */
    one = pick_named(&b, &instance);
    assert_int_equal(one, instance);
    report(&b, instance);
    nr_service_enrol(b.service, roster);
    one = pick_named(&b, &instance);
    is_named(roster, one, "10.0.1.1:80");
    report(&b, instance);
    assert_int_equal(set(&b, "1"), NR_OK);
    is_named(roster, one, "10.0.1.1:80");

    assert_int_equal(pick_named(&b, &instance), one);
    assert_int_equal(set(&b, "2"), NR_OK);
    two = pick_named(&b, &other);
    is_named(roster, two, "10.0.1.2:80");
    report(&b, other);
    for (int i = 3; i < 100; i++) { /* as long as it is called, it is not forgotten */
        char list[8];

        snprintf(list, sizeof(list), "%d", i);
        assert_int_equal(set(&b, list), NR_OK);
    }
    is_named(roster, one, "10.0.1.1:80");
    is_named(roster, two, "");
    report(&b, instance);
    assert_int_equal(set(&b, "100"), NR_OK);
    is_named(roster, one, "10.0.1.1:80"); /* over, and remembered for a while */
    assert_int_equal(set(&b, "1 100"), NR_OK);
    assert_string_equal(slots(&b), "100 1");
    for (int i = 0; i < 2; i++)
        if (pick_named(&b, &instance) == one)
            other = instance;
    assert_int_equal(other, 1); /* it is back under its old name */
    assert_true(nr_roster_count(roster) <= 8);
    report(&b, 0);
    report(&b, 1);
    bench_done(&b);
    is_named(roster, one, "10.0.1.1:80"); /* of a service that is gone */
    nr_roster_unref(roster);
}

/* As many as there can be, exchanged again and again: nothing of it adds up. */
static void names_are_bounded(void **state)
{
    static struct nr_instance_spec specs[NR_INSTANCES_MAX];
    static char texts[NR_INSTANCES_MAX][24];
    struct nr_roster *roster = nr_roster_new(64);
    struct bench b;

    bench_init(&b);
    nr_service_enrol(b.service, roster);
    for (uint32_t round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < NR_INSTANCES_MAX; i++) {
            snprintf(texts[i], sizeof(texts[i]), "10.%u.%u.%u:80", round, i / 256, i % 256);
            specs[i] = (struct nr_instance_spec){.text = texts[i], .weight = 1};
            assert_int_equal(nr_addr_parse(texts[i], &specs[i].addr, NULL), NR_OK);
        }
        assert_int_equal(nr_service_set_instances(b.service, specs, NR_INSTANCES_MAX, NULL), NR_OK);
    }
    assert_true(nr_roster_count(roster) <= 2 * NR_INSTANCES_MAX + 65);
    bench_done(&b);
    nr_roster_unref(roster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_stay),
        cmocka_unit_test(who_leaves_finishes_its_calls),
        cmocka_unit_test(who_comes_back_is_known),
        cmocka_unit_test(too_many_change_nothing),
        cmocka_unit_test(unix_paths_are_owned),
        cmocka_unit_test(pools_follow),
        cmocka_unit_test(sets_change_under_load),
        cmocka_unit_test(a_name_outlives_its_number),
        cmocka_unit_test(names_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
