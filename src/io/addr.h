/* SPDX-License-Identifier: Apache-2.0 */
/* addr.h - where a socket is: IPv4, IPv6 or a Unix path. */
#ifndef NR_IO_ADDR_H
#define NR_IO_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "naru/err.h"
#include "naru/span.h"

enum nr_addr_family { NR_ADDR_NONE, NR_ADDR_V4, NR_ADDR_V6, NR_ADDR_UNIX };

struct nr_addr {
    uint8_t family;   /* enum nr_addr_family */
    uint8_t ip[16];   /* network order; v4 uses the first four */
    uint16_t port;    /* host order */
    uint32_t scope;   /* v6 link-local interface */
    const char *path; /* unix: borrowed, at most 107 bytes, '@' in front means abstract */
};

/* "127.0.0.1:80", "[::1]:80", "unix:/run/x.sock" — numeric only; ":80" and "*:80" are every address
 * (v6 with v4 mapped when the machine has v6). For unix the path is borrowed from text, which must
 * be NUL-terminated there. */
enum nr_code nr_addr_parse(const char *text, struct nr_addr *ret_addr,
                           struct nr_err *err) NR_MUST_USE;

enum { NR_ADDR_TEXT_BYTES = 128 };

/* The text that nr_addr_parse takes, NUL-terminated, cut if need be. Returns its length. */
size_t nr_addr_format(const struct nr_addr *addr, char *to, size_t room);

/* Only the IP, without port and brackets ("unix:" for a Unix peer). */
size_t nr_addr_format_ip(const struct nr_addr *addr, char *to, size_t room);

bool nr_addr_eq(const struct nr_addr *a, const struct nr_addr *b);

/* ::ffff:1.2.3.4 becomes 1.2.3.4 (RFC 4291, 2.5.5.2), so that both spellings are one; others stay.
 */
struct nr_addr nr_addr_plain(const struct nr_addr *addr);

/* The same with only its first bits, of 32 (v4) or 128 (v6): the network that it stands in. A Unix
 * address stays as it is. */
struct nr_addr nr_addr_network(const struct nr_addr *addr, uint32_t v4_bits, uint32_t v6_bits);

/* CIDR blocks, for trusted proxies. v4 and v4-mapped v6 match each other. */
struct nr_cidr {
    struct nr_addr network;
    uint8_t prefix_bits;
};

enum nr_code nr_cidr_parse(const char *text, struct nr_cidr *ret_cidr,
                           struct nr_err *err) NR_MUST_USE;
bool nr_cidr_contains(const struct nr_cidr *cidr, const struct nr_addr *addr);

#endif
