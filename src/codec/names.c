/* SPDX-License-Identifier: Apache-2.0 */
/* Methods and statuses by name: the registries of RFC 9110, 16.1 and 16.2. */
#include "codec/head.h"

/* clang-format off */
static const struct nr_span method_names[NR_METHODS] = {
    [NR_METHOD_OTHER]   = {"", 0},
    [NR_METHOD_GET]     = {"GET", 3},
    [NR_METHOD_HEAD]    = {"HEAD", 4},
    [NR_METHOD_POST]    = {"POST", 4},
    [NR_METHOD_PUT]     = {"PUT", 3},
    [NR_METHOD_DELETE]  = {"DELETE", 6},
    [NR_METHOD_OPTIONS] = {"OPTIONS", 7},
    [NR_METHOD_PATCH]   = {"PATCH", 5},
    [NR_METHOD_CONNECT] = {"CONNECT", 7},
    [NR_METHOD_TRACE]   = {"TRACE", 5},
};
/* clang-format on */

/* Methods are case-sensitive: RFC 9110, 9.1. */
enum nr_method nr_method_of(struct nr_span name)
{
    if (name.len == 3 && memcmp(name.ptr, "GET", 3) == 0)
        return NR_METHOD_GET; /* mostly */
    for (int method = NR_METHOD_HEAD; method < NR_METHODS; method++)
        if (name.len == method_names[method].len &&
            memcmp(name.ptr, method_names[method].ptr, name.len) == 0)
            return (enum nr_method)method;
    return NR_METHOD_OTHER;
}

struct nr_span nr_method_name(enum nr_method method)
{
    return method_names[method < NR_METHODS ? method : NR_METHOD_OTHER];
}

bool nr_method_idempotent(enum nr_method method)
{
    switch (method) {
    case NR_METHOD_GET:
    case NR_METHOD_HEAD:
    case NR_METHOD_OPTIONS:
    case NR_METHOD_PUT:
    case NR_METHOD_DELETE: return true;
    default: return false;
    }
}

/* clang-format off */
static const char *const phrases[] = {
    [100] = "Continue", [101] = "Switching Protocols", [102] = "Processing", [103] = "Early Hints",
    [200] = "OK", [201] = "Created", [202] = "Accepted",
    [203] = "Non-Authoritative Information", [204] = "No Content", [205] = "Reset Content",
    [206] = "Partial Content", [207] = "Multi-Status", [208] = "Already Reported",
    [226] = "IM Used",
    [300] = "Multiple Choices", [301] = "Moved Permanently", [302] = "Found", [303] = "See Other",
    [304] = "Not Modified", [305] = "Use Proxy", [307] = "Temporary Redirect",
    [308] = "Permanent Redirect",
    [400] = "Bad Request", [401] = "Unauthorized", [402] = "Payment Required",
    [403] = "Forbidden", [404] = "Not Found", [405] = "Method Not Allowed",
    [406] = "Not Acceptable", [407] = "Proxy Authentication Required", [408] = "Request Timeout",
    [409] = "Conflict", [410] = "Gone", [411] = "Length Required", [412] = "Precondition Failed",
    [413] = "Content Too Large", [414] = "URI Too Long", [415] = "Unsupported Media Type",
    [416] = "Range Not Satisfiable", [417] = "Expectation Failed", [421] = "Misdirected Request",
    [422] = "Unprocessable Content", [423] = "Locked", [424] = "Failed Dependency",
    [425] = "Too Early", [426] = "Upgrade Required", [428] = "Precondition Required",
    [429] = "Too Many Requests", [431] = "Request Header Fields Too Large",
    [451] = "Unavailable For Legal Reasons",
    [500] = "Internal Server Error", [501] = "Not Implemented", [502] = "Bad Gateway",
    [503] = "Service Unavailable", [504] = "Gateway Timeout",
    [505] = "HTTP Version Not Supported", [506] = "Variant Also Negotiates",
    [507] = "Insufficient Storage", [508] = "Loop Detected", [511] = "Network Authentication Required",
};
/* clang-format on */

struct nr_span nr_status_phrase(uint16_t status)
{
    if (status >= sizeof(phrases) / sizeof(phrases[0]) || phrases[status] == NULL)
        return NR_SPAN("");
    return nr_span_of(phrases[status]);
}
