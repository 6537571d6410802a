/* SPDX-License-Identifier: Apache-2.0 */
/* count_alloc.c - counts what a program asks of the heap: to be preloaded (LD_PRELOAD).
 *
 * The file that NARU_COUNT_ALLOC names is mapped and holds, as long as the program lives, the
 * number of allocations so far as a 64-bit number, and that of frees behind it. What does the work
 * are glibc's own functions under their other names. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEEN __attribute__((visibility("default")))

struct counts {
    _Atomic uint64_t allocations;
    _Atomic uint64_t frees;
};

static struct counts before_the_file; /* what is asked before the file is there */
static struct counts *counts = &before_the_file;

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);
void __libc_free(void *memory);

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("NARU_COUNT_ALLOC");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at;

    if (fd < 0)
        return;
    at = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        counts = at;
}

static void count(void)
{
    atomic_fetch_add_explicit(&counts->allocations, 1, memory_order_relaxed);
}

SEEN void *malloc(size_t bytes)
{
    count();
    return __libc_malloc(bytes);
}

SEEN void *calloc(size_t number, size_t bytes)
{
    count();
    return __libc_calloc(number, bytes);
}

SEEN void *realloc(void *memory, size_t bytes)
{
    count();
    return __libc_realloc(memory, bytes);
}

SEEN void *aligned_alloc(size_t align, size_t bytes)
{
    count();
    return __libc_memalign(align, bytes);
}

SEEN int posix_memalign(void **ret_memory, size_t align, size_t bytes)
{
    void *memory;

    count();
    memory = __libc_memalign(align, bytes);
    if (memory == NULL)
        return ENOMEM;
    *ret_memory = memory;
    return 0;
}

SEEN void free(void *memory)
{
    if (memory != NULL)
        atomic_fetch_add_explicit(&counts->frees, 1, memory_order_relaxed);
    __libc_free(memory);
}
