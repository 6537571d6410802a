/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical paths, queries, authorities. What a request target makes of them is in test_h1_request.
 */
#include "codec/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* clang-format off */
static const struct {
    const char *path;
    const char *want; /* NULL: refused */
} paths[] = {
    {"/", "/"}, {"/a", "/a"}, {"//", "//"}, {"/a//b/", "/a//b/"},
    {"/%7Euser", "/~user"}, {"/%41%5a%61%7a%30%39%2D%5f%7e", "/AZaz09-_~"},
    {"/a%2eb", "/a.b"}, {"/%2e%2e%2e", "/..."}, {"/a%2e%2e", "/a.."},
    {"/%21%24%26", "/%21%24%26"}, {"/%3b%3d%40", "/%3B%3D%40"}, {"/%20", "/%20"},
    {"/%25%32%66", "/%252f"}, {"/%ea%b0%80", "/%EA%B0%80"}, {"/%23%3f", "/%23%3F"},
    {"/.a", "/.a"}, {"/..a/b", "/..a/b"}, {"/a./b.", "/a./b."},
    {"", NULL}, {"a", NULL}, {"*", NULL}, {"%2fa", NULL},
    {"/a?b", NULL}, {"/a#b", NULL}, {"/a b", NULL}, {"/a\x7f", NULL}, {"/\x80", NULL},
    {"/%2f", NULL}, {"/%2F", NULL}, {"/%5C", NULL}, {"/%5c", NULL}, {"/\\", NULL},
    {"/%00", NULL}, {"/%1f", NULL}, {"/%7F", NULL}, {"/%0a", NULL},
    {"/%", NULL}, {"/%2", NULL}, {"/%zz", NULL}, {"/%2z", NULL}, {"/%%41", NULL},
    {"/.", NULL}, {"/..", NULL}, {"/./", NULL}, {"/../", NULL}, {"/a/.", NULL}, {"/a/..", NULL},
    {"/%2e", NULL}, {"/%2e%2e/", NULL}, {"/a/.%2E", NULL}, {"//../", NULL},
    {"/.;a", NULL}, {"/..;/b", NULL}, {"/%2e%2e;a=b/c", NULL},
};

static const struct {
    const char *authority;
    const char *host; /* NULL: refused */
    const char *port;
} authorities[] = {
    {"a", "a", ""}, {"a:80", "a", "80"}, {"a:", "a", ""}, {"a.b-c_d~e", "a.b-c_d~e", ""},
    {"1.2.3.4:5", "1.2.3.4", "5"}, {"[::]", "[::]", ""}, {"[::1]:80", "[::1]", "80"},
    {"[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", ""}, {"[::1]:", "[::1]", ""}, {"a:0", "a", "0"},
    {"a:65535", "a", "65535"}, {"a:00080", "a", "00080"},
    {"[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8]", ""},
    {"", NULL, NULL}, {":", NULL, NULL}, {":80", NULL, NULL}, {"a:65536", NULL, NULL},
    {"a:99999999999999999999", NULL, NULL}, {"a:-1", NULL, NULL}, {"a:+1", NULL, NULL},
    {"a:8 0", NULL, NULL}, {"a b", NULL, NULL}, {"a@b", NULL, NULL}, {"a,b", NULL, NULL},
    {"a%41", NULL, NULL}, {"a/b", NULL, NULL}, {"a?b", NULL, NULL}, {"a#b", NULL, NULL},
    {"a\\b", NULL, NULL}, {"\xff", NULL, NULL}, {"::1", NULL, NULL}, {"[", NULL, NULL},
    {"[]", NULL, NULL}, {"[::1", NULL, NULL}, {"::1]", NULL, NULL}, {"[::1]]", NULL, NULL},
    {"[::1]x", NULL, NULL}, {"[1.2.3.4]", NULL, NULL}, {"[g::]", NULL, NULL},
    {"[1:2:3:4:5:6:7:8:9]", NULL, NULL}, {"[1:2:3:4:5:6:7]", NULL, NULL}, {"[::1::]", NULL, NULL},
    {"[12345::]", NULL, NULL}, {"[:1]", NULL, NULL}, {"[1:]", NULL, NULL}, {"[::1.2.3]", NULL, NULL},
    {"[::1.2.3.256]", NULL, NULL}, {"[v1.a]", NULL, NULL}, {"a[::1]", NULL, NULL},
};
/* clang-format on */

