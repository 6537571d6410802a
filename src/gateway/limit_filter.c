/* SPDX-License-Identifier: Apache-2.0 */
/* limit_filter.c - rate limits as a filter: all limits of a request's route and listener are asked
 * at once, and either all are charged or none.
 *
 * Limits whose tier is charged for more, and those that only observe, are asked one by one after
 * the others have let the request pass: what they would refuse must not spare those that count in
 * earnest, and the other way round.
 *
 * The client is told of one limit, the tightest of those that show themselves: of refusals the one
 * that lasts longest, else the one with the smallest share left. If the service's answer already
 * speaks of limits, its word stays: it knows more of its own than we do. */
#include <stdio.h>

#include "base/json_text.h"
#include "codec/limit_fields.h"
#include "gateway/limits.h"
#include "gateway/request.h"

enum { DETAIL_NAME_BYTES = 200 };

struct asking {
    struct nr_limit_asker asker;
    uint64_t now_ns;
    uint64_t wait_ns_max;
    enum nr_shed_level level;
    struct nr_limiter_use uses[NR_LIMITER_USES_MAX];
    const struct nr_limit_rule *rules[NR_LIMITER_USES_MAX]; /* of the uses */
    struct nr_limiter_use *sorted[NR_LIMITER_USES_MAX];     /* by the decision */
    size_t count;
    bool others; /* there are limits besides those that count in earnest */
    bool hiding; /* some limit does not show itself */
};

/* ---- asking ---- */

static bool is_asked(const struct asking *a, const struct nr_limiter *limiter)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->rules[i]->limiter == limiter)
            return true;
    return false;
}

static const struct nr_limit_rule *rule_of(const struct asking *a, const struct nr_limiter_use *use)
{
    return a->rules[use - a->uses];
}

static enum nr_limiter_refusal refusal_of(const struct nr_limit_rule *rule, uint8_t tier)
{
    if (nr_unlikely(nr_limit_observes(rule)))
        return NR_LIMITER_WOULD_REFUSE;
    return (rule->charges >> tier & 1) != 0 ? NR_LIMITER_CHARGED : NR_LIMITER_REFUSED;
}

void nr_limit_aim(struct nr_request *request, const struct nr_peer *peer,
                  struct nr_limit_list route)
{
    struct nr_limit_asker asker = {.request = request, .peer = peer};
    const uint64_t *secret = request->port->worker->gateway->secret;
    const struct nr_limit_rule *rule;
    struct nr_limit_use use;

    if (route.count == 0)
        return;
    rule = route.items[0].rule;
    if (nr_limit_key(&asker, rule, secret, &request->aimed_key) != NR_LIMIT_KEYED)
        return;
    request->aimed = rule;
    use.table = &rule->limiter->table;
    use.key = request->aimed_key;
    nr_limit_table_aim(&use);
}

static enum nr_limit_keyed key_of(struct nr_limit_asker *asker, const struct nr_limit_rule *rule,
                                  struct nr_hash128 *ret_key)
{
    const struct nr_request *request = asker->request;

    if (request->aimed != rule)
        return nr_limit_key(asker, rule, request->port->worker->gateway->secret, ret_key);
    *ret_key = request->aimed_key;
    return NR_LIMIT_KEYED;
}

/* False if the request lacks what it must have. */
static bool put_use(struct asking *a, const struct nr_limit_bind *bind, uint8_t tier)
{
    const struct nr_limit_rule *rule = bind->rule;
    const struct nr_limit_conf *tiers = rule->tiers;
    struct nr_hash128 key;

    switch (key_of(&a->asker, rule, &key)) {
    case NR_LIMIT_KEYED: break;
    case NR_LIMIT_NOT_HERE: return true;
    case NR_LIMIT_KEY_MISSING: return nr_limit_observes(rule);
    }
    if (nr_unlikely(a->level != NR_SHED_CALM) && rule->tight[0] != NULL)
        tiers = rule->tight[a->level - 1];
    nr_limiter_use(&a->uses[a->count], rule->limiter, key, tiers, rule->tier_count, tier,
                   bind->cost, a->wait_ns_max);
    a->hiding = a->hiding || !rule->conf->headers;
    a->sorted[a->count] = &a->uses[a->count];
    a->rules[a->count++] = rule;
    return true;
}

