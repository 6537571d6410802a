/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - where to listen and whom to call, as an operator writes it.
 *
 * A host is an IPv4 address, an IPv6 address in brackets, or a name. What looks like an
 * IPv4 address but is none (300.1.1.1) is refused rather than looked up as a name, because a
 * top-level domain is never all digits: RFC 3696, section 2. */
#include <arpa/inet.h>

#include "config/value.h"

enum { HOST_BYTES_MAX = 253, UNIX_BYTES_MAX = 107 };

static bool parse_port(struct nr_span text, uint16_t *ret_port)
{
    uint32_t port = 0;

    if (text.len == 0 || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        port = port * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    if (port > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* Letters, digits, hyphens and (as many do) underscores in labels of 1 to 63: RFC 1123, 2.1. */
static bool name_valid(struct nr_span host)
{
    size_t label = 0;
    bool digits_only = true;

    if (host.len == 0 || host.len > HOST_BYTES_MAX)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = nr_ascii_lower(host.ptr[i]);

        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
            digits_only = i + 1 < host.len || digits_only;
            continue;
        }
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
              (c == '-' && label > 0)))
            return false;
        if (label == 0)
            digits_only = true;
        digits_only = digits_only && c >= '0' && c <= '9';
        if (++label > 63)
            return false;
    }
    return !digits_only;
}

static bool parse_unix(struct nr_span path, struct nr_arena *arena, struct nr_config_address *to)
{
    if (path.len < 2 || path.len > UNIX_BYTES_MAX)
        return false;
    to->kind = NR_CONFIG_ADDRESS_UNIX;
    to->unix_path = nr_arena_dup(arena, path);
    to->text = nr_arena_printf(arena, "unix:%s", to->unix_path.ptr);
    return true;
}

static bool parse_host(struct nr_span host, bool bracketed, bool bind, struct nr_arena *arena,
                       struct nr_config_address *to)
{
    unsigned char ip[16];

    to->host = nr_arena_dup(arena, host);
    if (bracketed) {
        to->kind = NR_CONFIG_ADDRESS_IP;
        return inet_pton(AF_INET6, to->host.ptr, ip) == 1;
    }
    if (host.len == 0 || nr_span_eq(host, NR_SPAN("*"))) {
        to->kind = NR_CONFIG_ADDRESS_ANY;
        to->host = NR_SPAN("");
        return bind;
    }
    to->kind =
        inet_pton(AF_INET, to->host.ptr, ip) == 1 ? NR_CONFIG_ADDRESS_IP : NR_CONFIG_ADDRESS_NAME;
    /* A host called unix would print as "unix:80", which is a socket's path. */
    return to->kind == NR_CONFIG_ADDRESS_IP ||
           (name_valid(host) && !nr_span_eq(host, NR_SPAN("unix")));
}

bool nr_address_parse(struct nr_span text, uint16_t default_port, bool bind, struct nr_arena *arena,
                      struct nr_config_address *ret_address)
{
    struct nr_config_address to = {.port = default_port};
    bool bracketed = text.len > 0 && text.ptr[0] == '[';
    struct nr_span host = text, rest;
    const char *end;

    if (text.len == 0 || memchr(text.ptr, '\0', text.len) != NULL)
        return false; /* what comes behind a NUL would be overlooked */
    if (nr_span_starts_with(text, NR_SPAN("unix:"))) {
        if (!parse_unix(nr_span_from(text, 5), arena, &to))
            return false;
        to.port = 0;
        *ret_address = to;
        return true;
    }
    end = memchr(text.ptr, bracketed ? ']' : ':', text.len);
    if (end == NULL && bracketed)
        return false;
    if (end != NULL)
        host.len = (size_t)(end - text.ptr);
    rest = nr_span_from(text, host.len + (bracketed ? 1 : 0));
    if (bracketed)
        host = nr_span_from(host, 1);
    if (rest.len > 0 && (rest.ptr[0] != ':' || !parse_port(nr_span_from(rest, 1), &to.port)))
        return false;
    if ((rest.len == 0 && default_port == 0) || (to.port == 0 && !bind))
        return false;
    if (!parse_host(host, bracketed, bind, arena, &to))
        return false;
    if (to.kind == NR_CONFIG_ADDRESS_ANY && rest.len == 0)
        return false;
    to.text = nr_arena_printf(arena, bracketed ? "[%s]:%u" : "%s:%u", to.host.ptr, to.port);
    *ret_address = to;
    return true;
}
