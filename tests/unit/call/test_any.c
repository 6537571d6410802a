/* SPDX-License-Identifier: Apache-2.0 */
/* Any schedule of the whole chain: calls on two workers, to instances that do whatever an exchange
 * can end with, under a random configuration of all policies. Whatever happens, each account is
 * closed exactly once: one `end` per call, one report per pick and per ticket, one way out per
 * permit; never more in flight than permits, never more repeats than the budget, nothing beyond the
 * deadline, and a ledger whose entries follow one another.
 *
 * Tickets and permits are watched where they are handed out and taken back: the linker puts the
 * functions __wrap_… of this file before the policies' own (--wrap in meson.build). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "../property.h"
#include "call/call.h"
#define FAKE_OPENS_MAX 256
#define FAKE_BODY_MAX  64
#include "fake_client.h"
#include "policy/breaker.h"
#include "policy/bulkhead.h"
#include "service/service_conf.h"

enum { CALLERS = 14, WORKERS = 2, INSTANCES = 3, ACCOUNTS_MAX = 64, LINGER_MS_MAX = 5 };

#define BIT(n) ((uint64_t)1 << (n))

/* ---- the accounts */

/* What has been handed out and not been taken back: tickets, picks, permits, places in a queue. */
struct account {
    const void *of;
    uint64_t number;
};

static struct accounts {
    struct account open[ACCOUNTS_MAX];
    uint32_t count;
    uint64_t closed;
} tickets, picks, inside, waiting;

static void open_account(struct accounts *accounts, const void *of, uint64_t number)
{
    assert_true(accounts->count < ACCOUNTS_MAX);
    accounts->open[accounts->count++] = (struct account){of, number};
}

static void close_account(struct accounts *accounts, const void *of, uint64_t number)
{
    for (uint32_t i = 0; i < accounts->count; i++) {
        if (accounts->open[i].of != of || accounts->open[i].number != number)
            continue;
        accounts->open[i] = accounts->open[--accounts->count];
        accounts->closed++;
        return;
    }
    fail_msg("number %llu is not open", (unsigned long long)number);
}

enum nr_breaker_verdict __real_nr_breaker_allow(struct nr_breaker *b,
                                                const struct nr_breaker_conf *conf, uint64_t now_ns,
                                                struct nr_random *random, uint32_t *ret_ticket);
enum nr_breaker_verdict __wrap_nr_breaker_allow(struct nr_breaker *b,
                                                const struct nr_breaker_conf *conf, uint64_t now_ns,
                                                struct nr_random *random, uint32_t *ret_ticket);
void __real_nr_breaker_report(struct nr_breaker *b, const struct nr_breaker_conf *conf,
                              uint32_t ticket, uint64_t now_ns, struct nr_random *random,
                              enum nr_breaker_result result, uint64_t took_ns);
void __wrap_nr_breaker_report(struct nr_breaker *b, const struct nr_breaker_conf *conf,
                              uint32_t ticket, uint64_t now_ns, struct nr_random *random,
                              enum nr_breaker_result result, uint64_t took_ns);
enum nr_bulkhead_verdict __real_nr_bulkhead_enter(struct nr_bulkhead *bulkhead,
                                                  const struct nr_bulkhead_conf *conf,
                                                  struct nr_bulkhead_node *node, uint64_t now_ns,
                                                  uint64_t deadline_ns, bool may_queue);
enum nr_bulkhead_verdict __wrap_nr_bulkhead_enter(struct nr_bulkhead *bulkhead,
                                                  const struct nr_bulkhead_conf *conf,
                                                  struct nr_bulkhead_node *node, uint64_t now_ns,
                                                  uint64_t deadline_ns, bool may_queue);
void __real_nr_bulkhead_leave(struct nr_bulkhead *bulkhead, struct nr_bulkhead_node *node);
void __wrap_nr_bulkhead_leave(struct nr_bulkhead *bulkhead, struct nr_bulkhead_node *node);
bool __real_nr_bulkhead_cancel(struct nr_bulkhead *bulkhead, struct nr_bulkhead_node *node);
bool __wrap_nr_bulkhead_cancel(struct nr_bulkhead *bulkhead, struct nr_bulkhead_node *node);
struct nr_bulkhead_node *__real_nr_bulkhead_next(struct nr_bulkhead *bulkhead,
                                                 const struct nr_bulkhead_conf *conf,
                                                 uint64_t now_ns,
                                                 enum nr_bulkhead_verdict *ret_verdict);
