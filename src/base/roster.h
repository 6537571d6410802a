/* SPDX-License-Identifier: Apache-2.0 */
/* roster.h - who has been there: numbers for the names of a service's instances.
 *
 * A record outlives the instances that it tells of. DNS brings new addresses for ever, so a number
 * that only stood for a place would soon name somebody else. An id of a roster stands for one name:
 *
 *      id = place (16 bits) | how many names the place has had before (16 bits)
 *
 * A name keeps its id while somebody holds it (take), and after that until retired_max others
 * have been let go after it; then it is forgotten, its place is given to another, and its id
 * means nothing: a record that is looked at later says less, never something wrong. (An id would
 * come back when its place has had 65,536 names.) Memory is bounded by what is held at one time
 * plus retired_max.
 *
 * take and release are for any thread, and rare: a lock, and a look at every place. Reading is for
 * any thread at any time, waits for nobody, and copies: each place is a sequence lock, see
 * record.c. */
#ifndef NR_BASE_ROSTER_H
#define NR_BASE_ROSTER_H

#include <stdint.h>

#include "naru/span.h"

enum {
    NR_ROSTER_TEXT_BYTES = 128, /* with the NUL; a longer name is known by its beginning */
    NR_ROSTER_CHUNKS = 14,      /* of 4, 8, 16, … places */
    NR_ROSTER_PLACES_MAX = 4 * ((1 << NR_ROSTER_CHUNKS) - 1),
};

struct nr_roster;

struct nr_roster *nr_roster_new(uint32_t retired_max);
struct nr_roster *nr_roster_ref(struct nr_roster *roster);
void nr_roster_unref(struct nr_roster *roster); /* NULL is fine */

/* The id of this name, held once more. NR_ID_NONE when as many names are held as there can be. */
uint32_t nr_roster_take(struct nr_roster *roster, struct nr_span name);
void nr_roster_release(struct nr_roster *roster, uint32_t id); /* NR_ID_NONE is fine */

/* The name, copied to `to`; empty if it is forgotten. */
struct nr_span nr_roster_text(const struct nr_roster *roster, uint32_t id,
                              char to[NR_ROSTER_TEXT_BYTES]);

/* All names that are known: the id at each place below count, or NR_ID_NONE. */
uint32_t nr_roster_count(const struct nr_roster *roster);
uint32_t nr_roster_at(const struct nr_roster *roster, uint32_t place);

/* ---- for those who keep something per name ---- */

static inline uint32_t nr_roster_place(uint32_t id)
{
    return id & 0xffff;
}

/* Chunks never move, so who reads need not be told when there are more. */
static inline uint32_t nr_roster_chunk(uint32_t place)
{
    return 31u - (uint32_t)__builtin_clz(place / 4 + 1);
}

static inline uint32_t nr_roster_chunk_places(uint32_t chunk)
{
    return 4u << chunk;
}

static inline uint32_t nr_roster_chunk_first(uint32_t chunk)
{
    return nr_roster_chunk_places(chunk) - 4;
}

#endif
