/* SPDX-License-Identifier: Apache-2.0 */
/* exposition.h - all metrics of the process as one text. */
#ifndef NR_OBSERVE_EXPOSITION_H
#define NR_OBSERVE_EXPOSITION_H

#include "base/strbuf.h"
#include "gateway/gateway.h"
#include "observe/observe.h"

/* What is looked at; borrowed. Whatever is NULL is left out. */
struct nr_exposition {
    const struct nr_observe *observe;
    const struct nr_gateway *gateway;
    struct nr_gateway_worker *const *workers;
    struct nr_io *const *engines; /* of the workers */
    uint32_t worker_count;
    const struct nr_logpipe *access_log;
    const struct nr_logpipe *program_log;
    const char *version;
    bool ready;
    uint64_t now_ns;                        /* of the engine that asks */
    uint32_t config_version;                /* in force; 0: not known */
    uint64_t changes_done, changes_refused; /* by the admin API */
};

/* The text, malloc'ed. Any thread. */
char *nr_exposition_text(const struct nr_exposition *of, bool open_metrics, size_t *ret_len);

#endif
