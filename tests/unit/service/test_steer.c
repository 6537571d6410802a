/* SPDX-License-Identifier: Apache-2.0 */
/* Who takes calls: keys, cookies, tiers, zones, slow starts and operators, as stories over time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>

#include "../call/fake_client.h"
#include "base/record.h"
#include "service/service_conf.h"
#include "service/state.h"

enum { INSTANCES = 6, PICKS = 1000000 };

#define S (1000 * MS)

struct bench {
    struct fake_world world;
    struct nr_instance_conf instances[INSTANCES];
    char addresses[INSTANCES][24];
    struct nr_service_conf conf;
    struct nr_service *service;
    struct nr_random random;
    uint64_t now_ns;
    uint32_t taken[INSTANCES];
    uint32_t flags; /* of the last pick */
};

static void bench_init(struct bench *b, enum nr_balance algorithm, uint32_t instances)
{
    memset(b, 0, sizeof(*b));
    fake = &b->world;
    nr_random_init(&b->random, 1);
    b->now_ns = 100 * S;
    for (uint32_t i = 0; i < instances; i++) {
        snprintf(b->addresses[i], sizeof(b->addresses[i]), "10.0.1.%u:%u", i + 1, 8000 + i);
        b->instances[i].weight = 1;
        b->instances[i].address.kind = NR_CONFIG_ADDRESS_IP;
        b->instances[i].address.text = nr_span_of(b->addresses[i]);
    }
    b->conf = (struct nr_service_conf){.name = NR_SPAN("orders"),
                                       .instances = b->instances,
                                       .instance_count = instances,
                                       .balance = {.algorithm = algorithm,
                                                   .bounded_load = 1.25,
                                                   .overprovisioning = 1.4,
                                                   .zone_threshold = 0.7}};
}

static void make(struct bench *b)
{
    assert_int_equal(nr_service_new(&b->conf, 0, &b->service, NULL), NR_OK);
}

static void checked(struct bench *b, uint32_t instance, bool ok)
{
    nr_service_check_result(b->service, instance, &(struct nr_health_rule){0}, ok);
}

/* One call, over at once. */
static uint32_t call_by(struct bench *b, uint64_t key, bool has_key, uint64_t tried)
{
    struct nr_pick pick = {.now_ns = b->now_ns, .tried = tried, .key = key, .has_key = has_key};
    uint32_t instance = nr_service_pick_by(b->service, &b->random, &pick);

    b->flags = pick.flags;
    if (instance == NR_INSTANCE_NONE)
        return instance;
    assert_in_range(instance, 0, INSTANCES - 1);
    b->taken[instance]++;
    nr_service_report(b->service, instance, b->now_ns, 0, true);
    return instance;
}

static uint32_t call(struct bench *b)
{
    return call_by(b, 0, false, 0);
}

static void calls(struct bench *b, uint32_t count)
{
    memset(b->taken, 0, sizeof(b->taken));
    for (uint32_t i = 0; i < count; i++)
        call(b);
}

static void assert_taken(const struct bench *b, uint32_t instance, double want, double slack)
{
    if (b->taken[instance] < want - slack || b->taken[instance] > want + slack)
        fail_msg("instance %u took %u, not %.0f", instance, b->taken[instance], want);
}

/* A million picks with each algorithm that goes by weight: 1 to 2 to 3. */
static void weights_hold_everywhere(void **state)
{
    static const enum nr_balance algorithms[] = {NR_BALANCE_ROUND_ROBIN, NR_BALANCE_LEAST_REQUESTS,
                                                 NR_BALANCE_RANDOM, NR_BALANCE_HASH,
                                                 NR_BALANCE_STICKY};

    for (size_t i = 0; i < NR_COUNT(algorithms); i++) {
        struct bench b;

        bench_init(&b, algorithms[i], 3);
        b.instances[1].weight = 2;
        b.instances[2].weight = 3;
        b.conf.balance.bounded_load = 0;
        make(&b);
        for (uint64_t n = 0; n < PICKS; n++)
            call_by(&b, nr_hash_mix(n), algorithms[i] == NR_BALANCE_HASH, 0);
        for (uint32_t h = 0; h < 3; h++)
            assert_taken(&b, h, PICKS * (h + 1.0) / 6, PICKS / 200.0);
        nr_service_free(b.service);
    }
}

static void an_instance_that_is_down_keeps_the_other_keys_at_home(void **state)
{
    for (uint32_t table = NR_HASH_MAGLEV; table <= NR_HASH_RING; table++) {
        static uint32_t home[100000];
        uint32_t moved = 0;
        struct bench b;

        bench_init(&b, NR_BALANCE_HASH, 5);
        b.conf.balance.table = table;
        make(&b);
        for (uint64_t n = 0; n < 100000; n++)
            home[n] = call_by(&b, nr_hash_mix(n), true, 0);
        checked(&b, 2, false);
        for (uint64_t n = 0; n < 100000; n++) {
            uint32_t now = call_by(&b, nr_hash_mix(n), true, 0);

            assert_int_not_equal(now, 2);
            if (now != home[n]) {
                assert_int_equal(home[n], 2);
                moved++;
            }
        }
        assert_in_range(moved, 100000 * 0.9 / 5, 100000 * 1.1 / 5);
        checked(&b, 2, true);
        for (uint64_t n = 0; n < 100000; n++)
            assert_int_equal(call_by(&b, nr_hash_mix(n), true, 0), home[n]);
        nr_service_free(b.service);
    }
}

