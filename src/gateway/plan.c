/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/plan.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/json.h"
#include "gateway/request.h"

/* ---- compiling ---- */

struct maker {
    struct nr_arena *arena;
    struct nr_template_scope scope;
    struct nr_plan *plan;
};

static struct nr_template template_of(const struct maker *m, struct nr_span text,
                                      enum nr_template_use use)
{
    struct nr_template template = {0};
    struct nr_err err = {0};

    if (text.len == 0 && use != NR_TEMPLATE_FIELD && use != NR_TEMPLATE_QUERY)
        return template;
    if (nr_template_compile(text, use, &m->scope, m->arena, &template, &err) != NR_OK)
        nr_assert(!"the loader has checked the templates");
    m->plan->captures = m->plan->captures || template.variable;
    return template;
}

static void append_values(const struct maker *m, const struct nr_value_conf *from, uint32_t count,
                          enum nr_template_use use, bool add, struct nr_plan_value *to)
{
    for (uint32_t i = 0; i < count; i++)
        to[i] = (struct nr_plan_value){from[i].name, template_of(m, from[i].value, use), add};
}

static struct nr_plan_values values_of(const struct maker *m, const struct nr_value_conf *set,
                                       uint32_t set_count, const struct nr_value_conf *add,
                                       uint32_t add_count, enum nr_template_use use)
{
    size_t count = (size_t)set_count + add_count;
    struct nr_plan_value *items = nr_arena_zalloc(m->arena, (count + 1) * sizeof(*items));

    append_values(m, set, set_count, use, false, items);
    append_values(m, add, add_count, use, true, items + set_count);
    return (struct nr_plan_values){.items = items, .count = (uint32_t)count};
}

static struct nr_plan_values fields_of(const struct maker *m, const struct nr_fields_conf *conf)
{
    struct nr_plan_values values =
        values_of(m, conf->set, conf->set_count, conf->add, conf->add_count, NR_TEMPLATE_FIELD);

    values.remove = conf->remove;
    values.remove_count = conf->remove_count;
    return values;
}

static void make_targets(const struct maker *m, const struct nr_services_conf *services)
{
    const struct nr_route_conf *route = m->plan->conf;
    struct nr_plan_target *targets =
        nr_arena_zalloc(m->arena, (route->target_count + 1u) * sizeof(*targets));
    uint64_t sum = 0;

    for (uint32_t i = 0; i < route->target_count; i++) {
        const struct nr_service_conf *service =
            nr_service_conf_find(services, route->targets[i].name);

        nr_assert(service != NULL); /* the loader checked it */
        sum += route->targets[i].weight;
        targets[i] = (struct nr_plan_target){(uint32_t)(service - services->items), sum};
    }
    m->plan->targets = targets;
    m->plan->target_count = route->target_count;
    for (size_t i = 0; i < route->name.len; i++)
        m->plan->split_seed =
            (m->plan->split_seed ^ (unsigned char)route->name.ptr[i]) * 1099511628211u;
}

static void make_response(const struct maker *m, const struct nr_respond_conf *respond)
{
    struct nr_plan *plan = m->plan;

    plan->body = respond->body;
    plan->content_type = respond->body.len > 0 ? NR_SPAN("text/plain; charset=utf-8") : NR_SPAN("");
    if (respond->json != NULL) {
        struct nr_json *json = nr_node_json(respond->json);
        char *text = nr_json_dump(json, 0);

        plan->body = nr_arena_dup(m->arena, nr_span_of(text));
        plan->content_type = NR_SPAN("application/json");
        free(text);
        nr_json_free(json);
    }
    plan->respond_fields =
        values_of(m, respond->headers, respond->header_count, NULL, 0, NR_TEMPLATE_FIELD);
}

