/* SPDX-License-Identifier: Apache-2.0 */
/* discovery_file.c - a file of instances, from bytes to specs. */
#include <stdlib.h>

#include "base/assert.h"
#include "config/config.h"
#include "service/state.h"

void nr_found_done(struct nr_found *found)
{
    free(found->specs);
    nr_config_unref(found->config);
    *found = (struct nr_found){0};
}

static enum nr_code specs_of(struct nr_found *found, const struct nr_instances_conf *file,
                             struct nr_err *err)
{
    found->specs = calloc(file->count + 1, sizeof(*found->specs));
    nr_assert(found->specs != NULL);
    for (uint32_t i = 0; i < file->count; i++)
        if (nr_instance_spec_of(&file->list[i], &found->specs[i], err) != NR_OK)
            return err->code;
    found->count = file->count;
    return NR_OK;
}

enum nr_code nr_found_parse(const char *path, struct nr_span bytes, struct nr_found *ret_found,
                            struct nr_err *err)
{
    static const struct nr_schema_root *const root = &nr_instances_file_root;
    static const struct nr_config_source no_source = {0};
    struct nr_found found = {0};
    struct nr_arena arena;
    struct nr_diags diags;
    enum nr_code code;

    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 1);
    code = nr_config_load_value(&root, &no_source, path, bytes, &diags, &found.config);
    if (code != NR_OK)
        code = nr_diags_code(&diags, err);
    else
        code = specs_of(&found, nr_instances_file_of(found.config), err);
    nr_arena_done(&arena);
    if (code == NR_OK)
        *ret_found = found;
    else
        nr_found_done(&found);
    return code;
}
