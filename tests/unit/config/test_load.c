/* SPDX-License-Identifier: Apache-2.0 */
/* A schema of our own with every type, so that the loader is tested apart from any module. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/config.h"

enum colour { RED, GREEN, BLUE };

struct leaf {
    struct nr_section at;
    struct nr_span name; /* as an entry of a map */
    struct nr_config_address address;
    uint32_t weight;
};

struct inner {
    struct nr_section at;
    uint64_t low_ns;
    uint64_t high_ns;
};

struct top {
    struct nr_section at;
    bool flag;
    uint32_t workers;
    uint64_t big;
    uint32_t mode;
    uint64_t bytes;
    uint64_t wait_ns;
    struct nr_rate rate;
    struct nr_rate flow;
    double share;
    uint32_t colour;
    uint64_t colours;
    struct nr_span title;
    struct nr_config_address bind;
    struct nr_cidr *nets;
    uint32_t net_count;
    struct nr_status_range status;
    struct inner inner;
    struct inner *maybe;
    struct leaf *leaves;
    uint32_t leaf_count;
    struct leaf *named;
    uint32_t named_count;
    const struct nr_node *json;
    struct nr_span secret;
};

/* clang-format off */
static const struct nr_schema_word colour_words[] = {
    {"red", RED, NULL}, {"green", GREEN, "as grass"}, {"blue", BLUE, NULL}, {NULL, 0, NULL}};
static const struct nr_schema_word auto_word[] = {{"auto", 0, NULL}, {NULL, 0, NULL}};
static const struct nr_schema_word none_word[] = {{"none", UINT64_MAX, NULL}, {NULL, 0, NULL}};

static const struct nr_schema_field leaf_fields[] = {
    {.name = "address", .type = NR_SCHEMA_ADDRESS, .flags = NR_SCHEMA_REQUIRED,
     NR_SCHEMA_AT(struct leaf, address)},
    {.name = "weight", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct leaf, weight),
     .value = "1", .min = "1", .max = "10"},
};
static const struct nr_schema leaf_schema = {
    .title = "Leaf", NR_SCHEMA_FIELDS(leaf_fields, struct leaf),
    .name_offset = offsetof(struct leaf, name), .shorthand = "address"};

static const struct nr_schema_field inner_fields[] = {
    {.name = "low", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct inner, low_ns), .value = "1s"},
    {.name = "high", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct inner, high_ns), .value = "2s"},
};

static void check_inner(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct inner *inner = section;

    if (inner->low_ns > inner->high_ns)
        nr_section_error(&inner->at, "low", diags, "swap them", "'low' is above 'high'");
}

static const struct nr_schema inner_schema = {
    .title = "Inner", NR_SCHEMA_FIELDS(inner_fields, struct inner), .check = check_inner};