struct nr_bulkhead_node *__wrap_nr_bulkhead_next(struct nr_bulkhead *bulkhead,
                                                 const struct nr_bulkhead_conf *conf,
                                                 uint64_t now_ns,
                                                 enum nr_bulkhead_verdict *ret_verdict);
uint32_t __real_nr_service_pick_by(struct nr_service *service, struct nr_random *random,
                                   struct nr_pick *pick);
uint32_t __wrap_nr_service_pick_by(struct nr_service *service, struct nr_random *random,
                                   struct nr_pick *pick);
void __real_nr_service_report_by(struct nr_service *service, struct nr_random *random,
                                 const struct nr_outcome *report);
void __wrap_nr_service_report_by(struct nr_service *service, struct nr_random *random,
                                 const struct nr_outcome *report);

enum nr_breaker_verdict __wrap_nr_breaker_allow(struct nr_breaker *b,
                                                const struct nr_breaker_conf *conf, uint64_t now_ns,
                                                struct nr_random *random, uint32_t *ret_ticket)
{
    enum nr_breaker_verdict verdict = __real_nr_breaker_allow(b, conf, now_ns, random, ret_ticket);

    if (verdict != NR_BREAKER_REFUSE && *ret_ticket != NR_BREAKER_TICKET_NONE)
        open_account(&tickets, b, *ret_ticket);
    return verdict;
}

void __wrap_nr_breaker_report(struct nr_breaker *b, const struct nr_breaker_conf *conf,
                              uint32_t ticket, uint64_t now_ns, struct nr_random *random,
                              enum nr_breaker_result result, uint64_t took_ns)
{
    close_account(&tickets, b, ticket);
    __real_nr_breaker_report(b, conf, ticket, now_ns, random, result, took_ns);
}

enum nr_bulkhead_verdict __wrap_nr_bulkhead_enter(struct nr_bulkhead *bulkhead,
                                                  const struct nr_bulkhead_conf *conf,
                                                  struct nr_bulkhead_node *node, uint64_t now_ns,
                                                  uint64_t deadline_ns, bool may_queue)
{
    enum nr_bulkhead_verdict verdict =
        __real_nr_bulkhead_enter(bulkhead, conf, node, now_ns, deadline_ns, may_queue);

    if (verdict == NR_BULKHEAD_QUEUED)
        open_account(&waiting, node, 0);
    if (verdict == NR_BULKHEAD_GRANTED)
        open_account(&inside, node, 0);
    if (verdict == NR_BULKHEAD_GRANTED)
        assert_true(inside.count <= conf->concurrent);
    return verdict;
}

void __wrap_nr_bulkhead_leave(struct nr_bulkhead *bulkhead, struct nr_bulkhead_node *node)
{
    close_account(&inside, node, 0);
    __real_nr_bulkhead_leave(bulkhead, node);
}

bool __wrap_nr_bulkhead_cancel(struct nr_bulkhead *bulkhead, struct nr_bulkhead_node *node)
{
    bool waited = __real_nr_bulkhead_cancel(bulkhead, node);

    if (waited)
        close_account(&waiting, node, 0);
    return waited;
}

struct nr_bulkhead_node *__wrap_nr_bulkhead_next(struct nr_bulkhead *bulkhead,
                                                 const struct nr_bulkhead_conf *conf,
                                                 uint64_t now_ns,
                                                 enum nr_bulkhead_verdict *ret_verdict)
{
    struct nr_bulkhead_node *node = __real_nr_bulkhead_next(bulkhead, conf, now_ns, ret_verdict);

    if (node == NULL)
        return NULL;
    close_account(&waiting, node, 0);
    if (*ret_verdict == NR_BULKHEAD_GRANTED) {
        open_account(&inside, node, 0);
        assert_true(inside.count <= conf->concurrent);
    }
    return node;
}

uint32_t __wrap_nr_service_pick_by(struct nr_service *service, struct nr_random *random,
                                   struct nr_pick *pick)
{
    uint32_t instance = __real_nr_service_pick_by(service, random, pick);

