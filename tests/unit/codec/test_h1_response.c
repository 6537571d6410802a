/* SPDX-License-Identifier: Apache-2.0 */
/* Response heads, and what follows them on the connection. */
#include "h1_cases.h"

#define OK(fields) BYTES("HTTP/1.1 200 OK\r\n" fields "\r\n")
#define LINE(line) BYTES(line "\r\nContent-Length: 0\r\n\r\n")

static void describe_for(enum nr_method method, char *bytes, size_t len,
                         const struct nr_h1_limits *limits, char *told)
{
    struct nr_field fields[FIELDS_MAX];
    struct nr_head head;
    enum nr_h1_reason reason =
        nr_h1_parse_response(bytes, len, limits, method, fields, FIELDS_MAX, &head);

    if (reason != NR_H1_OK) {
        say(told, "!%s", nr_h1_reason_text(reason));
        return;
    }
    say(told, "%u \"", head.status);
    say_text(told, &head, head.reason);
    say(told, "\"");
    say_body(told, head.body_length);
    if (nr_h1_response_body(&head, method) != head.body_length)
        say(told, " announced only");
    say(told, "%s%s%s", head.keep_alive ? "" : " close", head.upgrade ? " upgrade" : "",
        head.version == 10 ? " 1.0" : "");
    say_fields(told, &head);
}

static void to_get(char *bytes, size_t len, const struct nr_h1_limits *limits, char *told)
{
    describe_for(NR_METHOD_GET, bytes, len, limits, told);
}

static void to_head(char *bytes, size_t len, const struct nr_h1_limits *limits, char *told)
{
    describe_for(NR_METHOD_HEAD, bytes, len, limits, told);
}

/* clang-format off */
static const struct h1_case status_lines[] = {
    {"9112 4", LINE("HTTP/1.1 200 OK"), "200 \"OK\" body=0"},
    {"9112 4: the phrase may be empty", LINE("HTTP/1.1 200 "), "200 \"\" body=0"},
    {"… and servers leave out its SP", LINE("HTTP/1.1 200"), "200 \"\" body=0"},
    {"the phrase is free text", LINE("HTTP/1.1 404 Nicht  da:\t\xc3\xa9"), "404 \"Nicht  da:\t\xc3\xa9\" body=0"},
    {"unregistered", LINE("HTTP/1.1 599 x"), "599 \"x\" body=0"},
    {"9110 2.5: higher minor", LINE("HTTP/1.3 200 OK"), "200 \"OK\" body=0"},
    {"HTTP/1.0", LINE("HTTP/1.0 200 OK"), "200 \"OK\" body=0 close 1.0"},
    {"HTTP/2", LINE("HTTP/2.0 200 OK"), "!unsupported_version"},
    {"HTTP/2 as some write it", LINE("HTTP/2 200 OK"), "!bad_status_line"},
    {"case", LINE("http/1.1 200 OK"), "!bad_status_line"},
    {"another protocol", LINE("ICY 200 OK"), "!bad_status_line"},
    {"HTTP/0.9: a body without head", BYTES("<html>\r\n\r\n"), "!bad_status_line"},
    {"no status", LINE("HTTP/1.1"), "!bad_status_line"},
    {"no status", LINE("HTTP/1.1 OK"), "!bad_status_line"},
    {"two digits", LINE("HTTP/1.1 20 OK"), "!bad_status_line"},
    {"four digits", LINE("HTTP/1.1 2000 OK"), "!bad_status_line"},
    {"signed", LINE("HTTP/1.1 +20 OK"), "!bad_status_line"},
    {"letters", LINE("HTTP/1.1 2x0 OK"), "!bad_status_line"},
    {"9110 15: below 100", LINE("HTTP/1.1 099 x"), "!bad_status_line"},
    {"9110 15: above 599", LINE("HTTP/1.1 600 x"), "!bad_status_line"},
    {"9110 15: above 599", LINE("HTTP/1.1 999 x"), "!bad_status_line"},
    {"two SP", LINE("HTTP/1.1  200 OK"), "!bad_status_line"},
    {"HTAB", LINE("HTTP/1.1\t200 OK"), "!bad_status_line"},
    {"HTAB after the status", LINE("HTTP/1.1 200\tOK"), "!bad_status_line"},
    {"leading SP", LINE(" HTTP/1.1 200 OK"), "!bad_status_line"},
    {"leading CRLF", BYTES("\r\nHTTP/1.1 200 OK\r\n\r\n"), "!bad_status_line"},
    {"control in the phrase", LINE("HTTP/1.1 200 O\x01K"), "!bad_status_line"},
    {"NUL in the phrase", LINE("HTTP/1.1 200 O\0K"), "!bad_status_line"},
    {"bare CR in the phrase", LINE("HTTP/1.1 200 O\rK"), "!bare_cr"},
    {"bare CR after the status", LINE("HTTP/1.1 200\rOK"), "!bare_cr"},
    {"bare LF", BYTES("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"), "!bare_lf"},
    {"not complete", BYTES("HTTP/1.1 200 OK\r\n"), "…"},
    {"too short to be one", BYTES("HTTP/1.1 2\r\n\r\n"), "!bad_status_line"},
};