static const struct nr_schema_field top_fields[] = {
    {.name = "flag", .type = NR_SCHEMA_BOOL, NR_SCHEMA_AT(struct top, flag), .value = "true", .doc = "A flag."},
    {.name = "workers", .type = NR_SCHEMA_U32, NR_SCHEMA_AT(struct top, workers), .value = "auto",
     .words = auto_word, .min = "1", .max = "65535"},
    {.name = "big", .type = NR_SCHEMA_U64, NR_SCHEMA_AT(struct top, big)},
    {.name = "mode", .type = NR_SCHEMA_OCTAL, NR_SCHEMA_AT(struct top, mode), .value = "0660"},
    {.name = "bytes", .type = NR_SCHEMA_SIZE, NR_SCHEMA_AT(struct top, bytes), .value = "none",
     .words = none_word, .min = "1KiB"},
    {.name = "wait", .type = NR_SCHEMA_DURATION, NR_SCHEMA_AT(struct top, wait_ns), .value = "250ms", .max = "1h"},
    {.name = "rate", .type = NR_SCHEMA_RATE, NR_SCHEMA_AT(struct top, rate), .min = "1/min", .max = "10/s"},
    {.name = "flow", .type = NR_SCHEMA_BYTE_RATE, NR_SCHEMA_AT(struct top, flow)},
    {.name = "share", .type = NR_SCHEMA_RATIO, NR_SCHEMA_AT(struct top, share), .value = "20%", .max = "100%"},
    {.name = "colour", .type = NR_SCHEMA_ENUM, NR_SCHEMA_AT(struct top, colour), .value = "green", .words = colour_words},
    {.name = "colours", .type = NR_SCHEMA_SET, NR_SCHEMA_AT(struct top, colours), .value = "[red, blue]", .words = colour_words},
    {.name = "title", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct top, title), .min = "2", .max = "8"},
    {.name = "bind", .type = NR_SCHEMA_ADDRESS, .flags = NR_SCHEMA_BIND, NR_SCHEMA_AT(struct top, bind)},
    {.name = "nets", .type = NR_SCHEMA_LIST, .element = NR_SCHEMA_CIDR, NR_SCHEMA_MANY(struct top, nets, net_count)},
    {.name = "status", .type = NR_SCHEMA_STATUS, NR_SCHEMA_AT(struct top, status), .value = "2xx"},
    {.name = "inner", .type = NR_SCHEMA_SECTION, NR_SCHEMA_AT(struct top, inner), .section = &inner_schema},
    {.name = "maybe", .type = NR_SCHEMA_SECTION, .flags = NR_SCHEMA_OPTIONAL, NR_SCHEMA_AT(struct top, maybe),
     .section = &inner_schema},
    {.name = "leaves", .type = NR_SCHEMA_SECTIONS, NR_SCHEMA_MANY(struct top, leaves, leaf_count), .section = &leaf_schema},
    {.name = "named", .type = NR_SCHEMA_MAP, NR_SCHEMA_MANY(struct top, named, named_count), .section = &leaf_schema},
    {.name = "json", .type = NR_SCHEMA_JSON, NR_SCHEMA_AT(struct top, json)},
    {.name = "secret", .type = NR_SCHEMA_STRING, .flags = NR_SCHEMA_SECRET, NR_SCHEMA_AT(struct top, secret)},
};
static const struct nr_schema top_schema = {
    .title = "Top", .doc = "All types.", NR_SCHEMA_FIELDS(top_fields, struct top)};
static const struct nr_schema_root top_root = {
    .field = {.name = "top", .type = NR_SCHEMA_SECTION, .section = &top_schema, .doc = "All types."},
    .bytes = sizeof(struct top)};
/* clang-format on */

static const struct nr_schema_root *const roots[] = {&top_root};

struct world {
    struct nr_arena arena;
    struct nr_diags diags;
    struct nr_config *config;
    enum nr_code code;
};

static void load(struct world *w, const char *text)
{
    *w = (struct world){0};
    nr_arena_init(&w->arena, NULL, 0);
    nr_diags_init(&w->diags, &w->arena, 0);
    w->code =
        nr_config_load_bytes(roots, 1, NULL, "naru.yaml", nr_span_of(text), &w->diags, &w->config);
}

static void done(struct world *w)
{
    nr_config_unref(w->config);
    nr_arena_done(&w->arena);
}

static const struct top *top_of(const struct world *w)
{
    if (w->code != NR_OK) {
        char line[512];

        nr_diag_format(&w->diags.items[0], line, sizeof(line));
        fail_msg("%s", line);
    }
    return nr_config_get(w->config, &top_root);
}

static void test_defaults_hold_when_nothing_is_written(void **state)
{
    static const char *const texts[] = {"", "top:\n", "top: {}\n", "top: {inner: , workers: ~}\n"};

    for (size_t i = 0; i < NR_COUNT(texts); i++) {
        const struct top *top;
        struct world w;

        load(&w, texts[i]);
        top = top_of(&w);
        assert_true(top->flag);
        assert_int_equal(top->workers, 0);
        assert_int_equal(top->big, 0);
        assert_int_equal(top->mode, 0660);
        assert_int_equal(top->bytes, UINT64_MAX);
        assert_int_equal(top->wait_ns, 250000000);
        assert_int_equal(top->rate.count, 0);
        assert_float_equal(top->share, 0.2, 1e-12);
        assert_int_equal(top->colour, GREEN);
        assert_int_equal(top->colours, 1 << RED | 1 << BLUE);
        assert_int_equal(top->title.len, 0);
        assert_int_equal(top->bind.kind, NR_CONFIG_ADDRESS_NONE);
        assert_int_equal(top->net_count, 0);
        assert_int_equal(top->status.last, 299);
        assert_int_equal(top->inner.high_ns, 2000000000);
        assert_null(top->maybe);
        assert_int_equal(top->leaf_count, 0);
        assert_null(top->json);
        assert_string_equal(top->inner.at.path, "top.inner");
        assert_false(nr_section_has(&top->at, "workers"));
        done(&w);
    }
}

