/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.c - addresses for instances that are given by name.
 *
 * Once, before the service is used: a static list stays what it is. All names are asked for at the
 * same time; the first address of each answer is taken, because an instance is one place. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "service/state.h"

struct resolver;

struct lookup {
    struct nr_resolve resolve;
    struct resolver *resolver;
    uint32_t instance;
    uint32_t generation; /* of its slot; another one means that it has left meanwhile */
    char name[];
};

struct resolver {
    struct nr_service *service;
    void (*done)(void *ctx, const struct nr_err *err);
    void *ctx;
    struct nr_op op; /* for a service without names */
    uint32_t outstanding;
    struct nr_err err; /* the first failure */
};

static void finish(struct resolver *resolver)
{
    resolver->done(resolver->ctx, resolver->err.code == NR_OK ? NULL : &resolver->err);
    free(resolver);
}

static void fail(struct resolver *resolver, const char *name, enum nr_code code)
{
    const struct nr_service_conf *conf = resolver->service->conf;

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
    struct nr_slot slot = nr_service_slot(resolver->service, lookup->instance);
    bool awaited = slot.generation == lookup->generation && slot.addr.family == NR_ADDR_NONE;

    if (op->result != NR_OK)
        fail(resolver, lookup->name, (enum nr_code)op->result);
    else if (awaited)
        nr_service_set_address(resolver->service, lookup->instance, &lookup->resolve.addrs[0]);
    free(lookup);
    if (--resolver->outstanding == 0)
        finish(resolver);
}

static void nothing_to_look_up(struct nr_op *op)
{
    finish(nr_container_of(op, struct resolver, op));
}

static const struct nr_op_kind lookup_kind = {looked_up, "service.resolve"};
static const struct nr_op_kind nothing_kind = {nothing_to_look_up, "service.resolved"};

/* "app.internal:8080": the loader has made sure that a port is there. */
static void look_up(struct resolver *resolver, struct nr_io *io, uint32_t instance)
{
    const char *text = resolver->service->instances[instance].text;
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
    struct lookup *lookup = calloc(1, sizeof(*lookup) + len + 1);

    nr_assert(lookup != NULL);
    memcpy(lookup->name, text, len);
    lookup->resolver = resolver;
    lookup->instance = instance;
    lookup->generation = resolver->service->instances[instance].generation;
    nr_op_init(&lookup->resolve.op, &lookup_kind);
    lookup->resolve.name = lookup->name;
    lookup->resolve.port = colon != NULL ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
    nr_io_resolve(io, &lookup->resolve);
    resolver->outstanding++;
}

void nr_service_resolve_names(struct nr_service *service, struct nr_io *io,
                              void (*done)(void *ctx, const struct nr_err *err), void *ctx)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    nr_assert(resolver != NULL);
    resolver->service = service;
    resolver->done = done;
    resolver->ctx = ctx;
    for (uint32_t i = 0; i < nr_service_instance_count(service); i++) {
        struct nr_slot slot = nr_service_slot(service, i);

        if (slot.present && slot.addr.family == NR_ADDR_NONE)
            look_up(resolver, io, i);
    }
    if (resolver->outstanding > 0)
        return;
    nr_op_init(&resolver->op, &nothing_kind);
    nr_io_defer(io, &resolver->op);
}
