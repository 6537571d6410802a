/* SPDX-License-Identifier: Apache-2.0 */
#include "config/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 400 };

void nr_diags_init(struct nr_diags *diags, struct nr_arena *arena, uint32_t max)
{
    *diags = (struct nr_diags){.arena = arena, .max = max == 0 ? NR_DIAGS_MAX : max};
    diags->items = nr_arena_zalloc(arena, diags->max * sizeof(*diags->items));
}

static const char *copy(struct nr_diags *diags, const char *text)
{
    return text == NULL ? NULL : nr_arena_dup(diags->arena, nr_span_of(text)).ptr;
}

/* The slot for one more, or NULL. When the list is full, what is worse takes the place of the last
 * that is less so, because an error is why the configuration is refused. */
static struct nr_diag *slot(struct nr_diags *diags, enum nr_diag_level level)
{
    if (diags->count < diags->max)
        return &diags->items[diags->count++];
    diags->dropped++;
    for (uint32_t i = diags->count; i-- > 0;)
        if (diags->items[i].level > level)
            return &diags->items[i];
    return NULL;
}

static void add(struct nr_diags *diags, struct nr_diag what, const char *format, va_list args)
{
    struct nr_diag *diag = slot(diags, what.level);
    char text[TEXT_BYTES_MAX];

    diags->errors += what.level == NR_DIAG_ERROR;
    diags->warnings += what.level == NR_DIAG_WARNING;
    diags->hints += what.level == NR_DIAG_HINT;
    if (diag == NULL)
        return;
    vsnprintf(text, sizeof(text), format, args);
    *diag = what;
    diag->code = what.code == NULL ? "config" : copy(diags, what.code);
    diag->place.file = copy(diags, what.place.file);
    diag->path = what.path == NULL ? "" : copy(diags, what.path);
    diag->text = copy(diags, text);
    diag->fix = copy(diags, what.fix);
}

void nr_diags_add(struct nr_diags *diags, enum nr_diag_level level, const char *code,
                  struct nr_place place, const char *path, const char *fix, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(diags,
        (struct nr_diag){.level = level, .code = code, .place = place, .path = path, .fix = fix},
        format, args);
    va_end(args);
}

void nr_diags_error(struct nr_diags *diags, struct nr_place place, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(diags, (struct nr_diag){.level = NR_DIAG_ERROR, .place = place}, format, args);
    va_end(args);
}

static int by_place(const void *left, const void *right)
{
    const struct nr_diag *a = left, *b = right;
    int files = strcmp(a->place.file == NULL ? "" : a->place.file,
                       b->place.file == NULL ? "" : b->place.file);

    if (files != 0)
        return files;
    if (a->place.line != b->place.line)
        return a->place.line < b->place.line ? -1 : 1;
    if (a->place.column != b->place.column)
        return a->place.column < b->place.column ? -1 : 1;
    return strcmp(a->text, b->text);
}

void nr_diags_sort(struct nr_diags *diags)
{
    if (diags->count > 1)
        qsort(diags->items, diags->count, sizeof(*diags->items), by_place);
}

size_t nr_diag_format(const struct nr_diag *diag, char *to, size_t room)
{
    int len;

    if (diag->place.file == NULL)
        len = snprintf(to, room, "%s", diag->text);
    else
        len = snprintf(to, room, "%s:%u:%u: %s", diag->place.file, diag->place.line,
                       diag->place.column, diag->text);
    if (len < 0 || room == 0)
        return 0;
    return (size_t)len < room ? (size_t)len : room - 1;
}

const char *nr_diag_level_name(enum nr_diag_level level)
{
    static const char *const names[] = {
        [NR_DIAG_ERROR] = "error", [NR_DIAG_WARNING] = "warning", [NR_DIAG_HINT] = "hint"};

    return names[level];
}

enum nr_code nr_diags_code(const struct nr_diags *diags, struct nr_err *err)
{
    char text[NR_ERR_TEXT_BYTES];

    if (diags->errors == 0)
        return NR_OK;
    for (uint32_t i = 0; i < diags->count; i++) {
        if (diags->items[i].level != NR_DIAG_ERROR)
            continue;
        nr_diag_format(&diags->items[i], text, sizeof(text));
        return nr_err_set(err, NR_ECONFIG, "%s", text);
    }
    return nr_err_set(err, NR_ECONFIG, "the configuration is wrong");
}