static void test_every_type_is_stored(void **state)
{
    const struct top *top;
    struct world w;

    load(&w, "top:\n"
             "  flag: off\n"
             "  workers: '4'\n"
             "  big: 18446744073709551615\n"
             "  mode: 0600\n"
             "  bytes: 64KiB\n"
             "  wait: 1.5s\n"
             "  rate: 100/min\n"
             "  flow: 1KiB/s\n"
             "  share: 0.5\n"
             "  colour: blue\n"
             "  colours: green\n" /* a list of one */
             "  title: 나루\n"
             "  bind: :8080\n"
             "  nets: [10.0.0.0/8, 'fd00::/8', 127.0.0.1]\n"
             "  status: 200-399\n"
             "  inner: {high: 1h}\n"
             "  maybe: {}\n"
             "  leaves: ['127.0.0.1:1', {address: '[::1]:2', weight: 3}, 'unix:/run/x']\n"
             "  named: {b: {address: b.example:1}, a: 'a:1'}\n"
             "  json: {x: [1, null]}\n");
    top = top_of(&w);
    assert_false(top->flag);
    assert_int_equal(top->workers, 4);
    assert_true(top->big == UINT64_MAX);
    assert_int_equal(top->mode, 0600);
    assert_int_equal(top->bytes, 65536);
    assert_int_equal(top->wait_ns, 1500000000);
    assert_int_equal(top->rate.count, 100);
    assert_int_equal(top->flow.count, 1024);
    assert_float_equal(top->share, 0.5, 1e-12);
    assert_int_equal(top->colour, BLUE);
    assert_int_equal(top->colours, 1 << GREEN);
    assert_string_equal(top->title.ptr, "나루");
    assert_int_equal(top->bind.kind, NR_CONFIG_ADDRESS_ANY);
    assert_string_equal(top->bind.text.ptr, ":8080");
    assert_int_equal(top->net_count, 3);
    assert_int_equal(top->nets[0].prefix_bits, 8);
    assert_int_equal(top->status.first, 200);
    assert_int_equal(top->inner.low_ns, 1000000000);
    assert_int_equal(top->inner.high_ns, 3600000000000);
    assert_non_null(top->maybe);
    assert_int_equal(top->maybe->low_ns, 1000000000);
    assert_int_equal(top->leaf_count, 3);
    assert_string_equal(top->leaves[0].address.text.ptr, "127.0.0.1:1");
    assert_int_equal(top->leaves[0].weight, 1);
    assert_int_equal(top->leaves[1].weight, 3);
    assert_string_equal(top->leaves[1].address.text.ptr, "[::1]:2");
    assert_string_equal(top->leaves[2].address.unix_path.ptr, "/run/x");
    assert_string_equal(top->leaves[1].at.path, "top.leaves[1]");
    assert_string_equal(top->named[0].name.ptr, "b"); /* in the order written */
    assert_string_equal(top->named[1].name.ptr, "a");
    assert_int_equal(top->named[0].address.kind, NR_CONFIG_ADDRESS_NAME);
    assert_int_equal(top->json->kind, NR_NODE_MAPPING);
    assert_true(nr_section_has(&top->at, "workers"));
    assert_int_equal(nr_section_where(&top->at, "workers").line, 3);
    assert_int_equal(nr_config_where(w.config, "top.leaves[1].weight").line, 19);
    assert_int_equal(nr_config_where(w.config, "top.leaves[9].weight").line, 19);
    assert_int_equal(nr_config_where(w.config, "top.nothing").line, 1);
    done(&w);
}

#define A_DURATION "expected a duration such as 250ms, got "
#define AN_ADDRESS                                                                                 \
    "expected an address such as 127.0.0.1:8080, [::1]:8080, host:8080 or unix:/run/x.sock, got "

