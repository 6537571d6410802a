/* SPDX-License-Identifier: Apache-2.0 */
/* route_check.c - what a route may not say, found when it is loaded.
 *
 * Everything that is compiled later (patterns, regular expressions, templates) is compiled here
 * once for its errors, so that what loads also runs. */
#include <stdio.h>
#include <time.h>

#include "base/compiler.h"
#include "codec/head.h"
#include "gateway/pattern.h"
#include "gateway/regex.h"
#include "gateway/route_conf.h"
#include "gateway/template.h"

/* ---- match ---- */

static bool regex_sound(const struct nr_section *at, const char *field, struct nr_span pattern,
                        struct nr_diags *diags)
{
    struct nr_regex *regex = NULL;
    struct nr_err err = {0};

    if (nr_regex_new(pattern, &regex, &err) == NR_OK) {
        nr_regex_free(regex);
        return true;
    }
    nr_section_error(at, field, diags, NULL, "'%s' is no regular expression: %s", pattern.ptr,
                     err.text);
    return false;
}

void nr_route_check_condition(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    struct nr_condition_conf *condition = section;
    int written = (condition->exact.ptr != NULL) + (condition->prefix.ptr != NULL) +
                  (condition->regex.ptr != NULL) + nr_section_has(&condition->at, "present");

    if (written != 1)
        nr_section_error(&condition->at, NULL, diags, NULL,
                         "expected one of exact, prefix, regex and present");
    if (condition->regex.ptr != NULL)
        (void)regex_sound(&condition->at, "regex", condition->regex, diags);
}

static void check_host(const struct nr_match_conf *match, struct nr_span host,
                       struct nr_diags *diags)
{
    struct nr_span name = nr_span_starts_with(host, NR_SPAN("*.")) ? nr_span_from(host, 2) : host;

    if (name.len == 0 || memchr(name.ptr, '*', name.len) != NULL ||
        memchr(name.ptr, '/', name.len) != NULL ||
        (name.ptr[0] != '[' && memchr(name.ptr, ':', name.len) != NULL))
        nr_section_error(&match->at, "host", diags, NULL,
                         "expected a host such as example.com or *.example.com, got '%s'",
                         host.ptr);
}

static void check_header_names(const struct nr_match_conf *match, struct nr_diags *diags)
{
    for (uint32_t i = 0; i < match->header_count; i++) {
        const struct nr_condition_conf *condition = &match->headers[i];

        if (nr_field_is_hop(nr_field_id_of(condition->name)))
            nr_section_error(&condition->at, NULL, diags, NULL,
                             "'%s' belongs to one connection and is not compared",
                             condition->name.ptr);
        else if (nr_field_id_of(condition->name) == NR_FIELD_HOST)
            nr_section_error(&condition->at, NULL, diags, "match: {host: …}",
                             "the host has a match of its own");
    }
}

/* Also folds hosts to lower case, as the router compares them: RFC 9110, 4.2.3. */
void nr_route_check_match(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    struct nr_match_conf *match = section;
    struct nr_err err = {0};

    if (nr_pattern_check(match->path, &err) != NR_OK)
        nr_section_error(&match->at, "path", diags, NULL, "%s", err.text);
    if (match->path_regex.len > 0)
        (void)regex_sound(&match->at, "path_regex", match->path_regex, diags);
    if (match->version.len > 1 && nr_ascii_lower(match->version.ptr[0]) == 'v')
        match->version = nr_span_from(match->version, 1);
    check_header_names(match, diags);
    for (uint32_t i = 0; i < match->host_count; i++) {
        char *folded = (char *)nr_arena_dup(arena, match->hosts[i]).ptr;

        for (size_t j = 0; j < match->hosts[i].len; j++)
            folded[j] = nr_ascii_lower(folded[j]);
        match->hosts[i].ptr = folded;
        check_host(match, match->hosts[i], diags);
    }
}

/* ---- templates ---- */

