/* SPDX-License-Identifier: Apache-2.0 */
/* balance_conf.c - the table of `balance`. */
#include "service/balance_conf.h"

#include "codec/head.h"
#include "policy/hash_table.h"

/* clang-format off */

static const struct nr_schema_word algorithms[] = {
    {"round_robin", NR_BALANCE_ROUND_ROBIN, "in turn, smoothly by weight"},
    {"least_requests", NR_BALANCE_LEAST_REQUESTS, "the one with the fewest requests in flight"},
    {"least_connections", NR_BALANCE_LEAST_REQUESTS, "the same, by its name for TCP"},
    {"p2c", NR_BALANCE_P2C, "the better of two random ones, by requests in flight and latency"},
    {"random", NR_BALANCE_RANDOM, "at random, by weight"},
    {"ip_hash", NR_BALANCE_IP_HASH, "by the client's network: /24 of IPv4, /64 of IPv6"},
    {"hash", NR_BALANCE_HASH, "by the key"},
    {"sticky", NR_BALANCE_STICKY, "where the client was before, by a cookie; else the least loaded"},
    {NULL, 0, NULL},
};

static const struct nr_schema_word tables[] = {
    {"maglev", NR_HASH_MAGLEV, "the most even shares"},
    {"ring", NR_HASH_RING, "the fewest keys move when the list of instances changes"},
    {NULL, 0, NULL},
};

static const struct nr_schema_word same_sites[] = {
    {"lax", NR_SAME_SITE_LAX, NULL},
    {"strict", NR_SAME_SITE_STRICT, NULL},
    {"none", NR_SAME_SITE_NONE, "only with secure"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field cookie_fields[] = {
    {.name = "name", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_cookie_conf, name),
     .value = "naru", .min = "1", .max = "64",
     .doc = "Name of the cookie that naru sets."},
    {.name = "path", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_cookie_conf, path),
     .value = "/", .min = "1", .max = "256",
     .doc = "Its Path."},
    {.name = "domain", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_cookie_conf, domain),
     .min = "1", .max = "253",
     .doc = "Its Domain; without it the cookie is for this host alone."},
    {.name = "ttl", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_cookie_conf, ttl_ns),
     .value = "0s", .max = "400d",
     .doc = "Its Max-Age; 0s: until the browser closes."},
    {.name = "http_only", .type = NR_SCHEMA_BOOL, NR_SCHEMA_AT(struct nr_cookie_conf, http_only),
     .value = "true",
     .doc = "Hide it from scripts."},
    {.name = "secure", .type = NR_SCHEMA_BOOL, NR_SCHEMA_AT(struct nr_cookie_conf, secure),
     .value = "false",
     .doc = "Send it over TLS only."},
    {.name = "same_site", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_cookie_conf, same_site),
     .value = "lax", .words = same_sites,
     .doc = "Its SameSite."},
    {.name = "secret", .type = NR_SCHEMA_STRING, .flags = NR_SCHEMA_SECRET,
     NR_SCHEMA_AT(struct nr_cookie_conf, secret), .min = "16", .max = "256",
     .doc = "Key of its values. Without it one is drawn at each start, and clients are placed anew."},
};

/* clang-format on */

static bool token(struct nr_span text)
{
    return nr_field_name_valid(text);
}

/* No separator of attributes, nothing that would end the field. */
static bool attribute(struct nr_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == ';' || text.ptr[i] <= ' ' || text.ptr[i] == 127)
            return false;
    return true;
}

static void check_cookie(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_cookie_conf *cookie = section;

    if (!token(cookie->name))
        nr_section_error(&cookie->at, "name", diags, NULL,
                         "a cookie's name is made of letters, digits and !#$%%&'*+-.^_`|~");
    if (cookie->path.ptr[0] != '/' || !attribute(cookie->path))
        nr_section_error(&cookie->at, "path", diags, NULL,
                         "a path starts with '/' and has no ';' and no blanks");
    if (!attribute(cookie->domain))
        nr_section_error(&cookie->at, "domain", diags, NULL, "a domain has no ';' and no blanks");
    if (cookie->same_site == NR_SAME_SITE_NONE && !cookie->secure)
        nr_section_error(&cookie->at, "same_site", diags, "secure: true",
                         "browsers refuse SameSite=None without Secure");
}

static const struct nr_schema cookie_schema = {
    .title = "Sticky cookie",
    NR_SCHEMA_FIELDS(cookie_fields, struct nr_cookie_conf),
    .shorthand = "name",
    .check = check_cookie,
};

/* clang-format off */

