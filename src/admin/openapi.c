/* SPDX-License-Identifier: Apache-2.0 */
/* openapi.c - the table of endpoints as an OpenAPI 3.1 document. */
#include <stdlib.h>

#include "admin/call.h"
#include "base/assert.h"
#include "base/compiler.h"

enum { SHAPES_MAX = 64 };

struct document {
    const struct nr_admin_shape *shapes[SHAPES_MAX]; /* named by somebody */
    uint32_t count;
};

static void put(struct nr_json *object, const char *key, const char *text)
{
    nr_json_set(object, key, nr_json_string(nr_span_of(text)));
}

/* ---- schemas ---- */

static struct nr_json *ref(struct document *doc, const struct nr_admin_shape *shape)
{
    struct nr_json *json = nr_json_object();
    char text[128];
    bool known = false;

    for (uint32_t i = 0; i < doc->count; i++)
        known |= doc->shapes[i] == shape;
    nr_assert(known || doc->count < SHAPES_MAX);
    if (!known)
        doc->shapes[doc->count++] = shape;
    snprintf(text, sizeof(text), "#/components/schemas/%s", shape->name);
    put(json, "$ref", text);
    return json;
}

static const char *type_name(enum nr_admin_type type)
{
    switch (type) {
    case NR_ADMIN_STRING: return "string";
    case NR_ADMIN_INTEGER: return "integer";
    case NR_ADMIN_NUMBER: return "number";
    case NR_ADMIN_BOOL: return "boolean";
    case NR_ADMIN_OBJECT: return "object";
    case NR_ADMIN_LIST:
    case NR_ADMIN_STRINGS: break;
    }
    return "array";
}

static struct nr_json *type_of(const struct nr_admin_field *field)
{
    struct nr_json *list, *type = nr_json_string(nr_span_of(type_name(field->type)));

    if (!field->nullable)
        return type;
    list = nr_json_array();
    nr_json_push(list, type);
    nr_json_push(list, nr_json_string(NR_SPAN("null")));
    return list;
}

static struct nr_json *field_schema(struct document *doc, const struct nr_admin_field *field,
                                    bool described)
{
    struct nr_json *json, *items;

    if (field->type == NR_ADMIN_OBJECT && field->shape != NULL)
        return ref(doc, field->shape);
    json = nr_json_object();
    nr_json_set(json, "type", type_of(field));
    if (field->type == NR_ADMIN_LIST)
        nr_json_set(json, "items", ref(doc, field->shape));
    if (field->type == NR_ADMIN_STRINGS) {
        items = nr_json_object();
        put(items, "type", "string");
        nr_json_set(json, "items", items);
    }
    if (field->words != NULL) {
        items = nr_json_array();
        for (const char *const *word = field->words; *word != NULL; word++)
            nr_json_push(items, nr_json_string(nr_span_of(*word)));
        if (field->nullable)
            nr_json_push(items, nr_json_null());
        nr_json_set(json, "enum", items);
    }
    if (field->min != 0 || field->max != 0) {
        nr_json_set(json, "minimum", nr_json_integer(field->min));
        nr_json_set(json, "maximum", nr_json_integer(field->max));
    }
    if (described)
        put(json, "description", field->doc);
    return json;
}

static struct nr_json *shape_schema(struct document *doc, const struct nr_admin_shape *shape)
{
    struct nr_json *json = nr_json_object(), *properties = nr_json_object();
    struct nr_json *required = nr_json_array();

    for (uint32_t i = 0; i < shape->count; i++) {
        const struct nr_admin_field *field = &shape->fields[i];

        nr_json_set(properties, field->name, field_schema(doc, field, true));
        if (!field->optional)
            nr_json_push(required, nr_json_string(nr_span_of(field->name)));
    }
    put(json, "type", "object");
    put(json, "description", shape->doc);
    if (shape->count == 0) {
        nr_json_free(properties);
        nr_json_free(required);
        return json;
    }
    nr_json_set(json, "properties", properties);
    nr_json_set(json, "required", required);
    nr_json_set(json, "additionalProperties", nr_json_bool(false));
    return json;
}

