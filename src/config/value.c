/* SPDX-License-Identifier: Apache-2.0 */
/* value.c - text to value, and the words for what was expected. Printing is in print_value.c. */
#include "config/value.h"

#include <stdlib.h>

#include "base/assert.h"
#include "config/units.h"

static const struct {
    size_t bytes;
    const char *expected;
} kinds[NR_SCHEMA_TYPES] = {
    [NR_SCHEMA_BOOL] = {sizeof(bool), "true or false"},
    [NR_SCHEMA_U32] = {sizeof(uint32_t), "a whole number"},
    [NR_SCHEMA_U64] = {sizeof(uint64_t), "a whole number"},
    [NR_SCHEMA_OCTAL] = {sizeof(uint32_t), "permission bits such as 0660"},
    [NR_SCHEMA_SIZE] = {sizeof(uint64_t), "a size such as 64KiB"},
    [NR_SCHEMA_DURATION] = {sizeof(uint64_t), "a duration such as 250ms"},
    [NR_SCHEMA_RATE] = {sizeof(struct nr_rate), "a rate such as 100/min"},
    [NR_SCHEMA_BYTE_RATE] = {sizeof(struct nr_rate), "a rate such as 64KiB/s"},
    [NR_SCHEMA_RATIO] = {sizeof(double), "a share such as 50% or 0.5"},
    [NR_SCHEMA_ENUM] = {sizeof(uint32_t), NULL},
    [NR_SCHEMA_SET] = {sizeof(uint64_t), NULL},
    [NR_SCHEMA_STRING] = {sizeof(struct nr_span), "text"},
    [NR_SCHEMA_ADDRESS] = {sizeof(struct nr_config_address), NULL},
    [NR_SCHEMA_CIDR] = {sizeof(struct nr_cidr), "a network such as 10.0.0.0/8"},
    [NR_SCHEMA_STATUS] = {sizeof(struct nr_status_range), "a status such as 200, 2xx or 200-399"},
};

size_t nr_value_bytes(enum nr_schema_type type)
{
    nr_assert(kinds[type].bytes > 0);
    return kinds[type].bytes;
}

static const struct nr_schema_word *find_word(const struct nr_schema_field *field,
                                              struct nr_span text)
{
    if (field->words == NULL)
        return NULL;
    for (const struct nr_schema_word *word = field->words; word->name != NULL; word++)
        if (nr_span_eq(nr_span_of(word->name), text))
            return word;
    return NULL;
}

const struct nr_schema_word *nr_value_word(const struct nr_schema_field *field, uint64_t number)
{
    if (field->words == NULL)
        return NULL;
    for (const struct nr_schema_word *word = field->words; word->name != NULL; word++)
        if (word->value == number)
            return word;
    return NULL;
}

static bool parse_bool(struct nr_span text, uint64_t *ret_number)
{
    static const char *const words[][2] = {{"false", "true"}, {"no", "yes"}, {"off", "on"}};

    for (size_t i = 0; i < NR_COUNT(words); i++)
        for (uint64_t value = 0; value < 2; value++)
            if (nr_span_eq(text, nr_span_of(words[i][value]))) {
                *ret_number = value;
                return true;
            }
    return false;
}

static bool parse_cidr(struct nr_span text, struct nr_arena *arena, struct nr_cidr *ret_cidr)
{
    const char *ztext = nr_arena_dup(arena, text).ptr;

    return text.len > 0 && memchr(text.ptr, '\0', text.len) == NULL &&
           nr_cidr_parse(ztext, ret_cidr, NULL) == NR_OK;
}

bool nr_value_parse(const struct nr_schema_field *field, enum nr_schema_type type,
                    struct nr_span text, struct nr_arena *arena, struct nr_value *ret_value)
{
    const struct nr_schema_word *word = find_word(field, text);

    *ret_value = (struct nr_value){0};
    if (word != NULL) {
        ret_value->is_word = true;
        ret_value->number = word->value;
        return true;
    }
    switch (type) {
    case NR_SCHEMA_BOOL: return parse_bool(text, &ret_value->number);
    case NR_SCHEMA_U32:
        return nr_units_integer(text, 10, &ret_value->number) && ret_value->number <= UINT32_MAX;
    case NR_SCHEMA_U64: return nr_units_integer(text, 10, &ret_value->number);
    case NR_SCHEMA_OCTAL:
        return nr_units_integer(text, 8, &ret_value->number) && ret_value->number <= 07777;
    case NR_SCHEMA_SIZE: return nr_units_size(text, &ret_value->number);
    case NR_SCHEMA_DURATION: return nr_units_duration(text, &ret_value->number);
    case NR_SCHEMA_RATE: return nr_units_rate(text, false, &ret_value->rate);
    case NR_SCHEMA_BYTE_RATE: return nr_units_rate(text, true, &ret_value->rate);
    case NR_SCHEMA_RATIO: return nr_units_ratio(text, &ret_value->ratio);
    case NR_SCHEMA_STRING: ret_value->text = nr_arena_dup(arena, text); return true;
    case NR_SCHEMA_ADDRESS:
        return nr_address_parse(text, field->default_port, (field->flags & NR_SCHEMA_BIND) != 0,
                                arena, &ret_value->address);
    case NR_SCHEMA_CIDR: return parse_cidr(text, arena, &ret_value->cidr);
    case NR_SCHEMA_STATUS: return nr_units_status(text, &ret_value->status);
    case NR_SCHEMA_ENUM: /* words only */
    case NR_SCHEMA_SET:
    case NR_SCHEMA_LIST:
    case NR_SCHEMA_SECTION:
    case NR_SCHEMA_SECTIONS:
    case NR_SCHEMA_MAP:
    case NR_SCHEMA_JSON:
    case NR_SCHEMA_TYPES: break;
    }
    return false;
}

