/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/client.h"

#include <stdio.h>
#include <string.h>

#include "codec/pairs.h"

/* ---- values ---- */

struct nr_span nr_client_header(const struct nr_head *head, struct nr_span name)
{
    const struct nr_field *field = nr_head_find_name(head, name, NULL);

    return field != NULL ? nr_head_value(head, field) : (struct nr_span){NULL, 0};
}

struct nr_span nr_client_query(const struct nr_head *head, struct nr_span name)
{
    struct nr_span rest = nr_head_text(head, head->query);
    struct nr_pair pair;

    return nr_query_find(&rest, name, &pair) ? pair.value : (struct nr_span){NULL, 0};
}

/* ---- the client's address ---- */

bool nr_client_trusted(const struct nr_request *request, const struct nr_addr *addr)
{
    const struct nr_gateway_listen_conf *conf = request->port->conf;

    for (uint32_t i = 0; i < conf->trusted_proxy_count; i++)
        if (nr_cidr_contains(&conf->trusted_proxies[i], addr))
            return true;
    return false;
}

/* An address as X-Forwarded-For has it: bare, or an IPv6 one in brackets. */
static bool parse_ip(struct nr_span text, struct nr_addr *ret)
{
    char room[NR_ADDR_TEXT_BYTES];
    bool v6;

    if (text.len == 0 || text.len > sizeof(room) - 8)
        return false;
    v6 = memchr(text.ptr, ':', text.len) != NULL && text.ptr[0] != '[';
    snprintf(room, sizeof(room), v6 ? "[%.*s]:1" : "%.*s:1", (int)text.len, text.ptr);
    return nr_addr_parse(room, ret, NULL) == NR_OK && ret->family != NR_ADDR_UNIX;
}

/* The part behind the last comma; what is before it stays in *rest. */
static struct nr_span last_part(struct nr_span *rest)
{
    size_t at = rest->len;
    struct nr_span part;

    while (at > 0 && rest->ptr[at - 1] != ',')
        at--;
    part = nr_span_from(*rest, at);
    rest->len = at > 0 ? at - 1 : 0;
    while (part.len > 0 && (part.ptr[0] == ' ' || part.ptr[0] == '\t'))
        part = nr_span_from(part, 1);
    while (part.len > 0 && (part.ptr[part.len - 1] == ' ' || part.ptr[part.len - 1] == '\t'))
        part.len--;
    return part;
}

/* Lines of one name are one list: RFC 9110, 5.2. The last line has the last proxy's word. */
struct nr_addr nr_client_address(const struct nr_request *request, const struct nr_peer *peer)
{
    struct nr_addr client = peer->addr, next;
    struct nr_span lines[8];
    const struct nr_field *field = NULL;
    uint32_t count = 0;

    if (!nr_client_trusted(request, &client))
        return client;
    while ((field = nr_head_find(request->head, NR_FIELD_X_FORWARDED_FOR, field)) != NULL) {
        if (count == NR_COUNT(lines))
            memmove(lines, lines + 1, --count * sizeof(lines[0]));
        lines[count++] = nr_head_value(request->head, field);
    }
    while (count > 0) {
        struct nr_span *line = &lines[count - 1];

        while (line->len > 0 && nr_client_trusted(request, &client)) {
            if (!parse_ip(last_part(line), &next))
                return client;
            client = next;
        }
        count--;
    }
    return client;
}
