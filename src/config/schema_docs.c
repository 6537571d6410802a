/* SPDX-License-Identifier: Apache-2.0 */
/* schema_docs.c - the tables as a page to read: docs/reference/config.md.
 *
 * One table per section, the outer ones first, headed by the path at which it stands:
 * `services.NAME.retry`. A list is marked []. */
#include "config/config.h"
#include "config/value.h"

struct page {
    struct nr_arena arena;
    FILE *to;
};

static const char *type_name(const struct nr_schema_field *field, enum nr_schema_type type)
{
    static const char *const names[NR_SCHEMA_TYPES] = {
        [NR_SCHEMA_BOOL] = "true or false",
        [NR_SCHEMA_U32] = "number",
        [NR_SCHEMA_U64] = "number",
        [NR_SCHEMA_OCTAL] = "permission bits",
        [NR_SCHEMA_SIZE] = "size",
        [NR_SCHEMA_DURATION] = "duration",
        [NR_SCHEMA_RATE] = "rate",
        [NR_SCHEMA_BYTE_RATE] = "byte rate",
        [NR_SCHEMA_RATIO] = "share",
        [NR_SCHEMA_ENUM] = "one of",
        [NR_SCHEMA_SET] = "list of",
        [NR_SCHEMA_STRING] = "text",
        [NR_SCHEMA_ADDRESS] = "address",
        [NR_SCHEMA_CIDR] = "network",
        [NR_SCHEMA_STATUS] = "status",
        [NR_SCHEMA_SECTION] = "mapping",
        [NR_SCHEMA_SECTIONS] = "list of mappings",
        [NR_SCHEMA_MAP] = "mapping of names",
        [NR_SCHEMA_JSON] = "any value",
    };

    return type == NR_SCHEMA_LIST ? names[field->element] : names[type];
}

static void put_words(struct page *p, const struct nr_schema_field *field, const char *lead)
{
    if (field->words == NULL)
        return;
    for (const struct nr_schema_word *word = field->words; word->name != NULL; word++)
        fprintf(p->to, "%s`%s`", word == field->words ? lead : ", ", word->name);
}

static void put_word_docs(struct page *p, const struct nr_schema_field *field)
{
    const char *lead = " ";

    if (field->words == NULL)
        return;
    for (const struct nr_schema_word *word = field->words; word->name != NULL; word++) {
        if (word->doc == NULL)
            continue;
        fprintf(p->to, "%s`%s`: %s", lead, word->name, word->doc);
        lead = "; ";
    }
    if (lead[0] == ';')
        fputc('.', p->to);
}

static void put_row(struct page *p, const struct nr_schema *schema,
                    const struct nr_schema_field *field)
{
    bool only_words = field->type == NR_SCHEMA_ENUM || field->type == NR_SCHEMA_SET;

    fprintf(p->to, "| `%s` | %s%s", field->name, field->type == NR_SCHEMA_LIST ? "list of " : "",
            type_name(field, field->type));
    put_words(p, field, only_words ? " " : ", or ");
    if ((field->flags & NR_SCHEMA_REQUIRED) != 0)
        fprintf(p->to, " | *required* | ");
    else if (field->value != NULL)
        fprintf(p->to, " | `%s` | ", field->value);
    else
        fprintf(p->to, " | | ");
    fprintf(p->to, "%s%s | %s", nr_value_range(field, &p->arena),
            field->type == NR_SCHEMA_STRING && (field->min != NULL || field->max != NULL) ? " bytes"
                                                                                          : "",
            field->doc == NULL ? "" : field->doc);
    put_word_docs(p, field);
    if (schema->shorthand != NULL && strcmp(schema->shorthand, field->name) == 0)
        fputs(" May stand alone instead of the mapping.", p->to);
    fputs(" |\n", p->to);
}

static void put_section(struct page *p, const struct nr_schema *schema, const char *path)
{
    fprintf(p->to, "\n## `%s`\n\n", path);
    if (schema->doc != NULL)
        fprintf(p->to, "%s\n\n", schema->doc);
    fputs("| field | type | default | range | meaning |\n|---|---|---|---|---|\n", p->to);
    for (uint32_t i = 0; i < schema->count; i++)
        put_row(p, schema, &schema->fields[i]);
    for (uint32_t i = 0; i < schema->count; i++) {
        const struct nr_schema_field *field = &schema->fields[i];

        if (field->section == NULL)
            continue;
        put_section(p, field->section,
                    nr_arena_printf(&p->arena, "%s.%s%s", path, field->name,
                                    field->type == NR_SCHEMA_SECTIONS ? "[]"
                                    : field->type == NR_SCHEMA_MAP    ? ".NAME"
                                                                      : "")
                        .ptr);
    }
}

static const char head[] =
    "# Configuration reference\n"
    "\n"
    "Made by `naru config docs` from the tables that the loader itself reads. Do not edit.\n"
    "\n"
    "One YAML file, `./naru.yaml` unless `-c` names another. Unknown fields, duplicate keys, "
    "anchors, "
    "aliases and\ntags are refused. `naru check` says what would hurt in operation.\n"
    "\n"
    "| notation | examples |\n"
    "|---|---|\n"
    "| duration | `250ms`, `1.5s`, `2m`, `1h`, `30d` |\n"
    "| size | `64KiB`, `1MiB`, `2GiB`, or plain bytes |\n"
    "| rate, byte rate | `10/s`, `100/min`, `100/15min`, `64KiB/s` |\n"
    "| share | `50%`, `0.5` |\n"
    "| status | `200`, `2xx`, `200-399` |\n"
    "| address | `127.0.0.1:8080`, `[::1]:8080`, `host:8080`, `unix:/run/x.sock`; to listen on "
    "also "
    "`:8080` |\n"
    "| network | `10.0.0.0/8`, `fd00::/8` |\n"
    "| variables | `${NAME}`, `${NAME:-default}` in any value (quoted inside `{}` and `[]`); `$$` "
    "is a dollar sign |\n"
    "\n"
    "A list of plain values may be written as its only element.\n"
    "\n"
    "| section | meaning |\n"
    "|---|---|\n"
    "| `include` | Other files, `a.yaml` or `[a.yaml, dir/*.yaml]`, whose sections are merged in; "
    "the "
    "same entry twice is refused. |\n";

void nr_schema_docs(const struct nr_schema_root *const *roots, uint32_t root_count, FILE *to)
{
    struct page p = {.to = to};

    nr_arena_init(&p.arena, NULL, 0);
    fputs(head, to);
    for (uint32_t i = 0; i < root_count; i++)
        fprintf(to, "| `%s` | %s |\n", roots[i]->field.name,
                roots[i]->field.doc == NULL ? "" : roots[i]->field.doc);
    for (uint32_t i = 0; i < root_count; i++) {
        const struct nr_schema_field *field = &roots[i]->field;

        put_section(&p, field->section,
                    field->type == NR_SCHEMA_MAP
                        ? nr_arena_printf(&p.arena, "%s.NAME", field->name).ptr
                        : field->name);
    }
    nr_arena_done(&p.arena);
}
