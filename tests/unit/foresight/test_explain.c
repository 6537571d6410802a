/* SPDX-License-Identifier: Apache-2.0 */
/* Records as the admin surface gives them, and what a person reads. */
#include "foresight/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/reason.h"
#include "naru/err.h"

/* Two of three instances are gone, the third is too slow for what is left of the deadline. */
static const char refused_twice[] =
    "{\"request_id\": \"00000000000000070000000000000008\", \"timestamp\": "
    "\"2026-11-21T02:40:17.123Z\", \"method\": \"GET\", \"path\": \"/api/orders/7\", \"status\": "
    "504, \"reason\": \"deadline\", \"detail\": \"The request's deadline passed.\", \"ip\": "
    "\"10.1.2.3\", \"route\": \"/api/*\", \"service\": \"orders\", \"bytes_in\": 0, \"bytes_out\": "
    "187, \"tunnel\": false, \"ledger\": {\"deadline_ms\": 500, \"total_ms\": 500.5, \"head_ms\": "
    "0.1, \"queue_ms\": 20, \"upstream_ms\": 0}, \"attempt_count\": 2, \"attempts\": "
    "[{\"instance\": "
    "\"127.0.0.1:7001\", \"result\": \"connect_refused\", \"start_ms\": 20.2, \"took_ms\": 0.3, "
    "\"reused_connection\": false}, {\"instance\": \"127.0.0.1:7002\", \"result\": \"timeout\", "
    "\"start_ms\": 45.5, \"took_ms\": 454, \"reused_connection\": true, \"probe\": true}], "
    "\"limits\": [{\"name\": \"per_user\", \"left\": 92}, {\"name\": \"all\", \"left\": 7}], "
    "\"moon_phase\": \"waxing\", \"moons\": {\"names\": [\"Io\", \"Europa\"], \"full\": true}, "
    "\"tide_ms\": 12, \"notes\": [\"not retried: no time was left\"]}";

static const char answered[] =
    "{\"request_id\": \"1\", \"timestamp\": \"2026-11-21T02:40:17.123Z\", \"method\": \"GET\", "
    "\"path\": \"/\", \"status\": 500, \"service\": \"orders\", \"ledger\": {\"deadline_ms\": "
    "null, "
    "\"total_ms\": 2}, \"attempt_count\": 1, \"attempts\": [{\"instance\": \"127.0.0.1:7001\", "
    "\"result\": \"answered\", \"status\": 500, \"start_ms\": 0, \"took_ms\": 2}]}";

static char *explained(const char *json)
{
    struct nr_json *record = nr_json_parse(nr_span_of(json), NULL);
    struct nr_strbuf text = {0};

    assert_non_null(record);
    nr_explain_record(record, &text);
    nr_json_free(record);
    return nr_strbuf_take(&text, &(size_t){0});
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in\n%s", part, text);
}

static void assert_hasnt(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("'%s' is in\n%s", part, text);
}

static void tells_the_story(void **state)
{
    static const char *const parts[] = {
        "GET /api/orders/7 -> 504 in 500 ms",
        "from 10.1.2.3",
        "Naru answered 504. The request's deadline passed. [deadline]",
        "What to do: The ledger of `naru explain` shows",
        "route        '/api/*', to service 'orders'",
        "queue        waited 20.0 ms for its turn",
        "attempt 1    127.0.0.1:7001 refused the connection after 0.30 ms",
        "attempt 2    127.0.0.1:7002 did not answer in time after 454 ms, on a pooled connection",
        "not retried: no time was left",
        "before attempt 2",
        "most of it: attempt 2: 127.0.0.1:7002 (91 %)",
        "500 ms  0.50 ms over\n",
    };
    char *text = explained(refused_twice);

    for (size_t i = 0; i < NR_COUNT(parts); i++)
        assert_has(text, parts[i]);
    free(text);
}

/* What this version has no words for is not lost. */
static void shows_what_it_does_not_know(void **state)
{
    char *text = explained(refused_twice);

    assert_has(
        text,
        "limits       'per_user' let it pass, 92 left\n               'all' let it pass, 7 left\n");
    assert_has(text, "moon phase   waxing");
    assert_has(text, "moons        names Io; Europa, full yes\n");
    assert_has(text, "tide         12.0 ms");
    assert_has(text, "on a pooled connection, probe yes");
    free(text);
}

static const char struck[] =
    "{\"status\": 502, \"reason\": \"upstream_reset\", \"ledger\": {\"total_ms\": 2}, "
    "\"attempt_count\": 2, \"attempts\": [{\"instance\": \"127.0.0.1:7001\", \"result\": "
    "\"answered\", \"status\": 503, \"took_ms\": 300, \"fault\": \"delay, abort\"}, "
    "{\"instance\": \"127.0.0.1:7002\", \"result\": \"reset\", \"took_ms\": 0, "
    "\"fault\": \"reset\"}]}";

