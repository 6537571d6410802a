/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as naru.yaml, against the tables that the program uses: never a crash, an error always
 * has a diagnostic, and what is accepted prints to something that is accepted and prints the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin_conf.h"
#include "base/assert.h"
#include "foresight/review.h"
#include "gateway/gateway_conf.h"
#include "observe/observe_conf.h"
#include "service/service_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct nr_schema_root *const roots[] = {
    &nr_gateway_conf_root, &nr_callers_conf_root, &nr_services_conf_root,
    &nr_observe_conf_root, &nr_dns_conf_root,     &nr_admin_conf_root,
};

static const char *get_variable(void *arg, const char *name)
{
    return strcmp(name, "A") == 0 ? "8080" : NULL;
}

/* Another file for every name: an include that works, once. */
static enum nr_code read_file(void *arg, const char *path, size_t bytes_max, struct nr_arena *arena,
                              struct nr_span *ret_bytes, struct nr_err *err)
{
    *ret_bytes = NR_SPAN("dns: {servers: [127.0.0.53]}\n");
    return NR_OK;
}

static struct nr_config *load(struct nr_span bytes, struct nr_diags *diags)
{
    struct nr_config_source source = {.read = read_file, .getenv = get_variable};
    struct nr_config *config = NULL;
    enum nr_code code =
        nr_config_load_bytes(roots, NR_COUNT(roots), &source, "naru.yaml", bytes, diags, &config);

    nr_assert((code == NR_OK) == (config != NULL));
    nr_assert((code == NR_OK) == (diags->errors == 0));
    return config;
}

static char *print(const struct nr_config *config)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    nr_assert(to != NULL);
    nr_config_print(config, to);
    fclose(to);
    return text;
}

static void check_round_trip(const struct nr_config *config, struct nr_diags *diags)
{
    char *once = print(config), *twice;
    struct nr_config *again = load(nr_span_of(once), diags);

    nr_assert(again != NULL);
    twice = print(again);
    nr_assert(strcmp(once, twice) == 0);
    free(once);
    free(twice);
    nr_config_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_arena arena;
    struct nr_diags diags;
    struct nr_config *config;

    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 0);
    config = load((struct nr_span){(const char *)data, size}, &diags);
    if (config != NULL) {
        check_round_trip(config, &diags);
        nr_review(config, &diags);
    }
    for (uint32_t i = 0; i < diags.count; i++) {
        char line[512];

        nr_assert(nr_diag_format(&diags.items[i], line, sizeof(line)) > 0);
    }
    nr_config_unref(config);
    nr_arena_done(&arena);
    return 0;
}
