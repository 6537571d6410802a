/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c - a small service to put behind naru: hello --port 7001 --name hello-1 [--delay MS]
 *
 *   GET  /, /hello       {"message":"hello","instance":"hello-1","path":"/hello"}
 *   GET  /healthz        200
 *   GET  /slow?ms=500    answers after that time
 *   GET  /status/503     answers with that status
 *   POST /echo           the body comes back */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "naru/service.h"

struct instance {
    const char *name;
    long delay_ms;
};

static void pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    if (ms > 0)
        nanosleep(&time, NULL);
}

static void reply(struct nr_app_request *r, const struct instance *self)
{
    pause_ms(self->delay_ms);
    nr_app_reply_json(r, nr_app_printf(r, "{\"message\":\"hello\",\"instance\":%s,\"path\":%s}\n",
                                       nr_app_quote(r, nr_span_of(self->name)),
                                       nr_app_quote(r, nr_app_path(r))));
}

static void hello(struct nr_app_request *r, void *ctx)
{
    reply(r, ctx);
}

static void healthz(struct nr_app_request *r, void *ctx)
{
    nr_app_reply_text(r, NR_SPAN("ok\n"));
}

static void slow(struct nr_app_request *r, void *ctx)
{
    struct nr_span ms = nr_app_query(r, "ms");

    pause_ms(ms.ptr == NULL ? 1000 : strtol(ms.ptr, NULL, 10));
    reply(r, ctx);
}

static void status(struct nr_app_request *r, void *ctx)
{
    long code = strtol(nr_app_param(r, "code").ptr, NULL, 10);

    reply(r, ctx);
    nr_app_status(r, code >= 200 && code <= 599 ? (uint16_t)code : 400);
}

static void echo(struct nr_app_request *r, void *ctx)
{
    nr_app_reply(r, "application/octet-stream", nr_app_body(r));
}

static int usage(void)
{
    fputs("usage: hello --port PORT [--name NAME] [--delay MS]\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct instance self = {"hello", 0};
    struct nr_app *app;
    struct nr_err err;
    char address[32] = "";
    enum nr_code code;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--port") == 0)
            snprintf(address, sizeof(address), "127.0.0.1:%s", argv[i + 1]);
        else if (strcmp(argv[i], "--name") == 0)
            self.name = argv[i + 1];
        else if (strcmp(argv[i], "--delay") == 0)
            self.delay_ms = strtol(argv[i + 1], NULL, 10);
        else
            return usage();
    }
    if (address[0] == '\0' || argc % 2 == 0)
        return usage();

    app = nr_app_new();
    nr_app_route(app, "GET", "/", hello, &self);
    nr_app_route(app, "GET", "/hello", hello, &self);
    nr_app_route(app, "GET", "/healthz", healthz, NULL);
    nr_app_route(app, "GET", "/slow", slow, &self);
    nr_app_route(app, "GET", "/status/{code}", status, &self);
    nr_app_route(app, "POST", "/echo", echo, NULL);
    code = nr_app_run(app, address, &err);
    if (code != NR_OK)
        fprintf(stderr, "hello: %s\n", err.text);
    nr_app_free(app);
    return code == NR_OK ? 0 : 1;
}