/* Thirty seconds: a tenth at first, half in the middle, the whole at the end. */
static void one_that_is_back_starts_slowly(void **state)
{
    static const struct {
        uint64_t at_s;
        double share; /* of what the others get */
    } moments[] = {{0, 0.1}, {3, 0.1}, {15, 0.5}, {24, 0.8}, {30, 1}, {300, 1}};
    struct bench b;

    bench_init(&b, NR_BALANCE_ROUND_ROBIN, 3);
    b.conf.balance.slow_start_ns = 30 * S;
    make(&b);
    for (uint32_t i = 0; i < 3; i++)
        checked(&b, i, true);
    calls(&b, 3000); /* at our start nobody is newer than the others */
    for (uint32_t i = 0; i < 3; i++)
        assert_taken(&b, i, 1000, 1);
    checked(&b, 2, false);
    b.now_ns += 60 * S;
    calls(&b, 1000);
    assert_taken(&b, 2, 0, 0);
    checked(&b, 2, true);
    call(&b);
    for (size_t i = 0; i < NR_COUNT(moments); i++) {
        double share = moments[i].share;

        b.now_ns = 160 * S + moments[i].at_s * S;
        calls(&b, 10000);
        assert_taken(&b, 2, 10000 * share / (2 + share), 10000 * 0.02);
    }
    assert_true(b.service->warm_next_ns == NR_TIME_NEVER); /* and picks look no more */
    nr_service_free(b.service);
}

static void the_standby_takes_what_is_missing_and_gives_back(void **state)
{
    struct bench b;

    bench_init(&b, NR_BALANCE_ROUND_ROBIN, 6);
    b.instances[4].priority = b.instances[5].priority = 1;
    make(&b);
    calls(&b, 1000);
    assert_taken(&b, 4, 0, 0);
    assert_int_equal(b.flags, 0);
    checked(&b, 0, false); /* three of four: enough */
    calls(&b, 900);
    assert_taken(&b, 1, 300, 1);
    assert_taken(&b, 4, 0, 0);
    checked(&b, 1, false); /* two of four: 70 to 30 */
    calls(&b, 10000);
    assert_taken(&b, 2, 3500, 20);
    assert_taken(&b, 3, 3500, 20);
    assert_taken(&b, 4, 1500, 20);
    assert_taken(&b, 5, 1500, 20);
    assert_int_equal(b.flags, NR_RECORD_STANDBY);
    checked(&b, 2, false);
    checked(&b, 3, false);
    calls(&b, 1000);
    assert_taken(&b, 4, 500, 1);
    for (uint32_t i = 0; i < 4; i++)
        checked(&b, i, true);
    calls(&b, 1000);
    assert_taken(&b, 0, 250, 1);
    assert_taken(&b, 4, 0, 0);
    assert_int_equal(call_by(&b, 0, false, 15), 4); /* all of the first were tried: not again */
    nr_service_free(b.service);
}

static void panic_ignores_health_but_not_operators(void **state)
{
    struct bench b;

    bench_init(&b, NR_BALANCE_ROUND_ROBIN, 4);
    b.conf.balance.panic = 0.5;
    make(&b);
    for (uint32_t i = 0; i < 3; i++)
        checked(&b, i, false);
    calls(&b, 1000);
    for (uint32_t i = 0; i < 4; i++)
        assert_taken(&b, i, 250, 1);
    assert_int_equal(b.flags, NR_RECORD_PANIC);
    nr_service_force(b.service, 0, NR_FORCE_DOWN);
    calls(&b, 900);
    assert_taken(&b, 0, 0, 0);
    assert_taken(&b, 1, 300, 1);
    nr_service_force(b.service, 0, NR_FORCE_UP);
    nr_service_force(b.service, 1, NR_FORCE_UP);
    calls(&b, 900); /* three of four count as healthy: calm again */
    assert_taken(&b, 2, 0, 0);
    assert_taken(&b, 0, 300, 1);
    assert_int_equal(b.flags, 0);
    nr_service_force(b.service, 0, NR_FORCE_AUTO);
    calls(&b, 1000);
    assert_taken(&b, 0, 0, 0);
    nr_service_free(b.service);
}

static void our_zone_first(void **state)
{
    struct bench b;

    bench_init(&b, NR_BALANCE_ROUND_ROBIN, 4);
    b.conf.balance.zone = NR_SPAN("a");
    b.instances[0].zone = b.instances[1].zone = NR_SPAN("a");
    b.instances[2].zone = NR_SPAN("b");
    make(&b);
    calls(&b, 1000);
    assert_taken(&b, 0, 500, 1);
    assert_taken(&b, 1, 500, 1);
    checked(&b, 0, false); /* half of the zone is below 70 % */
    calls(&b, 900);
    for (uint32_t i = 1; i < 4; i++)
        assert_taken(&b, i, 300, 1);
    checked(&b, 0, true);
    calls(&b, 1000);
    assert_taken(&b, 2, 0, 0);
    nr_service_free(b.service);
}

