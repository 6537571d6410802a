/* SPDX-License-Identifier: Apache-2.0 */
/* tcp.h - a listener whose connections are passed on as bytes (L4). One per listener and engine.
 *
 * Each accepted connection becomes a stream: an instance of the service is picked, connected to
 * (another one if that fails) and the two are joined. What one side does the other sees: bytes,
 * FIN, RST, and how slowly it takes them. A stream counts as in flight at its instance for all its
 * life.
 *
 * It leaves one record, with NR_RECORD_TCP and without a status, when it is over. */
#ifndef NR_GATEWAY_TCP_H
#define NR_GATEWAY_TCP_H

#include "base/record.h"
#include "http/proxy_in.h"
#include "http/server.h"
#include "io/io.h"
#include "service/service.h"

struct nr_tcp_conf {
    uint32_t connections_max;   /* of this listener on this engine; beyond it accepting waits */
    uint64_t idle_timeout_ns;   /* without a byte either way; 0: none */
    uint64_t header_timeout_ns; /* for the PROXY header, from accept on */
    struct nr_proxy_in_conf proxy_in;
    struct nr_crowd *crowd;          /* as in struct nr_server_conf */
    uint32_t client_connections_max; /* likewise */
};

/* Who lends the service to each stream, and gets its record. */
struct nr_tcp_owner {
    /* The service for a new stream, which stays valid until over(); *ret_lease is handed back then.
     */
    struct nr_service *(*lend)(struct nr_tcp_owner *owner, void **ret_lease);
    /* A stream is over. record: complete but for route and listener. */
    void (*over)(struct nr_tcp_owner *owner, void *lease, struct nr_record *record,
                 const struct nr_record_view *view);
};

struct nr_tcp;

/* conf is borrowed and must outlive the listener, as the owner must. */
struct nr_tcp *nr_tcp_new(struct nr_io *io, struct nr_listener *listener,
                          const struct nr_tcp_conf *conf, struct nr_tcp_owner *owner);

/* The conf that was given to _new holds other values now. */
void nr_tcp_reconfigure(struct nr_tcp *tcp);

/* Stop accepting. Streams go on: only they know when they are done. */
void nr_tcp_drain(struct nr_tcp *tcp);

/* Reset what is still open. */
void nr_tcp_abort(struct nr_tcp *tcp);

/* drained(ctx) is called (from the queue) once no stream is left after a drain. */
void nr_tcp_on_drained(struct nr_tcp *tcp, void (*drained)(void *ctx), void *ctx);

/* Only after drained. NULL is fine. */
void nr_tcp_free(struct nr_tcp *tcp);

/* accepted, open, proxy_refused and crowded; a stream is no request. */
const struct nr_server_counts *nr_tcp_counts(const struct nr_tcp *tcp);

#endif