/* Those of one kind. A limit of both lists counts once, as the route says. */
static bool put_list(struct asking *a, struct nr_limit_list list, enum nr_limiter_refusal refusal)
{
    for (uint32_t i = 0; i < list.count; i++) {
        const struct nr_limit_bind *bind = &list.items[i];
        uint8_t tier = nr_limit_tier(&a->asker, bind->rule);

        if (refusal_of(bind->rule, tier) != refusal)
            a->others = true;
        else if (!is_asked(a, bind->rule->limiter) && !put_use(a, bind, tier))
            return false;
    }
    return true;
}

static const struct nr_limiter_use *tightest_shown(const struct asking *a)
{
    const struct nr_limiter_use *tightest = NULL;

    for (size_t i = 0; i < a->count; i++) {
        const struct nr_limiter_use *use = a->sorted[i];

        if (!rule_of(a, use)->conf->headers)
            continue;
        if (tightest == NULL || nr_limit_tighter(&use->use.verdict, &tightest->use.verdict))
            tightest = use;
    }
    return tightest;
}

static void note_in_record(struct nr_request *request, const struct asking *a,
                           const struct nr_limiter_use *use)
{
    request->record.limit = (uint16_t)(rule_of(a, use)->id + 1);
    request->record.limit_left = use->use.verdict.remaining;
}

/* What the client is told, unless it is told of something tighter already. */
static void tell(struct nr_request *request, const struct asking *a,
                 const struct nr_limiter_use *shown)
{
    struct nr_arena *arena = request->down->arena;
    const struct nr_limit_rule *rule;
    struct nr_limit_notice *notice;

    if (shown == NULL ||
        (request->told != NULL && !nr_limit_tighter(&shown->use.verdict, &request->told->verdict)))
        return;
    rule = rule_of(a, shown);
    notice = nr_arena_alloc(arena, sizeof(*notice));
    notice->name = rule->quoted;
    notice->words = nr_likely(shown->conf == &rule->tiers[shown->use.tier])
                        ? rule->words[shown->use.tier]
                        : nr_limit_words(arena, rule->quoted, shown->conf);
    notice->verdict = shown->use.verdict;
    request->told = notice;
}

/* ---- metering ---- */

static void meter_one(struct asking *a, const struct nr_limiter_use *use, enum nr_metered what)
{
    const struct nr_limit_rule *rule = rule_of(a, use);
    char room[NR_METER_NAME_BYTES];

    if (nr_likely(rule->meter == NULL) ||
        nr_meter_count(rule->meter, use->use.key, use->use.tier, what, use->use.cost))
        return;
    nr_meter_enter(
        rule->meter, use->use.key, nr_limit_key_name(&a->asker, rule, room, sizeof(room)),
        nr_io_wall_ns(a->asker.request->port->worker->io), use->use.tier, what, use->use.cost);
}

/* A request that another limit has refused has used nothing here, and was not refused here. */
static void meter(struct asking *a, bool taken)
{
    for (size_t i = 0; i < a->count; i++) {
        if (taken)
            meter_one(a, &a->uses[i], NR_METERED_USED);
        else if (!a->uses[i].use.verdict.allowed)
            meter_one(a, &a->uses[i], NR_METERED_REFUSED);
    }
}

/* ---- refusing ---- */

static struct nr_span in_json(struct nr_arena *arena, struct nr_span name)
{
    char *room = nr_arena_alloc(arena, DETAIL_NAME_BYTES * 6);
    struct nr_json_text text = {.at = room, .end = room + DETAIL_NAME_BYTES * 6};

    nr_json_text_string(&text, name, DETAIL_NAME_BYTES);
    return (struct nr_span){room + 1, (size_t)(text.at - room) - 2}; /* without its quotes */
}

