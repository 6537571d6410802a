/* SPDX-License-Identifier: Apache-2.0 */
/* Rules and requests from any bytes: what the trie finds is what the definition says. The input is
 * lines: "R host path methods" makes a rule, anything else "host path" asks. */
#include <stdint.h>
#include <stdlib.h>

#include "../unit/gateway/naive_router.h"
#include "base/compiler.h"
#include "codec/uri.h"
#include "gateway/pattern.h"

#define EXPECT(condition) ((condition) ? (void)0 : abort())

enum { RULES_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rules {
    struct nr_router_rule items[RULES_MAX];
    struct nr_span hosts[RULES_MAX];
    uint32_t count;
};

static struct nr_span take(struct nr_span *rest, char until)
{
    const char *end = rest->len == 0 ? NULL : memchr(rest->ptr, until, rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->ptr);
    struct nr_span part = {rest->ptr, len};

    *rest = nr_span_from(*rest, end == NULL ? len : len + 1);
    return part;
}

static bool host_sound(struct nr_span host)
{
    for (size_t i = 0; i < host.len; i++)
        if (host.ptr[i] != nr_ascii_lower(host.ptr[i]) || host.ptr[i] == ':' ||
            host.ptr[i] == '[' || host.ptr[i] == ']' || (host.ptr[i] == '*' && i > 0))
            return false;
    return host.len > 0 && host.len < 64 && host.ptr[0] != '.' && host.ptr[host.len - 1] != '.';
}

static void add_rule(struct rules *rules, struct nr_span line)
{
    struct nr_span host = take(&line, ' '), path = take(&line, ' ');
    struct nr_router_rule *rule = &rules->items[rules->count];
    struct nr_err err = {0};

    if (rules->count == RULES_MAX || nr_pattern_check(path, &err) != NR_OK)
        return;
    *rule =
        (struct nr_router_rule){.path = path, .methods = line.len > 0 ? 1u << NR_METHOD_GET : 0};
    if (host_sound(host)) {
        rules->hosts[rules->count] = host;
        rule->hosts = &rules->hosts[rules->count];
        rule->host_count = 1;
    }
    rules->count++;
}

static void check_captures(struct nr_span pattern, struct nr_span path)
{
    struct nr_captures captures;

    EXPECT(nr_pattern_match(pattern, path, &captures) == naive_path_fits(pattern, path));
}

static void ask(const struct nr_router *router, const struct rules *rules, struct nr_span line)
{
    struct nr_span host = take(&line, ' '), text = take(&line, ' ');
    char path[4096];
    uint32_t rule = 0;
    uint64_t methods = 0;
    size_t len = 0;
    int have = -1;

    if (!host_sound(host) || text.len == 0 || text.len > sizeof(path))
        return;
    memcpy(path, text.ptr, text.len);
    if (!nr_uri_canonical_path(path, text.len, &len))
        return;
    text = (struct nr_span){path, len};
    switch (nr_router_find(router, host, text, NR_METHOD_POST, NULL, &rule, &methods)) {
    case NR_ROUTER_FOUND: have = (int)rule; break;
    case NR_ROUTER_NO_METHOD: have = -2; break;
    case NR_ROUTER_NO_ROUTE: break;
    }
    EXPECT(have == naive_find(rules->items, rules->count, host, text, NR_METHOD_POST, NULL));
    for (uint32_t i = 0; i < rules->count; i++)
        check_captures(rules->items[i].path, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_span all = {(const char *)data, size}, rest = all;
    static struct rules rules;
    struct nr_router *router;

    rules.count = 0;
    while (rest.len > 0) {
        struct nr_span line = take(&rest, '\n');

        if (nr_span_starts_with(line, NR_SPAN("R ")))
            add_rule(&rules, nr_span_from(line, 2));
    }
    router = nr_router_new(rules.items, rules.count);
    for (rest = all; rest.len > 0;) {
        struct nr_span line = take(&rest, '\n');

        if (!nr_span_starts_with(line, NR_SPAN("R ")))
            ask(router, &rules, line);
    }
    nr_router_free(router);
    return 0;
}
