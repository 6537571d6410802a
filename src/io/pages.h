/* SPDX-License-Identifier: Apache-2.0 */
/* pages.h - memory for large tables: zeroed, taken from the system as it is touched, in huge pages
 * where the system has them. Any thread. */
#ifndef NR_IO_PAGES_H
#define NR_IO_PAGES_H

#include <stddef.h>

/* Aligned to a page; all zero. Aborts when there is no memory. bytes > 0. */
void *nr_pages_new(size_t bytes);

/* With the bytes that it was made with. NULL is fine. */
void nr_pages_free(void *pages, size_t bytes);

#endif
