/* SPDX-License-Identifier: Apache-2.0 */
#include "io/pages.h"

#include <sys/mman.h>

#include "base/assert.h"

/* Below this the translations of small pages fit, too, and a huge one would hold more memory than
 * many a table ever touches. */
static const size_t huge_from_bytes = (size_t)16 << 20;

void *nr_pages_new(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    nr_assert(pages != MAP_FAILED);
    /* A table that is read at random needs its address translated each time: with huge pages the
     * translations fit into the core. A system without them says no, and that is all right. */
    if (bytes >= huge_from_bytes)
        (void)madvise(pages, bytes, MADV_HUGEPAGE);
    return pages;
}

void nr_pages_free(void *pages, size_t bytes)
{
    if (pages != NULL)
        nr_assert(munmap(pages, bytes) == 0);
}
