/* SPDX-License-Identifier: Apache-2.0 */
/* hosts.h - names of hosts as the router compares them. Private to src/gateway. */
#ifndef NR_GATEWAY_HOSTS_H
#define NR_GATEWAY_HOSTS_H

#include "naru/span.h"

enum { NR_HOST_BYTES_MAX = 255 };

/* The host in lower case, without port and a final dot, in `to`; empty when it is too long. */
struct nr_span nr_hosts_plain(struct nr_span authority, char to[NR_HOST_BYTES_MAX]);

#endif
