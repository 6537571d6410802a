/* SPDX-License-Identifier: Apache-2.0 */
/* limit_key.c - what a request is counted by.
 *
 * A key is the keyed hash of its parts, each with its kind and length before it, so that no two
 * lists of parts read alike. Parts are taken from the request as the client sent it. Only one thing
 * is made equal before: what means the same to everybody behind us (letters of a host, escapes in a
 * query), or whoever spells it in two ways would have two allowances.
 *
 * A part that is missing is replaced by the client's address, unless the limit says otherwise: who
 * leaves his key out shares the allowance of his address, and gains nothing by it. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "codec/pairs.h"
#include "gateway/client.h"
#include "gateway/limits.h"
#include "gateway/pattern.h"

enum { PIECE_BYTES = 128 };

/* ---- the client's address ---- */

static const struct nr_addr *client_of(struct nr_limit_asker *asker)
{
    if (!asker->client_known) {
        asker->client = nr_client_address(asker->request, asker->peer);
        asker->client_known = true;
    }
    return &asker->client;
}

static void add_address(struct nr_siphash *hash, const struct nr_addr *addr,
                        const struct nr_rate_limit_conf *conf)
{
    struct nr_addr network = nr_addr_network(addr, conf->ipv4_prefix_bits, conf->ipv6_prefix_bits);
    size_t bytes = network.family == NR_ADDR_V4 ? 4 : 16;

    if (network.family == NR_ADDR_UNIX) { /* all of one machine's clients are one */
        nr_siphash_add_u64(hash, NR_LIMIT_BY_IP);
        return;
    }
    nr_siphash_add_u64(hash, NR_LIMIT_BY_IP | bytes << 8);
    nr_siphash_add(hash, (struct nr_span){(const char *)network.ip, bytes});
}

/* ---- texts ---- */

/* In lower case: RFC 9110, 4.2.3. */
static void add_folded(struct nr_siphash *hash, struct nr_span text)
{
    char piece[PIECE_BYTES];

    while (text.len > 0) {
        size_t len = text.len < sizeof(piece) ? text.len : sizeof(piece);

        for (size_t i = 0; i < len; i++)
            piece[i] = nr_ascii_lower(text.ptr[i]);
        nr_siphash_add(hash, (struct nr_span){piece, len});
        text = nr_span_from(text, len);
    }
}

static struct nr_span param_of(const struct nr_request *request, struct nr_span name)
{
    struct nr_span pattern = request->route->conf->match.path;
    struct nr_captures captures;
    int at = nr_pattern_param(pattern, name);

    if (at < 0 || !nr_pattern_match(pattern, request->path, &captures))
        return (struct nr_span){NULL, 0};
    return captures.params[at];
}

static struct nr_span decoded(const struct nr_request *request, struct nr_span value)
{
    char *to;

    if (value.len == 0 ||
        (memchr(value.ptr, '%', value.len) == NULL && memchr(value.ptr, '+', value.len) == NULL))
        return value;
    to = nr_arena_alloc(request->down->arena, value.len);
    return (struct nr_span){to, nr_query_decode(value, to)};
}

static struct nr_span header_of(const struct nr_head *head, const struct nr_limit_key_part *part)
{
    const struct nr_field *field = nr_head_find_as(head, part->field, part->name, NULL);

    return field != NULL ? nr_head_value(head, field) : (struct nr_span){NULL, 0};
}

/* Empty: the request has none. */
static struct nr_span text_of(const struct nr_request *request,
                              const struct nr_limit_key_part *part)
{
    const struct nr_head *head = request->head;

    switch (part->part) {
    case NR_LIMIT_BY_ROUTE: return request->route->conf->name;
    case NR_LIMIT_BY_PATH: return request->path;
    case NR_LIMIT_BY_HOST: return nr_head_text(head, head->authority);
    case NR_LIMIT_BY_METHOD: return nr_head_text(head, head->method_name);
    case NR_LIMIT_BY_HEADER: return header_of(head, part);
    case NR_LIMIT_BY_COOKIE: return nr_cookie_get(head, part->name);
    case NR_LIMIT_BY_QUERY: return decoded(request, nr_client_query(head, part->name));
    case NR_LIMIT_BY_PARAM: return param_of(request, part->name);
    case NR_LIMIT_BY_GLOBAL:
    case NR_LIMIT_BY_IP: break;
    }
    return (struct nr_span){NULL, 0};
}

