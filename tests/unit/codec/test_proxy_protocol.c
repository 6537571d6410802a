/* SPDX-License-Identifier: Apache-2.0 */
/* The PROXY protocol against its specification, "The PROXY protocol, Versions 1 & 2". */
#include "codec/proxy_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(literal)                                                                             \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
#define V4_ADDRS "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"
#define V6_ADDRS                                                                                   \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"         \
    "\x00\x50\xff\xff"
#define X16  "xxxxxxxxxxxxxxxx"
#define X96  X16 X16 X16 X16 X16 X16
#define Z12  "\0\0\0\0\0\0\0\0\0\0\0\0"
#define Z102 Z12 Z12 Z12 Z12 Z12 Z12 Z12 Z12 "\0\0\0\0\0\0"

/* clang-format off */
static const struct {
    const char *story;
    struct nr_span bytes;
    enum nr_proxy_step step;
    enum nr_proxy_fault fault;
    const char *source; /* "family address port" as show() has it */
    size_t left;        /* bytes behind the header */
} cases[] = {
    /* version 1: 2.1 */
    {"TCP4", BYTES("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), NR_PROXY_DONE, 0, "v4 c0a80001 56324", 0},
    {"a request behind it", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\n"), NR_PROXY_DONE, 0, "v4 01020304 1", 16},
    {"the longest IPv4", BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), NR_PROXY_DONE, 0, "v4 ffffffff 65535", 0},
    {"IPv6 in full", BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), NR_PROXY_DONE, 0, "v6 ffffffffffffffffffffffffffffffff 65535", 0},
    {"IPv6 shortened, either case", BYTES("PROXY TCP6 2001:dB8::1 ::1 80 81\r\n"), NR_PROXY_DONE, 0, "v6 20010db8000000000000000000000001 80", 0},
    {"IPv6 as inet_ntop maps IPv4", BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::1 80 81\r\n"), NR_PROXY_DONE, 0, "v6 00000000000000000000ffffc0000201 80", 0},
    {"port 0", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n"), NR_PROXY_DONE, 0, "v4 01020304 0", 0},
    {"UNKNOWN alone", BYTES("PROXY UNKNOWN\r\n"), NR_PROXY_DONE, 0, "unspec", 0},
    {"UNKNOWN with addresses to ignore", BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), NR_PROXY_DONE, 0, "unspec", 0},
    {"UNKNOWN and anything", BYTES("PROXY UNKNOWN   \t !\r\nx"), NR_PROXY_DONE, 0, "unspec", 1},
    {"107 bytes are the most", BYTES("PROXY UNKNOWN " X16 X16 X16 X16 X16 "xxxxxxxxxxx\r\n"), NR_PROXY_DONE, 0, "unspec", 0},
    {"108 are too many", BYTES("PROXY UNKNOWN " X16 X16 X16 X16 X16 "xxxxxxxxxxxx\r\n"), NR_PROXY_BAD, NR_PROXY_TOO_LONG, NULL, 0},
    {"no end in sight", BYTES("PROXY TCP4 " X96 X96), NR_PROXY_BAD, NR_PROXY_TOO_LONG, NULL, 0},
    {"LF alone", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n"), NR_PROXY_BAD, NR_PROXY_BAD_LINE, NULL, 0},
    {"a CR within", BYTES("PROXY TCP4 1.2.3.4\r 5.6.7.8 1 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_LINE, NULL, 0},
    {"a CR within UNKNOWN", BYTES("PROXY UNKNOWN\r\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_LINE, NULL, 0},
    {"no protocol", BYTES("PROXY \r\n"), NR_PROXY_BAD, NR_PROXY_BAD_LINE, NULL, 0},
    {"LF at once", BYTES("PROXY \n"), NR_PROXY_BAD, NR_PROXY_BAD_LINE, NULL, 0},
    {"a protocol in small letters", BYTES("PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_PROTOCOL, NULL, 0},
    {"UDP4", BYTES("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_PROTOCOL, NULL, 0},
    {"UNKNOWNS", BYTES("PROXY UNKNOWNS\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_PROTOCOL, NULL, 0},
    {"TCP4 and no more", BYTES("PROXY TCP4\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_LINE, NULL, 0},
    {"a port is missing", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_LINE, NULL, 0},
    {"a word too many", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_LINE, NULL, 0},
    {"two spaces", BYTES("PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_LINE, NULL, 0},
    {"a space at the end", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n"), NR_PROXY_BAD, NR_PROXY_BAD_LINE, NULL, 0},
    {"tabs", BYTES("PROXY TCP4\t1.2.3.4\t5.6.7.8\t1\t2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_PROTOCOL, NULL, 0},
    {"a leading zero in an address", BYTES("PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_ADDRESS, NULL, 0},
    {"256", BYTES("PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_ADDRESS, NULL, 0},
    {"three numbers", BYTES("PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_ADDRESS, NULL, 0},
    {"IPv6 under TCP4", BYTES("PROXY TCP4 ::1 ::1 1 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_ADDRESS, NULL, 0},
    {"IPv4 under TCP6", BYTES("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_ADDRESS, NULL, 0},
    {"two double colons", BYTES("PROXY TCP6 1::2::3 ::1 1 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_ADDRESS, NULL, 0},
    {"a zone", BYTES("PROXY TCP6 fe80::1%1 ::1 1 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_ADDRESS, NULL, 0},
    {"a NUL in an address", BYTES("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_ADDRESS, NULL, 0},
    {"a name", BYTES("PROXY TCP4 localhost 5.6.7.8 1 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_ADDRESS, NULL, 0},
    {"the other address", BYTES("PROXY TCP4 1.2.3.4 5.6.7 1 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_ADDRESS, NULL, 0},
    {"port 65536", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_PORT, NULL, 0},
    {"a leading zero in a port", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 080 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_PORT, NULL, 0},
    {"a sign", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 +80 2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_PORT, NULL, 0},
    {"a negative port", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 -2\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_PORT, NULL, 0},
    {"six digits", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 100000\r\n"), NR_PROXY_BAD, NR_PROXY_BAD_PORT, NULL, 0},

    /* version 2: 2.2 */
    {"TCP over IPv4", BYTES(SIG "\x21\x11\0\x0c" V4_ADDRS), NR_PROXY_DONE, 0, "v4 c0000201 56324", 0},
    {"a request behind it", BYTES(SIG "\x21\x11\0\x0c" V4_ADDRS "GET"), NR_PROXY_DONE, 0, "v4 c0000201 56324", 3},
    {"TCP over IPv6", BYTES(SIG "\x21\x21\0\x24" V6_ADDRS), NR_PROXY_DONE, 0, "v6 20010db8000000000000000000000001 80", 0},
    {"a Unix stream", BYTES(SIG "\x21\x31\0\xd8/run/a" Z102 "/run/b" Z102), NR_PROXY_DONE, 0, "unix /run/a", 0},
    {"a datagram: nothing about this stream", BYTES(SIG "\x21\x12\0\x0c" V4_ADDRS), NR_PROXY_DONE, 0, "unspec", 0},
    {"a datagram over IPv6", BYTES(SIG "\x21\x22\0\x24" V6_ADDRS), NR_PROXY_DONE, 0, "unspec", 0},
    {"UNSPEC", BYTES(SIG "\x21\0\0\0"), NR_PROXY_DONE, 0, "unspec", 0},
    {"UNSPEC with bytes to skip", BYTES(SIG "\x21\0\0\3abcGET"), NR_PROXY_DONE, 0, "unspec", 3},
    {"LOCAL", BYTES(SIG "\x20\0\0\0"), NR_PROXY_DONE, 0, "local", 0},
    {"LOCAL: family and block are ignored", BYTES(SIG "\x20\xff\0\5abcdeG"), NR_PROXY_DONE, 0, "local", 1},
    {"version 1 in binary", BYTES(SIG "\x11\x11\0\x0c" V4_ADDRS), NR_PROXY_BAD, NR_PROXY_BAD_VERSION, NULL, 0},
    {"version 3, known at its byte", BYTES(SIG "\x31"), NR_PROXY_BAD, NR_PROXY_BAD_VERSION, NULL, 0},
    {"command 2", BYTES(SIG "\x22\x11\0\x0c" V4_ADDRS), NR_PROXY_BAD, NR_PROXY_BAD_COMMAND, NULL, 0},
    {"family 4", BYTES(SIG "\x21\x41\0\x0c" V4_ADDRS), NR_PROXY_BAD, NR_PROXY_BAD_FAMILY, NULL, 0},
    {"transport 3", BYTES(SIG "\x21\x13\0\x0c" V4_ADDRS), NR_PROXY_BAD, NR_PROXY_BAD_FAMILY, NULL, 0},
    {"a family without a transport", BYTES(SIG "\x21\x10\0\x0c" V4_ADDRS), NR_PROXY_BAD, NR_PROXY_BAD_FAMILY, NULL, 0},
    {"a transport without a family", BYTES(SIG "\x21\x01\0\x0c" V4_ADDRS), NR_PROXY_BAD, NR_PROXY_BAD_FAMILY, NULL, 0},
    {"addresses cut short", BYTES(SIG "\x21\x11\0\x0b" V4_ADDRS), NR_PROXY_BAD, NR_PROXY_BAD_LENGTH, NULL, 0},
    {"IPv6 with room for IPv4", BYTES(SIG "\x21\x21\0\x0c" V4_ADDRS), NR_PROXY_BAD, NR_PROXY_BAD_LENGTH, NULL, 0},
    {"4,096 bytes are the most: refused before they come", BYTES(SIG "\x21\x11\x0f\xf1"), NR_PROXY_BAD, NR_PROXY_TOO_LONG, NULL, 0},
    {"the longest length", BYTES(SIG "\x20\0\xff\xff"), NR_PROXY_BAD, NR_PROXY_TOO_LONG, NULL, 0},

    /* its TLVs: 2.2.1 to 2.2.7 */
    {"an authority", BYTES(SIG "\x21\x11\0\x14" V4_ADDRS "\x02\0\5a.com"), NR_PROXY_DONE, 0, "v4 c0000201 56324", 0},
    {"two, one of them empty padding", BYTES(SIG "\x21\x11\0\x16" V4_ADDRS "\x04\0\0\x01\0\4h2c\0"), NR_PROXY_DONE, 0, "v4 c0000201 56324", 0},
    {"an unknown type", BYTES(SIG "\x21\x11\0\x10" V4_ADDRS "\xe0\0\1x"), NR_PROXY_DONE, 0, "v4 c0000201 56324", 0},
    {"behind a Unix address", BYTES(SIG "\x21\x31\0\xdb/run/a" Z102 "/run/b" Z102 "\x04\0\0"), NR_PROXY_DONE, 0, "unix /run/a", 0},
    {"two bytes are no TLV", BYTES(SIG "\x21\x11\0\x0e" V4_ADDRS "\x04\0"), NR_PROXY_BAD, NR_PROXY_BAD_TLV, NULL, 0},
    {"beyond the end", BYTES(SIG "\x21\x11\0\x10" V4_ADDRS "\x04\0\2x"), NR_PROXY_BAD, NR_PROXY_BAD_TLV, NULL, 0},
    {"far beyond the end", BYTES(SIG "\x21\x11\0\x10" V4_ADDRS "\x04\xff\xffx"), NR_PROXY_BAD, NR_PROXY_BAD_TLV, NULL, 0},
    {"a checksum of three bytes", BYTES(SIG "\x21\x11\0\x12" V4_ADDRS "\x03\0\3abc"), NR_PROXY_BAD, NR_PROXY_BAD_TLV, NULL, 0},
    {"a wrong checksum", BYTES(SIG "\x21\x11\0\x13" V4_ADDRS "\x03\0\4abcd"), NR_PROXY_BAD, NR_PROXY_BAD_CHECKSUM, NULL, 0},
    {"a wrong one for a datagram", BYTES(SIG "\x21\x12\0\x13" V4_ADDRS "\x03\0\4abcd"), NR_PROXY_BAD, NR_PROXY_BAD_CHECKSUM, NULL, 0},
    {"an identifier of 129 bytes", BYTES(SIG "\x21\x11\0\x90" V4_ADDRS "\x05\0\x81" X96 X16 X16 "x"), NR_PROXY_BAD, NR_PROXY_BAD_TLV, NULL, 0},
    {"an identifier of 128 bytes", BYTES(SIG "\x21\x11\0\x8f" V4_ADDRS "\x05\0\x80" X96 X16 X16), NR_PROXY_DONE, 0, "v4 c0000201 56324", 0},

    /* neither, or not yet */
    {"nothing yet", BYTES(""), NR_PROXY_MORE, 0, NULL, 0},
    {"one letter", BYTES("P"), NR_PROXY_MORE, 0, NULL, 0},
    {"a request", BYTES("GET / HTTP/1.1\r\n"), NR_PROXY_ABSENT, 0, NULL, 0},
    {"POST", BYTES("PO"), NR_PROXY_ABSENT, 0, NULL, 0},
    {"proxy in small letters", BYTES("proxy TCP4"), NR_PROXY_ABSENT, 0, NULL, 0},
    {"PROXY without a space", BYTES("PROXYX"), NR_PROXY_ABSENT, 0, NULL, 0},
    {"an empty line before a request", BYTES("\r\nGET"), NR_PROXY_ABSENT, 0, NULL, 0},
    {"a signature that goes astray", BYTES("\r\n\r\n\0\r\nQUIT "), NR_PROXY_ABSENT, 0, NULL, 0},
    {"TLS", BYTES("\x16\x03\x01"), NR_PROXY_ABSENT, 0, NULL, 0},
};
/* clang-format on */

static void show(const struct nr_proxy_header *header, char *to, size_t room)
{
    size_t at, bytes = header->family == NR_PROXY_V4 ? 4 : 16;

    if (header->local || header->family == NR_PROXY_UNSPEC) {
        snprintf(to, room, "%s", header->local ? "local" : "unspec");
        return;
    }
    if (header->family == NR_PROXY_UNIX) {
        snprintf(to, room, "unix %.*s", (int)header->source_path.len, header->source_path.ptr);
        return;
    }
    at = (size_t)snprintf(to, room, "%s ", header->family == NR_PROXY_V4 ? "v4" : "v6");
    for (size_t i = 0; i < bytes; i++)
        at += (size_t)snprintf(to + at, room - at, "%02x", header->source[i]);
    snprintf(to + at, room - at, " %u", header->source_port);
}

/* Memory of exactly that size, so that a sanitizer sees a read beyond it. */
static char *exact(struct nr_span bytes)
{
    char *copy = malloc(bytes.len > 0 ? bytes.len : 1);

    assert_non_null(copy);
    if (bytes.len > 0)
        memcpy(copy, bytes.ptr, bytes.len);
    return copy;
}

static void check(size_t i, const char *source, const struct nr_proxy_header *header)
{
    char have[256];

    show(header, have, sizeof(have));
    if (strcmp(have, source) != 0)
        fail_msg("%s: %s, want %s", cases[i].story, have, source);
}

static void headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *bytes = exact(cases[i].bytes);
        struct nr_proxy_header header;
        enum nr_proxy_fault fault = NR_PROXY_OK;
        size_t used = 0;
        enum nr_proxy_step step =
            nr_proxy_parse((struct nr_span){bytes, cases[i].bytes.len}, &header, &used, &fault);

        if (step != cases[i].step || (step == NR_PROXY_BAD && fault != cases[i].fault))
            fail_msg("%s: step %d, %s", cases[i].story, (int)step, nr_proxy_fault_text(fault));
        if (step == NR_PROXY_DONE) {
            assert_int_equal(used, cases[i].bytes.len - cases[i].left);
            check(i, cases[i].source, &header);
        }
        free(bytes);
    }
}

/* However the bytes come: no verdict before its time, and the same one in the end. */
static void headers_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum nr_proxy_step step = NR_PROXY_MORE;
        size_t len = 0, used = 0;

        for (; len <= cases[i].bytes.len && step == NR_PROXY_MORE; len++) {
            char *bytes = exact((struct nr_span){cases[i].bytes.ptr, len});
            struct nr_proxy_header header;
            enum nr_proxy_fault fault;

            step = nr_proxy_parse((struct nr_span){bytes, len}, &header, &used, &fault);
            free(bytes);
        }
        assert_int_equal(step, cases[i].step);
        if (step == NR_PROXY_DONE)
            assert_int_equal(len - 1, cases[i].bytes.len - cases[i].left);
    }
}

static void what_is_written_is_read(void **state)
{
    static const struct nr_proxy_header wants[] = {
        {.version = 1,
         .family = NR_PROXY_V4,
         .source = {10, 0, 0, 9},
         .destination = {10, 0, 0, 1},
         .source_port = 50000,
         .destination_port = 443},
        {.version = 1,
         .family = NR_PROXY_V6,
         .source = {0x20, 1, 0xd, 0xb8, [15] = 7},
         .destination = {[15] = 1},
         .source_port = 65535,
         .destination_port = 1},
        {.version = 1, .family = NR_PROXY_UNSPEC},
        {.version = 2,
         .family = NR_PROXY_V4,
         .source = {10, 0, 0, 9},
         .destination = {10, 0, 0, 1},
         .source_port = 50000,
         .destination_port = 443},
        {.version = 2,
         .family = NR_PROXY_V4,
         .checksum = true,
         .source = {1, 2, 3, 4},
         .source_port = 5},
        {.version = 2, .family = NR_PROXY_V6, .checksum = true, .source = {[15] = 9}},
        {.version = 2,
         .family = NR_PROXY_UNIX,
         .checksum = true,
         .source_path = NR_SPAN("/a"),
         .destination_path = NR_SPAN("@b")},
        {.version = 2, .family = NR_PROXY_UNSPEC},
        {.version = 2, .local = true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
        char bytes[NR_PROXY_WRITE_BYTES_MAX], want[256], have[256];
        struct nr_proxy_header header;
        enum nr_proxy_fault fault;
        size_t used = 0, len = nr_proxy_write(bytes, &wants[i]);

        assert_int_equal(nr_proxy_parse((struct nr_span){bytes, len}, &header, &used, &fault),
                         NR_PROXY_DONE);
        assert_int_equal(used, len);
        show(&wants[i], want, sizeof(want));
        show(&header, have, sizeof(have));
        assert_string_equal(have, want);
        assert_int_equal(header.version, wants[i].version);
        assert_int_equal(header.checksum, wants[i].checksum);
        assert_int_equal(header.destination_port, wants[i].destination_port);
        assert_memory_equal(header.destination, wants[i].destination, 16);
        assert_true(nr_span_eq(header.destination_path, wants[i].destination_path));
    }
}

static void version_1_cannot_say_everything(void **state)
{
    static const struct nr_proxy_header unsayable[] = {
        {.version = 1, .local = true, .family = NR_PROXY_V4},
        {.version = 1, .family = NR_PROXY_UNIX, .source_path = NR_SPAN("/a")},
    };
    char bytes[NR_PROXY_WRITE_BYTES_MAX];

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_true(nr_span_eq((struct nr_span){bytes, nr_proxy_write(bytes, &unsayable[i])},
                               NR_SPAN("PROXY UNKNOWN\r\n")));
}

/* A flipped bit anywhere below a checksum is found, wherever the checksum stands. */
static void every_flipped_bit_is_found(void **state)
{
    const struct nr_proxy_header want = {.version = 2,
                                         .family = NR_PROXY_V6,
                                         .checksum = true,
                                         .source = {0x20, 1},
                                         .source_port = 77};
    char bytes[NR_PROXY_WRITE_BYTES_MAX];
    size_t len = nr_proxy_write(bytes, &want);

    (void)state;
    for (size_t bit = 0; bit < len * 8; bit++) {
        struct nr_proxy_header header;
        enum nr_proxy_fault fault;
        enum nr_proxy_step step;
        size_t used = 0;

        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        step = nr_proxy_parse((struct nr_span){bytes, len}, &header, &used, &fault);
        /* Not covered: a type that says it is no checksum, and PROXY that became LOCAL. */
        if (step == NR_PROXY_DONE)
            assert_true(!header.checksum || header.local);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    }
}

/* A header whose checksum was made by another program, one that gives e3069283 for "123456789". */
static void a_known_checksum(void **state)
{
    static const char bytes[] = SIG "\x21\x11\0\x13" V4_ADDRS "\x03\0\4"
                                    "\x20\xec\x95\x49";
    struct nr_proxy_header header;
    enum nr_proxy_fault fault;
    size_t used = 0;

    (void)state;
    assert_int_equal(
        nr_proxy_parse((struct nr_span){bytes, sizeof(bytes) - 1}, &header, &used, &fault),
        NR_PROXY_DONE);
    assert_true(header.checksum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),
        cmocka_unit_test(headers_in_pieces),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(version_1_cannot_say_everything),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(a_known_checksum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
