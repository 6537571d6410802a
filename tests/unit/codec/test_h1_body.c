/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies: lengths, chunks, trailers; and the attacks on them. A story is told as
 * "content|trailers:N used" (N bytes were used before the trailer section), "content|end",
 * "content|…" when more is needed, "content|!reason". */
#include "h1_cases.h"

static const struct nr_h1_limits *const limits = &nr_h1_limits_default;

/* Hand over pieces that end at the cuts. */
static void tell(int64_t length, const char *text, size_t len, const size_t *cuts, size_t cut_count,
                 char *told)
{
    struct nr_h1_body body;
    enum nr_h1_step step = NR_H1_STEP_MORE;
    size_t at = 0, piece = 0;

    told[0] = '\0';
    nr_h1_body_init(&body, length);
    while (step == NR_H1_STEP_MORE || step == NR_H1_STEP_CONTENT) {
        size_t to = piece < cut_count ? cuts[piece] : len;
        struct nr_span content = {0};
        size_t used = SIZE_MAX;
        char *bytes = malloc(to - at + 1);

        assert_non_null(bytes);
        memcpy(bytes, text + at, to - at);
        step = nr_h1_body_step(&body, (struct nr_span){bytes, to - at}, limits, &used, &content);
        assert_true(used <= to - at);
        if (step == NR_H1_STEP_CONTENT) {
            assert_true(content.len > 0);
            say(told, "%.*s", (int)content.len, content.ptr);
        }
        free(bytes);
        at += used;
        if (step == NR_H1_STEP_MORE) {
            assert_int_equal(at, to);
            if (piece++ >= cut_count)
                break;
        }
    }
    assert_int_equal(nr_h1_body_ended(&body), step == NR_H1_STEP_END);
    if (step == NR_H1_STEP_MORE)
        say(told, "|…");
    else if (step == NR_H1_STEP_END)
        say(told, "|end:%zu", at);
    else if (step == NR_H1_STEP_TRAILERS)
        say(told, "|trailers:%zu", at);
    else
        say(told, "|!%s", nr_h1_reason_text(body.reason));
}

static void check(int64_t length, const struct h1_case *row)
{
    char told[TOLD_BYTES];
    size_t *every = malloc((row->len + 1) * sizeof(*every));

    assert_non_null(every);
    tell(length, row->text, row->len, NULL, 0, told);
    if (strcmp(told, row->want) != 0)
        fail_msg("%s: %s\n  want %s\n  got  %s", row->why, row->text, row->want, told);
    for (size_t cut = 0; cut <= row->len; cut++) {
        every[cut] = cut;
        tell(length, row->text, row->len, &cut, 1, told);
        if (strcmp(told, row->want) != 0)
            fail_msg("%s, cut at %zu\n  want %s\n  got  %s", row->why, cut, row->want, told);
    }
    tell(length, row->text, row->len, every, row->len + 1, told);
    assert_string_equal(told, row->want);
    free(every);
}

#define EXT(ext) BYTES("1" ext "\r\na\r\n0\r\n\r\n")
#define TEN      "0123456789"
#define FIFTY    TEN TEN TEN TEN TEN

