/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/template.h"

#include "base/assert.h"
#include "base/compiler.h"
#include "codec/pairs.h"
#include "codec/uri.h"

enum kind {
    TEXT,
    CLIENT_IP,
    REQUEST_ID,
    METHOD,
    SCHEME,
    HOST,
    AUTHORITY,
    PATH,
    QUERY,
    ROUTE,
    SERVICE,
    TAIL,
    PARAM,
    GROUP,
    HEADER,
    PARAMETER,
    COOKIE,
};

enum { PARTS_MAX = 64 };

static const struct {
    struct nr_span name;
    enum kind kind;
} names[] = {
    {NR_SPAN("client_ip"), CLIENT_IP}, {NR_SPAN("request_id"), REQUEST_ID},
    {NR_SPAN("method"), METHOD},       {NR_SPAN("scheme"), SCHEME},
    {NR_SPAN("host"), HOST},           {NR_SPAN("authority"), AUTHORITY},
    {NR_SPAN("path"), PATH},           {NR_SPAN("query"), QUERY},
    {NR_SPAN("route"), ROUTE},         {NR_SPAN("service"), SERVICE},
};

static const struct {
    struct nr_span prefix;
    enum kind kind;
} families[] = {
    {NR_SPAN("header:"), HEADER},
    {NR_SPAN("query:"), PARAMETER},
    {NR_SPAN("cookie:"), COOKIE},
};

/* ---- compiling ---- */

struct compiler {
    const struct nr_template_scope *scope;
    enum nr_template_use use;
    struct nr_template_part parts[PARTS_MAX];
    struct nr_arena *arena;
    uint32_t count;
    bool variable;
    bool encode; /* text, too: all of it is one name or value of a query */
};

static bool put(struct compiler *c, enum kind kind, int index, struct nr_span text)
{
    if (c->count == PARTS_MAX)
        return false;
    if (kind == TEXT && c->encode)
        text = nr_percent_encode(text, c->arena);
    c->parts[c->count++] = (struct nr_template_part){
        .kind = (uint8_t)kind, .use = (uint8_t)c->use, .index = (uint16_t)index, .text = text};
    c->variable = c->variable || kind != TEXT;
    if (kind == TEXT && c->use == NR_TEMPLATE_URI && memchr(text.ptr, '?', text.len) != NULL)
        c->use = NR_TEMPLATE_QUERY;
    return true;
}

/* What stands in the route's own path wins over the names of all requests. */
static bool put_variable(struct compiler *c, struct nr_span name)
{
    int index = nr_pattern_param(c->scope->pattern, name);

    if (index >= 0)
        return put(c, PARAM, index, name);
    if (c->scope->regex != NULL && (index = nr_regex_group(c->scope->regex, name)) >= 0)
        return put(c, GROUP, index, name);
    if (nr_span_eq(name, NR_SPAN("*")) && nr_pattern_is_prefix(c->scope->pattern))
        return put(c, TAIL, 0, name);
    for (size_t i = 0; i < NR_COUNT(names); i++)
        if (nr_span_eq(name, names[i].name))
            return put(c, names[i].kind, 0, name);
    for (size_t i = 0; i < NR_COUNT(families); i++)
        if (nr_span_starts_with(name, families[i].prefix) && name.len > families[i].prefix.len)
            return put(c, families[i].kind, 0, nr_span_from(name, families[i].prefix.len));
    return false;
}

static enum nr_code take_variable(struct compiler *c, struct nr_span *rest, struct nr_err *err)
{
    const char *close = memchr(rest->ptr, '}', rest->len);
    struct nr_span name;

    if (close == NULL)
        return nr_err_set(err, NR_EINVAL, "'{' without '}'; '{{' is a brace");
    name = (struct nr_span){rest->ptr + 1, (size_t)(close - rest->ptr) - 1};
    if (!put_variable(c, name))
        return nr_err_set(err, NR_EINVAL, "unknown variable '{%.*s}'", (int)name.len, name.ptr);
    *rest = nr_span_from(*rest, name.len + 2);
    return NR_OK;
}

static enum nr_code compile(struct compiler *c, struct nr_span rest, struct nr_err *err)
{
    while (rest.len > 0) {
        size_t len = 0;

        while (len < rest.len && rest.ptr[len] != '{' && rest.ptr[len] != '}')
            len++;
        if (len < rest.len && len + 1 < rest.len && rest.ptr[len] == rest.ptr[len + 1]) {
            if (!put(c, TEXT, 0, (struct nr_span){rest.ptr, len + 1}))
                break;
            rest = nr_span_from(rest, len + 2);
            continue;
        }
        if (len > 0 && !put(c, TEXT, 0, (struct nr_span){rest.ptr, len}))
            break;
        rest = nr_span_from(rest, len);
        if (rest.len == 0)
            return NR_OK;
        if (rest.ptr[0] == '}')
            return nr_err_set(err, NR_EINVAL, "'}' without '{'; '}}' is a brace");
        if (take_variable(c, &rest, err) != NR_OK)
            return err->code;
    }
    if (rest.len > 0)
        return nr_err_set(err, NR_EINVAL, "more than %d parts", PARTS_MAX);
    return NR_OK;
}

