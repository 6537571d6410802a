/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_protocol.c - reading and writing the PROXY protocol.
 *
 * Strict where the specification says "must", because whoever can smuggle a second reading of this
 * header past us chooses the client's address. Version 1 is a line of at most 107 bytes with single
 * spaces, no leading zeros, CRLF. Version 2 has a length, so its end is never in doubt; its TLVs
 * have to fill exactly what the addresses leave, and a CRC32C must fit if it is there.
 *
 * One liberty: an IPv6 address of version 1 may end in dotted decimals. The specification shows
 * hexadecimal groups only, but inet_ntop writes "::ffff:192.0.2.1", and so do proxies. */
#include "codec/proxy_protocol.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"

static const char signature[12] = {'\r', '\n', '\r', '\n', '\0', '\r',
                                   '\n', 'Q',  'U',  'I',  'T',  '\n'};

enum {
    V2_FIXED_BYTES = 16, /* signature, version and command, family, length */
    V4_BYTES = 12,
    V6_BYTES = 36,
    UNIX_BYTES = 2 * NR_PROXY_UNIX_BYTES,
    TLV_FIXED_BYTES = 3,
    TLV_CRC32C = 0x03,
    TLV_CRC32C_BYTES = 4,
    TLV_UNIQUE_ID = 0x05,
    TLV_UNIQUE_ID_BYTES_MAX = 128,
};

/* ---- version 1 ---- */

/* Take the word before the next single space, or the rest. False for an empty one. */
static bool next_word(struct nr_span *line, struct nr_span *ret_word)
{
    const char *space = line->len > 0 ? memchr(line->ptr, ' ', line->len) : NULL;
    size_t len = space != NULL ? (size_t)(space - line->ptr) : line->len;

    *ret_word = (struct nr_span){line->ptr, len};
    *line = nr_span_from(*line, space != NULL ? len + 1 : len);
    return len > 0;
}

static bool parse_address(struct nr_span word, enum nr_proxy_family family, uint8_t *to)
{
    char text[INET6_ADDRSTRLEN];

    if (word.len >= sizeof(text))
        return false;
    memcpy(text, word.ptr, word.len);
    text[word.len] = '\0';
    /* inet_pton wants four decimals without leading zeros, as the specification does. */
    return strlen(text) == word.len &&
           inet_pton(family == NR_PROXY_V4 ? AF_INET : AF_INET6, text, to) == 1;
}

static bool parse_port(struct nr_span word, uint16_t *ret_port)
{
    uint32_t port = 0;

    if (word.len > 5 || (word.len > 1 && word.ptr[0] == '0'))
        return false;
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] < '0' || word.ptr[i] > '9')
            return false;
        port = port * 10 + (uint32_t)(word.ptr[i] - '0');
    }
    *ret_port = (uint16_t)port;
    return port <= UINT16_MAX;
}

/* What stands between "PROXY " and CRLF. */
static enum nr_proxy_fault parse_v1_line(struct nr_span line, struct nr_proxy_header *header)
{
    struct nr_span protocol, from, to, from_port, to_port;
    enum nr_proxy_family family;

    if (!next_word(&line, &protocol))
        return NR_PROXY_BAD_LINE;
    /* "the receiver must ignore anything presented before the CRLF": the specification, 2.1. */
    if (nr_span_eq(protocol, NR_SPAN("UNKNOWN")))
        return NR_PROXY_OK;
    if (nr_span_eq(protocol, NR_SPAN("TCP4")))
        family = NR_PROXY_V4;
    else if (nr_span_eq(protocol, NR_SPAN("TCP6")))
        family = NR_PROXY_V6;
    else
        return NR_PROXY_BAD_PROTOCOL;
    if (!next_word(&line, &from) || !next_word(&line, &to) || !next_word(&line, &from_port) ||
        !next_word(&line, &to_port) || line.len > 0 || to_port.ptr[to_port.len] != '\r')
        return NR_PROXY_BAD_LINE;
    if (!parse_address(from, family, header->source) ||
        !parse_address(to, family, header->destination))
        return NR_PROXY_BAD_ADDRESS;
    if (!parse_port(from_port, &header->source_port) ||
        !parse_port(to_port, &header->destination_port))
        return NR_PROXY_BAD_PORT;
    header->family = (uint8_t)family;
    return NR_PROXY_OK;
}