/* clang-format off */
static const struct h1_case chunks[] = {
    {"9112 7.1", BYTES("4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n"), "Wikipedia|trailers:22"},
    {"empty body", BYTES("0\r\n\r\n"), "|trailers:3"},
    {"several zeros end it too", BYTES("000\r\n\r\n"), "|trailers:5"},
    {"hexadecimal, both cases", BYTES("a\r\n" TEN "\r\nA\r\n" TEN "\r\n0\r\n\r\n"), TEN TEN "|trailers:33"},
    {"two digits", BYTES("10\r\n" TEN "abcdef\r\n0\r\n"), TEN "abcdef|trailers:25"},
    {"leading zeros", BYTES("0001\r\na\r\n0\r\n"), "a|trailers:12"},
    {"sixteen digits", BYTES("0000000000000001\r\na\r\n0\r\n"), "a|trailers:24"},
    {"content that looks like framing", BYTES("7\r\n\r\n0\r\n\r\n\r\n0\r\n"), "\r\n0\r\n\r\n|trailers:15"},
    {"what follows is the caller's", BYTES("0\r\n\r\nGET / HTTP/1.1"), "|trailers:3"},
    {"trailers", BYTES("1\r\na\r\n0\r\nX: y\r\n\r\n"), "a|trailers:9"},
    {"not complete", BYTES(""), "|…"},
    {"not complete", BYTES("5"), "|…"},
    {"not complete", BYTES("5\r"), "|…"},
    {"not complete", BYTES("5\r\n"), "|…"},
    {"not complete", BYTES("5\r\nabc"), "abc|…"},
    {"not complete", BYTES("5\r\nabcde"), "abcde|…"},
    {"not complete", BYTES("5\r\nabcde\r"), "abcde|…"},
    {"not complete", BYTES("5\r\nabcde\r\n"), "abcde|…"},
    {"not complete", BYTES("5\r\nabcde\r\n0"), "abcde|…"},
    {"largest size", BYTES("7fffffffffffffff\r\na"), "a|…"},
    {"2^63", BYTES("8000000000000000\r\na"), "|!bad_chunk_size"},
    {"2^64", BYTES("10000000000000000\r\na"), "|!bad_chunk_size"},
    {"2^64 - 1", BYTES("ffffffffffffffff\r\na"), "|!bad_chunk_size"},
    {"2^64 + 5", BYTES("10000000000000005\r\na"), "|!bad_chunk_size"},
    {"seventeen digits", BYTES("00000000000000001\r\na"), "|!bad_chunk_size"},
    {"endless zeros", BYTES("0" FIFTY), "|!bad_chunk_size"},
    {"no size", BYTES("\r\na"), "|!bad_chunk_size"},
    {"only an extension", BYTES(";a\r\n"), "|!bad_chunk_size"},
    {"0x", BYTES("0x1\r\na\r\n"), "|!bad_chunk_size"},
    {"x", BYTES("x1\r\na\r\n"), "|!bad_chunk_size"},
    {"plus", BYTES("+1\r\na\r\n"), "|!bad_chunk_size"},
    {"minus", BYTES("-1\r\na\r\n"), "|!bad_chunk_size"},
    {"leading SP", BYTES(" 1\r\na\r\n"), "|!bad_chunk_size"},
    {"underscore", BYTES("1_0\r\n"), "|!bad_chunk_size"},
    {"g", BYTES("g\r\n"), "|!bad_chunk_size"},
    {"NUL", BYTES("\0" "1\r\n"), "|!bad_chunk_size"},
    {"NUL behind", BYTES("1\0\r\n"), "|!bad_chunk_size"},
    {"NBSP behind", BYTES("1\xa0\r\n"), "|!bad_chunk_size"},
    {"comma", BYTES("1,2\r\n"), "|!bad_chunk_size"},
    {"obs-text digits", BYTES("\xd9\xa1\r\n"), "|!bad_chunk_size"},
    {"trailing SP", BYTES("1 \r\na\r\n"), "|!bad_chunk_extension"},
    {"trailing HTAB", BYTES("1\t\r\na\r\n"), "|!bad_chunk_extension"},
    {"SP inside", BYTES("1 0\r\na\r\n"), "|!bad_chunk_extension"},
    {"bare LF after the size", BYTES("1\na\r\n"), "|!bare_lf"},
    {"bare LF as the size", BYTES("\n"), "|!bare_lf"},
    {"bare CR after the size", BYTES("1\ra\r\n"), "|!bare_cr"},
    {"CR CR LF", BYTES("1\r\r\na\r\n"), "|!bare_cr"},
    {"bare LF after the last size", BYTES("0\n\r\n"), "|!bare_lf"},
    {"content longer than its size", BYTES("3\r\nabcd\r\n"), "abc|!bad_chunk_end"},
    {"content shorter than its size", BYTES("3\r\nab\r\n0\r\n\r\n"), "ab\r|!bad_chunk_end"},
    {"no CRLF after content", BYTES("1\r\na0\r\n"), "a|!bad_chunk_end"},
    {"bare LF after content", BYTES("1\r\na\n0\r\n"), "a|!bad_chunk_end"},
    {"bare CR after content", BYTES("1\r\na\r0\r\n"), "a|!bad_chunk_end"},
    {"two CRLF after content", BYTES("1\r\na\r\n\r\n0\r\n"), "a|!bad_chunk_size"},
    {"two bytes instead of CRLF (TERM.EXT)", BYTES("1\r\naXX0\r\n"), "a|!bad_chunk_end"},
};

