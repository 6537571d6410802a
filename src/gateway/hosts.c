/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/hosts.h"

#include "base/assert.h"

/* FNV-1a in words of eight bytes, with a final mix: names are short and few. */
static uint64_t hash_of(struct nr_span name)
{
    uint64_t hash = 0xcbf29ce484222325u ^ name.len;

    while (name.len >= 8) {
        uint64_t word;

        memcpy(&word, name.ptr, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
        name = nr_span_from(name, 8);
    }
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.ptr[i]) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

void nr_hosts_init(struct nr_hosts *hosts, struct nr_arena *arena, size_t names)
{
    size_t slots = 4;

    while (slots < names * 2)
        slots *= 2;
    nr_assert(slots <= UINT32_MAX);
    *hosts = (struct nr_hosts){.slots = nr_arena_zalloc(arena, slots * sizeof(struct nr_host)),
                               .mask = (uint32_t)(slots - 1)};
}

/* Its slot, or the free one where it would be. */
static struct nr_host *slot_of(const struct nr_hosts *hosts, struct nr_span name, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & hosts->mask;

    while (hosts->slots[at].name.ptr != NULL &&
           (hosts->slots[at].hash != hash || !nr_span_eq(hosts->slots[at].name, name)))
        at = (at + 1) & hosts->mask;
    return &hosts->slots[at];
}

struct nr_host *nr_hosts_add(struct nr_hosts *hosts, struct nr_span name)
{
    bool wildcard = name.len > 2 && name.ptr[0] == '*' && name.ptr[1] == '.';
    struct nr_host *slot;
    uint64_t hash;

    if (wildcard)
        name = nr_span_from(name, 1);
    hosts->wildcards = hosts->wildcards || wildcard;
    hash = hash_of(name);
    slot = slot_of(hosts, name, hash);
    if (slot->name.ptr == NULL) {
        hosts->count++;
        nr_assert(hosts->count <= hosts->mask / 2 + 1);
        slot->name = name;
        slot->hash = hash;
    }
    return slot;
}

void *nr_hosts_find(const struct nr_hosts *hosts, struct nr_span name)
{
    return slot_of(hosts, name, hash_of(name))->trie;
}

struct nr_span nr_hosts_plain(struct nr_span authority, char to[NR_HOST_BYTES_MAX])
{
    size_t len = 0;

    for (size_t i = 0; i < authority.len; i++) {
        if (authority.ptr[i] == ':' && authority.ptr[0] != '[')
            break;
        if (len == NR_HOST_BYTES_MAX)
            return (struct nr_span){to, 0};
        to[len++] = nr_ascii_lower(authority.ptr[i]);
        if (authority.ptr[i] == ']')
            break;
    }
    if (len > 1 && to[len - 1] == '.')
        len--;
    return (struct nr_span){to, len};
}