static void refuse(struct nr_request *request, const struct asking *a,
                   const struct nr_limiter_use *use)
{
    const enum nr_reason reason = NR_REASON_RATE_LIMITED;
    struct nr_arena *arena = request->down->arena;
    struct nr_span name = in_json(arena, rule_of(a, use)->name), retry = {NULL, 0};
    struct nr_problem problem = {.status = nr_reason_status(reason),
                                 .reason = nr_reason_name(reason)};
    uint64_t retry_s;

    request->record.reason = reason;
    if (nr_unlikely(use->forced))
        request->record.flags |= NR_RECORD_BY_HAND;
    if (nr_limit_field_retry_after(&use->use.verdict, &retry_s)) {
        retry = nr_arena_printf(arena, "%llu", (unsigned long long)retry_s);
        problem.extra_name = NR_SPAN("Retry-After");
        problem.extra_value = retry;
        problem.detail = nr_arena_printf(arena, "The limit '%.*s' is used up; try again in %s s.",
                                         (int)name.len, name.ptr, retry.ptr)
                             .ptr;
    } else {
        problem.detail = nr_arena_printf(arena, "One request takes more than the limit '%.*s' has.",
                                         (int)name.len, name.ptr)
                             .ptr;
    }
    nr_problem_answer(request, &problem);
}

/* Those that refuse nobody: what they would have refused is charged, or only noted. False if the
 * request lacks what it must have. */
static bool ask_lenient(struct nr_request *request, struct asking *a, struct nr_limit_list route,
                        struct nr_limit_list listener, enum nr_limiter_refusal refusal)
{
    bool charged = refusal == NR_LIMITER_CHARGED;

    a->count = 0;
    if (!put_list(a, route, refusal) || !put_list(a, listener, refusal))
        return false;
    for (size_t i = 0; i < a->count; i++) {
        size_t tightest;

        if (nr_limiter_take_all(&a->sorted[i], 1, a->now_ns, refusal, &tightest)) {
            if (charged && request->record.limit == 0)
                note_in_record(request, a, &a->uses[i]);
            meter_one(a, &a->uses[i], NR_METERED_USED);
            continue;
        }
        if (charged)
            meter_one(a, &a->uses[i], NR_METERED_CHARGED);
        request->record.flags |= charged ? NR_RECORD_CHARGED : NR_RECORD_WOULD_LIMIT;
        note_in_record(request, a, &a->uses[i]);
    }
    if (charged && a->count > 0)
        tell(request, a, tightest_shown(a));
    return true;
}

static uint64_t longest_wait_ns(const struct asking *a)
{
    uint64_t wait_ns = 0;

    for (size_t i = 0; i < a->count; i++)
        if (a->uses[i].use.verdict.wait_ns > wait_ns)
            wait_ns = a->uses[i].use.verdict.wait_ns;
    return wait_ns;
}

