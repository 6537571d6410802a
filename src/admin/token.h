/* SPDX-License-Identifier: Apache-2.0 */
/* token.h - the secret that a caller of the admin side must know. */
#ifndef NR_ADMIN_TOKEN_H
#define NR_ADMIN_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "admin/admin_conf.h"
#include "naru/err.h"

enum { NR_ADMIN_TOKEN_BYTES_MIN = 16, NR_ADMIN_TOKEN_BYTES_MAX = 512 };

struct nr_admin_token {
    char text[NR_ADMIN_TOKEN_BYTES_MAX];
    uint16_t len;  /* 0: none, nothing is asked of callers */
    char print[9]; /* 32 bits of a hash: tells tokens apart in the log, and gives none away */
};

/* The token that the section names, its file read. Without one: an empty token. Reads a file, so
 * not on a thread that has something to serve. *ret_token stays untouched on failure. */
enum nr_code nr_admin_token_load(const struct nr_admin_conf *conf, struct nr_admin_token *ret_token,
                                 struct nr_err *err) NR_MUST_USE;

/* Is it this one? In a time that depends on nothing but the length of what was given. False when
 * there is no token. */
bool nr_admin_token_is(const struct nr_admin_token *token, struct nr_span given);

#endif
