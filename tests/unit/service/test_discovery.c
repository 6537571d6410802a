/* SPDX-License-Identifier: Apache-2.0 */
/* Instances that are found, in virtual time: names with their TTL, files that change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "../call/fake_client.h"
#include "io/sim.h"
#include "service/service_conf.h"
#include "service/state.h"

struct bench {
    struct fake_world world;
    struct nr_sim *sim;
    struct nr_io *io;
    uint64_t start_ns;
    struct nr_service_conf conf;
    struct nr_service *service;
    struct nr_discovery *discovery;
    char news[512]; /* "! line" when bad, "+ line" when good again; one per line */
    struct nr_err resolve_err;
    uint32_t resolved, stopped;
};

static void on_news(void *ctx, struct nr_service *service, bool bad, const char *text)
{
    struct bench *b = ctx;
    size_t len = strlen(b->news);

    assert_ptr_equal(service, b->service);
    snprintf(b->news + len, sizeof(b->news) - len, "%c %s\n", bad ? '!' : '+', text);
}

static void on_resolved(void *ctx, const struct nr_err *err)
{
    struct bench *b = ctx;

    b->resolved++;
    b->resolve_err = err != NULL ? *err : (struct nr_err){0};
}

static void on_stopped(void *ctx)
{
    ((struct bench *)ctx)->stopped++;
}

static void bench_init(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    fake = &b->world;
    b->sim = nr_sim_new(&(struct nr_sim_conf){.seed = 1});
    b->io = nr_sim_engine(b->sim, "10.0.0.1");
    b->conf = (struct nr_service_conf){.name = NR_SPAN("orders")};
}

/* `resolve` first, as a program does; then the clock is at 0. */
static void start(struct bench *b)
{
    assert_int_equal(nr_service_new(&b->conf, 0, &b->service, NULL), NR_OK);
    nr_service_on_news(b->service, on_news, b);
    nr_service_resolve(b->service, b->io, on_resolved, b);
    assert_int_equal(b->resolved, 0); /* never from inside */
    nr_sim_run(b->sim, nr_sim_now_ns(b->sim) + 50 * MS);
    assert_int_equal(b->resolved, 1);
    b->start_ns = nr_sim_now_ns(b->sim);
    b->discovery = nr_discovery_start(b->service, b->io);
}

static void run_ms(struct bench *b, uint64_t ms)
{
    nr_sim_run(b->sim, b->start_ns + ms * MS);
}

static void done(struct bench *b)
{
    nr_discovery_stop(b->discovery, on_stopped, b);
    assert_int_equal(b->stopped, 0);
    nr_sim_run(b->sim, UINT64_MAX);
    assert_int_equal(b->stopped, 1);
    nr_service_free(b->service);
    nr_sim_free(b->sim);
}

/* Who takes part, in the order of their numbers. */
static const char *set(struct bench *b)
{
    static char text[512];
    size_t len = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < nr_service_instance_count(b->service); i++) {
        struct nr_instance_view v;

        nr_service_instance(b->service, i, &v);
        if (v.present)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%s", len > 0 ? " " : "",
                                    v.text, v.addr.family == NR_ADDR_NONE ? "(?)" : "");
    }
    return text;
}

static void by_dns(struct bench *b, uint64_t refresh_ns)
{
    b->conf.found.dns = (struct nr_config_address){.kind = NR_CONFIG_ADDRESS_NAME,
                                                   .host = NR_SPAN("app.internal"),
                                                   .port = 8080,
                                                   .text = NR_SPAN("app.internal:8080")};
    b->conf.found.refresh_ns = refresh_ns;
}

/* ---- DNS ---- */

static void an_answer_holds_for_its_ttl(void **state)
{
    struct bench b;

    bench_init(&b);
    by_dns(&b, 0);
    nr_sim_name(b.sim, "app.internal", "10.0.1.1 10.0.1.2 10.0.1.1", 30);
    start(&b);
    assert_int_equal(b.resolve_err.code, NR_OK);
    assert_string_equal(set(&b), "10.0.1.1:8080 10.0.1.2:8080");
    run_ms(&b, 1000);
    nr_sim_name(b.sim, "app.internal", "10.0.1.2 10.0.1.3", 0);
    run_ms(&b, 29900);
    assert_string_equal(set(&b), "10.0.1.1:8080 10.0.1.2:8080"); /* not a moment early … */
    run_ms(&b, 30500);
    assert_string_equal(set(&b), "10.0.1.3:8080 10.0.1.2:8080"); /* … and not late */
    nr_sim_name(b.sim, "app.internal", "10.0.1.2", 5);
    run_ms(&b, 32000); /* a TTL of 0 counts as a second */
    assert_string_equal(set(&b), "10.0.1.2:8080");
    assert_string_equal(b.news, "");
    done(&b);
}

static void a_refresh_of_our_own(void **state)
{
    struct bench b;

    bench_init(&b);
    by_dns(&b, 2000 * MS);
    nr_sim_name(b.sim, "app.internal", "10.0.1.1", 3600);
    start(&b);
    run_ms(&b, 1000);
    nr_sim_name(b.sim, "app.internal", "10.0.1.9", 3600);
    run_ms(&b, 1900);
    assert_string_equal(set(&b), "10.0.1.1:8080");
    run_ms(&b, 2500);
    assert_string_equal(set(&b), "10.0.1.9:8080");
    done(&b);
}

