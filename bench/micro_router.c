/* SPDX-License-Identifier: Apache-2.0 */
/* micro_router.c - nanoseconds per look-up by the number of routes, alone on a core: the smallest
 * of several rounds, because noise only adds. Requests go through all routes in a shuffled order,
 * so that big tables are not measured in a warm cache. `meson compile bench-micro-router`. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/random.h"
#include "gateway/router.h"

enum { ROUNDS = 9, LOOKUPS = 200000 };

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

struct table {
    const char *what;
    const char *rule; /* printf with the number of the route */
    const char *request;
    bool hosts; /* a host of its own for each route */
};

static const struct table tables[] = {
    {"exact", "/api/service-%u/items", "/api/service-%u/items", false},
    {"prefix", "/api/service-%u/*", "/api/service-%u/orders/12345", false},
    {"parameters", "/api/service-%u/{id}/items/{item}", "/api/service-%u/77/items/99", false},
    {"hosts", "/*", "/orders/12345", true},
};

static double measure(const struct table *table, uint32_t count)
{
    struct nr_router_rule *rules = calloc(count, sizeof(*rules));
    struct nr_span *hosts = calloc(count, sizeof(*hosts));
    struct nr_span *requests = calloc(count, sizeof(*requests));
    uint32_t *order = calloc(count, sizeof(*order));
    struct nr_router *router;
    struct nr_random random;
    struct nr_arena arena;
    double best = 1e18;

    if (rules == NULL || hosts == NULL || requests == NULL || order == NULL)
        abort();
    nr_arena_init(&arena, NULL, 0);
    nr_random_init(&random, 1);
    for (uint32_t i = 0; i < count; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
        rules[i].path = nr_arena_printf(&arena, table->rule, i);
        requests[i] = nr_arena_printf(&arena, table->request, i);
#pragma GCC diagnostic pop
        hosts[i] = nr_arena_printf(&arena, "shop-%u.example.com", i);
        if (table->hosts)
            rules[i].hosts = &hosts[i];
        rules[i].host_count = table->hosts;
        order[i] = i;
    }
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = (uint32_t)nr_random_below(&random, i), was = order[i - 1];

        order[i - 1] = order[j];
        order[j] = was;
    }
    router = nr_router_new(rules, count);
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns(), took;

        for (uint32_t i = 0; i < LOOKUPS; i++) {
            uint32_t at = order[i % count], rule = 0;
            uint64_t methods;

            if (nr_router_find(router, hosts[at], requests[at], NR_METHOD_GET, NULL, &rule,
                               &methods) != NR_ROUTER_FOUND ||
                rule != at)
                abort();
        }
        took = (now_ns() - start) / LOOKUPS;
        best = took < best ? took : best;
    }
    nr_router_free(router);
    nr_arena_done(&arena);
    free(rules);
    free(hosts);
    free(requests);
    free(order);
    return best;
}

int main(void)
{
    static const uint32_t counts[] = {10, 100, 1000, 10000, 100000};

    printf("%-12s", "routes");
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        printf("%12u", counts[i]);
    printf("\n");
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        printf("%-12s", tables[t].what);
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
            printf("%9.1f ns", measure(&tables[t], counts[i]));
        printf("\n");
    }
    return 0;
}
