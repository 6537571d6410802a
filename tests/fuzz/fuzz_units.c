/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a number with a unit: what is accepted is written in its shortest form, and that
 * form means exactly the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "config/units.h"
#include "config/value.h"

#define EXPECT(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void numbers(struct nr_span text, struct nr_arena *arena)
{
    uint64_t value, again;
    double ratio, ratio_again;

    (void)nr_units_integer(text, 10, &value);
    if (nr_units_integer(text, 8, &value))
        EXPECT(nr_units_integer(text, 10, &again) ? again >= value : value > UINT32_MAX);
    if (nr_units_duration(text, &value))
        EXPECT(nr_units_duration(nr_units_duration_text(value, arena), &again) && again == value);
    if (nr_units_size(text, &value))
        EXPECT(nr_units_size(nr_units_size_text(value, arena), &again) && again == value);
    if (nr_units_ratio(text, &ratio)) {
        EXPECT(ratio >= 0);
        EXPECT(nr_units_ratio(nr_units_ratio_text(ratio, arena), &ratio_again));
        EXPECT(memcmp(&ratio, &ratio_again, sizeof(ratio)) == 0);
    }
}

static void pairs(struct nr_span text, struct nr_arena *arena)
{
    struct nr_status_range range, range_again;
    struct nr_rate rate, rate_again;

    for (int bytes = 0; bytes < 2; bytes++)
        if (nr_units_rate(text, bytes, &rate)) {
            EXPECT(nr_units_rate(nr_units_rate_text(rate, bytes, arena), bytes, &rate_again));
            EXPECT(rate.count == rate_again.count && rate.per_ns == rate_again.per_ns);
        }
    if (nr_units_status(text, &range)) {
        EXPECT(range.first >= 100 && range.first <= range.last && range.last <= 599);
        EXPECT(nr_units_status(nr_units_status_text(range, arena), &range_again));
        EXPECT(range.first == range_again.first && range.last == range_again.last);
    }
}

static void address(struct nr_span text, struct nr_arena *arena)
{
    struct nr_config_address to, again;

    for (int bind = 0; bind < 2; bind++)
        if (nr_address_parse(text, 80, bind, arena, &to)) {
            EXPECT(nr_address_parse(to.text, 0, bind, arena, &again));
            EXPECT(again.kind == to.kind && again.port == to.port);
            EXPECT(nr_span_eq(again.text, to.text));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size > 0 ? size : 1);
    struct nr_arena arena;

    EXPECT(bytes != NULL);
    if (size > 0)
        memcpy(bytes, data, size);
    nr_arena_init(&arena, NULL, 0);
    numbers((struct nr_span){bytes, size}, &arena);
    pairs((struct nr_span){bytes, size}, &arena);
    address((struct nr_span){bytes, size}, &arena);
    nr_arena_done(&arena);
    free(bytes);
    return 0;
}
