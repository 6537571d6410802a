/* SPDX-License-Identifier: Apache-2.0 */
/* admin_conf.h - the section `admin`, as loaded. Immutable, owned by the snapshot. */
#ifndef NR_ADMIN_ADMIN_CONF_H
#define NR_ADMIN_ADMIN_CONF_H

#include "config/config.h"
#include "config/schema.h"

struct nr_admin_conf {
    struct nr_section at;
    /* Without a token loopback or a Unix socket: checked at load. NR_CONFIG_ADDRESS_NONE: no admin
     * listener. */
    struct nr_config_address listen;
    struct nr_span token;      /* at most one of the two is written */
    struct nr_span token_file; /* NUL-terminated */
    struct nr_span *hosts;
    uint32_t host_count;
};

/* Does nobody but this machine reach it? */
bool nr_admin_conf_is_local(const struct nr_admin_conf *conf);

extern const struct nr_schema_root nr_admin_conf_root;

/* Never NULL. */
const struct nr_admin_conf *nr_admin_conf_of(const struct nr_config *config);

#endif
