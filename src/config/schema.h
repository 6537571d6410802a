/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h - how a module says what may stand in its section of the configuration.
 *
 * A section is a C struct and a table of fields: name, type, where it goes, default, range, one
 * line of documentation. From that one table come the loader with its diagnostics, the JSON
 * Schema, the reference page and the printout. Tables are constant data; nothing registers itself:
 * the program lists the roots that it knows and hands the list to the loader.
 *
 * How to declare one:
 *
 *     struct nr_pool_conf {
 *         struct nr_section at;      // every section struct begins with it
 *         uint32_t max_idle;
 *         uint64_t max_lifetime_ns;
 *     };
 *
 *     static const struct nr_schema_field pool_fields[] = {
 *         {.name = "max_idle", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_pool_conf, max_idle),
 *          .value = "64", .max = "65536", .doc = "Idle connections kept."},
 *         …
 *     };
 *     static const struct nr_schema pool_schema = {
 *         .title = "Connection pool", NR_SCHEMA_FIELDS(pool_fields, struct nr_pool_conf)};
 *
 * Defaults, minima and maxima are text in the same notation as in the file ("250ms", "64KiB").
 * A field that is not written gets its default; without a default it stays zero.
 *
 * Types, and what they store:
 *
 *   BOOL        bool            true, false, yes, no, on, off
 *   U32, U64    uint32_t/64     decimal
 *   OCTAL       uint32_t        0660: permission bits
 *   SIZE        uint64_t bytes  64KiB, 1MiB, or plain bytes
 *   DURATION    uint64_t ns     250ms, 2s, 1m, 1h, 30d; fractions allowed (1.5s)
 *   RATE        nr_rate         100/min, 10/s, 100/15min
 *   BYTE_RATE   nr_rate         64KiB/s
 *   RATIO       double          50% or 0.5
 *   ENUM        uint32_t        one of the words
 *   SET         uint64_t        list of words: bit 1 << value of each
 *   STRING      nr_span         UTF-8, NUL-terminated; min and max are lengths in bytes
 *   ADDRESS     nr_config_address
 *   CIDR        nr_cidr         10.0.0.0/8; a lone address is its own block
 *   STATUS      nr_status_range 200, 2xx, 200-399
 *   LIST        T *, uint32_t   scalars of the type `element`; one scalar may stand for a list of
 * one SECTION     struct, or pointer to one (NULL when absent) with NR_SCHEMA_OPTIONAL SECTIONS T
 * *, uint32_t   list of sections MAP         T *, uint32_t   names → sections, in the order
 * written; the name goes to name_offset JSON        const nr_node * anything, kept as written; NULL
 * when absent
 *
 * `words` beside any other scalar type are words that may stand instead of a value
 * (`workers: auto`): they store their number (in a size, duration or integer), or
 * leave an address empty. */
#ifndef NR_CONFIG_SCHEMA_H
#define NR_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "config/diag.h"
#include "config/node.h"
#include "io/addr.h"
#include "naru/span.h"

enum nr_schema_type {
    NR_SCHEMA_BOOL,
    NR_SCHEMA_U32,
    NR_SCHEMA_U64,
    NR_SCHEMA_OCTAL,
    NR_SCHEMA_SIZE,
    NR_SCHEMA_DURATION,
    NR_SCHEMA_RATE,
    NR_SCHEMA_BYTE_RATE,
    NR_SCHEMA_RATIO,
    NR_SCHEMA_ENUM,
    NR_SCHEMA_SET,
    NR_SCHEMA_STRING,
    NR_SCHEMA_ADDRESS,
    NR_SCHEMA_CIDR,
    NR_SCHEMA_STATUS,
    NR_SCHEMA_LIST,
    NR_SCHEMA_SECTION,
    NR_SCHEMA_SECTIONS,
    NR_SCHEMA_MAP,
    NR_SCHEMA_JSON,
    NR_SCHEMA_TYPES
};

enum nr_schema_flag {
    NR_SCHEMA_REQUIRED = 1, /* must be written; lists and maps: with at least one entry */
    NR_SCHEMA_OPTIONAL = 2, /* SECTION: stored as a pointer, NULL when absent */
    NR_SCHEMA_BIND = 4,     /* ADDRESS to listen on: port 0, ":80" and "*:80" allowed */
    NR_SCHEMA_SECRET = 8,   /* never printed */
    NR_SCHEMA_NUMBER = 16,  /* STRING that may look like a number: for the JSON Schema */
};

