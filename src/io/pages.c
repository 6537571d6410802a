/* SPDX-License-Identifier: Apache-2.0 */
#include "io/pages.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"

/* Below this the translations of small pages fit, too, and a huge one would hold more memory than
 * many a table ever touches. */
static const size_t huge_from_bytes = (size_t)16 << 20;
static const size_t huge_bytes = (size_t)2 << 20;

static char *map(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    nr_assert(pages != MAP_FAILED);
    return pages;
}

static void unmap(char *pages, size_t bytes)
{
    if (bytes > 0)
        nr_assert(munmap(pages, bytes) == 0);
}

/* Begins where a huge page does: what lies before the first one would be in small pages. */
static char *map_aligned(size_t bytes)
{
    const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t rounded = (bytes + page_bytes - 1) & ~(page_bytes - 1);
    char *pages = map(rounded + huge_bytes);
    size_t skip = -(uintptr_t)pages & (huge_bytes - 1);

    unmap(pages, skip);
    unmap(pages + skip + rounded, huge_bytes - skip);
    return pages + skip;
}

void *nr_pages_new(size_t bytes)
{
    char *pages;

    if (bytes < huge_from_bytes)
        return map(bytes);
    pages = map_aligned(bytes);
    /* A table that is read at random needs its address translated each time: with huge pages the
     * translations fit into the core. A system without them says no, and that is all right. */
    (void)madvise(pages, bytes, MADV_HUGEPAGE);
    return pages;
}

void nr_pages_free(void *pages, size_t bytes)
{
    if (pages != NULL)
        unmap(pages, bytes);
}
