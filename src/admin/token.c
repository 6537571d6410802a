/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/token.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/siphash.h"
#include "io/process.h"

/* RFC 6750, 2.1, and what else stands in a field without trouble: no blanks, nothing invisible. */
static bool sound(struct nr_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 127)
            return false;
    return true;
}

static struct nr_span trimmed(struct nr_span text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.ptr[text.len - 1]) != NULL)
        text.len--;
    return text;
}

static enum nr_code set(struct nr_span text, const char *where, struct nr_admin_token *ret_token,
                        struct nr_err *err)
{
    static const uint64_t print_key[2] = {0x6e6172752d61646d, 0x696e2d746f6b656e};

    if (text.len < NR_ADMIN_TOKEN_BYTES_MIN || text.len > NR_ADMIN_TOKEN_BYTES_MAX)
        return nr_err_set(err, NR_ECONFIG,
                          "the admin token in %s has %zu bytes: it must have %d to %d", where,
                          text.len, NR_ADMIN_TOKEN_BYTES_MIN, NR_ADMIN_TOKEN_BYTES_MAX);
    if (!sound(text))
        return nr_err_set(err, NR_ECONFIG,
                          "the admin token in %s may hold visible ASCII characters only", where);
    *ret_token = (struct nr_admin_token){.len = (uint16_t)text.len};
    memcpy(ret_token->text, text.ptr, text.len);
    snprintf(ret_token->print, sizeof(ret_token->print), "%08x",
             (unsigned)nr_siphash(print_key, text));
    return NR_OK;
}

enum nr_code nr_admin_token_load(const struct nr_admin_conf *conf, struct nr_admin_token *ret_token,
                                 struct nr_err *err)
{
    char *bytes = NULL;
    enum nr_code code;
    size_t len;

    if (conf->token.len > 0)
        return set(conf->token, "admin.token", ret_token, err);
    if (conf->token_file.len == 0) {
        *ret_token = (struct nr_admin_token){0};
        return NR_OK;
    }
    code =
        nr_process_read_file(conf->token_file.ptr, 2 * NR_ADMIN_TOKEN_BYTES_MAX, &bytes, &len, err);
    if (code != NR_OK)
        return nr_err_wrap(err, "admin.token_file '%s'", conf->token_file.ptr);
    code = set(trimmed((struct nr_span){bytes, len}), conf->token_file.ptr, ret_token, err);
    memset(bytes, 0, len);
    free(bytes);
    return code;
}

bool nr_admin_token_is(const struct nr_admin_token *token, struct nr_span given)
{
    size_t differs = token->len ^ given.len;

    if (token->len == 0)
        return false;
    for (size_t i = 0; i < given.len; i++)
        differs |= (size_t)(unsigned char)(given.ptr[i] ^ token->text[i % token->len]);
    return differs == 0;
}
