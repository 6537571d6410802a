/* SPDX-License-Identifier: Apache-2.0 */
#include "foresight/included.h"

#include <string.h>

static const char scenario_ending[] = ".yaml";
static const char config_ending[] = ".naru.yaml";

static bool ends_in(const char *name, const char *ending)
{
    size_t len = strlen(name), tail = strlen(ending);

    return len > tail && strcmp(name + len - tail, ending) == 0;
}

bool nr_included_is_scenario(const struct nr_included *file)
{
    return !ends_in(file->name, config_ending);
}

const char *nr_included_file(struct nr_span name)
{
    for (const struct nr_included *at = nr_included; at->name != NULL; at++)
        if (nr_span_eq(nr_span_of(at->name), name))
            return at->text;
    return NULL;
}

const struct nr_included *nr_included_scenario(const char *name)
{
    size_t len = strlen(name);

    for (const struct nr_included *at = nr_included; at->name != NULL; at++)
        if (nr_included_is_scenario(at) && strncmp(at->name, name, len) == 0 &&
            strcmp(at->name + len, scenario_ending) == 0)
            return at;
    return NULL;
}