static const struct nr_schema_field balance_fields[] = {
    {.name = "algorithm", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_balance_conf, algorithm),
     .value = "p2c", .words = algorithms,
     .doc = "How an instance is picked."},
    {.name = "key", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_balance_conf, key_text),
     .min = "1", .max = "128",
     .doc = "With hash: header:NAME, cookie:NAME, query:NAME, path, host or client_ip."},
    {.name = "table", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_balance_conf, table),
     .value = "maglev", .words = tables,
     .doc = "With hash and ip_hash: how keys are laid out."},
    {.name = "bounded_load", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct nr_balance_conf, bounded_load),
     .value = "125%", .max = "10",
     .doc = "With hash and ip_hash: the most that an instance may have in flight, as a share of the mean; beyond it calls overflow. 0%: no bound."},
    {.name = "cookie", .type = NR_SCHEMA_SECTION, NR_SCHEMA_AT(struct nr_balance_conf, cookie),
     .section = &cookie_schema,
     .doc = "With sticky: the cookie that remembers the instance."},
    {.name = "slow_start", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct nr_balance_conf, slow_start_ns),
     .value = "0s", .max = "1h",
     .doc = "How long the share of an instance that is new or back grows, from a tenth to the whole. 0s: not at all."},
    {.name = "panic", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct nr_balance_conf, panic),
     .value = "0%", .max = "100%",
     .doc = "When less than this share of the instances is healthy, health is ignored. 0%: never."},
    {.name = "zone", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_balance_conf, zone),
     .min = "1", .max = "64",
     .doc = "The zone that this naru stands in: its instances come first."},
    {.name = "zone_threshold", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct nr_balance_conf, zone_threshold),
     .value = "70%", .max = "100%",
     .doc = "Our zone serves alone while this share of it is healthy."},
    {.name = "overprovisioning", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct nr_balance_conf, overprovisioning),
     .value = "140%", .max = "10",
     .doc = "A priority serves everything while its healthy share times this is 100%; what is missing goes to the next. 0%: while any of it is healthy."},
};

static const struct {
    const char *name;
    enum nr_balance_key key;
    bool named;
} keys[] = {
    {"header:", NR_KEY_HEADER, true},        {"cookie:", NR_KEY_COOKIE, true},
    {"query:", NR_KEY_QUERY, true},          {"path", NR_KEY_PATH, false},
    {"host", NR_KEY_HOST, false},            {"client_ip", NR_KEY_CLIENT_IP, false},
};

/* clang-format on */

static bool parse_key(struct nr_balance_conf *balance)
{
    struct nr_span text = balance->key_text;

    for (size_t i = 0; i < NR_COUNT(keys); i++) {
        struct nr_span name = nr_span_of(keys[i].name);

        if (keys[i].named ? !nr_span_starts_with(text, name) : !nr_span_eq(text, name))
            continue;
        balance->key = keys[i].key;
        balance->key_name = nr_span_from(text, name.len);
        if (keys[i].key == NR_KEY_QUERY)
            return balance->key_name.len > 0;
        return !keys[i].named || token(balance->key_name);
    }
    return false;
}

static void check_balance(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    struct nr_balance_conf *balance = section;

    if (balance->algorithm == NR_BALANCE_IP_HASH)
        balance->key = NR_KEY_CLIENT_NET;
    if (balance->algorithm == NR_BALANCE_STICKY)
        balance->key = NR_KEY_STICKY;
    if (balance->algorithm == NR_BALANCE_HASH) {
        if (balance->key_text.len == 0)
            nr_section_error(&balance->at, NULL, diags,
                             "balance: { algorithm: hash, key: \"header:X-User\" }",
                             "'hash' needs a 'key'");
        else if (!parse_key(balance))
            nr_section_error(&balance->at, "key", diags, NULL,
                             "a key is header:NAME, cookie:NAME, query:NAME, path, host or "
                             "client_ip, got '%s'",
                             balance->key_text.ptr);
    } else if (balance->key_text.len > 0) {
        nr_section_error(&balance->at, "key", diags, "algorithm: hash",
                         "only 'hash' looks at a 'key'");
    }
    if (balance->bounded_load > 0 && balance->bounded_load < 1)
        nr_section_error(&balance->at, "bounded_load", diags, NULL,
                         "a bound below 100%% cannot be kept by all");
    if (balance->overprovisioning > 0 && balance->overprovisioning < 1)
        nr_section_error(&balance->at, "overprovisioning", diags, NULL,
                         "'overprovisioning' is at least 100%%, or 0%%");
}

const struct nr_schema nr_balance_schema = {
    .title = "Balance",
    NR_SCHEMA_FIELDS(balance_fields, struct nr_balance_conf),
    .shorthand = "algorithm",
    .check = check_balance,
};
