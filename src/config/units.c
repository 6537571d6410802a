/* SPDX-License-Identifier: Apache-2.0 */
#include "config/units.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct unit {
    const char *name;
    uint64_t factor;
};

enum { FRACTION_DIGITS_MAX = 9, NUMBER_BYTES_MAX = 40, RATIO_MAX = 999999 };

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

/* Smallest first: printing takes the last that divides. */
static const struct unit durations[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", NS_PER_MS},
    {"s", NS_PER_S},
    {"m", 60 * NS_PER_S},
    {"h", 3600 * NS_PER_S},
    {"d", 86400 * NS_PER_S},
};

static const struct unit sizes[] = {
    {"B", 1}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"TiB", 1ull << 40},
};

static const struct unit periods[] = {
    {"s", NS_PER_S},
    {"min", 60 * NS_PER_S},
    {"h", 3600 * NS_PER_S},
    {"d", 86400 * NS_PER_S},
};

static const struct unit *find_unit(const struct unit *units, size_t count, struct nr_span name)
{
    for (size_t i = 0; i < count; i++)
        if (nr_span_eq(nr_span_of(units[i].name), name))
            return &units[i];
    return NULL;
}

bool nr_units_integer(struct nr_span text, unsigned base, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';

        if (digit >= base || __builtin_mul_overflow(number, (uint64_t)base, &number) ||
            __builtin_add_overflow(number, (uint64_t)digit, &number))
            return false;
    }
    *ret_number = number;
    return true;
}

/* The length of "12" or "1.5" at the start of text, 0 if there is none. */
static size_t decimal_len(struct nr_span text)
{
    size_t at = 0, whole;

    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
        at++;
    whole = at;
    if (whole == 0 || at == text.len || text.ptr[at] != '.')
        return whole;
    at++;
    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
        at++;
    return at == whole + 1 || at - whole - 1 > FRACTION_DIGITS_MAX ? 0 : at;
}

/* Exact: 1.5 of a unit is whole units plus a fraction that must come out even. */
static bool scale(struct nr_span decimal, uint64_t factor, uint64_t *ret_number)
{
    const char *dot = memchr(decimal.ptr, '.', decimal.len);
    struct nr_span whole = {decimal.ptr, dot == NULL ? decimal.len : (size_t)(dot - decimal.ptr)};
    uint64_t number, fraction = 0, divisor = 1;

    if (!nr_units_integer(whole, 10, &number) || __builtin_mul_overflow(number, factor, &number))
        return false;
    if (dot != NULL) {
        struct nr_span digits = nr_span_from(decimal, whole.len + 1);
        unsigned __int128 part;

        if (!nr_units_integer(digits, 10, &fraction))
            return false;
        for (size_t i = 0; i < digits.len; i++)
            divisor *= 10;
        part = (unsigned __int128)fraction * factor;
        if (part % divisor != 0 ||
            __builtin_add_overflow(number, (uint64_t)(part / divisor), &number))
            return false;
    }
    *ret_number = number;
    return true;
}

static bool with_unit(struct nr_span text, const struct unit *units, size_t count,
                      uint64_t *ret_number)
{
    size_t len = decimal_len(text);
    const struct unit *unit = find_unit(units, count, nr_span_from(text, len));

    return len > 0 && unit != NULL &&
           scale((struct nr_span){text.ptr, len}, unit->factor, ret_number);
}

bool nr_units_duration(struct nr_span text, uint64_t *ret_ns)
{
    return with_unit(text, durations, NR_COUNT(durations), ret_ns);
}

bool nr_units_size(struct nr_span text, uint64_t *ret_bytes)
{
    return nr_units_integer(text, 10, ret_bytes) ||
           with_unit(text, sizes, NR_COUNT(sizes), ret_bytes);
}

bool nr_units_rate(struct nr_span text, bool bytes, struct nr_rate *ret_rate)
{
    const char *slash = text.len == 0 ? NULL : memchr(text.ptr, '/', text.len);
    struct nr_span count, period;
    const struct unit *unit;
    struct nr_rate rate;
    uint64_t times = 1;
    size_t digits = 0;

    if (slash == NULL)
        return false;
    count = (struct nr_span){text.ptr, (size_t)(slash - text.ptr)};
    period = nr_span_from(text, count.len + 1);
    if (!(bytes ? nr_units_size(count, &rate.count) : nr_units_integer(count, 10, &rate.count)) ||
        rate.count == 0)
        return false;
    while (digits < period.len && period.ptr[digits] >= '0' && period.ptr[digits] <= '9')
        digits++;
    if (digits > 0 &&
        (!nr_units_integer((struct nr_span){period.ptr, digits}, 10, &times) || times == 0))
        return false;
    unit = find_unit(periods, NR_COUNT(periods), nr_span_from(period, digits));
    if (unit == NULL || __builtin_mul_overflow(times, unit->factor, &rate.per_ns))
        return false;
    *ret_rate = rate;
    return true;
}

