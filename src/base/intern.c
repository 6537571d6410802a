/* SPDX-License-Identifier: Apache-2.0 */
/* intern.c - an array of entries by number, and an open hash table of numbers by name.
 *
 * Names come from configuration files, so a plain FNV-1a does: nobody hostile chooses them. The
 * names that are forgotten are all forgotten at the beginning of a round, so the hash table is made
 * anew once instead of learning to remove. */
#include "base/intern.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { EMPTY = 0, BUCKETS_MIN = 16 }; /* a bucket holds id + 1 */

struct entry {
    char *text; /* NULL: the number is to spare */
    uint32_t len;
    uint32_t hash;
    uint64_t round; /* when it was last asked for */
};

struct nr_intern {
    struct entry *entries;
    uint32_t count, cap;
    uint32_t *buckets;
    uint32_t bucket_count; /* a power of two */
    uint32_t retired_max;
    uint64_t round;
    uint32_t *spare; /* numbers to give away */
    uint32_t spare_count;
    char **old; /* texts forgotten in this round */
    uint32_t old_count;
    char **older; /* … and in the one before */
    uint32_t older_count;
};

static void *zeroed(size_t count, size_t bytes)
{
    void *memory = calloc(count > 0 ? count : 1, bytes);

    nr_assert(memory != NULL);
    return memory;
}

static uint32_t hash_of(struct nr_span name)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.ptr[i]) * 16777619u;
    return hash;
}

struct nr_intern *nr_intern_new(uint32_t retired_max)
{
    struct nr_intern *table = zeroed(1, sizeof(*table));

    table->retired_max = retired_max;
    table->bucket_count = BUCKETS_MIN;
    table->buckets = zeroed(BUCKETS_MIN, sizeof(*table->buckets));
    return table;
}

static void free_texts(char **texts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

void nr_intern_free(struct nr_intern *table)
{
    if (table == NULL)
        return;
    for (uint32_t i = 0; i < table->count; i++)
        free(table->entries[i].text);
    free_texts(table->old, table->old_count);
    free_texts(table->older, table->older_count);
    free(table->entries);
    free(table->buckets);
    free(table->spare);
    free(table);
}

static void put_bucket(struct nr_intern *table, uint32_t id)
{
    uint32_t mask = table->bucket_count - 1, at = table->entries[id].hash & mask;

    while (table->buckets[at] != EMPTY)
        at = (at + 1) & mask;
    table->buckets[at] = id + 1;
}

static void rehash(struct nr_intern *table)
{
    while (table->bucket_count < table->count * 2)
        table->bucket_count *= 2;
    free(table->buckets);
    table->buckets = zeroed(table->bucket_count, sizeof(*table->buckets));
    for (uint32_t id = 0; id < table->count; id++)
        if (table->entries[id].text != NULL)
            put_bucket(table, id);
}

/* ---- rounds ---- */

struct retired {
    uint32_t id;
    uint64_t round;
};

static int latest_first(const void *left, const void *right)
{
    const struct retired *a = left, *b = right;

    if (a->round != b->round)
        return a->round < b->round ? 1 : -1;
    return a->id < b->id ? -1 : 1;
}

/* Forget the names that were retired longest, beyond retired_max. */
static void forget(struct nr_intern *table)
{
    struct retired *retired = zeroed(table->count, sizeof(*retired));
    uint32_t count = 0;

    for (uint32_t id = 0; id < table->count; id++)
        if (table->entries[id].text != NULL && table->entries[id].round + 1 < table->round)
            retired[count++] = (struct retired){id, table->entries[id].round};
    if (count > table->retired_max) {
        qsort(retired, count, sizeof(*retired), latest_first);
        table->old = zeroed(count, sizeof(*table->old));
        table->spare = realloc(table->spare, table->count * sizeof(*table->spare));
        nr_assert(table->spare != NULL);
        for (uint32_t i = table->retired_max; i < count; i++) {
            struct entry *entry = &table->entries[retired[i].id];

            table->old[table->old_count++] = entry->text;
            *entry = (struct entry){0};
            table->spare[table->spare_count++] = retired[i].id;
        }
        rehash(table);
    }
    free(retired);
}

void nr_intern_begin(struct nr_intern *table)
{
    table->round++;
    free_texts(table->older, table->older_count);
    table->older = table->old;
    table->older_count = table->old_count;
    table->old = NULL;
    table->old_count = 0;
    forget(table);
}

/* ---- names ---- */

static bool is(const struct entry *entry, struct nr_span name, uint32_t hash)
{
    return entry->hash == hash && nr_span_eq((struct nr_span){entry->text, entry->len}, name);
}

static uint32_t find(const struct nr_intern *table, struct nr_span name, uint32_t hash)
{
    uint32_t mask = table->bucket_count - 1;

    for (uint32_t at = hash & mask; table->buckets[at] != EMPTY; at = (at + 1) & mask)
        if (is(&table->entries[table->buckets[at] - 1], name, hash))
            return table->buckets[at] - 1;
    return UINT32_MAX;
}

static uint32_t fresh_id(struct nr_intern *table)
{
    if (table->count == table->cap) {
        table->cap = table->cap == 0 ? 16 : table->cap * 2;
        table->entries = realloc(table->entries, table->cap * sizeof(*table->entries));
        nr_assert(table->entries != NULL);
    }
    return table->count++;
}

static uint32_t add(struct nr_intern *table, struct nr_span name, uint32_t hash)
{
    bool spare = table->spare_count > 0;
    uint32_t id = spare ? table->spare[--table->spare_count] : fresh_id(table);
    char *text = malloc(name.len + 1);

    nr_assert(text != NULL);
    if (name.len > 0)
        memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    table->entries[id] = (struct entry){.text = text, .len = (uint32_t)name.len, .hash = hash};
    if (table->count * 2 > table->bucket_count)
        rehash(table);
    else
        put_bucket(table, id);
    return id;
}

uint32_t nr_intern_id(struct nr_intern *table, struct nr_span name)
{
    uint32_t hash = hash_of(name), id = find(table, name, hash);

    if (id == UINT32_MAX)
        id = add(table, name, hash);
    table->entries[id].round = table->round;
    return id;
}

uint32_t nr_intern_count(const struct nr_intern *table)
{
    return table->count;
}

struct nr_span nr_intern_text(const struct nr_intern *table, uint32_t id)
{
    nr_assert(id < table->count);
    return (struct nr_span){table->entries[id].text, table->entries[id].len};
}
