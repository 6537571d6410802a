/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - JSON documents: build, read, print. The one door to the library behind it.
 *
 * A value has one owner. nr_json_set and nr_json_push take over the value that they
 * are given, also on failure, so building needs no clean-up in between; the getters
 * lend. Objects keep the order in which they were built. Not thread-safe.
 *
 * For documents of ours and of operators (schema, admin answers, fallback bodies); access-log lines
 * and event batches are written and read without a tree. */
#ifndef NR_BASE_JSON_H
#define NR_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "naru/err.h"
#include "naru/span.h"

struct nr_json; /* opaque */

enum nr_json_kind {
    NR_JSON_NULL,
    NR_JSON_BOOL,
    NR_JSON_INTEGER,
    NR_JSON_REAL,
    NR_JSON_STRING,
    NR_JSON_ARRAY,
    NR_JSON_OBJECT,
};

struct nr_json *nr_json_object(void);
struct nr_json *nr_json_array(void);
struct nr_json *nr_json_null(void);
struct nr_json *nr_json_bool(bool value);
struct nr_json *nr_json_integer(int64_t value);

/* NaN and the infinities have no JSON and become null. */
struct nr_json *nr_json_real(double value);

/* Bytes that are not UTF-8 become U+FFFD, one for each: an answer is better than none. */
struct nr_json *nr_json_string(struct nr_span text);

/* Replaces a member of that name. Takes value over. */
void nr_json_set(struct nr_json *object, const char *key, struct nr_json *value);

/* Takes value over. */
void nr_json_push(struct nr_json *array, struct nr_json *value);

/* NULL is fine. Values that were given to a parent are freed with it. */
void nr_json_free(struct nr_json *json);

enum nr_json_kind nr_json_kind(const struct nr_json *json);
size_t nr_json_count(const struct nr_json *json); /* elements or members; 0 for scalars */

/* Borrowed; NULL when there is none, or json is NULL or of another kind. */
const struct nr_json *nr_json_get(const struct nr_json *object, const char *key);
const struct nr_json *nr_json_at(const struct nr_json *array, size_t index);

/* The name of an object's member, in its order; borrowed. An empty span beyond the last. Walks from
 * the first. */
struct nr_span nr_json_name(const struct nr_json *object, size_t index);

/* The value, or an empty span / 0 / false when json is NULL or of another kind. */
struct nr_span nr_json_text(const struct nr_json *json);
int64_t nr_json_integer_value(const struct nr_json *json);
double nr_json_number(const struct nr_json *json); /* an integer or a real */
bool nr_json_bool_value(const struct nr_json *json);

/* Call each(ctx, key, value) for every member, in their order. Not an object: for none. */
void nr_json_each(const struct nr_json *object,
                  void (*each)(void *ctx, const char *key, const struct nr_json *value), void *ctx);

/* malloc'ed, NUL-terminated; the caller frees. indent 0 is one compact line. */
char *nr_json_dump(const struct nr_json *json, unsigned indent);

/* The whole text must be one JSON value; duplicate members refused. The error says
 * line and column. NULL on failure. */
struct nr_json *nr_json_parse(struct nr_span text, struct nr_err *err);

#endif
