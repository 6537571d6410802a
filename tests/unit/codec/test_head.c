/* SPDX-License-Identifier: Apache-2.0 */
/* A head: finding, adding, replacing, removing; and the names that naru knows. */
#include "codec/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define assert_span(span, text) assert_true(nr_span_eq((span), NR_SPAN(text)))

/* clang-format off */
static const struct {
    const char *name;
    enum nr_field_id id;
} known[] = {
    {"Accept", NR_FIELD_ACCEPT}, {"Accept-Encoding", NR_FIELD_ACCEPT_ENCODING},
    {"Authorization", NR_FIELD_AUTHORIZATION}, {"Cache-Control", NR_FIELD_CACHE_CONTROL},
    {"Connection", NR_FIELD_CONNECTION}, {"Content-Encoding", NR_FIELD_CONTENT_ENCODING},
    {"Content-Length", NR_FIELD_CONTENT_LENGTH}, {"Content-Type", NR_FIELD_CONTENT_TYPE},
    {"Cookie", NR_FIELD_COOKIE}, {"Date", NR_FIELD_DATE}, {"Expect", NR_FIELD_EXPECT},
    {"Forwarded", NR_FIELD_FORWARDED}, {"grpc-timeout", NR_FIELD_GRPC_TIMEOUT},
    {"Host", NR_FIELD_HOST}, {"Idempotency-Key", NR_FIELD_IDEMPOTENCY_KEY},
    {"Keep-Alive", NR_FIELD_KEEP_ALIVE}, {"Location", NR_FIELD_LOCATION},
    {"Origin", NR_FIELD_ORIGIN}, {"Proxy-Connection", NR_FIELD_PROXY_CONNECTION},
    {"Retry-After", NR_FIELD_RETRY_AFTER}, {"Server", NR_FIELD_SERVER}, {"TE", NR_FIELD_TE},
    {"traceparent", NR_FIELD_TRACEPARENT}, {"Trailer", NR_FIELD_TRAILER},
    {"Transfer-Encoding", NR_FIELD_TRANSFER_ENCODING}, {"Upgrade", NR_FIELD_UPGRADE},
    {"User-Agent", NR_FIELD_USER_AGENT}, {"Via", NR_FIELD_VIA},
    {"X-Envoy-Expected-Rq-Timeout-Ms", NR_FIELD_X_ENVOY_EXPECTED_RQ_TIMEOUT_MS},
    {"X-Forwarded-For", NR_FIELD_X_FORWARDED_FOR},
    {"X-Forwarded-Host", NR_FIELD_X_FORWARDED_HOST},
    {"X-Forwarded-Proto", NR_FIELD_X_FORWARDED_PROTO},
    {"X-Request-Attempt", NR_FIELD_X_REQUEST_ATTEMPT},
    {"X-Request-Deadline", NR_FIELD_X_REQUEST_DEADLINE},
    {"X-Request-Id", NR_FIELD_X_REQUEST_ID},
};
/* clang-format on */

_Static_assert(sizeof(known) / sizeof(known[0]) == NR_FIELD_IDS - 1, "each known field once");

/* Without case, and nothing that differs in a single byte is taken for it. */
static void knows_each_name_and_no_neighbour(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        size_t len = strlen(known[i].name);
        char name[64];

        assert_int_equal(known[i].id, i + 1);
        for (size_t at = 0; at < len; at++)
            for (int byte = 0; byte < 256; byte++) {
                bool same = nr_ascii_lower((char)byte) == nr_ascii_lower(known[i].name[at]);

                memcpy(name, known[i].name, len);
                name[at] = (char)byte;
                assert_int_equal(nr_field_id_of((struct nr_span){name, len}),
                                 same ? known[i].id : NR_FIELD_OTHER);
            }
        for (size_t j = 0; j < len; j++)
            name[j] = nr_ascii_lower(known[i].name[j]);
        assert_int_equal(nr_field_id_of((struct nr_span){name, len}), known[i].id);
        assert_int_equal(nr_field_id_of((struct nr_span){name, len - 1}), NR_FIELD_OTHER);
    }
    assert_int_equal(nr_field_id_of(NR_SPAN("")), NR_FIELD_OTHER);
    assert_int_equal(nr_field_id_of(NR_SPAN("x")), NR_FIELD_OTHER);
}

