/* SPDX-License-Identifier: Apache-2.0 */
/* value_text.c - what a struct holds, back to the text that parses to it. */
#include "base/assert.h"
#include "config/units.h"
#include "config/value.h"

/* The bare address, without port: "10.0.0.0/8". */
static struct nr_span cidr_text(const struct nr_cidr *cidr, struct nr_arena *arena)
{
    char ip[NR_ADDR_TEXT_BYTES];

    nr_addr_format_ip(&cidr->network, ip, sizeof(ip));
    return nr_arena_printf(arena, "%s/%u", ip, cidr->prefix_bits);
}

static struct nr_span number_text(const struct nr_schema_field *field, enum nr_schema_type type,
                                  uint64_t number, struct nr_arena *arena)
{
    const struct nr_schema_word *word = nr_value_word(field, number);

    if (word != NULL)
        return nr_span_of(word->name);
    if (type == NR_SCHEMA_SIZE)
        return nr_units_size_text(number, arena);
    if (type == NR_SCHEMA_DURATION)
        return nr_units_duration_text(number, arena);
    if (type == NR_SCHEMA_OCTAL)
        return nr_arena_printf(arena, "0%llo", (unsigned long long)number);
    return nr_arena_printf(arena, "%llu", (unsigned long long)number);
}

static struct nr_span set_text(const struct nr_schema_field *field, uint64_t set,
                               struct nr_arena *arena)
{
    struct nr_span text = NR_SPAN("[");

    for (const struct nr_schema_word *word = field->words; word->name != NULL; word++)
        if ((set >> word->value & 1) != 0)
            text = nr_arena_printf(arena, "%.*s%s%s", (int)text.len, text.ptr,
                                   text.len == 1 ? "" : ", ", word->name);
    return nr_arena_printf(arena, "%.*s]", (int)text.len, text.ptr);
}

struct nr_span nr_value_text(const struct nr_schema_field *field, enum nr_schema_type type,
                             const void *from, struct nr_arena *arena)
{
    const struct nr_config_address *address = from;

    switch (type) {
    case NR_SCHEMA_BOOL: return *(const bool *)from ? NR_SPAN("true") : NR_SPAN("false");
    case NR_SCHEMA_U32:
    case NR_SCHEMA_OCTAL:
    case NR_SCHEMA_ENUM: return number_text(field, type, *(const uint32_t *)from, arena);
    case NR_SCHEMA_U64:
    case NR_SCHEMA_SIZE:
    case NR_SCHEMA_DURATION: return number_text(field, type, *(const uint64_t *)from, arena);
    case NR_SCHEMA_RATE:
    case NR_SCHEMA_BYTE_RATE: {
        const struct nr_rate *rate = from;

        if (rate->per_ns == 0) /* a word, for rates have no zero */
            return field->words == NULL ? NR_SPAN("") : nr_span_of(field->words[0].name);
        return nr_units_rate_text(*rate, type == NR_SCHEMA_BYTE_RATE, arena);
    }
    case NR_SCHEMA_RATIO: return nr_units_ratio_text(*(const double *)from, arena);
    case NR_SCHEMA_SET: return set_text(field, *(const uint64_t *)from, arena);
    case NR_SCHEMA_STRING: return *(const struct nr_span *)from;
    case NR_SCHEMA_ADDRESS:
        if (address->kind == NR_CONFIG_ADDRESS_NONE)
            return field->words == NULL ? NR_SPAN("") : nr_span_of(field->words[0].name);
        return address->text;
    case NR_SCHEMA_CIDR: return cidr_text(from, arena);
    case NR_SCHEMA_STATUS:
        return nr_units_status_text(*(const struct nr_status_range *)from, arena);
    case NR_SCHEMA_LIST:
    case NR_SCHEMA_SECTION:
    case NR_SCHEMA_SECTIONS:
    case NR_SCHEMA_MAP:
    case NR_SCHEMA_JSON:
    case NR_SCHEMA_TYPES: break;
    }
    nr_assert(false); /* not a scalar */
    return NR_SPAN("");
}
