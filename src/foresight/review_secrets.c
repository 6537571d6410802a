/* SPDX-License-Identifier: Apache-2.0 */
/* review_secrets.c - secrets that stand in the file, and doors that stand open.
 *
 * By three signs: the name of the field ("password", "Authorization"), the look of the value (a
 * private key, a token of a well-known service, a URL with a password), or both in one text
 * ("Authorization: Bearer ..."). What comes from ${NAME} is where it belongs, and so are files and
 * templates. The value itself is never shown. */
#include <stdio.h>
#include <string.h>

#include "admin/admin_conf.h"
#include "base/compiler.h"
#include "config/units.h"
#include "foresight/review_rules.h"

enum { PATH_BYTES = 256, NAME_BYTES = 64 };

/* Lower case, '-' as '_'. */
static void normalise(struct nr_span name, char to[NAME_BYTES])
{
    size_t len = name.len < NAME_BYTES - 1 ? name.len : NAME_BYTES - 1;

    for (size_t i = 0; i < len; i++)
        to[i] = name.ptr[i] == '-' ? '_' : nr_ascii_lower(name.ptr[i]);
    to[len] = '\0';
}

static bool secret_name(struct nr_span name)
{
    static const char *const words[] = {"password",   "passwd",       "secret",      "token",
                                        "api_key",    "apikey",       "private_key", "credential",
                                        "access_key", "authorization"};
    char plain[NAME_BYTES];
    size_t len;

    if (name.ptr == NULL)
        return false;
    normalise(name, plain);
    len = strlen(plain);
    if (len > 5 && strcmp(plain + len - 5, "_file") == 0)
        return false;
    for (size_t i = 0; i < NR_COUNT(words); i++)
        if (strstr(plain, words[i]) != NULL)
            return true;
    return false;
}

/* Something that could open a door: not a number, a switch, a path, a template or a short word. */
static bool could_be_secret(struct nr_span value)
{
    bool digits = true;
    struct nr_rate rate;
    uint64_t ns;

    if (nr_units_rate(value, false, &rate) || nr_units_duration(value, &ns))
        return false;

    if (value.len < 4 || value.ptr[0] == '/' || strchr(value.ptr, '{') != NULL)
        return false;
    for (size_t i = 0; i < value.len; i++)
        digits = digits && value.ptr[i] >= '0' && value.ptr[i] <= '9';
    return !(digits && value.len < 8) && !nr_span_eq(value, NR_SPAN("true")) &&
           !nr_span_eq(value, NR_SPAN("false")) && !nr_span_starts_with(value, NR_SPAN("file:"));
}

/* scheme://user:password@host */
static bool url_with_password(const char *value)
{
    const char *user = strstr(value, "://"), *at, *colon, *end;

    if (user == NULL)
        return false;
    user += 3;
    end = user + strcspn(user, "/?# ");
    at = memchr(user, '@', (size_t)(end - user));
    colon = at == NULL ? NULL : memchr(user, ':', (size_t)(at - user));
    return colon != NULL && at - colon > 1;
}

/* Three parts of base64url: RFC 7519, section 3. */
static bool looks_like_jwt(struct nr_span value)
{
    uint32_t dots = 0;

    if (value.len < 40 || !nr_span_starts_with(value, NR_SPAN("eyJ")))
        return false;
    for (size_t i = 0; i < value.len; i++)
        dots += value.ptr[i] == '.';
    return dots == 2;
}

static bool secret_value(struct nr_span value)
{
    static const char *const beginnings[] = {"ghp_",     "github_pat_", "glpat-", "sk_live_",
                                             "rk_live_", "xoxb-",       "xoxp-",  "AKIA"};
    const char *bearer = strstr(value.ptr, "Bearer "), *basic = strstr(value.ptr, "Basic ");

    for (size_t i = 0; i < NR_COUNT(beginnings); i++)
        if (value.len >= 16 && nr_span_starts_with(value, nr_span_of(beginnings[i])))
            return true;
    if ((bearer != NULL && bearer[7] != '\0' && strchr(bearer, '{') == NULL) ||
        (basic != NULL && strlen(basic) > 12 && strchr(basic, '{') == NULL &&
         strchr(basic + 6, ' ') == NULL))
        return true;
    return strstr(value.ptr, "PRIVATE KEY-----") != NULL || url_with_password(value.ptr) ||
           looks_like_jwt(value);
}

static void found(struct nr_check_finder *finder, const struct nr_node *node, const char *path)
{
    nr_check_found_at(
        finder, node->place, path,
        "put it into the environment and write \"${NAME}\", or into a file of its own",
        "%s looks like a secret in clear: whoever reads this file has it", path);
}

static void look(struct nr_check_finder *finder, const struct nr_node *node, struct nr_span name,
                 const char *path);

/* An `exact` or `value` is named by what it belongs to: { X-Token: { exact: … } }. */
static void look_into(struct nr_check_finder *finder, const struct nr_node *node,
                      struct nr_span own_name, const char *path)
{
    const struct nr_node *named = nr_node_get(node, NR_SPAN("name"));
    uint32_t index = 0;

    for (const struct nr_node *child = node->first; child != NULL; child = child->next, index++) {
        struct nr_span name = child->key;
        char below[PATH_BYTES];
        bool value = nr_span_eq(name, NR_SPAN("value")) || nr_span_eq(name, NR_SPAN("exact"));

        if (node->kind == NR_NODE_SEQUENCE) {
            name = own_name;
            snprintf(below, sizeof(below), "%s[%u]", path, index);
        } else {
            snprintf(below, sizeof(below), "%s%s%.*s", path, path[0] == '\0' ? "" : ".",
                     NR_REVIEW_SPAN(name));
        }
        if (value)
            name = named != NULL && named->kind == NR_NODE_SCALAR ? named->text : own_name;
        look(finder, child, name, below);
    }
}

static void look(struct nr_check_finder *finder, const struct nr_node *node, struct nr_span name,
                 const char *path)
{
    if (node->kind != NR_NODE_SCALAR) {
        look_into(finder, node, name, path);
        return;
    }
    if (node->null || node->variable || node->text.len == 0)
        return;
    if ((secret_name(name) && could_be_secret(node->text)) || secret_value(node->text))
        found(finder, node, path);
}

static void find_secrets(const struct nr_config *config, struct nr_check_finder *finder)
{
    look(finder, nr_config_tree(config), (struct nr_span){NULL, 0}, "");
}

/* ---- the operators' side ---- */

static void find_open_admin(const struct nr_config *config, struct nr_check_finder *finder)
{
    const struct nr_admin_conf *admin = nr_admin_conf_of(config);

    if (admin->listen.kind != NR_CONFIG_ADDRESS_NONE && !nr_admin_conf_is_local(admin))
        nr_check_found(finder, &admin->at, "listen",
                       "listen on 127.0.0.1 or unix:/path, and let ssh or a TLS proxy lead there",
                       "the admin listener on %s can be reached from other machines, and its token "
                       "travels in clear",
                       admin->listen.text.ptr);
}

static const struct nr_check_rule rules[] = {
    {"secret-in-clear", NR_DIAG_WARNING,
     "A value that looks like a password, key or token, written into the file.", find_secrets},
    {"admin-open", NR_DIAG_WARNING, "An admin listener that other machines can reach.",
     find_open_admin},
};

const struct nr_check_rules nr_review_secret_rules = {rules, NR_COUNT(rules)};
