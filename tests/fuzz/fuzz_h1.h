/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_h1.h - what the fuzz targets for HTTP/1.1 share: expectations that abort, exact copies,
 * and the comparison of two heads by what they mean. */
#ifndef NR_TESTS_FUZZ_H1_H
#define NR_TESTS_FUZZ_H1_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/h1.h"

#define EXPECT(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_FIELDS_MAX = 100 };

/* Small, so that a fuzzer reaches them. */
static const struct nr_h1_limits fuzz_limits = {1024, 256, 24, 256};

static inline char *fuzz_copy(const void *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);

    EXPECT(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

struct fuzz_scan {
    enum nr_h1_scan scan;
    uint32_t head_bytes;
    enum nr_h1_reason reason;
};

/* Feed `step` bytes at a time; what the scanner has not been given it cannot read. */
static inline struct fuzz_scan fuzz_scan_pieces(const uint8_t *data, size_t size, size_t step)
{
    struct fuzz_scan got = {NR_H1_SCAN_MORE, 0, NR_H1_OK};
    uint32_t scanned = 0;
    size_t len = 0;

    while (got.scan == NR_H1_SCAN_MORE) {
        char *bytes;

        len = size - len < step ? size : len + step;
        bytes = fuzz_copy(data, len);
        got.scan = nr_h1_scan_head((struct nr_span){bytes, len}, &fuzz_limits, &scanned,
                                   &got.head_bytes, &got.reason);
        free(bytes);
        if (len == size)
            break;
    }
    return got;
}

static inline struct fuzz_scan fuzz_scan_all_ways(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 2, 7, 64};
    struct fuzz_scan whole = fuzz_scan_pieces(data, size, size + 1);

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct fuzz_scan again = fuzz_scan_pieces(data, size, steps[i]);

        EXPECT(again.scan == whole.scan && again.head_bytes == whole.head_bytes &&
               again.reason == whole.reason);
    }
    return whole;
}

static inline bool fuzz_forwarded(const struct nr_field *field)
{
    return nr_field_goes_on(field) && field->id != NR_FIELD_HOST;
}

/* The fields that go on are the same, in the same order; and none could split a message. */
static inline void fuzz_same_fields(const struct nr_head *a, const struct nr_head *b)
{
    uint16_t j = 0;

    for (uint16_t i = 0; i < a->field_count; i++) {
        const struct nr_field *field = &a->fields[i];

        EXPECT(nr_field_name_valid(nr_head_name(a, field)));
        EXPECT(nr_field_value_valid(nr_head_value(a, field)));
        EXPECT(field->id == nr_field_id_of(nr_head_name(a, field)));
        if (!fuzz_forwarded(field))
            continue;
        while (j < b->field_count && !fuzz_forwarded(&b->fields[j]))
            j++;
        EXPECT(j < b->field_count);
        EXPECT(nr_span_eq(nr_head_name(a, field), nr_head_name(b, &b->fields[j])));
        EXPECT(nr_span_eq(nr_head_value(a, field), nr_head_value(b, &b->fields[j])));
        j++;
    }
    while (j < b->field_count)
        EXPECT(!fuzz_forwarded(&b->fields[j++]));
}

static inline bool fuzz_same_text(const struct nr_head *a, struct nr_text x,
                                  const struct nr_head *b, struct nr_text y)
{
    return nr_span_eq(nr_head_text(a, x), nr_head_text(b, y));
}

#endif
