/* SPDX-License-Identifier: Apache-2.0 */
/* explain_route.c - `naru explain --route`: a request on paper, for a person or a program. */
#include <stdlib.h>

#include "cli/explain.h"
#include "cli/load.h"
#include "gateway/explain.h"

static const char *text_of(const struct nr_json *json, const char *name)
{
    return nr_json_text(nr_json_get(json, name)).ptr; /* NUL-terminated, as all of the library's */
}

static long long number_of(const struct nr_json *json, const char *name)
{
    return (long long)nr_json_integer_value(nr_json_get(json, name));
}

static bool found(const struct nr_json *json)
{
    return strcmp(text_of(json, "verdict"), "route") == 0;
}

static void print_verdict(const struct nr_json *json)
{
    if (found(json))
        printf("route '%s' (%s:%lld): %s\n", text_of(json, "route"), text_of(json, "file"),
               number_of(json, "line"), text_of(json, "answer"));
    else if (nr_json_get(json, "allow") != NULL)
        printf("no route for this method: 405, Allow: %s\n", text_of(json, "allow"));
    else
        printf("no route: 404\n");
}

static void print_text(const struct nr_json *json)
{
    const struct nr_json *candidates = nr_json_get(json, "candidates");
    bool heading = false;

    print_verdict(json);
    for (size_t i = 0; i < nr_json_count(candidates); i++) {
        const struct nr_json *candidate = nr_json_at(candidates, i);

        if (strcmp(text_of(candidate, "outcome"), "won") == 0)
            continue;
        if (!heading)
            printf("runners-up, in the order in which they are asked:\n");
        heading = true;
        printf("  '%s' (line %lld): %s\n", text_of(candidate, "route"),
               number_of(candidate, "line"), text_of(candidate, "why"));
    }
    if (nr_json_get(json, "more") != NULL)
        printf("  and %lld more\n", number_of(json, "more"));
}

static void print_json(const struct nr_json *json)
{
    char *out = nr_json_dump(json, 2);

    puts(out);
    free(out);
}

static int explain(const struct nr_args *args, const struct nr_routes *routes)
{
    struct nr_span fields[NR_MANY_MAX];
    struct nr_json *json = NULL;
    struct nr_err err = {0};
    int code;

    for (uint32_t i = 0; i < args->many_count; i++)
        fields[i] = nr_span_of(args->many[i]);
    if (nr_routes_explain(routes, args->values[NR_EXPLAIN_ROUTE], fields, args->many_count, &json,
                          &err) != NR_OK) {
        fprintf(stderr, "naru explain: %s; 'naru help explain' explains the command\n", err.text);
        return NR_EXIT_USAGE;
    }
    if (args->values[NR_EXPLAIN_JSON] != NULL)
        print_json(json);
    else
        print_text(json);
    code = found(json) ? NR_EXIT_OK : NR_EXIT_FAILURE;
    nr_json_free(json);
    return code;
}

int nr_explain_route(const struct nr_args *args)
{
    struct nr_config *config = NULL;
    struct nr_routes *routes;
    int code = nr_cli_load(args->values[NR_EXPLAIN_CONFIG], &config);

    if (code != NR_EXIT_OK)
        return code;
    routes = nr_routes_new(config);
    code = explain(args, routes);
    nr_routes_free(routes);
    nr_config_unref(config);
    return code;
}
