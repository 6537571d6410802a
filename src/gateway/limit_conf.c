/* SPDX-License-Identifier: Apache-2.0 */
/* limit_conf.c - the table of `limits` and the rules within one limit. */
#include "gateway/limit_conf.h"

#include <string.h>

#include "codec/head.h"
#include "config/text.h"
#include "config/units.h"
#include "gateway/pattern.h"
#include "policy/limit_table.h"

_Static_assert((int)NR_LIMIT_CONF_TIERS_MAX < (int)NR_LIMIT_TIERS_MAX,
               "the table can tell them apart");

/* With `keys: auto`: as many as this, or, for exact logs, as fit into so much memory. */
enum { KEYS_AUTO = 100000, LOG_BYTES_AUTO = 64 << 20, LOG_KEYS_MIN = 16 };
static const uint64_t table_bytes_max = (uint64_t)4 << 30;

/* ---- keys ---- */

static const struct {
    const char *text;
    enum nr_limit_by part;
    bool named;
} parts[] = {
    {"global", NR_LIMIT_BY_GLOBAL, false}, {"ip", NR_LIMIT_BY_IP, false},
    {"route", NR_LIMIT_BY_ROUTE, false},   {"path", NR_LIMIT_BY_PATH, false},
    {"host", NR_LIMIT_BY_HOST, false},     {"method", NR_LIMIT_BY_METHOD, false},
    {"header:", NR_LIMIT_BY_HEADER, true}, {"cookie:", NR_LIMIT_BY_COOKIE, true},
    {"query:", NR_LIMIT_BY_QUERY, true},   {"param:", NR_LIMIT_BY_PARAM, true},
};

bool nr_limit_part_parse(struct nr_span text, enum nr_limit_by *ret_part, struct nr_span *ret_name)
{
    for (size_t i = 0; i < NR_COUNT(parts); i++) {
        struct nr_span word = nr_span_of(parts[i].text);

        if (parts[i].named ? !nr_span_starts_with(text, word) : !nr_span_eq(text, word))
            continue;
        *ret_part = parts[i].part;
        *ret_name = nr_span_from(text, word.len);
        if (!parts[i].named || parts[i].part == NR_LIMIT_BY_QUERY)
            return !parts[i].named || ret_name->len > 0;
        return nr_field_name_valid(*ret_name);
    }
    return false;
}

static bool part_sound(const struct nr_rate_limit_conf *limit, const char *field,
                       struct nr_span text, struct nr_diags *diags)
{
    enum nr_limit_by part;
    struct nr_span name;

    if (nr_limit_part_parse(text, &part, &name))
        return true;
    if (nr_span_starts_with(text, NR_SPAN("jwt.")))
        nr_section_error(&limit->at, field, diags, "header:NAME, set by who checks the token",
                         "'%s' needs tokens to be checked, which this version does not do yet",
                         text.ptr);
    else
        nr_section_error(&limit->at, field, diags, NULL,
                         "a key is made from global, ip, route, path, host, method, header:NAME, "
                         "cookie:NAME, query:NAME and param:NAME, got '%s'",
                         text.ptr);
    return false;
}

/* ---- what the policy is given ---- */

static bool has_burst(enum nr_limit_algorithm algorithm)
{
    return algorithm == NR_LIMIT_TOKEN_BUCKET || algorithm == NR_LIMIT_GCRA ||
           algorithm == NR_LIMIT_LEAKY_BUCKET;
}

struct nr_limit_conf nr_limit_conf_tier(const struct nr_rate_limit_conf *conf, struct nr_rate rate,
                                        uint32_t burst)
{
    struct nr_limit_conf tier = {.algorithm = (enum nr_limit_algorithm)conf->algorithm,
                                 .limit = (uint32_t)rate.count,
                                 .period_ns = rate.per_ns};

    if (has_burst(tier.algorithm)) {
        tier.burst = burst == NR_LIMIT_AUTO ? tier.limit : burst;
        tier.smooth_after = conf->mode == NR_LIMIT_MODE_QUEUE ? conf->smooth_after : tier.burst;
    } else if (burst != NR_LIMIT_AUTO) { /* a window takes so many more */
        tier.limit = burst > UINT32_MAX - tier.limit ? UINT32_MAX : tier.limit + burst;
    }
    return tier;
}

