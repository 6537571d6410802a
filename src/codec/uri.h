/* SPDX-License-Identifier: Apache-2.0 */
/* uri.h - a request path made canonical, once.
 *
 * Route, authorization, cache and upstream all use the canonical path, so no two of
 * them can disagree about which resource is meant. Canonical means: percent-encoded unreserved
 * characters decoded, other escapes in upper case; everything ambiguous refused: encoded
 * slash, backslash, NUL or control character, a raw character that RFC 3986 does not allow in
 * a path (backslash, non-ASCII and control characters among them), dot segments plain or encoded or
 * followed by a path parameter ("..;x", which some servers resolve), a malformed escape. Empty
 * segments ("//") are kept: they are legal and distinct.
 * Source: RFC 3986, 6.2.2. */
#ifndef NR_CODEC_URI_H
#define NR_CODEC_URI_H

#include <stdbool.h>
#include <stddef.h>

#include "naru/span.h"

/* Rewrite path (which starts with '/') in place; it never grows. *ret_len is the new
 * length. Returns false, path then undefined, when it is refused. */
bool nr_uri_canonical_path(char *path, size_t len, size_t *ret_len);

/* Characters of RFC 3986 query only: VCHAR without '#', well-formed escapes. */
bool nr_uri_query_valid(struct nr_span query);

/* host [":" port] as RFC 3986, 3.2.2 allows it, without userinfo; not empty. Stricter in what
 * no host name contains and two readers may take for two things: no escapes, no comma, no
 * IPvFuture, a port at most 65535. */
bool nr_uri_authority_valid(struct nr_span authority);

/* Split "host:port", "[v6]:port" or "host". port_text is empty when there is none. */
void nr_uri_split_authority(struct nr_span authority, struct nr_span *ret_host,
                            struct nr_span *ret_port);

#endif
