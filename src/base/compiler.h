/* SPDX-License-Identifier: Apache-2.0 */
/* compiler.h - what gnu17 has no word for. */
#ifndef NR_BASE_COMPILER_H
#define NR_BASE_COMPILER_H

#include <stddef.h>

/* The struct that embeds `member` at `pointer`. */
#define nr_container_of(pointer, type, member)                                                     \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define NR_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define nr_likely(x)    __builtin_expect(!!(x), 1)
#define nr_unlikely(x)  __builtin_expect(!!(x), 0)

/* Run `name_cleanup(&variable)` when the scope ends. */
#define NR_CLEANUP(function) __attribute__((cleanup(function##_cleanup)))

enum { NR_CACHE_LINE_BYTES = 64 };

#endif