void nr_limit_conf_tiers(const struct nr_rate_limit_conf *conf, struct nr_limit_conf *to)
{
    uint32_t most = 0;

    to[0] = nr_limit_conf_tier(conf, conf->rate, conf->burst);
    for (uint32_t i = 0; i < conf->tier_count; i++)
        to[i + 1] = nr_limit_conf_tier(conf, conf->tiers[i].rate, conf->tiers[i].burst);
    for (uint32_t i = 0; i <= conf->tier_count; i++)
        most = to[i].limit > most ? to[i].limit : most;
    for (uint32_t i = 0; i <= conf->tier_count; i++)
        to[i].log_units = conf->algorithm == NR_LIMIT_SLIDING_LOG ? most : 0;
}

bool nr_limit_conf_same(const struct nr_limit_conf *a, const struct nr_limit_conf *b)
{
    return a->limit == b->limit && a->burst == b->burst && a->period_ns == b->period_ns &&
           a->smooth_after == b->smooth_after;
}

static uint32_t share_of(uint32_t units, double share)
{
    uint32_t left = (uint32_t)((double)units * share);

    return left > 0 || units == 0 ? left : 1;
}

struct nr_limit_conf nr_limit_conf_share(struct nr_limit_conf tier, double share)
{
    bool smooth = tier.smooth_after < tier.burst;

    tier.limit = share_of(tier.limit, share);
    tier.burst = share_of(tier.burst, share);
    if (!smooth || tier.smooth_after > tier.burst)
        tier.smooth_after = tier.burst;
    return tier;
}

bool nr_limit_conf_charges(const struct nr_rate_limit_conf *conf, uint32_t tier)
{
    uint32_t over = tier == 0 ? NR_LIMIT_AUTO : conf->tiers[tier - 1].over;

    return (over == NR_LIMIT_AUTO ? conf->over : over) == NR_LIMIT_OVER_CHARGE;
}

static uint32_t log_units_of(const struct nr_rate_limit_conf *conf)
{
    struct nr_limit_conf tiers[NR_LIMIT_CONF_TIERS_MAX + 1];

    nr_limit_conf_tiers(conf, tiers);
    return tiers[0].log_units;
}

/* Is there one counter for all? */
static bool is_single(const struct nr_rate_limit_conf *conf)
{
    return conf->key_count == 1 && nr_span_eq(conf->key[0], NR_SPAN("global"));
}

uint32_t nr_limit_conf_keys(const struct nr_rate_limit_conf *conf)
{
    uint64_t fit;

    if (is_single(conf))
        return 1;
    if (conf->keys != NR_LIMIT_AUTO)
        return conf->keys;
    if (conf->algorithm != NR_LIMIT_SLIDING_LOG)
        return KEYS_AUTO;
    fit = LOG_BYTES_AUTO / (nr_limit_table_bytes(LOG_KEYS_MIN, log_units_of(conf)) / LOG_KEYS_MIN);
    return fit > KEYS_AUTO ? KEYS_AUTO : fit < LOG_KEYS_MIN ? LOG_KEYS_MIN : (uint32_t)fit;
}

/* ---- rules ---- */

static void check_rates(const struct nr_rate_limit_conf *limit, struct nr_diags *diags)
{
    struct nr_limit_conf tiers[NR_LIMIT_CONF_TIERS_MAX + 1];

    for (uint32_t i = 0; i <= limit->tier_count; i++) {
        const struct nr_section *at = i == 0 ? &limit->at : &limit->tiers[i - 1].at;

        if ((i == 0 ? limit->rate : limit->tiers[i - 1].rate).count > UINT32_MAX) {
            nr_section_error(at, "rate", diags, NULL, "a rate is at most %u", UINT32_MAX);
            return;
        }
    }
    nr_limit_conf_tiers(limit, tiers);
    for (uint32_t i = 0; i <= limit->tier_count; i++)
        if (!nr_limit_conf_ok(&tiers[i]))
            nr_section_error(i == 0 ? &limit->at : &limit->tiers[i - 1].at, "rate", diags, NULL,
                             "this rate cannot be kept: a period is at most 366 days, a bucket "
                             "needs a burst of 1 or more and to run empty within a century");
}

