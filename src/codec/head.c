/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/head.h"

#include "base/assert.h"
#include "codec/chars.h"
#include "codec/field_id.h"

enum {
    /* Room for what a gateway adds: X-Forwarded-*, Via, X-Request-Id, traceparent. */
    SLACK_TEXT_BYTES = 384,
    SLACK_FIELDS = 8,
    OWN_FIELDS = 16,
};

static void head_init(struct nr_head *head, struct nr_arena *arena, size_t text_bytes)
{
    nr_assert(text_bytes < UINT32_MAX - SLACK_TEXT_BYTES);
    *head = (struct nr_head){
        .text_cap = (uint32_t)text_bytes + SLACK_TEXT_BYTES,
        .field_cap = OWN_FIELDS,
        .version = 11,
        .keep_alive = true,
        .body_length = NR_BODY_NONE,
    };
    head->text = nr_arena_alloc(arena, head->text_cap);
    head->fields = nr_arena_alloc(arena, OWN_FIELDS * sizeof(head->fields[0]));
}

/* There must be room. */
static struct nr_text put(struct nr_head *head, struct nr_span bytes)
{
    struct nr_text text = {head->text_len, (uint32_t)bytes.len};

    if (bytes.len > 0)
        memcpy(head->text + head->text_len, bytes.ptr, bytes.len);
    head->text_len += (uint32_t)bytes.len;
    return text;
}

void nr_head_init_request(struct nr_head *head, struct nr_arena *arena, struct nr_span method,
                          struct nr_span authority, struct nr_span path_and_query)
{
    const char *mark = memchr(path_and_query.ptr, '?', path_and_query.len);

    nr_assert(nr_field_name_valid(method) && nr_field_value_valid(authority) &&
              nr_field_value_valid(path_and_query));
    head_init(head, arena, method.len + authority.len + path_and_query.len);
    head->method = (uint8_t)nr_method_of(method);
    head->method_name = put(head, method);
    head->authority = put(head, authority);
    head->target = put(head, path_and_query);
    head->path = head->target;
    if (mark != NULL) {
        head->has_query = true;
        head->path.len = (uint32_t)(mark - path_and_query.ptr);
        head->query.at = head->path.at + head->path.len + 1;
        head->query.len = head->target.len - head->path.len - 1;
    }
}

void nr_head_init_response(struct nr_head *head, struct nr_arena *arena, uint16_t status)
{
    nr_assert(status >= 100 && status <= 999);
    head_init(head, arena, 0);
    head->status = status;
}

/* Room for a copy of the fields and of the text, and for what may be added to them. */
static size_t copy_bytes(const struct nr_head *from)
{
    nr_assert(from->text_len < UINT32_MAX - SLACK_TEXT_BYTES);
    nr_assert(from->field_count < UINT16_MAX - SLACK_FIELDS);
    return (from->field_count + (size_t)SLACK_FIELDS) * sizeof(from->fields[0]) + from->text_len +
           SLACK_TEXT_BYTES;
}

/* memory has copy_bytes, aligned as fields are. */
static void copy_into(struct nr_head *to, const struct nr_head *from, char *memory)
{
    *to = *from;
    to->field_cap = (uint16_t)(from->field_count + SLACK_FIELDS);
    to->fields = (struct nr_field *)(void *)memory;
    to->text_cap = from->text_len + SLACK_TEXT_BYTES;
    to->text = memory + to->field_cap * sizeof(to->fields[0]);
    nr_copy(memory, (const char *)from->fields, from->field_count * sizeof(from->fields[0]));
    nr_copy(to->text, from->text, from->text_len);
}

void nr_head_copy(struct nr_head *to, const struct nr_head *from, struct nr_arena *arena)
{
    copy_into(to, from, nr_arena_alloc(arena, copy_bytes(from)));
}

struct nr_head *nr_head_dup(const struct nr_head *from, struct nr_arena *arena)
{
    struct nr_head *head = nr_arena_alloc(arena, sizeof(*head) + copy_bytes(from));

    copy_into(head, from, (char *)(head + 1));
    return head;
}

static bool live(const struct nr_field *field)
{
    return (field->flags & NR_FIELD_REMOVED) == 0;
}

const struct nr_field *nr_head_search(const struct nr_head *head, enum nr_field_id id,
                                      const struct nr_field *after)
{
    const struct nr_field *end = head->fields + head->field_count;

    for (const struct nr_field *field = after == NULL ? head->fields : after + 1; field < end;
         field++)
        if (field->id == id && live(field))
            return field;
    return NULL;
}

