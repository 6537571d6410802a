/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>

#include "../call/fake_client.h"
#include "base/reason.h"
#include "service/service_conf.h"
#include "service/state.h"

enum { INSTANCES = 4 };

struct bench {
    struct fake_world world;
    struct nr_instance_conf instances[INSTANCES];
    char addresses[INSTANCES][24];
    struct nr_service_conf conf;
    struct nr_service *service;
    struct nr_random random;
};

static void bench_init(struct bench *b, enum nr_balance balance, uint32_t instances)
{
    memset(b, 0, sizeof(*b));
    fake = &b->world;
    nr_random_init(&b->random, 1);
    for (uint32_t i = 0; i < instances; i++) {
        snprintf(b->addresses[i], sizeof(b->addresses[i]), "10.0.1.%u:%u", i + 1, 8000 + i);
        b->instances[i].weight = 1;
        b->instances[i].address.kind = NR_CONFIG_ADDRESS_IP;
        b->instances[i].address.text = nr_span_of(b->addresses[i]);
    }
    b->conf = (struct nr_service_conf){.name = NR_SPAN("orders"),
                                       .instances = b->instances,
                                       .instance_count = instances,
                                       .balance = {.algorithm = balance}};
}

static void make(struct bench *b)
{
    assert_int_equal(nr_service_new(&b->conf, 3, &b->service, NULL), NR_OK);
}

static uint32_t pick(struct bench *b, uint64_t tried, int *ret_reason)
{
    return nr_service_pick(b->service, &b->random, 0, tried, ret_reason);
}

static struct nr_instance_view view(struct bench *b, uint32_t instance)
{
    struct nr_instance_view v;

    nr_service_instance(b->service, instance, &v);
    return v;
}

static void what_is_seen_of_it(void **state)
{
    struct nr_instance_view v;
    struct bench b;
    int reason;

    bench_init(&b, NR_BALANCE_ROUND_ROBIN, 2);
    b.instances[1].weight = 3;
    make(&b);
    assert_int_equal(nr_service_id(b.service), 3);
    assert_int_equal(nr_service_instance_count(b.service), 2);
    assert_ptr_equal(nr_service_conf(b.service), &b.conf);
    assert_int_equal(pick(&b, 0, &reason), 1);
    v = view(&b, 1);
    assert_string_equal(v.text, "10.0.1.2:8001");
    assert_int_equal(v.addr.port, 8001);
    assert_int_equal(v.weight, 3);
    assert_int_equal(v.in_flight, 1);
    assert_int_equal(v.picks, 1);
    assert_int_equal(v.health, NR_HEALTH_UNKNOWN);
    nr_service_report(b.service, 1, 5 * MS, 5 * MS, true);
    assert_in_range(view(&b, 1).ewma_us, 4999, 5001);
    assert_int_equal(pick(&b, 2, &reason), 0);
    nr_service_report(b.service, 0, 5 * MS, 5 * MS, false);
    assert_int_equal(view(&b, 0).failures, 1);
    assert_int_equal(pick(&b, 2, &reason), 0);
    nr_service_report(b.service, 0, 5 * MS, 0, false); /* says nothing */
    assert_int_equal(view(&b, 0).failures, 1);
    assert_int_equal(view(&b, 0).in_flight, 0);
    nr_service_free(b.service);
    nr_service_free(NULL);
}

static void every_balancer_is_wired(void **state)
{
    int reason;

    for (int balance = NR_BALANCE_ROUND_ROBIN; balance <= NR_BALANCE_P2C; balance++) {
        struct bench b;

        bench_init(&b, (enum nr_balance)balance, 3);
        make(&b);
        for (int i = 0; i < 300; i++) /* all stay in flight: each of them must level */
            assert_in_range(pick(&b, 0, &reason), 0, 2);
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t in_flight = view(&b, i).in_flight;

            assert_in_range(in_flight, 95, 105);
            for (uint32_t n = 0; n < in_flight; n++)
                nr_service_report(b.service, i, 1, 1, true);
        }
        nr_service_free(b.service);
    }
}

static void reasons_for_none(void **state)
{
    struct bench b;
    int reason = -1;

    bench_init(&b, NR_BALANCE_P2C, 0);
    make(&b);
    assert_true(pick(&b, 0, &reason) == NR_INSTANCE_NONE);
    assert_int_equal(reason, NR_REASON_NO_INSTANCE);
    nr_service_free(b.service);

    bench_init(&b, NR_BALANCE_P2C, 2);
    make(&b);
    for (uint32_t i = 0; i < 2; i++)
        nr_service_check_result(b.service, i, &(struct nr_health_rule){0}, false);
    assert_true(pick(&b, 0, &reason) == NR_INSTANCE_NONE);
    assert_int_equal(reason, NR_REASON_NO_HEALTHY);
    nr_service_check_result(b.service, 1, &(struct nr_health_rule){0}, true);
    assert_int_equal(pick(&b, 0, &reason), 1);
    assert_int_equal(pick(&b, 2, &reason), 1); /* tried, but nothing else is left */
    nr_service_report(b.service, 1, 1, 1, true);
    nr_service_report(b.service, 1, 1, 1, true);
    nr_service_free(b.service);
}