static void test_mistakes_and_their_words(void **state)
{
    static const struct {
        const char *text;
        const char *expected;
    } cases[] = {
        {"tpo: {}", "1:1: unknown section 'tpo', did you mean 'top'?"},
        {"zzz: {}", "1:1: unknown section 'zzz'"},
        {"top: 3", "1:6: expected a mapping, got '3'"},
        {"top: [1]", "1:6: expected a mapping, got a list"},
        {"top: {wokers: 3}", "1:7: unknown field 'wokers', did you mean 'workers'?"},
        {"top: {x: 3}", "1:7: unknown field 'x'"},
        {"top: {wait: abc}", "1:13: " A_DURATION "'abc'"},
        {"top: {wait: 250}", "1:13: " A_DURATION "'250'"},
        {"top: {wait: [1s]}", "1:13: " A_DURATION "a list"},
        {"top: {wait: {a: b}}", "1:13: " A_DURATION "a mapping"},
        {"top: {wait: ''}", "1:13: " A_DURATION "''"},
        {"top: {wait: 2h}", "1:13: must be at most 1h, got '2h'"},
        {"top: {workers: 0}", "1:16: must be between 1 and 65535, got '0'"},
        {"top: {workers: 65536}", "1:16: must be between 1 and 65535, got '65536'"},
        {"top: {workers: 4294967296}", "1:16: expected a whole number, or auto, got '4294967296'"},
        {"top: {workers: aut}",
         "1:16: expected a whole number, or auto, got 'aut', did you mean 'auto'?"},
        {"top: {bytes: 1023B}", "1:14: must be at least 1KiB, got '1023B'"},
        {"top: {bytes: 64KB}", "1:14: expected a size such as 64KiB, or none, got '64KB'"},
        {"top: {rate: 10}", "1:13: expected a rate such as 100/min, got '10'"},
        {"top: {rate: 601/min}", "1:13: must be between 1/min and 10/s, got '601/min'"},
        {"top: {rate: 59/h}", "1:13: must be between 1/min and 10/s, got '59/h'"},
        {"top: {flow: fast}", "1:13: expected a rate such as 64KiB/s, got 'fast'"},
        {"top: {share: 101%}", "1:14: must be at most 100%, got '101%'"},
        {"top: {share: half}", "1:14: expected a share such as 50% or 0.5, got 'half'"},
        {"top: {flag: maybe}", "1:13: expected true or false, got 'maybe'"},
        {"top: {mode: 0999}", "1:13: expected permission bits such as 0660, got '0999'"},
        {"top: {colour: gren}",
         "1:15: expected one of red, green, blue, got 'gren', did you mean 'green'?"},
        {"top: {colours: [red, pink]}", "1:22: expected one of red, green, blue, got 'pink'"},
        {"top: {title: x}", "1:14: must be between 2 and 8 bytes long, got 'x'"},
        {"top: {nets: [10.0.0.0/33]}",
         "1:14: expected a network such as 10.0.0.0/8, got '10.0.0.0/33'"},
        {"top: {status: 6xx}", "1:15: expected a status such as 200, 2xx or 200-399, got '6xx'"},
        {"top: {inner: {low: 3s}}", "1:20: 'low' is above 'high'"},
        {"top: {leaves: {}}", "1:15: expected a list, got a mapping"},
        {"top: {leaves: [~]}", "1:16: expected an entry, got nothing"},
        {"top: {leaves: [{weight: 2}]}", "1:16: missing field 'address'"},
        {"top: {leaves: ['127.0.0.1']}", "1:16: " AN_ADDRESS "'127.0.0.1'"},
        {"top: {named: [a]}", "1:14: expected a mapping of names, got a list"},
        {"top: {named: {a: }}", "1:18: expected a mapping, got nothing"},
        {"top: {named: {'a b': 'x:1'}}",
         "1:15: a name is 1 to 64 letters, digits, '_', '-' and '.', got 'a b'"},
        {"top: {title: \"a\\nb, a very long text that nobody would want to see in full\"}",
         "1:14: must be between 2 and 8 bytes long, got 'a\\nb, a very long text that nobody would "
         "want to ...'"},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        char line[512], expected[512];
        struct world w;

        load(&w, cases[i].text);
        assert_int_equal(w.code, NR_ECONFIG);
        assert_null(w.config);
        assert_int_equal(w.diags.count, 1);
        nr_diag_format(&w.diags.items[0], line, sizeof(line));
        snprintf(expected, sizeof(expected), "naru.yaml:%s", cases[i].expected);
        assert_string_equal(line, expected);
        done(&w);
    }
}

