/* SPDX-License-Identifier: Apache-2.0 */
/* Over a real section with everything in it: services. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "config/section.h"
#include "service/service_conf.h"

#define HEAD "services:\n  app:\n    instances: [\"10.0.0.1:80\", {address: \"h:81\", weight: 2"
#define TAIL                                                                                       \
    "}]\n    health: {path: /up, expect: [200, 3xx]}\n    timeouts: {connect: 200ms}\n"            \
    "    retry: {on: [connect, reset]}\n"

static struct nr_config *load(const char *text)
{
    static const struct nr_schema_root *const roots[] = {&nr_services_conf_root};
    struct nr_config *config = NULL;
    struct nr_arena arena;
    struct nr_diags diags;

    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 0);
    if (nr_config_load_bytes(roots, 1, NULL, "x", nr_span_of(text), &diags, &config) != NR_OK)
        fail_msg("%s", diags.items[0].text);
    nr_arena_done(&arena);
    return config;
}

static const struct nr_service_conf *app(const struct nr_config *config)
{
    return &nr_services_conf_of(config)->items[0];
}

static bool equal(const void *a, const void *b)
{
    return nr_section_equal(nr_services_conf_root.field.section, a, b);
}

static void what_means_the_same_is_equal(void **state)
{
    static const struct {
        const char *text;
        bool same;
    } cases[] = {
        {HEAD TAIL, true},
        {"# elsewhere\n\n" HEAD TAIL, true},
        {HEAD TAIL "    balance: p2c\n    own_timeout: 1s\n", false},
        {HEAD ", zone: b" TAIL, false},
        {"services:\n  app:\n    instances: [\"10.0.0.1:80\", {address: \"h:82\", weight: 2" TAIL,
         false},
        {HEAD "}]\n    health: {path: /up, expect: [200, 4xx]}\n    timeouts: {connect: 200ms}\n"
              "    retry: {on: [connect, reset]}\n",
         false},
        {HEAD "}]\n    timeouts: {connect: 200ms}\n    retry: {on: [connect, reset]}\n", false},
        {HEAD "}]\n    health: {path: /up, expect: [200, 3xx]}\n    timeouts: {connect: 0.2s}\n"
              "    retry: {on: [reset, connect]}\n",
         true},
    };
    struct nr_config *first = load(HEAD TAIL);

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_config *other = load(cases[i].text);

        if (equal(app(first), app(other)) != cases[i].same)
            fail_msg("case %zu: %s", i, cases[i].text);
        nr_config_unref(other);
    }
    nr_config_unref(first);
}

static void a_copy_needs_nothing_of_its_original(void **state)
{
    struct nr_config *config = load(HEAD TAIL), *again = load(HEAD TAIL);
    const struct nr_service_conf *copy;
    struct nr_arena arena;

    nr_arena_init(&arena, NULL, 0);
    copy = nr_section_copy(nr_services_conf_root.field.section, app(config), &arena);
    nr_config_unref(config); /* the address sanitizer watches from here on */
    assert_true(equal(copy, app(again)));
    assert_string_equal(copy->name.ptr, "app");
    assert_string_equal(copy->instances[1].address.host.ptr, "h");
    assert_string_equal(copy->health->path.ptr, "/up");
    assert_int_equal(copy->health->expect_count, 2);
    assert_string_equal(copy->timeouts.at.path, "services.app.timeouts");
    nr_arena_done(&arena);
    nr_config_unref(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_means_the_same_is_equal),
        cmocka_unit_test(a_copy_needs_nothing_of_its_original),
    };

    return cmocka_run_group_tests_name("section", tests, NULL, NULL);
}