static void an_address_that_is_none(void **state)
{
    struct nr_err err;
    struct bench b;

    bench_init(&b, NR_BALANCE_P2C, 1);
    b.instances[0].address.text = NR_SPAN("10.0.1.1:99999");
    assert_int_not_equal(nr_service_new(&b.conf, 0, &b.service, &err), NR_OK);
    assert_non_null(strstr(err.text, "10.0.1.1:99999"));
}

/* ---- many workers ---- */

enum { THREADS = 4, ROUNDS = 20000 };

static void *work(void *arg)
{
    struct nr_service *service = arg;
    struct nr_random random;
    int reason;

    nr_random_init(&random, (uint64_t)pthread_self());
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint32_t one = nr_service_pick(service, &random, i, 0, &reason);
        uint32_t two = nr_service_pick(service, &random, i, (uint64_t)1 << one, &reason);
        struct nr_instance_view v;

        nr_service_report(service, one, i, 1000, i % 3 == 0);
        nr_service_report(service, two, i, 1000, true);
        if (i % 64 == 0)
            nr_service_instance(service, one, &v);
        if (i % 1000 == 0) /* flaps, but never everybody */
            nr_service_check_result(service, 1, &(struct nr_health_rule){0}, i % 2000 == 0);
    }
    return NULL;
}

static void no_call_is_lost_between_threads(void **state)
{
    for (int balance = NR_BALANCE_ROUND_ROBIN; balance <= NR_BALANCE_P2C; balance++) {
        pthread_t threads[THREADS];
        uint64_t picks = 0;
        struct bench b;

        bench_init(&b, (enum nr_balance)balance, 3);
        make(&b);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, work, b.service), 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(view(&b, i).in_flight, 0);
            picks += view(&b, i).picks;
        }
        assert_int_equal(picks, 2 * THREADS * ROUNDS);
        nr_service_free(b.service);
    }
}

/* ---- pools ---- */

static void clients_are_made_once_and_closed(void **state)
{
    struct nr_service_pools *pools, *others;
    struct nr_client *client;
    struct nr_client_counts counts;
    struct bench b;

    bench_init(&b, NR_BALANCE_P2C, 3);
    b.conf.pool.max_lifetime_ns = UINT64_MAX;
    make(&b);
    assert_int_equal(b.service->client_conf.lifetime_ns, 0); /* unlimited in http's words */
    pools = nr_service_pools_new(b.service, NULL);
    assert_int_equal(b.world.clients, 0);
    client = nr_service_client(pools, 1);
    assert_int_equal(client->addr.port, 8001);
    assert_ptr_equal(nr_service_client(pools, 1), client);
    assert_int_equal(b.world.clients, 1);
    client->counts->connects += 3;
    client->counts->idle += 2;
    nr_service_client(pools, 2)->counts->connects += 4;
    nr_service_client(pools, 2)->counts->open++;
    others = nr_service_pools_new(b.service, NULL); /* another worker's */
    nr_service_client(others, 1)->counts->waits = 5;
    counts = nr_service_counts(b.service);
    assert_int_equal(counts.waits, 5);
    nr_service_pools_free(others);
    assert_int_equal(counts.connects, 7);
    assert_int_equal(counts.idle, 2);
    assert_int_equal(counts.open, 1);
    assert_ptr_equal(nr_service_of(pools), b.service);
    nr_service_pools_free(pools);
    nr_service_pools_free(NULL);
    assert_int_equal(b.world.clients, 0);
    nr_service_free(b.service);
}

static void instances_are_prewarmed_when_they_come_up(void **state)
{
    const struct nr_health_rule at_once = {.rise = 1, .fall = 1};
    struct nr_service_pools *pools;
    struct bench b;

    bench_init(&b, NR_BALANCE_P2C, 2);
    b.conf.pool.prewarm = 3;
    make(&b);
    pools = nr_service_pools_new(b.service, NULL);
    assert_int_equal(b.world.clients, 2); /* before anybody has asked */
    assert_int_equal(nr_service_client(pools, 1)->prewarmed, 3);
    nr_service_client(pools, 1)->prewarmed = 0;
    nr_service_check_result(b.service, 1, &at_once, false);
    assert_int_equal(nr_service_client(pools, 1)->prewarmed, 0);
    nr_service_check_result(b.service, 1, &at_once, true);
    assert_int_equal(nr_service_client(pools, 1)->prewarmed, 3);
    nr_service_pools_free(pools);
    nr_service_free(b.service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_seen_of_it),
        cmocka_unit_test(every_balancer_is_wired),
        cmocka_unit_test(reasons_for_none),
        cmocka_unit_test(an_address_that_is_none),
        cmocka_unit_test(no_call_is_lost_between_threads),
        cmocka_unit_test(clients_are_made_once_and_closed),
        cmocka_unit_test(instances_are_prewarmed_when_they_come_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