static void paths_become_canonical_or_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        size_t size = strlen(paths[i].path), len = 0;
        char *path = malloc(size + 1);
        bool ok;

        assert_non_null(path);
        memcpy(path, paths[i].path, size);
        ok = nr_uri_canonical_path(path, size, &len);
        if (ok != (paths[i].want != NULL) ||
            (ok && !nr_span_eq((struct nr_span){path, len}, nr_span_of(paths[i].want))))
            fail_msg("%s: want %s", paths[i].path, paths[i].want ? paths[i].want : "refused");
        free(path);
    }
}

/* Each escape: decoded, kept or refused, as its character demands. */
static void every_escape(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        char path[8], kept[8];
        size_t len = 0;
        bool ok;

        snprintf(path, sizeof(path), "/x%%%02x", c);
        snprintf(kept, sizeof(kept), "/x%%%02X", c);
        ok = nr_uri_canonical_path(path, 5, &len);
        assert_int_equal(ok, c >= 0x20 && c != 0x7f && c != '/' && c != '\\');
        if (ok && len == 3)
            assert_true((unsigned char)path[2] == c && c < 0x80 &&
                        (strchr("-._~", (int)c) != NULL || (c >= '0' && c <= '9') ||
                         ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')));
        else if (ok)
            assert_memory_equal(path, kept, 5);
    }
}

static void queries(void **state)
{
    (void)state;
    assert_true(nr_uri_query_valid(NR_SPAN("")));
    assert_true(nr_uri_query_valid(NR_SPAN("a=b&c[]=%20%fF?/\\|\"")));
    assert_false(nr_uri_query_valid(NR_SPAN("a#b")));
    assert_false(nr_uri_query_valid(NR_SPAN("a b")));
    assert_false(nr_uri_query_valid(NR_SPAN("a\tb")));
    assert_false(nr_uri_query_valid(NR_SPAN("%")));
    assert_false(nr_uri_query_valid(NR_SPAN("%4")));
    assert_false(nr_uri_query_valid(NR_SPAN("%4x")));
    assert_false(nr_uri_query_valid(NR_SPAN("%x4")));
    assert_false(nr_uri_query_valid(NR_SPAN("\x80")));
    assert_false(nr_uri_query_valid(NR_SPAN("\0")));
}

static void authorities_are_split_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(authorities) / sizeof(authorities[0]); i++) {
        size_t len = strlen(authorities[i].authority);
        char *text = malloc(len + 1);
        struct nr_span host, port, span = {text, len};

        assert_non_null(text);
        memcpy(text, authorities[i].authority, len);
        if (nr_uri_authority_valid(span) != (authorities[i].host != NULL))
            fail_msg("authority %s", authorities[i].authority);
        nr_uri_split_authority(span, &host, &port);
        if (authorities[i].host != NULL && (!nr_span_eq(host, nr_span_of(authorities[i].host)) ||
                                            !nr_span_eq(port, nr_span_of(authorities[i].port))))
            fail_msg("split %s", authorities[i].authority);
        free(text);
    }
    assert_false(nr_uri_authority_valid(NR_SPAN("a\0b")));
    assert_false(nr_uri_authority_valid(NR_SPAN("[::1\0]")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_become_canonical_or_are_refused),
        cmocka_unit_test(every_escape),
        cmocka_unit_test(queries),
        cmocka_unit_test(authorities_are_split_or_refused),
    };

    return cmocka_run_group_tests_name("uri", tests, NULL, NULL);
}
