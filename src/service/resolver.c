/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.c - addresses for instances that are given by name.
 *
 * Once, before the service is used: a static list stays what it is. All names are asked for at the
 * same time; the first address of each answer is taken, because an instance is one place. */
#include <stdlib.h>

#include "base/assert.h"
#include "service/state.h"

struct resolver;

struct lookup {
    struct nr_resolve resolve;
    struct resolver *resolver;
    uint32_t instance;
};

struct resolver {
    struct nr_service *service;
    void (*done)(void *ctx, const struct nr_err *err);
    void *ctx;
    struct nr_op op; /* for a service without names */
    uint32_t outstanding;
    struct nr_err err; /* the first failure */
    struct lookup lookups[];
};

static void finish(struct resolver *resolver)
{
    resolver->done(resolver->ctx, resolver->err.code == NR_OK ? NULL : &resolver->err);
    free(resolver);
}

static void fail(struct resolver *resolver, uint32_t instance, enum nr_code code)
{
    const struct nr_service_conf *conf = resolver->service->conf;
    const char *name = conf->instances[instance].address.host.ptr;

    if (resolver->err.code != NR_OK)
        return;
    nr_err_set(&resolver->err, code,
               code == NR_ENAME ? "service '%s': '%s' does not resolve: is the name right?"
                                : "service '%s': '%s': no name server answered: see `dns`",
               conf->name.ptr, name);
}

static void looked_up(struct nr_op *op)
{
    struct lookup *lookup = nr_container_of(op, struct lookup, resolve.op);
    struct resolver *resolver = lookup->resolver;

    if (op->result == NR_OK)
        nr_service_set_address(resolver->service, lookup->instance, &lookup->resolve.addrs[0]);
    else
        fail(resolver, lookup->instance, (enum nr_code)op->result);
    if (--resolver->outstanding == 0)
        finish(resolver);
}

static void nothing_to_look_up(struct nr_op *op)
{
    finish(nr_container_of(op, struct resolver, op));
}

static const struct nr_op_kind lookup_kind = {looked_up, "service.resolve"};
static const struct nr_op_kind nothing_kind = {nothing_to_look_up, "service.resolved"};

void nr_service_resolve(struct nr_service *service, struct nr_io *io,
                        void (*done)(void *ctx, const struct nr_err *err), void *ctx)
{
    uint32_t count = service->conf->instance_count;
    struct resolver *resolver = calloc(1, sizeof(*resolver) + count * sizeof(struct lookup));

    nr_assert(resolver != NULL);
    resolver->service = service;
    resolver->done = done;
    resolver->ctx = ctx;
    for (uint32_t i = 0; i < count; i++) {
        const struct nr_config_address *address = &service->conf->instances[i].address;
        struct lookup *lookup = &resolver->lookups[i];
        struct nr_addr known;

        if (address->kind != NR_CONFIG_ADDRESS_NAME || nr_service_address(service, i, &known))
            continue;
        lookup->resolver = resolver;
        lookup->instance = i;
        nr_op_init(&lookup->resolve.op, &lookup_kind);
        lookup->resolve.name = address->host.ptr;
        lookup->resolve.port = address->port;
        nr_io_resolve(io, &lookup->resolve);
        resolver->outstanding++;
    }
    if (resolver->outstanding > 0)
        return;
    nr_op_init(&resolver->op, &nothing_kind);
    nr_io_defer(io, &resolver->op);
}
