/* SPDX-License-Identifier: Apache-2.0 */
/* notice.c - from a decision under the lock to a line in the log.
 *
 * Policies decide on any worker, in the middle of a call. Whoever tells people about it
 * (nr_service_on_news) is on one thread, the control's. In between stands a small ring: a notice is
 * a few numbers written under the lock, and one post per batch wakes control, after the lock is
 * given back. What does not fit is counted; a service whose circuits change state more often than
 * control can write has other worries.
 *
 * The bell rings at most once until control has listened. Control takes it away before it goes, and
 * waits for a ring that is under way. */
#include <stdio.h>

#include "base/assert.h"
#include "service/state.h"

void nr_service_notice(struct nr_service *service, const struct nr_notice *notice)
{
    struct nr_notices *notices = &service->notices;

    service->noticed = true;
    if (notices->count == NR_NOTICES_MAX)
        notices->lost++;
    else
        notices->ring[(notices->first + notices->count++) % NR_NOTICES_MAX] = *notice;
}

struct nr_io *nr_service_bell(struct nr_service *service)
{
    struct nr_notices *notices = &service->notices;

    service->noticed = false;
    if (notices->count == 0 || notices->io == NULL || notices->rung)
        return NULL;
    notices->rung = true;
    return notices->io;
}

void nr_service_ring(struct nr_service *service, struct nr_io *bell)
{
    if (nr_unlikely(bell != NULL))
        nr_io_post(bell, &service->notices.op);
}

/* ---- on control ---- */

static bool take(struct nr_service *service, struct nr_notice *ret_notice, uint32_t *ret_lost)
{
    struct nr_notices *notices = &service->notices;
    bool some;

    nr_spinlock_lock(&service->lock);
    some = notices->count > 0;
    if (some) {
        *ret_notice = notices->ring[notices->first];
        notices->first = (notices->first + 1) % NR_NOTICES_MAX;
        notices->count--;
    }
    *ret_lost = notices->lost;
    notices->lost = 0;
    nr_spinlock_unlock(&service->lock);
    return some;
}

/* "circuit of 10.0.0.1:80": whose it is. */
static void subject(struct nr_service *service, const struct nr_notice *notice, char *to,
                    size_t bytes)
{
    struct nr_instance_view view;

    if (notice->instance != NR_INSTANCE_NONE) {
        nr_service_instance(service, notice->instance, &view);
        snprintf(to, bytes, "of instance %s ", view.text);
    } else if (notice->route != NR_ID_NONE) {
        snprintf(to, bytes, "of route %u ", notice->route);
    } else {
        to[0] = '\0';
    }
}

static void tell_circuit(struct nr_service *service, const struct nr_notice *notice)
{
    const char *only = notice->observed ? " (observed only: calls go on)" : "";
    char whose[NR_ADDR_TEXT_BYTES + 32];

    subject(service, notice, whose, sizeof(whose));
    if (notice->state == NR_BREAKER_OPEN)
        nr_service_tell(service, true,
                        "circuit %sopened for %.1f s: too many calls failed or were "
                        "slow%s",
                        whose, (double)notice->lasts_ns / 1e9, only);
    else if (notice->state == NR_BREAKER_HALF_OPEN)
        nr_service_tell(service, false, "circuit %sis half open: probes are let through%s", whose,
                        only);
    else
        nr_service_tell(service, false, "circuit %sclosed%s", whose, only);
}

/* An operator has spoken. */
static void tell_forced(struct nr_service *service, const struct nr_notice *notice)
{
    static const char *const what[] = {
        [NR_BREAKER_AUTO] = "again as configured, and begun anew",
        [NR_BREAKER_FORCED_OPEN] = "forced open by hand: no call is let through",
        [NR_BREAKER_FORCED_CLOSED] = "forced closed by hand: every call is let through",
        [NR_BREAKER_DISABLED] = "switched off by hand: every call is let through",
        [NR_BREAKER_OBSERVE] = "set by hand to observe only",
    };
    char whose[NR_ADDR_TEXT_BYTES + 32];

    subject(service, notice, whose, sizeof(whose));
    if (notice->observed)
        nr_service_tell(service, notice->state != NR_BREAKER_AUTO, "all circuits are %s",
                        what[notice->state]);
    else
        nr_service_tell(service, notice->state != NR_BREAKER_AUTO, "circuit %sis %s", whose,
                        what[notice->state]);
}

static void tell_full(struct nr_service *service, const struct nr_notice *notice)
{
    nr_service_tell(service, true,
                    "bulkhead is full: %u calls under way, %u waiting; calls are refused",
                    notice->instance, notice->route);
}

static void tell_ejected(struct nr_service *service, const struct nr_notice *notice)
{
    static const char *const why[] = {
        [NR_EJECT_NOT] = "?",
        [NR_EJECT_BY_5XX] = "5xx in a row",
        [NR_EJECT_BY_GATEWAY] = "failures in a row",
        [NR_EJECT_BY_RATE] = "it fails more often than the others",
        [NR_EJECT_BY_LATENCY] = "it is slower than the others",
    };
    struct nr_instance_view view;

    nr_service_instance(service, notice->instance, &view);
    if (notice->kind == NR_NOTICE_BACK)
        nr_service_tell(service, false, "instance %s is let back", view.text);
    else
        nr_service_tell(service, true, "instance %s is ejected: %s%s", view.text,
                        why[notice->state], notice->observed ? " (observed only: it goes on)" : "");
}

static void tell(struct nr_service *service, const struct nr_notice *notice)
{
    switch ((enum nr_notice_kind)notice->kind) {
    case NR_NOTICE_CIRCUIT: tell_circuit(service, notice); break;
    case NR_NOTICE_FORCED: tell_forced(service, notice); break;
    case NR_NOTICE_FULL: tell_full(service, notice); break;
    case NR_NOTICE_EJECTED:
    case NR_NOTICE_BACK: tell_ejected(service, notice); break;
    }
}

static void listen(struct nr_op *op)
{
    struct nr_service *service = nr_container_of(op, struct nr_service, notices.op);
    void (*silenced)(void *ctx);
    struct nr_notice notice;
    uint32_t lost;

    nr_spinlock_lock(&service->lock);
    service->notices.rung = false;
    silenced = service->notices.silenced;
    nr_spinlock_unlock(&service->lock);
    while (silenced == NULL && take(service, &notice, &lost)) {
        if (lost > 0)
            nr_service_tell(service, true, "%u changes of state went untold", lost);
        tell(service, &notice);
    }
    if (silenced != NULL)
        silenced(service->notices.silenced_ctx);
}

static const struct nr_op_kind listen_kind = {listen, "service.notice"};

void nr_notices_listen(struct nr_service *service, struct nr_io *io)
{
    struct nr_io *bell;

    nr_op_init(&service->notices.op, &listen_kind);
    nr_spinlock_lock(&service->lock);
    service->notices.io = io;
    bell = nr_service_bell(service);
    nr_spinlock_unlock(&service->lock);
    nr_service_ring(service, bell);
}

bool nr_notices_silence(struct nr_service *service, void (*silenced)(void *ctx), void *ctx)
{
    bool rung;

    nr_spinlock_lock(&service->lock);
    service->notices.io = NULL;
    rung = service->notices.rung;
    if (rung) {
        service->notices.silenced = silenced;
        service->notices.silenced_ctx = ctx;
    }
    nr_spinlock_unlock(&service->lock);
    return !rung;
}
