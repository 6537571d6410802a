/* SPDX-License-Identifier: Apache-2.0 */
/* interpolate.c - variables of the environment in values.
 *
 *   ${NAME}            the variable; an error when it is not set
 *   ${NAME:-default}   the default when it is not set, or empty (as in a shell)
 *   $$                 a dollar sign
 *
 * Anything else with a dollar sign stands for itself, so that patterns such as `^/a$` need no
 * escape. What a variable holds is never looked at again: neither for variables nor as YAML. */
#include "config/text.h"
#include "config/tree.h"

enum { VALUE_BYTES_MAX = 64 * 1024, NAME_BYTES_MAX = 128 };

struct out {
    struct nr_arena *arena;
    char *text;
    size_t len;
    size_t room;
};

static void put(struct out *out, struct nr_span text)
{
    if (out->len + text.len > out->room) {
        size_t room = (out->len + text.len) * 2;
        char *grown = nr_arena_alloc(out->arena, room + 1);

        memcpy(grown, out->text, out->len);
        out->text = grown;
        out->room = room;
    }
    if (text.len > 0)
        memcpy(out->text + out->len, text.ptr, text.len);
    out->len += text.len;
}

static bool name_valid(struct nr_span name)
{
    if (name.len == 0 || name.len > NAME_BYTES_MAX || (name.ptr[0] >= '0' && name.ptr[0] <= '9'))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = nr_ascii_lower(name.ptr[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return true;
}

/* `inner` is what stands between the braces. */
static bool expand(struct out *out, const struct nr_config_source *source, struct nr_place place,
                   struct nr_span inner, struct nr_diags *diags)
{
    const char *mark = memmem(inner.ptr, inner.len, ":-", 2);
    struct nr_span name = {inner.ptr, mark == NULL ? inner.len : (size_t)(mark - inner.ptr)};
    const char *value = NULL;
    char zname[NAME_BYTES_MAX + 1];

    if (!name_valid(name)) {
        nr_diags_error(diags, place,
                       "expected a variable such as ${NAME} or ${NAME:-default}, got %s",
                       nr_text_quote(inner, out->arena));
        return false;
    }
    memcpy(zname, name.ptr, name.len);
    zname[name.len] = '\0';
    if (source != NULL && source->getenv != NULL)
        value = source->getenv(source->arg, zname);
    if (mark != NULL && (value == NULL || value[0] == '\0')) {
        put(out, nr_span_from(inner, name.len + 2));
        return true;
    }
    if (value == NULL) {
        nr_diags_add(diags, NR_DIAG_ERROR, NULL, place, NULL,
                     "set it, or write a default: ${NAME:-default}",
                     "environment variable '%s' is not set", zname);
        return false;
    }
    if (strlen(value) > VALUE_BYTES_MAX || !nr_text_utf8(nr_span_of(value))) {
        nr_diags_error(diags, place, "environment variable '%s' is not UTF-8, or beyond 64KiB",
                       zname);
        return false;
    }
    put(out, nr_span_of(value));
    return true;
}

struct nr_span nr_tree_interpolate(struct nr_arena *arena, const struct nr_config_source *source,
                                   struct nr_place place, struct nr_span text,
                                   struct nr_diags *diags)
{
    struct out out = {.arena = arena};

    if (text.len == 0 || memchr(text.ptr, '$', text.len) == NULL)
        return text;
    out.room = text.len + 64;
    out.text = nr_arena_alloc(arena, out.room + 1);
    for (size_t at = 0; at < text.len;) {
        struct nr_span rest = nr_span_from(text, at);
        const char *close;

        if (nr_span_starts_with(rest, NR_SPAN("$$"))) {
            put(&out, NR_SPAN("$"));
            at += 2;
            continue;
        }
        if (!nr_span_starts_with(rest, NR_SPAN("${"))) {
            put(&out, (struct nr_span){rest.ptr, 1});
            at++;
            continue;
        }
        close = memchr(rest.ptr, '}', rest.len);
        if (close == NULL) {
            nr_diags_error(diags, place,
                           "'${' without '}' (a literal dollar sign is written '$$')");
            return text;
        }
        if (!expand(&out, source, place,
                    (struct nr_span){rest.ptr + 2, (size_t)(close - rest.ptr) - 2}, diags))
            return text;
        at += (size_t)(close - rest.ptr) + 1;
    }
    out.text[out.len] = '\0';
    return (struct nr_span){out.text, out.len};
}