/* count per per_ns, both above zero. */
struct nr_rate {
    uint64_t count; /* or bytes */
    uint64_t per_ns;
};

struct nr_status_range {
    uint16_t first;
    uint16_t last; /* inclusive */
};

enum nr_config_address_kind {
    NR_CONFIG_ADDRESS_NONE, /* a word such as `none`, or no default */
    NR_CONFIG_ADDRESS_NAME, /* to be resolved */
    NR_CONFIG_ADDRESS_IP,   /* numeric; text suits nr_addr_parse */
    NR_CONFIG_ADDRESS_ANY,  /* ":80", "*:80"; text suits nr_addr_parse */
    NR_CONFIG_ADDRESS_UNIX, /* text suits nr_addr_parse */
};

struct nr_config_address {
    uint32_t kind;            /* enum nr_config_address_kind */
    uint16_t port;            /* not for unix */
    struct nr_span host;      /* without brackets; NUL-terminated; empty for ANY and UNIX */
    struct nr_span unix_path; /* NUL-terminated; '@' in front means abstract */
    struct nr_span text; /* normal form "host:port", "[v6]:port", "unix:/path"; NUL-terminated */
};

/* The first member of every section struct: where it was written. */
struct nr_section {
    const struct nr_node *node; /* as written; NULL when all of it is defaulted */
    struct nr_place place;      /* where it starts, or what encloses it if it was not written */
    const char *path;           /* "services.orders.retry" */
};

struct nr_schema_word {
    const char *name;
    uint64_t value;
    const char *doc; /* may be NULL */
};

struct nr_schema;

struct nr_schema_field {
    const char *name;
    enum nr_schema_type type;
    uint32_t flags;      /* enum nr_schema_flag */
    size_t offset;       /* in the section's struct; see NR_SCHEMA_AT */
    size_t bytes;        /* of the member, checked against the type */
    size_t count_offset; /* LIST, SECTIONS, MAP: of the uint32_t count; see NR_SCHEMA_MANY */
    const char *value;   /* default; lists in flow style: "[a, b]" */
    const char *min;     /* inclusive; NULL: none */
    const char *max;
    const struct nr_schema_word *words; /* ended by a NULL name */
    enum nr_schema_type element;        /* LIST: a scalar type, to which words, min, max apply */
    uint16_t default_port;              /* ADDRESS: 0 means that a port must be written */
    const struct nr_schema *section;    /* SECTION, SECTIONS, MAP */
    const char *doc;                    /* one line for the reference page */
};

/* Rules between the fields of one section, called when all of them are sound. May also complete
 * what follows from others (a route without a name gets one from its path), in the arena. */
typedef void (*nr_schema_check_fn)(void *section, struct nr_arena *arena, struct nr_diags *diags);

struct nr_schema {
    const char *title; /* "Connection pool" */
    const char *doc;   /* a paragraph; may be NULL */
    const struct nr_schema_field *fields;
    uint32_t count;
    size_t bytes;          /* of the struct */
    size_t name_offset;    /* as entries of a MAP: of the struct nr_span name; never 0 then */
    const char *shorthand; /* a scalar or list instead of a mapping means this field; may be NULL */
    nr_schema_check_fn check; /* may be NULL */
};

#define NR_SCHEMA_AT(type_, member)                                                                \
    .offset = offsetof(type_, member), .bytes = sizeof(((type_ *)0)->member)
#define NR_SCHEMA_MANY(type_, member, count_member)                                                \
    .offset = offsetof(type_, member), .bytes = sizeof(((type_ *)0)->member),                      \
    .count_offset = offsetof(type_, count_member)
#define NR_SCHEMA_FIELDS(fields_, type_)                                                           \
    .fields = (fields_), .count = NR_COUNT(fields_), .bytes = sizeof(type_)

struct nr_config;

/* A top-level section. The module that owns it exports one as a constant. */
struct nr_schema_root {
    struct nr_schema_field field; /* SECTION or MAP; offsets in the root's struct */
    size_t bytes;                 /* of the root's struct */
    /* Rules across sections (a route names a service), when all sections are sound. May be NULL. */
    void (*check)(const struct nr_config *config, struct nr_diags *diags);
};

/* The place of a field as written, else of its section. */
struct nr_place nr_section_where(const struct nr_section *at, const char *field);

/* Was the field written, rather than defaulted? */
bool nr_section_has(const struct nr_section *at, const char *field);

/* Report at a field (NULL: at the section). fix may be NULL. */
void nr_section_error(const struct nr_section *at, const char *field, struct nr_diags *diags,
                      const char *fix, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
