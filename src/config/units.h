/* SPDX-License-Identifier: Apache-2.0 */
/* units.h - numbers with units, both ways. Pure; for config, and for who is given such values
 * by operators elsewhere.
 *
 * Every parser takes the whole text or nothing: no sign, no blanks, no overflow. */
#ifndef NR_CONFIG_UNITS_H
#define NR_CONFIG_UNITS_H

#include "config/schema.h"

/* Digits of the base (8 or 10) only. */
bool nr_units_integer(struct nr_span text, unsigned base, uint64_t *ret_number);

/* 250ms, 1.5s, 10us, 3m, 1h, 30d → ns. The unit must be there. */
bool nr_units_duration(struct nr_span text, uint64_t *ret_ns);

/* 64KiB, 1.5MiB, 2GiB, 1TiB, 512B, or plain bytes. */
bool nr_units_size(struct nr_span text, uint64_t *ret_bytes);

/* COUNT/UNIT or COUNT/NUNIT, unit s, min, h or d (100/15min). With bytes COUNT is a size. */
bool nr_units_rate(struct nr_span text, bool bytes, struct nr_rate *ret_rate);

/* 50% or 0.5; not negative, the number at most 999999. */
bool nr_units_ratio(struct nr_span text, double *ret_ratio);

/* 200, 2xx, 200-399; 100 to 599. */
bool nr_units_status(struct nr_span text, struct nr_status_range *ret_range);

/* And back: the shortest text in these notations that means exactly this. In the arena. */
struct nr_span nr_units_duration_text(uint64_t ns, struct nr_arena *arena);
struct nr_span nr_units_size_text(uint64_t bytes, struct nr_arena *arena);
struct nr_span nr_units_rate_text(struct nr_rate rate, bool bytes, struct nr_arena *arena);
struct nr_span nr_units_ratio_text(double ratio, struct nr_arena *arena);
struct nr_span nr_units_status_text(struct nr_status_range range, struct nr_arena *arena);

#endif
