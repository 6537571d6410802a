/* SPDX-License-Identifier: Apache-2.0 */
/* affinity.c - keys for balancing by hash, and the sticky cookie.
 *
 * The key is taken from the request as the client sent it, and only its hash goes on. A request
 * without the key (no such header, an empty cookie) is balanced as any other.
 *
 * The cookie's value is the instance's token in hexadecimal, which tells a client nothing and which
 * it cannot make up (service.h). It is set when the answer comes from another instance than the one
 * that the cookie names, or when there is none; so a client whose instance is down moves once and
 * stays where it got to. Answers that are naru's own set none. */
#include "gateway/affinity.h"

#include <stdio.h>
#include <string.h>

#include "codec/pairs.h"
#include "gateway/client.h"
#include "policy/hash_table.h"
#include "service/service_conf.h"

enum { TOKEN_HEX_BYTES = 16 };

static struct nr_service *service_of(const struct nr_request *request)
{
    return nr_service_of(request->pools->pools);
}

/* ---- keys ---- */

/* nginx hashes the first three octets of an IPv4 address, so that a client whose address changes
 * within its network stays; for IPv6 the network is the first 64 bits. */
static uint64_t address_key(const struct nr_addr *addr, bool network)
{
    size_t len = addr->family == NR_ADDR_V4 ? (network ? 3 : 4) : (network ? 8 : 16);

    return nr_hash_bytes((struct nr_span){(const char *)addr->ip, len});
}

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
    case NR_KEY_HEADER: return hash_of(nr_client_header(head, conf->key_name), ret_key);
    case NR_KEY_COOKIE: return hash_of(nr_cookie_get(head, conf->key_name), ret_key);
    case NR_KEY_QUERY: return hash_of(nr_client_query(head, conf->key_name), ret_key);
    case NR_KEY_PATH: return hash_of(request->path, ret_key);
    case NR_KEY_HOST: return hash_of(nr_head_text(head, head->authority), ret_key);
    case NR_KEY_CLIENT_IP:
    case NR_KEY_CLIENT_NET:
        addr = nr_client_address(request, peer);
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