    if (instance != NR_INSTANCE_NONE)
        open_account(&picks, service, (uint64_t)instance << 32 | pick->ticket);
    return instance;
}

void __wrap_nr_service_report_by(struct nr_service *service, struct nr_random *random,
                                 const struct nr_outcome *report)
{
    close_account(&picks, service, (uint64_t)report->instance << 32 | report->ticket);
    __real_nr_service_report_by(service, random, report);
}

/* ---- callers */

struct world;

struct caller {
    struct world *w;
    struct nr_io *io;
    uint32_t worker;
    struct nr_arena arena;
    struct nr_head head;
    struct nr_record record;
    struct nr_exchange *call;
    struct nr_timer comes;
    struct nr_timer leaves;
    uint64_t comes_ms, leaves_ms, limit_ms;
    struct nr_span body; /* still to be sent */
    bool post, keyed, tunnel;
    uint32_t heads;
    bool over;
    enum nr_reason reason;
    uint64_t end_us; /* since its start */
};

struct world {
    struct nr_sim *sim;
    struct nr_io *io[WORKERS];
    struct fake_world fakes;
    struct nr_random random;
    struct nr_instance_conf instances[INSTANCES];
    char addresses[INSTANCES][24];
    struct nr_service_breaker_conf breaker;
    struct nr_service_bulkhead_conf bulkhead;
    struct nr_service_adaptive_conf adaptive;
    struct nr_service_eject_conf eject;
    struct nr_service_conf conf;
    struct nr_service *service;
    struct nr_service_pools *pools[WORKERS];
    struct nr_call_budget budget;
    struct caller callers[CALLERS];
};

static void send_on(struct caller *c)
{
    size_t taken;

    if (c->body.ptr == NULL)
        return;
    taken = nr_exchange_send_body(c->call, c->body, true);
    c->body = nr_span_from(c->body, taken);
    if (c->body.len == 0)
        c->body.ptr = NULL;
}

static void on_head(struct nr_exchange *x, struct nr_head *head, bool ended)
{
    struct caller *c = x->owner;

    (void)ended;
    assert_false(c->over);
    c->heads += head->status >= 200 || head->status == 101;
    c->tunnel = head->status == 101;
    assert_true(c->heads <= 1);
}

static void on_body(struct nr_exchange *x, bool ended)
{
    (void)ended;
    assert_int_equal(((struct caller *)x->owner)->heads, 1);
    nr_exchange_consume(x, nr_exchange_pending(x).len);
}

static void on_trailers(struct nr_exchange *x, struct nr_head *trailers)
{
    (void)x;
    (void)trailers;
}

static void on_writable(struct nr_exchange *x)
{
    assert_false(((struct caller *)x->owner)->over);
    send_on(x->owner);
}

static void on_end(struct nr_exchange *x, enum nr_end end)
{
    struct caller *c = x->owner;

    (void)end;
    assert_false(c->over);
    c->over = true;
    c->reason = nr_call_reason(x);
    c->end_us = (uint32_t)((nr_io_now_ns(c->io) - c->record.start_ns) / 1000);
    nr_timer_disarm(c->io, &c->leaves);
    nr_arena_done(&c->arena);
}

static const struct nr_exchange_events events = {on_head, on_body, on_trailers, on_writable,
                                                 on_end};

static void on_leave(struct nr_op *op)
{
    struct caller *c = nr_container_of(op, struct caller, leaves.op);

    nr_exchange_reset(c->call);
}

