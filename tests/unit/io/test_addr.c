/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "io/addr.h"

static const char long_path[] =
    "unix:/"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaa";

/* Expected: the text that comes out again, or NULL and a piece of the error. */
static void parse_and_format(void **state)
{
    static const struct {
        const char *text, *again, *error;
    } cases[] = {
        {"127.0.0.1:80", "127.0.0.1:80", NULL},
        {"0.0.0.0:0", "0.0.0.0:0", NULL},
        {"255.255.255.255:65535", "255.255.255.255:65535", NULL},
        {"[::1]:80", "[::1]:80", NULL},
        {"[2001:DB8::0:1]:443", "[2001:db8::1]:443", NULL},
        {"[fe80::1%7]:80", "[fe80::1%7]:80", NULL},
        {"[fe80::1%lo]:80", "[fe80::1%1]:80", NULL},
        {":8080", "[::]:8080", NULL},
        {"*:8080", "[::]:8080", NULL},
        {"unix:/run/x.sock", "unix:/run/x.sock", NULL},
        {"unix:@name", "unix:@name", NULL},
        {"", NULL, "has no port"},
        {"127.0.0.1", NULL, "has no port"},
        {"[::1]", NULL, "has no port"},
        {"::1:80", NULL, "in brackets"},
        {"127.0.0.1:", NULL, "the port must be"},
        {"127.0.0.1:65536", NULL, "the port must be"},
        {"127.0.0.1:-1", NULL, "the port must be"},
        {"127.0.0.1:80 ", NULL, "the port must be"},
        {"127.0.0.1:000080", NULL, "the port must be"},
        {"127.0.0.1:http", NULL, "the port must be"},
        {"127.1:80", NULL, "not a numeric address"},
        {"256.0.0.1:80", NULL, "not a numeric address"},
        {"01.2.3.4:80", NULL, "not a numeric address"},
        {"localhost:80", NULL, "not a numeric address"},
        {"[127.0.0.1]:80", NULL, "not an IPv6 address"},
        {"[]:80", NULL, "not an IPv6 address"},
        {"[::1%nosuchif0]:80", NULL, "not an IPv6 address"},
        {"[::1:80", NULL, "has no port"},
        {"unix:", NULL, "needs a path"},
        {"unix:@", NULL, "needs a path"},
        {long_path, NULL, "too long"},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_addr addr = {.port = 4711};
        struct nr_err err = {.code = NR_OK};
        char text[NR_ADDR_TEXT_BYTES];
        enum nr_code code = nr_addr_parse(cases[i].text, &addr, &err);

        if (cases[i].again == NULL) {
            if (code != NR_EINVAL || strstr(err.text, cases[i].error) == NULL || addr.port != 4711)
                fail_msg("'%s' gave %d '%s'", cases[i].text, code, err.text);
            continue;
        }
        if (code != NR_OK)
            fail_msg("'%s' refused: %s", cases[i].text, err.text);
        assert_int_equal(nr_addr_format(&addr, text, sizeof(text)), strlen(cases[i].again));
        assert_string_equal(text, cases[i].again);
    }
}

static void formatting_is_cut_to_the_room(void **state)
{
    struct nr_addr addr;
    char text[8];

    assert_int_equal(nr_addr_parse("192.168.100.200:8080", &addr, NULL), NR_OK);
    assert_int_equal(nr_addr_format(&addr, text, sizeof(text)), 7);
    assert_string_equal(text, "192.168");
}

static void equality(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"1.2.3.4:80", "1.2.3.4:80", true},  {"1.2.3.4:80", "1.2.3.4:81", false},
        {"1.2.3.4:80", "1.2.3.5:80", false}, {"1.2.3.4:80", "[::ffff:1.2.3.4]:80", false},
        {"[::1]:80", "[0:0::1]:80", true},   {"[fe80::1%1]:80", "[fe80::1%2]:80", false},
        {"unix:/a", "unix:/a", true},        {"unix:/a", "unix:/b", false},
        {"unix:/a", "1.2.3.4:80", false},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_addr a, b;

        assert_int_equal(nr_addr_parse(cases[i].a, &a, NULL), NR_OK);
        assert_int_equal(nr_addr_parse(cases[i].b, &b, NULL), NR_OK);
        if (nr_addr_eq(&a, &b) != cases[i].equal)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
    }
}

