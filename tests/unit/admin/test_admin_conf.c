/* SPDX-License-Identifier: Apache-2.0 */
/* The small sections of operation: admin and observe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "admin/admin_conf.h"
#include "observe/observe_conf.h"

static const struct nr_schema_root *const roots[] = {&nr_admin_conf_root, &nr_observe_conf_root};

static struct nr_config *load(struct nr_arena *arena, const char *text, struct nr_err *err)
{
    struct nr_config *config = NULL;
    struct nr_diags diags;

    nr_diags_init(&diags, arena, 0);
    if (nr_config_load_bytes(roots, NR_COUNT(roots), NULL, "n", nr_span_of(text), &diags,
                             &config) != NR_OK)
        assert_int_equal(nr_diags_code(&diags, err), NR_ECONFIG);
    return config;
}

#define REACHED(address)                                                                           \
    "n:1:17: other machines can reach the admin listener on '" address                             \
    "', and whoever reaches it commands naru"

static void test_who_may_reach_the_admin_listener(void **state)
{
    static const struct {
        const char *listen; /* and what stands behind it */
        const char *error;  /* NULL: taken */
        bool local;
    } cases[] = {
        {"'127.0.0.1:9900'", NULL, true},
        {"'127.8.8.8:1'", NULL, true},
        {"'[::1]:9900'", NULL, true},
        {"'unix:/run/naru.sock'", NULL, true},
        {"'none'", NULL, true},
        {"'0.0.0.0:9900'", REACHED("0.0.0.0:9900"), false},
        {"':9900'", REACHED(":9900"), false},
        {"'[::]:9900'", REACHED("[::]:9900"), false},
        {"'10.0.0.1:1'", REACHED("10.0.0.1:1"), false},
        {"'localhost:1'",
         "n:1:17: the admin listener needs an IP address, got the name 'localhost:1'", false},
        {"':9900', token: 0123456789abcdef", NULL, false},
        {"'10.0.0.1:1', token_file: /run/token", NULL, false},
        {"'127.0.0.1:1', token: 0123456789abcdef", NULL, true},
        {"':9900', token: 0123456789abcde",
         "n:1:33: must be between 16 and 512 bytes long, and has 15", false},
        {"':1', token: 0123456789abcdef, token_file: x",
         "n:1:60: token and token_file exclude each other: keep one of them", false},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_err err = {0};
        struct nr_arena arena;
        struct nr_config *config;

        nr_arena_init(&arena, NULL, 0);
        config =
            load(&arena, nr_arena_printf(&arena, "admin: {listen: %s}", cases[i].listen).ptr, &err);
        assert_string_equal(err.text, cases[i].error == NULL ? "" : cases[i].error);
        assert_int_equal(config == NULL, cases[i].error != NULL);
        if (config != NULL)
            assert_int_equal(nr_admin_conf_is_local(nr_admin_conf_of(config)), cases[i].local);
        nr_config_unref(config);
        nr_arena_done(&arena);
    }
}

static void test_the_access_log_is_a_switch_or_a_mapping(void **state)
{
    static const struct {
        const char *text;
        bool enabled;
        uint64_t buffer_bytes;
    } cases[] = {
        {"", true, 1 << 20},
        {"observe: {access_log: false}", false, 1 << 20},
        {"observe: {access_log: {buffer: 64KiB}}", true, 1 << 16},
        {"observe: {access_log: {enabled: no}}", false, 1 << 20},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        const struct nr_observe_conf *observe;
        struct nr_err err = {0};
        struct nr_arena arena;
        struct nr_config *config;

        nr_arena_init(&arena, NULL, 0);
        config = load(&arena, cases[i].text, &err);
        assert_non_null(config);
        observe = nr_observe_conf_of(config);
        assert_true(observe->metrics);
        assert_int_equal(observe->log_level, NR_LOG_INFO);
        assert_int_equal(observe->access_log.enabled, cases[i].enabled);
        assert_int_equal(observe->access_log.buffer_bytes, cases[i].buffer_bytes);
        assert_string_equal(nr_admin_conf_of(config)->listen.text.ptr, "127.0.0.1:9900");
        nr_config_unref(config);
        nr_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_may_reach_the_admin_listener),
        cmocka_unit_test(test_the_access_log_is_a_switch_or_a_mapping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