/* What the checks of one route share. */
struct checker {
    struct nr_route_conf *route;
    struct nr_template_scope scope;
    struct nr_arena *arena;
    struct nr_diags *diags;
};

static bool template_sound(const struct checker *c, const struct nr_section *at, const char *field,
                           struct nr_span text, enum nr_template_use use,
                           struct nr_template *ret_template)
{
    struct nr_err err = {0};

    if (nr_template_compile(text, use, &c->scope, c->arena, ret_template, &err) == NR_OK)
        return true;
    nr_section_error(at, field, c->diags, NULL, "%s", err.text);
    return false;
}

static bool field_name_sound(const struct checker *c, const struct nr_section *at,
                             const char *field, struct nr_span name, bool request)
{
    enum nr_field_id id = nr_field_id_of(name);

    if (!nr_field_name_valid(name))
        nr_section_error(at, field, c->diags, NULL, "'%s' is no name of a header field", name.ptr);
    else if (nr_field_is_hop(id))
        nr_section_error(at, field, c->diags, NULL,
                         "'%s' frames messages or belongs to one connection: it is naru's own",
                         name.ptr);
    else if (id == NR_FIELD_HOST && request)
        nr_section_error(at, field, c->diags, "rewrite_host: NAME", "'Host' is not set as a field");
    else
        return true;
    return false;
}

static void check_values(const struct checker *c, const struct nr_value_conf *values,
                         uint32_t count, bool request)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct nr_value_conf *value = &values[i];
        struct nr_template template;

        if (!field_name_sound(c, &value->at, NULL, value->name, request) ||
            !template_sound(c, &value->at, NULL, value->value, NR_TEMPLATE_FIELD, &template))
            continue;
        for (uint32_t j = 0; j < template.count; j++)
            /* Blanks may stand at the ends of a part; what is filled in is looked at again. */
            if (template.parts[j].index == 0 && !template.variable &&
                !nr_field_value_valid(template.parts[j].text))
                nr_section_error(&value->at, NULL, c->diags, NULL,
                                 "the value of '%s' has a character that no field may have, or "
                                 "blanks at an end",
                                 value->name.ptr);
    }
}

static void check_fields(const struct checker *c, const struct nr_fields_conf *fields, bool request)
{
    for (uint32_t i = 0; i < fields->remove_count; i++)
        (void)field_name_sound(c, &fields->at, "remove", fields->remove[i], request);
    check_values(c, fields->set, fields->set_count, request);
    check_values(c, fields->add, fields->add_count, request);
}

static void check_query(const struct checker *c, const struct nr_query_conf *query)
{
    struct nr_template template;

    for (uint32_t i = 0; i < query->set_count; i++)
        (void)template_sound(c, &query->set[i].at, NULL, query->set[i].value, NR_TEMPLATE_QUERY,
                             &template);
    for (uint32_t i = 0; i < query->add_count; i++)
        (void)template_sound(c, &query->add[i].at, NULL, query->add[i].value, NR_TEMPLATE_QUERY,
                             &template);
    for (uint32_t i = 0; i < query->rename_count; i++)
        if (query->rename[i].value.len == 0)
            nr_section_error(&query->rename[i].at, NULL, c->diags, NULL, "the new name is empty");
}

/* ---- who answers ---- */

static void check_split(const struct nr_route_conf *route, struct nr_diags *diags)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < route->target_count; i++) {
        sum += route->targets[i].weight;
        for (uint32_t j = 0; j < i; j++)
            if (nr_span_eq(route->targets[i].name, route->targets[j].name))
                nr_section_error(&route->targets[i].at, "name", diags, NULL,
                                 "service '%s' is listed twice", route->targets[i].name.ptr);
    }
    if (route->target_count > 0 && sum == 0)
        nr_section_error(&route->at, "services", diags, NULL, "all weights are 0");
    if (route->split == NULL)
        return;
    if (route->target_count == 0)
        nr_section_error(&route->split->at, NULL, diags, NULL, "'split' is for 'services'");
    if ((route->split->header.len > 0) == (route->split->cookie.len > 0))
        nr_section_error(&route->split->at, NULL, diags, NULL, "expected one of header and cookie");
}

