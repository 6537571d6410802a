/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/match.h"

#include <stdio.h>

#include "codec/pairs.h"

enum { DECODED_BYTES_MAX = 2048 }; /* of a query value that a regex is asked about */

static bool text_fits(const struct nr_condition *condition, struct nr_span text)
{
    switch (condition->kind) {
    case NR_CONDITION_EXACT: return nr_span_eq(text, condition->value);
    case NR_CONDITION_PREFIX: return nr_span_starts_with(text, condition->value);
    case NR_CONDITION_REGEX: return nr_regex_match(condition->regex, text, NULL);
    default: return true;
    }
}

static bool query_text_fits(const struct nr_condition *condition, struct nr_span escaped)
{
    char decoded[DECODED_BYTES_MAX];

    switch (condition->kind) {
    case NR_CONDITION_EXACT: return nr_query_text_eq(escaped, condition->value);
    case NR_CONDITION_PREFIX: return nr_query_text_starts_with(escaped, condition->value);
    case NR_CONDITION_REGEX: break;
    default: return true;
    }
    if (escaped.len > sizeof(decoded))
        return false;
    return nr_regex_match(condition->regex,
                          (struct nr_span){decoded, nr_query_decode(escaped, decoded)}, NULL);
}

static bool some_field_fits(const struct nr_condition *condition, const struct nr_head *head)
{
    const struct nr_field *field = NULL;

    while ((field = nr_head_find_name(head, condition->name, field)) != NULL)
        if (text_fits(condition, nr_head_value(head, field)))
            return true;
    return false;
}

static bool some_parameter_fits(const struct nr_condition *condition, const struct nr_head *head)
{
    struct nr_span rest = nr_head_text(head, head->query);
    struct nr_pair pair;

    while (nr_query_find(&rest, condition->name, &pair))
        if (query_text_fits(condition, pair.value))
            return true;
    return false;
}

static bool some_cookie_fits(const struct nr_condition *condition, const struct nr_head *head)
{
    const struct nr_field *field = NULL;
    struct nr_pair pair;

    while ((field = nr_head_find(head, NR_FIELD_COOKIE, field)) != NULL) {
        struct nr_span rest = nr_head_value(head, field);

        while (nr_cookie_next(&rest, &pair))
            if (pair.has_value && nr_span_eq(pair.name, condition->name) &&
                text_fits(condition, pair.value))
                return true;
    }
    return false;
}

static bool holds(const struct nr_match *match, const struct nr_condition *condition,
                  const struct nr_head *head, struct nr_span path)
{
    bool some = false;

    if (condition->source == NR_CONDITION_PATH)
        return nr_regex_match(condition->regex, path, NULL);
    if (head != NULL) {
        switch (condition->source) {
        case NR_CONDITION_HEADER: some = some_field_fits(condition, head); break;
        case NR_CONDITION_QUERY: some = some_parameter_fits(condition, head); break;
        case NR_CONDITION_COOKIE: some = some_cookie_fits(condition, head); break;
        default: return nr_span_eq(nr_match_version(match->versions, head), condition->value);
        }
    }
    return condition->kind == NR_CONDITION_ABSENT ? !some : some;
}

const struct nr_condition *nr_match_failed(const struct nr_match *match, const struct nr_head *head,
                                           struct nr_span path)
{
    for (uint32_t i = 0; i < match->count; i++)
        if (!holds(match, &match->conditions[i], head, path))
            return &match->conditions[i];
    return NULL;
}

/* ---- versions ---- */

static bool version_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
}

static struct nr_span plain_version(struct nr_span text)
{
    size_t len = 0;

    if (text.len > 1 && (text.ptr[0] == 'v' || text.ptr[0] == 'V'))
        text = nr_span_from(text, 1);
    while (len < text.len && version_char(text.ptr[len]))
        len++;
    return (struct nr_span){text.ptr, len};
}

/* "application/vnd.shop.v2+json": the part of the subtype that is a 'v' and a digit. */
static struct nr_span version_of_type(struct nr_span type)
{
    const char *slash = memchr(type.ptr, '/', type.len);
    size_t at = slash == NULL ? type.len : (size_t)(slash - type.ptr) + 1;

