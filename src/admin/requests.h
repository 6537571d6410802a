/* SPDX-License-Identifier: Apache-2.0 */
/* requests.h - which of the remembered requests an operator wants to see. Internal to src/admin.
 *
 *     GET /v1/requests?limit=20&status=5xx&reason=deadline&service=orders&route=%2Fapi%2F*&since=5m
 *
 * All that is asked for must hold. Failures are remembered longer than successes, so whoever asks
 * for failures gets them from further back. */
#ifndef NR_ADMIN_REQUESTS_H
#define NR_ADMIN_REQUESTS_H

#include "admin/call.h"
#include "base/json.h"
#include "config/schema.h"
#include "observe/observe.h"

enum {
    NR_ADMIN_REQUESTS_DEFAULT = 50,
    NR_ADMIN_REQUESTS_MAX = 1000,
    NR_ADMIN_NAME_BYTES = 256,
};

struct nr_admin_filter {
    uint32_t limit;
    uint64_t since_ns;                /* since the epoch; 0: any time */
    bool failed;                      /* failures only */
    struct nr_status_range status;    /* first 0: any */
    char reason[NR_ADMIN_NAME_BYTES]; /* each "": any */
    char service[NR_ADMIN_NAME_BYTES];
    char route[NR_ADMIN_NAME_BYTES];
};

/* What the call asks for; false: a value makes no sense, and a problem is answered. */
bool nr_admin_filter_parse(struct nr_admin_call *call, struct nr_admin_filter *ret_filter);

/* The records that it lets through, newest first, as an array. The caller frees. */
struct nr_json *nr_admin_filter_records(const struct nr_observe *observe,
                                        const struct nr_admin_filter *filter);

/* Why a record may be missing: how far back naru remembers. */
void nr_admin_memory_text(const struct nr_observe *observe, char *to, size_t room);

#endif
