/* SPDX-License-Identifier: Apache-2.0 */
#include "config/original.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/assert.h"
#include "base/strbuf.h"

enum {
    PACK_BYTES_MIN = 512, /* below, the machinery would take longer than what it saves is worth */
    PACK_LEVEL = 1,       /* configurations repeat themselves: the fastest makes a tenth of them */
};

/* A text, constant once made. */
struct text {
    _Atomic uint32_t refs;
    bool packed;
    size_t len;        /* of the text */
    size_t held_bytes; /* of data */
    char data[];
};

enum kind { ENTRY_FILE, ENTRY_LISTING, ENTRY_VARIABLE };

struct entry {
    enum kind kind;
    char *name;        /* owned */
    struct text *text; /* our reference; NULL: a variable that is not set */
};

struct nr_original {
    _Atomic uint32_t refs;
    struct entry *entries; /* as they came; PACKED: sorted, each once */
    uint32_t count, cap;
    bool packed;
    char *path; /* of the first file */
};

/* ---- texts ---- */

static struct text *text_new(size_t held_bytes)
{
    struct text *text = malloc(sizeof(*text) + held_bytes);

    nr_assert(text != NULL);
    atomic_init(&text->refs, 1);
    text->packed = false;
    text->len = held_bytes;
    text->held_bytes = held_bytes;
    return text;
}

static struct text *text_of(struct nr_span bytes)
{
    struct text *text = text_new(bytes.len);

    if (bytes.len > 0)
        memcpy(text->data, bytes.ptr, bytes.len);
    return text;
}

static void text_unref(struct text *text)
{
    if (text != NULL && atomic_fetch_sub_explicit(&text->refs, 1, memory_order_acq_rel) == 1)
        free(text);
}

/* The same text, packed if that makes it smaller. Takes the reference over. */
static struct text *text_pack(struct text *plain)
{
    uLongf held_bytes = compressBound((uLong)plain->len);
    struct text *text, *fitting;

    if (plain->len < PACK_BYTES_MIN)
        return plain;
    text = text_new(held_bytes);
    if (compress2((Bytef *)text->data, &held_bytes, (const Bytef *)plain->data, (uLong)plain->len,
                  PACK_LEVEL) != Z_OK ||
        held_bytes >= plain->len) {
        text_unref(text);
        return plain;
    }
    fitting = text_of((struct nr_span){text->data, held_bytes});
    fitting->packed = true;
    fitting->len = plain->len;
    text_unref(text);
    text_unref(plain);
    return fitting;
}

static struct nr_span text_read(const struct text *text, struct nr_arena *arena)
{
    uLongf len = (uLongf)text->len;
    char *bytes;

    if (!text->packed)
        return nr_arena_dup(arena, (struct nr_span){text->data, text->len});
    bytes = nr_arena_alloc(arena, text->len + 1);
    /* What we packed ourselves: anything else is a mistake of ours, or memory is broken. */
    nr_assert(uncompress((Bytef *)bytes, &len, (const Bytef *)text->data,
                         (uLong)text->held_bytes) == Z_OK);
    nr_assert(len == text->len);
    bytes[len] = '\0';
    return (struct nr_span){bytes, len};
}

static bool text_same(const struct text *a, const struct text *b)
{
    return a->packed == b->packed && a->len == b->len && a->held_bytes == b->held_bytes &&
           memcmp(a->data, b->data, a->held_bytes) == 0;
}

/* ---- being read ---- */

static char *copied(const char *name)
{
    char *copy = strdup(name);

    nr_assert(copy != NULL);
    return copy;
}

struct nr_original *nr_original_new(void)
{
    struct nr_original *original = calloc(1, sizeof(*original));

    nr_assert(original != NULL);
    atomic_init(&original->refs, 1);
    return original;
}

struct nr_original *nr_original_ref(struct nr_original *original)
{
    atomic_fetch_add_explicit(&original->refs, 1, memory_order_relaxed);
    return original;
}

static void entry_done(struct entry *entry)
{
    free(entry->name);
    text_unref(entry->text);
}

