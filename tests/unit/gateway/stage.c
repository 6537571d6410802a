/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include "base/compiler.h"
#include "config/config.h"
#include "gateway/gateway_conf.h"
#include "observe/observe_conf.h"
#include "service/service_conf.h"

static const char gateway_host[] = "10.0.0.1";
static const char client_host[] = "10.0.2.1";
static const char *const hosts[STAGE_INSTANCES] = {"10.0.1.1", "10.0.1.2", "10.0.1.3"};

/* Longer than any limit that a script sets: what has not come by then will not come. */
static const uint64_t patience_ns = 600 * 1000 * STAGE_MS;

const char *stage_host(uint32_t instance)
{
    return hosts[instance];
}

uint64_t stage_now_ns(const struct stage *s)
{
    return nr_sim_now_ns(s->sim);
}

uint64_t stage_patience_ns(const struct stage *s)
{
    return stage_now_ns(s) + patience_ns;
}

static void note_bufs(struct stage *s)
{
    uint32_t live = nr_io_bufs(s->gateway_io)->live;

    if (live > s->bufs_peak)
        s->bufs_peak = live;
}

void stage_step(struct stage *s, uint64_t until_ns, const char *what, const char *file, int line)
{
    bool more = nr_sim_step(s->sim);

    note_bufs(s);
    if (more && stage_now_ns(s) <= until_ns)
        return;
    print_error("%s:%d: waited in vain: %s\n", file, line, what);
    _fail(file, line);
}

void stage_wait_ms(struct stage *s, uint64_t ms)
{
    nr_sim_run(s->sim, stage_now_ns(s) + ms * STAGE_MS);
    note_bufs(s);
}

uint32_t stage_connections(const struct stage *s, uint32_t instance)
{
    return nr_sim_connections(s->sim, gateway_host, hosts[instance]);
}

void stage_silence(struct stage *s, uint32_t instance, bool silent)
{
    nr_sim_silence(s->sim, hosts[instance], silent);
}

void stage_silence_client(struct stage *s, bool silent)
{
    nr_sim_silence(s->sim, client_host, silent);
}

/* ---- instances ---- */

static void on_accept(struct nr_op *op)
{
    struct stage_instance *instance = nr_container_of(op, struct stage_instance, accept.op);
    struct stage *s = instance->stage;

    if (op->result != NR_OK)
        return;
    instance->accepted++;
    peer_start(peer_new(s, instance->io, (int)(instance - s->instances)), instance->accept.sock);
    nr_listener_accept(instance->listener, instance->io, &instance->accept);
}

static const struct nr_op_kind accept_kind = {on_accept, "test.accept"};

static void instance_start(struct stage *s, uint32_t index)
{
    struct stage_instance *instance = &s->instances[index];
    struct nr_listen_conf listen = {.inherited_fd = -1};
    char address[64];

    *instance = (struct stage_instance){.stage = s, .io = nr_sim_engine(s->sim, hosts[index])};
    snprintf(address, sizeof(address), "%s:7000", hosts[index]);
    assert_int_equal(nr_addr_parse(address, &listen.address, NULL), NR_OK);
    assert_int_equal(nr_listener_open(&instance->io, 1, &listen, &instance->listener, NULL), NR_OK);
    nr_op_init(&instance->accept.op, &accept_kind);
    nr_listener_accept(instance->listener, instance->io, &instance->accept);
}

void stage_refuse(struct stage *s, uint32_t instance)
{
    nr_listener_close(s->instances[instance].listener);
    s->instances[instance].listener = NULL;
}

/* ---- the gateway ---- */

static void copy_text(char *to, size_t size, struct nr_span text)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;

    if (len > 0)
        memcpy(to, text.ptr, len);
    to[len] = '\0';
}

static void record_done(struct nr_record_sink *sink, const struct nr_record *record,
                        const struct nr_record_view *view)
{
    struct stage *s = nr_container_of(sink, struct stage, sink);
    struct stage_record *to = &s->records[s->record_count % STAGE_RECORDS];

    assert_true(s->record_count - s->record_taken < STAGE_RECORDS);
    s->record_count++;
    to->r = *record;
    copy_text(to->path, sizeof(to->path), view->path);
    copy_text(to->method, sizeof(to->method), view->method);
    copy_text(to->host, sizeof(to->host), view->host);
    copy_text(to->user_agent, sizeof(to->user_agent), view->user_agent);
    copy_text(to->request_id, sizeof(to->request_id), view->request_id);
}

static const char *more(const char *text)
{
    return text == NULL ? "" : text;
}

static const char *comma(const char *text)
{
    return text == NULL ? "" : ", ";
}

