/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration was read from brings it back, to the last line and column, whatever has
 * become of the files meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/strbuf.h"
#include "config/original.h"

/* ---- a world of files that is noted down while it is read ---- */

struct world {
    struct nr_original *original;
    const char *main, *one, *two; /* conf/main.yaml, conf/d/1.yaml, conf/d/2.yaml */
    const char *name;             /* of the environment; NULL: not set */
    uint32_t asked;
};

static enum nr_code read_file(void *arg, const char *path, size_t bytes_max, struct nr_arena *arena,
                              struct nr_span *ret_bytes, struct nr_err *err)
{
    struct world *world = arg;
    const char *text = strcmp(path, "conf/main.yaml") == 0  ? world->main
                       : strcmp(path, "conf/d/1.yaml") == 0 ? world->one
                       : strcmp(path, "conf/d/2.yaml") == 0 ? world->two
                                                            : NULL;

    world->asked++;
    if (text == NULL)
        return nr_err_set(err, NR_ENOENT, "no such file");
    *ret_bytes = nr_arena_dup(arena, nr_span_of(text));
    nr_original_add_file(world->original, path, *ret_bytes);
    return NR_OK;
}

static enum nr_code list_files(void *arg, const char *directory, struct nr_arena *arena,
                               struct nr_span **ret_names, uint32_t *ret_count, struct nr_err *err)
{
    struct world *world = arg;

    world->asked++;
    if (strcmp(directory, "conf/d/") != 0)
        return nr_err_set(err, NR_ENOENT, "no such directory");
    *ret_names = nr_arena_alloc(arena, 3 * sizeof(**ret_names));
    (*ret_names)[0] = NR_SPAN("2.yaml");
    (*ret_names)[1] = NR_SPAN("README");
    (*ret_names)[2] = NR_SPAN("1.yaml");
    *ret_count = 3;
    nr_original_add_listing(world->original, directory, *ret_names, 3);
    return NR_OK;
}

static const char *variable(void *arg, const char *name)
{
    struct world *world = arg;
    const char *value = strcmp(name, "NAME") == 0 ? world->name : NULL;

    world->asked++;
    nr_original_add_variable(world->original, name, value);
    return value;
}

/* The tree as JSON and where one thing in it stands. */
static char *told(const struct nr_config_source *source, const char *path)
{
    struct nr_strbuf text = {0};
    struct nr_node *root = NULL;
    const struct nr_node *node;
    struct nr_arena arena;
    struct nr_diags diags;
    struct nr_json *json;
    char *dump;

    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 0);
    if (nr_node_load(&arena, source, path, &diags, &root) != NR_OK) {
        nr_strbuf_add(&text, nr_span_of(diags.items[0].text));
    } else {
        json = nr_node_json(root);
        dump = nr_json_dump(json, 0);
        nr_strbuf_add(&text, nr_span_of(dump));
        node = nr_node_find(root, "b.y");
        if (node != NULL)
            nr_strbuf_printf(&text, " %s:%u:%u", node->place.file, node->place.line,
                             node->place.column);
        free(dump);
        nr_json_free(json);
    }
    nr_arena_done(&arena);
    return nr_strbuf_take(&text, NULL);
}

static void assert_told(const struct nr_original *original, const char *want)
{
    const struct nr_config_source source = nr_original_source(original);
    char *have = told(&source, nr_original_path(original));

    assert_string_equal(have, want);
    free(have);
}

/* ---- the stories ---- */

static void it_comes_back_as_it_was(void **state)
{
    struct world world = {
        .main = "include: d/*.yaml\na: {name: \"${NAME}\", other: \"${OTHER:-none}${NAME}\"}\n",
        .one = "b:\n  x: 1\n  y: ${NAME}\n",
        .two = "c: []\n",
        .name = "then",
    };
    struct nr_config_source source = {
        .arg = &world, .read = read_file, .list = list_files, .getenv = variable};
    uint32_t asked;
    char *first, *now;

    world.original = nr_original_new();
    first = told(&source, "conf/main.yaml");
    asked = world.asked;
    assert_true(asked >= 5);

    world.main = world.one = "changed: true\n";
    world.two = NULL;
    world.name = NULL;
    assert_told(world.original, first);
    nr_original_pack(world.original);
    nr_original_pack(world.original); /* again is nothing */
    assert_told(world.original, first);
    assert_int_equal(world.asked, asked);

    /* … which was what it should be, and the world has really changed. */
    assert_non_null(strstr(first, "\"other\":\"nonethen\""));
    assert_non_null(strstr(first, "conf/d/1.yaml:3:6"));
    nr_original_unref(world.original);
    world.original = nr_original_new();
    now = told(&source, "conf/main.yaml");
    assert_string_equal(now, "{\"changed\":true}");
    nr_original_unref(world.original);
    free(first);
    free(now);
}

static char *many_routes(uint32_t count, const char *service, size_t *ret_len)
{
    struct nr_strbuf text = {0};

    NR_STRBUF_LIT(&text, "routes:\n");
    for (uint32_t i = 0; i < count; i++)
        nr_strbuf_printf(&text, "  - {match: {path: \"/r%u/*\"}, service: %s}\n", i, service);
    return nr_strbuf_take(&text, ret_len);
}