static const struct nr_admin_field problem_fields[] = {
    {.name = "type", .type = NR_ADMIN_STRING, .doc = "about:blank: the status says it."},
    {.name = "title", .type = NR_ADMIN_STRING, .doc = "The status in words."},
    {.name = "status", .type = NR_ADMIN_INTEGER, .doc = "The status."},
    {.name = "detail", .type = NR_ADMIN_STRING, .doc = "What is wrong, for people."},
    {.name = "reason", .type = NR_ADMIN_STRING, .doc = "What is wrong, for programs: stable."},
    {.name = "request_id", .type = NR_ADMIN_STRING, .doc = "As in the audit line."},
};

static struct nr_json *problem_schema(struct document *doc)
{
    static const struct nr_admin_shape shape = {"Problem", "RFC 9457.", problem_fields,
                                                NR_COUNT(problem_fields)};
    struct nr_json *json = shape_schema(doc, &shape);

    nr_json_set(json, "additionalProperties", nr_json_bool(true));
    return json;
}

/* ---- operations ---- */

static struct nr_json *content(const char *type, struct nr_json *schema)
{
    struct nr_json *json = nr_json_object(), *media = nr_json_object();

    nr_json_set(media, "schema", schema);
    nr_json_set(json, type, media);
    return json;
}

static struct nr_json *text_schema(void)
{
    struct nr_json *json = nr_json_object();

    put(json, "type", "string");
    return json;
}

static void add_parameter(struct nr_json *list, const char *name, const char *in, bool required,
                          const char *doc, struct nr_json *schema)
{
    struct nr_json *json = nr_json_object();

    put(json, "name", name);
    put(json, "in", in);
    nr_json_set(json, "required", nr_json_bool(required));
    put(json, "description", doc);
    nr_json_set(json, "schema", schema);
    nr_json_push(list, json);
}

static struct nr_json *parameters(struct document *doc, const struct nr_admin_endpoint *endpoint)
{
    struct nr_json *list = nr_json_array();
    const char *open = strchr(endpoint->path, '{');
    char name[64];

    for (; open != NULL; open = strchr(open + 1, '{')) {
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(open + 1, "}"), open + 1);
        add_parameter(list, name, "path", true, "Percent-encoded where a path needs it.",
                      text_schema());
    }
    if (endpoint->tail != NULL)
        add_parameter(list, endpoint->tail, "path", true,
                      "The rest of the path: may hold slashes, and does for unix:/path.",
                      text_schema());
    for (uint32_t i = 0; i < endpoint->query_count; i++)
        add_parameter(list, endpoint->query[i].name, "query", !endpoint->query[i].optional,
                      endpoint->query[i].doc, field_schema(doc, &endpoint->query[i], false));
    if (endpoint->if_match)
        add_parameter(list, "If-Match", "header", false,
                      "The ETag of the version that must be in force, or nothing is done: 412.",
                      text_schema());
    return list;
}

static void add_problem(struct nr_json *responses, const char *status)
{
    struct nr_json *json = nr_json_object(), *schema = nr_json_object();

    put(json, "description", nr_status_phrase((uint16_t)atoi(status)).ptr);
    put(schema, "$ref", "#/components/schemas/Problem");
    nr_json_set(json, "content", content("application/problem+json", schema));
    nr_json_set(responses, status, json);
}

static struct nr_json *responses(struct document *doc, const struct nr_admin_endpoint *endpoint)
{
    struct nr_json *json = nr_json_object(), *good = nr_json_object();
    const char *rest = endpoint->problems != NULL ? endpoint->problems : "";
    uint16_t code = endpoint->gives_status != 0 ? endpoint->gives_status : 200;
    char status[8];

    put(good, "description", nr_status_phrase(code).ptr);
    nr_json_set(good, "content",
                endpoint->gives != NULL ? content("application/json", ref(doc, endpoint->gives))
                                        : content(endpoint->gives_type, text_schema()));
    snprintf(status, sizeof(status), "%u", code);
    nr_json_set(json, status, good);
    if (endpoint->query_count > 0 || endpoint->body != NR_ADMIN_NO_BODY || endpoint->if_match)
        add_problem(json, "400");
    if (!endpoint->open)
        add_problem(json, "401");
    add_problem(json, "403");
    if (endpoint->body != NR_ADMIN_NO_BODY) {
        add_problem(json, "413");
        add_problem(json, "415");
    }
    add_problem(json, "421");
    for (; strlen(rest) >= 3; rest += rest[3] == ' ' ? 4 : 3) {
        snprintf(status, sizeof(status), "%.3s", rest);
        add_problem(json, status);
    }
    return json;
}

