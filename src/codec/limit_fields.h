/* SPDX-License-Identifier: Apache-2.0 */
/* limit_fields.h - what an answer says of limits: values of X-RateLimit-*, RateLimit,
 * RateLimit-Policy and Retry-After.
 *
 * Pure; writes into the caller's room and allocates nothing. Times are whole seconds, rounded up:
 * who comes back at the second that he was told must not be too early. */
#ifndef NR_CODEC_LIMIT_FIELDS_H
#define NR_CODEC_LIMIT_FIELDS_H

#include "naru/span.h"
#include "policy/limit.h"

/* A limit's name as the two fields say it, in quotes. Once per limit, for the configuration's names
 * don't change. Returns the length; room has NR_LIMIT_NAME_BYTES. */
#define NR_LIMIT_NAME_BYTES(name_bytes) (2 * (name_bytes) + 2)
size_t nr_limit_field_name(char *room, struct nr_span name);

struct nr_limit_told {
    struct nr_span name; /* as nr_limit_field_name wrote it */
    const struct nr_limit_conf *conf;
    struct nr_limit_verdict verdict;
};

/* Enough for one limit whose name, as it was written, has so many bytes. */
#define NR_LIMIT_FIELD_BYTES(name_bytes) ((name_bytes) + 64)

/* RateLimit-Policy, a list of strings with parameters, here of one: "per_user";q=100;w=60. The
 * window is left out if it is not whole seconds, which the field cannot say. Returns the length;
 * room has NR_LIMIT_FIELD_BYTES. Source: draft-ietf-httpapi-ratelimit-headers-10, section 3; RFC
 * 9651, section 3.3.3. */
size_t nr_limit_field_policy(char *room, const struct nr_limit_told *told);

/* RateLimit: "per_user";r=37;t=12. t is the time until the allowance is whole again or, when it is
 * refused, until the same request may pass. Source: the same draft, section 4. */
size_t nr_limit_field_state(char *room, const struct nr_limit_told *told);

/* The three older fields, in their most common reading: the reset is seconds from now, as Envoy's
 * and most gateways' is, not a date. */
struct nr_limit_numbers {
    uint64_t limit;
    uint64_t remaining;
    uint64_t reset_s;
};

struct nr_limit_numbers nr_limit_field_numbers(const struct nr_limit_verdict *verdict);

/* Retry-After as delay-seconds (RFC 9110, section 10.2.3), at least 1. False if the request was
 * allowed, or if waiting does not help: then there is no such field. */
bool nr_limit_field_retry_after(const struct nr_limit_verdict *verdict, uint64_t *ret_delay_s);

#endif
