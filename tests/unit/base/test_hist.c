/* SPDX-License-Identifier: Apache-2.0 */
/* The histogram: buckets without gaps, the promised error, quantiles. */
#include "base/hist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void buckets_join_without_gap(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < NR_HIST_BUCKETS; i++) {
        uint64_t low = nr_hist_bucket_low(i);

        assert_int_equal(nr_hist_bucket(low), i);
        if (low > 0)
            assert_int_equal(nr_hist_bucket(low - 1), i - 1);
    }
    assert_int_equal(nr_hist_bucket(((uint64_t)1 << 32) - 1), NR_HIST_BUCKETS - 1);
    assert_int_equal(nr_hist_bucket(UINT64_MAX), NR_HIST_BUCKETS - 1);
}

static void any_value_is_within_the_promised_error(void **state)
{
    static struct nr_hist hist;

    (void)state;
    for (uint64_t value = 1; value < (uint64_t)1 << 32; value += value / 7 + 1) {
        double told;

        memset(&hist, 0, sizeof(hist));
        nr_hist_add(&hist, value);
        told = (double)nr_hist_quantile(&hist, 0.5);
        assert_true(told <= (double)value * (1 + 1.0 / 64) &&
                    told >= (double)value * (1 - 1.0 / 64));
    }
}

static void quantiles_by_nearest_rank(void **state)
{
    static struct nr_hist hist, sum;
    static const struct {
        double q;
        uint64_t want;
    } rows[] = {{0, 1}, {0.02, 1}, {0.021, 2}, {0.5, 25}, {0.99, 50}, {1, 50}};

    (void)state;
    assert_int_equal(nr_hist_quantile(&hist, 0.99), 0);
    for (uint64_t value = 1; value <= 50; value++) {
        nr_hist_add(&hist, value);
        nr_hist_add(&hist, value);
    }
    memset(&sum, 0, sizeof(sum));
    nr_hist_merge(&sum, &hist);
    assert_int_equal(sum.count, 100);
    assert_int_equal(sum.sum, 2550);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(nr_hist_quantile(&sum, rows[i].q), rows[i].want);
    assert_int_equal(nr_hist_count_below(&sum, 26), 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_join_without_gap),
        cmocka_unit_test(any_value_is_within_the_promised_error),
        cmocka_unit_test(quantiles_by_nearest_rank),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
