/* SPDX-License-Identifier: Apache-2.0 */
#include "http/proxy_in.h"

#include <string.h>

bool nr_proxy_in_trusts(const struct nr_proxy_in_conf *conf, const struct nr_addr *peer)
{
    for (uint32_t i = 0; i < conf->trusted_count; i++)
        if (nr_cidr_contains(&conf->trusted[i], peer))
            return true;
    return false;
}

enum nr_proxy_in_mode nr_proxy_in_from(const struct nr_proxy_in_conf *conf,
                                       const struct nr_addr *peer)
{
    if (conf->mode == NR_PROXY_IN_OFF || peer->family == NR_ADDR_UNIX)
        return conf->mode;
    if (nr_proxy_in_trusts(conf, peer))
        return conf->mode;
    return conf->mode == NR_PROXY_IN_REQUIRE ? NR_PROXY_IN_REFUSE : NR_PROXY_IN_OFF;
}

static void name_peer(const struct nr_proxy_header *header, struct nr_addr *peer)
{
    if (header->local || header->family == NR_PROXY_UNSPEC)
        return; /* the specification: "must use the real connection endpoints" */
    *peer = (struct nr_addr){.port = header->source_port};
    if (header->family == NR_PROXY_UNIX)
        peer->family = NR_ADDR_UNIX; /* its path would not outlive the buffer, and nobody asks */
    else
        peer->family = header->family == NR_PROXY_V4 ? NR_ADDR_V4 : NR_ADDR_V6;
    memcpy(peer->ip, header->source, sizeof(peer->ip));
}

enum nr_proxy_step nr_proxy_in_take(enum nr_proxy_in_mode mode, struct nr_span bytes,
                                    struct nr_addr *peer, size_t *ret_bytes)
{
    struct nr_proxy_header header = {0};
    enum nr_proxy_fault fault;
    enum nr_proxy_step step = nr_proxy_parse(bytes, &header, ret_bytes, &fault);

    if (step == NR_PROXY_DONE) {
        name_peer(&header, peer);
    } else if (step == NR_PROXY_ABSENT) {
        *ret_bytes = 0;
        step = mode == NR_PROXY_IN_ACCEPT ? NR_PROXY_DONE : NR_PROXY_BAD;
    }
    return step;
}
