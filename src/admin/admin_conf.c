/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_conf.h"

static const struct nr_schema_word no_listener[] = {
    {"none", 0, "no admin listener"},
    {NULL, 0, NULL},
};

static const struct nr_schema_field admin_fields[] = {
    {.name = "listen",
     .type = NR_SCHEMA_ADDRESS,
     .flags = NR_SCHEMA_BIND,
     NR_SCHEMA_AT(struct nr_admin_conf, listen),
     .value = "127.0.0.1:9900",
     .words = no_listener,
     .doc = "Where /metrics, /health, /ready and /v1 are served: loopback or a Unix socket."},
};

/* Whoever reaches the admin side commands naru, and it has no authentication yet. */
static void check_admin(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_admin_conf *admin = section;
    struct nr_addr addr;
    bool loopback;

    if (admin->listen.kind == NR_CONFIG_ADDRESS_NONE ||
        admin->listen.kind == NR_CONFIG_ADDRESS_UNIX)
        return;
    loopback =
        admin->listen.kind == NR_CONFIG_ADDRESS_IP &&
        nr_addr_parse(admin->listen.text.ptr, &addr, NULL) == NR_OK &&
        (addr.family == NR_ADDR_V4 ? addr.ip[0] == 127
                                   : memcmp(addr.ip, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16) == 0);
    if (!loopback)
        nr_section_error(&admin->at, "listen", diags, "listen on 127.0.0.1, [::1] or unix:/path",
                         "the admin listener must stay on this machine, got '%s'",
                         admin->listen.text.ptr);
}

static const struct nr_schema admin_schema = {
    .title = "Admin",
    .doc = "The operators' side: metrics, health and control. Users' traffic never gets here.",
    NR_SCHEMA_FIELDS(admin_fields, struct nr_admin_conf),
    .check = check_admin,
};

const struct nr_schema_root nr_admin_conf_root = {
    .field = {.name = "admin",
              .type = NR_SCHEMA_SECTION,
              .section = &admin_schema,
              .doc = "The operators' side."},
    .bytes = sizeof(struct nr_admin_conf),
};

const struct nr_admin_conf *nr_admin_conf_of(const struct nr_config *config)
{
    return nr_config_get(config, &nr_admin_conf_root);
}
