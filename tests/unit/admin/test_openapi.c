/* SPDX-License-Identifier: Apache-2.0 */
/* The table of endpoints, and the document that is made from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "admin/call.h"
#include "gateway/pattern.h"

static void test_the_table_is_sound(void **state)
{
    for (uint32_t i = 0; i < nr_admin_endpoint_count; i++) {
        const struct nr_admin_endpoint *endpoint = &nr_admin_endpoints[i];
        struct nr_err err = {0};

        assert_int_equal(nr_pattern_check(nr_span_of(endpoint->path), &err), NR_OK);
        assert_non_null(endpoint->answer);
        assert_true((endpoint->gives == NULL) != (endpoint->gives_type == NULL));
        assert_int_equal(endpoint->body == NR_ADMIN_JSON, endpoint->takes != NULL);
        assert_int_equal(strchr(endpoint->path, '*') != NULL, endpoint->tail != NULL);
        /* What changes something is no GET, and nothing open. */
        assert_int_equal(endpoint->mutates, endpoint->method != NR_METHOD_GET);
        assert_false(endpoint->mutates && endpoint->open);
    }
}

static const struct nr_admin_endpoint *find(enum nr_method method, const char *path,
                                            struct nr_span *params, uint64_t *allowed)
{
    return nr_admin_find(method, nr_span_of(path), params, allowed);
}

static void test_paths_find_their_endpoint(void **state)
{
    static const struct {
        enum nr_method method;
        const char *path;
        const char *id; /* NULL: none */
        const char *first, *second;
        uint64_t allowed;
    } cases[] = {
        {NR_METHOD_GET, "/", "index", NULL, NULL, 0},
        {NR_METHOD_HEAD, "/health", "health", NULL, NULL, 0},
        {NR_METHOD_GET, "/v1/services/a", "getService", "a", NULL, 0},
        {NR_METHOD_GET, "/v1/services/a/instances/1.2.3.4:5", "getInstance", "a", "1.2.3.4:5", 0},
        {NR_METHOD_PATCH, "/v1/services/a/instances/unix:/run/x", "changeInstance", "a",
         "unix:/run/x", 0},
        {NR_METHOD_GET, "/v1/services/a/instances/", NULL, NULL, NULL, 0},
        {NR_METHOD_GET, "/v1/services/a/instances", NULL, NULL, NULL, 0},
        {NR_METHOD_GET, "/v1/services/", NULL, NULL, NULL, 0},
        {NR_METHOD_GET, "/v1/limits//api/*", "getLimit", "/api/*", NULL, 0},
        {NR_METHOD_PATCH, "/v1/limits/per_user", "changeLimit", "per_user", NULL, 0},
        {NR_METHOD_GET, "/v1/routes/explain", "explainRoute", NULL, NULL, 0},
        {NR_METHOD_GET, "/v1/routes//api/*", "getRoute", "/api/*", NULL, 0},
        {NR_METHOD_PATCH, "/v1/routes/explain", NULL, NULL, NULL, 1 << NR_METHOD_GET},
        {NR_METHOD_GET, "/healthy", NULL, NULL, NULL, 0},
        {NR_METHOD_POST, "/health", NULL, NULL, NULL, 1 << NR_METHOD_GET},
        {NR_METHOD_PUT, "/v1/services/a/instances/b", NULL, NULL, NULL,
         1 << NR_METHOD_GET | 1 << NR_METHOD_PATCH},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_span params[NR_ADMIN_PARAMS_MAX] = {{"", 0}, {"", 0}};
        uint64_t allowed;
        const struct nr_admin_endpoint *found =
            find(cases[i].method, cases[i].path, params, &allowed);

        assert_string_equal(found == NULL ? "none" : found->id,
                            cases[i].id == NULL ? "none" : cases[i].id);
        if (found == NULL)
            assert_int_equal(allowed, cases[i].allowed);
        if (cases[i].first != NULL)
            assert_true(nr_span_eq(params[0], nr_span_of(cases[i].first)));
        if (cases[i].second != NULL)
            assert_true(nr_span_eq(params[1], nr_span_of(cases[i].second)));
    }
}

/* The name of an endpoint's path in the document. */
static void path_of(const struct nr_admin_endpoint *endpoint, char *to, size_t room)
{
    size_t len = strlen(endpoint->path) - (endpoint->tail != NULL);

    snprintf(to, room, "%.*s%s%s%s", (int)len, endpoint->path, endpoint->tail != NULL ? "{" : "",
             endpoint->tail != NULL ? endpoint->tail : "", endpoint->tail != NULL ? "}" : "");
}

static void test_the_document_has_each_endpoint_and_no_other(void **state)
{
    struct nr_json *document = nr_admin_openapi("1.2.3");
    const struct nr_json *paths = nr_json_get(document, "paths");
    size_t operations = 0;

    for (uint32_t i = 0; i < nr_admin_endpoint_count; i++) {
        const struct nr_admin_endpoint *endpoint = &nr_admin_endpoints[i];
        const struct nr_json *operation;
        char path[128], method[16] = "";
        struct nr_span name = nr_method_name(endpoint->method);

        path_of(endpoint, path, sizeof(path));
        for (size_t k = 0; k < name.len; k++)
            method[k] = nr_ascii_lower(name.ptr[k]);
        operation = nr_json_get(nr_json_get(paths, path), method);
        assert_non_null(operation);
        assert_true(nr_span_eq(nr_json_text(nr_json_get(operation, "operationId")),
                               nr_span_of(endpoint->id)));
    }
    for (size_t i = 0; i < nr_json_count(paths); i++)
        operations += nr_json_count(nr_json_get(paths, nr_json_name(paths, i).ptr));
    assert_int_equal(operations, nr_admin_endpoint_count);
    assert_true(nr_span_eq(nr_json_text(nr_json_get(nr_json_get(document, "info"), "version")),
                           NR_SPAN("1.2.3")));
    nr_json_free(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_is_sound),
        cmocka_unit_test(test_paths_find_their_endpoint),
        cmocka_unit_test(test_the_document_has_each_endpoint_and_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
