/* SPDX-License-Identifier: Apache-2.0 */
/* roster.c - places in chunks that never move; one writer at a time under a lock.
 *
 *      FREE --take--> HELD --last release--> RETIRED --retired_max later--> FREE
 *                      ^-----------take-----------'
 *
 * There are as many places as a service has instances, and they change a few times a minute: to
 * find one by looking at all is quick enough, and there is no table to keep in step. */
#include "base/roster.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/record.h"
#include "base/spinlock.h"

enum { WORDS = NR_ROSTER_TEXT_BYTES / sizeof(uint64_t), READ_TRIES = 16 };

struct place {
    uint64_t sequence; /* odd while being written */
    uint64_t words[WORDS];
    uint32_t id; /* NR_ID_NONE: FREE */
    /* Under the lock. */
    uint32_t hash;
    uint32_t holders;
    uint32_t past; /* names that were here before */
    uint64_t left; /* RETIRED: since when, counting releases */
};

struct nr_roster {
    uint32_t refs;
    uint32_t retired_max;
    struct nr_spinlock lock;
    uint32_t count;   /* places that have been used; atomic */
    uint32_t retired; /* the next two under the lock */
    uint64_t releases;
    struct place *chunks[NR_ROSTER_CHUNKS]; /* atomic; NULL: not made yet */
};

_Static_assert(NR_ROSTER_PLACES_MAX <= 0xffff, "a place has 16 bits, and NR_ID_NONE is no place");

struct nr_roster *nr_roster_new(uint32_t retired_max)
{
    struct nr_roster *roster = calloc(1, sizeof(*roster));

    nr_assert(roster != NULL);
    roster->refs = 1;
    roster->retired_max = retired_max;
    nr_spinlock_init(&roster->lock);
    return roster;
}

struct nr_roster *nr_roster_ref(struct nr_roster *roster)
{
    __atomic_add_fetch(&roster->refs, 1, __ATOMIC_RELAXED);
    return roster;
}