static const struct h1_case extensions[] = {
    {"9112 7.1.1", EXT(";a"), "a|trailers:11"},
    {"with a value", EXT(";a=b"), "a|trailers:13"},
    {"two", EXT(";a;b"), "a|trailers:13"},
    {"quoted", EXT(";a=\"b c\""), "a|trailers:17"},
    {"quoted, empty", EXT(";a=\"\""), "a|trailers:14"},
    {"quoted, with what looks like more", EXT(";a=\";b\\\"=,\""), "a|trailers:20"},
    {"quoted HTAB and obs-text", EXT(";a=\"\t\xff\""), "a|trailers:16"},
    {"BWS everywhere it may stand", EXT(" ; a = b ; c"), "a|trailers:21"},
    {"BWS by HTAB", EXT("\t;\ta\t=\tb"), "a|trailers:17"},
    {"on the last chunk", BYTES("0;a=b\r\n\r\n"), "|trailers:7"},
    {"no name", EXT(";"), "|!bad_chunk_extension"},
    {"no name", EXT(";=b"), "|!bad_chunk_extension"},
    {"no name", EXT(";a;"), "|!bad_chunk_extension"},
    {"no name", EXT(";;a"), "|!bad_chunk_extension"},
    {"no value", EXT(";a="), "|!bad_chunk_extension"},
    {"no value", EXT(";a=;b"), "|!bad_chunk_extension"},
    {"two equal signs", EXT(";a=b=c"), "|!bad_chunk_extension"},
    {"two words", EXT(";a b"), "|!bad_chunk_extension"},
    {"trailing SP", EXT(";a "), "|!bad_chunk_extension"},
    {"trailing SP after a value", EXT(";a=b "), "|!bad_chunk_extension"},
    {"not a token", EXT(";a(b)"), "|!bad_chunk_extension"},
    {"quotes not closed", EXT(";a=\"b"), "|!bad_chunk_extension"},
    {"more after quotes", EXT(";a=\"b\"c"), "|!bad_chunk_extension"},
    {"name in quotes", EXT(";\"a\""), "|!bad_chunk_extension"},
    {"NUL", EXT(";a\0"), "|!bad_chunk_extension"},
    {"NUL in quotes", EXT(";a=\"\0\""), "|!bad_chunk_extension"},
    {"DEL in quotes", EXT(";a=\"\x7f\""), "|!bad_chunk_extension"},
    {"obs-text in a name", EXT(";\xff"), "|!bad_chunk_extension"},
    {"bare LF in an extension (TERM.EXT)", BYTES("2;\nxx\r\n"), "|!bare_lf"},
    {"bare LF ends an extension", BYTES("1;a\na\r\n"), "|!bare_lf"},
    {"bare LF in quotes", BYTES("1;a=\"\n\"\r\n"), "|!bare_lf"},
    {"bare LF escaped in quotes", BYTES("1;a=\"\\\n\"\r\n"), "|!bare_lf"},
    {"bare CR in an extension", BYTES("1;a\rb\r\n"), "|!bare_cr"},
    {"bare CR before a name", BYTES("1;\ra\r\n"), "|!bad_chunk_extension"},
    {"CR LF in quotes", BYTES("1;a=\"\r\n\"\r\n"), "|!bad_chunk_extension"},
    {"as long as a line may be", EXT(";" FIFTY FIFTY FIFTY FIFTY FIFTY "abcd"), "a|trailers:264"},
    {"one longer", EXT(";" FIFTY FIFTY FIFTY FIFTY FIFTY "abcde"), "|!bad_chunk_extension"},
};

static const struct h1_case five_bytes[] = {
    {"9112 6.2", BYTES("abcde"), "abcde|end:5"},
    {"what follows is the next message's", BYTES("abcdeGET"), "abcde|end:5"},
    {"not complete", BYTES("abcd"), "abcd|…"},
    {"bytes are bytes", BYTES("\r\n\x01\n\xff"), "\r\n\x01\n\xff|end:5"},
};

static const struct h1_case until_close[] = {
    {"9112 6.3: everything", BYTES("abc\r\n0\r\n"), "abc\r\n0\r\n|…"},
    {"nothing yet", BYTES(""), "|…"},
};

static const struct h1_case no_body[] = {
    {"what follows is the next message's", BYTES("GET"), "|end:0"},
};
/* clang-format on */

#define CHECK_ALL(length, rows)                                                                    \
    for (size_t i = 0; i < ROWS(rows); i++)                                                        \
    check(length, &(rows)[i])