/* Source: RFC 9745, section 2 (a structured date) and RFC 8594, section 3 (an HTTP date). */
static void make_deprecation(const struct maker *m, const struct nr_deprecated_conf *deprecated)
{
    struct nr_plan *plan = m->plan;
    struct nr_date date = {0};
    int64_t since_s = 0, sunset_s = 0;

    if (nr_route_date(deprecated->since, &since_s))
        plan->deprecation = nr_arena_printf(m->arena, "@%lld", (long long)since_s);
    if (deprecated->sunset.len > 0 && nr_route_date(deprecated->sunset, &sunset_s))
        plan->sunset =
            nr_arena_dup(m->arena, nr_date_text(&date, (uint64_t)sunset_s * 1000000000u));
    if (deprecated->link.len > 0)
        plan->link = nr_arena_printf(m->arena, "<%s>; rel=\"deprecation\"", deprecated->link.ptr);
}

static bool is_plain(const struct nr_gateway_conf *gateway, const struct nr_route_conf *route)
{
    return route->service.len > 0 && route->rewrite.len == 0 && route->rewrite_host.len == 0 &&
           route->request == NULL && route->response == NULL && route->deprecated == NULL &&
           (route->match.version.len == 0 || !gateway->api_version.accept);
}

struct nr_plan *nr_plan_new(const struct nr_gateway_conf *gateway,
                            const struct nr_services_conf *services,
                            const struct nr_route_conf *route, const struct nr_regex *regex,
                            struct nr_arena *arena)
{
    struct nr_plan *plan;
    struct maker m = {.arena = arena, .scope = {.pattern = route->match.path, .regex = regex}};

    if (is_plain(gateway, route))
        return NULL;
    plan = nr_arena_zalloc(arena, sizeof(*plan));
    m.plan = plan;
    plan->conf = route;
    plan->path_regex = regex;
    plan->vary_accept = route->match.version.len > 0 && gateway->api_version.accept;
    make_targets(&m, services);
    plan->rewrite = template_of(&m, route->rewrite, NR_TEMPLATE_URI);
    plan->rewrite_host = template_of(&m, route->rewrite_host, NR_TEMPLATE_URI);
    if (route->redirect != NULL) {
        plan->redirect_to = template_of(&m, route->redirect->to, NR_TEMPLATE_URI);
        plan->redirect_host = template_of(&m, route->redirect->host, NR_TEMPLATE_URI);
    }
    if (route->respond != NULL)
        make_response(&m, route->respond);
    if (route->request != NULL) {
        const struct nr_query_conf *query = &route->request->query;

        plan->fields = fields_of(&m, &route->request->headers);
        plan->query = values_of(&m, query->set, query->set_count, query->add, query->add_count,
                                NR_TEMPLATE_QUERY);
        plan->query.remove = query->remove;
        plan->query.remove_count = query->remove_count;
    }
    if (route->response != NULL)
        plan->answer_fields = fields_of(&m, &route->response->headers);
    if (route->deprecated != NULL)
        make_deprecation(&m, route->deprecated);
    return plan;
}

/* ---- carrying out ---- */

void nr_plan_template_values(struct nr_request *request, struct nr_template_values *ret)
{
    struct nr_arena *arena = request->down->arena;
    const struct nr_plan *plan = request->plan;
    const struct nr_record *record = &request->record;
    struct nr_addr addr = {.family = record->client_family};
    char ip[NR_ADDR_TEXT_BYTES];

    *ret = (struct nr_template_values){.head = request->head, .path = request->path};
    if (!plan->captures)
        return;
    memcpy(addr.ip, record->client_ip, sizeof(addr.ip));
    ret->client_ip =
        nr_arena_dup(arena, (struct nr_span){ip, nr_addr_format_ip(&addr, ip, sizeof(ip))});
    ret->request_id = request->request_id;
    ret->scheme = request->tls ? NR_SPAN("https") : NR_SPAN("http");
    ret->route = plan->conf->name;
    if (request->pools != NULL)
        ret->service = request->pools->service->conf->name;
    (void)nr_pattern_match(plan->conf->match.path, request->path, &ret->captures);
    if (plan->path_regex != NULL)
        (void)nr_regex_match(plan->path_regex, request->path, ret->groups);
}

