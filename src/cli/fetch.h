/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h - ask a naru that runs, at its admin listener: one GET, and the whole answer.
 *
 * On an engine and a client of its own; returns when the answer is there or cannot come. For
 * commands, on the program's only thread. */
#ifndef NR_CLI_FETCH_H
#define NR_CLI_FETCH_H

#include <stdint.h>

#include "naru/err.h"
#include "naru/span.h"

struct nr_fetch {
    const char *address;  /* "127.0.0.1:9900", "localhost:9900", "unix:/path" */
    struct nr_span path;  /* with query */
    struct nr_span token; /* empty: none. Sent as a Bearer token */
};

struct nr_fetched {
    uint16_t status;
    char *body; /* malloc'ed, NUL-terminated, the caller's */
    size_t len;
};

/* NR_EREFUSED, NR_ETIMEOUT …: err says what to look at. *ret_fetched is set only with NR_OK. */
enum nr_code nr_cli_fetch(const struct nr_fetch *fetch, struct nr_fetched *ret_fetched,
                          struct nr_err *err) NR_MUST_USE;

#endif
