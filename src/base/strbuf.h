/* SPDX-License-Identifier: Apache-2.0 */
/* strbuf.h - text that grows on the heap: pages, expositions, answers built whole.
 *
 * For what an operator asks for, never for what a peer can size. Always NUL-terminated once
 * something was added. Not thread-safe. */
#ifndef NR_BASE_STRBUF_H
#define NR_BASE_STRBUF_H

#include <stddef.h>
#include <stdint.h>

#include "naru/span.h"

struct nr_strbuf {
    char *ptr; /* NULL while empty; all zero is a valid empty buffer */
    size_t len;
    size_t cap;
};

void nr_strbuf_add(struct nr_strbuf *buf, struct nr_span text);
void nr_strbuf_add_u64(struct nr_strbuf *buf, uint64_t value);
void nr_strbuf_printf(struct nr_strbuf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A string literal. */
#define NR_STRBUF_LIT(buf, literal) nr_strbuf_add((buf), NR_SPAN(literal))

/* The bytes, malloc'ed, now the caller's; the buffer is empty again. Never NULL. */
char *nr_strbuf_take(struct nr_strbuf *buf, size_t *ret_len);

void nr_strbuf_done(struct nr_strbuf *buf);

static inline struct nr_span nr_strbuf_span(const struct nr_strbuf *buf)
{
    return (struct nr_span){buf->ptr, buf->len};
}

#endif