static void test_addresses(void **state)
{
    static const char *const bad[] = {
        "",           "host",    "host:",       "host:x",    ":80",     "*:80",    "host:0",
        "host:65536", "host:-1", "300.1.1.1:1", "1.2.3:80",  "[::1]",   "[::1]80", "[x]:80",
        "[::1:80",    "::1:80",  "a b:80",      "-a:80",     "a..b:80", ".a:80",   "http://a:80",
        "a:80/x",     "unix:",   "unix:/",      "user@a:80", "a:080000"};
    static const char *const good[][2] = {{"a:1", "a"},
                                          {"a.b-c.example.:443", "a.b-c.example."},
                                          {"_x.y:1", "_x.y"},
                                          {"10.0.0.1:80", "10.0.0.1"},
                                          {"[fe80::1]:80", "fe80::1"},
                                          {"3com.example:1", "3com.example"}};

    for (size_t i = 0; i < NR_COUNT(bad); i++) {
        char text[128];
        struct world w;

        snprintf(text, sizeof(text), "top: {leaves: [{address: '%s'}]}", bad[i]);
        load(&w, text);
        if (w.code == NR_OK)
            fail_msg("'%s' was taken", bad[i]);
        assert_non_null(strstr(w.diags.items[0].text, "expected an address"));
        done(&w);
    }
    for (size_t i = 0; i < NR_COUNT(good); i++) {
        char text[128];
        struct world w;

        snprintf(text, sizeof(text), "top: {leaves: [{address: '%s'}]}", good[i][0]);
        load(&w, text);
        assert_string_equal(top_of(&w)->leaves[0].address.host.ptr, good[i][1]);
        assert_string_equal(top_of(&w)->leaves[0].address.text.ptr, good[i][0]);
        done(&w);
    }
}

static void test_shows_all_mistakes_up_to_twenty_in_order(void **state)
{
    char text[1024] = "top:\n  wait: x\n  leaves:\n";
    struct world w;

    for (int i = 0; i < 24; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "    - {weight: %d}\n", i % 2);
    load(&w, text);
    /* 1 wrong wait, 24 without address, 12 of weight 0 */
    assert_int_equal(w.diags.errors, 37);
    assert_int_equal(w.diags.count, NR_DIAGS_MAX);
    assert_int_equal(w.diags.dropped, 17);
    for (uint32_t i = 1; i < w.diags.count; i++)
        assert_true(w.diags.items[i].place.line >= w.diags.items[i - 1].place.line);
    done(&w);
}

static void test_a_snapshot_lives_as_long_as_its_references(void **state)
{
    struct nr_config *mine;
    struct world w;

    load(&w, "top: {workers: 7}");
    mine = nr_config_ref(w.config);
    done(&w); /* its diagnostics and its reference are gone */
    assert_int_equal(((const struct top *)nr_config_get(mine, &top_root))->workers, 7);
    assert_null(nr_config_get(mine, &(struct nr_schema_root){.bytes = 0}));
    nr_config_unref(mine);
    nr_config_unref(NULL);
}

static char *print(const struct nr_config *config)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    assert_non_null(to);
    nr_config_print(config, to);
    fclose(to);
    return text;
}

static void test_the_printout_loads_to_the_same(void **state)
{
    static const char *const texts[] = {
        "",
        "top: {title: '$${X}', workers: 4, bytes: none, big: 0, rate: 150/15min}",
        ("top: {bind: '*:80', nets: ['10.1.0.0/16', '::1'], leaves: [a:1, {address: b:2}], named: "
         "{x: 'unix:@abstract'}, json: {a: ['$$', 1.5, null, \"t\\u00e9\"]}, maybe: {low: 0s}}"),
        "top: {title: \"\\u007f\\\\\", share: 0.333, colours: [], wait: 90s, inner: {low: 1ns}}",
    };

    for (size_t i = 0; i < NR_COUNT(texts); i++) {
        struct world first, second;
        char *printed, *again;

        load(&first, texts[i]);
        top_of(&first);
        printed = print(first.config);
        load(&second, printed);
        top_of(&second);
        again = print(second.config);
        assert_string_equal(again, printed);
        free(printed);
        free(again);
        done(&first);
        done(&second);
    }
}