static void tells_an_exercise_from_an_outage(void **state)
{
    char *text = explained(struck), *real = explained(answered);

    assert_has(text, "An exercise: faults on purpose struck its attempts.\n");
    assert_has(text, "7001 answered 503 after 300 ms, on purpose: delay, abort\n");
    assert_has(text, "7002 broke the connection after 0.00 ms, on purpose: reset\n");
    assert_hasnt(real, "on purpose");
    free(text);
    free(real);
}

#define STOOD_IN(answered)                                                                         \
    "{\"status\": 200, \"reason\": \"circuit_open\", \"service\": \"orders\", \"ledger\": "        \
    "{\"total_ms\": 2}, \"attempt_count\": 1, \"attempts\": [{\"instance\": "                      \
    "\"127.0.0.1:7001\", \"service\": \"spare\", \"result\": \"answered\", \"status\": 200, "      \
    "\"took_ms\": 2}], \"stand_ins\": {\"services\": [\"archive\", \"spare\"], "                   \
    "\"answered\": " answered "}}"

static void tells_who_stood_in(void **state)
{
    char *text = explained(STOOD_IN("true")), *failed = explained(STOOD_IN("false"));

    assert_has(text, "Service 'spare' answered 200 in place of 'orders'. The service has failed");
    assert_has(text, "attempt 1    127.0.0.1:7001 of 'spare' answered 200 after 2.00 ms\n");
    assert_has(text,
               "fallback     service 'archive' was asked in place of 'orders', and had no answer\n"
               "               service 'spare' was asked in place of 'archive', and answered\n");
    assert_has(failed, "'spare' was asked in place of 'archive', and had no answer\n");
    free(text);
    free(failed);
}

static void tells_whose_answer_it_is(void **state)
{
    char *text = explained(answered);

    assert_has(text, "The answer is the service's own: service 'orders' (127.0.0.1:7001) answered "
                     "500.\nWhat to do: ask the service");
    assert_has(text, "no deadline");
    assert_hasnt(text, "most of it"); /* of one slice */
    free(text);
}

/* Whose the answer was, what became of the rest, and where a pause that led to nothing went. */
static void tells_what_the_client_saw(void **state)
{
#define RECORD(status, reason, more, attempts)                                                     \
    "{\"path\": \"/\", \"status\": " status ", \"reason\": \"" reason "\", " more                  \
    "\"ledger\": {\"total_ms\": 100, \"backoff_ms\": 50, \"queue_ms\": 70}, "                      \
    "\"attempt_count\": 1, \"attempts\": [{\"instance\": \"a\", " attempts                         \
    ", \"start_ms\": 1, \"took_ms\": 40}]}"
    static const struct {
        const char *record;
        const char *has[3];
        const char *hasnt;
    } cases[] = {
        {RECORD("200", "upstream_truncated", "", "\"result\": \"answered\", \"status\": 200"),
         {"The client got a part of the service's 200, then it broke off. The service's answer"},
         "Naru answered"},
        {RECORD("200", "client_closed", "", "\"result\": \"answered\", \"status\": 200"),
         {"a part of the service's 200",
          "The client left before it had all of it. [client_closed]"},
         "before it was answered"},
        {RECORD("200", "connect_refused", "\"fallback\": true, ",
                "\"result\": \"connect_refused\""),
         {"The fallback answered 200 in place of the service. The service's instance refused"},
         "Naru answered"},
        {RECORD("503", "circuit_open", "", "\"result\": \"answered\", \"status\": 503"),
         {"Naru answered 503.", "attempt 2    was refused: the circuit had opened\n",
          "then, until naru answered"},
         "passing the answer on"},
        {RECORD("503", "pool_exhausted", "", "\"result\": \"pool_exhausted\""),
         {"a had no connection free in time after 40.0 ms",
          "  waiting in the queue                1.00 ms  |",
          "attempt 1: a                        40.0 ms"},
         "70.0 ms  |"},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        char *text = explained(cases[i].record);

        for (int k = 0; k < 3 && cases[i].has[k] != NULL; k++)
            assert_has(text, cases[i].has[k]);
        assert_hasnt(text, cases[i].hasnt);
        free(text);
    }
#undef RECORD
}