static void on_come(struct nr_op *op)
{
    struct caller *c = nr_container_of(op, struct caller, comes.op);
    uint64_t now_ns = nr_io_now_ns(c->io);

    nr_arena_init(&c->arena, NULL, 0);
    nr_head_init_request(&c->head, &c->arena, nr_span_of(c->post ? "POST" : "GET"), NR_SPAN("shop"),
                         NR_SPAN("/a"));
    if (c->post) {
        c->body = NR_SPAN("a body of some length");
        c->head.body_length = (int64_t)c->body.len;
    }
    if (c->keyed)
        nr_head_add(&c->head, &c->arena, NR_SPAN("Idempotency-Key"), NR_SPAN("\"1\""));
    c->record = (struct nr_record){.start_ns = now_ns,
                                   .route = (uint32_t)(c - c->w->callers) % 3,
                                   .method = c->post ? NR_METHOD_POST : NR_METHOD_GET};
    c->call = nr_call_open(
        c->io, &(struct nr_call_conf){.pools = c->w->pools[c->worker],
                                      .head = &c->head,
                                      .arena = &c->arena,
                                      .deadline = nr_deadline_start(now_ns, c->limit_ms * MS),
                                      .record = &c->record,
                                      .budget = &c->w->budget,
                                      .events = &events,
                                      .owner = c,
                                      .ended = !c->post});
    nr_timer_arm(c->io, &c->leaves, now_ns + c->leaves_ms * MS);
    send_on(c);
}

/* ---- a random world */

static uint64_t below(struct world *w, uint64_t bound)
{
    return nr_random_below(&w->random, bound);
}

static bool one_in(struct world *w, uint64_t n)
{
    return below(w, n) == 0;
}

static struct fake_script any_script(struct world *w)
{
    static const uint16_t statuses[] = {200, 200, 200, 404, 429, 500, 502, 503, 503, 504};
    static const enum nr_end ends[] = {
        NR_END_CONNECT_REFUSED, NR_END_CONNECT_FAILED, NR_END_CONNECT_TIMEOUT,
        NR_END_POOL_EXHAUSTED,  NR_END_UNPROCESSED,    NR_END_PEER_CLOSED,
        NR_END_PEER_RESET,      NR_END_PROTOCOL,       NR_END_BODY_TIMEOUT,
        NR_END_SHUTDOWN,
    };
    struct fake_script s = {.does = FAKE_ANSWERS};
    uint64_t kind = below(w, 10);

    if (kind < 3)
        s.does = FAKE_FAILS;
    else if (kind == 3)
        s.does = (enum fake_does)below(w, FAKE_TUNNELS + 1);
    s.after_ms = below(w, 40);
    s.connect_ms = below(w, 3);
    s.status = statuses[below(w, NR_COUNT(statuses))];
    s.body = one_in(w, 4) ? NULL : "an answer";
    if ((s.status == 429 || s.status == 503) && one_in(w, 2)) {
        s.field = "Retry-After";
        s.value = one_in(w, 2) ? "0" : "1";
    } else if (one_in(w, 10)) {
        s.field = "X-Naru-Retry";
        s.value = "no";
    }
    s.end = ends[below(w, NR_COUNT(ends))];
    s.early = one_in(w, 4);
    s.reused = one_in(w, 3);
    s.interim = one_in(w, 8);
    s.linger_ms = one_in(w, 3) ? below(w, LINGER_MS_MAX) : 0;
    s.step_bytes = one_in(w, 4) ? 1 + below(w, 9) : 0;
    return s;
}

