/* SPDX-License-Identifier: Apache-2.0 */
/* A million picks of each balancer, as calls make them: through the service, 100 at a time, the
 * oldest of which is over when the next begins. So all take the same time, and everybody's share
 * must be that of its weight. (100, because the sums of the weights divide it: who counts calls in
 * flight can share them out no finer than whole ones.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../call/fake_client.h"
#include "service/service_conf.h"
#include "service/state.h"

enum { PICKS = 1000000, AT_ONCE = 100, HOSTS_MAX = 16 };

struct bench {
    struct fake_world world;
    struct nr_instance_conf instances[HOSTS_MAX];
    char addresses[HOSTS_MAX][24];
    struct nr_service_conf conf;
    struct nr_service *service;
    struct nr_random random;
    uint32_t taken[HOSTS_MAX];
};

static void bench_init(struct bench *b, const uint32_t *weights, uint32_t count,
                       const struct nr_balance_conf *balance)
{
    memset(b, 0, sizeof(*b));
    fake = &b->world;
    nr_random_init(&b->random, 11);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(b->addresses[i], sizeof(b->addresses[i]), "10.0.1.%u:80", i + 1);
        b->instances[i].weight = weights[i];
        b->instances[i].address.kind = NR_CONFIG_ADDRESS_IP;
        b->instances[i].address.text = nr_span_of(b->addresses[i]);
    }
    b->conf = (struct nr_service_conf){.name = NR_SPAN("orders"),
                                       .instances = b->instances,
                                       .instance_count = count,
                                       .balance = *balance};
    assert_int_equal(nr_service_new(&b->conf, 0, &b->service, NULL), NR_OK);
}

/* A million calls; each with a key of its own, if there are keys. */
static void call(struct bench *b, bool keys)
{
    uint32_t on[AT_ONCE];

    for (uint32_t i = 0; i < PICKS + AT_ONCE; i++) {
        struct nr_pick pick = {.now_ns = (uint64_t)i * 10000};

        if (i >= AT_ONCE)
            nr_service_report(b->service, on[i % AT_ONCE], pick.now_ns, 1000000, true);
        if (i >= PICKS)
            continue;
        if (keys) {
            pick.has_key = true;
            pick.key = nr_random_u64(&b->random);
        }
        on[i % AT_ONCE] = nr_service_pick_by(b->service, &b->random, &pick);
        assert_true(on[i % AT_ONCE] != NR_INSTANCE_NONE);
        b->taken[on[i % AT_ONCE]]++;
    }
}

struct row {
    const char *what;
    struct nr_balance_conf balance;
    bool keys;
    double slack; /* of a share */
};

static const struct row rows[] = {
    {"round_robin", {.algorithm = NR_BALANCE_ROUND_ROBIN}, false, 0.0001},
    {"least_requests", {.algorithm = NR_BALANCE_LEAST_REQUESTS}, false, 0.01},
    {"p2c", {.algorithm = NR_BALANCE_P2C}, false, 0.03},
    {"random", {.algorithm = NR_BALANCE_RANDOM}, false, 0.01},
    {"ip_hash", {.algorithm = NR_BALANCE_IP_HASH, .key = NR_KEY_CLIENT_NET}, true, 0.02},
    {"hash, maglev",
     {.algorithm = NR_BALANCE_HASH, .key = NR_KEY_PATH, .table = NR_HASH_MAGLEV},
     true,
     0.02},
    {"hash, ring",
     {.algorithm = NR_BALANCE_HASH, .key = NR_KEY_PATH, .table = NR_HASH_RING},
     true,
     0.1},
    {"hash, bounded",
     {.algorithm = NR_BALANCE_HASH,
      .key = NR_KEY_PATH,
      .table = NR_HASH_RING,
      .bounded_load = 1.25},
     true,
     0.15},
    {"hash, without a key", {.algorithm = NR_BALANCE_HASH, .key = NR_KEY_PATH}, false, 0.01},
    {"sticky, before the cookie",
     {.algorithm = NR_BALANCE_STICKY, .key = NR_KEY_STICKY},
     false,
     0.01},
};

static void a_million_picks(const struct row *row, const uint32_t *weights, uint32_t count)
{
    uint32_t sum = 0;
    struct bench b;

    for (uint32_t i = 0; i < count; i++)
        sum += weights[i];
    bench_init(&b, weights, count, &row->balance);
    call(&b, row->keys);
    for (uint32_t i = 0; i < count; i++) {
        double want = (double)PICKS * weights[i] / sum, off = (b.taken[i] - want) / want;

        print_message("# %-26s weight %u: %7u, %+.2f %%\n", row->what, weights[i], b.taken[i],
                      100 * off);
        if (off > row->slack || off < -row->slack)
            fail_msg("%s: %u of weight %u, not %.0f", row->what, b.taken[i], weights[i], want);
    }
    nr_service_free(b.service);
}

static void equal_instances_share_equally(void **state)
{
    (void)state;
    for (size_t i = 0; i < NR_COUNT(rows); i++)
        a_million_picks(&rows[i], (uint32_t[]){1, 1, 1, 1, 1}, 5);
}

static void weights_are_shares(void **state)
{
    (void)state;
    for (size_t i = 0; i < NR_COUNT(rows); i++)
        a_million_picks(&rows[i], (uint32_t[]){1, 2, 3, 4}, 4);
}

/* Of a million keys, how many change their instance when the first of `count` leaves for good: at
 * most 1.1/n, its own included; and all that did not live there when it only is down: none. */
static void keys_stay_when_an_instance_leaves(void **state)
{
    static const uint32_t kinds[] = {NR_HASH_MAGLEV, NR_HASH_RING};
    static const uint32_t weights[HOSTS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

    (void)state;
    for (size_t k = 0; k < NR_COUNT(kinds); k++)
        for (uint32_t count = 2; count <= HOSTS_MAX; count *= 2) {
            struct nr_balance_conf balance = {
                .algorithm = NR_BALANCE_HASH, .key = NR_KEY_PATH, .table = kinds[k]};
            struct bench before, after;
            uint32_t moved = 0;

            bench_init(&before, weights, count, &balance);
            bench_init(&after, weights, count, &balance);
            for (uint32_t i = 1; i < count; i++)
                after.instances[i - 1] = after.instances[i];
            nr_service_free(after.service);
            after.conf.instance_count = count - 1;
            assert_int_equal(nr_service_new(&after.conf, 0, &after.service, NULL), NR_OK);
            for (uint32_t i = 0; i < PICKS; i++) {
                struct nr_pick pick = {.has_key = true, .key = nr_random_u64(&before.random)};
                struct nr_pick same = pick;
                uint32_t from = nr_service_pick_by(before.service, &before.random, &pick);
                uint32_t to = nr_service_pick_by(after.service, &after.random, &same);

                moved += from != to + 1; /* the first has gone, so numbers are one less */
                nr_service_report(before.service, from, 0, 1, true);
                nr_service_report(after.service, to, 0, 1, true);
            }
            print_message("# %s, %2u: %.4f of the keys move, 1.1/n is %.4f\n",
                          kinds[k] == NR_HASH_RING ? "ring  " : "maglev", count,
                          (double)moved / PICKS, 1.1 / count);
            assert_true((double)moved / PICKS <= 1.1 / count);
            nr_service_free(before.service);
            nr_service_free(after.service);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_instances_share_equally),
        cmocka_unit_test(weights_are_shares),
        cmocka_unit_test(keys_stay_when_an_instance_leaves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
