/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a chunked body with trailers: whole and cut in any way must tell the same. The first
 * eight bytes seed the cuts. A body that was accepted, written again with other chunks, says the
 * same. */
#include "base/random.h"
#include "fuzz_h1.h"

struct told {
    enum nr_h1_step step; /* the last one; MORE if it never ended */
    enum nr_h1_reason reason;
    size_t used;
    size_t content_bytes;
    char *content;
};

/* Cut by random, or not at all without one. */
static struct told tell(const uint8_t *data, size_t size, struct nr_random *random)
{
    struct told told = {.step = NR_H1_STEP_MORE, .content = malloc(size + 1)};
    struct nr_h1_body body;

    EXPECT(told.content != NULL);
    nr_h1_body_init(&body, NR_BODY_CHUNKED);
    while (told.step == NR_H1_STEP_MORE && told.used < size) {
        size_t there = size - told.used;
        size_t len = random == NULL ? there : 1 + nr_random_below(random, there < 9 ? there : 9);
        char *bytes = fuzz_copy(data + told.used, len);
        struct nr_span content = {0};
        size_t used = SIZE_MAX;

        told.step =
            nr_h1_body_step(&body, (struct nr_span){bytes, len}, &fuzz_limits, &used, &content);
        EXPECT(used <= len);
        if (told.step == NR_H1_STEP_MORE)
            EXPECT(used == len);
        if (told.step == NR_H1_STEP_CONTENT) {
            EXPECT(content.len > 0 && content.ptr >= bytes &&
                   content.ptr + content.len == bytes + used);
            memcpy(told.content + told.content_bytes, content.ptr, content.len);
            told.content_bytes += content.len;
            told.step = NR_H1_STEP_MORE;
        }
        told.used += used;
        free(bytes);
    }
    told.reason = body.reason;
    EXPECT((told.step == NR_H1_STEP_BAD) == (told.reason != NR_H1_OK));
    EXPECT(!nr_h1_body_ended(&body));
    return told;
}

static void same(const struct told *a, const struct told *b)
{
    EXPECT(a->step == b->step && a->reason == b->reason && a->used == b->used);
    EXPECT(a->content_bytes == b->content_bytes);
    EXPECT(memcmp(a->content, b->content, a->content_bytes) == 0);
}

static void rewrite(const struct told *told, struct nr_random *random)
{
    char *bytes = malloc(told->content_bytes * (NR_H1_CHUNK_LINE_BYTES + 3) + 8);
    size_t len = 0;
    struct told again;

    EXPECT(bytes != NULL);
    for (size_t at = 0; at < told->content_bytes;) {
        size_t chunk = 1 + nr_random_below(random, told->content_bytes - at);

        len += nr_h1_write_chunk_line(bytes + len, chunk);
        memcpy(bytes + len, told->content + at, chunk);
        memcpy(bytes + len + chunk, "\r\n", 2);
        len += chunk + 2;
        at += chunk;
    }
    len += nr_h1_write_chunk_line(bytes + len, 0);
    again = tell((const uint8_t *)bytes, len, NULL);
    EXPECT(again.step == NR_H1_STEP_MORE || again.step == NR_H1_STEP_TRAILERS);
    EXPECT(again.used == len && again.content_bytes == told->content_bytes);
    EXPECT(memcmp(again.content, told->content, told->content_bytes) == 0);
    free(again.content);
    free(bytes);
}

static void trailers(const uint8_t *data, size_t size)
{
    struct nr_field fields[FUZZ_FIELDS_MAX];
    struct nr_head head;
    uint32_t scanned = 0, bytes_used = 0, again = 0;
    enum nr_h1_reason reason;
    char *bytes = fuzz_copy(data, size);
    enum nr_h1_scan whole, pieces = NR_H1_SCAN_MORE;

    whole = nr_h1_scan_trailers((struct nr_span){bytes, size}, &fuzz_limits, &scanned, &bytes_used,
                                &reason);
    scanned = 0;
    for (size_t len = 0; len <= size && pieces == NR_H1_SCAN_MORE; len++)
        pieces = nr_h1_scan_trailers((struct nr_span){bytes, len}, &fuzz_limits, &scanned, &again,
                                     &reason);
    EXPECT(whole == pieces && bytes_used == again);
    if (whole != NR_H1_SCAN_DONE)
        bytes_used = (uint32_t)size;
    free(bytes);
    bytes = fuzz_copy(data, bytes_used);
    if (nr_h1_parse_trailers(bytes, bytes_used, &fuzz_limits, fields, FUZZ_FIELDS_MAX, &head) ==
        NR_H1_OK) {
        EXPECT(whole == NR_H1_SCAN_DONE);
        fuzz_same_fields(&head, &head);
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_random random;
    struct told whole, cut;
    uint64_t seed;

    if (size < sizeof(seed))
        return 0;
    memcpy(&seed, data, sizeof(seed));
    nr_random_init(&random, seed);
    data += sizeof(seed);
    size -= sizeof(seed);
    whole = tell(data, size, NULL);
    for (int i = 0; i < 4; i++) {
        cut = tell(data, size, &random);
        /* The last framing byte ends a piece: only the next step says TRAILERS. */
        if (whole.used == size && whole.step != NR_H1_STEP_BAD)
            whole.step = cut.step = NR_H1_STEP_MORE;
        same(&whole, &cut);
        free(cut.content);
    }
    if (whole.step == NR_H1_STEP_TRAILERS || whole.step == NR_H1_STEP_MORE)
        rewrite(&whole, &random);
    trailers(data + whole.used, size - whole.used);
    free(whole.content);
    return 0;
}