static void check_memory(const struct nr_rate_limit_conf *limit, struct nr_diags *diags)
{
    uint64_t bytes = nr_limit_table_bytes(nr_limit_conf_keys(limit), log_units_of(limit));

    if (bytes > table_bytes_max)
        nr_section_error(&limit->at, "keys", diags,
                         "fewer 'keys', or sliding_window, which needs 64 bytes a key",
                         "%u keys with logs of %u would take %llu MiB", nr_limit_conf_keys(limit),
                         log_units_of(limit), (unsigned long long)(bytes >> 20));
}

static void check_key(const struct nr_rate_limit_conf *limit, struct nr_diags *diags)
{
    if (limit->key_count > NR_LIMIT_KEY_PARTS_MAX)
        nr_section_error(&limit->at, "key", diags, NULL, "a key has at most %d parts",
                         NR_LIMIT_KEY_PARTS_MAX);
    for (uint32_t i = 0; i < limit->key_count; i++) {
        if (!part_sound(limit, "key", limit->key[i], diags))
            return;
        if (nr_span_eq(limit->key[i], NR_SPAN("global")) && limit->key_count > 1)
            nr_section_error(&limit->at, "key", diags, NULL,
                             "'global' is one counter for all, so it stands alone");
        for (uint32_t j = 0; j < i; j++)
            if (nr_span_eq(limit->key[i], limit->key[j]))
                nr_section_error(&limit->at, "key", diags, NULL, "'%s' is listed twice",
                                 limit->key[i].ptr);
    }
    if (is_single(limit) && limit->keys != NR_LIMIT_AUTO)
        nr_section_error(&limit->at, "keys", diags, NULL, "a 'global' limit has one key");
}

static void check_tiers(const struct nr_rate_limit_conf *limit, struct nr_diags *diags)
{
    if (limit->tier_count > NR_LIMIT_CONF_TIERS_MAX)
        nr_section_error(&limit->at, "tiers", diags, NULL, "at most %d tiers",
                         NR_LIMIT_CONF_TIERS_MAX);
    if (limit->tier_count > 0 && limit->tier_key.len == 0)
        nr_section_error(&limit->at, "tiers", diags, "tier_key: \"header:X-Tier\"",
                         "'tiers' needs a 'tier_key': what tells a request's tier");
    if (limit->tier_key.len == 0)
        return;
    if (limit->tier_count == 0)
        nr_section_error(&limit->at, "tier_key", diags, NULL, "'tier_key' is for 'tiers'");
    if (nr_span_eq(limit->tier_key, NR_SPAN("ip")) ||
        nr_span_eq(limit->tier_key, NR_SPAN("global")))
        nr_section_error(&limit->at, "tier_key", diags, "tier_key: \"header:X-Tier\"",
                         "no tier is called after an address or after everybody");
    (void)part_sound(limit, "tier_key", limit->tier_key, diags);
}

/* What is printed loads again, so a default that was written is as good as none. */
static void check_mode(const struct nr_rate_limit_conf *limit, struct nr_diags *diags)
{
    const char *field = limit->mode != NR_LIMIT_MODE_QUEUE ? "mode" : "smooth_after";

    if (limit->algorithm != NR_LIMIT_LEAKY_BUCKET &&
        (limit->mode != NR_LIMIT_MODE_QUEUE || limit->smooth_after != 0))
        nr_section_error(&limit->at, field, diags, "algorithm: leaky_bucket",
                         "'%s' is for leaky_bucket", field);
}

static void check_limit(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_rate_limit_conf *limit = section;
    uint32_t errors = diags->errors;

    (void)arena;
    check_key(limit, diags);
    check_tiers(limit, diags);
    check_mode(limit, diags);
    if (diags->errors == errors)
        check_rates(limit, diags);
    if (diags->errors == errors)
        check_memory(limit, diags);
}