static enum nr_proxy_step parse_v1(struct nr_span bytes, struct nr_proxy_header *header,
                                   size_t *ret_bytes, enum nr_proxy_fault *ret_fault)
{
    const struct nr_span begin = NR_SPAN("PROXY ");
    size_t seen = bytes.len < NR_PROXY_V1_BYTES_MAX ? bytes.len : NR_PROXY_V1_BYTES_MAX;
    const char *end = memchr(bytes.ptr, '\n', seen);
    struct nr_span line;

    if (end == NULL && seen < NR_PROXY_V1_BYTES_MAX)
        return NR_PROXY_MORE;
    if (end == NULL) {
        *ret_fault = NR_PROXY_TOO_LONG;
        return NR_PROXY_BAD;
    }
    line = nr_span_from((struct nr_span){bytes.ptr, (size_t)(end - bytes.ptr)}, begin.len);
    if (line.len == 0 || line.ptr[line.len - 1] != '\r' ||
        memchr(line.ptr, '\r', line.len - 1) != NULL) {
        *ret_fault = NR_PROXY_BAD_LINE;
        return NR_PROXY_BAD;
    }
    line.len--;
    *header = (struct nr_proxy_header){.version = 1};
    *ret_fault = parse_v1_line(line, header);
    *ret_bytes = (size_t)(end + 1 - bytes.ptr);
    return *ret_fault == NR_PROXY_OK ? NR_PROXY_DONE : NR_PROXY_BAD;
}

/* ---- version 2 ---- */

static uint16_t get_u16(const char *at)
{
    return (uint16_t)((uint8_t)at[0] << 8 | (uint8_t)at[1]);
}

static uint32_t get_u32(const char *at)
{
    return (uint32_t)get_u16(at) << 16 | get_u16(at + 2);
}

static void put_u16(char *at, uint16_t value)
{
    at[0] = (char)(value >> 8);
    at[1] = (char)value;
}

static void put_u32(char *at, uint32_t value)
{
    put_u16(at, (uint16_t)(value >> 16));
    put_u16(at + 2, (uint16_t)value);
}

/* CRC32C (Castagnoli), bit by bit: it is met once per connection, over some hundred bytes.
 * Source: RFC 9260, appendix A. */
static uint32_t crc32c(uint32_t crc, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        crc ^= (uint8_t)bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return crc;
}

/* Of the whole header, the checksum's own four bytes taken as zero: the specification, 2.2.3. */
static uint32_t checksum_of(struct nr_span whole, size_t checksum_at)
{
    static const char zero[TLV_CRC32C_BYTES];
    uint32_t crc = crc32c(UINT32_MAX, whole.ptr, checksum_at);

    crc = crc32c(crc, zero, sizeof(zero));
    crc =
        crc32c(crc, whole.ptr + checksum_at + sizeof(zero), whole.len - checksum_at - sizeof(zero));
    return ~crc;
}

static enum nr_proxy_fault parse_tlvs(struct nr_span whole, size_t at,
                                      struct nr_proxy_header *header)
{
    while (at < whole.len) {
        size_t value_at = at + TLV_FIXED_BYTES, len;

        if (whole.len - at < TLV_FIXED_BYTES)
            return NR_PROXY_BAD_TLV;
        len = get_u16(whole.ptr + at + 1);
        if (len > whole.len - value_at)
            return NR_PROXY_BAD_TLV;
        if ((uint8_t)whole.ptr[at] == TLV_UNIQUE_ID && len > TLV_UNIQUE_ID_BYTES_MAX)
            return NR_PROXY_BAD_TLV;
        if ((uint8_t)whole.ptr[at] == TLV_CRC32C) {
            if (len != TLV_CRC32C_BYTES || header->checksum) /* two could not both be right */
                return NR_PROXY_BAD_TLV;
            if (get_u32(whole.ptr + value_at) != checksum_of(whole, value_at))
                return NR_PROXY_BAD_CHECKSUM;
            header->checksum = true;
        }
        at = value_at + len;
    }
    return NR_PROXY_OK;
}

static struct nr_span unix_path(const char *at)
{
    return (struct nr_span){at, strnlen(at, NR_PROXY_UNIX_BYTES)};
}

static void take_addresses(const char *at, enum nr_proxy_family family,
                           struct nr_proxy_header *header)
{
    size_t each = family == NR_PROXY_V4 ? 4 : 16;

