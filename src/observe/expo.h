/* SPDX-License-Identifier: Apache-2.0 */
/* expo.h - writes metrics as text: Prometheus 0.0.4, or OpenMetrics 1.0.0 when asked for.
 *
 * They differ in little: OpenMetrics names a counter's family without _total, and ends in # EOF. A
 * family is begun once and its samples follow it. Label values are escaped; names are ours.
 *
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/ and the OpenMetrics
 * specification 1.0.0. */
#ifndef NR_OBSERVE_EXPO_H
#define NR_OBSERVE_EXPO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hist.h"
#include "base/strbuf.h"

struct nr_expo {
    struct nr_strbuf out;
    bool open_metrics;
    const char *name; /* of the family, without _total */
    bool counter;
};

enum nr_expo_type { NR_EXPO_COUNTER, NR_EXPO_GAUGE, NR_EXPO_HISTOGRAM };

struct nr_label {
    const char *name;
    struct nr_span value;
};

/* Begin a family; name without _total. */
void nr_expo_family(struct nr_expo *expo, const char *name, enum nr_expo_type type,
                    const char *help);

/* One sample of the family. */
void nr_expo_u64(struct nr_expo *expo, const struct nr_label *labels, uint32_t count,
                 uint64_t value);
void nr_expo_real(struct nr_expo *expo, const struct nr_label *labels, uint32_t count,
                  double value);

/* Buckets, sum and count, in seconds. The bounds are 0.5 ms to 60 s; a value within 1.6 % of a
 * bound may count on its other side (hist.h). hist may be NULL: then nothing is written. */
void nr_expo_hist(struct nr_expo *expo, const struct nr_label *labels, uint32_t count,
                  const struct nr_hist *hist);

/* Close the text. */
void nr_expo_end(struct nr_expo *expo);

/* Does this Accept field ask for OpenMetrics? Prometheus sends it with a higher q. */
bool nr_expo_wants_open_metrics(struct nr_span accept);

struct nr_span nr_expo_content_type(bool open_metrics);

#endif