static void any_service(struct world *w)
{
    static const uint32_t algorithms[] = {NR_BALANCE_ROUND_ROBIN, NR_BALANCE_P2C,
                                          NR_BALANCE_LEAST_REQUESTS, NR_BALANCE_RANDOM};

    w->breaker = (struct nr_service_breaker_conf){
        .scope = (uint32_t)below(w, 3),
        .observe_only = one_in(w, 6),
        .policy = {.window = (enum nr_breaker_window)below(w, 2),
                   .size = 1 + (uint32_t)below(w, 10),
                   .minimum = (uint32_t)below(w, 4),
                   .failure_rate = nr_random_unit(&w->random),
                   .slow_rate = one_in(w, 2) ? nr_random_unit(&w->random) : 0,
                   .slow_ns = 20 * MS,
                   .consecutive = (uint32_t)below(w, 5),
                   .open_ns = 1 + below(w, 100 * MS),
                   .open_factor = 2,
                   .open_max_ns = 300 * MS,
                   .jitter = 0.1,
                   .probes = (uint32_t)below(w, 4),
                   .probe_wait_ns = below(w, 100 * MS)},
    };
    w->adaptive = (struct nr_service_adaptive_conf){
        .enabled = true, .start = 3, .min = 1, .max = 1 + (uint32_t)below(w, 6)};
    w->bulkhead = (struct nr_service_bulkhead_conf){
        .observe_only = one_in(w, 6),
        .policy = {.concurrent = 1 + (uint32_t)below(w, 4),
                   .queue = (uint32_t)below(w, 6),
                   .wait_ns = below(w, 60 * MS),
                   .useful_ns = below(w, 2) * MS,
                   .codel_target_ns = below(w, 3) * 5 * MS,
                   .codel_interval_ns = 1 + below(w, 50 * MS)},
        .adaptive = one_in(w, 4) ? &w->adaptive : NULL,
    };
    w->eject = (struct nr_service_eject_conf){
        .observe_only = one_in(w, 6), .interval_ns = 50 * MS, .policy = nr_eject_conf_default};
    w->eject.policy.consecutive_5xx = (uint32_t)below(w, 4);
    w->eject.policy.base_ns = below(w, 200 * MS);
    w->conf = (struct nr_service_conf){
        .name = NR_SPAN("orders"),
        .instances = w->instances,
        .instance_count = 1 + (uint32_t)below(w, INSTANCES),
        .balance = {.algorithm = algorithms[below(w, NR_COUNT(algorithms))]},
        .retry = {.attempts = (uint32_t)below(w, 5),
                  .on = nr_random_u64(&w->random) | nr_random_u64(&w->random),
                  .methods = BIT(NR_METHOD_GET),
                  .backoff = {.policy = {5 * MS, 2, 50 * MS, NR_BACKOFF_FULL}},
                  .budget = {.policy = {nr_random_unit(&w->random), (uint32_t)below(w, 6)}}},
        .timeouts = {.attempt_ns = one_in(w, 2) ? below(w, 50 * MS) : 0,
                     .first_byte_ns = one_in(w, 2) ? below(w, 50 * MS) : 0},
        .breaker = one_in(w, 4) ? NULL : &w->breaker,
        .bulkhead = one_in(w, 4) ? NULL : &w->bulkhead,
        .eject = one_in(w, 4) ? NULL : &w->eject,
    };
}

static void begin(struct world *w, uint64_t seed)
{
    static const struct nr_op_kind come_kind = {on_come, "test.come"};
    static const struct nr_op_kind leave_kind = {on_leave, "test.leave"};

    memset(w, 0, sizeof(*w));
    tickets = picks = inside = waiting = (struct accounts){.count = 0};
    fake = &w->fakes;
    nr_random_init(&w->random, seed);
    for (uint32_t i = 0; i < FAKE_OPENS_MAX; i++)
        w->fakes.scripts[i] = any_script(w);
    w->sim = nr_sim_new(&(struct nr_sim_conf){.seed = seed});
    for (uint32_t i = 0; i < WORKERS; i++)
        w->io[i] = nr_sim_engine(w->sim, "10.0.0.1");
    for (uint32_t i = 0; i < INSTANCES; i++) {
        snprintf(w->addresses[i], sizeof(w->addresses[i]), "10.0.1.%u:%u", i + 1, 8000 + i);
        w->instances[i].weight = 1;
        w->instances[i].address.kind = NR_CONFIG_ADDRESS_IP;
        w->instances[i].address.text = nr_span_of(w->addresses[i]);
    }
    any_service(w);
    w->budget.replay_bytes_max = below(w, 200);
    assert_int_equal(nr_service_new(&w->conf, 7, &w->service, NULL), NR_OK);
    for (uint32_t i = 0; i < WORKERS; i++)
        w->pools[i] = nr_service_pools_new(w->service, w->io[i]);
    for (uint32_t i = 0; i < CALLERS; i++) {
        struct caller *c = &w->callers[i];

        c->w = w;
        c->worker = (uint32_t)below(w, WORKERS);
        c->io = w->io[c->worker];
        c->post = one_in(w, 3);
        c->keyed = one_in(w, 3);
        c->comes_ms = below(w, 150);
        c->limit_ms = 1 + below(w, 100);
        c->leaves_ms = one_in(w, 4) ? below(w, 60) : 400; /* a tunnel has no other end */
        nr_timer_init(&c->comes, &come_kind);
        nr_timer_init(&c->leaves, &leave_kind);
        nr_timer_arm(c->io, &c->comes, nr_io_now_ns(c->io) + c->comes_ms * MS);
    }
}

