/* SPDX-License-Identifier: Apache-2.0 */
/* audit.c - who changed what, or tried to: one line in the program's log each, whatever its level.
 * The token itself is never written.
 *
 * Strangers, who do not get as far as to change anything, get a few lines a second, and a count of
 * what was left out: who knocks a thousand times shall not wash away what others did. */
#include "admin/call.h"
#include "io/io.h"

enum { STRANGERS_PER_S = 10 };

uint32_t nr_admin_config_now(const struct nr_admin *admin)
{
    struct nr_config_control *control = admin->setup.control;
    struct nr_config_version version;

    return control != NULL && control->versions(control, &version, 1) > 0 ? version.number : 0;
}

static bool is_stranger(const struct nr_admin_call *call)
{
    uint16_t status = call->answer.status;

    return status == 401 || status == 403 || status == 421;
}

/* Is there room for one more line of a stranger in this second? */
static bool room(struct nr_admin *admin)
{
    uint64_t second = nr_io_now_ns(admin->setup.io) / 1000000000u;

    if (second != admin->audit.second) {
        admin->audit.second = second;
        admin->audit.lines = 0;
    }
    if (admin->audit.lines >= STRANGERS_PER_S) {
        admin->audit.left_out++;
        return false;
    }
    admin->audit.lines++;
    return true;
}

static void write_line(const struct nr_admin_call *call, bool done)
{
    struct nr_admin *admin = call->admin;
    const struct nr_admin_answer *answer = &call->answer;
    char actor[32] = "no token";
    struct nr_log_field fields[] = {
        {"audit", nr_span_of(call->endpoint->id), 0},
        {"result", nr_span_of(done ? "done" : "refused"), 0},
        {"reason", nr_span_of(answer->reason != NULL ? answer->reason : ""), 0},
        {"change", nr_span_of(call->told.len > 0 ? call->told.ptr : ""), 0},
        {"actor", {NULL, 0}, 0},
        {"ip", nr_span_of(call->remote), 0},
        {"method", nr_head_text(call->head, call->head->method_name), 0},
        {"path", nr_head_text(call->head, call->head->path), 0},
        {"status", {NULL, 0}, answer->status},
        {"version", {NULL, 0}, nr_admin_config_now(admin)},
        {"request_id", nr_span_of(call->request_id), 0},
        {"left_out", {NULL, 0}, admin->audit.left_out},
        {NULL, {NULL, 0}, 0},
    };

    if (call->known)
        snprintf(actor, sizeof(actor), "token %s", call->print);
    fields[4].text = nr_span_of(actor);
    if (admin->audit.left_out == 0)
        fields[11].name = NULL;
    admin->audit.left_out = 0;
    nr_log_audit(admin->setup.log, fields, "admin: %s%s", call->endpoint->id,
                 done ? "" : " refused");
}

void nr_admin_audit(const struct nr_admin_call *call)
{
    struct nr_admin *admin = call->admin;
    bool done = call->answer.status < 300;

    admin->audit.done += done;
    admin->audit.refused += !done;
    if (admin->setup.log != NULL && (!is_stranger(call) || room(admin)))
        write_line(call, done);
}