    header->family = (uint8_t)family;
    if (family == NR_PROXY_UNIX) {
        header->source_path = unix_path(at);
        header->destination_path = unix_path(at + NR_PROXY_UNIX_BYTES);
        return;
    }
    memcpy(header->source, at, each);
    memcpy(header->destination, at + each, each);
    header->source_port = get_u16(at + 2 * each);
    header->destination_port = get_u16(at + 2 * each + 2);
}

/* The complete header of a PROXY command. Byte 13 is family and transport; the seven combinations
 * here are all there are, and "receivers must drop connections presenting unexpected values".
 * Datagrams cannot be what came over this stream: their addresses are not the connection's. */
static enum nr_proxy_fault parse_proxied(struct nr_span whole, struct nr_proxy_header *header)
{
    static const uint16_t address_bytes[] = {0, V4_BYTES, V6_BYTES, UNIX_BYTES};
    uint8_t both = (uint8_t)whole.ptr[13];
    uint8_t family = both >> 4, transport = both & 15;
    size_t at = V2_FIXED_BYTES;

    if (both == 0)
        return NR_PROXY_OK; /* what follows cannot be told apart: skipped */
    if (family == 0 || family > NR_PROXY_UNIX || transport == 0 || transport > 2)
        return NR_PROXY_BAD_FAMILY;
    if (whole.len - at < address_bytes[family])
        return NR_PROXY_BAD_LENGTH;
    if (transport == 1)
        take_addresses(whole.ptr + at, (enum nr_proxy_family)family, header);
    return parse_tlvs(whole, at + address_bytes[family], header);
}

static enum nr_proxy_fault parse_v2_whole(struct nr_span whole, struct nr_proxy_header *header)
{
    switch ((uint8_t)whole.ptr[12] & 15) {
    case 0: header->local = true; return NR_PROXY_OK; /* "must … discard the protocol block" */
    case 1: return parse_proxied(whole, header);
    default: return NR_PROXY_BAD_COMMAND;
    }
}

static enum nr_proxy_step parse_v2(struct nr_span bytes, struct nr_proxy_header *header,
                                   size_t *ret_bytes, enum nr_proxy_fault *ret_fault)
{
    struct nr_span whole = {bytes.ptr, V2_FIXED_BYTES};

    if (bytes.len > 12 && (uint8_t)bytes.ptr[12] >> 4 != 2) {
        *ret_fault = NR_PROXY_BAD_VERSION;
        return NR_PROXY_BAD;
    }
    if (bytes.len < V2_FIXED_BYTES)
        return NR_PROXY_MORE;
    whole.len += get_u16(bytes.ptr + 14);
    if (whole.len > NR_PROXY_V2_BYTES_MAX) {
        *ret_fault = NR_PROXY_TOO_LONG;
        return NR_PROXY_BAD;
    }
    if (bytes.len < whole.len)
        return NR_PROXY_MORE;
    *header = (struct nr_proxy_header){.version = 2};
    *ret_fault = parse_v2_whole(whole, header);
    *ret_bytes = whole.len;
    return *ret_fault == NR_PROXY_OK ? NR_PROXY_DONE : NR_PROXY_BAD;
}

/* ---- which of them ---- */

/* Do the bytes begin so, as far as there are any? */
static bool begins(struct nr_span bytes, struct nr_span with)
{
    size_t len = bytes.len < with.len ? bytes.len : with.len;

    return len == 0 || memcmp(bytes.ptr, with.ptr, len) == 0;
}

enum nr_proxy_step nr_proxy_parse(struct nr_span bytes, struct nr_proxy_header *ret_header,
                                  size_t *ret_bytes, enum nr_proxy_fault *ret_fault)
{
    const struct nr_span v1 = NR_SPAN("PROXY "), v2 = {signature, sizeof(signature)};
    struct nr_proxy_header header;
    enum nr_proxy_fault fault = NR_PROXY_OK;
    enum nr_proxy_step step;

    if (begins(bytes, v2))
        step = bytes.len < v2.len ? NR_PROXY_MORE : parse_v2(bytes, &header, ret_bytes, &fault);
    else if (begins(bytes, v1))
        step = bytes.len < v1.len ? NR_PROXY_MORE : parse_v1(bytes, &header, ret_bytes, &fault);
    else
        return NR_PROXY_ABSENT;
    if (step == NR_PROXY_DONE)
        *ret_header = header;
    else if (step == NR_PROXY_BAD)
        *ret_fault = fault;
    return step;
}

/* ---- writing ---- */