static void chunks_in_any_split(void **state)
{
    (void)state;
    CHECK_ALL(NR_BODY_CHUNKED, chunks);
}

static void extensions_in_any_split(void **state)
{
    (void)state;
    CHECK_ALL(NR_BODY_CHUNKED, extensions);
}

static void other_framings(void **state)
{
    (void)state;
    CHECK_ALL(5, five_bytes);
    CHECK_ALL(NR_BODY_CLOSE, until_close);
    CHECK_ALL(NR_BODY_TUNNEL, until_close);
    CHECK_ALL(NR_BODY_NONE, no_body);
    CHECK_ALL(0, no_body);
}

/* A byte of content for a long line of extension, for ever: refused when the extensions outweigh
 * the content by 16 KiB. With honest chunks the same extension is never too much. */
static bool survives(size_t chunk_bytes, int chunks_sent)
{
    static char text[1024 + 256];
    size_t line = (size_t)sprintf(text, "%zx;signature=%s\r\n", chunk_bytes, FIFTY);
    size_t len = line + chunk_bytes + 2;
    struct nr_h1_body body;

    memset(text + line, 'x', chunk_bytes);
    memcpy(text + line + chunk_bytes, "\r\n", 2);
    nr_h1_body_init(&body, NR_BODY_CHUNKED);
    for (int i = 0; i < chunks_sent; i++) {
        size_t at = 0, used;
        struct nr_span content;
        enum nr_h1_step step;

        do {
            step = nr_h1_body_step(&body, (struct nr_span){text + at, len - at}, limits, &used,
                                   &content);
            at += used;
        } while (step == NR_H1_STEP_CONTENT);
        if (step == NR_H1_STEP_BAD) {
            assert_int_equal(body.reason, NR_H1_BAD_CHUNK_EXT);
            return false;
        }
    }
    return true;
}

static void extensions_must_not_outweigh_content(void **state)
{
    (void)state;
    assert_true(survives(1, 200));
    assert_false(survives(1, 400));
    assert_true(survives(1024, 100000));
}

static void refused_stays_refused_and_ended_stays_ended(void **state)
{
    struct nr_h1_body body;
    struct nr_span content;
    size_t used;

    (void)state;
    nr_h1_body_init(&body, NR_BODY_CHUNKED);
    assert_int_equal(nr_h1_body_step(&body, NR_SPAN("x"), limits, &used, &content), NR_H1_STEP_BAD);
    assert_int_equal(nr_h1_body_step(&body, NR_SPAN("0\r\n"), limits, &used, &content),
                     NR_H1_STEP_BAD);
    assert_int_equal(used, 0);
    nr_h1_body_init(&body, NR_BODY_CHUNKED);
    assert_int_equal(nr_h1_body_step(&body, NR_SPAN("0\r\n"), limits, &used, &content),
                     NR_H1_STEP_TRAILERS);
    assert_false(nr_h1_body_ended(&body));
    nr_h1_body_finish_trailers(&body);
    assert_true(nr_h1_body_ended(&body));
    assert_int_equal(nr_h1_body_step(&body, NR_SPAN("0\r\n"), limits, &used, &content),
                     NR_H1_STEP_END);
    assert_int_equal(used, 0);
}