static void check_answer(const struct nr_route_conf *route, struct nr_diags *diags)
{
    int written = (route->service.len > 0) + (route->target_count > 0) + (route->redirect != NULL) +
                  (route->respond != NULL);

    if (written == 0)
        nr_section_error(&route->at, NULL, diags, NULL, "missing field 'service'");
    if (written > 1)
        nr_section_error(&route->at, NULL, diags, NULL,
                         "'service', 'services', 'redirect' and 'respond' exclude each other");
    check_split(route, diags);
}

static void check_redirect(const struct checker *c, const struct nr_redirect_conf *redirect)
{
    bool to_path = redirect->to.len > 0 && redirect->to.ptr[0] == '/';
    struct nr_template template;

    if (redirect->to.len > 0 && !to_path && redirect->to.ptr[0] != '{' &&
        !nr_span_starts_with(redirect->to, NR_SPAN("http://")) &&
        !nr_span_starts_with(redirect->to, NR_SPAN("https://")))
        nr_section_error(&redirect->at, "to", c->diags, NULL,
                         "expected a path or a URL with http:// or https://, got '%s'",
                         redirect->to.ptr);
    else if (redirect->to.len > 0 && !to_path && (redirect->https || redirect->host.len > 0))
        nr_section_error(&redirect->at, "to", c->diags, NULL,
                         "with 'https' or 'host' it is a path");
    else if (redirect->to.len == 0 && !redirect->https && redirect->host.len == 0)
        nr_section_error(&redirect->at, NULL, c->diags, NULL,
                         "expected one of to, https and host, or it leads back to itself");
    if (redirect->to.len > 0 &&
        template_sound(c, &redirect->at, "to", redirect->to, NR_TEMPLATE_URI, &template) &&
        (memchr(redirect->to.ptr, ' ', redirect->to.len) != NULL ||
         !nr_field_value_valid(redirect->to)))
        nr_section_error(&redirect->at, "to", c->diags, NULL, "a URL has no blanks, got '%s'",
                         redirect->to.ptr);
    if (redirect->host.len > 0)
        (void)template_sound(c, &redirect->at, "host", redirect->host, NR_TEMPLATE_URI, &template);
}

static void check_respond(const struct checker *c, const struct nr_respond_conf *respond)
{
    if (respond->json != NULL && respond->body.ptr != NULL)
        nr_section_error(&respond->at, "json", c->diags, NULL,
                         "'body' and 'json' exclude each other");
    if ((respond->json != NULL || respond->body.len > 0) &&
        (respond->status == 204 || respond->status == 304))
        nr_section_error(&respond->at, "status", c->diags, NULL, "a %u has no body",
                         respond->status);
    check_values(c, respond->headers, respond->header_count, false);
}

/* ---- what changes ---- */

static bool prefix_fits(struct nr_span path, struct nr_span prefix)
{
    return nr_span_starts_with(path, prefix) &&
           (path.len == prefix.len || path.ptr[prefix.len] == '/');
}

static void check_strip(const struct checker *c)
{
    struct nr_route_conf *route = c->route;
    struct nr_span prefix = route->strip_prefix;

    if (prefix.len == 0)
        return;
    if (prefix.ptr[prefix.len - 1] == '/')
        prefix.len--;
    route->strip_prefix = nr_arena_dup(c->arena, prefix);
    if (prefix.len == 0 || !prefix_fits(route->match.path, prefix))
        nr_section_error(&route->at, "strip_prefix", c->diags, NULL,
                         "'strip_prefix' must begin the path of the match, '%s'",
                         route->match.path.ptr);
    if (route->rewrite.len > 0)
        nr_section_error(&route->at, "rewrite", c->diags, NULL,
                         "'rewrite' and 'strip_prefix' exclude each other");
}