static void finds_in_order_without_case(void **state)
{
    struct nr_arena arena;
    struct nr_head head;
    const struct nr_field *field;

    (void)state;
    nr_arena_init(&arena, NULL, 0);
    nr_head_init_response(&head, &arena, 200);
    nr_head_add(&head, &arena, NR_SPAN("Via"), NR_SPAN("1"));
    nr_head_add(&head, &arena, NR_SPAN("X-Own"), NR_SPAN("2"));
    nr_head_add(&head, &arena, NR_SPAN("vIA"), NR_SPAN("3"));
    nr_head_add(&head, &arena, NR_SPAN("x-oWN"), NR_SPAN(""));
    field = nr_head_find(&head, NR_FIELD_VIA, NULL);
    assert_span(nr_head_value(&head, field), "1");
    field = nr_head_find(&head, NR_FIELD_VIA, field);
    assert_span(nr_head_name(&head, field), "vIA");
    assert_null(nr_head_find(&head, NR_FIELD_VIA, field));
    field = nr_head_find_name(&head, NR_SPAN("X-OWN"), NULL);
    assert_span(nr_head_value(&head, field), "2");
    field = nr_head_find_name(&head, NR_SPAN("X-OWN"), field);
    assert_int_equal(nr_head_value(&head, field).len, 0);
    assert_null(nr_head_find_name(&head, NR_SPAN("X-OWN"), field));
    assert_non_null(nr_head_find_name(&head, NR_SPAN("VIA"), NULL));
    assert_null(nr_head_get(&head, NR_FIELD_DATE).ptr);
    assert_span(nr_head_get(&head, NR_FIELD_VIA), "1");
    nr_arena_done(&arena);
}

static void removed_is_gone_and_set_replaces_all(void **state)
{
    struct nr_arena arena;
    struct nr_head head;

    (void)state;
    nr_arena_init(&arena, NULL, 0);
    nr_head_init_response(&head, &arena, 200);
    nr_head_add(&head, &arena, NR_SPAN("Via"), NR_SPAN("1"));
    nr_head_add(&head, &arena, NR_SPAN("Via"), NR_SPAN("2"));
    nr_head_add(&head, &arena, NR_SPAN("X-Own"), NR_SPAN("3"));
    nr_head_add(&head, &arena, NR_SPAN("X-Own2"), NR_SPAN("4"));
    nr_head_set(&head, &arena, NR_SPAN("via"), NR_SPAN("5"));
    assert_span(nr_head_get(&head, NR_FIELD_VIA), "5");
    assert_null(nr_head_find(&head, NR_FIELD_VIA, nr_head_find(&head, NR_FIELD_VIA, NULL)));
    nr_head_remove_name(&head, NR_SPAN("x-own"));
    assert_null(nr_head_find_name(&head, NR_SPAN("X-Own"), NULL));
    assert_non_null(nr_head_find_name(&head, NR_SPAN("X-Own2"), NULL));
    nr_head_remove(&head, NR_FIELD_VIA);
    assert_null(nr_head_find(&head, NR_FIELD_VIA, NULL));
    nr_arena_done(&arena);
}

/* The text moves when it grows; what was there, and values taken from the head itself, survive. */
static void grows_far_beyond_its_slack(void **state)
{
    struct nr_arena arena;
    struct nr_head first, head;
    char name[16], value[32];

    (void)state;
    nr_arena_init(&arena, NULL, 0);
    nr_head_init_request(&first, &arena, NR_SPAN("GET"), NR_SPAN("a"), NR_SPAN("/b?c"));
    nr_head_add(&first, &arena, NR_SPAN("Origin"), NR_SPAN("o"));
    nr_head_copy(&head, &first, &arena);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "X-%d", i);
        nr_head_add(&head, &arena, nr_span_of(name), nr_head_get(&head, NR_FIELD_ORIGIN));
    }
    head.path = nr_head_append_text(&head, &arena, NR_SPAN("/new"));
    assert_int_equal(head.field_count, 501);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "x-%d", i);
        assert_span(nr_head_value(&head, nr_head_find_name(&head, nr_span_of(name), NULL)), "o");
    }
    snprintf(value, sizeof(value), "%.*s", (int)head.query.len, head.text + head.query.at);
    assert_string_equal(value, "c");
    assert_span(nr_head_text(&head, head.path), "/new");
    assert_span(nr_head_text(&first, first.path), "/b");
    assert_int_equal(first.field_count, 1);
    nr_arena_done(&arena);
}

