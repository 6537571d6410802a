/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_conf.h"

static const struct nr_schema_word no_listener[] = {
    {"none", 0, "no admin listener"},
    {NULL, 0, NULL},
};

/* clang-format off */

static const struct nr_schema_field admin_fields[] = {
    {.name = "listen", .type = NR_SCHEMA_ADDRESS, .flags = NR_SCHEMA_BIND,
     NR_SCHEMA_AT(struct nr_admin_conf, listen), .value = "127.0.0.1:9900", .words = no_listener,
     .doc = "Where /metrics, /health, /ready and /v1 are served. Without a token: loopback or a Unix "
            "socket."},
    {.name = "token", .type = NR_SCHEMA_STRING, .flags = NR_SCHEMA_SECRET,
     NR_SCHEMA_AT(struct nr_admin_conf, token), .min = "16", .max = "512",
     .doc = "What callers must show (Authorization: Bearer …) for all but /health and /ready: "
            "\"${ADMIN_TOKEN}\"."},
    {.name = "token_file", .type = NR_SCHEMA_STRING, NR_SCHEMA_AT(struct nr_admin_conf, token_file),
     .min = "1", .max = "4096",
     .doc = "A file that holds the token instead; read at the start and at each reload."},
    {.name = "hosts", .type = NR_SCHEMA_LIST, .element = NR_SCHEMA_STRING,
     NR_SCHEMA_MANY(struct nr_admin_conf, hosts, host_count), .min = "1", .max = "253",
     .doc = "Names besides localhost and IP addresses that requests without a token may give as Host."},
};

/* clang-format on */

bool nr_admin_conf_is_local(const struct nr_admin_conf *conf)
{
    struct nr_addr addr;

    if (conf->listen.kind == NR_CONFIG_ADDRESS_NONE || conf->listen.kind == NR_CONFIG_ADDRESS_UNIX)
        return true;
    return conf->listen.kind == NR_CONFIG_ADDRESS_IP &&
           nr_addr_parse(conf->listen.text.ptr, &addr, NULL) == NR_OK &&
           (addr.family == NR_ADDR_V4
                ? addr.ip[0] == 127
                : memcmp(addr.ip, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16) == 0);
}

/* Whoever reaches the admin side commands naru. */
static void check_admin(void *section, struct nr_arena *arena, struct nr_diags *diags)
{
    const struct nr_admin_conf *admin = section;

    if (admin->token.len > 0 && admin->token_file.len > 0)
        nr_section_error(&admin->at, "token_file", diags, NULL,
                         "token and token_file exclude each other: keep one of them");
    if (admin->listen.kind == NR_CONFIG_ADDRESS_NAME)
        nr_section_error(&admin->at, "listen", diags, NULL,
                         "the admin listener needs an IP address, got the name '%s'",
                         admin->listen.text.ptr);
    else if (admin->token.len == 0 && admin->token_file.len == 0 && !nr_admin_conf_is_local(admin))
        nr_section_error(
            &admin->at, "listen", diags,
            "add a token, such as token: \"${ADMIN_TOKEN}\", or listen on 127.0.0.1, "
            "[::1] or unix:/path",
            "other machines can reach the admin listener on '%s', and whoever reaches it "
            "commands naru",
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