static void cidr_errors(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "is not an address"},
        {"10.0.0.0/33", "from 0 to 32"},
        {"::/129", "from 0 to 128"},
        {"10.0.0.0/", "from 0 to 32"},
        {"10.0.0.0/8/8", "from 0 to 32"},
        {"10.0.0.0/-1", "from 0 to 32"},
        {"10/8", "is not an address"},
        {"10.1.0.0/8", "did you mean 10.0.0.0/8?"},
        {"10.0.0.1/31", "did you mean 10.0.0.0/31?"},
        {"2001:db8::1/32", "did you mean 2001:db8::/32?"},
        {"fe80::1%1/64", "is not an address"},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_cidr cidr;
        struct nr_err err = {.code = NR_OK};

        if (nr_cidr_parse(cases[i].text, &cidr, &err) != NR_EINVAL ||
            strstr(err.text, cases[i].error) == NULL)
            fail_msg("'%s' gave '%s'", cases[i].text, err.text);
    }
}

static void cidr_contains(void **state)
{
    static const struct {
        const char *block, *address;
        bool inside;
    } cases[] = {
        {"10.0.0.0/8", "10.255.255.255:1", true},
        {"10.0.0.0/8", "11.0.0.0:1", false},
        {"10.0.0.0/8", "9.255.255.255:1", false},
        {"192.168.4.0/22", "192.168.7.255:1", true},
        {"192.168.4.0/22", "192.168.8.0:1", false},
        {"127.0.0.1", "127.0.0.1:1", true},
        {"127.0.0.1", "127.0.0.2:1", false},
        {"0.0.0.0/0", "200.1.1.1:1", true},
        {"0.0.0.0/0", "[2001:db8::1]:1", false},
        {"::/0", "[2001:db8::1]:1", true},
        {"::/0", "1.2.3.4:1", false},
        {"2001:db8::/33", "[2001:db8:7fff::1]:1", true},
        {"2001:db8::/33", "[2001:db8:8000::1]:1", false},
        {"10.0.0.0/8", "[::ffff:10.1.2.3]:1", true}, /* RFC 4291, 2.5.5.2 */
        {"::ffff:10.0.0.0/104", "10.1.2.3:1", true},
        {"::ffff:10.0.0.0/104", "[::ffff:10.1.2.3]:1", true},
        {"::ffff:10.0.0.0/104", "11.1.2.3:1", false},
        {"0.0.0.0/0", "unix:/x", false},
    };

    for (size_t i = 0; i < NR_COUNT(cases); i++) {
        struct nr_cidr cidr;
        struct nr_addr addr;

        assert_int_equal(nr_cidr_parse(cases[i].block, &cidr, NULL), NR_OK);
        assert_int_equal(nr_addr_parse(cases[i].address, &addr, NULL), NR_OK);
        if (nr_cidr_contains(&cidr, &addr) != cases[i].inside)
            fail_msg("%s in %s", cases[i].address, cases[i].block);
    }
}

/* One client is an address or a network, however it is written. */
static void networks(void **state)
{
    static const struct {
        const char *text;
        uint32_t v4_bits, v6_bits;
        const char *network;
    } rows[] = {
        {"192.0.2.77:1", 32, 64, "192.0.2.77"},
        {"192.0.2.77:1", 24, 64, "192.0.2.0"},
        {"192.0.2.77:1", 28, 64, "192.0.2.64"},
        {"192.0.2.77:1", 8, 64, "192.0.0.0"},
        {"[::ffff:192.0.2.77]:1", 24, 64, "192.0.2.0"},
        {"[2001:db8:1:2:3:4:5:6]:1", 24, 64, "2001:db8:1:2::"},
        {"[2001:db8:1:2:3:4:5:6]:1", 24, 128, "2001:db8:1:2:3:4:5:6"},
        {"[2001:db8:1:ffff::]:1", 24, 52, "2001:db8:1:f000::"},
        {"unix:/a", 24, 64, "unix:"},
    };

    (void)state;
    for (size_t i = 0; i < NR_COUNT(rows); i++) {
        char text[NR_ADDR_TEXT_BYTES];
        struct nr_addr addr, network;

        assert_int_equal(nr_addr_parse(rows[i].text, &addr, NULL), NR_OK);
        network = nr_addr_network(&addr, rows[i].v4_bits, rows[i].v6_bits);
        nr_addr_format_ip(&network, text, sizeof(text));
        assert_string_equal(text, rows[i].network);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks),
        cmocka_unit_test(parse_and_format),
        cmocka_unit_test(formatting_is_cut_to_the_room),
        cmocka_unit_test(equality),
        cmocka_unit_test(cidr_errors),
        cmocka_unit_test(cidr_contains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
