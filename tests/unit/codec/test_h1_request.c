/* SPDX-License-Identifier: Apache-2.0 */
/* Request heads: what is understood, and above all what is refused. */
#include "h1_cases.h"

/* A request line, then Host. */
#define GET(fields)  BYTES("GET / HTTP/1.1\r\nHost: a\r\n" fields "\r\n")
#define POST(fields) BYTES("POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n")
#define OLD(fields)  BYTES("POST / HTTP/1.0\r\n" fields "\r\n")
#define LINE(line)   BYTES(line "\r\nHost: a\r\n\r\n")
#define TARGET(path) BYTES("GET " path " HTTP/1.1\r\nHost: a\r\n\r\n")
#define HOST(host)   BYTES("GET / HTTP/1.1\r\nHost: " host "\r\n\r\n")

static void describe(char *bytes, size_t len, const struct nr_h1_limits *limits, char *told)
{
    struct nr_field fields[FIELDS_MAX];
    struct nr_head head;
    enum nr_h1_reason reason = nr_h1_parse_request(bytes, len, limits, fields, FIELDS_MAX, &head);

    if (reason != NR_H1_OK) {
        say(told, "!%s", nr_h1_reason_text(reason));
        if (nr_h1_reason_status(reason) != 400)
            say(told, " %u", nr_h1_reason_status(reason));
        return;
    }
    say_text(told, &head, head.method_name);
    say(told, " ");
    say_text(told, &head, head.path);
    if (head.has_query) {
        say(told, "?");
        say_text(told, &head, head.query);
    }
    say(told, " @");
    say_text(told, &head, head.authority);
    say_body(told, head.body_length);
    say(told, "%s%s%s%s%s", head.keep_alive ? "" : " close", head.expect_continue ? " expect" : "",
        head.upgrade ? " upgrade" : "", head.te_trailers ? " trailers" : "",
        head.version == 10 ? " 1.0" : "");
    say_fields(told, &head);
}

