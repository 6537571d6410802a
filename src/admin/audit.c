/* SPDX-License-Identifier: Apache-2.0 */
/* audit.c - who changed what, or tried to: one line in the program's log each, whatever its level.
 * The token itself is never written. */
#include "admin/call.h"

static uint32_t version_now(const struct nr_admin *admin)
{
    struct nr_config_control *control = admin->setup.control;
    struct nr_config_version version;

    return control != NULL && control->versions(control, &version, 1) > 0 ? version.number : 0;
}

void nr_admin_audit(const struct nr_admin_call *call)
{
    const struct nr_admin *admin = call->admin;
    const struct nr_admin_answer *answer = &call->answer;
    char actor[32] = "no token";
    bool done = answer->status < 300;

    if (admin->setup.log == NULL)
        return;
    if (call->known)
        snprintf(actor, sizeof(actor), "token %s", admin->token.print);
    nr_log_audit(admin->setup.log,
                 (const struct nr_log_field[]){
                     {"audit", nr_span_of(call->endpoint->id), 0},
                     {"result", nr_span_of(done ? "done" : "refused"), 0},
                     {"reason", nr_span_of(answer->reason != NULL ? answer->reason : ""), 0},
                     {"change", nr_span_of(call->told.len > 0 ? call->told.ptr : ""), 0},
                     {"actor", nr_span_of(actor), 0},
                     {"ip", nr_span_of(call->remote), 0},
                     {"method", nr_head_text(call->head, call->head->method_name), 0},
                     {"path", nr_head_text(call->head, call->head->path), 0},
                     {"status", {NULL, 0}, answer->status},
                     {"version", {NULL, 0}, version_now(admin)},
                     {"request_id", nr_span_of(call->request_id), 0},
                     {NULL, {NULL, 0}, 0},
                 },
                 "admin: %s%s", call->endpoint->id, done ? "" : " refused");
}