static void test_the_printout_keeps_secrets(void **state)
{
    struct world w;
    char *printed;

    load(&w, "top: {secret: hunter2}");
    assert_string_equal(top_of(&w)->secret.ptr, "hunter2");
    printed = print(w.config);
    assert_null(strstr(printed, "hunter2"));
    assert_non_null(strstr(printed, "  # secret: not shown\n"));
    free(printed);
    done(&w);
}

static void test_the_printout_shows_defaults_and_what_was_written(void **state)
{
    struct world w;
    char *printed;

    load(&w, "top: {leaves: ['a:1'], workers: 3, json: {k: 1}}");
    printed = print(w.config);
    assert_string_equal(printed, "top:\n"
                                 "  flag: true\n"
                                 "  workers: 3\n"
                                 "  mode: 0660\n"
                                 "  bytes: none\n"
                                 "  wait: 250ms\n"
                                 "  share: 20%\n"
                                 "  colour: green\n"
                                 "  colours: [red, blue]\n"
                                 "  status: 2xx\n"
                                 "  inner:\n"
                                 "    low: 1s\n"
                                 "    high: 2s\n"
                                 "  leaves:\n"
                                 "    - address: \"a:1\"\n"
                                 "      weight: 1\n"
                                 "  json: {\"k\":1}\n");
    free(printed);
    done(&w);
}

static void test_the_json_schema_is_made_of_the_same_tables(void **state)
{
    struct nr_json *schema = nr_schema_json(roots, 1), *back;
    const struct nr_json *top, *workers;
    char *text = nr_json_dump(schema, 2);
    struct nr_err err = {0};

    back = nr_json_parse(nr_span_of(text), &err);
    assert_non_null(back);
    top = nr_json_get(nr_json_get(back, "$defs"), "top");
    assert_false(nr_json_bool_value(nr_json_get(top, "additionalProperties")));
    assert_int_equal(nr_json_count(nr_json_get(top, "properties")), NR_COUNT(top_fields));
    workers = nr_json_get(nr_json_get(top, "properties"), "workers");
    assert_true(nr_span_eq(nr_json_text(nr_json_get(workers, "default")), NR_SPAN("auto")));
    assert_int_equal(
        nr_json_integer_value(nr_json_get(nr_json_at(nr_json_get(workers, "anyOf"), 0), "maximum")),
        65535);
    assert_non_null(nr_json_get(nr_json_get(back, "properties"), "include"));
    nr_json_free(back);
    nr_json_free(schema);
    free(text);
}

static void test_the_reference_page_has_a_row_for_every_field(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    nr_schema_docs(roots, 1, to);
    fclose(to);
    for (size_t i = 0; i < NR_COUNT(top_fields); i++) {
        char row[64];

        snprintf(row, sizeof(row), "\n| `%s` |", top_fields[i].name);
        assert_non_null(strstr(text, row));
    }
    assert_non_null(strstr(text, "\n## `top.leaves[]`\n"));
    assert_non_null(strstr(text, "\n## `top.named.NAME`\n"));
    assert_non_null(
        strstr(text, "\n| `workers` | number, or `auto` | `auto` | between 1 and 65535 |  |\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_hold_when_nothing_is_written),
        cmocka_unit_test(test_every_type_is_stored),
        cmocka_unit_test(test_mistakes_and_their_words),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_shows_all_mistakes_up_to_twenty_in_order),
        cmocka_unit_test(test_a_snapshot_lives_as_long_as_its_references),
        cmocka_unit_test(test_the_printout_loads_to_the_same),
        cmocka_unit_test(test_the_printout_keeps_secrets),
        cmocka_unit_test(test_the_printout_shows_defaults_and_what_was_written),
        cmocka_unit_test(test_the_json_schema_is_made_of_the_same_tables),
        cmocka_unit_test(test_the_reference_page_has_a_row_for_every_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