bool nr_units_ratio(struct nr_span text, double *ret_ratio)
{
    size_t len = decimal_len(text);
    char number[NUMBER_BYTES_MAX];
    bool percent = len + 1 == text.len && text.ptr[len] == '%';
    double value;

    if (len == 0 || len >= sizeof(number) || (len != text.len && !percent))
        return false;
    memcpy(number, text.ptr, len);
    number[len] = '\0';
    value = strtod(number, NULL);
    if (value > RATIO_MAX)
        return false;
    *ret_ratio = value / (percent ? 100 : 1);
    return true;
}

bool nr_units_status(struct nr_span text, struct nr_status_range *ret_range)
{
    uint64_t first, last;

    if (text.len == 3 && nr_span_eq(nr_span_from(text, 1), NR_SPAN("xx"))) {
        first = (uint64_t)(unsigned char)text.ptr[0] - '0';
        if (first < 1 || first > 5)
            return false;
        *ret_range =
            (struct nr_status_range){(uint16_t)(first * 100), (uint16_t)(first * 100 + 99)};
        return true;
    }
    if (text.len != 3 && !(text.len == 7 && text.ptr[3] == '-'))
        return false;
    if (!nr_units_integer((struct nr_span){text.ptr, 3}, 10, &first) ||
        !nr_units_integer(nr_span_from(text, text.len - 3), 10, &last) || first < 100 ||
        last > 599 || first > last)
        return false;
    *ret_range = (struct nr_status_range){(uint16_t)first, (uint16_t)last};
    return true;
}

static struct nr_span unit_text(uint64_t number, const struct unit *units, size_t count,
                                struct nr_arena *arena)
{
    const struct unit *best = &units[0];

    for (size_t i = 1; i < count && number > 0; i++)
        if (number % units[i].factor == 0)
            best = &units[i];
    return nr_arena_printf(arena, "%llu%s", (unsigned long long)(number / best->factor),
                           best->name);
}

struct nr_span nr_units_duration_text(uint64_t ns, struct nr_arena *arena)
{
    return ns == 0 ? NR_SPAN("0s") : unit_text(ns, durations, NR_COUNT(durations), arena);
}

struct nr_span nr_units_size_text(uint64_t bytes, struct nr_arena *arena)
{
    return unit_text(bytes, sizes, NR_COUNT(sizes), arena);
}

struct nr_span nr_units_rate_text(struct nr_rate rate, bool bytes, struct nr_arena *arena)
{
    const struct unit *best = &periods[0];
    struct nr_span count = bytes ? nr_units_size_text(rate.count, arena)
                                 : nr_arena_printf(arena, "%llu", (unsigned long long)rate.count);
    unsigned long long times;

    for (size_t i = 1; i < NR_COUNT(periods); i++)
        if (rate.per_ns % periods[i].factor == 0)
            best = &periods[i];
    times = rate.per_ns / best->factor;
    if (times == 1)
        return nr_arena_printf(arena, "%s/%s", count.ptr, best->name);
    return nr_arena_printf(arena, "%s/%llu%s", count.ptr, times, best->name);
}

/* Both notations have at most 15 significant digits (RATIO_MAX), so the one that it was written in
 * brings it back exactly. */
struct nr_span nr_units_ratio_text(double ratio, struct nr_arena *arena)
{
    char text[NUMBER_BYTES_MAX];
    double back;

    for (int plain = 0; plain < 2; plain++)
        for (int digits = 0; digits <= FRACTION_DIGITS_MAX; digits++) {
            int len = snprintf(text, sizeof(text), plain ? "%.*f" : "%.*f%%", digits,
                               plain ? ratio : ratio * 100);
            struct nr_span span = {text, (size_t)len};

            if ((size_t)len < sizeof(text) && nr_units_ratio(span, &back) && back == ratio)
                return nr_arena_dup(arena, span);
        }
    return nr_arena_printf(arena, "%.*f", FRACTION_DIGITS_MAX, ratio); /* it was not parsed */
}

struct nr_span nr_units_status_text(struct nr_status_range range, struct nr_arena *arena)
{
    if (range.first == range.last)
        return nr_arena_printf(arena, "%u", range.first);
    if (range.first % 100 == 0 && range.last == range.first + 99)
        return nr_arena_printf(arena, "%uxx", range.first / 100);
    return nr_arena_printf(arena, "%u-%u", range.first, range.last);
}
