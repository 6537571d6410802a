/* SPDX-License-Identifier: Apache-2.0 */
/* route_order.c - the order of router.h, written out: for people, who cannot read a trie. Built
 * from the configuration and not from the router, so that one can be held against the other. */
#include <stdlib.h>

#include "base/assert.h"
#include "gateway/explain.h"

struct entry {
    struct nr_route_place place;
    const struct nr_match_conf *match;
    uint32_t conditions;
};

static int compare_text(struct nr_span a, struct nr_span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* ---- hosts: exact, the longer wildcard, any ---- */

static int host_class(struct nr_span host)
{
    if (host.len == 0)
        return 2;
    return host.ptr[0] == '*' ? 1 : 0;
}

static int compare_hosts(struct nr_span a, struct nr_span b)
{
    int order = host_class(a) - host_class(b);

    if (order == 0 && host_class(a) == 1)
        order = (a.len < b.len) - (a.len > b.len);
    return order != 0 ? order : compare_text(a, b);
}

/* ---- paths: literal, parameter, star ---- */

/* The segment behind the slash that *rest begins with. */
static struct nr_span next_segment(struct nr_span *rest)
{
    struct nr_span segment = nr_span_from(*rest, 1);
    const char *slash = segment.len == 0 ? NULL : memchr(segment.ptr, '/', segment.len);

    if (slash != NULL)
        segment.len = (size_t)(slash - segment.ptr);
    *rest = nr_span_from(*rest, segment.len + 1);
    return segment;
}

static int segment_class(struct nr_span segment, struct nr_span rest)
{
    if (rest.len == 0 && nr_span_eq(segment, NR_SPAN("*")))
        return 2;
    return segment.len > 2 && segment.ptr[0] == '{' ? 1 : 0;
}

static int compare_paths(struct nr_span a, struct nr_span b)
{
    while (a.len > 0 && b.len > 0) {
        struct nr_span left = next_segment(&a), right = next_segment(&b);
        int class = segment_class(left, a);
        int order = class - segment_class(right, b);

        if (order == 0 && class == 0)
            order = compare_text(left, right);
        if (order != 0)
            return order;
    }
    return (a.len > 0) - (b.len > 0); /* "/a" is asked before "/a/" and a star */
}

/* ---- all of it ---- */

static int by_order(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    int order = compare_hosts(a->place.host, b->place.host);

    if (order == 0)
        order = compare_paths(a->match->path, b->match->path);
    if (order == 0)
        order = (a->conditions < b->conditions) - (a->conditions > b->conditions);
    if (order != 0)
        return order;
    return (a->place.route > b->place.route) - (a->place.route < b->place.route);
}

static uint32_t count_places(const struct nr_routes *routes)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < routes->count; i++) {
        uint32_t hosts = routes->items[i].conf->match.host_count;

        count += hosts > 0 ? hosts : 1;
    }
    return count;
}

static struct entry entry_of(const struct nr_routes *routes, uint32_t route, uint32_t host)
{
    const struct nr_match_conf *match = &routes->items[route].conf->match;
    const struct nr_match *further = routes->matches[route];
    uint32_t conditions = (further == NULL ? 0 : further->count) + (match->methods != 0);

    return (struct entry){
        {route, match->host_count > 0 ? match->hosts[host] : NR_SPAN("")}, match, conditions};
}

struct nr_route_place *nr_routes_order(const struct nr_routes *routes, uint32_t *ret_count)
{
    uint32_t count = count_places(routes), at = 0;
    struct entry *entries = calloc(count + 1u, sizeof(*entries));
    struct nr_route_place *places = calloc(count + 1u, sizeof(*places));

    nr_assert(entries != NULL && places != NULL);
    for (uint32_t i = 0; i < routes->count; i++) {
        uint32_t hosts = routes->items[i].conf->match.host_count;

        for (uint32_t k = 0; k < (hosts > 0 ? hosts : 1); k++)
            entries[at++] = entry_of(routes, i, k);
    }
    qsort(entries, count, sizeof(*entries), by_order);
    for (uint32_t i = 0; i < count; i++)
        places[i] = entries[i].place;
    free(entries);
    *ret_count = count;
    return places;
}
