/* SPDX-License-Identifier: Apache-2.0 */
#include "io/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

enum { UNIX_PATH_BYTES_MAX = 107 }; /* sun_path less its NUL */

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_v4_mapped(const struct nr_addr *addr)
{
    return addr->family == NR_ADDR_V6 && memcmp(addr->ip, v4_mapped, sizeof(v4_mapped)) == 0;
}

/* A decimal number of at most five digits, nothing else. */
static bool parse_number(const char *text, uint32_t max, uint32_t *ret)
{
    uint32_t value = 0;
    size_t len = strlen(text);

    if (len == 0 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    if (value > max)
        return false;
    *ret = value;
    return true;
}

/* An IP without port and brackets; "fe80::1%eth0" and "%2" name an interface. */
static bool parse_ip(const char *text, size_t len, struct nr_addr *ret)
{
    char ip[INET6_ADDRSTRLEN + IF_NAMESIZE + 2];
    struct nr_addr addr = {.family = NR_ADDR_NONE};
    char *scope;

    if (len == 0 || len >= sizeof(ip))
        return false;
    memcpy(ip, text, len);
    ip[len] = '\0';
    if (strlen(ip) != len)
        return false;
    if (inet_pton(AF_INET, ip, addr.ip) == 1) {
        addr.family = NR_ADDR_V4;
        *ret = addr;
        return true;
    }
    scope = strchr(ip, '%');
    if (scope != NULL) {
        *scope++ = '\0';
        if (!parse_number(scope, 65535, &addr.scope))
            addr.scope = if_nametoindex(scope);
        if (addr.scope == 0)
            return false;
    }
    if (inet_pton(AF_INET6, ip, addr.ip) != 1)
        return false;
    addr.family = NR_ADDR_V6;
    *ret = addr;
    return true;
}

static enum nr_code parse_unix(const char *path, struct nr_addr *ret_addr, struct nr_err *err)
{
    size_t len = strlen(path);

    if (len == 0 || (path[0] == '@' && len == 1))
        return nr_err_set(err, NR_EINVAL, "'unix:' needs a path behind it");
    if (len > UNIX_PATH_BYTES_MAX)
        return nr_err_set(err, NR_EINVAL,
                          "'%s' is too long for a Unix socket: %zu bytes, at most %d", path, len,
                          UNIX_PATH_BYTES_MAX);
    *ret_addr = (struct nr_addr){.family = NR_ADDR_UNIX, .path = path};
    return NR_OK;
}

enum nr_code nr_addr_parse(const char *text, struct nr_addr *ret_addr, struct nr_err *err)
{
    struct nr_addr addr = {.family = NR_ADDR_NONE};
    const char *colon = strrchr(text, ':');
    size_t len;
    uint32_t port;

    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, ret_addr, err);
    if (colon == NULL || (text[0] == '[' && (colon == text || colon[-1] != ']')))
        return nr_err_set(err, NR_EINVAL, "'%s' has no port; write HOST:PORT", text);
    len = (size_t)(colon - text);
    if (text[0] != '[' && memchr(text, ':', len) != NULL)
        return nr_err_set(err, NR_EINVAL, "'%s': an IPv6 address stands in brackets: [::1]:80",
                          text);
    if (!parse_number(colon + 1, 65535, &port))
        return nr_err_set(err, NR_EINVAL, "'%s': the port must be a number from 0 to 65535", text);
    if (len == 0 || (len == 1 && text[0] == '*')) {
        addr.family = NR_ADDR_V6;
    } else if (text[0] == '[') {
        if (!parse_ip(text + 1, len - 2, &addr) || addr.family != NR_ADDR_V6)
            return nr_err_set(err, NR_EINVAL, "'%s' is not an IPv6 address", text);
    } else if (!parse_ip(text, len, &addr)) {
        return nr_err_set(err, NR_EINVAL, "'%s' is not a numeric address", text);
    }
    addr.port = (uint16_t)port;
    *ret_addr = addr;
    return NR_OK;
}

static size_t bounded(int printed, size_t room)
{
    nr_assert(printed >= 0 && room > 0);
    return (size_t)printed < room ? (size_t)printed : room - 1;
}

/* "127.0.0.1": once a request, where two runs of printf would show. room is at least 16. */
static size_t format_v4(const uint8_t *ip, char *to)
{
    char *at = to;

    for (int i = 0; i < 4; i++) {
        unsigned byte = ip[i];

        if (i > 0)
            *at++ = '.';
        if (byte >= 10) {
            if (byte >= 100) {
                *at++ = (char)('0' + byte / 100);
                byte %= 100;
            }
            *at++ = (char)('0' + byte / 10);
            byte %= 10;
        }
        *at++ = (char)('0' + byte);
    }
    *at = '\0';
    return (size_t)(at - to);
}

