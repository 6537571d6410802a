/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator is told of a change before and after it is made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "admin/admin_conf.h"
#include "admin/config_diff.h"
#include "gateway/gateway_conf.h"
#include "service/service_conf.h"

static const struct nr_schema_root *const roots[] = {&nr_gateway_conf_root, &nr_callers_conf_root,
                                                     &nr_services_conf_root, &nr_dns_conf_root,
                                                     &nr_admin_conf_root};

static struct nr_config *load(const char *text)
{
    struct nr_config *config = NULL;
    struct nr_arena arena;
    struct nr_diags diags;

    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 0);
    assert_int_equal(
        nr_config_load_bytes(roots, NR_COUNT(roots), NULL, "n", nr_span_of(text), &diags, &config),
        NR_OK);
    nr_arena_done(&arena);
    return config;
}

static char *diff(const char *before, const char *after)
{
    struct nr_config *a = load(before), *b = load(after);
    struct nr_json *json = nr_admin_config_diff(a, b);
    char *text = nr_json_dump(json, 0);

    nr_json_free(json);
    nr_config_unref(a);
    nr_config_unref(b);
    return text;
}

#define NONE "{\"added\":[],\"changed\":[],\"removed\":[]}"

static void test_what_came_went_and_is_different(void **state)
{
    static const struct {
        const char *before, *after, *diff;
    } cases[] = {
        {"", "",
         "{\"services\":" NONE ",\"routes\":" NONE ",\"listeners\":" NONE ",\"sections\":[]}"},
        /* Order alone is a change of the section, and of no name. */
        {"services: {a: {instances: ['x:1']}, b: {instances: ['x:1']}}",
         "services: {b: {instances: ['x:1']}, a: {instances: ['x:1']}}",
         "{\"services\":" NONE ",\"routes\":" NONE ",\"listeners\":" NONE
         ",\"sections\":[\"services\"]}"},
        {"services: {a: {instances: ['x:1']}, b: {instances: ['x:1']}, c: {instances: ['x:1']}}",
         "services: {aa: {instances: ['x:1']}, b: {instances: ['x:2']}, c: {instances: ['x:1']}}",
         "{\"services\":{\"added\":[\"aa\"],\"changed\":[\"b\"],\"removed\":[\"a\"]},"
         "\"routes\":" NONE ",\"listeners\":" NONE ",\"sections\":[\"services\"]}"},
        /* Two routes of one name: the first meets the first. */
        {"gateway: {listen: [':1'], routes: [{name: r, match: /a, respond: 200},"
         " {name: r, match: /b, respond: 200}]}",
         "gateway: {listen: [':2'], routes: [{name: r, match: /a, respond: 200},"
         " {name: r, match: /b, respond: 204}, {name: r, match: /c, respond: 200}]}",
         "{\"services\":" NONE ",\"routes\":{\"added\":[\"r\"],\"changed\":[\"r\"],\"removed\":[]},"
         "\"listeners\":{\"added\":[\":2\"],\"changed\":[],\"removed\":[\":1\"]},"
         "\"sections\":[\"gateway\"]}"},
        {"dns: {servers: ['127.0.0.1']}", "admin: {listen: none}",
         "{\"services\":" NONE ",\"routes\":" NONE ",\"listeners\":" NONE
         ",\"sections\":[\"dns\",\"admin\"]}"},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        char *text = diff(cases[i].before, cases[i].after);

        assert_string_equal(text, cases[i].diff);
        free(text);
    }
}

/* A list of five thousand names is for nobody to read. */
static void test_long_lists_are_cut_and_counted(void **state)
{
    struct nr_strbuf text = {0};
    struct nr_config *before = load("gateway: {listen: [':1'], routes: []}"), *after;
    const struct nr_json *routes;
    struct nr_json *json;

    NR_STRBUF_LIT(&text, "gateway:\n  listen: [':1']\n  routes:\n");
    for (int i = 0; i < 5000; i++)
        nr_strbuf_printf(&text, "  - {match: /r%d, respond: 200}\n", i);
    after = load(text.ptr);
    json = nr_admin_config_diff(before, after);
    routes = nr_json_get(json, "routes");
    assert_int_equal(nr_json_count(nr_json_get(routes, "added")), 1000);
    assert_int_equal(nr_json_integer_value(nr_json_get(routes, "more")), 4000);
    nr_json_free(json);
    nr_config_unref(before);
    nr_config_unref(after);
    nr_strbuf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_came_went_and_is_different),
        cmocka_unit_test(test_long_lists_are_cut_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
