/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c - `naru explain`: asks the naru that runs for its records and puts them into words
 * (src/foresight). Where it runs: --admin, else the configuration, else where `naru serve --to` has
 * its admin listener. */
#include "cli/explain.h"

#include <stdlib.h>

#include "admin/admin_conf.h"
#include "admin/token.h"
#include "base/json.h"
#include "base/strbuf.h"
#include "cli/fetch.h"
#include "cli/load.h"
#include "config/units.h"
#include "foresight/explain.h"
#include "io/process.h"

enum { ADDRESS_BYTES = 256 };

#define ADMIN_DEFAULT "127.0.0.1:9900"

static const char *value(const struct nr_args *args, enum nr_explain_option option)
{
    return args->values[option];
}

static int usage(const char *what)
{
    fprintf(stderr, "naru explain: %s; 'naru help explain' explains the command\n", what);
    return NR_EXIT_USAGE;
}

/* ---- where and with what ---- */

/* Whom to ask, and with what. */
struct door {
    char address[ADDRESS_BYTES];
    struct nr_admin_token token; /* len 0: none */
};

static int enter_by(const struct nr_config *config, struct door *door)
{
    const struct nr_admin_conf *admin = nr_admin_conf_of(config);
    struct nr_err err = {0};

    if (admin->listen.kind == NR_CONFIG_ADDRESS_NONE) {
        fputs("naru explain: the configuration has no admin listener (admin.listen: none), so "
              "nobody can be asked\n",
              stderr);
        return NR_EXIT_ADMIN;
    }
    snprintf(door->address, sizeof(door->address), "%s", admin->listen.text.ptr);
    if (nr_admin_token_load(admin, &door->token, &err) == NR_OK)
        return NR_EXIT_OK;
    fprintf(stderr, "naru explain: %s\n", err.text);
    return NR_EXIT_CONFIG;
}

/* The default file need not be there: naru may run without one. */
static int find_door(const struct nr_args *args, struct door *door)
{
    const char *path = value(args, NR_EXPLAIN_CONFIG);
    struct nr_config *config = NULL;
    int code;

    if (value(args, NR_EXPLAIN_ADMIN) != NULL) {
        snprintf(door->address, sizeof(door->address), "%s", value(args, NR_EXPLAIN_ADMIN));
        return NR_EXIT_OK;
    }
    snprintf(door->address, sizeof(door->address), ADMIN_DEFAULT);
    if (path == NULL && nr_process_file_stamp(NR_CONFIG_PATH_DEFAULT) == 0)
        return NR_EXIT_OK;
    code = nr_cli_load(path, &config);
    if (code == NR_EXIT_OK)
        code = enter_by(config, door);
    nr_config_unref(config);
    return code;
}

/* A token that is given stands instead of the configuration's. */
static int find_token(const struct nr_args *args, struct door *door)
{
    const char *path = value(args, NR_EXPLAIN_TOKEN_FILE);
    struct nr_admin_conf given = {0};
    struct nr_err err = {0};

    if (path != NULL)
        given.token_file = nr_span_of(path);
    else if (getenv("NARU_ADMIN_TOKEN") != NULL)
        given.token = nr_span_of(getenv("NARU_ADMIN_TOKEN"));
    else
        return NR_EXIT_OK;
    if (nr_admin_token_load(&given, &door->token, &err) == NR_OK)
        return NR_EXIT_OK;
    fprintf(stderr, "naru explain: %s%s\n", path != NULL ? "" : "NARU_ADMIN_TOKEN: ", err.text);
    return NR_EXIT_USAGE;
}

/* ---- asking ---- */

/* Everything but unreserved characters as an escape: RFC 3986, 2.3. */
static void put_escaped(struct nr_strbuf *to, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     strchr("-._~", c) != NULL;

        nr_strbuf_printf(to, plain ? "%c" : "%%%02X", c);
    }
}

static void put_filter(struct nr_strbuf *to, const char *name, const char *text)
{
    if (text == NULL)
        return;
    nr_strbuf_printf(to, "&%s=", name);
    put_escaped(to, text);
}

static void put_target(const struct nr_args *args, struct nr_strbuf *to)
{
    if (args->word_count > 0) {
        NR_STRBUF_LIT(to, "/v1/requests/");
        put_escaped(to, args->words[0]);
        return;
    }
    NR_STRBUF_LIT(to, "/v1/requests?limit=");
    put_escaped(to, value(args, NR_EXPLAIN_LAST));
    put_filter(to, "status", value(args, NR_EXPLAIN_STATUS));
    put_filter(to, "reason", value(args, NR_EXPLAIN_REASON));
    put_filter(to, "service", value(args, NR_EXPLAIN_SERVICE));
    put_filter(to, "route", value(args, NR_EXPLAIN_ROUTE));
}

/* ---- the answer ---- */

