/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/list.h"
#include "base/random.h"

enum { ITEMS = 8 };

struct item {
    int number;
    struct nr_link link;
};

static struct item *item_of(struct nr_link *link)
{
    return nr_container_of(link, struct item, link);
}

static void make(struct nr_link *head, struct item items[ITEMS])
{
    nr_link_init(head);
    for (int i = 0; i < ITEMS; i++) {
        items[i].number = i;
        nr_link_init(&items[i].link);
    }
}

/* The list holds exactly these, forwards and backwards. */
static void check(struct nr_link *head, const int *numbers, int count)
{
    struct nr_link *at = head;

    for (int i = 0; i < count; i++) {
        assert_ptr_equal(at->next->prev, at);
        at = at->next;
        assert_ptr_not_equal(at, head);
        assert_int_equal(item_of(at)->number, numbers[i]);
    }
    assert_ptr_equal(at->next, head);
    assert_ptr_equal(head->prev, at);
    assert_int_equal(nr_list_empty(head), count == 0);
}

static void pushes_at_both_ends(void **state)
{
    struct item items[ITEMS];
    struct nr_link head;

    make(&head, items);
    check(&head, NULL, 0);
    nr_list_push_back(&head, &items[1].link);
    nr_list_push_back(&head, &items[2].link);
    nr_list_push_front(&head, &items[0].link);
    check(&head, (int[]){0, 1, 2}, 3);
    assert_true(nr_link_linked(&items[1].link));
    assert_false(nr_link_linked(&items[3].link));
}

static void pops_in_order_until_empty(void **state)
{
    struct item items[ITEMS];
    struct nr_link head;

    make(&head, items);
    for (int i = 0; i < 3; i++)
        nr_list_push_back(&head, &items[i].link);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(nr_list_pop_front(&head), &items[i].link);
    assert_null(nr_list_pop_front(&head));
    assert_false(nr_link_linked(&items[0].link));
}

static void removing_twice_is_harmless(void **state)
{
    struct item items[ITEMS];
    struct nr_link head;

    make(&head, items);
    for (int i = 0; i < 3; i++)
        nr_list_push_back(&head, &items[i].link);
    nr_list_remove(&items[1].link);
    nr_list_remove(&items[1].link);
    check(&head, (int[]){0, 2}, 2);
    nr_list_remove(&items[0].link);
    nr_list_remove(&items[2].link);
    check(&head, NULL, 0);
}

static void splicing_moves_everything(void **state)
{
    struct item items[ITEMS];
    struct nr_link to, from;

    make(&to, items);
    nr_link_init(&from);
    nr_list_splice_back(&to, &from); /* nothing to nothing */
    check(&to, NULL, 0);
    nr_list_push_back(&from, &items[2].link);
    nr_list_push_back(&from, &items[3].link);
    nr_list_splice_back(&to, &from); /* something to nothing */
    check(&to, (int[]){2, 3}, 2);
    check(&from, NULL, 0);
    nr_list_push_back(&from, &items[4].link);
    nr_list_splice_back(&to, &from); /* something to something */
    check(&to, (int[]){2, 3, 4}, 3);
    nr_list_splice_back(&to, &from); /* nothing to something */
    check(&to, (int[]){2, 3, 4}, 3);
}

/* Against an array that does the same in the plainest way. */
static void a_thousand_random_moves(void **state)
{
    struct item items[ITEMS];
    struct nr_link head;
    struct nr_random random;
    int model[ITEMS], count = 0;

    make(&head, items);
    nr_random_init(&random, 7);
    for (int step = 0; step < 1000; step++) {
        int n = (int)nr_random_below(&random, ITEMS), at = 0;

        while (at < count && model[at] != n)
            at++;
        if (at < count) {
            nr_list_remove(&items[n].link);
            for (count--; at < count; at++)
                model[at] = model[at + 1];
        } else {
            nr_list_push_back(&head, &items[n].link);
            model[count++] = n;
        }
        check(&head, model, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushes_at_both_ends),        cmocka_unit_test(pops_in_order_until_empty),
        cmocka_unit_test(removing_twice_is_harmless), cmocka_unit_test(splicing_moves_everything),
        cmocka_unit_test(a_thousand_random_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