static size_t write_v1(char *to, const struct nr_proxy_header *header)
{
    bool v4 = header->family == NR_PROXY_V4;
    char from_text[INET6_ADDRSTRLEN], to_text[INET6_ADDRSTRLEN];
    int family = v4 ? AF_INET : AF_INET6, len;

    if (header->local || (!v4 && header->family != NR_PROXY_V6)) {
        memcpy(to, "PROXY UNKNOWN\r\n", 15);
        return 15;
    }
    inet_ntop(family, header->source, from_text, sizeof(from_text));
    inet_ntop(family, header->destination, to_text, sizeof(to_text));
    len = snprintf(to, NR_PROXY_WRITE_BYTES_MAX, "PROXY %s %s %s %u %u\r\n", v4 ? "TCP4" : "TCP6",
                   from_text, to_text, header->source_port, header->destination_port);
    nr_assert(len > 0 && len <= NR_PROXY_V1_BYTES_MAX);
    return (size_t)len;
}

static char *put_path(char *at, struct nr_span path)
{
    size_t len = path.len < NR_PROXY_UNIX_BYTES ? path.len : NR_PROXY_UNIX_BYTES;

    memset(at, 0, NR_PROXY_UNIX_BYTES);
    if (len > 0)
        memcpy(at, path.ptr, len);
    return at + NR_PROXY_UNIX_BYTES;
}

static char *put_addresses(char *at, const struct nr_proxy_header *header)
{
    size_t each = header->family == NR_PROXY_V4 ? 4 : 16;

    if (header->family == NR_PROXY_UNSPEC)
        return at;
    if (header->family == NR_PROXY_UNIX)
        return put_path(put_path(at, header->source_path), header->destination_path);
    memcpy(at, header->source, each);
    memcpy(at + each, header->destination, each);
    put_u16(at + 2 * each, header->source_port);
    put_u16(at + 2 * each + 2, header->destination_port);
    return at + 2 * each + 4;
}

static size_t write_v2(char *to, const struct nr_proxy_header *header)
{
    bool bare = header->local || header->family == NR_PROXY_UNSPEC;
    char *at = to + V2_FIXED_BYTES;

    memcpy(to, signature, sizeof(signature));
    to[12] = header->local ? 0x20 : 0x21;
    to[13] = bare ? 0 : (char)(header->family << 4 | 1);
    if (!bare)
        at = put_addresses(at, header);
    if (!bare && header->checksum) {
        *at = TLV_CRC32C;
        put_u16(at + 1, TLV_CRC32C_BYTES);
        at += TLV_FIXED_BYTES + TLV_CRC32C_BYTES;
    }
    put_u16(to + 14, (uint16_t)(at - to - V2_FIXED_BYTES));
    if (!bare && header->checksum) {
        struct nr_span whole = {to, (size_t)(at - to)};

        put_u32(at - TLV_CRC32C_BYTES, checksum_of(whole, whole.len - TLV_CRC32C_BYTES));
    }
    return (size_t)(at - to);
}

_Static_assert(V2_FIXED_BYTES + UNIX_BYTES + TLV_FIXED_BYTES + TLV_CRC32C_BYTES <=
                   NR_PROXY_WRITE_BYTES_MAX,
               "the longest header fits");

size_t nr_proxy_write(char *to, const struct nr_proxy_header *header)
{
    return header->version == 1 ? write_v1(to, header) : write_v2(to, header);
}

const char *nr_proxy_fault_text(enum nr_proxy_fault fault)
{
    static const char *const texts[] = {
        [NR_PROXY_OK] = "ok",
        [NR_PROXY_TOO_LONG] = "too_long",
        [NR_PROXY_BAD_LINE] = "bad_line",
        [NR_PROXY_BAD_PROTOCOL] = "bad_protocol",
        [NR_PROXY_BAD_ADDRESS] = "bad_address",
        [NR_PROXY_BAD_PORT] = "bad_port",
        [NR_PROXY_BAD_VERSION] = "bad_version",
        [NR_PROXY_BAD_COMMAND] = "bad_command",
        [NR_PROXY_BAD_FAMILY] = "bad_family",
        [NR_PROXY_BAD_LENGTH] = "bad_length",
        [NR_PROXY_BAD_TLV] = "bad_tlv",
        [NR_PROXY_BAD_CHECKSUM] = "bad_checksum",
    };

    _Static_assert(NR_COUNT(texts) == NR_PROXY_FAULTS, "every fault has its text");
    nr_assert((unsigned)fault < NR_PROXY_FAULTS);
    return texts[fault];
}