/* ---- what must hold */

/* Each entry begins where the one before it has ended, and all of them lie within the call. */
static void ledger_holds(const struct caller *c)
{
    const struct nr_record *r = &c->record;
    uint32_t slots = r->attempt_count < NR_RECORD_ATTEMPTS ? r->attempt_count : NR_RECORD_ATTEMPTS;
    uint64_t at_us = r->queue_us, gaps_us = 0, slack_us = 1;

    assert_true((uint64_t)r->queue_us + r->backoff_us <= c->end_us + slack_us);
    assert_true(r->upstream_us <= c->end_us);
    for (uint32_t i = 0; i < slots; i++) {
        const struct nr_record_attempt *a = &r->attempts[i];

        assert_true(a->start_us + slack_us >= at_us);
        assert_true(a->start_us < c->limit_ms * 1000);
        gaps_us += i > 0 ? a->start_us + slack_us - at_us : 0;
        at_us = (uint64_t)a->start_us + a->took_us;
        assert_true(at_us <= c->end_us + slack_us);
        assert_int_not_equal(a->result, NR_ATTEMPT_NONE);
    }
    if (r->attempt_count == 0)
        return;
    gaps_us += c->end_us + slack_us - at_us;
    if (r->attempt_count <= NR_RECORD_ATTEMPTS)
        assert_true(r->backoff_us <= gaps_us + slots);
}

static void call_holds(const struct world *w, const struct caller *c)
{
    uint32_t most = w->conf.retry.attempts > 0 ? w->conf.retry.attempts : 1;

    assert_true(c->over);
    assert_true(c->record.attempt_count <= most);
    assert_int_equal(c->heads == 0 && c->reason == NR_REASON_NONE, false);
    /* A timer's resolution, and what the fake takes to let go. */
    if (!c->tunnel)
        assert_true(c->end_us <= (c->limit_ms + LINGER_MS_MAX + 2) * 1000);
    ledger_holds(c);
}

/* Attempts beyond the first are paid, and the payments have a bound. */
static void budget_holds(struct world *w)
{
    const struct nr_retry_budget_conf *conf = &w->conf.retry.budget.policy;
    struct nr_service_view view;
    uint64_t first = 0, all = 0;

    nr_service_look(w->service, nr_sim_now_ns(w->sim), &view);
    assert_int_equal(view.in_flight, 0);
    assert_int_equal(view.queued, 0);
    for (uint32_t i = 0; i < CALLERS; i++) {
        first += w->callers[i].record.attempt_count > 0;
        all += w->callers[i].record.attempt_count;
    }
    assert_true(all - first <= view.repeats);
    assert_true((double)view.repeats <= conf->ratio * (double)first + conf->min_per_s * 2.0 + 1e-6);
    assert_int_equal(picks.closed, all);
}

static void end(struct world *w)
{
    nr_sim_run(w->sim, UINT64_MAX);
    for (uint32_t i = 0; i < CALLERS; i++)
        call_holds(w, &w->callers[i]);
    budget_holds(w);
    assert_int_equal(tickets.count, 0);
    assert_int_equal(picks.count, 0);
    assert_int_equal(inside.count, 0);
    assert_int_equal(waiting.count, 0);
    assert_int_equal(w->budget.replay_bytes, 0);
    fake_done();
    for (uint32_t i = 0; i < WORKERS; i++)
        nr_service_pools_free(w->pools[i]);
    nr_sim_run(w->sim, UINT64_MAX);
    assert_int_equal(w->fakes.clients, 0);
    nr_service_free(w->service);
    nr_sim_free(w->sim);
}

static void every_account_is_closed_once(void **state)
{
    uint64_t seen_tickets = 0, seen_picks = 0, seen_waits = 0;

    PROPERTY_FOR_ANY (seed) {
        static struct world w;

        begin(&w, seed);
        end(&w);
        seen_tickets += tickets.closed;
        seen_picks += picks.closed;
        seen_waits += waiting.closed;
    }
    property_covers(seen_tickets, 1000);
    property_covers(seen_picks, 5000);
    property_covers(seen_waits, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        property_test(every_account_is_closed_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
