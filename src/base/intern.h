/* SPDX-License-Identifier: Apache-2.0 */
/* intern.h - names to small stable numbers, for records and metrics.
 *
 * A name keeps its number from one configuration to the next, so that counters go on and old
 * records stay readable. A name that no configuration mentions any more is retired; it keeps its
 * number, too, until there are more than retired_max such names: then those that have been away
 * longest are forgotten, and their numbers go to new names. So the table is bounded by what is
 * configured plus retired_max.
 *
 * nr_intern_begin comes before the names of each configuration. A text lives until the
 * second begin after it was forgotten (the first is the one that
 * forgets it): readers have one whole round to let go of it.
 * Not thread-safe; what _text returned may be read by any thread for that long. */
#ifndef NR_BASE_INTERN_H
#define NR_BASE_INTERN_H

#include <stdint.h>

#include "naru/span.h"

struct nr_intern;

struct nr_intern *nr_intern_new(uint32_t retired_max);
void nr_intern_free(struct nr_intern *table); /* NULL is fine */

void nr_intern_begin(struct nr_intern *table);

/* The number of this name; a new one is added. */
uint32_t nr_intern_id(struct nr_intern *table, struct nr_span name);

/* One more than the greatest number given so far. */
uint32_t nr_intern_count(const struct nr_intern *table);

/* The pointer is the same as long as the number means the same name. Empty for a number to spare.
 */
struct nr_span nr_intern_text(const struct nr_intern *table, uint32_t id);

#endif
