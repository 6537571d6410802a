/* SPDX-License-Identifier: Apache-2.0 */
/* hosts.h - the router's table of hosts. Private to src/gateway.
 *
 * Maps names to tries: "example.com" exactly, ".example.com" for the wildcard above it. Open
 * addressing, at most half full, never changed once built. The names are the operator's; requests
 * only look up, so no request can make the table degenerate. */
#ifndef NR_GATEWAY_HOSTS_H
#define NR_GATEWAY_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "naru/span.h"

enum { NR_HOST_BYTES_MAX = 255 };

struct nr_host {
    struct nr_span name; /* ptr NULL: a free slot */
    uint64_t hash;
    void *trie;
};

struct nr_hosts {
    struct nr_host *slots;
    uint32_t mask;
    uint32_t count;
    bool wildcards; /* there is one */
};

/* Room for `names` different ones. */
void nr_hosts_init(struct nr_hosts *hosts, struct nr_arena *arena, size_t names);

/* The slot of the name ("*.example.com" for a wildcard), made if need be. */
struct nr_host *nr_hosts_add(struct nr_hosts *hosts, struct nr_span name);

/* The trie of this very name (".example.com" for a wildcard); NULL if there is none. */
void *nr_hosts_find(const struct nr_hosts *hosts, struct nr_span name);

/* The host in lower case, without port and a final dot, in `to`; empty when it is too long. */
struct nr_span nr_hosts_plain(struct nr_span authority, char to[NR_HOST_BYTES_MAX]);

#endif