static struct nr_json *operation(struct document *doc, const struct nr_admin_endpoint *endpoint)
{
    struct nr_json *json = nr_json_object(), *body, *list;

    put(json, "operationId", endpoint->id);
    put(json, "summary", endpoint->summary);
    list = parameters(doc, endpoint);
    if (nr_json_count(list) > 0)
        nr_json_set(json, "parameters", list);
    else
        nr_json_free(list);
    if (endpoint->body != NR_ADMIN_NO_BODY) {
        body = nr_json_object();
        nr_json_set(body, "required", nr_json_bool(true));
        nr_json_set(body, "content",
                    endpoint->body == NR_ADMIN_JSON
                        ? content("application/json", ref(doc, endpoint->takes))
                        : content("application/yaml", text_schema()));
        nr_json_set(json, "requestBody", body);
    }
    nr_json_set(json, "responses", responses(doc, endpoint));
    if (endpoint->open) /* an empty list: nothing is asked for */
        nr_json_set(json, "security", nr_json_array());
    return json;
}

/* ---- the document ---- */

static const char *path_name(const struct nr_admin_endpoint *endpoint, char *to, size_t room)
{
    if (endpoint->tail != NULL)
        snprintf(to, room, "%.*s{%s}", (int)strlen(endpoint->path) - 1, endpoint->path,
                 endpoint->tail);
    else
        snprintf(to, room, "%s", endpoint->path);
    return to;
}

static const char *verb(enum nr_method method)
{
    switch (method) {
    case NR_METHOD_POST: return "post";
    case NR_METHOD_PUT: return "put";
    case NR_METHOD_PATCH: return "patch";
    case NR_METHOD_DELETE: return "delete";
    default: return "get";
    }
}

/* Endpoints of one path stand together in the table. */
static struct nr_json *paths(struct document *doc)
{
    struct nr_json *json = nr_json_object(), *item = NULL;
    const char *before = "";
    char name[128];

    for (uint32_t i = 0; i < nr_admin_endpoint_count; i++) {
        const struct nr_admin_endpoint *endpoint = &nr_admin_endpoints[i];

        if (strcmp(endpoint->path, before) != 0) {
            item = nr_json_object();
            nr_json_set(json, path_name(endpoint, name, sizeof(name)), item);
        }
        before = endpoint->path;
        nr_json_set(item, verb(endpoint->method), operation(doc, endpoint));
    }
    return json;
}

static struct nr_json *components(struct document *doc)
{
    struct nr_json *json = nr_json_object(), *schemas = nr_json_object();
    struct nr_json *schemes = nr_json_object(), *token = nr_json_object();

    nr_json_set(schemas, "Problem", problem_schema(doc));
    for (uint32_t i = 0; i < doc->count; i++) /* a shape may name others, which go behind it */
        nr_json_set(schemas, doc->shapes[i]->name, shape_schema(doc, doc->shapes[i]));
    put(token, "type", "http");
    put(token, "scheme", "bearer");
    put(token, "description", "admin.token of the configuration, if it has one.");
    nr_json_set(schemes, "token", token);
    nr_json_set(json, "schemas", schemas);
    nr_json_set(json, "securitySchemes", schemes);
    return json;
}

static struct nr_json *security(void)
{
    struct nr_json *list = nr_json_array(), *token = nr_json_object();

    nr_json_set(token, "token", nr_json_array());
    nr_json_push(list, token);
    return list;
}

struct nr_json *nr_admin_openapi(const char *version)
{
    struct nr_json *json = nr_json_object(), *info = nr_json_object();
    struct document doc = {.count = 0};

    put(info, "title", "naru admin API");
    put(info, "version", version);
    put(info, "description",
        "What operators ask and tell a running naru. Errors are problem+json with a stable "
        "reason.");
    put(json, "openapi", "3.1.0");
    nr_json_set(json, "info", info);
    nr_json_set(json, "security", security());
    nr_json_set(json, "paths", paths(&doc));
    nr_json_set(json, "components", components(&doc));
    return json;
}
