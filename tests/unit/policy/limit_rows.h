/* SPDX-License-Identifier: Apache-2.0 */
/* limit_rows.h - a limiter's life as a table: when, how much, and what is answered. */
#ifndef NR_TESTS_LIMIT_ROWS_H
#define NR_TESTS_LIMIT_ROWS_H

#include <cmocka.h>

#include "base/compiler.h"
#include "policy/limit.h"

enum { NEVER = -1, ANY = -2, YES = 1, NO = 0, LIMIT_ROWS_STAMPS = 1000 };

struct limit_row {
    const char *name;
    uint64_t at_ms;
    uint32_t cost;
    bool allowed;
    int64_t remaining;
    int64_t reset_ms;
    int64_t retry_ms; /* refused only */
};

static inline void limit_rows_hold(const struct nr_limit_conf *conf, const struct limit_row *rows,
                                   size_t count)
{
    struct {
        union nr_limit_state state;
        uint64_t stamps[LIMIT_ROWS_STAMPS];
    } room = {0};

    assert_true(nr_limit_conf_ok(conf));
    assert_true(nr_limit_state_bytes(conf) <= sizeof(room));
    for (size_t i = 0; i < count; i++) {
        const struct limit_row *row = &rows[i];
        struct nr_limit_verdict v;

        print_message("# %zu: %s\n", i, row->name);
        nr_limit_take(&room.state, conf, row->at_ms * 1000000, row->cost, &v);
        assert_int_equal(v.allowed, row->allowed);
        if (row->remaining != ANY)
            assert_int_equal(v.remaining, row->remaining);
        if (row->reset_ms != ANY)
            assert_int_equal(v.reset_ns, row->reset_ms * 1000000);
        if (row->retry_ms == NEVER)
            assert_true(v.retry_ns == NR_LIMIT_NEVER);
        else if (row->retry_ms != ANY)
            assert_int_equal(v.retry_ns, row->retry_ms * 1000000);
    }
}

#define LIMIT_ROWS_HOLD(conf, rows) limit_rows_hold((conf), (rows), NR_COUNT(rows))

#endif