static void refuse_rewrite(struct nr_request *request)
{
    nr_problem_reason(request, NR_REASON_BAD_REWRITE);
}

static void answer_redirect(struct nr_request *request)
{
    const struct nr_plan *plan = request->plan;
    struct nr_arena *arena = request->down->arena;
    struct nr_template_values values;
    struct nr_span location;
    struct nr_head head;

    nr_plan_template_values(request, &values);
    location = nr_rewrite_location(plan, &values, request->head, arena);
    if (location.len == 0) {
        refuse_rewrite(request);
        return;
    }
    nr_head_init_response(&head, arena, (uint16_t)plan->conf->redirect->status);
    nr_head_add(&head, arena, NR_SPAN("Location"), location);
    nr_respond(request, &head, NR_SPAN(""));
}

static void answer_directly(struct nr_request *request)
{
    const struct nr_plan *plan = request->plan;
    struct nr_arena *arena = request->down->arena;
    struct nr_template_values values;
    struct nr_head head;

    nr_plan_template_values(request, &values);
    nr_head_init_response(&head, arena, (uint16_t)plan->conf->respond->status);
    if (plan->content_type.len > 0)
        nr_head_add(&head, arena, NR_SPAN("Content-Type"), plan->content_type);
    if (nr_transform_fields(&plan->respond_fields, &values, &head, arena) > 0)
        request->record.flags |= NR_RECORD_FIELD_DROPPED;
    nr_respond(request, &head, plan->body);
}

bool nr_plan_take(struct nr_request *request)
{
    const struct nr_plan *plan = request->plan;

    if (plan->conf->redirect != NULL) {
        answer_redirect(request);
        return false;
    }
    if (plan->conf->respond != NULL) {
        answer_directly(request);
        return false;
    }
    if (plan->target_count > 0)
        nr_proxy_choose(
            request, nr_split_pick(plan, request->head, nr_io_random(request->port->worker->io)));
    return true;
}

bool nr_plan_request(struct nr_request *request)
{
    const struct nr_plan *plan = request->plan;
    struct nr_arena *arena = request->down->arena;
    struct nr_template_values values;

    if (plan->rewrite.parts == NULL && plan->rewrite_host.parts == NULL &&
        plan->conf->request == NULL)
        return true;
    nr_plan_template_values(request, &values);
    if (plan->conf->request != NULL &&
        nr_transform_fields(&plan->fields, &values, request->head, arena) > 0)
        request->record.flags |= NR_RECORD_FIELD_DROPPED;
    if (!nr_rewrite_request(plan, &values, request->head, arena)) {
        refuse_rewrite(request);
        return false;
    }
    if (plan->conf->request != NULL)
        nr_transform_query(plan, &values, request->head, arena);
    return true;
}

void nr_plan_response(struct nr_request *request, struct nr_head *head)
{
    const struct nr_plan *plan = request->plan;
    struct nr_arena *arena = request->down->arena;
    struct nr_template_values values;

    if (plan->deprecation.len > 0)
        nr_head_set(head, arena, NR_SPAN("Deprecation"), plan->deprecation);
    if (plan->sunset.len > 0)
        nr_head_set(head, arena, NR_SPAN("Sunset"), plan->sunset);
    if (plan->link.len > 0)
        nr_head_add(head, arena, NR_SPAN("Link"), plan->link);
    if (plan->vary_accept)
        nr_head_add(head, arena, NR_SPAN("Vary"), NR_SPAN("Accept"));
    if (plan->conf->response == NULL)
        return;
    nr_plan_template_values(request, &values);
    if (nr_transform_fields(&plan->answer_fields, &values, head, arena) > 0)
        request->record.flags |= NR_RECORD_FIELD_DROPPED;
}