/* clang-format off */
static const struct h1_case request_lines[] = {
    {"9112 3", LINE("GET / HTTP/1.1"), "GET / @a body=none"},
    {"9110 9.1: methods are case-sensitive", LINE("get / HTTP/1.1"), "get / @a body=none"},
    {"9110 9.1: any token", LINE("M-SEARCH / HTTP/1.1"), "M-SEARCH / @a body=none"},
    {"9110 5.6.2: all of tchar", LINE("!#$%&'*+-.^_`|~09azAZ / HTTP/1.1"), "!#$%&'*+-.^_`|~09azAZ / @a body=none"},
    {"9110 9.3.6: CONNECT", LINE("CONNECT a:443 HTTP/1.1"), "!method_refused 501"},
    {"9110 9.3.8: TRACE", LINE("TRACE / HTTP/1.1"), "!method_refused 501"},
    {"TRACE is case-sensitive too", LINE("Trace / HTTP/1.1"), "Trace / @a body=none"},
    {"no method", LINE(" / HTTP/1.1"), "!bad_method"},
    {"not a token", LINE("GE(T / HTTP/1.1"), "!bad_method"},
    {"NUL in the method", LINE("GE\0T / HTTP/1.1"), "!bad_method"},
    {"obs-text in the method", LINE("G\xc3\x89T / HTTP/1.1"), "!bad_method"},
    {"HTAB instead of SP", LINE("GET\t/ HTTP/1.1"), "!bad_method"},
    {"a TLS client came to the wrong door", BYTES("\x16\x03\x01\x02\r\n\r\n"), "!bad_method"},
    {"9112 3: single SP", LINE("GET  / HTTP/1.1"), "!bad_request_line"},
    {"two SP before the version", LINE("GET /  HTTP/1.1"), "!bad_request_line"},
    {"9112 3.2: white space in the target", LINE("GET /a b HTTP/1.1"), "!bad_request_line"},
    {"trailing SP", LINE("GET / HTTP/1.1 "), "!bad_request_line"},
    {"trailing HTAB", LINE("GET / HTTP/1.1\t"), "!bad_version"},
    {"HTTP/0.9", LINE("GET /"), "!bad_request_line"},
    {"only a method", LINE("GET"), "!bad_request_line"},
    {"an empty line only", BYTES("\r\n"), "!bad_request_line"},
    {"9112 2.2: an empty line is the caller's to skip", BYTES("\r\nGET / HTTP/1.1\r\n\r\n"), "!bad_request_line"},
    {"9110 2.5: higher minor is 1.1", LINE("GET / HTTP/1.2"), "GET / @a body=none"},
    {"9110 2.5: higher minor is 1.1", LINE("GET / HTTP/1.9"), "GET / @a body=none"},
    {"HTTP/1.0", LINE("GET / HTTP/1.0"), "GET / @a body=none close 1.0"},
    {"HTTP/2 preface", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "!bad_target"},
    {"9112 2.3: major 2", LINE("GET / HTTP/2.0"), "!unsupported_version 505"},
    {"9112 2.3: major 0", LINE("GET / HTTP/0.9"), "!unsupported_version 505"},
    {"9112 2.3: case-sensitive", LINE("GET / http/1.1"), "!bad_version"},
    {"9112 2.3: DIGIT.DIGIT", LINE("GET / HTTP/1.10"), "!bad_version"},
    {"9112 2.3: DIGIT.DIGIT", LINE("GET / HTTP/01.1"), "!bad_version"},
    {"9112 2.3: DIGIT.DIGIT", LINE("GET / HTTP/1"), "!bad_version"},
    {"9112 2.3: DIGIT.DIGIT", LINE("GET / HTTP/1,1"), "!bad_version"},
    {"9112 2.3: DIGIT.DIGIT", LINE("GET / HTTP/1.x"), "!bad_version"},
    {"another protocol", LINE("GET / RTSP/1.0"), "!bad_version"},
    {"another protocol", LINE("GET / ICAP/1.0"), "!bad_version"},
    {"9112 2.2: bare CR in the line", LINE("GET / HTTP/1.1\rX"), "!bare_cr"},
    {"9112 2.2: bare CR after the method", LINE("GET\r / HTTP/1.1"), "!bare_cr"},
    {"9112 2.2: bare CR in the target", LINE("GET /\rx HTTP/1.1"), "!bare_cr"},
    {"bare LF ends the line", BYTES("GET / HTTP/1.1\nHost: a\r\n\r\n"), "!bare_lf"},
    {"bare LF at the very start", BYTES("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "!bare_lf"},
    {"bare LF is known before the head is complete", BYTES("GET / HTTP/1.1\n"), "!bare_lf"},
    {"CR CR LF", BYTES("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"), "!bare_cr"},
    {"not complete", BYTES("GET / HTTP/1.1\r\nHost: a\r\n"), "…"},
    {"not complete", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r"), "…"},
    {"nothing", BYTES(""), "…"},
    {"pipelined: the second stays", BYTES("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n"), "GET /1 @a body=none"},
    {"pipelined behind garbage", BYTES("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\n\n\r\0"), "GET /1 @a body=none"},
};

static const struct h1_case targets[] = {
    {"3986 3.3", TARGET("/a/b.c/d-e_f~g"), "GET /a/b.c/d-e_f~g @a body=none"},
    {"3986 3.3: all of pchar", TARGET("/!$&'()*+,;=:@"), "GET /!$&'()*+,;=:@ @a body=none"},
    {"empty segments are kept", TARGET("//a//"), "GET //a// @a body=none"},
    {"query", TARGET("/a?b=c&d"), "GET /a?b=c&d @a body=none"},
    {"empty query", TARGET("/a?"), "GET /a? @a body=none"},
    {"query with ? and /", TARGET("/a?b?/c"), "GET /a?b?/c @a body=none"},
    {"what browsers send raw in a query", TARGET("/a?[x]={y}|\"<>^`\\"), "GET /a?[x]={y}|\"<>^`\\ @a body=none"},
    {"dots and slashes in a query mean nothing", TARGET("/a?../%2f%00"), "GET /a?../%2f%00 @a body=none"},
    {"3986 2.1: broken escape in a query", TARGET("/a?%"), "!bad_target"},
    {"3986 2.1: broken escape in a query", TARGET("/a?%4"), "!bad_target"},
    {"3986 2.1: broken escape in a query", TARGET("/a?%4g"), "!bad_target"},
    {"9112 3.2: no fragment", TARGET("/a#b"), "!bad_target"},
    {"9112 3.2: no fragment", TARGET("/a?b#c"), "!bad_target"},
    {"3986 6.2.2.2: unreserved decoded", TARGET("/%41%7e%2D%2e%5Fx"), "GET /A~-._x @a body=none"},
    {"3986 6.2.2.1: upper case", TARGET("/%c3%a9%3a"), "GET /%C3%A9%3A @a body=none"},
    {"the query follows a path that shrank", TARGET("/%61%62%63?q=%61"), "GET /abc?q=%61 @a body=none"},
    {"an empty query follows a path that shrank", TARGET("/%61?"), "GET /a? @a body=none"},
    {"decoded once only", TARGET("/%2561"), "GET /%2561 @a body=none"},
    {"double-encoded dots stay encoded", TARGET("/%252e%252e/"), "GET /%252e%252e/ @a body=none"},
    {"CVE-2021-29492: encoded slash", TARGET("/a%2fb"), "!bad_path"},
    {"CVE-2021-29492: encoded slash", TARGET("/a%2Fb"), "!bad_path"},
    {"CVE-2021-29492: encoded backslash", TARGET("/a%5cb"), "!bad_path"},
    {"raw backslash", TARGET("/a\\b"), "!bad_path"},
    {"encoded NUL", TARGET("/a%00"), "!bad_path"},
    {"encoded CR LF", TARGET("/a%0d%0aX:y"), "!bad_path"},
    {"encoded DEL", TARGET("/a%7f"), "!bad_path"},
    {"broken escape", TARGET("/%"), "!bad_path"},
    {"broken escape", TARGET("/%a"), "!bad_path"},
    {"broken escape", TARGET("/%ag"), "!bad_path"},
    {"broken escape before a query", TARGET("/%?41"), "!bad_path"},
    {"IIS escape", TARGET("/%u002e"), "!bad_path"},
    {"dot segment", TARGET("/."), "!bad_path"},
    {"dot segment", TARGET("/.."), "!bad_path"},
    {"dot segment", TARGET("/a/../b"), "!bad_path"},
    {"dot segment", TARGET("/a/./b"), "!bad_path"},
    {"dot segment before a query", TARGET("/a/..?b"), "!bad_path"},
    {"encoded dot segment", TARGET("/%2e%2E/b"), "!bad_path"},
    {"half-encoded dot segment", TARGET("/.%2e/b"), "!bad_path"},
    {"half-encoded dot segment", TARGET("/%2e./b"), "!bad_path"},
    {"CVE-2025-66490: dots before a path parameter", TARGET("/..;/admin"), "!bad_path"},
    {"dots before a path parameter", TARGET("/a/.;x=y/b"), "!bad_path"},
    {"three dots are a name", TARGET("/.../a"), "GET /.../a @a body=none"},
    {"a hidden file is a name", TARGET("/.well-known/x"), "GET /.well-known/x @a body=none"},
    {"dots inside a name", TARGET("/a..b/c."), "GET /a..b/c. @a body=none"},
    {"path parameter", TARGET("/a;b=c"), "GET /a;b=c @a body=none"},
    {"3986 3.3: not pchar", TARGET("/a|b"), "!bad_target"},
    {"3986 3.3: not pchar", TARGET("/a[b]"), "!bad_target"},
    {"3986 3.3: not pchar", TARGET("/a\"b"), "!bad_target"},
    {"3986 3.3: not pchar", TARGET("/{a}"), "!bad_target"},
    {"3986 3.3: not pchar", TARGET("/<a>"), "!bad_target"},
    {"non-ASCII must be encoded", TARGET("/\xc3\xa9"), "!bad_target"},
    {"non-ASCII must be encoded", TARGET("/?\xc3\xa9"), "!bad_target"},
    {"NUL in the path", TARGET("/a\0b"), "!bad_target"},
    {"NUL in the query", TARGET("/a?\0b"), "!bad_target"},
    {"HTAB in the path", TARGET("/a\tb"), "!bad_target"},
    {"DEL in the path", TARGET("/a\x7f"), "!bad_target"},
    {"relative", TARGET("a/b"), "!bad_target"},
    {"relative query", TARGET("?a"), "!bad_target"},
    {"9112 3.2.4: asterisk is for OPTIONS", TARGET("*"), "!bad_target"},
    {"9112 3.2.4", LINE("OPTIONS * HTTP/1.1"), "OPTIONS * @a body=none"},
    {"9112 3.2.4: asterisk alone", LINE("OPTIONS *a HTTP/1.1"), "!bad_target"},
    {"9112 3.2.4: asterisk alone", LINE("OPTIONS /* HTTP/1.1"), "OPTIONS /* @a body=none"},
    {"9112 3.2.3: authority-form is CONNECT's", TARGET("a:80"), "!bad_target"},
    {"9112 3.2.2", TARGET("http://b/c?d"), "GET /c?d @b body=none"},
    {"9112 3.2.2: https too", TARGET("https://b:443/c"), "GET /c @b:443 body=none"},
    {"3986 3.1: schemes have no case", TARGET("HtTp://b/"), "GET / @b body=none"},
    {"9112 3.2.1: empty path is /", TARGET("http://b"), "GET / @b body=none"},
    {"empty path with a query", TARGET("http://b?c"), "GET /?c @b body=none"},
    {"9112 3.2.4: OPTIONS of the server", LINE("OPTIONS http://b:8001 HTTP/1.1"), "OPTIONS * @b:8001 body=none"},
    {"OPTIONS of /", LINE("OPTIONS http://b/ HTTP/1.1"), "OPTIONS / @b body=none"},
    {"canonical in absolute-form too", TARGET("http://b/%61?c"), "GET /a?c @b body=none"},
    {"dot segment in absolute-form too", TARGET("http://b/../c"), "!bad_path"},
    {"another scheme", TARGET("ftp://b/"), "!bad_target"},
    {"another scheme", TARGET("file:///etc/passwd"), "!bad_target"},
    {"no authority", TARGET("http:///c"), "!bad_target"},
    {"no authority", TARGET("http:"), "!bad_target"},
    {"one slash", TARGET("http:/b/"), "!bad_target"},
    {"9110 4.2.4: userinfo", TARGET("http://u:p@b/"), "!bad_target"},
    {"backslash before the path", TARGET("http://b\\c/"), "!bad_path"},
    {"bad port", TARGET("http://b:x/"), "!bad_target"},
    {"IPv6", TARGET("http://[::1]:80/"), "GET / @[::1]:80 body=none"},
};

static const struct h1_case hosts[] = {
    {"9112 3.2", HOST("example.com:8080"), "GET / @example.com:8080 body=none"},
    {"name case is kept", HOST("Example.COM"), "GET / @Example.COM body=none"},
    {"IPv4", HOST("127.0.0.1"), "GET / @127.0.0.1 body=none"},
    {"IPv6", HOST("[2001:db8::1]:8080"), "GET / @[2001:db8::1]:8080 body=none"},
    {"underscores exist", HOST("a_b"), "GET / @a_b body=none"},
    {"empty port", HOST("a:"), "GET / @a: body=none"},
    {"9112 3.2: required in 1.1", BYTES("GET / HTTP/1.1\r\n\r\n"), "!missing_host"},
    {"9112 3.2: required with absolute-form", BYTES("GET http://a/ HTTP/1.1\r\n\r\n"), "!missing_host"},
    {"not required in 1.0", BYTES("GET / HTTP/1.0\r\n\r\n"), "GET / @ body=none close 1.0"},
    {"9112 3.2.2: the target wins", BYTES("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"), "GET / @b body=none"},
    {"… but Host must be valid", BYTES("GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n"), "!bad_host"},
    {"9112 3.2: two", GET("Host: a\r\n"), "!duplicate_host"},
    {"two, differing in case", GET("hOST: b\r\n"), "!duplicate_host"},
    {"two in 1.0", BYTES("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), "!duplicate_host"},
    {"empty", HOST(""), "!bad_host"},
    {"a port only", HOST(":80"), "!bad_host"},
    {"a list is two hosts", HOST("a,b"), "!bad_host"},
    {"a list is two hosts", HOST("a, b"), "!bad_host"},
    {"white space", HOST("a b"), "!bad_host"},
    {"userinfo", HOST("u@a"), "!bad_host"},
    {"a path", HOST("a/b"), "!bad_host"},
    {"escapes", HOST("a%2eb"), "!bad_host"},
    {"obs-text", HOST("\xc3\xa9"), "!bad_host"},
    {"port not a number", HOST("a:8x"), "!bad_host"},
    {"port too large", HOST("a:65536"), "!bad_host"},
    {"port largest", HOST("a:65535"), "GET / @a:65535 body=none"},
    {"two ports", HOST("a:80:80"), "!bad_host"},
    {"IPv6 without brackets", HOST("::1"), "!bad_host"},
    {"IPv6 not closed", HOST("[::1"), "!bad_host"},
    {"IPv6 wrong", HOST("[::1::]"), "!bad_host"},
    {"IPv6 and more", HOST("[::1]a"), "!bad_host"},
    {"IPv6 with a zone", HOST("[fe80::1%25eth0]"), "!bad_host"},
    {"IPvFuture", HOST("[v1.x]"), "!bad_host"},
    {"nothing in brackets", HOST("[]"), "!bad_host"},
};

static const struct h1_case fields[] = {
    {"9112 5: OWS trimmed", GET("X-A: \t b \t\r\n"), "GET / @a body=none [X-A=b]"},
    {"no white space at all", GET("X-A:b\r\n"), "GET / @a body=none [X-A=b]"},
    {"name case kept", GET("x-A: b\r\n"), "GET / @a body=none [x-A=b]"},
    {"empty value", GET("X-A:\r\n"), "GET / @a body=none [X-A=]"},
    {"empty value with OWS", GET("X-A: \t \r\n"), "GET / @a body=none [X-A=]"},
    {"colon in a value", GET("X-A: :b:\r\n"), "GET / @a body=none [X-A=:b:]"},
    {"9110 5.5: obs-text", GET("X-A: \x80\xff\r\n"), "GET / @a body=none [X-A=\x80\xff]"},
    {"HTAB inside", GET("X-A: b\tc\r\n"), "GET / @a body=none [X-A=b\tc]"},
    {"HTAB inside, long", GET("X-A: 12345678\t12345678\t1\r\n"), "GET / @a body=none [X-A=12345678\t12345678\t1]"},
    {"all of tchar", GET("!#$%&'*+-.^_`|~09azAZ: b\r\n"), "GET / @a body=none [!#$%&'*+-.^_`|~09azAZ=b]"},
    {"order kept", GET("B: 1\r\nA: 2\r\nB: 3\r\n"), "GET / @a body=none [B=1] [A=2] [B=3]"},
    {"9112 5.1: SP before the colon", GET("X-A : b\r\n"), "!bad_field_name"},
    {"9112 5.1: HTAB before the colon", GET("X-A\t: b\r\n"), "!bad_field_name"},
    {"CVE-2023-25725: empty name", GET(": b\r\n"), "!bad_field_name"},
    {"CVE-2023-25725: empty name", GET(":\r\n"), "!bad_field_name"},
    {"no colon", GET("X-A\r\n"), "!bad_field_name"},
    {"SP in the name", GET("X A: b\r\n"), "!bad_field_name"},
    {"NUL in the name", GET("X\0A: b\r\n"), "!bad_field_name"},
    {"NBSP in the name", GET("X-A\xa0: b\r\n"), "!bad_field_name"},
    {"DEL in the name", GET("X\x7f" "A: b\r\n"), "!bad_field_name"},
    {"parenthesis in the name", GET("X(A): b\r\n"), "!bad_field_name"},
    {"9112 5.2: obs-fold", GET("X-A: b\r\n c\r\n"), "!obs_fold"},
    {"9112 5.2: obs-fold by HTAB", GET("X-A: b\r\n\tc\r\n"), "!obs_fold"},
    {"9112 2.2: white space before the first field", BYTES("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), "!obs_fold"},
    {"a line of white space", GET(" \r\n"), "!obs_fold"},
    {"NUL in a value", GET("X-A: b\0c\r\n"), "!bad_field_value"},
    {"NUL in a long value", GET("X-A: 0123456789012\0c\r\n"), "!bad_field_value"},
    {"control in a value", GET("X-A: \x01\r\n"), "!bad_field_value"},
    {"VT in a value", GET("X-A: b\x0b\r\n"), "!bad_field_value"},
    {"DEL in a value", GET("X-A: b\x7f\r\n"), "!bad_field_value"},
    {"DEL in a long value", GET("X-A: 0123456789012\x7f\r\n"), "!bad_field_value"},
    {"9112 2.2: bare CR in a value", GET("X-A: b\rX-B: c\r\n"), "!bare_cr"},
    {"bare CR in a name", GET("X\rA: b\r\n"), "!bare_cr"},
    {"bare CR at the line's start", GET("\rX-A: b\r\n"), "!bare_cr"},
    {"CR CR LF", GET("X-A: b\r\r\n"), "!bare_cr"},
    {"bare LF in a value", GET("X-A: b\nX-B: c\r\n"), "!bare_lf"},
    {"bare LF ends the head", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\n"), "!bare_lf"},
    {"LF LF ends the head", BYTES("GET / HTTP/1.1\r\nHost: a\n\nGET /admin HTTP/1.1\r\n\r\n"), "!bare_lf"},
    {"a bare LF wins over an earlier bare CR, however it is cut", GET("A: b\rc\r\nD: e\nf\r\n"), "!bare_lf"},
};

static const struct h1_case framing[] = {
    {"9112 6.2", POST("Content-Length: 5\r\n"), "POST / @a body=5"},
    {"no case", POST("cOnTeNt-LeNgTh: 5\r\n"), "POST / @a body=5"},
    {"zero", POST("Content-Length: 0\r\n"), "POST / @a body=0"},
    {"largest", POST("Content-Length: 9223372036854775807\r\n"), "POST / @a body=9223372036854775807"},
    {"9110 8.6: leading zeros are digits", POST("Content-Length: 010\r\n"), "POST / @a body=10"},
    {"one too large", POST("Content-Length: 9223372036854775808\r\n"), "!bad_content_length"},
    {"2^64", POST("Content-Length: 18446744073709551616\r\n"), "!bad_content_length"},
    {"2^64 + 5", POST("Content-Length: 18446744073709551621\r\n"), "!bad_content_length"},
    {"plus", POST("Content-Length: +5\r\n"), "!bad_content_length"},
    {"minus", POST("Content-Length: -1\r\n"), "!bad_content_length"},
    {"hexadecimal", POST("Content-Length: 0x5\r\n"), "!bad_content_length"},
    {"fraction", POST("Content-Length: 5.0\r\n"), "!bad_content_length"},
    {"empty", POST("Content-Length:\r\n"), "!bad_content_length"},
    {"SP inside", POST("Content-Length: 5 5\r\n"), "!bad_content_length"},
    {"list of equals", POST("Content-Length: 5, 5\r\n"), "!bad_content_length"},
    {"list of unequals", POST("Content-Length: 5,6\r\n"), "!bad_content_length"},
    {"trailing comma", POST("Content-Length: 5,\r\n"), "!bad_content_length"},
    {"Arabic digits", POST("Content-Length: \xd9\xa5\r\n"), "!bad_content_length"},
    {"quoted", POST("Content-Length: \"5\"\r\n"), "!bad_content_length"},
    {"two equal", POST("Content-Length: 5\r\nContent-Length: 5\r\n"), "!duplicate_content_length"},
    {"two unequal", POST("Content-Length: 5\r\ncontent-length: 6\r\n"), "!duplicate_content_length"},
    {"a name that CGI would confuse is another field", POST("Content_Length: 5\r\n"), "POST / @a body=none [Content_Length=5]"},
    {"9112 7.1", POST("Transfer-Encoding: chunked\r\n"), "POST / @a body=chunked"},
    {"9112 7: no case", POST("Transfer-Encoding: cHUNKED\r\n"), "POST / @a body=chunked"},
    {"OWS", POST("Transfer-Encoding: \tchunked \r\n"), "POST / @a body=chunked"},
    {"GET with a body", GET("Transfer-Encoding: chunked\r\n"), "GET / @a body=chunked"},
    {"9112 6.1: CL.TE", POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), "!length_with_transfer_encoding"},
    {"9112 6.1: TE.CL", POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), "!length_with_transfer_encoding"},
    {"CL 0 with TE", POST("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), "!length_with_transfer_encoding"},
    {"CL with a coding nobody knows", POST("Content-Length: 5\r\nTransfer-Encoding: x\r\n"), "!length_with_transfer_encoding"},
    {"9112 6.1: TE in 1.0", OLD("Transfer-Encoding: chunked\r\n"), "!transfer_encoding_in_http10"},
    {"CVE-2026-2833: TE in 1.0 with CL", OLD("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), "!length_with_transfer_encoding"},
    {"TE.TE: xchunked", POST("Transfer-Encoding: xchunked\r\n"), "!bad_transfer_encoding"},
    {"TE.TE: chunkedx", POST("Transfer-Encoding: chunkedx\r\n"), "!bad_transfer_encoding"},
    {"TE.TE: VT", POST("Transfer-Encoding: \x0b" "chunked\r\n"), "!bad_field_value"},
    {"TE.TE: quoted", POST("Transfer-Encoding: \"chunked\"\r\n"), "!bad_transfer_encoding"},
    {"TE.TE: quoted", POST("Transfer-Encoding: 'chunked'\r\n"), "!bad_transfer_encoding"},
    {"TE.TE: NBSP", POST("Transfer-Encoding: chunked\xa0\r\n"), "!bad_transfer_encoding"},
    {"TE.TE: parameter", POST("Transfer-Encoding: chunked;q=1\r\n"), "!bad_transfer_encoding"},
    {"TE.TE: empty member behind", POST("Transfer-Encoding: chunked,\r\n"), "!bad_transfer_encoding"},
    {"TE.TE: empty member before", POST("Transfer-Encoding: ,chunked\r\n"), "!bad_transfer_encoding"},
    {"TE.TE: two words", POST("Transfer-Encoding: chunked chunked\r\n"), "!bad_transfer_encoding"},
    {"TE.TE: two fields", POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), "!bad_transfer_encoding"},
    {"TE.TE: two fields", POST("Transfer-Encoding: identity\r\nTransfer-encoding: chunked\r\n"), "!bad_transfer_encoding"},
    {"TE.TE: two equal fields", POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "!bad_transfer_encoding"},
    {"TE.TE: SP before the colon", POST("Transfer-Encoding : chunked\r\n"), "!bad_field_name"},
    {"TE.TE: folded", POST("Transfer-Encoding:\r\n chunked\r\n"), "!obs_fold"},
    {"TE.TE: bare LF", POST("X: x\nTransfer-Encoding: chunked\r\n"), "!bare_lf"},
    {"TE.TE: bare CR", POST("X: x\rTransfer-Encoding: chunked\r\n"), "!bare_cr"},
    {"9112 7.1: chunked twice", POST("Transfer-Encoding: chunked, chunked\r\n"), "!bad_transfer_encoding"},
    {"9112 6.3: final is not chunked", POST("Transfer-Encoding: chunked, gzip\r\n"), "!bad_transfer_encoding"},
    {"9112 6.3: final is not chunked", POST("Transfer-Encoding: gzip\r\n"), "!bad_transfer_encoding"},
    {"identity is no coding any more", POST("Transfer-Encoding: identity\r\n"), "!bad_transfer_encoding"},
    {"empty", POST("Transfer-Encoding:\r\n"), "!bad_transfer_encoding"},
    {"9112 6.1: not implemented", POST("Transfer-Encoding: gzip, chunked\r\n"), "!bad_transfer_encoding 501"},
    {"9112 6.1: not implemented", POST("Transfer-Encoding: gzip,deflate,chunked\r\n"), "!bad_transfer_encoding 501"},
};

static const struct h1_case connections[] = {
    {"9112 9.3: 1.1 persists", GET(""), "GET / @a body=none"},
    {"9112 9.6: close", GET("Connection: close\r\n"), "GET / @a body=none close"},
    {"options have no case", GET("Connection: CLOSE\r\n"), "GET / @a body=none close"},
    {"keep-alive in 1.1", GET("Connection: keep-alive\r\n"), "GET / @a body=none"},
    {"close wins", GET("Connection: keep-alive, close\r\n"), "GET / @a body=none close"},
    {"over two fields", GET("Connection: keep-alive\r\nConnection: close\r\n"), "GET / @a body=none close"},
    {"1.0 with keep-alive", OLD("Connection: Keep-Alive\r\nContent-Length: 1\r\n"), "POST / @ body=1 1.0"},
    {"1.0 with both", OLD("Connection: close, keep-alive\r\n"), "POST / @ body=none close 1.0"},
    {"9110 5.6.1.2: empty members", GET("Connection: , ,close,\r\n"), "GET / @a body=none close"},
    {"not a token", GET("Connection: clo se\r\n"), "!bad_connection"},
    {"not a token", GET("Connection: \"close\"\r\n"), "!bad_connection"},
    {"Proxy-Connection means nothing", GET("Proxy-Connection: close\r\n"), "GET / @a body=none"},
    {"hop-by-hop fields stay here", GET("Keep-Alive: timeout=5\r\nTE: gzip\r\nTrailer: X\r\nUpgrade: h2c\r\nX-A: b\r\n"), "GET / @a body=none [X-A=b]"},
    {"9110 7.6.1: nominated", GET("X-A: b\r\nConnection: x-a\r\nX-B: c\r\n"), "GET / @a body=none [X-B=c]"},
    {"nominated before it comes", GET("Connection: close,X-a\r\nx-A: b\r\nX-A: c\r\n"), "GET / @a body=none close"},
    {"never Authorization", GET("Connection: Authorization\r\nAuthorization: b\r\n"), "GET / @a body=none [Authorization=b]"},
    {"never Cookie", GET("Connection: cookie\r\nCookie: b\r\n"), "GET / @a body=none [Cookie=b]"},
    {"never X-Forwarded-For", GET("Connection: X-Forwarded-For\r\nX-Forwarded-For: b\r\n"), "GET / @a body=none [X-Forwarded-For=b]"},
    {"framing cannot be nominated away", POST("Connection: Content-Length\r\nContent-Length: 5\r\n"), "POST / @a body=5"},
    {"framing cannot be nominated away", POST("Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n"), "POST / @a body=chunked"},
    {"Host neither", GET("Connection: host\r\n"), "!bad_connection"},
    {"too many", GET("Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n"), "!bad_connection"},
    {"9110 7.8", GET("Connection: Upgrade\r\nUpgrade: websocket\r\n"), "GET / @a body=none upgrade"},
    {"among others", GET("Upgrade: websocket\r\nConnection: keep-alive, UPGRADE\r\n"), "GET / @a body=none upgrade"},
    {"Upgrade without the option", GET("Upgrade: websocket\r\n"), "GET / @a body=none"},
    {"the option without Upgrade", GET("Connection: upgrade\r\n"), "GET / @a body=none"},
    {"empty Upgrade", GET("Connection: upgrade\r\nUpgrade:\r\n"), "GET / @a body=none"},
    {"upgrade as part of a word", GET("Connection: upgraded\r\nUpgrade: websocket\r\n"), "GET / @a body=none"},
    {"9110 7.8: ignored in 1.0", OLD("Connection: upgrade\r\nUpgrade: websocket\r\n"), "POST / @ body=none close 1.0"},
    {"h2c settings stay here", GET("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"), "GET / @a body=none upgrade"},
    {"9110 10.1.4", GET("TE: trailers\r\nConnection: TE\r\n"), "GET / @a body=none trailers"},
    {"among others", GET("TE: gzip;q=0.5, Trailers\r\n"), "GET / @a body=none trailers"},
    {"9110 10.1.1", POST("Expect: 100-continue\r\nContent-Length: 5\r\n"), "POST / @a body=5 expect [Expect=100-continue]"},
    {"no case", POST("Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n"), "POST / @a body=chunked expect [Expect=100-Continue]"},
    {"without a body there is nothing to wait for", GET("Expect: 100-continue\r\n"), "GET / @a body=none [Expect=100-continue]"},
    {"ignored in 1.0", OLD("Expect: 100-continue\r\nContent-Length: 5\r\n"), "POST / @ body=5 close 1.0 [Expect=100-continue]"},
    {"another expectation", POST("Expect: 200-ok\r\nContent-Length: 5\r\n"), "!bad_expectation 417"},
    {"another expectation", POST("Expect: 100-continue, x\r\nContent-Length: 5\r\n"), "!bad_expectation 417"},
    {"empty expectation", POST("Expect:\r\n"), "!bad_expectation 417"},
};
/* clang-format on */

static void reads_or_refuses_the_request_line(void **state)
{
    (void)state;
    check_cases(request_lines, ROWS(request_lines), describe);
}

static void makes_the_target_canonical_or_refuses_it(void **state)
{
    (void)state;
    check_cases(targets, ROWS(targets), describe);
}

static void demands_one_valid_host(void **state)
{
    (void)state;
    check_cases(hosts, ROWS(hosts), describe);
}

static void reads_or_refuses_fields(void **state)
{
    (void)state;
    check_cases(fields, ROWS(fields), describe);
}

static void frames_in_one_way_only(void **state)
{
    (void)state;
    check_cases(framing, ROWS(framing), describe);
}

static void keeps_connection_matters_to_the_connection(void **state)
{
    (void)state;
    check_cases(connections, ROWS(connections), describe);
}

static enum nr_h1_reason parse_limited(const char *text, const struct nr_h1_limits *limits)
{
    struct nr_field found[FIELDS_MAX];
    struct nr_head head;
    char bytes[512];
    size_t len = strlen(text);
    uint32_t scanned = 0, head_bytes;
    enum nr_h1_reason reason;

    memcpy(bytes, text, len);
    if (nr_h1_scan_head((struct nr_span){bytes, len}, limits, &scanned, &head_bytes, &reason) !=
        NR_H1_SCAN_DONE)
        return reason;
    return nr_h1_parse_request(bytes, head_bytes, limits, found, FIELDS_MAX, &head);
}

static void limits_are_exact(void **state)
{
    static const char text[] = "GET /234 HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n";
    struct nr_h1_limits limits = {sizeof(text) - 1, 4, 2, 0};

    (void)state;
    assert_int_equal(parse_limited(text, &limits), NR_H1_OK);
    limits.head_bytes_max--;
    assert_int_equal(parse_limited(text, &limits), NR_H1_HEAD_TOO_LARGE);
    limits.head_bytes_max++;
    limits.target_bytes_max--;
    assert_int_equal(parse_limited(text, &limits), NR_H1_TARGET_TOO_LONG);
    limits.target_bytes_max++;
    limits.fields_max--;
    assert_int_equal(parse_limited(text, &limits), NR_H1_TOO_MANY_FIELDS);
}

/* A slow sender of an endless head is refused at the limit, at the byte that reaches it. */
static void endless_head_is_refused_at_the_limit(void **state)
{
    static const struct nr_h1_limits limits = {64, 64, 4, 64};
    char bytes[80];
    uint32_t scanned = 0, head_bytes;
    enum nr_h1_reason reason;

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    for (size_t len = 0; len < 64; len++)
        assert_int_equal(
            nr_h1_scan_head((struct nr_span){bytes, len}, &limits, &scanned, &head_bytes, &reason),
            NR_H1_SCAN_MORE);
    assert_int_equal(
        nr_h1_scan_head((struct nr_span){bytes, 64}, &limits, &scanned, &head_bytes, &reason),
        NR_H1_SCAN_BAD);
    assert_int_equal(reason, NR_H1_HEAD_TOO_LARGE);
}

/* A path that shrinks draws the query up to it: the target stays one run, scheme and all. */
static void target_stays_one_run(void **state)
{
    static const struct {
        const char *line, *target;
    } rows[] = {
        {"GET /%61%62?c=%61 HTTP/1.1", "/ab?c=%61"},
        {"GET /%61? HTTP/1.1", "/a?"},
        {"GET /%c3 HTTP/1.1", "/%C3"},
        {"GET http://b/%61%62?c HTTP/1.1", "http://b/ab?c"},
        {"GET http://b?c HTTP/1.1", "http://b?c"},
        {"OPTIONS http://b HTTP/1.1", "http://b"},
        {"OPTIONS * HTTP/1.1", "*"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct nr_field found[4];
        struct nr_head head;
        char bytes[128];
        int len = snprintf(bytes, sizeof(bytes), "%s\r\nHost: a\r\n\r\n", rows[i].line);

        assert_int_equal(
            nr_h1_parse_request(bytes, (size_t)len, &nr_h1_limits_default, found, 4, &head),
            NR_H1_OK);
        assert_true(nr_span_eq(nr_head_text(&head, head.target), nr_span_of(rows[i].target)));
    }
}

/* Each byte value in each place where text can stand: nothing below SP gets through but HTAB. */
static void every_byte_in_name_and_value(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char name[] = "GET / HTTP/1.1\r\nHost: a\r\nXyX: b\r\n\r\n";
        char value[] = "GET / HTTP/1.1\r\nHost: a\r\nX: byb\r\n\r\n";
        struct nr_field found[4];
        struct nr_head head;
        bool name_ok, value_ok;

        *strchr(name, 'y') = *strchr(value, 'y') = (char)byte;
        name_ok = nr_h1_parse_request(name, sizeof(name) - 1, &nr_h1_limits_default, found, 4,
                                      &head) == NR_H1_OK;
        value_ok = nr_h1_parse_request(value, sizeof(value) - 1, &nr_h1_limits_default, found, 4,
                                       &head) == NR_H1_OK;
        /* A colon ends the name early: "X:X: b". */
        assert_int_equal(name_ok, byte == ':' || (byte > ' ' && byte < 0x7f &&
                                                  strchr("\"(),/;<=>?@[\\]{}", byte) == NULL));
        assert_int_equal(value_ok, byte == '\t' || (byte >= ' ' && byte != 0x7f));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_or_refuses_the_request_line),
        cmocka_unit_test(makes_the_target_canonical_or_refuses_it),
        cmocka_unit_test(demands_one_valid_host),
        cmocka_unit_test(reads_or_refuses_fields),
        cmocka_unit_test(frames_in_one_way_only),
        cmocka_unit_test(keeps_connection_matters_to_the_connection),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(endless_head_is_refused_at_the_limit),
        cmocka_unit_test(target_stays_one_run),
        cmocka_unit_test(every_byte_in_name_and_value),
    };

    return cmocka_run_group_tests_name("h1_request", tests, NULL, NULL);
}
