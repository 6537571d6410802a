/* SPDX-License-Identifier: Apache-2.0 */
/* affinity.c - keys for balancing by hash, and the sticky cookie.
 *
 * The key is taken from the request as the client sent it, and only its hash goes on. A request
 * without the key (no such header, an empty cookie) is balanced as any other.
 *
 * The address of a client behind trusted proxies is the last one in X-Forwarded-For that is not a
 * trusted proxy's itself: what stands before that anybody can write.
 *
 * The cookie's value is the instance's token in hexadecimal, which tells a client nothing and which
 * it cannot make up (service.h). It is set when the answer comes from another instance than the one
 * that the cookie names, or when there is none; so a client whose instance is down moves once and
 * stays where it got to. Answers that are naru's own set none. */
#include "gateway/affinity.h"

#include <stdio.h>
#include <string.h>

#include "codec/pairs.h"
#include "policy/hash_table.h"
#include "service/service_conf.h"

enum { TOKEN_HEX_BYTES = 16 };

static struct nr_service *service_of(const struct nr_request *request)
{
    return nr_service_of(request->pools->pools);
}

/* ---- values ---- */

static struct nr_span header(const struct nr_head *head, struct nr_span name)
{
    const struct nr_field *field = nr_head_find_name(head, name, NULL);

    return field != NULL ? nr_head_value(head, field) : (struct nr_span){NULL, 0};
}

static struct nr_span query(const struct nr_head *head, struct nr_span name)
{
    struct nr_span rest = nr_head_text(head, head->query);
    struct nr_pair pair;

    return nr_query_find(&rest, name, &pair) ? pair.value : (struct nr_span){NULL, 0};
}

/* ---- the client's address ---- */

static bool trusted(const struct nr_request *request, const struct nr_addr *addr)
{
    const struct nr_gateway_listen_conf *conf = request->port->conf;

    for (uint32_t i = 0; i < conf->trusted_proxy_count; i++)
        if (nr_cidr_contains(&conf->trusted_proxies[i], addr))
            return true;
    return false;
}

/* An address as X-Forwarded-For has it: bare, or an IPv6 one in brackets. */
static bool parse_ip(struct nr_span text, struct nr_addr *ret)
{
    char room[NR_ADDR_TEXT_BYTES];
    bool v6;

    if (text.len == 0 || text.len > sizeof(room) - 8)
        return false;
    v6 = memchr(text.ptr, ':', text.len) != NULL && text.ptr[0] != '[';
    snprintf(room, sizeof(room), v6 ? "[%.*s]:1" : "%.*s:1", (int)text.len, text.ptr);
    return nr_addr_parse(room, ret, NULL) == NR_OK && ret->family != NR_ADDR_UNIX;
}

/* The part behind the last comma; what is before it stays in *rest. */
static struct nr_span last_part(struct nr_span *rest)
{
    size_t at = rest->len;
    struct nr_span part;

    while (at > 0 && rest->ptr[at - 1] != ',')
        at--;
    part = nr_span_from(*rest, at);
    rest->len = at > 0 ? at - 1 : 0;
    while (part.len > 0 && (part.ptr[0] == ' ' || part.ptr[0] == '\t'))
        part = nr_span_from(part, 1);
    while (part.len > 0 && (part.ptr[part.len - 1] == ' ' || part.ptr[part.len - 1] == '\t'))
        part.len--;
    return part;
}

/* Lines of one name are one list: RFC 9110, 5.2. The last line has the last proxy's word. */
static struct nr_addr client_address(const struct nr_request *request, const struct nr_peer *peer)
{
    struct nr_addr client = peer->addr, next;
    struct nr_span lines[8];
    const struct nr_field *field = NULL;
    uint32_t count = 0;

    if (!trusted(request, &client))
        return client;
    while ((field = nr_head_find(request->head, NR_FIELD_X_FORWARDED_FOR, field)) != NULL) {
        if (count == NR_COUNT(lines))
            memmove(lines, lines + 1, --count * sizeof(lines[0]));
        lines[count++] = nr_head_value(request->head, field);
    }
    while (count > 0) {
        struct nr_span *line = &lines[count - 1];

        while (line->len > 0 && trusted(request, &client)) {
            if (!parse_ip(last_part(line), &next))
                return client;
            client = next;
        }
        count--;
    }
    return client;
}