/* ---- entries of lists ---- */

static bool is_own(const struct nr_rate_limit_conf *entry)
{
    return entry->use.len == 0;
}

/* A rate alone stands where a name could: names have no slash. */
static void take_rate(struct nr_rate_limit_conf *entry, struct nr_diags *diags)
{
    if (memchr(entry->use.ptr, '/', entry->use.len) == NULL)
        return;
    if (!nr_units_rate(entry->use, false, &entry->rate))
        nr_section_error(&entry->at, "use", diags, "100/15min",
                         "expected the name of a limit or a rate, got '%s'", entry->use.ptr);
    else
        entry->use.len = 0;
}

/* A field that says more than its default; NULL: none. */
static const char *own_field(const struct nr_rate_limit_conf *entry)
{
    const struct {
        const char *name;
        bool said;
    } fields[] = {
        {"rate", entry->rate.count > 0},
        {"name", entry->name.len > 0},
        {"key", entry->key_count != 1 || !nr_span_eq(entry->key[0], NR_SPAN("ip"))},
        {"algorithm", entry->algorithm != NR_LIMIT_SLIDING_WINDOW},
        {"burst", entry->burst != NR_LIMIT_AUTO},
        {"mode", entry->mode != NR_LIMIT_MODE_QUEUE},
        {"smooth_after", entry->smooth_after != 0},
        {"tiers", entry->tier_count > 0},
        {"tier_key", entry->tier_key.len > 0},
        {"keys", entry->keys != NR_LIMIT_AUTO},
        {"missing", entry->missing != NR_LIMIT_MISSING_IP},
        {"ipv4_prefix", entry->ipv4_prefix_bits != 32},
        {"ipv6_prefix", entry->ipv6_prefix_bits != 64},
        {"over", entry->over != NR_LIMIT_OVER_BLOCK},
        {"meter", entry->meter > 0},
        {"under_pressure", entry->under_pressure < 1},
        {"headers", !entry->headers},
        {"observe_only", entry->observe_only},
    };

    for (size_t i = 0; i < NR_COUNT(fields); i++)
        if (fields[i].said)
            return fields[i].name;
    return NULL;
}

static void check_entry(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    struct nr_rate_limit_conf *entry = section;
    const char *field = is_own(entry) ? NULL : own_field(entry);
    uint32_t errors = diags->errors;

    if (field != NULL) {
        nr_section_error(&entry->at, field, diags, NULL,
                         "'%s' is not said beside 'use': only 'cost' is", field);
        return;
    }
    if (!is_own(entry))
        take_rate(entry, diags);
    if (diags->errors > errors || !is_own(entry))
        return;
    if (entry->rate.count == 0)
        nr_section_error(&entry->at, NULL, diags, "limits: [100/15min]",
                         "expected the name of a limit, or a limit with its 'rate'");
    else
        check_limit(entry, arena, diags);
}

static void check_param(const struct nr_rate_limit_conf *limit, struct nr_span pattern,
                        const struct nr_section *at, struct nr_diags *diags)
{
    for (uint32_t i = 0; i < limit->key_count; i++) {
        enum nr_limit_by part;
        struct nr_span name;

        if (nr_limit_part_parse(limit->key[i], &part, &name) && part == NR_LIMIT_BY_PARAM &&
            nr_pattern_param(pattern, name) < 0)
            nr_section_error(at, NULL, diags, NULL,
                             "limit '%s' counts by '%s', and there is no such parameter in "
                             "the path '%s'",
                             limit->name.len > 0 ? limit->name.ptr : "of its own",
                             limit->key[i].ptr, pattern.ptr);
    }
}

static void check_pressure(const struct nr_rate_limit_conf *limit, bool sheds,
                           const struct nr_section *at, struct nr_diags *diags)
{
    if (limit->under_pressure < 1 && !sheds)
        nr_section_error(
            at, NULL, diags, "gateway: { shedding: { capacity: 500 } }",
            "limit '%s' has a rate for times of pressure, and nothing says when that is: "
            "there is no gateway.shedding",
            limit->name.len > 0 ? limit->name.ptr : "of its own");
}

