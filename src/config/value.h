/* SPDX-License-Identifier: Apache-2.0 */
/* value.h - scalars: from text to what a struct holds, and back. Private to config.
 *
 * A value passes through a variant, so that parsing, range, storing and printing are four small
 * things instead of one switch per use. */
#ifndef NR_CONFIG_VALUE_H
#define NR_CONFIG_VALUE_H

#include "config/schema.h"

struct nr_value {
    uint64_t number; /* BOOL, U32, U64, OCTAL, SIZE, DURATION, ENUM */
    double ratio;
    struct nr_rate rate; /* RATE, BYTE_RATE */
    struct nr_span text; /* STRING */
    struct nr_config_address address;
    struct nr_cidr cidr;
    struct nr_status_range status;
    bool is_word; /* one of field->words: number holds its value, no range applies */
};

/* Bytes of what the type stores; for LIST its elements' type. Not for sections. */
size_t nr_value_bytes(enum nr_schema_type type);

/* Text to value. false when it is none; see nr_value_expected. Range is not looked at. */
bool nr_value_parse(const struct nr_schema_field *field, enum nr_schema_type type,
                    struct nr_span text, struct nr_arena *arena, struct nr_value *ret_value);

/* "a duration such as 250ms, or auto": continues "expected …". In the arena. */
const char *nr_value_expected(const struct nr_schema_field *field, enum nr_schema_type type,
                              struct nr_arena *arena);

/* Is the value within field->min and field->max? */
bool nr_value_in_range(const struct nr_schema_field *field, enum nr_schema_type type,
                       const struct nr_value *value, struct nr_arena *arena);

/* "between 1 and 65535", "at least 1ms", "at most 1h", "" without a range. In the arena. */
const char *nr_value_range(const struct nr_schema_field *field, struct nr_arena *arena);

void nr_value_store(enum nr_schema_type type, const struct nr_value *value, void *to);

/* The text that parses to what is stored; without quotes. In the arena. */
struct nr_span nr_value_text(const struct nr_schema_field *field, enum nr_schema_type type,
                             const void *from, struct nr_arena *arena);

/* The word with this number, NULL if none. */
const struct nr_schema_word *nr_value_word(const struct nr_schema_field *field, uint64_t number);

/* ---- in address.c ---- */

/* "host:port", "[v6]:port", "unix:/path". */
bool nr_address_parse(struct nr_span text, uint16_t default_port, bool bind, struct nr_arena *arena,
                      struct nr_config_address *ret_address);

#endif
