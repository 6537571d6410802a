/* SPDX-License-Identifier: Apache-2.0 */
/* err.h - one convention for failure: a code that must be looked at, and a
 * caller-owned struct that collects the context on the way up. */
#ifndef NARU_ERR_H
#define NARU_ERR_H

#ifndef NR_MUST_USE
#define NR_MUST_USE __attribute__((warn_unused_result))
#endif

/* Zero is success; all else is negative, so a code and a byte count share an int. */
enum nr_code {
    NR_OK = 0,
    NR_EINVAL = -1,        /* an argument or a value that can never be right */
    NR_ENOMEM = -2,        /* a budget or the machine's memory is used up */
    NR_EIO = -3,           /* the operating system said no, and none below fits */
    NR_ECONFIG = -4,       /* the configuration is wrong; the text says where */
    NR_EPROTO = -5,        /* a peer broke its protocol */
    NR_ELIMIT = -6,        /* a limit of ours was reached */
    NR_ETIMEOUT = -7,      /* a time limit of ours passed */
    NR_ECANCELED = -8,     /* the owner took the operation back */
    NR_ECLOSED = -9,       /* the peer closed in an orderly way (FIN) */
    NR_ERESET = -10,       /* the peer reset, or the connection broke */
    NR_EREFUSED = -11,     /* nobody listens there */
    NR_EUNREACHABLE = -12, /* no route to the host or the network */
    NR_EADDRINUSE = -13,   /* the address is taken by another process */
    NR_EACCESS = -14,      /* no permission */
    NR_EFILES = -15,       /* out of file descriptors */
    NR_ENAME = -16,        /* the name does not resolve */
    NR_ENOSPC = -17,       /* the disk is full */
    NR_ENOENT = -18,       /* no such file or entry */
    NR_EEXIST = -19,       /* it exists already */
    NR_EUNSUPPORTED = -20, /* not offered here (an engine, a platform) */
};

enum { NR_ERR_TEXT_BYTES = 512 };

struct nr_err {
    enum nr_code code;
    char text[NR_ERR_TEXT_BYTES]; /* NUL-terminated, one line, no trailing full stop */
};

/* Replace what err holds. err may be NULL. Returns code, so that a failing
 * function can say `return nr_err_set(err, NR_EIO, "…")`. */
enum nr_code nr_err_set(struct nr_err *err, enum nr_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "context: " in front of the text; keeps and returns the code. When the
 * whole no longer fits, the end is cut: the outermost context is the place. */
enum nr_code nr_err_wrap(struct nr_err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A short, stable, lower-case phrase for a code: "connection refused". */
const char *nr_code_text(enum nr_code code);

#endif
