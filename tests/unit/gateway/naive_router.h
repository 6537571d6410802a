/* SPDX-License-Identifier: Apache-2.0 */
/* naive_router.h - the definition of router.h by comparing all rules with each other: slow, and
 * short enough to be seen to be right. What the trie finds must agree with it. */
#ifndef NR_TEST_NAIVE_ROUTER_H
#define NR_TEST_NAIVE_ROUTER_H

#include "gateway/router.h"

enum { NAIVE_NO_HOST = -1, NAIVE_ANY_HOST = 0, NAIVE_EXACT_HOST = 1000 };

/* How specific the rule's best host is for this one (lower case, no port). */
static int naive_host(const struct nr_router_rule *rule, struct nr_span host)
{
    int best = rule->host_count == 0 ? NAIVE_ANY_HOST : NAIVE_NO_HOST;

    for (uint32_t i = 0; i < rule->host_count; i++) {
        struct nr_span name = rule->hosts[i];
        int rank = NAIVE_NO_HOST;

        if (nr_span_eq(name, host)) {
            rank = NAIVE_EXACT_HOST;
        } else if (nr_span_starts_with(name, NR_SPAN("*."))) {
            name = nr_span_from(name, 1);
            if (host.len > name.len && host.ptr[0] != '.' &&
                memcmp(host.ptr + host.len - name.len, name.ptr, name.len) == 0)
                rank = (int)name.len;
        }
        if (rank > best)
            best = rank;
    }
    return best;
}

/* The segment at the front with its slash; false at the end. */
static bool naive_segment(struct nr_span *rest, struct nr_span *ret)
{
    size_t len = 1;

    if (rest->len == 0)
        return false;
    while (len < rest->len && rest->ptr[len] != '/')
        len++;
    *ret = (struct nr_span){rest->ptr, len};
    *rest = nr_span_from(*rest, len);
    return true;
}

/* 3: literal, 2: parameter, 1: star. */
static int naive_kind(struct nr_span segment, bool last)
{
    if (last && nr_span_eq(segment, NR_SPAN("/*")))
        return 1;
    return segment.len > 1 && segment.ptr[1] == '{' ? 2 : 3;
}

static bool naive_path_fits(struct nr_span pattern, struct nr_span path)
{
    struct nr_span want, have;

    while (naive_segment(&pattern, &want)) {
        int kind = naive_kind(want, pattern.len == 0);

        if (kind == 1)
            return true;
        if (!naive_segment(&path, &have) || (kind == 2 && have.len < 2) ||
            (kind == 3 && !nr_span_eq(want, have)))
            return false;
    }
    return path.len == 0;
}

/* Above 0 when a is more specific; both fit the same path. */
static int naive_path_order(struct nr_span a, struct nr_span b)
{
    struct nr_span x, y;

    for (;;) {
        bool more_a = naive_segment(&a, &x), more_b = naive_segment(&b, &y);
        int kind_a = more_a ? naive_kind(x, a.len == 0) : 3;
        int kind_b = more_b ? naive_kind(y, b.len == 0) : 3;

        if (kind_a != kind_b)
            return kind_a - kind_b;
        if (!more_a || !more_b)
            return 0;
    }
}

static uint32_t naive_conditions(const struct nr_router_rule *rule)
{
    return (rule->methods != 0) + (rule->match == NULL ? 0 : rule->match->count);
}

/* Above 0 when a comes first. */
static int naive_order(const struct nr_router_rule *a, const struct nr_router_rule *b,
                       struct nr_span host)
{
    int order = naive_host(a, host) - naive_host(b, host);

    if (order == 0)
        order = naive_path_order(a->path, b->path);
    if (order == 0)
        order = (int)naive_conditions(a) - (int)naive_conditions(b);
    return order;
}

/* The winner's index; -1: none, -2: none for this method. */
static int naive_find(const struct nr_router_rule *rules, uint32_t count, struct nr_span host,
                      struct nr_span path, enum nr_method method, const struct nr_head *head)
{
    int best = -1, nothing = -1;

    for (uint32_t i = 0; i < count; i++) {
        const struct nr_router_rule *rule = &rules[i];

        if (naive_host(rule, host) == NAIVE_NO_HOST || !naive_path_fits(rule->path, path) ||
            (rule->match != NULL && nr_match_failed(rule->match, head, path) != NULL))
            continue;
        if (rule->methods != 0 && (rule->methods >> method & 1) == 0)
            nothing = -2;
        else if (best < 0 || naive_order(rule, &rules[best], host) > 0)
            best = (int)i;
    }
    return best >= 0 ? best : nothing;
}

#endif
