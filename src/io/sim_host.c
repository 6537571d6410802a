/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts and the links between them. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "io/sim_world.h"

enum {
    PORT_FIRST = 32768, /* where ephemeral ports begin, as on Linux */
    PORT_LAST = 60999,
    LOOPBACK_LATENCY_MIN_NS = 5 * 1000,
    LOOPBACK_LATENCY_MAX_NS = 20 * 1000,
};

static uint32_t ip4_parse(const char *text)
{
    struct in_addr in;

    if (inet_pton(AF_INET, text, &in) != 1) {
        fprintf(stderr, "simulation: '%s' is not an IPv4 address\n", text);
        abort();
    }
    return ntohl(in.s_addr);
}

struct sim_host *sim_host_get(struct nr_sim *sim, const char *ip_text)
{
    uint32_t ip = ip4_parse(ip_text);
    struct sim_host *host;

    for (struct nr_link *at = sim->hosts.next; at != &sim->hosts; at = at->next) {
        host = nr_container_of(at, struct sim_host, link);
        if (host->ip == ip)
            return host;
    }
    host = sim_zalloc(sizeof(*host));
    host->sim = sim;
    host->index = sim->host_count++;
    host->ip = ip;
    host->up = true;
    host->port_next = PORT_FIRST;
    snprintf(host->name, sizeof(host->name), "%s", ip_text);
    nr_link_init(&host->listeners);
    nr_link_init(&host->disk);
    nr_list_push_back(&sim->hosts, &host->link);
    return host;
}

bool sim_addr_ip4(const struct nr_addr *addr, uint32_t *ret_ip)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t loopback[16] = {[15] = 1};
    static const uint8_t any[16] = {0};
    const uint8_t *ip = addr->ip;

    if (addr->family == NR_ADDR_V6 && memcmp(ip, any, 16) == 0) {
        *ret_ip = INADDR_ANY;
        return true;
    }
    if (addr->family == NR_ADDR_V6 && memcmp(ip, loopback, 16) == 0) {
        *ret_ip = INADDR_LOOPBACK;
        return true;
    }
    if (addr->family == NR_ADDR_V6 && memcmp(ip, mapped, 12) == 0)
        ip += 12;
    else if (addr->family != NR_ADDR_V4)
        return false;
    *ret_ip = (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
    return true;
}

static bool stands_for(const struct nr_addr *address, const struct nr_addr *to)
{
    if (address->family != to->family)
        return false;
    if (address->family == NR_ADDR_UNIX)
        return strcmp(address->path, to->path) == 0;
    return address->port == to->port && memcmp(address->ip, to->ip, sizeof(to->ip)) == 0;
}

void nr_sim_stand_in(struct nr_sim *sim, const struct nr_addr *address, const char *host_ip)
{
    struct sim_stand_in *one;

    sim->stand_ins =
        realloc(sim->stand_ins, (sim->stand_in_count + 1) * sizeof(struct sim_stand_in));
    nr_assert(sim->stand_ins != NULL);
    one = &sim->stand_ins[sim->stand_in_count++];
    *one = (struct sim_stand_in){*address, sim_host_get(sim, host_ip)};
    if (address->family == NR_ADDR_UNIX)
        one->address.path = sim_intern(sim, address->path);
}

struct sim_host *sim_host_find(struct nr_sim *sim, struct sim_host *from, const struct nr_addr *to)
{
    uint32_t ip;

    for (uint32_t i = 0; i < sim->stand_in_count; i++)
        if (stands_for(&sim->stand_ins[i].address, to))
            return sim->stand_ins[i].host;
    if (to->family == NR_ADDR_UNIX)
        return from;
    if (!sim_addr_ip4(to, &ip))
        return NULL;
    if (ip >> 24 == 127 || ip == INADDR_ANY)
        return from;
    for (struct nr_link *at = sim->hosts.next; at != &sim->hosts; at = at->next) {
        struct sim_host *host = nr_container_of(at, struct sim_host, link);

        if (host->ip == ip)
            return host;
    }
    return NULL;
}

struct nr_addr sim_host_addr(const struct sim_host *host, uint16_t port)
{
    struct nr_addr addr = {.family = NR_ADDR_V4, .port = port};

    for (int i = 0; i < 4; i++)
        addr.ip[i] = (uint8_t)(host->ip >> (24 - 8 * i));
    return addr;
}

uint16_t sim_host_port(struct sim_host *host)
{
    uint16_t port = host->port_next;

    host->port_next = port == PORT_LAST ? PORT_FIRST : (uint16_t)(port + 1);
    return port;
}

bool sim_host_has_file_left(const struct sim_host *host)
{
    return host->files_max == 0 || host->files < host->files_max;
}

void sim_host_free(struct sim_host *host)
{
    struct nr_link *at;

    while ((at = nr_list_pop_front(&host->disk)) != NULL) {
        struct sim_file *file = nr_container_of(at, struct sim_file, link);

        free(file->bytes);
        free(file);
    }
    free(host->links);
    free(host);
}

