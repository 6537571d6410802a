/* SPDX-License-Identifier: Apache-2.0 */
/* head.h - the head of a message, the same from HTTP/1.1, HTTP/2 and the simulator.
 *
 * A head is one block of text and an array of fields that point into it by 32-bit
 * offsets. So it is copied once, from a receive buffer into the request's arena,
 * and no receive buffer is pinned; and the text may move when a field is added.
 * Field names keep their case. What HTTP/2 calls pseudo-fields stand apart.
 *
 * Fields that frame the message (Content-Length, Transfer-Encoding, Connection and
 * what it names, Keep-Alive, Proxy-Connection, Upgrade, TE, Trailer as framing) belong to `http`:
 * on receipt they are parsed into the members below and marked NR_FIELD_HOP, and
 * whoever serialises the head skips those marked and writes its own.
 *
 * Spans that the accessors return are valid until the next nr_head_add/_set on
 * the same head. */
#ifndef NR_CODEC_HEAD_H
#define NR_CODEC_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/copy.h"
#include "naru/span.h"

enum nr_method {
    NR_METHOD_OTHER, /* any valid token not listed; its name is in method_name */
    NR_METHOD_GET,
    NR_METHOD_HEAD,
    NR_METHOD_POST,
    NR_METHOD_PUT,
    NR_METHOD_DELETE,
    NR_METHOD_OPTIONS,
    NR_METHOD_PATCH,
    NR_METHOD_CONNECT, /* parsed, so that it can be refused by name */
    NR_METHOD_TRACE,   /* likewise */
    NR_METHODS
};

/* Fields that naru itself looks at. Anything else is NR_FIELD_OTHER. */
enum nr_field_id {
    NR_FIELD_OTHER,
    NR_FIELD_ACCEPT,
    NR_FIELD_ACCEPT_ENCODING,
    NR_FIELD_AUTHORIZATION,
    NR_FIELD_CACHE_CONTROL,
    NR_FIELD_CONNECTION,
    NR_FIELD_CONTENT_ENCODING,
    NR_FIELD_CONTENT_LENGTH,
    NR_FIELD_CONTENT_TYPE,
    NR_FIELD_COOKIE,
    NR_FIELD_DATE,
    NR_FIELD_EXPECT,
    NR_FIELD_FORWARDED,
    NR_FIELD_GRPC_TIMEOUT,
    NR_FIELD_HOST,
    NR_FIELD_IDEMPOTENCY_KEY,
    NR_FIELD_KEEP_ALIVE,
    NR_FIELD_LOCATION,
    NR_FIELD_ORIGIN,
    NR_FIELD_PROXY_CONNECTION,
    NR_FIELD_RETRY_AFTER,
    NR_FIELD_SERVER,
    NR_FIELD_TE,
    NR_FIELD_TRACEPARENT,
    NR_FIELD_TRAILER,
    NR_FIELD_TRANSFER_ENCODING,
    NR_FIELD_UPGRADE,
    NR_FIELD_USER_AGENT,
    NR_FIELD_VIA,
    NR_FIELD_X_ENVOY_EXPECTED_RQ_TIMEOUT_MS,
    NR_FIELD_X_FORWARDED_FOR,
    NR_FIELD_X_FORWARDED_HOST,
    NR_FIELD_X_FORWARDED_PROTO,
    NR_FIELD_X_REQUEST_ATTEMPT,
    NR_FIELD_X_REQUEST_DEADLINE,
    NR_FIELD_X_REQUEST_ID,
    NR_FIELD_IDS
};

enum nr_field_flag {
    NR_FIELD_HOP = 1,     /* hop-by-hop or framing: never forwarded as it stands */
    NR_FIELD_REMOVED = 2, /* taken out by a filter */
    NR_FIELD_SPACED = 4,  /* does not stand in the text as "Name: value CRLF", but with more or less
                             white space around its value */
};

struct nr_field {
    uint32_t name_at; /* offset in head->text */
    uint32_t value_at;
    uint32_t value_len;
    uint16_t name_len;
    uint8_t id;    /* enum nr_field_id */
    uint8_t flags; /* enum nr_field_flag */
};

_Static_assert(sizeof(struct nr_field) == 16, "four fields a cache line");

struct nr_text {
    uint32_t at;
    uint32_t len;
};

