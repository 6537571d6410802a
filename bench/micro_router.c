/* SPDX-License-Identifier: Apache-2.0 */
/* micro_router.c - nanoseconds per look-up by the number of routes, alone on a core: the smallest
 * of several rounds, because noise only adds. Requests go through all routes in a shuffled order,
 * so that big tables are not measured in a warm cache; the requests themselves lie in the order in
 * which they are asked, as one that was just received is in the cache. */
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

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
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

struct setting {
    struct nr_arena rule_texts, request_texts;
    struct nr_router_rule *rules;
    struct nr_span *rule_hosts;
    struct nr_span *hosts; /* of the requests, in the order in which they are asked */
    struct nr_span *paths;
    uint32_t *wanted;
};

static void *zeroed(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);

    if (memory == NULL)
        abort();
    return memory;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
static void set_up(struct setting *s, const struct table *table, uint32_t count)
{
    struct nr_random random;

    *s = (struct setting){
        .rules = zeroed(count, sizeof(*s->rules)),
        .rule_hosts = zeroed(count, sizeof(*s->rule_hosts)),
        .hosts = zeroed(count, sizeof(*s->hosts)),
        .paths = zeroed(count, sizeof(*s->paths)),
        .wanted = zeroed(count, sizeof(*s->wanted)),
    };
    nr_arena_init(&s->rule_texts, NULL, 0);
    nr_arena_init(&s->request_texts, NULL, 0);
    nr_random_init(&random, 1);
    for (uint32_t i = 0; i < count; i++) {
        s->rule_hosts[i] = nr_arena_printf(&s->rule_texts, "shop-%u.example.com", i);
        s->rules[i] = (struct nr_router_rule){
            .path = nr_arena_printf(&s->rule_texts, table->rule, i),
            .hosts = table->hosts ? &s->rule_hosts[i] : NULL,
            .host_count = table->hosts,
        };
        s->wanted[i] = i;
    }
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = (uint32_t)nr_random_below(&random, i), was = s->wanted[i - 1];

        s->wanted[i - 1] = s->wanted[j];
        s->wanted[j] = was;
    }
    for (uint32_t i = 0; i < count; i++) {
        s->hosts[i] = nr_arena_printf(&s->request_texts, "shop-%u.example.com", s->wanted[i]);
        s->paths[i] = nr_arena_printf(&s->request_texts, table->request, s->wanted[i]);
    }
}
#pragma GCC diagnostic pop

static void tear_down(struct setting *s)
{
    nr_arena_done(&s->rule_texts);
    nr_arena_done(&s->request_texts);
    free(s->rules);
    free(s->rule_hosts);
    free(s->hosts);
    free(s->paths);
    free(s->wanted);
}

static double measure(const struct table *table, uint32_t count)
{
    struct nr_router *router;
    struct setting s;
    double best = 1e18;

    set_up(&s, table, count);
    router = nr_router_new(s.rules, count);
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns(), took;

        for (uint32_t i = 0, at = 0; i < LOOKUPS; i++, at = at + 1 == count ? 0 : at + 1) {
            uint32_t rule = 0;
            uint64_t methods;

            if (nr_router_find(router, s.hosts[at], s.paths[at], NR_METHOD_GET, NULL, &rule,
                               &methods) != NR_ROUTER_FOUND ||
                rule != s.wanted[at])
                abort();
        }
        took = (now_ns() - start) / LOOKUPS;
        best = took < best ? took : best;
    }
    nr_router_free(router);
    tear_down(&s);
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
