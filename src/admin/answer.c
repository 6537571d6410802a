/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - what endpoints answer with. */
#include <stdarg.h>
#include <stdlib.h>

#include "admin/call.h"

enum { DETAIL_BYTES = 1024 };

static void answer_with(struct nr_admin_call *call, uint16_t status, struct nr_span type,
                        struct nr_json *json)
{
    struct nr_strbuf out = {0};
    char *text = nr_json_dump(json, 2);

    nr_strbuf_printf(&out, "%s\n", text);
    free(text);
    nr_json_free(json);
    free(call->answer.body);
    call->answer.status = status;
    call->answer.content_type = type;
    call->answer.body = nr_strbuf_take(&out, &call->answer.len);
}

void nr_admin_json(struct nr_admin_call *call, uint16_t status, struct nr_json *json)
{
    answer_with(call, status, NR_SPAN("application/json"), json);
}

static void problem(struct nr_admin_call *call, struct nr_json *json, uint16_t status,
                    const char *reason, const char *detail)
{
    nr_json_set(json, "type", nr_json_string(NR_SPAN("about:blank")));
    nr_json_set(json, "title", nr_json_string(nr_status_phrase(status)));
    nr_json_set(json, "status", nr_json_integer(status));
    nr_json_set(json, "detail", nr_json_string(nr_span_of(detail)));
    nr_json_set(json, "reason", nr_json_string(nr_span_of(reason)));
    nr_json_set(json, "request_id", nr_json_string(nr_span_of(call->request_id)));
    answer_with(call, status, NR_SPAN("application/problem+json"), json);
    call->answer.reason = reason;
}

void nr_admin_problem(struct nr_admin_call *call, uint16_t status, const char *reason,
                      const char *detail, ...)
{
    char text[DETAIL_BYTES];
    va_list args;

    va_start(args, detail);
    vsnprintf(text, sizeof(text), detail, args);
    va_end(args);
    problem(call, nr_json_object(), status, reason, text);
}

void nr_admin_problem_with(struct nr_admin_call *call, struct nr_json *more, uint16_t status,
                           const char *reason, const char *detail, ...)
{
    char text[DETAIL_BYTES];
    va_list args;

    va_start(args, detail);
    vsnprintf(text, sizeof(text), detail, args);
    va_end(args);
    problem(call, more, status, reason, text);
}