static const struct h1_case bodies[] = {
    {"9112 6.3: length", OK("Content-Length: 5\r\n"), "200 \"OK\" body=5"},
    {"9112 6.3: chunked", OK("Transfer-Encoding: chunked\r\n"), "200 \"OK\" body=chunked"},
    {"9112 6.3: until close", OK(""), "200 \"OK\" body=close close"},
    {"until close whatever is promised", OK("Connection: keep-alive\r\n"), "200 \"OK\" body=close close"},
    {"1.0 until close", BYTES("HTTP/1.0 200 OK\r\n\r\n"), "200 \"OK\" body=close close 1.0"},
    {"1.0 persists", BYTES("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n"), "200 \"OK\" body=1 1.0"},
    {"9112 9.6: close", OK("Connection: close\r\nContent-Length: 1\r\n"), "200 \"OK\" body=1 close"},
    {"9110 15.3.5: 204", BYTES("HTTP/1.1 204 No Content\r\n\r\n"), "204 \"No Content\" body=none"},
    {"204 with length 0 is harmless", BYTES("HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n"), "204 \"x\" body=none"},
    {"204 that announces content: never read on", BYTES("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\nabcde"), "204 \"x\" body=none close"},
    {"204 that announces chunks: never read on", BYTES("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n"), "204 \"x\" body=none close"},
    {"9110 15.4.5: 304", BYTES("HTTP/1.1 304 x\r\n\r\n"), "304 \"x\" body=none"},
    {"304 tells the length of a 200", BYTES("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n"), "304 \"x\" body=5 announced only"},
    {"205 is framed like any", BYTES("HTTP/1.1 205 x\r\nContent-Length: 0\r\n\r\n"), "205 \"x\" body=0"},
    {"9110 15.2: 100", BYTES("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), "100 \"Continue\" body=none"},
    {"8297 2: 103", BYTES("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"), "103 \"Early Hints\" body=none [Link=</a>; rel=preload]"},
    {"1xx has no body", BYTES("HTTP/1.1 102 x\r\nContent-Length: 5\r\n\r\n"), "102 \"x\" body=none"},
    {"9110 15.2.2: 101", BYTES("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), "101 \"x\" body=tunnel upgrade"},
    {"101 to nothing", BYTES("HTTP/1.1 101 x\r\n\r\n"), "101 \"x\" body=none"},
    {"101 in 1.0", BYTES("HTTP/1.0 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), "101 \"x\" body=none close 1.0"},
    {"426 offers", BYTES("HTTP/1.1 426 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"), "426 \"x\" body=0 upgrade"},
    {"9112 6.3: both", OK("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), "!length_with_transfer_encoding"},
    {"two lengths", OK("Content-Length: 5\r\nContent-Length: 5\r\n"), "!duplicate_content_length"},
    {"two lengths", OK("Content-Length: 5\r\nContent-Length: 6\r\n"), "!duplicate_content_length"},
    {"list of lengths", OK("Content-Length: 5, 5\r\n"), "!bad_content_length"},
    {"negative", OK("Content-Length: -1\r\n"), "!bad_content_length"},
    {"empty", OK("Content-Length: \r\n"), "!bad_content_length"},
    {"9112 6.1: TE in 1.0", BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "!transfer_encoding_in_http10"},
    {"TE.TE", OK("Transfer-Encoding: xchunked\r\n"), "!bad_transfer_encoding"},
    {"TE.TE", OK("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"), "!bad_transfer_encoding"},
    {"gzip below chunked", OK("Transfer-Encoding: gzip, chunked\r\n"), "!bad_transfer_encoding"},
    {"identity", OK("Transfer-Encoding: identity\r\n"), "!bad_transfer_encoding"},
    {"obs-fold", OK("A: b\r\n c\r\n"), "!obs_fold"},
    {"SP before the colon", OK("A : b\r\n"), "!bad_field_name"},
    {"NUL in a value", OK("A: b\0\r\n"), "!bad_field_value"},
    {"bare CR in a value", OK("A: b\rc\r\n"), "!bare_cr"},
    {"nominated", OK("Connection: X-A\r\nX-A: b\r\nX-B: c\r\nContent-Length: 0\r\n"), "200 \"OK\" body=0 [X-B=c]"},
    {"Host means nothing here", OK("Host: a\r\nHost: b\r\nContent-Length: 0\r\n"), "200 \"OK\" body=0"},
    {"Expect means nothing here", OK("Expect: x\r\nContent-Length: 0\r\n"), "200 \"OK\" body=0 [Expect=x]"},
    {"two cookies stay two", OK("Set-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n"), "200 \"OK\" body=0 [Set-Cookie=a] [Set-Cookie=b]"},
};

static const struct h1_case answers_to_head[] = {
    {"9110 9.3.2: announced only", OK("Content-Length: 5\r\n"), "200 \"OK\" body=5 announced only"},
    {"chunks announced only", OK("Transfer-Encoding: chunked\r\n"), "200 \"OK\" body=chunked announced only"},
    {"nothing announced, and the connection persists", OK(""), "200 \"OK\" body=none"},
    {"malformed all the same", OK("Content-Length: x\r\n"), "!bad_content_length"},
    {"1xx before", BYTES("HTTP/1.1 100 x\r\n\r\n"), "100 \"x\" body=none"},
};
/* clang-format on */

static void reads_or_refuses_the_status_line(void **state)
{
    (void)state;
    check_cases(status_lines, ROWS(status_lines), to_get);
}

static void knows_what_follows(void **state)
{
    (void)state;
    check_cases(bodies, ROWS(bodies), to_get);
}

static void nothing_follows_an_answer_to_head(void **state)
{
    (void)state;
    check_cases(answers_to_head, ROWS(answers_to_head), to_head);
}

static void every_reason_has_its_own_stable_name(void **state)
{
    (void)state;
    for (int a = 0; a < NR_H1_REASONS; a++) {
        const char *text = nr_h1_reason_text((enum nr_h1_reason)a);

        assert_non_null(text);
        assert_int_equal(strspn(text, "abcdefghijklmnopqrstuvwxyz_10"), strlen(text));
        for (int b = 0; b < a; b++) /* one name stands for 400 and 501 */
            if (b != NR_H1_BAD_CODING || a != NR_H1_UNKNOWN_CODING)
                assert_string_not_equal(text, nr_h1_reason_text((enum nr_h1_reason)b));
        if (a != NR_H1_OK)
            assert_in_range(nr_h1_reason_status((enum nr_h1_reason)a), 400, 505);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_or_refuses_the_status_line),
        cmocka_unit_test(knows_what_follows),
        cmocka_unit_test(nothing_follows_an_answer_to_head),
        cmocka_unit_test(every_reason_has_its_own_stable_name),
    };

    return cmocka_run_group_tests_name("h1_response", tests, NULL, NULL);
}
