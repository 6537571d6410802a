/* SPDX-License-Identifier: Apache-2.0 */
/* transform.c - fields and parameters that are removed, renamed, set and added.
 *
 * A template may bring in what a client sent. A value that cannot stand in a field (a line break
 * out of an escape in the query, say) is left out and told, so that no message can be split. */
#include "codec/pairs.h"
#include "gateway/plan.h"

uint32_t nr_transform_fields(const struct nr_plan_values *fields,
                             const struct nr_template_values *values, struct nr_head *head,
                             struct nr_arena *arena)
{
    uint32_t dropped = 0;

    for (uint32_t i = 0; i < fields->remove_count; i++)
        nr_head_remove_name(head, fields->remove[i]);
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct nr_plan_value *item = &fields->items[i];
        /* Before the removal: {header:X} may be the very field that is set. */
        struct nr_span value = nr_span_trim(nr_template_fill(&item->value, values, arena));

        if (!nr_field_value_valid(value)) {
            dropped++;
            value.len = 0;
        } else if (value.len > 0 || !item->value.variable) {
            if (item->add)
                nr_head_add(head, arena, item->name, value);
            else
                nr_head_set(head, arena, item->name, value);
            continue;
        }
        if (!item->add)
            nr_head_remove_name(head, item->name);
    }
    return dropped;
}

/* ---- the query ---- */

struct writer {
    char *to;
    size_t len;
};

static void put(struct writer *w, struct nr_span text)
{
    if (text.len > 0)
        memcpy(w->to + w->len, text.ptr, text.len);
    w->len += text.len;
}

static void put_pair(struct writer *w, struct nr_span name, bool has_value, struct nr_span value)
{
    if (w->len > 0)
        put(w, NR_SPAN("&"));
    put(w, name);
    if (has_value)
        put(w, NR_SPAN("="));
    put(w, value);
}

static bool goes(const struct nr_plan *plan, struct nr_span name)
{
    for (uint32_t i = 0; i < plan->query.remove_count; i++)
        if (nr_query_text_eq(name, plan->query.remove[i]))
            return true;
    return false;
}

static bool is_set(const struct nr_plan *plan, struct nr_span name)
{
    for (uint32_t i = 0; i < plan->query.count; i++)
        if (!plan->query.items[i].add && nr_query_text_eq(name, plan->query.items[i].name))
            return true;
    return false;
}

static struct nr_span renamed(const struct nr_plan *plan, struct nr_span name,
                              struct nr_arena *arena)
{
    const struct nr_query_conf *query = &plan->conf->request->query;

    for (uint32_t i = 0; i < query->rename_count; i++)
        if (nr_query_text_eq(name, query->rename[i].name))
            return nr_percent_encode(query->rename[i].value, arena);
    return name;
}

static size_t longest_name(const struct nr_query_conf *query)
{
    size_t longest = 0;

    for (uint32_t i = 0; i < query->rename_count; i++)
        if (query->rename[i].value.len * 3 > longest)
            longest = query->rename[i].value.len * 3;
    return longest;
}

/* Room for the pairs that are kept, even if each were renamed. */
static size_t kept_bytes(const struct nr_plan *plan, struct nr_span query)
{
    size_t bytes = query.len + 2, longest = longest_name(&plan->conf->request->query);
    struct nr_pair pair;

    while (longest > 0 && nr_query_next(&query, &pair))
        bytes += longest;
    return bytes;
}

void nr_transform_query(const struct nr_plan *plan, const struct nr_template_values *values,
                        struct nr_head *head, struct nr_arena *arena)
{
    const struct nr_plan_values *changes = &plan->query;
    struct nr_span rest = nr_head_text(head, head->query);
    struct nr_span *filled;
    size_t room = kept_bytes(plan, rest);
    struct nr_pair pair;
    struct writer w = {0};

    if (changes->count == 0 && changes->remove_count == 0 &&
        plan->conf->request->query.rename_count == 0)
        return;
    filled = nr_arena_alloc(arena, (changes->count + 1u) * sizeof(*filled));
    for (uint32_t i = 0; i < changes->count; i++) {
        filled[i] = nr_template_fill(&changes->items[i].value, values, arena);
        room += filled[i].len + changes->items[i].name.len * 3 + 2;
    }
    w.to = nr_arena_alloc(arena, room);
    while (nr_query_next(&rest, &pair)) {
        struct nr_span name;

        if (goes(plan, pair.name))
            continue;
        name = renamed(plan, pair.name, arena);
        if (!is_set(plan, name))
            put_pair(&w, name, pair.has_value, pair.value);
    }
    for (uint32_t i = 0; i < changes->count; i++)
        if (filled[i].len > 0 || !changes->items[i].value.variable)
            put_pair(&w, nr_percent_encode(changes->items[i].name, arena), true, filled[i]);
    head->query = nr_head_append_text(head, arena, (struct nr_span){w.to, w.len});
    head->has_query = w.len > 0;
}
