/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/expo.h"

#include "base/compiler.h"

void nr_expo_family(struct nr_expo *expo, const char *name, enum nr_expo_type type,
                    const char *help)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const char *suffix = type == NR_EXPO_COUNTER && !expo->open_metrics ? "_total" : "";

    expo->name = name;
    expo->counter = type == NR_EXPO_COUNTER;
    nr_strbuf_printf(&expo->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help, name,
                     suffix, types[type]);
}

/* Backslash, quote and line feed are all that needs an escape. */
static void put_value(struct nr_strbuf *out, struct nr_span value)
{
    size_t from = 0;

    if (value.len == 0)
        return; /* it may be nowhere */
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if (c != '\\' && c != '"' && c != '\n')
            continue;
        nr_strbuf_add(out, (struct nr_span){value.ptr + from, i - from});
        nr_strbuf_printf(out, "\\%c", c == '\n' ? 'n' : c);
        from = i + 1;
    }
    nr_strbuf_add(out, (struct nr_span){value.ptr + from, value.len - from});
}

static void put_name(struct nr_expo *expo, const char *suffix, const struct nr_label *labels,
                     uint32_t count, const char *bound)
{
    struct nr_strbuf *out = &expo->out;

    nr_strbuf_printf(out, "%s%s", expo->name, suffix);
    if (count == 0 && bound == NULL) {
        NR_STRBUF_LIT(out, " ");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        nr_strbuf_printf(out, "%c%s=\"", i == 0 ? '{' : ',', labels[i].name);
        put_value(out, labels[i].value);
        NR_STRBUF_LIT(out, "\"");
    }
    if (bound != NULL)
        nr_strbuf_printf(out, "%cle=\"%s\"", count == 0 ? '{' : ',', bound);
    NR_STRBUF_LIT(out, "} ");
}

void nr_expo_u64(struct nr_expo *expo, const struct nr_label *labels, uint32_t count,
                 uint64_t value)
{
    put_name(expo, expo->counter ? "_total" : "", labels, count, NULL);
    nr_strbuf_add_u64(&expo->out, value);
    NR_STRBUF_LIT(&expo->out, "\n");
}

void nr_expo_real(struct nr_expo *expo, const struct nr_label *labels, uint32_t count, double value)
{
    put_name(expo, expo->counter ? "_total" : "", labels, count, NULL);
    nr_strbuf_printf(&expo->out, "%.17g\n", value);
}

/* OpenMetrics wants a bound to look like a float ("1.0"), and Prometheus does not mind. */
static const struct {
    uint64_t us;
    const char *text;
} bounds[] = {
    {500, "0.0005"},  {1000, "0.001"},    {2500, "0.0025"},   {5000, "0.005"},
    {10000, "0.01"},  {25000, "0.025"},   {50000, "0.05"},    {100000, "0.1"},
    {250000, "0.25"}, {500000, "0.5"},    {1000000, "1.0"},   {2500000, "2.5"},
    {5000000, "5.0"}, {10000000, "10.0"}, {30000000, "30.0"}, {60000000, "60.0"},
};

void nr_expo_hist(struct nr_expo *expo, const struct nr_label *labels, uint32_t count,
                  const struct nr_hist *hist)
{
    if (hist == NULL || hist->count == 0)
        return;
    for (size_t i = 0; i < NR_COUNT(bounds); i++) {
        put_name(expo, "_bucket", labels, count, bounds[i].text);
        nr_strbuf_add_u64(&expo->out, nr_hist_count_below(hist, bounds[i].us + 1));
        NR_STRBUF_LIT(&expo->out, "\n");
    }
    put_name(expo, "_bucket", labels, count, "+Inf");
    nr_strbuf_printf(&expo->out, "%llu\n", (unsigned long long)hist->count);
    put_name(expo, "_sum", labels, count, NULL);
    nr_strbuf_printf(&expo->out, "%.9g\n", (double)hist->sum / 1e6);
    put_name(expo, "_count", labels, count, NULL);
    nr_strbuf_printf(&expo->out, "%llu\n", (unsigned long long)hist->count);
}

void nr_expo_end(struct nr_expo *expo)
{
    if (expo->open_metrics)
        NR_STRBUF_LIT(&expo->out, "# EOF\n");
}

bool nr_expo_wants_open_metrics(struct nr_span accept)
{
    const struct nr_span type = NR_SPAN("application/openmetrics-text");

    for (; accept.len >= type.len; accept = nr_span_from(accept, 1))
        if (nr_span_eq_nocase((struct nr_span){accept.ptr, type.len}, type))
            return true;
    return false;
}

struct nr_span nr_expo_content_type(bool open_metrics)
{
    return open_metrics ? NR_SPAN("application/openmetrics-text; version=1.0.0; charset=utf-8")
                        : NR_SPAN("text/plain; version=0.0.4; charset=utf-8");
}