static void unknown_limit(const struct nr_limits_conf *limits,
                          const struct nr_rate_limit_conf *entry, struct nr_diags *diags)
{
    struct nr_suggest suggest;

    nr_suggest_init(&suggest, entry->use);
    for (uint32_t i = 0; limits != NULL && i < limits->count; i++)
        nr_suggest_try(&suggest, limits->items[i].name);
    nr_section_error(&entry->at, "use", diags, "declare it in 'limits', or write a rate: 100/min",
                     "unknown limit '%s'%s", entry->use.ptr,
                     nr_suggest_text(&suggest, diags->arena));
}

void nr_limit_check_list(const struct nr_limits_conf *limits,
                         const struct nr_rate_limit_conf *entries, uint32_t count,
                         struct nr_span pattern, bool sheds, const struct nr_section *at,
                         struct nr_diags *diags)
{
    if (count > NR_LIMIT_LIST_MAX)
        nr_section_error(at, "limits", diags, NULL, "at most %d limits at one place",
                         NR_LIMIT_LIST_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const struct nr_rate_limit_conf *entry = &entries[i];
        const struct nr_rate_limit_conf *limit = entry;

        if (!is_own(entry))
            limit = nr_limit_conf_find(limits, entry->use);
        if (limit == NULL) {
            unknown_limit(limits, entry, diags);
        } else {
            check_param(limit, pattern, &entry->at, diags);
            check_pressure(limit, sheds, &entry->at, diags);
        }
        for (uint32_t j = 0; !is_own(entry) && j < i; j++)
            if (nr_span_eq(entry->use, entries[j].use))
                nr_section_error(&entry->at, "use", diags, NULL, "limit '%s' is listed twice",
                                 entry->use.ptr);
    }
}

/* ---- tables ---- */

/* clang-format off */

static const struct nr_schema_word algorithms[] = {
    {"sliding_window", NR_LIMIT_SLIDING_WINDOW, "two counters; a little over the rate at worst"},
    {"sliding_log", NR_LIMIT_SLIDING_LOG, "exact; 16 bytes more for each unit and key"},
    {"token_bucket", NR_LIMIT_TOKEN_BUCKET, "a burst at once, then the rate"},
    {"gcra", NR_LIMIT_GCRA, "the same, by the time of the next one"},
    {"leaky_bucket", NR_LIMIT_LEAKY_BUCKET, "one by one, a burst waits in line"},
    {"fixed_window", NR_LIMIT_FIXED_WINDOW, "from the first request on; up to twice the rate at its border"},
    {NULL, 0, NULL},
};

static const struct nr_schema_word auto_word[] = {
    {"auto", NR_LIMIT_AUTO, NULL},
    {NULL, 0, NULL},
};

static const struct nr_schema_word modes[] = {
    {"queue", NR_LIMIT_MODE_QUEUE, "hold a request until its turn, if its deadline allows"},
    {"reject", NR_LIMIT_MODE_REJECT, "hold none"},
    {NULL, 0, NULL},
};

static const struct nr_schema_word missing_words[] = {
    {"ip", NR_LIMIT_MISSING_IP, "the client's address stands for the missing part"},
    {"allow", NR_LIMIT_MISSING_ALLOW, "the limit does not apply"},
    {"deny", NR_LIMIT_MISSING_DENY, "it is refused with 400"},
    {NULL, 0, NULL},
};

#define OVER_WORDS                                                                                 \
    {"block", NR_LIMIT_OVER_BLOCK, "it is refused"},                                               \
        {"charge", NR_LIMIT_OVER_CHARGE, "it passes and is counted as charged"}

static const struct nr_schema_word over_words[] = {OVER_WORDS, {NULL, 0, NULL}};

static const struct nr_schema_word tier_over_words[] = {
    {"auto", NR_LIMIT_AUTO, "as the limit says"}, OVER_WORDS, {NULL, 0, NULL}};

