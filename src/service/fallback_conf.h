/* SPDX-License-Identifier: Apache-2.0 */
/* fallback_conf.h - what is answered when the service cannot: the section `fallback`, as loaded. */
#ifndef NR_SERVICE_FALLBACK_CONF_H
#define NR_SERVICE_FALLBACK_CONF_H

#include "config/schema.h"

struct nr_service_fallback_conf {
    struct nr_section at;
    struct nr_span service; /* another one that is asked instead; empty: an answer of our own */
    uint32_t status;
    const struct nr_node *json; /* NULL: none */
    struct nr_span body;        /* empty: none */
    struct nr_span content_type;
};

extern const struct nr_schema nr_fallback_schema;

#endif
