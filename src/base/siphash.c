/* SPDX-License-Identifier: Apache-2.0 */
#include "base/siphash.h"

struct sip {
    uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

/* SipRound: figure 2.1 of the paper. */
static void rounds(struct sip *s, int count)
{
    for (int i = 0; i < count; i++) {
        s->a += s->b;
        s->c += s->d;
        s->b = rotate(s->b, 13) ^ s->a;
        s->d = rotate(s->d, 16) ^ s->c;
        s->a = rotate(s->a, 32);
        s->c += s->b;
        s->a += s->d;
        s->b = rotate(s->b, 17) ^ s->c;
        s->d = rotate(s->d, 21) ^ s->a;
        s->c = rotate(s->c, 32);
    }
}

static uint64_t little_endian(const char *bytes, size_t count)
{
    uint64_t word = 0;

    for (size_t i = 0; i < count; i++)
        word |= (uint64_t)(uint8_t)bytes[i] << (8 * i);
    return word;
}

static void absorb(struct sip *s, uint64_t word)
{
    s->d ^= word;
    rounds(s, 2);
    s->a ^= word;
}

uint64_t nr_siphash(const uint64_t key[2], struct nr_span bytes)
{
    struct sip s = {
        .a = key[0] ^ 0x736f6d6570736575u,
        .b = key[1] ^ 0x646f72616e646f6du,
        .c = key[0] ^ 0x6c7967656e657261u,
        .d = key[1] ^ 0x7465646279746573u,
    };
    size_t whole = bytes.len & ~(size_t)7;

    for (size_t i = 0; i < whole; i += 8)
        absorb(&s, little_endian(bytes.ptr + i, 8));
    absorb(&s, (uint64_t)bytes.len << 56 |
                   (bytes.len > whole ? little_endian(bytes.ptr + whole, bytes.len & 7) : 0));
    s.c ^= 0xff;
    rounds(&s, 4);
    return s.a ^ s.b ^ s.c ^ s.d;
}
