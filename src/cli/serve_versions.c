/* SPDX-License-Identifier: Apache-2.0 */
/* serve_versions.c - the configurations that are, and were, in force: what they were read from.
 *
 * Going back to one needs neither files nor environment, and keeping ten costs little: the texts
 * are packed, and those that did not change are shared. */
#include "base/assert.h"
#include "cli/serve.h"

uint32_t nr_serve_version(const struct nr_serve *serve)
{
    return serve->reload.versions[0].told.number;
}

void nr_serve_note_version(struct nr_serve *serve, const char *source, struct nr_original *original)
{
    struct nr_serve_version *versions = serve->reload.versions;
    uint32_t last = NR_CONFIG_VERSIONS_MAX - 1;
    uint32_t number = versions[0].told.number + 1;

    nr_original_unref(versions[last].original);
    memmove(versions + 1, versions, last * sizeof(*versions));
    versions[0] = (struct nr_serve_version){
        .told = {.number = number, .wall_ns = nr_process_wall_ns(), .source = source},
        .original = nr_original_ref(original)};
    if (number > 1)
        nr_original_share(original, versions[1].original);
    if (serve->reload.version_count < NR_CONFIG_VERSIONS_MAX)
        serve->reload.version_count++;
}

struct nr_original *nr_serve_find_version(const struct nr_serve *serve, uint32_t number)
{
    const struct nr_reload_state *reload = &serve->reload;

    for (uint32_t i = 0; i < reload->version_count; i++)
        if (reload->versions[i].told.number == number)
            return nr_original_ref(reload->versions[i].original);
    return NULL;
}

uint32_t nr_serve_list_versions(const struct nr_serve *serve, struct nr_config_version *to,
                                uint32_t max)
{
    uint32_t count = serve->reload.version_count < max ? serve->reload.version_count : max;

    for (uint32_t i = 0; i < count; i++)
        to[i] = serve->reload.versions[i].told;
    return count;
}

void nr_serve_forget_versions(struct nr_serve *serve)
{
    for (uint32_t i = 0; i < serve->reload.version_count; i++)
        nr_original_unref(serve->reload.versions[i].original);
}