/* What follows the head. Values >= 0 are an exact Content-Length. */
enum {
    NR_BODY_NONE = -1,    /* no body, and none announced: a GET, a 204. (An answer to HEAD or a 304
                             carries what it announced, and no body all the same.) */
    NR_BODY_CHUNKED = -2, /* length unknown; on receipt: chunked. When sending, http frames */
    NR_BODY_CLOSE = -3,   /* a response that ends when the connection does */
    NR_BODY_TUNNEL = -4,  /* after a 101: raw bytes both ways until closed */
};

struct nr_head {
    char *text; /* owned by the arena that was passed to nr_head_copy or _dup */
    uint32_t text_len;
    uint32_t text_cap;
    struct nr_field *fields;
    uint16_t field_count;
    uint16_t field_cap;
    uint16_t status;      /* responses; 0 in a request */
    uint8_t method;       /* enum nr_method; requests */
    uint8_t version;      /* 10 or 11 (20 from HTTP/2) */
    bool keep_alive;      /* the peer would keep the connection, by version and Connection */
    bool expect_continue; /* Expect: 100-continue */
    bool upgrade;         /* Connection: upgrade with an Upgrade field (request or 101) */
    bool te_trailers;     /* TE: trailers */
    uint64_t known; /* a bit per enum nr_field_id: set when there is or was such a field, so that
                       what is absent need not be looked for */
    int64_t body_length; /* NR_BODY_… or a byte count */
    struct nr_text method_name;
    struct nr_text target; /* request target as received, save that its path is the canonical one */
    struct nr_text scheme; /* from absolute-form; empty otherwise */
    struct nr_text
        authority;         /* Host, or that of an absolute-form target, which wins: RFC 9112, 3.2.2;
                              never look at the Host field. Empty in HTTP/1.0 without Host */
    struct nr_text path;   /* canonical; "*" for asterisk-form */
    struct nr_text query;  /* without '?'; empty when there is none */
    struct nr_text reason; /* responses; as received */
    bool has_query;        /* "/a?" has an empty one, "/a" has none */
};

static inline struct nr_span nr_head_text(const struct nr_head *head, struct nr_text text)
{
    return (struct nr_span){head->text + text.at, text.len};
}

static inline struct nr_span nr_head_name(const struct nr_head *head, const struct nr_field *field)
{
    return (struct nr_span){head->text + field->name_at, field->name_len};
}

static inline struct nr_span nr_head_value(const struct nr_head *head, const struct nr_field *field)
{
    return (struct nr_span){head->text + field->value_at, field->value_len};
}

/* Is it live and end-to-end: does it go on to the next hop? */
static inline bool nr_field_goes_on(const struct nr_field *field)
{
    return (field->flags & (NR_FIELD_HOP | NR_FIELD_REMOVED)) == 0;
}

/* Start an empty request or response head of our own making in the arena. */
void nr_head_init_request(struct nr_head *head, struct nr_arena *arena, struct nr_span method,
                          struct nr_span authority, struct nr_span path_and_query);
void nr_head_init_response(struct nr_head *head, struct nr_arena *arena, uint16_t status);

/* Copy text and fields into the arena, with room for a few additions, in one go; dup: the head,
 * too.
 */
void nr_head_copy(struct nr_head *to, const struct nr_head *from, struct nr_arena *arena);
struct nr_head *nr_head_dup(const struct nr_head *from, struct nr_arena *arena);

/* May there be a field with this id? False is certain. */
static inline bool nr_head_may_have(const struct nr_head *head, enum nr_field_id id)
{
    return (head->known >> id & 1) != 0;
}

/* The first live field (not removed; hop-by-hop ones are found) with this id after
 * `after` (NULL: from the start); NULL when there is none. */
const struct nr_field *nr_head_search(const struct nr_head *head, enum nr_field_id id,
                                      const struct nr_field *after);

static inline const struct nr_field *nr_head_find(const struct nr_head *head, enum nr_field_id id,
                                                  const struct nr_field *after)
{
    return nr_head_may_have(head, id) ? nr_head_search(head, id, after) : NULL;
}

/* The same by name, without case. */
const struct nr_field *nr_head_find_name(const struct nr_head *head, struct nr_span name,
                                         const struct nr_field *after);