static const struct nr_schema_field tier_fields[] = {
    {.name = "rate", .type = NR_SCHEMA_RATE, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct nr_limit_tier_conf, rate), .doc = "How much in which time."},
    {.name = "burst", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_limit_tier_conf, burst),
     .value = "auto", .max = "4294967294", .words = auto_word, .doc = "As that of the limit."},
    {.name = "over", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_limit_tier_conf, over),
     .value = "auto", .words = tier_over_words, .doc = "What becomes of requests beyond the rate."},
};

static const struct nr_schema tier_schema = {
    .title = "Tier", NR_SCHEMA_FIELDS(tier_fields, struct nr_limit_tier_conf),
    .name_offset = offsetof(struct nr_limit_tier_conf, name), .shorthand = "rate",
};

#define RATE(flags_)                                                                               \
    {.name = "rate", .type = NR_SCHEMA_RATE, .flags = (flags_),                                    \
     NR_SCHEMA_AT(struct nr_rate_limit_conf, rate), .doc = "How much in which time: 100/min."}

#define FIELDS                                                                                     \
    {.name = "key", .type = NR_SCHEMA_LIST, .element = NR_SCHEMA_STRING,                           \
     NR_SCHEMA_MANY(struct nr_rate_limit_conf, key, key_count), .value = "ip", .min = "1",         \
     .max = "256",                                                                                 \
     .doc = "By what it counts: ip, header:NAME, cookie:NAME, query:NAME, param:NAME, route, "     \
            "path, host, method, several of them, or global."},                                    \
    {.name = "algorithm", .type = NR_SCHEMA_ENUM,                                                  \
     NR_SCHEMA_AT(struct nr_rate_limit_conf, algorithm), .value = "sliding_window",                \
     .words = algorithms, .doc = "How it counts."},                                                \
    {.name = "burst", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_rate_limit_conf, burst),       \
     .value = "auto", .max = "4294967294", .words = auto_word,                                     \
     .doc = "Buckets and gcra: how much at once (leaky_bucket: how many in line), by default as "  \
            "much as the rate has. Windows: so much more than the rate, by default nothing."},     \
    {.name = "mode", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_rate_limit_conf, mode),        \
     .value = "queue", .words = modes, .doc = "Of a leaky_bucket."},                               \
    {.name = "smooth_after", .type = NR_SCHEMA_U32,                                                \
     NR_SCHEMA_AT(struct nr_rate_limit_conf, smooth_after), .value = "0",                          \
     .doc = "Of a leaky_bucket that queues: so many in line need not wait."},                      \
    {.name = "tiers", .type = NR_SCHEMA_MAP,                                                       \
     NR_SCHEMA_MANY(struct nr_rate_limit_conf, tiers, tier_count), .section = &tier_schema,        \
     .doc = "Other rates, by name: { paid: 1000/min }."},                                          \
    {.name = "tier_key", .type = NR_SCHEMA_STRING,                                                 \
     NR_SCHEMA_AT(struct nr_rate_limit_conf, tier_key), .min = "1", .max = "256",                  \
     .doc = "What tells a request's tier, as in `key`. Fields, cookies and parameters are "        \
            "believed from trusted_proxies only. No such tier: `rate`."},                          \
    {.name = "keys", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_rate_limit_conf, keys),         \
     .value = "auto", .min = "1", .max = "100000000", .words = auto_word,                          \
     .doc = "For how many keys memory is set aside, 64 bytes each; beyond it who used least is "   \
            "forgotten. auto: 100000, or what 64 MiB of logs hold."},                              \
    {.name = "missing", .type = NR_SCHEMA_ENUM,                                                    \
     NR_SCHEMA_AT(struct nr_rate_limit_conf, missing), .value = "ip", .words = missing_words,      \
     .doc = "When a request lacks a part of the key."},                                            \
    {.name = "ipv4_prefix", .type = NR_SCHEMA_U32,                                                 \
     NR_SCHEMA_AT(struct nr_rate_limit_conf, ipv4_prefix_bits), .value = "32", .min = "8",         \
     .max = "32", .doc = "Bits of an IPv4 address that tell clients apart."},                      \
    {.name = "ipv6_prefix", .type = NR_SCHEMA_U32,                                                 \
     NR_SCHEMA_AT(struct nr_rate_limit_conf, ipv6_prefix_bits), .value = "64", .min = "16",        \
     .max = "128", .doc = "Bits of an IPv6 address that tell clients apart."},                     \
    {.name = "over", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct nr_rate_limit_conf, over),        \
     .value = "block", .words = over_words,                                                        \
     .doc = "What becomes of requests beyond the rate."},                                          \
    {.name = "meter", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_rate_limit_conf, meter),       \
     .value = "0", .max = "1000000",                                                               \
     .doc = "For how many keys usage is kept by name, 128 bytes each, for GET /v1/usage; further " \
            "ones are counted together. 0: for none."},                                            \
    {.name = "under_pressure", .type = NR_SCHEMA_RATIO,                                            \
     NR_SCHEMA_AT(struct nr_rate_limit_conf, under_pressure), .value = "100%", .min = "1%",        \
     .max = "100%",                                                                                \
     .doc = "The share of rates and bursts that is left at the first level of gateway.shedding; "  \
            "at the second, that share of it."},                                                   \
    {.name = "headers", .type = NR_SCHEMA_BOOL,                                                    \
     NR_SCHEMA_AT(struct nr_rate_limit_conf, headers), .value = "true",                            \
     .doc = "Answers tell of it: RateLimit, RateLimit-Policy, X-RateLimit-*."},                    \
    {.name = "observe_only", .type = NR_SCHEMA_BOOL,                                               \
     NR_SCHEMA_AT(struct nr_rate_limit_conf, observe_only), .value = "false",                      \
     .doc = "Count and record what it would refuse, and refuse nothing."}