size_t nr_addr_format(const struct nr_addr *addr, char *to, size_t room)
{
    char ip[NR_ADDR_TEXT_BYTES];

    if (addr->family == NR_ADDR_NONE)
        return bounded(snprintf(to, room, "none"), room);
    if (addr->family == NR_ADDR_UNIX)
        return bounded(snprintf(to, room, "unix:%s", addr->path != NULL ? addr->path : ""), room);
    nr_addr_format_ip(addr, ip, sizeof(ip));
    return bounded(snprintf(to, room, addr->family == NR_ADDR_V6 ? "[%s]:%u" : "%s:%u", ip,
                            (unsigned)addr->port),
                   room);
}

size_t nr_addr_format_ip(const struct nr_addr *addr, char *to, size_t room)
{
    char ip[INET6_ADDRSTRLEN];

    switch (addr->family) {
    case NR_ADDR_V4:
        if (room >= INET_ADDRSTRLEN)
            return format_v4(addr->ip, to);
        format_v4(addr->ip, ip);
        return bounded(snprintf(to, room, "%s", ip), room);
    case NR_ADDR_V6:
        inet_ntop(AF_INET6, addr->ip, ip, sizeof(ip));
        if (addr->scope != 0)
            return bounded(snprintf(to, room, "%s%%%u", ip, addr->scope), room);
        return bounded(snprintf(to, room, "%s", ip), room);
    case NR_ADDR_UNIX: return bounded(snprintf(to, room, "unix:"), room);
    default: return bounded(snprintf(to, room, "none"), room);
    }
}

bool nr_addr_eq(const struct nr_addr *a, const struct nr_addr *b)
{
    if (a->family != b->family)
        return false;
    switch (a->family) {
    case NR_ADDR_V4: return a->port == b->port && memcmp(a->ip, b->ip, 4) == 0;
    case NR_ADDR_V6:
        return a->port == b->port && a->scope == b->scope && memcmp(a->ip, b->ip, 16) == 0;
    case NR_ADDR_UNIX:
        return strcmp(a->path != NULL ? a->path : "", b->path != NULL ? b->path : "") == 0;
    default: return true;
    }
}

struct nr_addr nr_addr_plain(const struct nr_addr *addr)
{
    struct nr_addr v4 = {.family = NR_ADDR_V4, .port = addr->port};

    if (!is_v4_mapped(addr))
        return *addr;
    memcpy(v4.ip, addr->ip + 12, 4);
    return v4;
}

struct nr_addr nr_addr_network(const struct nr_addr *addr, uint32_t v4_bits, uint32_t v6_bits)
{
    struct nr_addr network = nr_addr_plain(addr);
    uint32_t bits = network.family == NR_ADDR_V4 ? v4_bits : v6_bits;

    if (network.family == NR_ADDR_UNIX)
        return network;
    for (uint32_t i = bits / 8; i < sizeof(network.ip); i++)
        network.ip[i] = i == bits / 8 ? (uint8_t)(network.ip[i] & ~(0xffu >> bits % 8)) : 0;
    return network;
}

/* ---- CIDR ---- */

static bool prefix_eq(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    uint8_t mask = (uint8_t)(0xff00u >> (bits % 8));

    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return bits % 8 == 0 || (a[bits / 8] & mask) == (b[bits / 8] & mask);
}

static void clear_host_bits(struct nr_addr *addr, unsigned bits)
{
    for (unsigned i = bits; i < 128; i++)
        addr->ip[i / 8] = (uint8_t)(addr->ip[i / 8] & ~(0x80u >> (i % 8)));
}

enum nr_code nr_cidr_parse(const char *text, struct nr_cidr *ret_cidr, struct nr_err *err)
{
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    struct nr_addr addr, network;
    uint32_t bits, bits_max;

    if (!parse_ip(text, len, &addr) || addr.scope != 0)
        return nr_err_set(err, NR_EINVAL, "'%s' is not an address or a block such as 10.0.0.0/8",
                          text);
    bits_max = addr.family == NR_ADDR_V4 ? 32 : 128;
    bits = bits_max;
    if (slash != NULL && !parse_number(slash + 1, bits_max, &bits))
        return nr_err_set(err, NR_EINVAL, "'%s': the prefix must be a number from 0 to %u", text,
                          bits_max);
    if (is_v4_mapped(&addr) && bits >= 96) {
        addr = nr_addr_plain(&addr);
        bits -= 96;
    }
    network = addr;
    clear_host_bits(&network, bits);
    if (!nr_addr_eq(&network, &addr)) {
        char right[NR_ADDR_TEXT_BYTES];

        nr_addr_format_ip(&network, right, sizeof(right));
        return nr_err_set(err, NR_EINVAL, "'%s' has bits beyond its prefix; did you mean %s/%u?",
                          text, right, bits);
    }
    *ret_cidr = (struct nr_cidr){.network = network, .prefix_bits = (uint8_t)bits};
    return NR_OK;
}

bool nr_cidr_contains(const struct nr_cidr *cidr, const struct nr_addr *addr)
{
    struct nr_addr a = nr_addr_plain(addr);

    if (a.family != cidr->network.family || (a.family != NR_ADDR_V4 && a.family != NR_ADDR_V6))
        return false;
    return prefix_eq(a.ip, cidr->network.ip, cidr->prefix_bits);
}
