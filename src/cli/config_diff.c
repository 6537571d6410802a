/* SPDX-License-Identifier: Apache-2.0 */
/* config_diff.c - what another configuration would change, on paper: naru config diff. */
#include "cli/config_diff.h"

#include <stdio.h>
#include <stdlib.h>

#include "admin/admin_conf.h"
#include "admin/config_diff.h"
#include "base/compiler.h"
#include "cli/command.h"
#include "cli/load.h"
#include "config/section.h"
#include "gateway/gateway_conf.h"
#include "observe/observe_conf.h"
#include "service/service_conf.h"

static bool root_equal(const struct nr_schema_root *root, const struct nr_config *a,
                       const struct nr_config *b)
{
    return nr_section_root_equal(root, nr_config_get(a, root), nr_config_get(b, root));
}

uint32_t nr_cli_restart_fields(const struct nr_config *before, const struct nr_config *after,
                               const char *ret_fields[NR_RESTART_FIELDS_MAX])
{
    const struct nr_access_log_conf *log = &nr_observe_conf_of(before)->access_log;
    const struct nr_access_log_conf *new_log = &nr_observe_conf_of(after)->access_log;
    const struct {
        const char *field;
        bool same;
    } fixed[NR_RESTART_FIELDS_MAX] = {
        {"gateway.workers",
         nr_gateway_conf_of(before)->workers == nr_gateway_conf_of(after)->workers},
        {"admin.listen",
         nr_span_eq(nr_admin_conf_of(before)->listen.text, nr_admin_conf_of(after)->listen.text)},
        {"dns", root_equal(&nr_dns_conf_root, before, after)},
        {"observe.access_log.enabled", log->enabled == new_log->enabled},
        {"observe.access_log.buffer", log->buffer_bytes == new_log->buffer_bytes},
    };
    uint32_t count = 0;

    for (size_t i = 0; i < NR_COUNT(fixed); i++)
        if (!fixed[i].same)
            ret_fields[count++] = fixed[i].field;
    return count;
}

/* ---- the command ---- */

static void print_names(const struct nr_json *kind, const char *what, const char *key, char sign)
{
    const struct nr_json *names = nr_json_get(kind, key);

    for (size_t i = 0; i < nr_json_count(names); i++)
        printf("%c %s %s\n", sign, what, nr_json_text(nr_json_at(names, i)).ptr);
}

static void print_kind(const struct nr_json *changes, const char *key, const char *what)
{
    const struct nr_json *kind = nr_json_get(changes, key);
    const struct nr_json *more = nr_json_get(kind, "more");

    print_names(kind, what, "removed", '-');
    print_names(kind, what, "changed", '~');
    print_names(kind, what, "added", '+');
    if (more != NULL)
        printf("… and %lld more\n", (long long)nr_json_integer_value(more));
}

/* Sections whose changes the names have not told yet. */
static void print_sections(const struct nr_json *changes)
{
    const struct nr_json *sections = nr_json_get(changes, "sections");

    for (size_t i = 0; i < nr_json_count(sections); i++)
        printf("~ section %s\n", nr_json_text(nr_json_at(sections, i)).ptr);
}

static void print_restart(const struct nr_config *before, const struct nr_config *after)
{
    const char *fields[NR_RESTART_FIELDS_MAX];
    uint32_t count = nr_cli_restart_fields(before, after, fields);

    for (uint32_t i = 0; i < count; i++)
        printf("! %s takes effect with a restart, or an upgrade in place (SIGUSR2)\n", fields[i]);
}

int nr_cli_config_diff(const char *old_path, const char *new_path)
{
    struct nr_config *before = NULL, *after = NULL;
    int code = nr_cli_load(old_path, &before);
    struct nr_json *changes;
    bool differ;

    if (code == NR_EXIT_OK)
        code = nr_cli_load(new_path, &after);
    if (code != NR_EXIT_OK) {
        nr_config_unref(before);
        return code;
    }
    changes = nr_admin_config_diff(before, after);
    differ = nr_json_count(nr_json_get(changes, "sections")) > 0;
    print_kind(changes, "listeners", "listener");
    print_kind(changes, "routes", "route");
    print_kind(changes, "services", "service");
    print_sections(changes);
    print_restart(before, after);
    nr_json_free(changes);
    nr_config_unref(before);
    nr_config_unref(after);
    return differ ? NR_EXIT_FAILURE : NR_EXIT_OK;
}