enum nr_code nr_template_compile(struct nr_span text, enum nr_template_use use,
                                 const struct nr_template_scope *scope, struct nr_arena *arena,
                                 struct nr_template *ret_template, struct nr_err *err)
{
    struct compiler c = {
        .scope = scope, .use = use, .arena = arena, .encode = use == NR_TEMPLATE_QUERY};
    struct nr_template_part *parts;

    if (compile(&c, nr_arena_dup(arena, text), err) != NR_OK)
        return err->code;
    parts = nr_arena_zalloc(arena, (c.count + 1) * sizeof(*parts));
    memcpy(parts, c.parts, c.count * sizeof(*parts));
    *ret_template = (struct nr_template){.parts = parts, .count = c.count, .variable = c.variable};
    return NR_OK;
}

/* ---- filling in ---- */

static struct nr_span header_value(const struct nr_head *head, struct nr_span name)
{
    const struct nr_field *field = nr_head_find_name(head, name, NULL);

    return field == NULL ? NR_SPAN("") : nr_head_value(head, field);
}

static struct nr_span decoded(struct nr_span escaped, struct nr_arena *arena)
{
    char *to;

    if (memchr(escaped.ptr, '%', escaped.len) == NULL &&
        memchr(escaped.ptr, '+', escaped.len) == NULL)
        return escaped;
    to = nr_arena_alloc(arena, escaped.len);
    return (struct nr_span){to, nr_query_decode(escaped, to)};
}

static struct nr_span parameter_value(const struct nr_head *head, struct nr_span name,
                                      struct nr_arena *arena)
{
    struct nr_span rest = nr_head_text(head, head->query);
    struct nr_pair pair;

    if (!nr_query_find(&rest, name, &pair) || pair.value.len == 0)
        return NR_SPAN("");
    return decoded(pair.value, arena);
}

static struct nr_span host_of(const struct nr_head *head)
{
    struct nr_span host, port;

    nr_uri_split_authority(nr_head_text(head, head->authority), &host, &port);
    return host;
}

static struct nr_span value_of(const struct nr_template_part *part,
                               const struct nr_template_values *values, struct nr_arena *arena)
{
    const struct nr_head *head = values->head;

    switch ((enum kind)part->kind) {
    case TEXT: return part->text;
    case CLIENT_IP: return values->client_ip;
    case REQUEST_ID: return values->request_id;
    case METHOD: return nr_head_text(head, head->method_name);
    case SCHEME: return values->scheme;
    case HOST: return host_of(head);
    case AUTHORITY: return nr_head_text(head, head->authority);
    case PATH: return values->path;
    case QUERY: return nr_head_text(head, head->query);
    case ROUTE: return values->route;
    case SERVICE: return values->service;
    case TAIL: return values->captures.tail;
    case PARAM: return values->captures.params[part->index];
    case GROUP: return values->groups[part->index];
    case HEADER: return header_value(head, part->text);
    case PARAMETER: return parameter_value(head, part->text, arena);
    case COOKIE: return nr_cookie_get(head, part->text);
    }
    return NR_SPAN("");
}

/* Parts of the path are canonical already; a '+' is itself there, not a space. */
static struct nr_span path_as_query(struct nr_span path, struct nr_arena *arena)
{
    char *to = nr_arena_alloc(arena, path.len * 3);
    size_t len = 0;

    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];

        if (c == '&' || c == '=' || c == '+' || c == ';') {
            static const char digits[] = "0123456789ABCDEF";

            to[len++] = '%';
            to[len++] = digits[c >> 4];
            c = digits[c & 15];
        }
        to[len++] = c;
    }
    return (struct nr_span){to, len};
}

static struct nr_span escaped(const struct nr_template_part *part, struct nr_span value,
                              struct nr_arena *arena)
{
    if (part->kind == TEXT || part->use == NR_TEMPLATE_FIELD || value.len == 0)
        return value;
    switch ((enum kind)part->kind) {
    case QUERY:
    case HOST:
    case AUTHORITY:
    case SCHEME: return value;
    case PATH:
    case TAIL:
    case PARAM:
    case GROUP: return part->use == NR_TEMPLATE_QUERY ? path_as_query(value, arena) : value;
    default: return nr_percent_encode(value, arena);
    }
}

struct nr_span nr_template_fill(const struct nr_template *template,
                                const struct nr_template_values *values, struct nr_arena *arena)
{
    struct nr_span pieces[PARTS_MAX];
    size_t total = 0, at = 0;
    char *to;

    nr_assert(template->count <= PARTS_MAX);
    for (uint32_t i = 0; i < template->count; i++) {
        const struct nr_template_part *part = &template->parts[i];

        pieces[i] = escaped(part, value_of(part, values, arena), arena);
        total += pieces[i].len;
    }
    if (template->count == 0)
        return NR_SPAN("");
    if (template->count == 1)
        return pieces[0];
    to = nr_arena_alloc(arena, total + 1);
    for (uint32_t i = 0; i < template->count; i++) {
        if (pieces[i].len > 0)
            memcpy(to + at, pieces[i].ptr, pieces[i].len);
        at += pieces[i].len;
    }
    return (struct nr_span){to, total};
}
