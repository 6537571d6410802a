/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/uri.h"

#include <arpa/inet.h>

#include "codec/chars.h"

/* Is this segment a dot segment to anyone? Some servers cut path parameters (";x") off before
 * they resolve "..", so what stands before the first ';' counts. */
static bool dot_segment(const char *at, const char *end)
{
    if (at == end || *at != '.')
        return false;
    at++;
    if (at < end && *at == '.')
        at++;
    return at == end || *at == ';';
}

/* Decode the escape at `from` (3 bytes are there) and write what is canonical. Returns the
 * bytes written, 0 when it is refused. */
static size_t canonical_escape(const char *from, char *to)
{
    static const char digits[] = "0123456789ABCDEF";
    int high = nr_char_hex(from[1]);
    int low = nr_char_hex(from[2]);
    char c;

    if (high < 0 || low < 0)
        return 0;
    c = (char)(high << 4 | low);
    if (c == '/' || c == '\\' || (uint8_t)c < 0x20 || c == 0x7f)
        return 0;
    if (nr_char_is(c, NR_CHAR_UNRESERVED)) {
        *to = c;
        return 1;
    }
    to[0] = '%';
    to[1] = digits[high];
    to[2] = digits[low];
    return 3;
}

bool nr_uri_canonical_path(char *path, size_t len, size_t *ret_len)
{
    const char *from = path;
    const char *end = path + len;
    char *to = path;
    char *segment = path;

    if (len == 0 || path[0] != '/')
        return false;
    while (from < end) {
        if (*from == '%') {
            size_t written = end - from < 3 ? 0 : canonical_escape(from, to);

            if (written == 0)
                return false;
            from += 3;
            to += written;
            continue;
        }
        if (!nr_char_is(*from, NR_CHAR_PATH) && *from != '.')
            return false;
        if (*from == '/') {
            if (dot_segment(segment, to))
                return false;
            segment = to + 1;
        }
        *to++ = *from++;
    }
    if (dot_segment(segment, to))
        return false;
    *ret_len = (size_t)(to - path);
    return true;
}

bool nr_uri_query_valid(struct nr_span query)
{
    for (size_t i = 0; i < query.len; i++) {
        if (nr_char_is(query.ptr[i], NR_CHAR_QUERY))
            continue;
        if (query.ptr[i] != '%' || query.len - i < 3 || nr_char_hex(query.ptr[i + 1]) < 0 ||
            nr_char_hex(query.ptr[i + 2]) < 0)
            return false;
    }
    return true;
}

/* Digits, at most 65535; empty is legal: RFC 3986, 3.2.3. */
static bool port_valid(struct nr_span port)
{
    unsigned value = 0;

    for (size_t i = 0; i < port.len; i++) {
        if (port.ptr[i] < '0' || port.ptr[i] > '9')
            return false;
        value = value * 10 + (unsigned)(port.ptr[i] - '0');
        if (value > 65535)
            return false;
    }
    return true;
}

/* What stands between the brackets. IPvFuture has no users and is refused. */
static bool ipv6_valid(struct nr_span text)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr parsed;

    if (text.len >= sizeof(address))
        return false;
    memcpy(address, text.ptr, text.len);
    address[text.len] = '\0';
    return memchr(address, '\0', text.len) == NULL && inet_pton(AF_INET6, address, &parsed) == 1;
}

/* The end of the host: the colon before the port, or the end of all. */
static size_t host_end(struct nr_span authority)
{
    const char *colon;

    if (authority.len > 0 && authority.ptr[0] == '[') {
        const char *close = memchr(authority.ptr, ']', authority.len);

        return close == NULL ? authority.len : (size_t)(close - authority.ptr) + 1;
    }
    colon = memchr(authority.ptr, ':', authority.len);
    return colon == NULL ? authority.len : (size_t)(colon - authority.ptr);
}

bool nr_uri_authority_valid(struct nr_span authority)
{
    size_t host = 0;

    while (host < authority.len && nr_char_is(authority.ptr[host], NR_CHAR_HOST))
        host++;
    if (host == authority.len)
        return host > 0;
    if (authority.ptr[0] == '[') {
        host = host_end(authority);
        if (authority.ptr[host - 1] != ']' ||
            !ipv6_valid((struct nr_span){authority.ptr + 1, host - 2}))
            return false;
        if (host == authority.len)
            return true;
    }
    return host > 0 && authority.ptr[host] == ':' && port_valid(nr_span_from(authority, host + 1));
}

void nr_uri_split_authority(struct nr_span authority, struct nr_span *ret_host,
                            struct nr_span *ret_port)
{
    size_t end = host_end(authority);

    *ret_host = (struct nr_span){authority.ptr, end};
    *ret_port = nr_span_from(authority, end < authority.len ? end + 1 : end);
}
