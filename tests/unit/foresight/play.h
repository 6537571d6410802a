/* SPDX-License-Identifier: Apache-2.0 */
/* play.h - for tests: a scenario and a configuration as texts, played. What goes wrong is told by
 * PLAY_FAIL, in printf's words; it does not return. Without one it is cmocka's. */
#ifndef NR_TESTS_UNIT_FORESIGHT_PLAY_H
#define NR_TESTS_UNIT_FORESIGHT_PLAY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef PLAY_FAIL
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#define PLAY_FAIL fail_msg
#endif

#include "cli/sections.h"
#include "foresight/included.h"
#include "foresight/simulate.h"

enum { PLAY_SETS_MAX = 8 };

/* What is to be played; sets end with NULL. */
struct play {
    const char *scenario;
    const char *config;
    const char *scenario_sets[PLAY_SETS_MAX];
    const char *config_sets[PLAY_SETS_MAX];
    uint64_t seed; /* 0: the scenario's */
};

struct played {
    struct nr_config *scenario_file;
    struct nr_config *config;
    struct nr_scenario scenario;
    struct nr_report report;
};

static inline struct nr_config *play_load(const struct nr_schema_root *const *roots, uint32_t count,
                                          const char *text, const char *const *sets)
{
    struct nr_config_source source = {.sets = sets};
    struct nr_config *config = NULL;
    struct nr_arena arena;
    struct nr_diags diags;

    while (source.set_count < PLAY_SETS_MAX && sets[source.set_count] != NULL)
        source.set_count++;
    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 0);
    if (nr_config_load_bytes(roots, count, &source, "test", nr_span_of(text), &diags, &config) !=
        NR_OK)
        PLAY_FAIL("%u:%u: %s", diags.items[0].place.line, diags.items[0].place.column,
                  diags.items[0].text);
    nr_arena_done(&arena);
    return config;
}

static inline void play_check(struct played *played)
{
    struct nr_arena arena;
    struct nr_diags diags;

    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 0);
    nr_simulate_check(&played->scenario, played->config, &diags);
    if (diags.errors > 0)
        PLAY_FAIL("%s", diags.items[0].text);
    nr_arena_done(&arena);
}

/* One that comes with the program when `scenario` names one, else a text. */
static inline struct nr_report *play(struct played *played, const struct play *what)
{
    const struct nr_included *included = nr_included_scenario(what->scenario);
    const char *config = what->config;
    struct nr_err err = {0};

    played->scenario_file =
        play_load(nr_scenario_roots, NR_SCENARIO_ROOTS,
                  included != NULL ? included->text : what->scenario, what->scenario_sets);
    played->scenario = nr_scenario_of(played->scenario_file);
    if (included != NULL && config == NULL)
        config = nr_included_file(played->scenario.naru);
    if (what->seed != 0)
        played->scenario.seed = what->seed;
    if (config == NULL)
        PLAY_FAIL("no configuration");
    played->config = play_load(nr_section_roots, NR_SECTION_COUNT, config, what->config_sets);
    play_check(played);
    if (nr_simulate(&played->scenario, played->config, NULL, &played->report, &err) != NR_OK)
        PLAY_FAIL("%s", err.text);
    return &played->report;
}

static inline void play_done(struct played *played)
{
    nr_report_done(&played->report);
    nr_config_unref(played->config);
    nr_config_unref(played->scenario_file);
}

/* ---- what may be asked of a report ---- */

static inline double p_ms(const struct nr_report *report, double q)
{
    return (double)nr_hist_quantile(&report->latency, q) / 1e3;
}

static inline double mean_ms(const struct nr_report *report)
{
    return (double)report->latency.sum / 1e3 / (double)report->latency.count;
}

static inline bool happened(const struct nr_report *report, const char *text)
{
    for (uint32_t i = 0; i < report->event_count; i++)
        if (strstr(report->events[i].text, text) != NULL)
            return true;
    return false;
}

/* `got` within `share` of `want`; says both when it is not. */
#define assert_near(got, want, share)                                                              \
    do {                                                                                           \
        double got_ = (got), want_ = (want);                                                       \
        if (got_ < want_ * (1 - (share)) || got_ > want_ * (1 + (share)))                          \
            fail_msg("%s is %g, expected %g within %g %%", #got, got_, want_, (share)*100);        \
    } while (0)

#endif