/* nginx hashes the first three octets of an IPv4 address, so that a client whose address changes
 * within its network stays; for IPv6 the network is the first 64 bits. */
static uint64_t address_key(const struct nr_addr *addr, bool network)
{
    size_t len = addr->family == NR_ADDR_V4 ? (network ? 3 : 4) : (network ? 8 : 16);

    return nr_hash_bytes((struct nr_span){(const char *)addr->ip, len});
}

/* ---- keys ---- */

static bool hash_of(struct nr_span value, uint64_t *ret_key)
{
    if (value.len == 0)
        return false;
    *ret_key = nr_hash_bytes(value);
    return true;
}

static bool parse_token(struct nr_span text, uint64_t *ret)
{
    uint64_t token = 0;

    if (text.len != TOKEN_HEX_BYTES)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

        if (digit < 0)
            return false;
        token = token << 4 | (uint64_t)digit;
    }
    *ret = token;
    return token != 0;
}

static bool sticky_token(struct nr_request *request, const struct nr_balance_conf *conf,
                         uint64_t *ret_key)
{
    request->sticky = true;
    if (!parse_token(nr_cookie_get(request->head, conf->cookie.name), &request->token))
        return false;
    *ret_key = request->token;
    return true;
}

bool nr_affinity_key(struct nr_request *request, const struct nr_peer *peer, uint64_t *ret_key)
{
    const struct nr_balance_conf *conf = &nr_service_conf(service_of(request))->balance;
    const struct nr_head *head = request->head;
    struct nr_addr addr;

    switch ((enum nr_balance_key)conf->key) {
    case NR_KEY_NONE: return false;
    case NR_KEY_HEADER: return hash_of(header(head, conf->key_name), ret_key);
    case NR_KEY_COOKIE: return hash_of(nr_cookie_get(head, conf->key_name), ret_key);
    case NR_KEY_QUERY: return hash_of(query(head, conf->key_name), ret_key);
    case NR_KEY_PATH: return hash_of(request->path, ret_key);
    case NR_KEY_HOST: return hash_of(nr_head_text(head, head->authority), ret_key);
    case NR_KEY_CLIENT_IP:
    case NR_KEY_CLIENT_NET:
        addr = client_address(request, peer);
        *ret_key = address_key(&addr, conf->key == NR_KEY_CLIENT_NET);
        return true;
    case NR_KEY_STICKY: return sticky_token(request, conf, ret_key);
    }
    return false;
}

/* ---- the cookie ---- */

static const char *same_site_text(const struct nr_cookie_conf *conf)
{
    switch ((enum nr_same_site)conf->same_site) {
    case NR_SAME_SITE_LAX: return "; SameSite=Lax";
    case NR_SAME_SITE_STRICT: return "; SameSite=Strict";
    case NR_SAME_SITE_NONE: return "; SameSite=None";
    }
    return "";
}

/* RFC 6265, 4.1. */
static struct nr_span cookie_text(struct nr_arena *arena, const struct nr_cookie_conf *conf,
                                  uint64_t token)
{
    char max_age[40] = "";

    if (conf->ttl_ns > 0)
        snprintf(max_age, sizeof(max_age), "; Max-Age=%llu",
                 (unsigned long long)(conf->ttl_ns / 1000000000));
    return nr_arena_printf(
        arena, "%s=%016llx; Path=%s%s%s%s%s%s%s", conf->name.ptr, (unsigned long long)token,
        conf->path.ptr, conf->domain.len > 0 ? "; Domain=" : "",
        conf->domain.len > 0 ? conf->domain.ptr : "", max_age, conf->http_only ? "; HttpOnly" : "",
        conf->secure ? "; Secure" : "", same_site_text(conf));
}

void nr_affinity_answer(struct nr_request *request, struct nr_head *head)
{
    struct nr_service *service = service_of(request);
    uint64_t token = nr_service_token(service, nr_call_instance(request->up));

    if (token == 0 || token == request->token)
        return;
    nr_head_add(
        head, request->down->arena, NR_SPAN("Set-Cookie"),
        cookie_text(request->down->arena, &nr_service_conf(service)->balance.cookie, token));
}
