/* SPDX-License-Identifier: Apache-2.0 */
/* rewrite.c - the path and host that the service sees, and where a redirect leads.
 *
 * What comes out of a template goes through the same gate as what comes from a client: a path must
 * be canonical (no dot segments, no encoded slash), a host must be one. What isn't is refused,
 * never mended, because two readers might mend it differently. */
#include "codec/pairs.h"
#include "codec/uri.h"
#include "gateway/plan.h"

enum { LOCATION_BYTES_MAX = 8192 };

static struct nr_span join_query(struct nr_span first, struct nr_span second,
                                 struct nr_arena *arena)
{
    if (first.len == 0 || second.len == 0)
        return first.len == 0 ? second : first;
    return nr_arena_printf(arena, "%.*s&%.*s", (int)first.len, first.ptr, (int)second.len,
                           second.ptr);
}

/* The template may bring a query of its own; the request's follows it. */
static bool rewrite_path(struct nr_span text, struct nr_head *head, struct nr_arena *arena)
{
    const char *mark = memchr(text.ptr, '?', text.len);
    size_t path_len = mark == NULL ? text.len : (size_t)(mark - text.ptr), len = 0;
    struct nr_span path = nr_arena_dup(arena, (struct nr_span){text.ptr, path_len});
    struct nr_span query = nr_head_text(head, head->query);

    if (!nr_uri_canonical_path((char *)path.ptr, path.len, &len))
        return false;
    if (mark != NULL) {
        struct nr_span own = nr_span_from(text, path_len + 1);

        if (!nr_uri_query_valid(own))
            return false;
        query = join_query(own, nr_arena_dup(arena, query), arena);
        head->query = nr_head_append_text(head, arena, query);
        head->has_query = query.len > 0;
    }
    head->path = nr_head_append_text(head, arena, (struct nr_span){path.ptr, len});
    return true;
}

bool nr_rewrite_request(const struct nr_plan *plan, const struct nr_template_values *values,
                        struct nr_head *head, struct nr_arena *arena)
{
    if (plan->rewrite.parts != NULL &&
        !rewrite_path(nr_template_fill(&plan->rewrite, values, arena), head, arena))
        return false;
    if (plan->rewrite_host.parts != NULL) {
        struct nr_span host = nr_template_fill(&plan->rewrite_host, values, arena);

        if (!nr_uri_authority_valid(host))
            return false;
        head->authority = nr_head_append_text(head, arena, host);
    }
    return true;
}

/* "//evil.example/x" as a reference is another host, not a path: RFC 3986, 4.2. */
static struct nr_span one_slash(struct nr_span path)
{
    while (path.len > 1 && path.ptr[0] == '/' && path.ptr[1] == '/')
        path = nr_span_from(path, 1);
    return path;
}

static struct nr_span with_host(const struct nr_plan *plan, const struct nr_template_values *values,
                                struct nr_span path, struct nr_arena *arena)
{
    const struct nr_redirect_conf *redirect = plan->conf->redirect;
    struct nr_span scheme = redirect->https ? NR_SPAN("https") : values->scheme;
    struct nr_span host = nr_head_text(values->head, values->head->authority), port;

    if (scheme.len == 0)
        scheme = NR_SPAN("http");
    if (plan->redirect_host.parts != NULL)
        host = nr_template_fill(&plan->redirect_host, values, arena);
    else if (redirect->https)
        nr_uri_split_authority(host, &host, &port); /* the port was that of plain HTTP */
    if (!nr_uri_authority_valid(host))
        return (struct nr_span){NULL, 0};
    return nr_arena_printf(arena, "%.*s://%.*s%.*s", (int)scheme.len, scheme.ptr, (int)host.len,
                           host.ptr, (int)path.len, path.ptr);
}

/* The query goes before a fragment. */
static struct nr_span with_query(struct nr_span location, struct nr_span query,
                                 struct nr_arena *arena)
{
    const char *hash = memchr(location.ptr, '#', location.len);
    size_t len = hash == NULL ? location.len : (size_t)(hash - location.ptr);
    bool has_one = memchr(location.ptr, '?', len) != NULL;

    return nr_arena_printf(arena, "%.*s%c%.*s%.*s", (int)len, location.ptr, has_one ? '&' : '?',
                           (int)query.len, query.ptr, (int)(location.len - len),
                           location.ptr + len);
}

static bool reference_valid(struct nr_span text)
{
    return text.len > 0 && text.len <= LOCATION_BYTES_MAX && nr_field_value_valid(text) &&
           memchr(text.ptr, ' ', text.len) == NULL && memchr(text.ptr, '\t', text.len) == NULL;
}

struct nr_span nr_rewrite_location(const struct nr_plan *plan,
                                   const struct nr_template_values *values,
                                   const struct nr_head *head, struct nr_arena *arena)
{
    const struct nr_redirect_conf *redirect = plan->conf->redirect;
    struct nr_span query = nr_head_text(head, head->query);
    struct nr_span location = values->path;

    if (plan->redirect_to.parts != NULL)
        location = nr_template_fill(&plan->redirect_to, values, arena);
    location = one_slash(location);
    if (redirect->https || redirect->host.len > 0)
        location = with_host(plan, values, location, arena);
    if (location.len > 0 && redirect->keep_query && query.len > 0)
        location = with_query(location, query, arena);
    return reference_valid(location) ? location : (struct nr_span){NULL, 0};
}
