/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reason.h"
#include "codec/h1.h"
#include "foresight/explain.h"

/* The codec's words stand for bad_request. */
static bool find(struct nr_span name, enum nr_reason *ret_reason, uint16_t *ret_status)
{
    if (nr_reason_of(name, ret_reason)) {
        *ret_status = nr_reason_status(*ret_reason);
        return true;
    }
    for (int i = NR_H1_OK + 1; i < NR_H1_REASONS; i++)
        if (nr_span_eq(name, nr_span_of(nr_h1_reason_text((enum nr_h1_reason)i)))) {
            *ret_reason = NR_REASON_BAD_REQUEST;
            *ret_status = nr_h1_reason_status((enum nr_h1_reason)i);
            return true;
        }
    return false;
}

bool nr_explain_reason(struct nr_span name, struct nr_strbuf *to)
{
    enum nr_reason reason;
    uint16_t status;

    if (!find(name, &reason, &status))
        return false;
    nr_strbuf_add(to, name);
    if (status != 0)
        nr_strbuf_printf(to, " (%u)", status);
    nr_strbuf_printf(to, "\n  means:  %s\n  do:     %s\n", nr_reason_detail(reason),
                     nr_reason_advice(reason));
    return true;
}

struct nr_json *nr_explain_reason_json(struct nr_span name)
{
    enum nr_reason reason;
    struct nr_json *json;
    uint16_t status;

    if (!find(name, &reason, &status))
        return NULL;
    json = nr_json_object();
    nr_json_set(json, "reason", nr_json_string(name));
    nr_json_set(json, "status", status == 0 ? nr_json_null() : nr_json_integer(status));
    nr_json_set(json, "meaning", nr_json_string(nr_span_of(nr_reason_detail(reason))));
    nr_json_set(json, "advice", nr_json_string(nr_span_of(nr_reason_advice(reason))));
    return json;
}

const char *nr_explain_reason_name(uint32_t i)
{
    if (i < NR_REASONS)
        return nr_reason_name((enum nr_reason)i);
    i = i - NR_REASONS + NR_H1_OK + 1;
    return i < NR_H1_REASONS ? nr_h1_reason_text((enum nr_h1_reason)i) : NULL;
}
