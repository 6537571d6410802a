/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel counts of the machine. */
#include "io/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void values_below_their_names(void **state)
{
    static const char text[] = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\n"
                               "TcpExt: 1 22 333\n"
                               "IpExt: InNoRoutes ListenOverflowsToo\n"
                               "IpExt: 4 5\n";

    (void)state;
    assert_int_equal(nr_machine_pick(text, "TcpExt:", "SyncookiesSent"), 1);
    assert_int_equal(nr_machine_pick(text, "TcpExt:", "ListenOverflows"), 22);
    assert_int_equal(nr_machine_pick(text, "TcpExt:", "ListenDrops"), 333);
    assert_int_equal(nr_machine_pick(text, "TcpExt:", "InNoRoutes"), 0); /* another title's */
    assert_int_equal(nr_machine_pick(text, "IpExt:", "ListenOverflows"), 0);
    assert_int_equal(nr_machine_pick(text, "UdpExt:", "ListenDrops"), 0);
    assert_int_equal(nr_machine_pick("", "TcpExt:", "ListenDrops"), 0);
    assert_int_equal(nr_machine_pick("TcpExt: A B\nTcpExt: 1\n", "TcpExt:", "B"), 0); /* cut */
    assert_int_equal(nr_machine_pick("TcpExt: A\n", "TcpExt:", "A"), 0);
}

static void this_machine(void **state)
{
    struct nr_machine_stats stats;

    (void)state;
    nr_machine_stats(&stats);
    assert_true(stats.cpus >= 1);
    assert_true(stats.memory_bytes > stats.available_bytes);
    assert_true(stats.available_bytes > 0);
    assert_true(stats.cpu_s[NR_CPU_USER] > 0 && stats.cpu_s[NR_CPU_IDLE] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_below_their_names),
        cmocka_unit_test(this_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
