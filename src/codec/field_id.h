/* SPDX-License-Identifier: Apache-2.0 */
/* field_id.h - the known field of a name, inlined where heads are parsed.
 *
 * Private to src/codec. By length first, then at most six whole-word comparisons: no
 * hash to collide, no table to keep in step. Lengths are constants, so the compiler turns each
 * comparison into a few instructions. */
#ifndef NR_CODEC_FIELD_ID_H
#define NR_CODEC_FIELD_ID_H

#include <stdint.h>
#include <string.h>

#include "codec/head.h"

/* Bits in which bytes of a name differ from the lower-case one. Letters may differ in bit 0x20,
 * other characters not at all; of the characters that stand in `lower` only letters have bit
 * 0x40, so that bit tells where a difference is allowed. One function per width: through a
 * partly filled word the processor would wait for its own store. */
static inline uint64_t nr_field_differs_8(const char *name, const char *lower)
{
    uint64_t a, b;

    memcpy(&a, name, sizeof(a));
    memcpy(&b, lower, sizeof(b));
    return (a ^ b) & ~((b & 0x4040404040404040u) >> 1);
}

static inline uint64_t nr_field_differs_4(const char *name, const char *lower)
{
    uint32_t a, b;

    memcpy(&a, name, sizeof(a));
    memcpy(&b, lower, sizeof(b));
    return (a ^ b) & ~((b & 0x40404040u) >> 1);
}

static inline uint64_t nr_field_differs_2(const char *name, const char *lower)
{
    uint16_t a, b;

    memcpy(&a, name, sizeof(a));
    memcpy(&b, lower, sizeof(b));
    return (uint32_t)(a ^ b) & ~((b & 0x4040u) >> 1);
}

/* len is a constant wherever this is called; words overlap instead of leaving a rest. */
static inline __attribute__((always_inline)) bool nr_field_is(const char *name, const char *lower,
                                                              size_t len)
{
    uint64_t differs = 0;

    if (len < 4)
        return (nr_field_differs_2(name, lower) |
                nr_field_differs_2(name + len - 2, lower + len - 2)) == 0;
    if (len < 8)
        return (nr_field_differs_4(name, lower) |
                nr_field_differs_4(name + len - 4, lower + len - 4)) == 0;
    for (size_t i = 0; i + 8 < len; i += 8)
        differs |= nr_field_differs_8(name + i, lower + i);
    return (differs | nr_field_differs_8(name + len - 8, lower + len - 8)) == 0;
}

#define NR_FIELD_TRY(text, field)                                                                  \
    if (nr_field_is(name, text, sizeof(text) - 1))                                                 \
    return NR_FIELD_##field

static inline enum nr_field_id nr_field_lookup(const char *name, size_t len)
{
    switch (len) {
    case 2: NR_FIELD_TRY("te", TE); break;
    case 3: NR_FIELD_TRY("via", VIA); break;
    case 4:
        NR_FIELD_TRY("host", HOST);
        NR_FIELD_TRY("date", DATE);
        break;
    case 6:
        NR_FIELD_TRY("accept", ACCEPT);
        NR_FIELD_TRY("cookie", COOKIE);
        NR_FIELD_TRY("origin", ORIGIN);
        NR_FIELD_TRY("server", SERVER);
        NR_FIELD_TRY("expect", EXPECT);
        break;
    case 7:
        NR_FIELD_TRY("upgrade", UPGRADE);
        NR_FIELD_TRY("trailer", TRAILER);
        break;
    case 8: NR_FIELD_TRY("location", LOCATION); break;
    case 9: NR_FIELD_TRY("forwarded", FORWARDED); break;
    case 10:
        NR_FIELD_TRY("user-agent", USER_AGENT);
        NR_FIELD_TRY("connection", CONNECTION);
        NR_FIELD_TRY("keep-alive", KEEP_ALIVE);
        break;
    case 11:
        NR_FIELD_TRY("traceparent", TRACEPARENT);
        NR_FIELD_TRY("retry-after", RETRY_AFTER);
        break;
    case 12:
        NR_FIELD_TRY("content-type", CONTENT_TYPE);
        NR_FIELD_TRY("x-request-id", X_REQUEST_ID);
        NR_FIELD_TRY("grpc-timeout", GRPC_TIMEOUT);
        break;
    case 13:
        NR_FIELD_TRY("authorization", AUTHORIZATION);
        NR_FIELD_TRY("cache-control", CACHE_CONTROL);
        break;
    case 14: NR_FIELD_TRY("content-length", CONTENT_LENGTH); break;
    case 15:
        NR_FIELD_TRY("accept-encoding", ACCEPT_ENCODING);
        NR_FIELD_TRY("x-forwarded-for", X_FORWARDED_FOR);
        NR_FIELD_TRY("idempotency-key", IDEMPOTENCY_KEY);
        break;
    case 16:
        NR_FIELD_TRY("content-encoding", CONTENT_ENCODING);
        NR_FIELD_TRY("x-forwarded-host", X_FORWARDED_HOST);
        NR_FIELD_TRY("proxy-connection", PROXY_CONNECTION);
        break;
    case 17:
        NR_FIELD_TRY("transfer-encoding", TRANSFER_ENCODING);
        NR_FIELD_TRY("x-forwarded-proto", X_FORWARDED_PROTO);
        NR_FIELD_TRY("x-request-attempt", X_REQUEST_ATTEMPT);
        break;
    case 18: NR_FIELD_TRY("x-request-deadline", X_REQUEST_DEADLINE); break;
    case 30: NR_FIELD_TRY("x-envoy-expected-rq-timeout-ms", X_ENVOY_EXPECTED_RQ_TIMEOUT_MS); break;
    default: break;
    }
    return NR_FIELD_OTHER;
}

#undef NR_FIELD_TRY

/* One bit per field that belongs to one connection, or frames the message: never forwarded as it
 * stands. RFC 9110, 7.6.1, and the framing of RFC 9112, 6. */
#define NR_FIELD_BIT(id) ((uint64_t)1 << (id))
#define NR_FIELDS_HOP                                                                              \
    (NR_FIELD_BIT(NR_FIELD_CONNECTION) | NR_FIELD_BIT(NR_FIELD_CONTENT_LENGTH) |                   \
     NR_FIELD_BIT(NR_FIELD_KEEP_ALIVE) | NR_FIELD_BIT(NR_FIELD_PROXY_CONNECTION) |                 \
     NR_FIELD_BIT(NR_FIELD_TE) | NR_FIELD_BIT(NR_FIELD_TRAILER) |                                  \
     NR_FIELD_BIT(NR_FIELD_TRANSFER_ENCODING) | NR_FIELD_BIT(NR_FIELD_UPGRADE))

_Static_assert(NR_FIELD_IDS <= 64, "a set of fields is one word");

static inline bool nr_field_in(enum nr_field_id id, uint64_t set)
{
    return (set >> id & 1) != 0;
}

#endif