static void add_text(struct nr_siphash *hash, const struct nr_limit_key_part *part,
                     struct nr_span text)
{
    nr_siphash_add_u64(hash, (uint64_t)part->part | (uint64_t)text.len << 8);
    if (part->part == NR_LIMIT_BY_HOST)
        add_folded(hash, text);
    else
        nr_siphash_add(hash, text);
}

enum nr_limit_keyed nr_limit_key(struct nr_limit_asker *asker, const struct nr_limit_rule *rule,
                                 const uint64_t secret[2], struct nr_hash128 *ret_key)
{
    struct nr_siphash hash;

    *ret_key = (struct nr_hash128){0, 0};
    if (rule->part_count == 0)
        return NR_LIMIT_KEYED; /* one counter for all */
    nr_siphash_init(&hash, secret);
    for (uint32_t i = 0; i < rule->part_count; i++) {
        const struct nr_limit_key_part *part = &rule->parts[i];
        struct nr_span text = text_of(asker->request, part);

        if (text.len > 0)
            add_text(&hash, part, text);
        else if (part->part == NR_LIMIT_BY_IP || rule->conf->missing == NR_LIMIT_MISSING_IP)
            add_address(&hash, client_of(asker), rule->conf);
        else
            return rule->conf->missing == NR_LIMIT_MISSING_ALLOW ? NR_LIMIT_NOT_HERE
                                                                 : NR_LIMIT_KEY_MISSING;
    }
    *ret_key = nr_siphash_end(&hash);
    return NR_LIMIT_KEYED;
}

/* ---- for people ---- */

static size_t put_text(char *to, size_t room, struct nr_span text)
{
    size_t len = text.len < room ? text.len : room;

    memcpy(to, text.ptr, len);
    return len;
}

/* The client's address, or its network where that is what is counted. */
static size_t put_address(char *to, size_t room, const struct nr_addr *addr,
                          const struct nr_rate_limit_conf *conf)
{
    struct nr_addr network = nr_addr_network(addr, conf->ipv4_prefix_bits, conf->ipv6_prefix_bits);
    bool v4 = network.family == NR_ADDR_V4;
    uint32_t bits = v4 ? conf->ipv4_prefix_bits : conf->ipv6_prefix_bits;
    char text[NR_ADDR_TEXT_BYTES];
    size_t len = nr_addr_format_ip(&network, text, sizeof(text));

    if (network.family != NR_ADDR_UNIX && bits < (v4 ? 32 : 128))
        len += (size_t)snprintf(text + len, sizeof(text) - len, "/%u", bits);
    return put_text(to, room, (struct nr_span){text, len});
}

struct nr_span nr_limit_key_name(struct nr_limit_asker *asker, const struct nr_limit_rule *rule,
                                 char *to, size_t room)
{
    size_t len = 0;

    for (uint32_t i = 0; i < rule->part_count && len < room; i++) {
        struct nr_span text = text_of(asker->request, &rule->parts[i]);

        if (i > 0)
            to[len++] = ' ';
        len += text.len > 0 ? put_text(to + len, room - len, text)
                            : put_address(to + len, room - len, client_of(asker), rule->conf);
    }
    if (rule->part_count == 0)
        len = put_text(to, room, NR_SPAN("global"));
    return (struct nr_span){to, len};
}

/* ---- tiers ---- */

/* What a stranger may write into his request must not choose how much he may. */
static bool may_choose_tier(const struct nr_limit_asker *asker, enum nr_limit_by part)
{
    return (part != NR_LIMIT_BY_HEADER && part != NR_LIMIT_BY_COOKIE &&
            part != NR_LIMIT_BY_QUERY) ||
           nr_client_trusted(asker->request, &asker->peer->addr);
}

uint8_t nr_limit_tier_told(const struct nr_limit_asker *asker, const struct nr_limit_rule *rule)
{
    struct nr_span name;

    if (!may_choose_tier(asker, rule->tier_part.part))
        return 0;
    name = text_of(asker->request, &rule->tier_part);
    for (uint8_t i = 1; i < rule->tier_count; i++)
        if (nr_span_eq(rule->conf->tiers[i - 1].name, name))
            return i;
    return 0;
}