static const char *address_expected(const struct nr_schema_field *field)
{
    if (field->default_port != 0)
        return "an address such as 127.0.0.1 or [::1]:53";
    if ((field->flags & NR_SCHEMA_BIND) != 0)
        return "an address such as 127.0.0.1:8080, [::1]:8080, :8080 or unix:/run/x.sock";
    return "an address such as 127.0.0.1:8080, [::1]:8080, host:8080 or unix:/run/x.sock";
}

const char *nr_value_expected(const struct nr_schema_field *field, enum nr_schema_type type,
                              struct nr_arena *arena)
{
    const char *base = type == NR_SCHEMA_ADDRESS ? address_expected(field) : kinds[type].expected;
    const char *text = base == NULL ? "one of " : nr_arena_printf(arena, "%s, or ", base).ptr;

    if (field->words == NULL || field->words[0].name == NULL)
        return base == NULL ? "nothing" : base;
    for (const struct nr_schema_word *word = field->words; word->name != NULL; word++)
        text = nr_arena_printf(arena, "%s%s%s", text, word == field->words ? "" : ", ", word->name)
                   .ptr;
    return text;
}

/* -1, 0, 1 as a is below, at or above b. */
static int compare(enum nr_schema_type type, const struct nr_value *a, const struct nr_value *b)
{
    unsigned __int128 left = a->number, right = b->number;

    if (type == NR_SCHEMA_RATIO)
        return a->ratio < b->ratio ? -1 : a->ratio > b->ratio;
    if (type == NR_SCHEMA_RATE || type == NR_SCHEMA_BYTE_RATE) {
        left = (unsigned __int128)a->rate.count * b->rate.per_ns;
        right = (unsigned __int128)b->rate.count * a->rate.per_ns;
    }
    return left < right ? -1 : left > right;
}

bool nr_value_in_range(const struct nr_schema_field *field, enum nr_schema_type type,
                       const struct nr_value *value, struct nr_arena *arena)
{
    const char *const limits[] = {field->min, field->max};
    struct nr_value subject = *value;
    enum nr_schema_type by = type;

    if (value->is_word)
        return true;
    if (type == NR_SCHEMA_STRING) {
        subject.number = value->text.len;
        by = NR_SCHEMA_U64;
    }
    for (int i = 0; i < 2; i++) {
        struct nr_value limit;
        bool sound;

        if (limits[i] == NULL)
            continue;
        sound = nr_value_parse(&(struct nr_schema_field){.type = by}, by, nr_span_of(limits[i]),
                               arena, &limit);
        nr_assert(sound); /* the table is wrong */
        if (i == 0 ? compare(by, &subject, &limit) < 0 : compare(by, &subject, &limit) > 0)
            return false;
    }
    return true;
}

const char *nr_value_range(const struct nr_schema_field *field, struct nr_arena *arena)
{
    if (field->min != NULL && field->max != NULL)
        return nr_arena_printf(arena, "between %s and %s", field->min, field->max).ptr;
    if (field->min != NULL)
        return nr_arena_printf(arena, "at least %s", field->min).ptr;
    if (field->max != NULL)
        return nr_arena_printf(arena, "at most %s", field->max).ptr;
    return "";
}

void nr_value_store(enum nr_schema_type type, const struct nr_value *value, void *to)
{
    uint32_t narrow = (uint32_t)value->number;
    bool truth = value->number != 0;

    switch (type) {
    case NR_SCHEMA_BOOL: memcpy(to, &truth, sizeof(truth)); break;
    case NR_SCHEMA_U32:
    case NR_SCHEMA_OCTAL:
    case NR_SCHEMA_ENUM: memcpy(to, &narrow, sizeof(narrow)); break;
    case NR_SCHEMA_U64:
    case NR_SCHEMA_SIZE:
    case NR_SCHEMA_DURATION:
    case NR_SCHEMA_SET: memcpy(to, &value->number, sizeof(value->number)); break;
    case NR_SCHEMA_RATE:
    case NR_SCHEMA_BYTE_RATE: memcpy(to, &value->rate, sizeof(value->rate)); break;
    case NR_SCHEMA_RATIO: memcpy(to, &value->ratio, sizeof(value->ratio)); break;
    case NR_SCHEMA_STRING: memcpy(to, &value->text, sizeof(value->text)); break;
    case NR_SCHEMA_ADDRESS: memcpy(to, &value->address, sizeof(value->address)); break;
    case NR_SCHEMA_CIDR: memcpy(to, &value->cidr, sizeof(value->cidr)); break;
    case NR_SCHEMA_STATUS: memcpy(to, &value->status, sizeof(value->status)); break;
    case NR_SCHEMA_LIST:
    case NR_SCHEMA_SECTION:
    case NR_SCHEMA_SECTIONS:
    case NR_SCHEMA_MAP:
    case NR_SCHEMA_JSON:
    case NR_SCHEMA_TYPES: nr_assert(false); /* not scalars */
    }
}