const struct nr_field *nr_head_find_name(const struct nr_head *head, struct nr_span name,
                                         const struct nr_field *after)
{
    return nr_head_find_as(head, nr_field_id_of(name), name, after);
}

const struct nr_field *nr_head_find_as(const struct nr_head *head, enum nr_field_id id,
                                       struct nr_span name, const struct nr_field *after)
{
    const struct nr_field *end = head->fields + head->field_count;

    if (id != NR_FIELD_OTHER)
        return nr_head_find(head, id, after);
    for (const struct nr_field *field = after == NULL ? head->fields : after + 1; field < end;
         field++)
        if (field->id == NR_FIELD_OTHER && live(field) &&
            nr_span_eq_nocase(nr_head_name(head, field), name))
            return field;
    return NULL;
}

static void grow_text(struct nr_head *head, struct nr_arena *arena, size_t bytes)
{
    size_t cap = ((size_t)head->text_len + bytes) * 2;
    char *text;

    if (head->text_cap - head->text_len >= bytes)
        return;
    nr_assert(cap <= UINT32_MAX);
    text = nr_arena_alloc(arena, cap);
    if (head->text_len > 0)
        memcpy(text, head->text, head->text_len);
    head->text = text;
    head->text_cap = (uint32_t)cap;
}

static void grow_fields(struct nr_head *head, struct nr_arena *arena)
{
    size_t cap = (size_t)head->field_count * 2 + SLACK_FIELDS;
    struct nr_field *fields;

    if (head->field_count < head->field_cap)
        return;
    nr_assert(cap <= UINT16_MAX);
    fields = nr_arena_alloc(arena, cap * sizeof(fields[0]));
    if (head->field_count > 0)
        memcpy(fields, head->fields, head->field_count * sizeof(fields[0]));
    head->fields = fields;
    head->field_cap = (uint16_t)cap;
}

void nr_head_grow(struct nr_head *head, struct nr_arena *arena, size_t bytes)
{
    grow_text(head, arena, bytes);
    grow_fields(head, arena);
}

struct nr_text nr_head_append_text(struct nr_head *head, struct nr_arena *arena,
                                   struct nr_span bytes)
{
    grow_text(head, arena, bytes.len);
    return put(head, bytes);
}

void nr_head_add(struct nr_head *head, struct nr_arena *arena, struct nr_span name,
                 struct nr_span value)
{
    enum nr_field_id id = nr_field_lookup(name.ptr, name.len);

    nr_assert(nr_field_name_valid(name) && name.len <= UINT16_MAX);
    nr_assert(nr_field_value_valid(value));
    nr_head_add_own(head, arena, id, name, value);
    if (nr_field_in(id, NR_FIELDS_HOP))
        head->fields[head->field_count - 1].flags = NR_FIELD_HOP;
}

void nr_head_set(struct nr_head *head, struct nr_arena *arena, struct nr_span name,
                 struct nr_span value)
{
    nr_head_remove_name(head, name);
    nr_head_add(head, arena, name, value);
}

void nr_head_strike(struct nr_head *head, enum nr_field_id id)
{
    nr_assert(id != NR_FIELD_OTHER);
    for (uint16_t i = 0; i < head->field_count; i++)
        if (head->fields[i].id == id)
            head->fields[i].flags |= NR_FIELD_REMOVED;
}

void nr_head_remove_name(struct nr_head *head, struct nr_span name)
{
    enum nr_field_id id = nr_field_id_of(name);

    for (uint16_t i = 0; i < head->field_count; i++) {
        struct nr_field *field = &head->fields[i];

        if (field->id == id &&
            (id != NR_FIELD_OTHER || nr_span_eq_nocase(nr_head_name(head, field), name)))
            field->flags |= NR_FIELD_REMOVED;
    }
}

enum nr_field_id nr_field_id_of(struct nr_span name)
{
    return nr_field_lookup(name.ptr, name.len);
}

bool nr_field_is_hop(enum nr_field_id id)
{
    return nr_field_in(id, NR_FIELDS_HOP);
}

bool nr_field_name_valid(struct nr_span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!nr_char_is(name.ptr[i], NR_CHAR_TOKEN))
            return false;
    return name.len > 0;
}

static bool white(char c)
{
    return c == ' ' || c == '\t';
}

bool nr_field_value_valid(struct nr_span value)
{
    for (size_t i = 0; i < value.len; i++)
        if (!nr_char_is(value.ptr[i], NR_CHAR_VALUE))
            return false;
    return value.len == 0 || (!white(value.ptr[0]) && !white(value.ptr[value.len - 1]));
}
