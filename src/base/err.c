/* SPDX-License-Identifier: Apache-2.0 */
#include "naru/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum nr_code nr_err_set(struct nr_err *err, enum nr_code code, const char *format, ...)
{
    va_list args;

    if (err == NULL)
        return code;
    err->code = code;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    return code;
}

enum nr_code nr_err_wrap(struct nr_err *err, const char *format, ...)
{
    char inner[NR_ERR_TEXT_BYTES];
    va_list args;
    int used;

    if (err == NULL)
        return NR_EIO;
    memcpy(inner, err->text, sizeof(inner));
    va_start(args, format);
    used = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof(err->text))
        snprintf(err->text + used, sizeof(err->text) - (size_t)used, ": %s", inner);
    return err->code;
}

const char *nr_code_text(enum nr_code code)
{
    switch (code) {
    case NR_OK: return "ok";
    case NR_EINVAL: return "invalid";
    case NR_ENOMEM: return "out of memory";
    case NR_EIO: return "input/output error";
    case NR_ECONFIG: return "configuration error";
    case NR_EPROTO: return "protocol error";
    case NR_ELIMIT: return "limit reached";
    case NR_ETIMEOUT: return "timed out";
    case NR_ECANCELED: return "cancelled";
    case NR_ECLOSED: return "closed by peer";
    case NR_ERESET: return "reset by peer";
    case NR_EREFUSED: return "connection refused";
    case NR_EUNREACHABLE: return "unreachable";
    case NR_EADDRINUSE: return "address in use";
    case NR_EACCESS: return "permission denied";
    case NR_EFILES: return "out of file descriptors";
    case NR_ENAME: return "name does not resolve";
    case NR_ENOSPC: return "disk full";
    case NR_ENOENT: return "not found";
    case NR_EEXIST: return "exists already";
    case NR_EUNSUPPORTED: return "unsupported";
    }
    return "unknown error";
}
