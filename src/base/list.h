/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - intrusive, circular, doubly linked.
 *
 * A head is a link that points at itself when empty. A link that is on no list
 * points at itself too, so removing twice is harmless. */
#ifndef NR_BASE_LIST_H
#define NR_BASE_LIST_H

#include <stdbool.h>

struct nr_link {
    struct nr_link *prev;
    struct nr_link *next;
};

static inline void nr_link_init(struct nr_link *link)
{
    link->prev = link;
    link->next = link;
}

static inline bool nr_list_empty(const struct nr_link *head)
{
    return head->next == head;
}

static inline bool nr_link_linked(const struct nr_link *link)
{
    return link->next != link;
}

static inline void nr_list_push_back(struct nr_link *head, struct nr_link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void nr_list_push_front(struct nr_link *head, struct nr_link *link)
{
    link->next = head->next;
    link->prev = head;
    head->next->prev = link;
    head->next = link;
}

static inline void nr_list_remove(struct nr_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    nr_link_init(link);
}

/* The first link, taken off; NULL when the list is empty. */
static inline struct nr_link *nr_list_pop_front(struct nr_link *head)
{
    struct nr_link *first = head->next;

    if (first == head)
        return (struct nr_link *)0;
    nr_list_remove(first);
    return first;
}

/* Move everything from `from` to the end of `to`; `from` is then empty. */
static inline void nr_list_splice_back(struct nr_link *to, struct nr_link *from)
{
    if (nr_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    nr_link_init(from);
}

#endif