static void check_rewrite(const struct checker *c)
{
    struct nr_route_conf *route = c->route;
    struct nr_template template;

    if (route->rewrite.len > 0 &&
        template_sound(c, &route->at, "rewrite", route->rewrite, NR_TEMPLATE_URI, &template)) {
        struct nr_span first = template.parts[0].text;

        if (route->rewrite.ptr[0] != '/' && route->rewrite.ptr[0] != '{')
            nr_section_error(&route->at, "rewrite", c->diags, NULL,
                             "a path starts with '/', got '%s'", route->rewrite.ptr);
        else if (memchr(route->rewrite.ptr, '#', route->rewrite.len) != NULL ||
                 !nr_field_value_valid(first) || strchr(route->rewrite.ptr, ' ') != NULL)
            nr_section_error(&route->at, "rewrite", c->diags, NULL,
                             "a path has no blanks and no '#', got '%s'", route->rewrite.ptr);
    }
    if (route->rewrite_host.len > 0)
        (void)template_sound(c, &route->at, "rewrite_host", route->rewrite_host, NR_TEMPLATE_URI,
                             &template);
}

bool nr_route_date(struct nr_span text, int64_t *ret_s)
{
    struct tm tm = {0};
    const char *end = strptime(text.ptr, "%Y-%m-%d", &tm);

    if (end != NULL && *end == 'T')
        end = strptime(end, "T%H:%M:%SZ", &tm);
    if (end == NULL || end != text.ptr + text.len || text.len < 10 || text.ptr[4] != '-' ||
        tm.tm_year < 70)
        return false;
    *ret_s = (int64_t)timegm(&tm);
    return true;
}

static void check_deprecated(const struct checker *c, const struct nr_deprecated_conf *deprecated)
{
    int64_t since_s = 0, sunset_s = 0;

    if (!nr_route_date(deprecated->since, &since_s))
        nr_section_error(&deprecated->at, "since", c->diags, NULL,
                         "expected a date such as 2026-01-31, got '%s'", deprecated->since.ptr);
    if (deprecated->sunset.len > 0 && !nr_route_date(deprecated->sunset, &sunset_s))
        nr_section_error(&deprecated->at, "sunset", c->diags, NULL,
                         "expected a date such as 2026-01-31, got '%s'", deprecated->sunset.ptr);
    /* RFC 9745, section 4: Sunset must not be earlier. */
    else if (deprecated->sunset.len > 0 && sunset_s < since_s)
        nr_section_error(&deprecated->at, "sunset", c->diags, NULL,
                         "'sunset' is earlier than 'since'");
    for (size_t i = 0; i < deprecated->link.len; i++)
        if (deprecated->link.ptr[i] <= ' ' || strchr("<>\"\\", deprecated->link.ptr[i]) != NULL) {
            nr_section_error(&deprecated->at, "link", c->diags, NULL, "expected a URL, got '%s'",
                             deprecated->link.ptr);
            break;
        }
}

void nr_route_check_route(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    struct nr_route_conf *route = section;
    struct nr_regex *regex = NULL;
    struct checker c = {.route = route, .arena = arena, .diags = diags};
    struct nr_err ignored = {0};

    if (route->name.len == 0)
        route->name = route->match.path_regex.len > 0 ? route->match.path_regex : route->match.path;
    if (route->match.path_regex.len > 0 &&
        nr_regex_new(route->match.path_regex, &regex, &ignored) != NR_OK)
        return; /* said before */
    c.scope = (struct nr_template_scope){.pattern = route->match.path, .regex = regex};
    check_answer(route, diags);
    check_strip(&c);
    check_rewrite(&c);
    if (route->redirect != NULL)
        check_redirect(&c, route->redirect);
    if (route->respond != NULL)
        check_respond(&c, route->respond);
    if (route->request != NULL) {
        check_fields(&c, &route->request->headers, true);
        check_query(&c, &route->request->query);
    }
    if (route->response != NULL)
        check_fields(&c, &route->response->headers, false);
    if (route->deprecated != NULL)
        check_deprecated(&c, route->deprecated);
    nr_regex_free(regex);
}