static struct nr_original *original_of(struct nr_span text)
{
    struct nr_original *original = nr_original_new();

    nr_original_add_file(original, "f.yaml", text);
    nr_original_pack(original);
    return original;
}

static void assert_text(const struct nr_original *original, struct nr_span want)
{
    const struct nr_config_source source = nr_original_source(original);
    struct nr_span have = {NULL, 0};
    struct nr_arena arena;

    nr_arena_init(&arena, NULL, 0);
    assert_int_equal(source.read(source.arg, "f.yaml", SIZE_MAX, &arena, &have, NULL), NR_OK);
    assert_true(nr_span_eq(have, want));
    assert_int_equal(have.ptr[have.len], '\0');
    nr_arena_done(&arena);
}

static void packing_makes_it_small(void **state)
{
    size_t len;
    char *text = many_routes(1000, "orders", &len);
    struct nr_original *original = original_of((struct nr_span){text, len});

    assert_in_range(len, 40000, 60000);
    assert_in_range(nr_original_bytes(original), 100, len / 8);
    assert_text(original, (struct nr_span){text, len});
    nr_original_unref(original);
    free(text);
}

static void what_cannot_be_packed_stays(void **state)
{
    static char bytes[100000];
    static const size_t lens[] = {0, 1, 511, 512, 4096, sizeof(bytes)};
    struct nr_random random;

    nr_random_init(&random, 7);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)nr_random_u64(&random);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct nr_original *original = original_of((struct nr_span){bytes, lens[i]});

        assert_text(original, (struct nr_span){bytes, lens[i]});
        assert_true(nr_original_bytes(original) < lens[i] + 256);
        nr_original_unref(original);
    }
}

static void the_same_text_is_there_once(void **state)
{
    size_t len, other_len;
    char *text = many_routes(1000, "orders", &len);
    char *other_text = many_routes(1000, "users", &other_len);
    struct nr_original *first = original_of((struct nr_span){text, len});
    struct nr_original *again = original_of((struct nr_span){text, len});
    struct nr_original *other = original_of((struct nr_span){other_text, other_len});
    struct nr_original *unpacked = nr_original_new();
    size_t alone = nr_original_bytes(first), other_alone = nr_original_bytes(other);

    nr_original_share(again, first);
    assert_true(nr_original_bytes(again) < alone * 2 / 3);
    assert_int_equal(nr_original_bytes(again), nr_original_bytes(first));
    nr_original_share(again, first); /* again is nothing */
    nr_original_share(again, again);
    nr_original_share(other, first);
    assert_int_equal(nr_original_bytes(other), other_alone);
    nr_original_add_file(unpacked, "f.yaml", (struct nr_span){text, len});
    nr_original_share(unpacked, first);
    nr_original_share(first, unpacked);
    assert_text(unpacked, (struct nr_span){text, len});

    nr_original_unref(first);
    assert_int_equal(nr_original_bytes(again), alone);
    assert_text(again, (struct nr_span){text, len});
    assert_text(other, (struct nr_span){other_text, other_len});
    nr_original_unref(nr_original_ref(again));
    assert_text(again, (struct nr_span){text, len});
    nr_original_unref(again);
    nr_original_unref(other);
    nr_original_unref(unpacked);
    nr_original_unref(NULL);
    free(text);
    free(other_text);
}

static void what_was_not_read_is_not_there(void **state)
{
    struct nr_original *original = nr_original_new();

    nr_original_add_file(original, "f.yaml", NR_SPAN("include: [g.yaml]\n"));
    nr_original_add_variable(original, "EMPTY", "");
    assert_told(original, "cannot read 'g.yaml': it was not read then");
    nr_original_pack(original);
    assert_told(original, "cannot read 'g.yaml': it was not read then");
    nr_original_unref(original);

    original = nr_original_new();
    nr_original_add_file(original, "f.yaml", NR_SPAN("include: [\"d/*\"]\n"));
    nr_original_pack(original);
    assert_told(original, "cannot read 'd/': it was not listed then");
    nr_original_unref(original);

    original = nr_original_new();
    nr_original_add_file(original, "f.yaml", NR_SPAN("a: [\"${UNSET:-x}\", \"${EMPTY}\"]\n"));
    nr_original_add_variable(original, "EMPTY", "");
    nr_original_add_variable(original, "EMPTY", "");
    nr_original_add_variable(original, "UNSET", NULL);
    assert_told(original, "{\"a\":[\"x\",\"\"]}");
    nr_original_pack(original);
    assert_told(original, "{\"a\":[\"x\",\"\"]}");
    nr_original_unref(original);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_back_as_it_was),
        cmocka_unit_test(packing_makes_it_small),
        cmocka_unit_test(what_cannot_be_packed_stays),
        cmocka_unit_test(the_same_text_is_there_once),
        cmocka_unit_test(what_was_not_read_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