/* clang-format off */
static const struct h1_case trailers[] = {
    {"9112 7.1.2: none", BYTES("\r\n"), "2"},
    {"what follows stays", BYTES("\r\nGET /"), "2"},
    {"one", BYTES("X-T: 1\r\n\r\n"), "10 [X-T=1]"},
    {"gRPC", BYTES("grpc-status: 0\r\ngrpc-message:\r\n\r\n"), "33 [grpc-status=0] [grpc-message=]"},
    {"a digest", BYTES("Content-MD5: x\r\nETag: \"a\"\r\n\r\n"), "29 [Content-MD5=x] [ETag=\"a\"]"},
    {"not complete", BYTES("X-T: 1\r\n"), "…"},
    {"9110 6.5.1: framing", BYTES("Content-Length: 5\r\n\r\n"), "!bad_trailer"},
    {"9110 6.5.1: framing", BYTES("transfer-encoding: chunked\r\n\r\n"), "!bad_trailer"},
    {"9110 6.5.1: routing", BYTES("X: y\r\nHost: a\r\n\r\n"), "!bad_trailer"},
    {"9110 6.5.1: authentication", BYTES("Authorization: a\r\n\r\n"), "!bad_trailer"},
    {"9110 6.5.1: authentication", BYTES("Proxy-Authorization: a\r\n\r\n"), "!bad_trailer"},
    {"9110 6.5.1: authentication", BYTES("Set-Cookie: a\r\n\r\n"), "!bad_trailer"},
    {"9110 6.5.1: authentication", BYTES("Cookie: a\r\n\r\n"), "!bad_trailer"},
    {"9110 6.5.1: content format", BYTES("Content-Encoding: gzip\r\n\r\n"), "!bad_trailer"},
    {"9110 6.5.1: request modifier", BYTES("Expect: 100-continue\r\n\r\n"), "!bad_trailer"},
    {"9110 6.5.1: request modifier", BYTES("Range: bytes=0-\r\n\r\n"), "!bad_trailer"},
    {"hop-by-hop", BYTES("Connection: close\r\n\r\n"), "!bad_trailer"},
    {"who sent it", BYTES("X-Forwarded-For: 1.2.3.4\r\n\r\n"), "!bad_trailer"},
    {"obs-fold", BYTES("X: y\r\n z\r\n\r\n"), "!obs_fold"},
    {"bare LF", BYTES("X: y\n\r\n"), "!bare_lf"},
    {"bare LF for none", BYTES("\n"), "!bare_lf"},
    {"bare CR", BYTES("X: y\rz\r\n\r\n"), "!bare_cr"},
    {"a request where trailers should be", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "!bad_field_name"},
    {"no name", BYTES(": y\r\n\r\n"), "!bad_field_name"},
    {"NUL", BYTES("X: \0\r\n\r\n"), "!bad_field_value"},
};
/* clang-format on */

static void tell_trailers(const struct h1_case *row, size_t step, char *told)
{
    struct nr_field fields[FIELDS_MAX];
    uint32_t scanned = 0, bytes_used = 0;
    enum nr_h1_scan scan = NR_H1_SCAN_MORE;
    enum nr_h1_reason reason = NR_H1_OK;
    struct nr_head head;
    char *bytes = malloc(row->len);

    assert_non_null(bytes);
    memcpy(bytes, row->text, row->len);
    told[0] = '\0';
    for (size_t len = step; scan == NR_H1_SCAN_MORE; len += step) {
        len = len < row->len ? len : row->len;
        scan = nr_h1_scan_trailers((struct nr_span){bytes, len}, limits, &scanned, &bytes_used,
                                   &reason);
        if (len == row->len)
            break;
    }
    if (scan == NR_H1_SCAN_DONE)
        reason = nr_h1_parse_trailers(bytes, bytes_used, limits, fields, FIELDS_MAX, &head);
    if (scan == NR_H1_SCAN_MORE) {
        say(told, "…");
    } else if (reason != NR_H1_OK) {
        say(told, "!%s", nr_h1_reason_text(reason));
    } else {
        say(told, "%u", bytes_used);
        say_fields(told, &head);
    }
    free(bytes);
}

static void trailers_in_any_pieces(void **state)
{
    char told[TOLD_BYTES];

    (void)state;
    for (size_t i = 0; i < ROWS(trailers); i++)
        for (size_t step = 1; step <= trailers[i].len; step++) {
            tell_trailers(&trailers[i], step, told);
            if (strcmp(told, trailers[i].want) != 0)
                fail_msg("%s, by %zu\n  want %s\n  got  %s", trailers[i].why, step,
                         trailers[i].want, told);
        }
}

static void endless_trailers_are_refused_at_the_limit(void **state)
{
    static char bytes[16 * 1024];
    uint32_t scanned = 0, bytes_used;
    enum nr_h1_reason reason;

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    assert_int_equal(nr_h1_scan_trailers((struct nr_span){bytes, sizeof(bytes)}, limits, &scanned,
                                         &bytes_used, &reason),
                     NR_H1_SCAN_BAD);
    assert_int_equal(reason, NR_H1_TRAILERS_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_in_any_split),
        cmocka_unit_test(extensions_in_any_split),
        cmocka_unit_test(other_framings),
        cmocka_unit_test(extensions_must_not_outweigh_content),
        cmocka_unit_test(refused_stays_refused_and_ended_stays_ended),
        cmocka_unit_test(trailers_in_any_pieces),
        cmocka_unit_test(endless_trailers_are_refused_at_the_limit),
    };

    return cmocka_run_group_tests_name("h1_body", tests, NULL, NULL);
}