void nr_roster_unref(struct nr_roster *roster)
{
    if (roster == NULL || __atomic_sub_fetch(&roster->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (uint32_t i = 0; i < NR_ROSTER_CHUNKS; i++)
        free(roster->chunks[i]);
    free(roster);
}

/* NULL: its chunk is not made yet. */
static struct place *place_of(const struct nr_roster *roster, uint32_t number)
{
    uint32_t chunk = nr_roster_chunk(number);
    struct place *places;

    if (number >= NR_ROSTER_PLACES_MAX)
        return NULL;
    places = __atomic_load_n(&roster->chunks[chunk], __ATOMIC_ACQUIRE);
    return places != NULL ? &places[number - nr_roster_chunk_first(chunk)] : NULL;
}

/* ---- changing, with the lock held ---- */

struct text {
    char bytes[NR_ROSTER_TEXT_BYTES];
    uint32_t hash;
};

static struct text text_of(struct nr_span name)
{
    struct text text = {.hash = 2166136261u};
    size_t len = name.len < NR_ROSTER_TEXT_BYTES - 1 ? name.len : NR_ROSTER_TEXT_BYTES - 1;

    for (size_t i = 0; i < len; i++) {
        text.bytes[i] = name.ptr[i];
        text.hash = (text.hash ^ (unsigned char)name.ptr[i]) * 16777619u;
    }
    return text;
}

static void write_place(struct place *place, uint32_t id, const char bytes[NR_ROSTER_TEXT_BYTES])
{
    uint64_t sequence = place->sequence, word;

    __atomic_store_n(&place->sequence, sequence + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&place->id, id, __ATOMIC_RELEASE);
    for (size_t i = 0; i < WORDS; i++) {
        memcpy(&word, bytes + i * sizeof(word), sizeof(word));
        __atomic_store_n(&place->words[i], word, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&place->sequence, sequence + 2, __ATOMIC_RELEASE);
}

static struct place *find(const struct nr_roster *roster, const struct text *text)
{
    for (uint32_t i = 0; i < roster->count; i++) {
        struct place *place = place_of(roster, i);

        if (place->id != NR_ID_NONE && place->hash == text->hash &&
            memcmp(place->words, text->bytes, sizeof(text->bytes)) == 0)
            return place;
    }
    return NULL;
}

/* The number of a place that is free, used or not; its chunk may not be made yet. */
static uint32_t find_free(const struct nr_roster *roster)
{
    uint32_t number = 0;

    while (number < roster->count && place_of(roster, number)->id != NR_ID_NONE)
        number++;
    return number;
}

static struct place *move_in(struct nr_roster *roster, uint32_t number, const struct text *text)
{
    struct place *place = place_of(roster, number);

    place->hash = text->hash;
    place->holders = 0;
    write_place(place, number | place->past << 16, text->bytes);
    if (number == roster->count)
        __atomic_store_n(&roster->count, number + 1, __ATOMIC_RELEASE);
    return place;
}

static uint32_t hold(struct nr_roster *roster, struct place *place)
{
    roster->retired -= place->holders == 0 && place->left != 0;
    place->left = 0;
    place->holders++;
    return place->id;
}

static void forget_oldest(struct nr_roster *roster)
{
    static const char nothing[NR_ROSTER_TEXT_BYTES];
    struct place *oldest = place_of(roster, 0);

    for (uint32_t i = 1; i < roster->count; i++) {
        struct place *place = place_of(roster, i);

        if (place->left != 0 && (oldest->left == 0 || place->left < oldest->left))
            oldest = place;
    }
    nr_assert(oldest->left != 0);
    oldest->left = 0;
    oldest->past = (oldest->past + 1) & 0xffff;
    write_place(oldest, NR_ID_NONE, nothing);
    roster->retired--;
}

/* ---- for callers ---- */

/* With the lock held, and let go of meanwhile: memory is not asked for under a spinning lock. */
static void make_chunk(struct nr_roster *roster, uint32_t chunk)
{
    struct place *places;

    nr_spinlock_unlock(&roster->lock);
    places = calloc(nr_roster_chunk_places(chunk), sizeof(*places));
    nr_assert(places != NULL);
    for (uint32_t i = 0; i < nr_roster_chunk_places(chunk); i++)
        places[i].id = NR_ID_NONE;
    nr_spinlock_lock(&roster->lock);
    if (roster->chunks[chunk] == NULL) {
        __atomic_store_n(&roster->chunks[chunk], places, __ATOMIC_RELEASE);
        places = NULL;
    }
    free(places); /* another thread was quicker */
}

uint32_t nr_roster_take(struct nr_roster *roster, struct nr_span name)
{
    struct text text = text_of(name);
    uint32_t id = NR_ID_NONE, number;
    struct place *place;

    nr_spinlock_lock(&roster->lock);
    for (;;) {
        place = find(roster, &text);
        number = place == NULL ? find_free(roster) : 0;
        if (place != NULL || number >= NR_ROSTER_PLACES_MAX || place_of(roster, number) != NULL)
            break;
        make_chunk(roster, nr_roster_chunk(number));
    }
    if (place == NULL && number < NR_ROSTER_PLACES_MAX)
        place = move_in(roster, number, &text);
    if (place != NULL)
        id = hold(roster, place);
    nr_spinlock_unlock(&roster->lock);
    return id;
}

void nr_roster_release(struct nr_roster *roster, uint32_t id)
{
    struct place *place;

    if (id == NR_ID_NONE)
        return;
    nr_spinlock_lock(&roster->lock);
    place = place_of(roster, nr_roster_place(id));
    nr_assert(place != NULL && place->id == id && place->holders > 0);
    if (--place->holders == 0) {
        place->left = ++roster->releases;
        if (++roster->retired > roster->retired_max)
            forget_oldest(roster);
    }
    nr_spinlock_unlock(&roster->lock);
}

struct nr_span nr_roster_text(const struct nr_roster *roster, uint32_t id,
                              char to[NR_ROSTER_TEXT_BYTES])
{
    const struct place *place = place_of(roster, nr_roster_place(id));
    uint64_t before, word;
    uint32_t found;

    for (int tries = 0; place != NULL && tries < READ_TRIES; tries++) {
        size_t i = 0;

        before = __atomic_load_n(&place->sequence, __ATOMIC_ACQUIRE);
        found = __atomic_load_n(&place->id, __ATOMIC_ACQUIRE);
        do {
            word = __atomic_load_n(&place->words[i], __ATOMIC_ACQUIRE);
            memcpy(to + i * sizeof(word), &word, sizeof(word));
        } while (memchr(to + i * sizeof(word), '\0', sizeof(word)) == NULL && ++i < WORDS);
        if ((before & 1) != 0 || __atomic_load_n(&place->sequence, __ATOMIC_RELAXED) != before)
            continue;
        if (found != id)
            break;
        return (struct nr_span){to, strlen(to)}; /* the last byte is never written */
    }
    return NR_SPAN("");
}

uint32_t nr_roster_count(const struct nr_roster *roster)
{
    return __atomic_load_n(&roster->count, __ATOMIC_ACQUIRE);
}

uint32_t nr_roster_at(const struct nr_roster *roster, uint32_t number)
{
    const struct place *place = place_of(roster, number);

    return place != NULL ? __atomic_load_n(&place->id, __ATOMIC_ACQUIRE) : (uint32_t)NR_ID_NONE;
}