static void a_cookie_binds_until_its_instance_is_gone(void **state)
{
    uint64_t token;
    struct bench b;

    bench_init(&b, NR_BALANCE_STICKY, 3);
    b.conf.balance.cookie.secret = NR_SPAN("correct horse battery staple");
    make(&b);
    nr_service_draw_key(b.service, NULL);
    token = nr_service_token(b.service, 1);
    assert_true(token != 0 && token != nr_service_token(b.service, 2));
    for (int i = 0; i < 10; i++)
        assert_int_equal(call_by(&b, token, true, 0), 1);
    nr_service_drain(b.service, 1, true); /* nobody new, but whoever is bound stays */
    assert_int_equal(call_by(&b, token, true, 0), 1);
    calls(&b, 100);
    assert_taken(&b, 1, 0, 0);
    assert_taken(&b, 0, 50, 1);
    assert_int_not_equal(call_by(&b, token, true, 2), 1); /* a retry leaves it */
    nr_service_drain(b.service, 1, false);
    checked(&b, 1, false);
    assert_int_not_equal(call_by(&b, token, true, 0), 1);
    checked(&b, 1, true);
    nr_service_force(b.service, 1, NR_FORCE_DOWN);
    assert_int_not_equal(call_by(&b, token, true, 0), 1);
    assert_in_range(call_by(&b, 12345, true, 0), 0, 2); /* made up */
    nr_service_free(b.service);
}

static void operators_change_weights(void **state)
{
    struct nr_instance_view view;
    struct bench b;

    bench_init(&b, NR_BALANCE_ROUND_ROBIN, 2);
    make(&b);
    nr_service_set_weight(b.service, 1, 3);
    calls(&b, 1000);
    assert_taken(&b, 1, 750, 1);
    nr_service_set_weight(b.service, 1, 0);
    calls(&b, 1000);
    assert_taken(&b, 1, 0, 0);
    nr_service_instance(b.service, 1, &view);
    assert_int_equal(view.weight, 0);
    assert_false(view.takes);
    nr_service_set_weight(b.service, 1, NR_WEIGHT_CONFIGURED);
    calls(&b, 1000);
    assert_taken(&b, 1, 500, 1);
    nr_service_free(b.service);
}

/* A reload with another list: what operators said and cookies stay; who is new starts slowly. */
static void a_successor_goes_on(void **state)
{
    struct nr_service *old;
    struct nr_instance_view view;
    struct bench b;

    bench_init(&b, NR_BALANCE_ROUND_ROBIN, 3);
    b.conf.balance.slow_start_ns = 30 * S;
    b.conf.instance_count = 2;
    make(&b);
    calls(&b, 100);
    nr_service_set_weight(b.service, 0, 2);
    nr_service_drain(b.service, 1, true);
    old = b.service;
    b.conf.instance_count = 3;
    make(&b);
    nr_service_inherit(b.service, old);
    nr_service_instance(b.service, 1, &view);
    assert_true(view.draining);
    calls(&b, 2100); /* 2 to 0 to 0.1 */
    assert_taken(&b, 0, 2000, 10);
    assert_taken(&b, 1, 0, 0);
    assert_taken(&b, 2, 100, 10);
    nr_service_free(old);
    nr_service_free(b.service);
}

/* ---- tables while calls go on ---- */

enum { THREADS = 3, ROUNDS = 20000 };

static void *work(void *arg)
{
    struct nr_service *service = arg;
    struct nr_random random;

    nr_random_init(&random, (uint64_t)pthread_self());
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct nr_pick pick = {.now_ns = i, .key = nr_random_u64(&random), .has_key = true};
        uint32_t instance = nr_service_pick_by(service, &random, &pick);

        assert_true(instance < 3);
        nr_service_report(service, instance, i, 1000, true);
    }
    return NULL;
}

static void tables_change_under_calls(void **state)
{
    pthread_t threads[THREADS];
    struct bench b;

    bench_init(&b, NR_BALANCE_HASH, 3);
    make(&b);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, b.service), 0);
    for (int i = 0; i < 50; i++) {
        checked(&b, 1, i % 2 == 0);
        nr_service_set_weight(b.service, 2, 1 + (uint32_t)i);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    nr_service_free(b.service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_hold_everywhere),
        cmocka_unit_test(an_instance_that_is_down_keeps_the_other_keys_at_home),
        cmocka_unit_test(one_that_is_back_starts_slowly),
        cmocka_unit_test(the_standby_takes_what_is_missing_and_gives_back),
        cmocka_unit_test(panic_ignores_health_but_not_operators),
        cmocka_unit_test(our_zone_first),
        cmocka_unit_test(a_cookie_binds_until_its_instance_is_gone),
        cmocka_unit_test(operators_change_weights),
        cmocka_unit_test(a_successor_goes_on),
        cmocka_unit_test(tables_change_under_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