static const struct nr_schema_field limit_fields[] = {
    RATE(NR_SCHEMA_REQUIRED), FIELDS,
    {.name = "cost", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_rate_limit_conf, cost),
     .value = "1", .max = "1000000",
     .doc = "What one request takes of it; 0: it is only told how things stand."},
};

static const struct nr_schema limit_schema = {
    .title = "Rate limit",
    .doc = "How much each key may use. A limit does nothing until a route, a listener or the "
           "gateway lists it; listed at several places it is still one.",
    NR_SCHEMA_FIELDS(limit_fields, struct nr_rate_limit_conf),
    .name_offset = offsetof(struct nr_rate_limit_conf, name),
    .shorthand = "rate", .check = check_limit,
};

static const struct nr_schema_field entry_fields[] = {
    {.name = "use", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_rate_limit_conf, use),
     .min = "1", .max = "64",
     .doc = "A limit of the section `limits`, or a rate, counted by the client's address."},
    {.name = "cost", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct nr_rate_limit_conf, cost),
     .value = "auto", .max = "1000000", .words = auto_word,
     .doc = "What one request takes of it here. auto: as the limit says, else 1."},
    {.name = "name", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_rate_limit_conf, name),
     .min = "1", .max = "64",
     .doc = "What records and metrics call a limit of its own. Default: as its place."},
    RATE(0),
    FIELDS,
};

const struct nr_schema nr_limit_entry_schema = {
    .title = "Rate limit of its own",
    .doc = "A name of `limits`, a rate such as 100/15min, or a limit of its own.",
    NR_SCHEMA_FIELDS(entry_fields, struct nr_rate_limit_conf),
    .shorthand = "use", .check = check_entry,
};

const struct nr_schema_root nr_limits_conf_root = {
    .field = {.name = "limits", .type = NR_SCHEMA_MAP,
              NR_SCHEMA_MANY(struct nr_limits_conf, items, count), .section = &limit_schema,
              .doc = "How much each client may use, by name."},
    .bytes = sizeof(struct nr_limits_conf),
};

/* clang-format on */

const struct nr_limits_conf *nr_limits_conf_of(const struct nr_config *config)
{
    return nr_config_get(config, &nr_limits_conf_root);
}

const struct nr_rate_limit_conf *nr_limit_conf_find(const struct nr_limits_conf *limits,
                                                    struct nr_span name)
{
    for (uint32_t i = 0; limits != NULL && i < limits->count; i++)
        if (nr_span_eq(limits->items[i].name, name))
            return &limits->items[i];
    return NULL;
}
