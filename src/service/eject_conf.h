/* SPDX-License-Identifier: Apache-2.0 */
/* eject_conf.h - passive health: the section `eject`, as loaded. */
#ifndef NR_SERVICE_EJECT_CONF_H
#define NR_SERVICE_EJECT_CONF_H

#include "config/schema.h"
#include "policy/eject.h"

struct nr_service_eject_conf {
    struct nr_section at;
    bool observe_only;
    uint64_t interval_ns;
    struct nr_eject_conf policy;
};

extern const struct nr_schema nr_eject_schema;

#endif
