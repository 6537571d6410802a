/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_in.h - from whom a PROXY header is taken, and what it makes of a connection's peer.
 *
 * Whoever may send one chooses the address that logs, limits and X-Forwarded-For show. So it is
 * only read from trusted networks; a Unix socket's permissions are trust enough. */
#ifndef NR_HTTP_PROXY_IN_H
#define NR_HTTP_PROXY_IN_H

#include <stdbool.h>

#include "codec/proxy_protocol.h"
#include "io/addr.h"

enum nr_proxy_in_mode {
    NR_PROXY_IN_OFF,
    NR_PROXY_IN_ACCEPT,  /* a trusted peer may begin with one */
    NR_PROXY_IN_REQUIRE, /* every connection must, and comes from a trusted peer */
    NR_PROXY_IN_REFUSE,  /* only a verdict: this connection may not be served */
};

struct nr_proxy_in_conf {
    enum nr_proxy_in_mode mode;
    uint32_t trusted_count;
    const struct nr_cidr *trusted;
};

/* Is it in one of the trusted networks? */
bool nr_proxy_in_trusts(const struct nr_proxy_in_conf *conf, const struct nr_addr *peer);

/* What holds for a new connection from this peer. */
enum nr_proxy_in_mode nr_proxy_in_from(const struct nr_proxy_in_conf *conf,
                                       const struct nr_addr *peer);

/* Look at the first bytes of a connection: MORE, BAD, or DONE. With DONE *ret_bytes are to be taken
 * off (0: there was no header, and none was required) and *peer is who the header names, or as
 * before if it names nobody. */
enum nr_proxy_step nr_proxy_in_take(enum nr_proxy_in_mode mode, struct nr_span bytes,
                                    struct nr_addr *peer, size_t *ret_bytes);

#endif
