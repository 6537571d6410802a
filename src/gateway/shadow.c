/* SPDX-License-Identifier: Apache-2.0 */
/* shadow.c - what `naru check` says about which requests routes take.
 *
 * A route is shadowed when others take all of its requests. Because the more specific one is asked
 * first (router.h), a wider route never shadows a narrower one. So only routes that stand before
 * it in the order, with the same path, the same conditions, at least its hosts and, together, all
 * of its methods can shadow a route. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "codec/head.h"
#include "gateway/gateway_conf.h"
#include "gateway/pattern.h"
#include "gateway/regex.h"

/* ---- unreachable routes ---- */

/* GET stands for HEAD too, and no list for all. */
static uint64_t methods_of(const struct nr_match_conf *match)
{
    uint64_t methods = match->methods == 0 ? UINT64_MAX : match->methods;

    if ((methods >> NR_METHOD_GET & 1) != 0)
        methods |= 1ull << NR_METHOD_HEAD;
    return methods;
}

static bool hosts_within(const struct nr_match_conf *narrow, const struct nr_match_conf *wide)
{
    if (narrow->host_count == 0 || wide->host_count == 0)
        return narrow->host_count == wide->host_count;
    for (uint32_t i = 0; i < narrow->host_count; i++) {
        bool found = false;

        for (uint32_t j = 0; j < wide->host_count && !found; j++)
            found = nr_span_eq(narrow->hosts[i], wide->hosts[j]);
        if (!found)
            return false;
    }
    return true;
}

static bool conditions_eq(const struct nr_condition_conf *a, const struct nr_condition_conf *b)
{
    return nr_span_eq(a->exact, b->exact) && nr_span_eq(a->prefix, b->prefix) &&
           nr_span_eq(a->regex, b->regex) && a->present == b->present &&
           (a->exact.ptr == NULL) == (b->exact.ptr == NULL);
}

static bool same_conditions(const struct nr_condition_conf *a, uint32_t a_count,
                            const struct nr_condition_conf *b, uint32_t b_count, bool fields)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++) {
        bool found = false;

        for (uint32_t j = 0; j < b_count && !found; j++)
            found = (fields ? nr_span_eq_nocase(a[i].name, b[j].name)
                            : nr_span_eq(a[i].name, b[j].name)) &&
                    conditions_eq(&a[i], &b[j]);
        if (!found)
            return false;
    }
    return true;
}

static bool same_place(const struct nr_match_conf *a, const struct nr_match_conf *b)
{
    return nr_pattern_covers(a->path, b->path) && nr_pattern_covers(b->path, a->path) &&
           (a->methods == 0) == (b->methods == 0) && nr_span_eq(a->path_regex, b->path_regex) &&
           nr_span_eq(a->version, b->version) &&
           same_conditions(a->headers, a->header_count, b->headers, b->header_count, true) &&
           same_conditions(a->query, a->query_count, b->query, b->query_count, false) &&
           same_conditions(a->cookies, a->cookie_count, b->cookies, b->cookie_count, false);
}

/* Routes with the same path pattern, names of parameters aside, lie together. */
struct entry {
    const struct nr_route_conf *route;
    uint32_t index;
};

/* Pattern texts with every parameter read as "{}". */
static int compare_patterns(struct nr_span a, struct nr_span b)
{
    size_t i = 0, j = 0;

    while (i < a.len && j < b.len) {
        if (a.ptr[i] != b.ptr[j])
            return (unsigned char)a.ptr[i] < (unsigned char)b.ptr[j] ? -1 : 1;
        if (a.ptr[i] == '{') {
            while (i + 1 < a.len && a.ptr[i] != '}')
                i++;
            while (j + 1 < b.len && b.ptr[j] != '}')
                j++;
        }
        i++;
        j++;
    }
    return i < a.len ? 1 : j < b.len ? -1 : 0;
}

static int by_pattern(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = compare_patterns(x->route->match.path, y->route->match.path);

    if (order != 0)
        return order;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* `group` are the routes before it with its pattern, in their order. */
static void look_for_shadow(const struct nr_route_conf *route, const struct entry *group,
                            uint32_t count, struct nr_check_finder *finder)
{
    uint64_t left = methods_of(&route->match);

    for (uint32_t i = 0; i < count; i++) {
        const struct nr_match_conf *before = &group[i].route->match;

        if (!same_place(&route->match, before) || !hosts_within(&route->match, before))
            continue;
        left &= ~methods_of(before);
        if (left != 0)
            continue;
        nr_check_found(finder, &route->at, "match", "remove one of them",
                       "route '%s' is never reached: %sthe one at line %u takes all of its "
                       "requests",
                       route->name.ptr,
                       (methods_of(&route->match) & ~methods_of(before)) != 0
                           ? "together with earlier ones "
                           : "",
                       group[i].route->at.place.line);
        return;
    }
}

static void find_unreachable(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);
    struct entry *entries = calloc(gateway->route_count + 1u, sizeof(*entries));
    uint32_t first = 0;

    nr_assert(entries != NULL);
    for (uint32_t i = 0; i < gateway->route_count; i++)
        entries[i] = (struct entry){&gateway->routes[i], i};
    qsort(entries, gateway->route_count, sizeof(*entries), by_pattern);
    for (uint32_t i = 1; i < gateway->route_count; i++) {
        if (compare_patterns(entries[first].route->match.path, entries[i].route->match.path) != 0)
            first = i;
        look_for_shadow(entries[i].route, entries + first, i - first, finder);
    }
    free(entries);
}

/* ---- regular expressions ---- */

static void find_plain_regex(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_gateway_conf *gateway = nr_gateway_conf_of(config);

    for (uint32_t i = 0; i < gateway->route_count; i++) {
        const struct nr_match_conf *match = &gateway->routes[i].match;
        char plain[NR_REGEX_BYTES_MAX + 4];

        if (match->path_regex.len == 0)
            continue;
        nr_regex_plainer(match->path_regex, plain, sizeof(plain));
        if (plain[0] != '\0')
            nr_check_found(finder, &match->at, "path_regex", "path does it, and is found faster",
                           "path_regex '%s' says no more than path: \"%s\"", match->path_regex.ptr,
                           plain);
        else if (nr_span_eq(match->path, NR_SPAN("/*")) && match->path_regex.ptr[0] == '/' &&
                 nr_section_has(&match->at, "path") == false)
            nr_check_found(finder, &match->at, "path_regex",
                           "add a path that it lies in, such as path: /api/*",
                           "path_regex '%s' is asked about every request that no other route takes",
                           match->path_regex.ptr);
    }
}

static const struct nr_check_rule rules[] = {
    {"route-unreachable", NR_DIAG_ERROR,
     "A route whose requests are all taken by earlier ones with the same match.", find_unreachable},
    {"regex-unneeded", NR_DIAG_WARNING,
     "A regular expression that a plain path could replace or narrow down.", find_plain_regex},
};

const struct nr_check_rules nr_gateway_shadow_rules = {rules, NR_COUNT(rules)};