static int write_config(char *to, size_t size, const struct stage_conf *conf)
{
    static const char *const instances[STAGE_INSTANCES + 1] = {
        "\"10.0.1.1:7000\"", "\"10.0.1.1:7000\"", "\"10.0.1.1:7000\", \"10.0.1.2:7000\"",
        "\"10.0.1.1:7000\", \"10.0.1.2:7000\", \"10.0.1.3:7000\""};

    return snprintf(
        to, size,
        "gateway: { listen: [{ address: \"10.0.0.1:8080\"%s%s }],\n"
        "  routes: [{ match: { %s }, service: app%s%s }]%s%s }\n"
        "services: { app: { instances: [%s], balance: round_robin%s%s } }\n"
        "limits: { %s }\n",
        comma(conf->listen), more(conf->listen), conf->match == NULL ? "path: \"/*\"" : conf->match,
        comma(conf->route), more(conf->route), comma(conf->gateway), more(conf->gateway),
        instances[conf->instances], comma(conf->service), more(conf->service), more(conf->limits));
}

static void load_config(struct stage *s, const struct stage_conf *conf)
{
    static const struct nr_schema_root *const roots[] = {
        &nr_gateway_conf_root, &nr_callers_conf_root, &nr_services_conf_root, &nr_observe_conf_root,
        &nr_limits_conf_root};
    char text[4096];
    struct nr_arena arena;
    struct nr_diags diags;
    int len = write_config(text, sizeof(text), conf);

    assert_in_range(len, 1, sizeof(text) - 1);
    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 0);
    if (nr_config_load_bytes(roots, NR_COUNT(roots), NULL, "stage.yaml", nr_span_of(text), &diags,
                             &s->config) != NR_OK)
        fail_msg("%s\n%s", diags.count > 0 ? diags.items[0].text : "configuration", text);
    nr_arena_done(&arena);
}

static void gateway_start(struct stage *s)
{
    struct nr_err err = {0};

    if (nr_gateway_new(s->config, &s->gateway, &err) != NR_OK ||
        nr_gateway_listen(s->gateway, &s->gateway_io, 1, NULL, 0, &err) != NR_OK)
        fail_msg("%s", err.text);
    s->sink.done = record_done;
    s->worker = nr_gateway_worker_new(s->gateway, s->gateway_io, &s->sink, 1);
}

struct stage *stage_new(const struct stage_conf *conf)
{
    struct stage *s = calloc(1, sizeof(*s));
    struct nr_sim_conf sim = {.seed = conf->seed, .link = conf->link};

    assert_non_null(s);
    if (sim.link.latency_max_ns == 0)
        sim.link.latency_min_ns = sim.link.latency_max_ns = STAGE_MS;
    s->sim = nr_sim_new(&sim);
    s->gateway_io = nr_sim_engine(s->sim, gateway_host);
    s->client_io = nr_sim_engine(s->sim, client_host);
    for (uint32_t i = 0; i < STAGE_INSTANCES; i++)
        instance_start(s, i);
    load_config(s, conf);
    gateway_start(s);
    return s;
}

static void on_drained(void *ctx)
{
    ((struct stage *)ctx)->drained = true;
}

void stage_done(struct stage *s)
{
    uint64_t until_ns = stage_patience_ns(s);

    for (uint32_t i = 0; i < s->peer_count; i++)
        peer_close(s->peers[i]);
    nr_gateway_worker_drain(s->worker, on_drained, s);
    nr_gateway_close_listeners(s->gateway);
    for (uint32_t i = 0; i < STAGE_INSTANCES; i++)
        if (s->instances[i].listener != NULL)
            stage_refuse(s, i);
    while (!s->drained)
        stage_step(s, until_ns, "the gateway drains", __FILE__, __LINE__);
    nr_gateway_worker_free(s->worker);
    nr_sim_run(s->sim, UINT64_MAX);
    nr_gateway_free(s->gateway);
    nr_config_unref(s->config);
    if (s->record_taken != s->record_count)
        fail_msg("a record that nobody asked for: status %u, %s",
                 s->records[s->record_taken].r.status,
                 nr_reason_name((enum nr_reason)s->records[s->record_taken].r.reason));
    for (uint32_t i = 0; i < s->peer_count; i++)
        peer_free(s->peers[i]);
    nr_sim_free(s->sim);
    free(s);
}

/* ---- who and what comes ---- */

struct peer *stage_upstream_at(struct stage *s, const char *file, int line)
{
    uint64_t until_ns = stage_patience_ns(s);

    for (;;) {
        while (s->upstream_taken < s->peer_count) {
            struct peer *p = s->peers[s->upstream_taken++];

            if (p->instance >= 0)
                return p;
        }
        stage_step(s, until_ns, "a connection to an instance", file, line);
    }
}

const struct stage_record *stage_record_at(struct stage *s, uint16_t status, enum nr_reason reason,
                                           const char *file, int line)
{
    uint64_t until_ns = stage_patience_ns(s);
    const struct stage_record *record;

    while (s->record_taken == s->record_count)
        stage_step(s, until_ns, "a record", file, line);
    record = &s->records[s->record_taken++ % STAGE_RECORDS];
    if (record->r.status != status || record->r.reason != reason) {
        print_error("%s:%d: record has %u %s, not %u %s\n", file, line, record->r.status,
                    nr_reason_name((enum nr_reason)record->r.reason), status,
                    nr_reason_name(reason));
        _fail(file, line);
    }
    return record;
}