static int refused(const char *address, const struct nr_fetched *got, const struct nr_json *json)
{
    struct nr_span detail = nr_json_text(nr_json_get(json, "detail"));
    struct nr_span reason = nr_json_text(nr_json_get(json, "reason"));

    if (nr_span_eq(reason, NR_SPAN("unknown_request")) ||
        nr_span_eq(reason, NR_SPAN("bad_filter"))) {
        fprintf(stderr, "naru explain: %.*s\n", (int)detail.len, detail.ptr);
        return NR_EXIT_FAILURE;
    }
    if (got->status == 401 || got->status == 403)
        fprintf(stderr, "naru explain: %s wants a token: --token-file FILE, or NARU_ADMIN_TOKEN\n",
                address);
    else
        fprintf(
            stderr,
            "naru explain: %s answers %u%s%.*s%s, not as a naru's admin listener: wrong port?\n",
            address, got->status, reason.len > 0 ? " (" : "", (int)reason.len, reason.ptr,
            reason.len > 0 ? ")" : "");
    return NR_EXIT_ADMIN;
}

static void print_json(const struct nr_json *json)
{
    char *text = nr_json_dump(json, 2);

    puts(text);
    free(text);
}

static int print(const struct nr_args *args, const char *address, const struct nr_fetched *got)
{
    struct nr_json *json = nr_json_parse((struct nr_span){got->body, got->len}, NULL);
    const struct nr_json *list = nr_json_get(json, "requests");
    bool one = args->word_count > 0;
    struct nr_strbuf text = {0};
    int code = NR_EXIT_OK;

    if (got->status != 200 || (one ? nr_json_get(json, "request_id") : list) == NULL) {
        code = refused(address, got, json);
    } else if (value(args, NR_EXPLAIN_JSON) != NULL) {
        print_json(json);
    } else {
        if (one)
            nr_explain_record(json, &text);
        else
            nr_explain_list(list, &text);
        fputs(text.ptr, stdout);
    }
    nr_strbuf_done(&text);
    nr_json_free(json);
    return code;
}

static int ask(const struct nr_args *args)
{
    struct door door = {.token.len = 0};
    struct nr_strbuf target = {0};
    struct nr_fetched got = {0};
    struct nr_err err = {0};
    int code = find_door(args, &door);

    if (code == NR_EXIT_OK)
        code = find_token(args, &door);
    if (code != NR_EXIT_OK)
        return code;
    put_target(args, &target);
    if (nr_cli_fetch(&(struct nr_fetch){.address = door.address,
                                        .path = nr_strbuf_span(&target),
                                        .token = {door.token.text, door.token.len}},
                     &got, &err) != NR_OK) {
        fprintf(stderr, "naru explain: %s\n", err.text);
        code = err.code == NR_EINVAL ? NR_EXIT_USAGE : NR_EXIT_ADMIN;
    } else {
        code = print(args, door.address, &got);
    }
    free(got.body);
    nr_strbuf_done(&target);
    return code;
}

/* ---- reasons ---- */

static const char *reason_name(const void *ctx, uint32_t i)
{
    return nr_explain_reason_name(i);
}

static int explain_reason(const struct nr_args *args)
{
    const char *name = value(args, NR_EXPLAIN_REASON);
    struct nr_strbuf text = {0};
    char hint[128];

    if (!nr_explain_reason(nr_span_of(name), &text)) {
        nr_did_you_mean(name, reason_name, NULL, hint, sizeof(hint));
        fprintf(stderr, "naru explain: no reason '%s'%s; 'naru config docs reasons' lists them\n",
                name, hint);
        return NR_EXIT_FAILURE;
    }
    if (value(args, NR_EXPLAIN_JSON) != NULL) {
        struct nr_json *json = nr_explain_reason_json(nr_span_of(name));

        print_json(json);
        nr_json_free(json);
    } else {
        fputs(text.ptr, stdout);
    }
    nr_strbuf_done(&text);
    return NR_EXIT_OK;
}

int nr_cmd_explain(const struct nr_args *args)
{
    const char *last = value(args, NR_EXPLAIN_LAST), *status = value(args, NR_EXPLAIN_STATUS);
    bool filters = status != NULL || value(args, NR_EXPLAIN_SERVICE) != NULL;
    struct nr_status_range range;
    uint64_t count;

    if (last != NULL && args->word_count > 0)
        return usage("an ID and --last exclude each other");
    if (last != NULL && (!nr_units_integer(nr_span_of(last), 10, &count) || count == 0))
        return usage("--last needs a number of requests");
    if (status != NULL && !nr_units_status(nr_span_of(status), &range))
        return usage("--status needs 503, 5xx or 500-504");
    if (last == NULL && filters)
        return usage("--status and --service choose among the requests of --last COUNT");
    if (last != NULL || args->word_count > 0)
        return ask(args);
    if (value(args, NR_EXPLAIN_ROUTE) != NULL)
        return nr_explain_route(args);
    if (value(args, NR_EXPLAIN_REASON) != NULL)
        return explain_reason(args);
    return usage("what? an ID, --last COUNT, --reason CODE or --route 'GET http://host/path'");
}