enum nr_limit_outcome nr_limit_filter(struct nr_request *request, const struct nr_peer *peer,
                                      struct nr_limit_list route, struct nr_limit_list listener,
                                      uint64_t *ret_wait_ns)
{
    struct asking a;
    uint64_t left_ns;

    *ret_wait_ns = 0;
    if (route.count + listener.count == 0)
        return NR_LIMIT_PASS;
    a.asker = (struct nr_limit_asker){.request = request, .peer = peer};
    a.now_ns = nr_io_now_ns(request->port->worker->io);
    left_ns = nr_deadline_left_ns(&request->deadline, a.now_ns);
    a.wait_ns_max = left_ns > 0 ? left_ns : 1;
    a.level = nr_shed_level_of(&request->port->worker->gateway->shedder);
    a.count = 0;
    a.others = a.hiding = false;
    if (!put_list(&a, route, NR_LIMITER_REFUSED) || !put_list(&a, listener, NR_LIMITER_REFUSED)) {
        nr_problem_reason(request, NR_REASON_LIMIT_KEY_MISSING);
        return NR_LIMIT_ANSWERED;
    }
    if (a.count > 0) {
        size_t tightest;
        bool taken =
            nr_limiter_take_all(a.sorted, a.count, a.now_ns, NR_LIMITER_REFUSED, &tightest);
        const struct nr_limiter_use *use = a.sorted[tightest];

        note_in_record(request, &a, use);
        tell(request, &a, nr_unlikely(a.hiding) ? tightest_shown(&a) : use);
        meter(&a, taken);
        if (!taken) {
            refuse(request, &a, use);
            return NR_LIMIT_ANSWERED;
        }
        *ret_wait_ns = longest_wait_ns(&a);
    }
    if (nr_unlikely(a.others) &&
        (!ask_lenient(request, &a, route, listener, NR_LIMITER_CHARGED) ||
         !ask_lenient(request, &a, route, listener, NR_LIMITER_WOULD_REFUSE))) {
        nr_problem_reason(request, NR_REASON_LIMIT_KEY_MISSING);
        return NR_LIMIT_ANSWERED;
    }
    return *ret_wait_ns > 0 ? NR_LIMIT_HOLD : NR_LIMIT_PASS;
}

/* ---- telling ---- */

struct nr_limit_words nr_limit_words(struct nr_arena *arena, struct nr_span quoted,
                                     const struct nr_limit_conf *conf)
{
    static const union nr_limit_state never_used;
    struct nr_limit_told told = {.name = quoted, .conf = conf};
    char *limit = nr_arena_alloc(arena, NR_DECIMAL_BYTES);
    char *policy = nr_arena_alloc(arena, NR_LIMIT_FIELD_BYTES(quoted.len));

    nr_limit_check(&never_used, conf, 0, 0, &told.verdict);
    return (struct nr_limit_words){
        .limit = nr_decimal(limit, told.verdict.limit),
        .policy = {policy, nr_limit_field_policy(policy, &told)},
    };
}

static bool speaks_of_limits(const struct nr_head *head)
{
    static const struct nr_span names[] = {{"RateLimit", 9}, {"X-RateLimit-Limit", 17}};

    for (uint16_t i = 0; i < head->field_count; i++) {
        const struct nr_field *field = &head->fields[i];

        if (field->id != NR_FIELD_OTHER || (field->flags & NR_FIELD_REMOVED) != 0)
            continue;
        for (size_t j = 0; j < NR_COUNT(names); j++)
            if (nr_span_eq_nocase(nr_head_name(head, field), names[j]))
                return true;
    }
    return false;
}

void nr_limit_answer(struct nr_request *request, struct nr_head *head)
{
    const struct nr_limit_notice *notice = request->told;
    struct nr_limit_told told = {.name = notice->name, .verdict = notice->verdict};
    struct nr_limit_numbers numbers = nr_limit_field_numbers(&notice->verdict);
    struct nr_arena *arena = request->down->arena;
    char digits[NR_DECIMAL_BYTES], *state;

    if (speaks_of_limits(head))
        return;
    nr_head_add_own(head, arena, NR_FIELD_OTHER, NR_SPAN("X-RateLimit-Limit"), notice->words.limit);
    nr_head_add_own(head, arena, NR_FIELD_OTHER, NR_SPAN("X-RateLimit-Remaining"),
                    nr_decimal(digits, numbers.remaining));
    nr_head_add_own(head, arena, NR_FIELD_OTHER, NR_SPAN("X-RateLimit-Reset"),
                    nr_decimal(digits, numbers.reset_s));
    nr_head_add_own(head, arena, NR_FIELD_OTHER, NR_SPAN("RateLimit-Policy"), notice->words.policy);
    state = nr_arena_alloc(arena, NR_LIMIT_FIELD_BYTES(notice->name.len));
    nr_head_add_own(head, arena, NR_FIELD_OTHER, NR_SPAN("RateLimit"),
                    (struct nr_span){state, nr_limit_field_state(state, &told)});
}