/* The slices cover the whole, and each has a mark. */
static void draws_the_time(void **state)
{
    char *text = explained(refused_twice), *at = strstr(text, "Where the time went");
    uint32_t bars = 0;
    double sum_ms = 0;

    for (at = strchr(at, '\n') + 1; strncmp(at, "  all of it", 11) != 0;
         at = strchr(at, '\n') + 1) {
        const char *bar = strchr(at, '|');

        sum_ms += strtod(at + 34, NULL);
        assert_true(bar != NULL && bar < strchr(at, '\n'));
        assert_true(strchr(bar, '#') < strchr(bar + 1, '|'));
        bars++;
    }
    assert_int_equal(bars, 7);
    assert_true(sum_ms > 499 && sum_ms < 502);
    free(text);
}

/* Whoever sends a path must not talk to the operator's terminal. */
static void passes_no_controls_on(void **state)
{
    char *text = explained("{\"path\": \"/\\u001b[2J\\u009b\\u00e4\\n\", \"status\": 200, "
                           "\"x\\u001b\": \"\\u0007\"}");

    assert_has(text, "/?[2J?\xc3\xa4?");
    assert_null(strchr(text, '\x1b'));
    assert_null(strchr(text, '\x07'));
    free(text);
}

/* Records of any shape: from a newer naru, from a person's editor. */
static void survives_nonsense(void **state)
{
    /* clang-format off */
    static const char *const records[] = {
        "{}",
        "[]",
        "7",
        "{\"attempts\": 3, \"ledger\": [], \"notes\": {}, \"limits\": null}",
        "{\"attempts\": [7, {}], \"attempt_count\": -5, \"route\": {}, \"tunnel\": \"x\"}",
        "{\"ledger\": {\"total_ms\": -1, \"head_ms\": 1e300, \"deadline_ms\": \"x\"}, \"status\": 1e9}",
        "{\"attempts\": [{\"start_ms\": -1e300, \"took_ms\": 1e300}], \"attempt_count\": 1}",
        "{\"attempts\": [{}, {}, {}, {}, {}, {}, {}, {}, {}], \"attempt_count\": 12}",
    };
    /* clang-format on */

    for (size_t i = 0; i < NR_COUNT(records); i++) {
        char *text = explained(records[i]);

        assert_has(text, "Where the time went");
        free(text);
    }
}

static void lists_a_line_each(void **state)
{
    struct nr_strbuf json = {0}, text = {0};
    struct nr_json *list;

    nr_strbuf_printf(&json, "[%s, %s]", refused_twice, answered);
    list = nr_json_parse(nr_strbuf_span(&json), NULL);
    nr_explain_list(list, &text);
    assert_has(text.ptr, "02:40:17.123 504        500 ms     2  deadline           orders ");
    assert_has(text.ptr, "00000000000000070000000000000008 GET /api/orders/7\n");
    assert_has(text.ptr, "02:40:17.123 500       2.00 ms     1  -                  orders ");
    nr_json_free(list);
    nr_strbuf_done(&text);
    list = nr_json_array();
    nr_explain_list(list, &text);
    assert_string_equal(text.ptr, "no requests like that are in naru's memory\n");
    nr_json_free(list);
    nr_strbuf_done(&text);
    nr_strbuf_done(&json);
}

/* Every reason that a client can be given says what it means and what to do. */
static void explains_every_reason(void **state)
{
    const char *name;
    uint32_t count = 0;

    for (uint32_t i = 0; (name = nr_explain_reason_name(i)) != NULL; i++, count++) {
        struct nr_strbuf text = {0};
        struct nr_json *json = nr_explain_reason_json(nr_span_of(name));

        assert_true(nr_explain_reason(nr_span_of(name), &text));
        assert_has(text.ptr, name);
        if (nr_json_text(nr_json_get(json, "advice")).len < 10)
            fail_msg("no advice for '%s': src/base/reason_advice.c says what to do", name);
        assert_true(nr_json_text(nr_json_get(json, "meaning")).len > 10);
        nr_json_free(json);
        nr_strbuf_done(&text);
    }
    assert_true(count > NR_REASONS);
    assert_false(nr_explain_reason(NR_SPAN("moon"), NULL));
    assert_null(nr_explain_reason_json(NR_SPAN("moon")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_the_client_saw),
        cmocka_unit_test(tells_the_story),
        cmocka_unit_test(shows_what_it_does_not_know),
        cmocka_unit_test(tells_an_exercise_from_an_outage),
        cmocka_unit_test(tells_who_stood_in),
        cmocka_unit_test(tells_whose_answer_it_is),
        cmocka_unit_test(draws_the_time),
        cmocka_unit_test(passes_no_controls_on),
        cmocka_unit_test(survives_nonsense),
        cmocka_unit_test(lists_a_line_each),
        cmocka_unit_test(explains_every_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