void nr_original_unref(struct nr_original *original)
{
    if (original == NULL ||
        atomic_fetch_sub_explicit(&original->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < original->count; i++)
        entry_done(&original->entries[i]);
    free(original->entries);
    free(original->path);
    free(original);
}

static void add(struct nr_original *original, enum kind kind, const char *name, struct text *text)
{
    nr_assert(!original->packed);
    if (original->count == original->cap) {
        original->cap = original->cap == 0 ? 4 : original->cap * 2;
        original->entries = realloc(original->entries, original->cap * sizeof(struct entry));
        nr_assert(original->entries != NULL);
    }
    original->entries[original->count++] = (struct entry){kind, copied(name), text};
}

void nr_original_add_file(struct nr_original *original, const char *path, struct nr_span bytes)
{
    if (original->path == NULL)
        original->path = copied(path);
    add(original, ENTRY_FILE, path, text_of(bytes));
}

/* One name after the other, each with its NUL. */
void nr_original_add_listing(struct nr_original *original, const char *directory,
                             const struct nr_span *names, uint32_t count)
{
    struct nr_strbuf list = {0};

    for (uint32_t i = 0; i < count; i++) {
        nr_strbuf_add(&list, names[i]);
        nr_strbuf_add(&list, (struct nr_span){"", 1});
    }
    add(original, ENTRY_LISTING, directory, text_of(nr_strbuf_span(&list)));
    nr_strbuf_done(&list);
}

/* With its NUL, and never packed: it is read in place. */
void nr_original_add_variable(struct nr_original *original, const char *name, const char *value)
{
    add(original, ENTRY_VARIABLE, name,
        value == NULL ? NULL : text_of((struct nr_span){value, strlen(value) + 1}));
}

/* ---- packed ---- */

static int by_name(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;

    return a->kind != b->kind ? (a->kind < b->kind ? -1 : 1) : strcmp(a->name, b->name);
}

void nr_original_pack(struct nr_original *original)
{
    uint32_t kept = 0;

    if (original->packed)
        return;
    if (original->count > 1)
        qsort(original->entries, original->count, sizeof(struct entry), by_name);
    for (uint32_t i = 0; i < original->count; i++) {
        struct entry *entry = &original->entries[i];

        if (kept > 0 && by_name(&original->entries[kept - 1], entry) == 0) {
            entry_done(entry);
            continue;
        }
        if (entry->kind != ENTRY_VARIABLE)
            entry->text = text_pack(entry->text);
        original->entries[kept++] = *entry;
    }
    original->count = original->cap = kept;
    if (kept > 0)
        original->entries = realloc(original->entries, kept * sizeof(struct entry));
    nr_assert(kept == 0 || original->entries != NULL);
    original->packed = true;
}

static struct entry *find(const struct nr_original *original, enum kind kind, const char *name)
{
    const struct entry wanted = {kind, (char *)(uintptr_t)name, NULL};

    if (original->packed)
        return original->count == 0 ? NULL
                                    : bsearch(&wanted, original->entries, original->count,
                                              sizeof(struct entry), by_name);
    for (uint32_t i = 0; i < original->count; i++)
        if (by_name(&original->entries[i], &wanted) == 0)
            return &original->entries[i];
    return NULL;
}

void nr_original_share(struct nr_original *original, const struct nr_original *with)
{
    if (original == with || !original->packed || !with->packed)
        return;
    for (uint32_t i = 0; i < original->count; i++) {
        struct entry *ours = &original->entries[i];
        const struct entry *theirs = find(with, ours->kind, ours->name);

        if (theirs == NULL || ours->text == NULL || theirs->text == NULL ||
            ours->text == theirs->text || !text_same(ours->text, theirs->text))
            continue;
        text_unref(ours->text);
        ours->text = theirs->text;
        atomic_fetch_add_explicit(&ours->text->refs, 1, memory_order_relaxed);
    }
}

size_t nr_original_bytes(const struct nr_original *original)
{
    size_t bytes = sizeof(*original) + original->cap * sizeof(struct entry);

    for (uint32_t i = 0; i < original->count; i++) {
        const struct text *text = original->entries[i].text;

        bytes += strlen(original->entries[i].name) + 1;
        if (text != NULL)
            bytes += (sizeof(*text) + text->held_bytes) /
                     atomic_load_explicit(&text->refs, memory_order_relaxed);
    }
    return bytes;
}

/* ---- loading from it ---- */

static enum nr_code read_again(void *arg, const char *path, size_t bytes_max,
                               struct nr_arena *arena, struct nr_span *ret_bytes,
                               struct nr_err *err)
{
    const struct entry *entry = find(arg, ENTRY_FILE, path);

    if (entry == NULL)
        return nr_err_set(err, NR_ENOENT, "it was not read then");
    nr_assert(entry->text->len <= bytes_max);
    *ret_bytes = text_read(entry->text, arena);
    return NR_OK;
}

static enum nr_code list_again(void *arg, const char *directory, struct nr_arena *arena,
                               struct nr_span **ret_names, uint32_t *ret_count, struct nr_err *err)
{
    const struct entry *entry = find(arg, ENTRY_LISTING, directory);
    struct nr_span list;
    uint32_t count = 0;

    if (entry == NULL)
        return nr_err_set(err, NR_ENOENT, "it was not listed then");
    list = text_read(entry->text, arena);
    for (size_t i = 0; i < list.len; i++)
        count += list.ptr[i] == '\0';
    *ret_names = nr_arena_alloc(arena, count * sizeof(struct nr_span));
    *ret_count = count;
    for (uint32_t i = 0; i < count; i++) {
        (*ret_names)[i] = nr_span_of(list.ptr);
        list = nr_span_from(list, (*ret_names)[i].len + 1);
    }
    return NR_OK;
}

static const char *variable_again(void *arg, const char *name)
{
    const struct entry *entry = find(arg, ENTRY_VARIABLE, name);

    return entry == NULL || entry->text == NULL ? NULL : entry->text->data;
}

const char *nr_original_path(const struct nr_original *original)
{
    return original->path;
}

struct nr_config_source nr_original_source(const struct nr_original *original)
{
    return (struct nr_config_source){.arg = (void *)(uintptr_t)original,
                                     .read = read_again,
                                     .list = list_again,
                                     .getenv = variable_again};
}
