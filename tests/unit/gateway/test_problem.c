/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of our own: problem+json (RFC 9457), byte by byte, and what becomes of the connection. */
#include "stage.h"

struct problem_case {
    const char *story;
    const char *request;
    const char *answer; /* first line and the fields between X-Request-Id and Content-Length */
    const char *extra;
    const char *body; /* from title to reason; NULL: none (HEAD) */
    uint16_t status;
    enum nr_reason reason;
    bool closes;
};

/* clang-format off */
static const struct problem_case problems[] = {
    {"no route", "GET /b HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", "",
     "\"title\":\"Not Found\",\"status\":404,\"detail\":\"No route matches this host and path.\",\"reason\":\"no_route\"",
     404, NR_REASON_NO_ROUTE, false},
    {"no route for this method, and which there are (RFC 9110, 15.5.6)", "DELETE /a HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 405 Method Not Allowed\r\n", "Allow: GET, HEAD, PUT\r\n",
     "\"title\":\"Method Not Allowed\",\"status\":405,\"detail\":\"This path has routes, but none for this method.\",\"reason\":\"method_not_allowed\"",
     405, NR_REASON_METHOD_NOT_ALLOWED, false},
    {"HEAD gets the head", "HEAD /b HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", "", NULL,
     404, NR_REASON_NO_ROUTE, false},
    {"a small body is read away", "PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 404 Not Found\r\n", "",
     "\"title\":\"Not Found\",\"status\":404,\"detail\":*\"reason\":\"no_route\"", 404, NR_REASON_NO_ROUTE, false},
    {"a loop", "GET /a HTTP/1.1\r\nHost: a\r\nVia: 1.1 naru, 1.1 naru, 1.1 naru, 1.1 naru, 1.1 naru, 1.1 naru, 1.1 naru, 1.1 naru\r\n"
     "Via: 1.1 naru, 1.1 naru, 1.1 naru, 1.1 naru, 1.1 naru, 1.1 naru, 1.1 naru, 1.1 naru\r\n\r\n", "HTTP/1.1 508 Loop Detected\r\n", "",
     "\"title\":\"Loop Detected\",\"status\":508,\"detail\":*\"reason\":\"loop\"", 508, NR_REASON_LOOP, false},
    {"no Host (RFC 9112, 3.2)", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "Connection: close\r\n",
     "\"title\":\"Bad Request\",\"status\":400,\"detail\":\"The request is not valid HTTP.\",\"reason\":\"missing_host\"",
     400, NR_REASON_BAD_REQUEST, true},
    {"smuggling (RFC 9112, 6.1)", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
     "HTTP/1.1 400 Bad Request\r\n", "Connection: close\r\n",
     "\"title\":\"Bad Request\",\"status\":400,\"detail\":*\"reason\":\"length_with_transfer_encoding\"", 400, NR_REASON_BAD_REQUEST, true},
    {"another version", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\n", "Connection: close\r\n",
     "\"title\":\"HTTP Version Not Supported\",\"status\":505,\"detail\":*\"reason\":\"unsupported_version\"", 505, NR_REASON_BAD_REQUEST, true},
    {"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "HTTP/1.1 501 Not Implemented\r\n", "Connection: close\r\n",
     "\"title\":\"Not Implemented\",\"status\":501,\"detail\":*\"reason\":\"method_refused\"", 501, NR_REASON_BAD_REQUEST, true},
};
/* clang-format on */

static void test_problems(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++) {
        const struct problem_case *c = &problems[i];
        struct stage *s =
            stage_new(&(struct stage_conf){.match = "path: \"/a\", methods: [GET, PUT]"});
        struct peer *client = stage_client(s);
        const struct stage_record *record;
        char text[1024];

        print_message("# %s\n", c->story);
        peer_send(client, c->request);
        snprintf(text, sizeof(text),
                 "%sContent-Type: application/problem+json\r\nDate: Thu, 01 Jan 2026 00:00:01 "
                 "GMT\r\nX-Request-Id: *\r\n%sContent-Length: *\r\n\r\n",
                 c->answer, c->extra);
        peer_expect(client, text);
        record = stage_record(s, c->status, c->reason);
        if (c->body != NULL) {
            snprintf(text, sizeof(text), "{\"type\":\"about:blank\",%s,\"request_id\":\"%s\"}\n",
                     c->body, record->request_id);
            peer_expect(client, text);
        }
        assert_int_equal(record->r.attempt_count, 0);
        if (c->closes)
            peer_expect_fin(client);
        else
            peer_expect_silence(client, 20);
        assert_int_equal(s->instances[0].accepted, 0);
        stage_done(s);
    }
}

/* About the server itself, so answered here: RFC 9110, 9.3.7. */
static void test_options_of_the_server(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){.match = "path: \"/*\""});
    struct peer *client = stage_client(s);

    (void)state;
    peer_send(client, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(client, "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, POST, *\r\nDate: *\r\n"
                        "X-Request-Id: *\r\n\r\n");
    stage_record(s, 204, NR_REASON_NONE);
    assert_int_equal(s->instances[0].accepted, 0);
    stage_done(s);
}

/* The text must fit its Content-Length and survive any cut of the bytes. */
static void test_a_problem_byte_by_byte(void **state)
{
    struct stage *s = stage_new(&(struct stage_conf){
        .match = "path: \"/a\"", .link = {1000, 2000, .segment_bytes = 1, .window_bytes = 16}});
    struct peer *client = stage_client(s);
    char *length;
    size_t body;

    (void)state;
    peer_send(client, "GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    while (client->end == PEER_OPEN)
        stage_wait_ms(s, 1);
    assert_int_equal(client->end, PEER_FIN);
    length = strstr(client->in, "Content-Length: ");
    assert_non_null(length);
    body = strlen(strstr(client->in, "\r\n\r\n") + 4);
    assert_int_equal(atoi(length + 16), body);
    stage_record(s, 404, NR_REASON_NO_ROUTE);
    stage_done(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_options_of_the_server),
        cmocka_unit_test(test_a_problem_byte_by_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
