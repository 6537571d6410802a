/* SPDX-License-Identifier: Apache-2.0 */
/* timestamp.h - RFC 3339 in UTC with milliseconds, the day and second formatted once each. */
#ifndef NR_OBSERVE_TIMESTAMP_H
#define NR_OBSERVE_TIMESTAMP_H

#include <stdint.h>

#include "naru/span.h"

enum { NR_TIMESTAMP_BYTES = 24 };

/* One per thread; zero-initialised is ready. */
struct nr_timestamp {
    uint64_t second;                   /* the one that text stands for, + 1; 0: none */
    char text[NR_TIMESTAMP_BYTES + 1]; /* "2026-11-21T02:40:17.123Z" */
};

/* Valid until the next call. Years 1970 to 9999. */
struct nr_span nr_timestamp_text(struct nr_timestamp *timestamp, uint64_t wall_ns);

#endif
