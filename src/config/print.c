/* SPDX-License-Identifier: Apache-2.0 */
/* print.c - the effective configuration as YAML, defaults included, that loads to the same.
 *
 * Text is written in double quotes, as JSON would have it, which is YAML too; dollar signs are
 * doubled, or the next loader would look for variables. */
#include <stdlib.h>

#include "base/assert.h"
#include "config/load.h"
#include "config/value.h"

struct printer {
    struct nr_arena arena;
    FILE *to;
};

static void put_section(struct printer *p, const struct nr_schema *schema, const void *section,
                        unsigned indent, bool in_list);

static void put_quoted(struct printer *p, struct nr_span text)
{
    struct nr_json *json = nr_json_string(text);
    char *quoted = nr_json_dump(json, 0);

    for (const char *c = quoted; *c != '\0'; c++) {
        if (*c == '$')
            fputc('$', p->to);
        if (*c == 0x7f) /* JSON may, YAML may not hold it as it is */
            fputs("\\x7F", p->to);
        else
            fputc(*c, p->to);
    }
    free(quoted);
    nr_json_free(json);
}

static void put_scalar(struct printer *p, const struct nr_schema_field *field,
                       enum nr_schema_type type, const void *from)
{
    struct nr_span text = nr_value_text(field, type, from, &p->arena);

    if (type == NR_SCHEMA_STRING || type == NR_SCHEMA_ADDRESS || type == NR_SCHEMA_CIDR)
        put_quoted(p, text);
    else
        fprintf(p->to, "%.*s", (int)text.len, text.ptr);
}

/* JSON is YAML, but for the dollar signs. */
static void put_node(struct printer *p, const struct nr_node *node)
{
    struct nr_json *json;
    char *text;

    json = nr_node_json(node);
    text = nr_json_dump(json, 0);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '$')
            fputc('$', p->to);
        fputc(*c, p->to);
    }
    free(text);
    nr_json_free(json);
}

static uint32_t count_at(const struct nr_schema_field *field, const void *section)
{
    uint32_t count;

    memcpy(&count, (const char *)section + field->count_offset, sizeof(count));
    return count;
}

static const char *pointer_at(const struct nr_schema_field *field, const void *section)
{
    const char *pointer;

    memcpy(&pointer, (const char *)section + field->offset, sizeof(pointer));
    return pointer;
}

/* Nothing was written and there is no default: printing a zero would say something else. */
static bool is_unset(const struct nr_schema_field *field, const void *section)
{
    const char *at = (const char *)section + field->offset;

    switch (field->type) {
    case NR_SCHEMA_LIST:
    case NR_SCHEMA_SECTIONS:
    case NR_SCHEMA_MAP: return count_at(field, section) == 0;
    case NR_SCHEMA_SECTION:
        return (field->flags & NR_SCHEMA_OPTIONAL) != 0 && pointer_at(field, section) == NULL;
    case NR_SCHEMA_JSON: return pointer_at(field, section) == NULL;
    case NR_SCHEMA_STRING: return ((const struct nr_span *)(const void *)at)->len == 0;
    default: break;
    }
    if (field->value != NULL || nr_section_has(section, field->name))
        return false;
    for (size_t i = 0; i < field->bytes; i++)
        if (at[i] != 0)
            return false;
    return true;
}

static void put_list(struct printer *p, const struct nr_schema_field *field, const void *section)
{
    const char *items = pointer_at(field, section);

    fputc('[', p->to);
    for (uint32_t i = 0; i < count_at(field, section); i++) {
        fputs(i == 0 ? "" : ", ", p->to);
        put_scalar(p, field, field->element, items + i * nr_value_bytes(field->element));
    }
    fputs("]\n", p->to);
}

static void put_many(struct printer *p, const struct nr_schema_field *field, const void *section,
                     unsigned indent)
{
    const char *items = pointer_at(field, section);

    fputc('\n', p->to);
    for (uint32_t i = 0; i < count_at(field, section); i++) {
        const char *item = items + i * field->section->bytes;

        if (field->type == NR_SCHEMA_SECTIONS) {
            fprintf(p->to, "%*s- ", (int)indent, "");
            put_section(p, field->section, item, indent + 2, true);
        } else {
            const struct nr_span *name = (const void *)(item + field->section->name_offset);

            fprintf(p->to, "%*s", (int)indent, "");
            put_quoted(p, *name);
            fputs(":\n", p->to);
            put_section(p, field->section, item, indent + 2, false);
        }
    }
}

static void put_field(struct printer *p, const struct nr_schema_field *field, const void *section,
                      unsigned indent)
{
    const void *at = (const char *)section + field->offset;

    if ((field->flags & NR_SCHEMA_SECRET) != 0) {
        fprintf(p->to, "# %s: not shown\n", field->name);
        return;
    }
    fprintf(p->to, "%s:", field->name);
    switch (field->type) {
    case NR_SCHEMA_SECTION:
        fputc('\n', p->to);
        put_section(p, field->section,
                    (field->flags & NR_SCHEMA_OPTIONAL) != 0 ? pointer_at(field, section) : at,
                    indent + 2, false);
        return;
    case NR_SCHEMA_SECTIONS:
    case NR_SCHEMA_MAP: put_many(p, field, section, indent + 2); return;
    case NR_SCHEMA_LIST:
        fputc(' ', p->to);
        put_list(p, field, section);
        return;
    case NR_SCHEMA_JSON:
        fputc(' ', p->to);
        put_node(p, (const struct nr_node *)(const void *)pointer_at(field, section));
        break;
    default:
        fputc(' ', p->to);
        put_scalar(p, field, field->type, at);
        break;
    }
    fputc('\n', p->to);
}

/* in_list: the first line stands behind "- " already. */
static void put_section(struct printer *p, const struct nr_schema *schema, const void *section,
                        unsigned indent, bool in_list)
{
    bool indented = in_list;

    for (uint32_t i = 0; i < schema->count; i++) {
        if (is_unset(&schema->fields[i], section))
            continue;
        if (!indented)
            fprintf(p->to, "%*s", (int)indent, "");
        indented = false;
        put_field(p, &schema->fields[i], section, indent);
    }
    if (indented)
        fputs("{}\n", p->to);
}

/* A section that nobody wrote and that could not be left empty, such as a gateway without
 * listeners: it is not printed, or the printout would not load. */
static bool is_hollow(const struct nr_config *config, const struct nr_schema_field *field)
{
    const struct nr_node *written = nr_node_get(config->tree, nr_span_of(field->name));

    if (field->type != NR_SCHEMA_SECTION || (written != NULL && !written->null))
        return false;
    for (uint32_t i = 0; i < field->section->count; i++)
        if ((field->section->fields[i].flags & NR_SCHEMA_REQUIRED) != 0)
            return true;
    return false;
}

void nr_config_print(const struct nr_config *config, FILE *to)
{
    struct printer p = {.to = to};

    nr_arena_init(&p.arena, NULL, 0);
    for (uint32_t i = 0; i < config->root_count; i++) {
        const struct nr_schema_field *field = &config->roots[i]->field;

        if (!is_hollow(config, field) && !is_unset(field, config->structs[i]))
            put_field(&p, field, config->structs[i], 0);
    }
    nr_arena_done(&p.arena);
}