/* ---- links ---- */

/* A host reaches itself over a fast wire, but in the same pieces as others. */
static struct nr_sim_link loopback_of(const struct nr_sim_link *conf)
{
    struct nr_sim_link own = *conf;

    own.latency_min_ns = LOOPBACK_LATENCY_MIN_NS;
    own.latency_max_ns = LOOPBACK_LATENCY_MAX_NS;
    own.bytes_per_s = 0;
    own.loss_ppm = 0;
    return own;
}

static struct sim_link **slot(struct sim_host *host, const struct sim_host *other)
{
    if (other->index >= host->links_cap) {
        uint32_t cap = other->index + 8;

        host->links = realloc(host->links, cap * sizeof(struct sim_link *));
        nr_assert(host->links != NULL);
        memset(host->links + host->links_cap, 0,
               (cap - host->links_cap) * sizeof(struct sim_link *));
        host->links_cap = cap;
    }
    return &host->links[other->index];
}

struct sim_link *sim_link_get(struct nr_sim *sim, struct sim_host *a, struct sim_host *b)
{
    struct sim_link *link = *slot(a, b);

    if (link != NULL)
        return link;
    link = sim_zalloc(sizeof(*link));
    link->conf = a == b ? loopback_of(&sim->conf.link) : sim->conf.link;
    link->host[0] = a;
    link->host[1] = b;
    nr_list_push_back(&sim->links, &link->link);
    *slot(a, b) = link;
    *slot(b, a) = link;
    return link;
}

bool sim_link_open(const struct sim_link *link)
{
    bool silent =
        link->host[0] != link->host[1] && (link->host[0]->silent || link->host[1]->silent);

    return !link->cut && !silent && link->conf.loss_ppm < SIM_LOSS_ALL_PPM;
}

uint64_t sim_link_arrival_ns(struct nr_sim *sim, struct sim_link *link, const struct sim_host *from,
                             uint32_t bytes)
{
    const struct nr_sim_link *conf = &link->conf;
    uint64_t *busy_until_ns = &link->busy_until_ns[from != link->host[0]];
    uint64_t at_ns = sim->now_ns;

    if (conf->bytes_per_s > 0 && bytes > 0) {
        if (at_ns < *busy_until_ns)
            at_ns = *busy_until_ns;
        at_ns += (uint64_t)bytes * 1000000000u / conf->bytes_per_s;
        *busy_until_ns = at_ns;
    }
    at_ns += conf->latency_min_ns;
    if (conf->latency_max_ns > conf->latency_min_ns)
        at_ns += nr_random_below(&sim->net, conf->latency_max_ns - conf->latency_min_ns + 1);
    if (conf->loss_ppm > 0 && conf->loss_ppm < SIM_LOSS_ALL_PPM)
        while (nr_random_below(&sim->net, SIM_LOSS_ALL_PPM) < conf->loss_ppm)
            at_ns += conf->rto_ns != 0 ? conf->rto_ns : SIM_RTO_NS_DEFAULT;
    return at_ns;
}

/* ---- messages without sockets ---- */

struct nr_sim_way nr_sim_way(struct nr_sim *sim, const char *from_ip, const char *to_ip)
{
    struct sim_host *from = sim_host_get(sim, from_ip);

    return (struct nr_sim_way){sim_link_get(sim, from, sim_host_get(sim, to_ip)), from};
}

/* The last segment may be lost, or slower than those behind it: all have to be there. */
static uint64_t message_arrival_ns(struct nr_sim *sim, const struct nr_sim_way *way, uint64_t bytes)
{
    const struct nr_sim_link *conf = &way->link->conf;
    uint64_t windows = bytes / SIM_WINDOW_BYTES_DEFAULT;
    uint64_t segments = (bytes + SIM_SEGMENT_BYTES_DEFAULT - 1) / SIM_SEGMENT_BYTES_DEFAULT;
    uint64_t at_ns = sim_link_arrival_ns(sim, way->link, way->from,
                                         bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX);

    for (uint64_t i = 1; i < segments; i++) {
        uint64_t other_ns = sim_link_arrival_ns(sim, way->link, way->from, 0);

        at_ns = other_ns > at_ns ? other_ns : at_ns;
    }
    return at_ns + windows * (conf->latency_min_ns + conf->latency_max_ns);
}

uint64_t nr_sim_way_arrival_ns(struct nr_sim *sim, const struct nr_sim_way *way, uint64_t bytes)
{
    const struct nr_sim_link *conf = &way->link->conf;

    if (nr_likely(bytes <= SIM_SEGMENT_BYTES_DEFAULT && conf->bytes_per_s == 0 &&
                  conf->loss_ppm == 0))
        return sim->now_ns + conf->latency_min_ns +
               nr_random_below(&sim->net, conf->latency_max_ns - conf->latency_min_ns + 1);
    return message_arrival_ns(sim, way, bytes);
}
