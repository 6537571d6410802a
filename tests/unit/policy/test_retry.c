/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../property.h"
#include "base/random.h"
#include "policy/retry.h"

#define S ((uint64_t)1000000000)

/* Columns: attempts, max, left, listed, idempotent, maybe processed, committed, body lost,
 * overloaded, budget spent. */
static void verdicts(void **state)
{
    /* clang-format off */
    static const struct {
        const char *name;
        struct nr_retry_facts facts;
        enum nr_retry_verdict verdict;
        uint16_t flag;
    } cases[] = {
        {"a GET whose connection was refused", {1, 2, S, true, true, false, false, false, false, false}, NR_RETRY_GO, 0},
        {"a GET that was reset", {1, 2, S, true, true, true, false, false, false, false}, NR_RETRY_GO, 0},
        {"a POST refused: nobody has seen it", {1, 2, S, true, false, false, false, false, false, false}, NR_RETRY_GO, 0},
        {"a POST reset: RFC 9110, 9.2.2", {1, 2, S, true, false, true, false, false, false, false},
         NR_RETRY_NO, NR_RECORD_RETRY_UNSAFE},
        {"the answer has begun", {1, 2, S, true, true, true, true, false, false, false},
         NR_RETRY_NO, NR_RECORD_RETRY_COMMITTED},
        {"the answer has begun, and all else speaks against it too", {2, 2, 0, false, false, true, true, true, false, false},
         NR_RETRY_NO, NR_RECORD_RETRY_COMMITTED},
        {"a kind of failure that is not retried", {1, 2, S, false, true, true, false, false, false, false}, NR_RETRY_NOT_LISTED, 0},
        {"a PUT of 1 MB, half sent", {1, 2, S, true, true, true, false, true, false, false},
         NR_RETRY_NO, NR_RECORD_RETRY_NO_BODY},
        {"the second of two attempts", {2, 2, S, true, true, false, false, false, false, false},
         NR_RETRY_NO, NR_RECORD_RETRY_SPENT},
        {"attempts: 1", {1, 1, S, true, true, false, false, false, false, false},
         NR_RETRY_NO, NR_RECORD_RETRY_SPENT},
        {"attempts: 0 is 1", {1, 0, S, true, true, false, false, false, false, false},
         NR_RETRY_NO, NR_RECORD_RETRY_SPENT},
        {"the deadline has passed", {1, 2, 0, true, true, false, false, false, false, false},
         NR_RETRY_NO, NR_RECORD_RETRY_NO_TIME},
        {"less than a millisecond is left", {1, 2, 999999, true, true, false, false, false, false, false},
         NR_RETRY_NO, NR_RECORD_RETRY_NO_TIME},
        {"the service says that it is overloaded", {1, 3, S, true, true, false, false, false, true, true},
         NR_RETRY_NO, NR_RECORD_RETRY_OVERLOADED},
        {"the budget is spent", {1, 3, S, true, true, false, false, false, false, true},
         NR_RETRY_NO, NR_RECORD_RETRY_BUDGET},
        {"the budget is asked last", {3, 3, S, true, true, false, false, false, false, true},
         NR_RETRY_NO, NR_RECORD_RETRY_SPENT},
        {"a millisecond is left", {1, 2, 1000000, true, true, false, false, false, false, false}, NR_RETRY_GO, 0},
    };
    /* clang-format on */

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint16_t flag = 0;

        print_message("# %s\n", cases[i].name);
        assert_int_equal(nr_retry_decide(&cases[i].facts, &flag), cases[i].verdict);
        assert_int_equal(flag, cases[i].flag);
    }
}

/* All 2^7 facts: a repeat never follows when one of the seven safety conditions is hurt. */
static void never_unsafe(void **state)
{
    for (unsigned bits = 0; bits < 128; bits++) {
        for (uint32_t attempts = 1; attempts < 4; attempts++) {
            struct nr_retry_facts facts = {
                .attempts = attempts,
                .attempts_max = 3,
                .left_ns = S,
                .listed = bits & 1,
                .idempotent = bits & 2,
                .maybe_processed = bits & 4,
                .committed = bits & 8,
                .body_lost = bits & 16,
                .overloaded = bits & 32,
                .budget_spent = bits & 64,
            };
            uint16_t flag = 0;
            bool safe = facts.listed && !facts.overloaded && !facts.budget_spent &&
                        !facts.committed && !facts.body_lost && attempts < 3 &&
                        (facts.idempotent || !facts.maybe_processed);

            assert_int_equal(nr_retry_decide(&facts, &flag) == NR_RETRY_GO, safe);
        }
    }
}

/* Any life of a request: facts drawn anew for each failure, as many times as it is repeated. It is
 * never sent more often than `attempts_max`, never behind its deadline, and never twice when that
 * could be seen; and each refusal has a reason. */
static void any_life(void **state)
{
    PROPERTY_FOR_ANY (seed) {
        struct nr_random random;
        uint32_t most, sent = 1;
        uint64_t left_ns;

        nr_random_init(&random, seed);
        most = (uint32_t)nr_random_below(&random, 6);
        left_ns = nr_random_below(&random, 20) * NR_RETRY_LEFT_NS_MIN / 2;
        for (;;) {
            uint64_t bits = nr_random_u64(&random) & nr_random_u64(&random);
            struct nr_retry_facts facts = {.attempts = sent,
                                           .attempts_max = most,
                                           .left_ns = left_ns,
                                           .listed = !(bits & 1),
                                           .idempotent = !(bits & 2),
                                           .maybe_processed = nr_random_below(&random, 2) == 0,
                                           .committed = bits & 4,
                                           .body_lost = bits & 8,
                                           .overloaded = bits & 16,
                                           .budget_spent = bits & 32};
            uint16_t flag = 0;
            enum nr_retry_verdict verdict = nr_retry_decide(&facts, &flag);

            assert_int_equal(flag != 0, verdict == NR_RETRY_NO);
            assert_int_equal(flag & (flag - 1), 0); /* one reason */
            if (verdict != NR_RETRY_GO)
                break;
            assert_true(facts.listed && !facts.committed && !facts.body_lost);
            assert_true(facts.idempotent || !facts.maybe_processed);
            assert_true(!facts.overloaded && !facts.budget_spent);
            assert_true(left_ns >= NR_RETRY_LEFT_NS_MIN);
            sent++;
            assert_true(sent <= most);
            left_ns -= nr_random_below(&random, left_ns);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(never_unsafe),
        property_test(any_life),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
