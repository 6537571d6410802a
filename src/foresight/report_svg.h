/* SPDX-License-Identifier: Apache-2.0 */
/* report_svg.h - one curve after the other over the seconds of a report, as inline SVG. Internal to
 * report_*.c. Colours are CSS classes of the page. */
#ifndef NR_FORESIGHT_REPORT_SVG_H
#define NR_FORESIGHT_REPORT_SVG_H

#include "foresight/report.h"

typedef double (*nr_svg_value_fn)(const struct nr_report *report, uint32_t instance,
                                  uint32_t second);

struct nr_svg_series {
    const char *name;
    const char *class;
    bool area; /* filled */
    nr_svg_value_fn value;
};

struct nr_svg_chart {
    const char *unit;
    bool log;               /* a logarithmic axis; zeros are left out */
    double mark;            /* a level to be shown (a capacity); 0: none */
    uint32_t instance;      /* handed to value */
    uint32_t width, height; /* of the picture; the page scales it */
    const struct nr_svg_series *series;
    uint32_t count;
};

void nr_svg_chart(const struct nr_report *report, const struct nr_svg_chart *chart,
                  struct nr_strbuf *to);

#endif
