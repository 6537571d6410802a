/* SPDX-License-Identifier: Apache-2.0 */
/* forward.c - what a head gains and loses between client and service.
 *
 * Hop-by-hop fields are http's business and never get here. What is added tells the service who
 * asked (X-Forwarded-*), under which id (X-Request-Id), and that a proxy stood between (Via, RFC
 * 9110, 7.6.3). What a client says of these itself is believed only from a trusted proxy; from
 * anyone else it is replaced, or a visitor could choose the address that he is logged and limited
 * under. */
#include <stdio.h>

#include "base/assert.h"
#include "base/copy.h"
#include "gateway/request.h"

enum { REQUEST_ID_BYTES_MAX = 64, ID_HEX_BYTES = 32, HOPS_SEEN_MAX = 100 };

static bool trusted(const struct nr_gateway_port *port, const struct nr_peer *peer)
{
    for (uint32_t i = 0; i < port->conf->trusted_proxy_count; i++)
        if (nr_cidr_contains(&port->conf->trusted_proxies[i], &peer->addr))
            return true;
    return false;
}

/* ---- the request's id ---- */

static bool id_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
}

static bool id_valid(struct nr_span id)
{
    if (id.len == 0 || id.len > REQUEST_ID_BYTES_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (!id_char(id.ptr[i]))
            return false;
    return true;
}

static void own_id(struct nr_request *request)
{
    struct nr_random *random = nr_io_random(request->port->worker->io);
    char *text = nr_arena_alloc(request->down->arena, ID_HEX_BYTES);

    for (int i = 0; i < 2; i++) {
        request->record.id[i] = nr_random_u64(random);
        nr_copy_hex(text + i * 16, request->record.id[i]);
    }
    request->request_id = (struct nr_span){text, ID_HEX_BYTES};
}

void nr_forward_identify(struct nr_request *request, const struct nr_peer *peer)
{
    struct nr_span given = {NULL, 0};

    if (trusted(request->port, peer))
        given = nr_head_get(request->head, NR_FIELD_X_REQUEST_ID);
    if (!id_valid(given)) {
        own_id(request);
        return;
    }
    request->request_id = given;
    nr_record_id_of(given, request->record.id);
}

/* ---- deadlines that the client sets ---- */

static bool parse_number(struct nr_span text, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;

    if (text.len == 0 || text.len > 18)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *ret = value < max ? value : max;
    return true;
}

static uint64_t milliseconds(struct nr_span text)
{
    const uint64_t day_ms = 24u * 3600 * 1000;
    uint64_t ms;

    if (!parse_number(text, day_ms, &ms))
        return 0;
    return (ms > 0 ? ms : 1) * 1000000;
}

/* "100m": at most 8 digits and a unit. Source: gRPC over HTTP/2, "Timeout". */
static uint64_t grpc_timeout(struct nr_span text)
{
    static const struct {
        char unit;
        uint64_t ns;
    } units[] = {{'H', 3600000000000}, {'M', 60000000000}, {'S', 1000000000},
                 {'m', 1000000},       {'u', 1000},        {'n', 1}};
    uint64_t value;

    if (text.len < 2 || text.len > 9 ||
        !parse_number((struct nr_span){text.ptr, text.len - 1}, UINT64_MAX, &value))
        return 0;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (text.ptr[text.len - 1] == units[i].unit)
            return value > 0 ? value * units[i].ns : 1;
    return 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

uint64_t nr_forward_client_limit_ns(const struct nr_request *request, const struct nr_peer *peer)
{
    const struct nr_head *head = request->head;
    uint64_t limit_ns = grpc_timeout(nr_head_get(head, NR_FIELD_GRPC_TIMEOUT));

    if (!trusted(request->port, peer))
        return limit_ns;
    limit_ns = least(limit_ns, milliseconds(nr_head_get(head, NR_FIELD_X_REQUEST_DEADLINE)));
    return least(limit_ns,
                 milliseconds(nr_head_get(head, NR_FIELD_X_ENVOY_EXPECTED_RQ_TIMEOUT_MS)));
}

/* ---- the way to the service ---- */

/* A list in several lines is one list, in their order: RFC 9110, 5.3. */
static void forwarded_for(struct nr_request *request, const struct nr_peer *peer, bool believe)
{
    struct nr_head *head = request->head;
    struct nr_arena *arena = request->down->arena;
    const struct nr_field *field = nr_head_find(head, NR_FIELD_X_FORWARDED_FOR, NULL);
    char ip[NR_ADDR_TEXT_BYTES];
    struct nr_span own = {ip, nr_addr_format_ip(&peer->addr, ip, sizeof(ip))};
    struct nr_span list = {NULL, 0};

    if (field == NULL) {
        nr_head_add_own(head, arena, NR_FIELD_X_FORWARDED_FOR, NR_SPAN("X-Forwarded-For"), own);
        return;
    }
    for (; believe && field != NULL; field = nr_head_find(head, NR_FIELD_X_FORWARDED_FOR, field)) {
        struct nr_span line = nr_head_value(head, field);

        if (line.len == 0)
            continue;
        list = nr_arena_printf(arena, "%.*s%.*s, ", (int)list.len, list.len > 0 ? list.ptr : "",
                               (int)line.len, line.ptr);
    }
    if (believe)
        own = nr_arena_printf(arena, "%.*s%s", (int)list.len, list.len > 0 ? list.ptr : "", ip);
    nr_head_set(head, arena, NR_SPAN("X-Forwarded-For"), own);
}

/* Is it ours to say? What a stranger says is taken out, what a trusted proxy says stands. */
static bool ours_to_say(struct nr_head *head, enum nr_field_id id, bool believe)
{
    if (nr_head_find(head, id, NULL) == NULL)
        return true;
    if (!believe)
        nr_head_remove(head, id);
    return !believe;
}

static void strip_prefix(struct nr_head *head, struct nr_arena *arena, struct nr_span prefix)
{
    struct nr_span path = nr_head_text(head, head->path);

    if (prefix.len == 0 || !nr_span_starts_with(path, prefix))
        return;
    if (path.len > prefix.len && path.ptr[prefix.len] != '/')
        return;
    head->path.at += (uint32_t)prefix.len;
    head->path.len -= (uint32_t)prefix.len;
    if (head->path.len == 0)
        head->path = nr_head_append_text(head, arena, NR_SPAN("/"));
}

static void identify(struct nr_request *request, struct nr_head *head)
{
    nr_head_remove(head, NR_FIELD_X_REQUEST_ID);
    nr_head_add_own(head, request->down->arena, NR_FIELD_X_REQUEST_ID, NR_SPAN("X-Request-Id"),
                    request->request_id);
}

void nr_forward_request(struct nr_request *request, const struct nr_peer *peer)
{
    struct nr_head *head = request->head;
    struct nr_arena *arena = request->down->arena;
    bool believe = trusted(request->port, peer);
    struct nr_span host = nr_head_text(head, head->authority); /* outlives a text that moves */

    forwarded_for(request, peer, believe);
    if (ours_to_say(head, NR_FIELD_X_FORWARDED_PROTO, believe))
        nr_head_add_own(head, arena, NR_FIELD_X_FORWARDED_PROTO, NR_SPAN("X-Forwarded-Proto"),
                        peer->tls ? NR_SPAN("https") : NR_SPAN("http"));
    if (host.len > 0 && ours_to_say(head, NR_FIELD_X_FORWARDED_HOST, believe))
        nr_head_add_own(head, arena, NR_FIELD_X_FORWARDED_HOST, NR_SPAN("X-Forwarded-Host"), host);
    if (!believe) {
        nr_head_remove(head, NR_FIELD_FORWARDED);
        nr_head_remove(head, NR_FIELD_X_REQUEST_ATTEMPT);
    }
    /* Deadlines are in the ledger now; the call tells the service what is left of it. */
    nr_head_remove(head, NR_FIELD_X_REQUEST_DEADLINE);
    nr_head_remove(head, NR_FIELD_X_ENVOY_EXPECTED_RQ_TIMEOUT_MS);
    identify(request, head);
    nr_head_add_own(head, arena, NR_FIELD_VIA, NR_SPAN("Via"),
                    head->version == 10 ? NR_SPAN("1.0 naru") : NR_SPAN("1.1 naru"));
    strip_prefix(head, arena, request->route->strip_prefix);
}

uint32_t nr_forward_hops(const struct nr_head *head)
{
    const struct nr_field *via = NULL;
    uint32_t hops = 0;

    while ((via = nr_head_find(head, NR_FIELD_VIA, via)) != NULL) {
        struct nr_span value = nr_head_value(head, via);

        for (size_t i = 0; i + 4 <= value.len && hops < HOPS_SEEN_MAX; i++)
            if (memcmp(value.ptr + i, "naru", 4) == 0)
                hops++;
    }
    return hops;
}

/* ---- and back ---- */

void nr_forward_response(struct nr_request *request, struct nr_head *head)
{
    struct nr_arena *arena = request->down->arena;
    struct nr_gateway_worker *worker = request->port->worker;

    if (nr_head_find(head, NR_FIELD_DATE, NULL) == NULL)
        nr_head_add_own(head, arena, NR_FIELD_DATE, NR_SPAN("Date"),
                        nr_date_text(&worker->date, nr_io_wall_ns(worker->io)));
    identify(request, head);
    nr_head_add_own(head, arena, NR_FIELD_VIA, NR_SPAN("Via"),
                    head->version == 10 ? NR_SPAN("1.0 naru") : NR_SPAN("1.1 naru"));
    if (request->plan != NULL)
        nr_plan_response(request, head);
}