/* The same for a name whose id is known, for who looks for it again and again. */
const struct nr_field *nr_head_find_as(const struct nr_head *head, enum nr_field_id id,
                                       struct nr_span name, const struct nr_field *after);

/* Value of the first live field with this id; an empty span with ptr NULL if none. */
static inline struct nr_span nr_head_get(const struct nr_head *head, enum nr_field_id id)
{
    const struct nr_field *field = nr_head_find(head, id, NULL);

    return field == NULL ? (struct nr_span){NULL, 0} : nr_head_value(head, field);
}

/* Make room for one more field and `bytes` of text. What is replaced stays in the arena, so bytes
 * that are about to be added may point into it. */
void nr_head_grow(struct nr_head *head, struct nr_arena *arena, size_t bytes);

/* Append. The bytes are copied. Name and value must be valid (nr_field_name_valid,
 * nr_field_value_valid): asserted, because a filter that lets a peer's CR through
 * would split the message. A field that frames or is hop-by-hop by name is marked so. */
void nr_head_add(struct nr_head *head, struct nr_arena *arena, struct nr_span name,
                 struct nr_span value);

/* Append a known field of our own making, without looking: name is that of `id` (not a framing
 * field), value is valid because we wrote it or parsed it. For the few that go into every message:
 * inlined, so that a name's literal is a few stores. The text is laid out as on the wire, "Name:
 * value CRLF", so that a writer can copy it in one run with its neighbours. */
static inline __attribute__((always_inline)) void
nr_head_add_own(struct nr_head *head, struct nr_arena *arena, enum nr_field_id id,
                struct nr_span name, struct nr_span value)
{
    uint32_t bytes = (uint32_t)(name.len + value.len) + 4;
    char *at;

    if (nr_unlikely(head->text_cap - head->text_len < bytes ||
                    head->field_count == head->field_cap))
        nr_head_grow(head, arena, bytes);
    head->fields[head->field_count++] = (struct nr_field){
        .name_at = head->text_len,
        .name_len = (uint16_t)name.len,
        .value_at = head->text_len + (uint32_t)name.len + 2,
        .value_len = (uint32_t)value.len,
        .id = (uint8_t)id,
    };
    head->known |= (uint64_t)1 << id;
    at = nr_copy(head->text + head->text_len, name.ptr, name.len);
    at = nr_copy(at, ": ", 2);
    at = nr_copy(at, value.ptr, value.len);
    nr_copy(at, "\r\n", 2);
    head->text_len += bytes;
}

/* Put bytes behind the text, for a pseudo-field: `head->path = nr_head_append_text(…)`. */
struct nr_text nr_head_append_text(struct nr_head *head, struct nr_arena *arena,
                                   struct nr_span bytes);

/* Remove all of that name, then append. */
void nr_head_set(struct nr_head *head, struct nr_arena *arena, struct nr_span name,
                 struct nr_span value);

/* id is not NR_FIELD_OTHER. */
void nr_head_strike(struct nr_head *head, enum nr_field_id id);

static inline void nr_head_remove(struct nr_head *head, enum nr_field_id id)
{
    if (nr_head_may_have(head, id))
        nr_head_strike(head, id);
}

void nr_head_remove_name(struct nr_head *head, struct nr_span name);

/* Which known field is this? Without case; constant time (length and a few bytes). */
enum nr_field_id nr_field_id_of(struct nr_span name);

/* Is it hop-by-hop, or does it frame the message? Such fields are http's own. */
bool nr_field_is_hop(enum nr_field_id id);

/* tchar+ : RFC 9110, 5.6.2. */
bool nr_field_name_valid(struct nr_span name);

/* VCHAR, obs-text, SP, HTAB; no leading or trailing white space: RFC 9110, 5.5. */
bool nr_field_value_valid(struct nr_span value);

enum nr_method nr_method_of(struct nr_span name);
struct nr_span nr_method_name(enum nr_method method);

/* Idempotent by RFC 9110, 9.2.2: GET HEAD OPTIONS PUT DELETE (TRACE is refused). */
bool nr_method_idempotent(enum nr_method method);

/* "Not Found" for 404; "" for a status that has no registered phrase. */
struct nr_span nr_status_phrase(uint16_t status);

#endif
