/* SPDX-License-Identifier: Apache-2.0 */
/* date.h - the Date field's text, formatted once a second. */
#ifndef NR_HTTP_DATE_H
#define NR_HTTP_DATE_H

#include <stdint.h>

#include "naru/span.h"

enum { NR_DATE_BYTES = 29 };

/* One per worker; zero-initialised is ready. */
struct nr_date {
    uint64_t second; /* the one that text stands for */
    char text[NR_DATE_BYTES + 1];
};

/* "Sun, 06 Nov 1994 08:49:37 GMT" for that instant; valid until the next call.
 * Source: RFC 9110, 5.6.7 (IMF-fixdate). */
struct nr_span nr_date_text(struct nr_date *date, uint64_t wall_ns);

#endif