static void own_requests_split_path_and_query(void **state)
{
    struct nr_arena arena;
    struct nr_head head;

    (void)state;
    nr_arena_init(&arena, NULL, 0);
    nr_head_init_request(&head, &arena, NR_SPAN("PURGE"), NR_SPAN("a:1"), NR_SPAN("/b?c?d"));
    assert_int_equal(head.method, NR_METHOD_OTHER);
    assert_span(nr_head_text(&head, head.method_name), "PURGE");
    assert_span(nr_head_text(&head, head.target), "/b?c?d");
    assert_span(nr_head_text(&head, head.path), "/b");
    assert_span(nr_head_text(&head, head.query), "c?d");
    assert_true(head.has_query && head.keep_alive && head.version == 11);
    assert_int_equal(head.body_length, NR_BODY_NONE);
    nr_head_init_request(&head, &arena, NR_SPAN("GET"), NR_SPAN("a"), NR_SPAN("/b"));
    assert_false(head.has_query);
    nr_arena_done(&arena);
}

/* RFC 9110, 9.2.2 and 9.1. */
static void methods_by_name(void **state)
{
    (void)state;
    for (int i = NR_METHOD_GET; i < NR_METHODS; i++)
        assert_int_equal(nr_method_of(nr_method_name((enum nr_method)i)), i);
    assert_int_equal(nr_method_of(NR_SPAN("get")), NR_METHOD_OTHER);
    assert_int_equal(nr_method_of(NR_SPAN("GETS")), NR_METHOD_OTHER);
    assert_int_equal(nr_method_of(NR_SPAN("")), NR_METHOD_OTHER);
    assert_true(nr_method_idempotent(NR_METHOD_GET) && nr_method_idempotent(NR_METHOD_PUT) &&
                nr_method_idempotent(NR_METHOD_DELETE) && nr_method_idempotent(NR_METHOD_HEAD) &&
                nr_method_idempotent(NR_METHOD_OPTIONS));
    assert_false(nr_method_idempotent(NR_METHOD_POST) || nr_method_idempotent(NR_METHOD_PATCH) ||
                 nr_method_idempotent(NR_METHOD_OTHER));
}

static void phrases(void **state)
{
    (void)state;
    assert_span(nr_status_phrase(200), "OK");
    assert_span(nr_status_phrase(404), "Not Found");
    assert_span(nr_status_phrase(511), "Network Authentication Required");
    assert_span(nr_status_phrase(299), "");
    assert_span(nr_status_phrase(999), "");
    assert_span(nr_status_phrase(0), "");
}

/* RFC 9110, 5.6.2 and 5.5. */
static void names_and_values(void **state)
{
    (void)state;
    assert_true(nr_field_name_valid(NR_SPAN("X-a_1")));
    assert_false(nr_field_name_valid(NR_SPAN("")));
    assert_false(nr_field_name_valid(NR_SPAN("a b")));
    assert_false(nr_field_name_valid(NR_SPAN("a:")));
    assert_false(nr_field_name_valid(NR_SPAN("a\0")));
    assert_true(nr_field_value_valid(NR_SPAN("")));
    assert_true(nr_field_value_valid(NR_SPAN("a \t\xff")));
    assert_false(nr_field_value_valid(NR_SPAN(" a")));
    assert_false(nr_field_value_valid(NR_SPAN("a\t")));
    assert_false(nr_field_value_valid(NR_SPAN("a\r\nb: c")));
    assert_false(nr_field_value_valid(NR_SPAN("a\0b")));
    assert_false(nr_field_value_valid(NR_SPAN("\x7f")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_each_name_and_no_neighbour),
        cmocka_unit_test(finds_in_order_without_case),
        cmocka_unit_test(removed_is_gone_and_set_replaces_all),
        cmocka_unit_test(grows_far_beyond_its_slack),
        cmocka_unit_test(own_requests_split_path_and_query),
        cmocka_unit_test(methods_by_name),
        cmocka_unit_test(phrases),
        cmocka_unit_test(names_and_values),
    };

    return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}
