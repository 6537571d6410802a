/* SPDX-License-Identifier: Apache-2.0 */
/* guard.c - who may speak to the admin side, and in which way: see admin.h. */
#include "admin/call.h"
#include "codec/uri.h"

/* ---- whom does the request mean? ---- */

static bool is_ip(struct nr_span host)
{
    struct nr_addr addr;
    char text[80];
    int len;

    if (host.len == 0 || host.len > 60)
        return false;
    if (host.ptr[0] == '[' || memchr(host.ptr, ':', host.len) == NULL)
        len = snprintf(text, sizeof(text), "%.*s:1", (int)host.len, host.ptr);
    else
        len = snprintf(text, sizeof(text), "[%.*s]:1", (int)host.len, host.ptr);
    return len < (int)sizeof(text) && text[0] != '*' && nr_addr_parse(text, &addr, NULL) == NR_OK &&
           (addr.family == NR_ADDR_V4 || addr.family == NR_ADDR_V6);
}

static bool host_allowed(const struct nr_admin *admin, struct nr_span authority)
{
    const struct nr_admin_conf *conf =
        admin->setup.config == NULL ? NULL : nr_admin_conf_of(admin->setup.config);
    struct nr_span host, port;

    if (authority.len == 0)
        return true; /* HTTP/1.0 without Host: no browser sends that */
    nr_uri_split_authority(authority, &host, &port);
    if (nr_span_eq_nocase(host, NR_SPAN("localhost")) || is_ip(host))
        return true;
    for (uint32_t i = 0; conf != NULL && i < conf->host_count; i++)
        if (nr_span_eq_nocase(host, conf->hosts[i]))
            return true;
    return false;
}

/* ---- where does it come from? ---- */

/* A browser says which site's page asks. What is no browser says nothing. */
static bool origin_allowed(const struct nr_head *head)
{
    struct nr_span origin = nr_head_get(head, NR_FIELD_ORIGIN);
    struct nr_span site = {NULL, 0};

    if (origin.ptr == NULL)
        return true;
    if (nr_span_starts_with(origin, NR_SPAN("http://")))
        site = nr_span_from(origin, sizeof("http://") - 1);
    else if (nr_span_starts_with(origin, NR_SPAN("https://")))
        site = nr_span_from(origin, sizeof("https://") - 1);
    return site.len > 0 && nr_span_eq_nocase(site, nr_head_text(head, head->authority));
}

/* ---- does it know the token? ---- */

/* Authorization: Bearer TOKEN (RFC 6750, 2.1); the scheme in any case (RFC 9110, 11.1). */
static struct nr_span bearer(const struct nr_head *head)
{
    struct nr_span value = nr_head_get(head, NR_FIELD_AUTHORIZATION);
    struct nr_span scheme = {value.ptr, value.len < 7 ? 0 : 7};

    if (!nr_span_eq_nocase(scheme, NR_SPAN("Bearer ")))
        return (struct nr_span){"", 0};
    return nr_span_trim(nr_span_from(value, scheme.len));
}

bool nr_admin_guard(struct nr_admin_call *call, bool open)
{
    const struct nr_admin *admin = call->admin;
    const struct nr_head *head = call->head;

    call->known = nr_admin_token_is(&admin->token, bearer(head));
    memcpy(call->print, admin->token.print, sizeof(call->print));
    if (admin->token.len == 0 && !host_allowed(admin, nr_head_text(head, head->authority))) {
        nr_admin_problem(call, 421, "foreign_host",
                         "without a token the admin side answers only to an IP address, localhost "
                         "or a name of admin.hosts as Host");
        return false;
    }
    if (!origin_allowed(head)) {
        nr_admin_problem(call, 403, "foreign_origin",
                         "a page of another site asks (Origin): the admin side is not for it");
        return false;
    }
    if (admin->token.len > 0 && !open && !call->known) {
        nr_admin_problem(call, 401, "unauthorized",
                         "%s: send Authorization: Bearer and the token of admin.token",
                         nr_head_get(head, NR_FIELD_AUTHORIZATION).ptr == NULL
                             ? "a token is needed"
                             : "that is not the token");
        call->answer.authenticate = true;
        return false;
    }
    return true;
}

/* ---- in which media type? ---- */

static bool is_type(const struct nr_head *head, struct nr_span type)
{
    struct nr_span value = nr_head_get(head, NR_FIELD_CONTENT_TYPE);
    const char *end = value.len > 0 ? memchr(value.ptr, ';', value.len) : NULL;

    if (end != NULL)
        value.len = (size_t)(end - value.ptr);
    return nr_span_eq_nocase(nr_span_trim(value), type);
}

/* text/plain is what a form of any site may send, so it takes a token to be believed. */
static bool type_allowed(const struct nr_admin_call *call)
{
    const struct nr_head *head = call->head;

    if (call->endpoint->body == NR_ADMIN_JSON)
        return is_type(head, NR_SPAN("application/json")) ||
               (head->method == NR_METHOD_PATCH &&
                is_type(head, NR_SPAN("application/merge-patch+json")));
    return is_type(head, NR_SPAN("application/yaml")) ||
           is_type(head, NR_SPAN("application/x-yaml")) ||
           (call->known && is_type(head, NR_SPAN("text/plain")));
}

bool nr_admin_guard_body(struct nr_admin_call *call)
{
    if (call->endpoint->body == NR_ADMIN_NO_BODY || type_allowed(call))
        return true;
    nr_admin_problem(call, 415, "media_type", "send a body with Content-Type: %s",
                     call->endpoint->body == NR_ADMIN_JSON ? "application/json"
                                                           : "application/yaml");
    return false;
}