    while (at + 1 < type.len) {
        struct nr_span part = nr_span_from(type, at);
        size_t len = 0;

        while (len < part.len && part.ptr[len] != '+' && part.ptr[len] != '.')
            len++;
        if (part.len >= 2 && nr_ascii_lower(part.ptr[0]) == 'v' && part.ptr[1] >= '0' &&
            part.ptr[1] <= '9') {
            const char *plus = memchr(part.ptr, '+', part.len);

            return plain_version(
                plus == NULL ? part : (struct nr_span){part.ptr, (size_t)(plus - part.ptr)});
        }
        at += len + 1;
    }
    return (struct nr_span){NULL, 0};
}

/* One media range: type, then parameters. */
static struct nr_span version_of_range(struct nr_span range)
{
    const char *semicolon = memchr(range.ptr, ';', range.len);
    size_t type_len = semicolon == NULL ? range.len : (size_t)(semicolon - range.ptr);
    struct nr_span rest = nr_span_from(range, type_len);
    struct nr_pair pair;

    while (nr_cookie_next(&rest, &pair)) { /* pairs between ';' here as there */
        struct nr_span value = nr_span_trim(pair.value);

        if (!nr_span_eq_nocase(nr_span_trim(pair.name), NR_SPAN("version")))
            continue;
        if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
            value = (struct nr_span){value.ptr + 1, value.len - 2};
        return plain_version(value);
    }
    return version_of_type(nr_span_trim((struct nr_span){range.ptr, type_len}));
}

static struct nr_span version_of_accept(const struct nr_head *head)
{
    const struct nr_field *field = NULL;

    while ((field = nr_head_find(head, NR_FIELD_ACCEPT, field)) != NULL) {
        struct nr_span rest = nr_head_value(head, field);

        while (rest.len > 0) {
            const char *comma = memchr(rest.ptr, ',', rest.len);
            size_t len = comma == NULL ? rest.len : (size_t)(comma - rest.ptr);
            struct nr_span version = version_of_range((struct nr_span){rest.ptr, len});

            if (version.len > 0)
                return version;
            rest = nr_span_from(rest, comma == NULL ? len : len + 1);
        }
    }
    return (struct nr_span){NULL, 0};
}

struct nr_span nr_match_version(const struct nr_version_rules *rules, const struct nr_head *head)
{
    struct nr_span version = {NULL, 0};
    struct nr_span rest = nr_head_text(head, head->query);
    struct nr_pair pair;

    if (rules->query.len > 0 && nr_query_find(&rest, rules->query, &pair))
        version = plain_version(pair.value);
    if (version.len == 0 && rules->header.len > 0) {
        const struct nr_field *field = nr_head_find_name(head, rules->header, NULL);

        if (field != NULL)
            version = plain_version(nr_head_value(head, field));
    }
    if (version.len == 0 && rules->accept)
        version = version_of_accept(head);
    return version.len > 0 ? version : rules->fallback;
}

/* ---- for people ---- */

void nr_condition_text(const struct nr_condition *condition, char *to, size_t room)
{
    static const char *const sources[] = {
        [NR_CONDITION_HEADER] = "header", [NR_CONDITION_QUERY] = "query parameter",
        [NR_CONDITION_COOKIE] = "cookie", [NR_CONDITION_VERSION] = "version",
        [NR_CONDITION_PATH] = "the path",
    };
    static const char *const kinds[] = {
        [NR_CONDITION_EXACT] = "is",         [NR_CONDITION_PREFIX] = "begins with",
        [NR_CONDITION_REGEX] = "matches",    [NR_CONDITION_PRESENT] = "is present",
        [NR_CONDITION_ABSENT] = "is absent",
    };
    bool named = condition->name.len > 0;
    bool valued = condition->kind <= NR_CONDITION_REGEX;

    snprintf(to, room, "%s%s%.*s %s%s%.*s%s", sources[condition->source], named ? " " : "",
             (int)condition->name.len, condition->name.ptr, kinds[condition->kind],
             valued ? " '" : "", valued ? (int)condition->value.len : 0, condition->value.ptr,
             valued ? "'" : "");
}
