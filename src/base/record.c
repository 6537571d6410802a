/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - a ring of decision records, one writer, any readers.
 *
 * Each slot is a sequence lock. The writer makes the sequence odd, stores the record word by word,
 * and makes it even again; a reader that saw an odd or a changed sequence has read a mixture and
 * tries the slot once more. The words are stored with release and loaded with acquire, so that none
 * of them is seen before the odd sequence, or after the second look at it; on x86 these are plain
 * moves. (Fences would do, too, but ThreadSanitizer does not know them.) The writer never waits.
 *
 * Source: H.-J. Boehm, "Can seqlocks get along with programming language memory models?", 2012. */
#include "base/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum {
    RECORD_WORDS = sizeof(struct nr_record) / sizeof(uint64_t),
    READ_TRIES = 16, /* a writer passes a slot once in `capacity` records: two are enough */
};

struct slot {
    uint64_t sequence; /* odd while being written; 0: never written */
    uint64_t words[RECORD_WORDS];
};

struct nr_record_ring {
    uint32_t mask;
    uint64_t written; /* records ever put; the next goes to slot written & mask */
    struct slot slots[];
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = nr_ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_hex(struct nr_span text, uint64_t ret_id[2])
{
    uint64_t id[2] = {0, 0};

    if (text.len != 32)
        return false;
    for (size_t i = 0; i < 32; i++) {
        int digit = hex_digit(text.ptr[i]);

        if (digit < 0)
            return false;
        id[i / 16] = id[i / 16] << 4 | (uint64_t)digit;
    }
    ret_id[0] = id[0];
    ret_id[1] = id[1];
    return true;
}

/* FNV-1a from two bases, each stirred by the finaliser of MurmurHash3: for finding a record again,
 * not against somebody who wants two texts to collide. */
static uint64_t hash(struct nr_span text, uint64_t basis)
{
    for (size_t i = 0; i < text.len; i++)
        basis = (basis ^ (unsigned char)text.ptr[i]) * 0x100000001b3u;
    basis ^= basis >> 33;
    basis *= 0xff51afd7ed558ccdu;
    basis ^= basis >> 33;
    basis *= 0xc4ceb9fe1a85ec53u;
    return basis ^ basis >> 33;
}

void nr_record_id_of(struct nr_span text, uint64_t ret_id[2])
{
    if (parse_hex(text, ret_id))
        return;
    ret_id[0] = hash(text, 0xcbf29ce484222325u);
    ret_id[1] = hash(text, 0x9ae16a3b2f90404fu);
}

struct nr_record_ring *nr_record_ring_new(uint32_t capacity)
{
    uint32_t size = 1;
    struct nr_record_ring *ring;

    nr_assert(capacity > 0 && capacity <= 1u << 24);
    while (size < capacity)
        size *= 2;
    ring = calloc(1, sizeof(*ring) + size * sizeof(struct slot));
    nr_assert(ring != NULL);
    ring->mask = size - 1;
    return ring;
}

void nr_record_ring_free(struct nr_record_ring *ring)
{
    free(ring);
}

void nr_record_ring_put(struct nr_record_ring *ring, const struct nr_record *record)
{
    struct slot *slot = &ring->slots[ring->written & ring->mask];
    uint64_t sequence = slot->sequence, word;

    __atomic_store_n(&slot->sequence, sequence + 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < RECORD_WORDS; i++) {
        memcpy(&word, (const char *)record + i * sizeof(word), sizeof(word));
        __atomic_store_n(&slot->words[i], word, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&slot->sequence, sequence + 2, __ATOMIC_RELEASE);
    __atomic_store_n(&ring->written, ring->written + 1, __ATOMIC_RELEASE);
}

static bool read_slot(const struct slot *slot, struct nr_record *ret_record)
{
    uint64_t words[RECORD_WORDS];

    for (int tries = 0; tries < READ_TRIES; tries++) {
        uint64_t before = __atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE);

        if (before == 0)
            return false;
        if ((before & 1) != 0)
            continue;
        for (int i = 0; i < RECORD_WORDS; i++)
            words[i] = __atomic_load_n(&slot->words[i], __ATOMIC_ACQUIRE);
        if (__atomic_load_n(&slot->sequence, __ATOMIC_RELAXED) == before) {
            memcpy(ret_record, words, sizeof(words));
            return true;
        }
    }
    return false;
}

bool nr_record_ring_find(const struct nr_record_ring *ring, const uint64_t id[2],
                         struct nr_record *ret_record)
{
    uint64_t written = __atomic_load_n(&ring->written, __ATOMIC_ACQUIRE);
    uint64_t kept = written <= ring->mask ? written : (uint64_t)ring->mask + 1;
    struct nr_record record;

    for (uint64_t i = 1; i <= kept; i++) {
        const struct slot *slot = &ring->slots[(written - i) & ring->mask];

        /* The id stands first: a look at two words spares copying the other thirty. */
        if (__atomic_load_n(&slot->words[0], __ATOMIC_RELAXED) != id[0] ||
            __atomic_load_n(&slot->words[1], __ATOMIC_RELAXED) != id[1])
            continue;
        if (read_slot(slot, &record) && record.id[0] == id[0] && record.id[1] == id[1]) {
            *ret_record = record;
            return true;
        }
    }
    return false;
}

uint32_t nr_record_ring_latest(const struct nr_record_ring *ring, struct nr_record *to,
                               uint32_t max)
{
    uint64_t written = __atomic_load_n(&ring->written, __ATOMIC_ACQUIRE);
    uint64_t kept = written <= ring->mask ? written : (uint64_t)ring->mask + 1;
    uint32_t count = 0;

    for (uint64_t i = 1; i <= kept && count < max; i++)
        if (read_slot(&ring->slots[(written - i) & ring->mask], &to[count]))
            count++;
    return count;
}

_Static_assert(offsetof(struct nr_record, id) == 0, "nr_record_ring_find looks at words 0 and 1");
_Static_assert(sizeof(struct nr_record) % sizeof(uint64_t) == 0, "copied by words");