static void failures_keep_the_last_answer(void **state)
{
    struct bench b;

    bench_init(&b);
    by_dns(&b, 0);
    nr_sim_name(b.sim, "app.internal", "10.0.1.1", 2);
    start(&b);
    run_ms(&b, 1000);
    nr_sim_name(b.sim, "app.internal", NULL, 0);
    run_ms(&b, 60000);
    assert_string_equal(set(&b), "10.0.1.1:8080");
    assert_string_equal(b.news,
                        "! 'app.internal' does not resolve; the instances stay as they are\n");
    nr_sim_name(b.sim, "app.internal", "10.0.1.2", 2);
    run_ms(&b, 66000);
    assert_string_equal(set(&b), "10.0.1.2:8080");
    assert_string_equal(b.news,
                        "! 'app.internal' does not resolve; the instances stay as they are\n"
                        "+ 'app.internal' can be used again\n");
    done(&b);
}

/* Other services shall be served, and the name may be back in a moment. */
static void a_name_that_is_not_there_yet(void **state)
{
    struct bench b;

    bench_init(&b);
    by_dns(&b, 0);
    start(&b);
    assert_int_equal(b.resolve_err.code, NR_OK);
    run_ms(&b, 1000);
    assert_string_equal(set(&b), "");
    assert_non_null(strstr(b.news, "does not resolve"));
    nr_sim_name(b.sim, "app.internal", "10.0.1.1", 60);
    run_ms(&b, 6000);
    assert_string_equal(set(&b), "10.0.1.1:8080");
    done(&b);
}

static void stopping_in_the_middle(void **state)
{
    struct bench b;

    bench_init(&b);
    by_dns(&b, 0);
    nr_sim_name(b.sim, "app.internal", "10.0.1.1", 60);
    start(&b);
    done(&b); /* the first look is under way */
    bench_init(&b);
    b.conf.found.file = NR_SPAN("instances.yaml");
    nr_sim_file(b.sim, "10.0.0.1", "instances.yaml", NR_SPAN("[]"));
    start(&b);
    done(&b);
    bench_init(&b);
    b.conf.found.refresh_ns = 1; /* lists its instances: nothing to find */
    start(&b);
    run_ms(&b, 5000);
    done(&b);
}

/* ---- file ---- */

static void write_file(struct bench *b, const char *text)
{
    nr_sim_file(b->sim, "10.0.0.1", "instances.yaml", nr_span_of(text));
}

static void a_file_that_changes(void **state)
{
    struct nr_instance_view v;
    struct bench b;

    bench_init(&b);
    b.conf.found.file = NR_SPAN("instances.yaml");
    nr_sim_name(b.sim, "app.internal", "10.0.9.9", 60);
    write_file(&b, "- 10.0.1.1:80\n- { address: 10.0.1.2:80, weight: 3 }\n- app.internal:80\n");
    start(&b);
    assert_int_equal(b.resolve_err.code, NR_OK);
    assert_string_equal(set(&b), "10.0.1.1:80 10.0.1.2:80 app.internal:80");
    nr_service_instance(b.service, 1, &v);
    assert_int_equal(v.weight, 3);
    run_ms(&b, 5000);
    write_file(&b, "[10.0.1.2:80, 10.0.1.3:80]");
    run_ms(&b, 6500);
    assert_string_equal(set(&b), "10.0.1.3:80 10.0.1.2:80");
    write_file(&b, "instances: [10.0.1.4:80]"); /* as a section, too */
    run_ms(&b, 8500);
    assert_string_equal(set(&b), "10.0.1.4:80");
    write_file(&b, "# all gone\n[]\n");
    run_ms(&b, 10500);
    assert_string_equal(set(&b), "");
    assert_string_equal(b.news, "");
    done(&b);
}

static void a_bad_file_keeps_the_last_good_one(void **state)
{
    struct bench b;

    bench_init(&b);
    b.conf.found.file = NR_SPAN("instances.yaml");
    write_file(&b, "[10.0.1.1:80]");
    start(&b);
    run_ms(&b, 1500);
    write_file(&b, "- 10.0.1.1:80\n- { address: 10.0.1.2:80, wieght: 3 }\n");
    run_ms(&b, 20000);
    assert_string_equal(set(&b), "10.0.1.1:80");
    assert_string_equal(b.news, "! instances.yaml:2:27: unknown field 'wieght', did you mean "
                                "'weight'?; the instances stay as they are\n");
    b.news[0] = '\0';
    write_file(&b, "[10.0.1.1"); /* another mistake is told, too, and again once */
    run_ms(&b, 40000);
    print_message("%s", b.news);
    assert_non_null(strstr(b.news, "! instances.yaml:"));
    assert_null(strchr(strchr(b.news, '\n') + 1, '\n'));
    b.news[0] = '\0';
    nr_sim_file(b.sim, "10.0.0.1", "instances.yaml", (struct nr_span){NULL, 0});
    run_ms(&b, 50000);
    assert_string_equal(set(&b), "10.0.1.1:80");
    write_file(&b, "[10.0.1.7:80]");
    run_ms(&b, 60000);
    assert_string_equal(set(&b), "10.0.1.7:80");
    assert_non_null(strstr(b.news, "+ "));
    done(&b);
}

static void a_file_that_is_bad_from_the_start(void **state)
{
    struct bench b;

    bench_init(&b);
    b.conf.found.file = NR_SPAN("instances.yaml");
    start(&b);
    assert_int_equal(b.resolve_err.code, NR_ENOENT);
    done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_holds_for_its_ttl),
        cmocka_unit_test(a_refresh_of_our_own),
        cmocka_unit_test(failures_keep_the_last_answer),
        cmocka_unit_test(a_name_that_is_not_there_yet),
        cmocka_unit_test(stopping_in_the_middle),
        cmocka_unit_test(a_file_that_changes),
        cmocka_unit_test(a_bad_file_keeps_the_last_good_one),
        cmocka_unit_test(a_file_that_is_bad_from_the_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
