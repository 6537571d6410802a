/* SPDX-License-Identifier: Apache-2.0 */
#include "io/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

enum { FIRST_READ_BYTES = 16 * 1024 };

uint64_t nr_process_wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool nr_process_is_terminal(int fd)
{
    return isatty(fd) == 1;
}

/* ---- statistics: proc(5) ---- */

static void read_memory(struct nr_process_stats *stats)
{
    char *text = NULL;
    unsigned long long pages, resident;
    size_t len;
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);

    if (nr_process_read_file("/proc/self/statm", 4096, &text, &len, NULL) != NR_OK)
        return;
    if (sscanf(text, "%llu %llu", &pages, &resident) == 2) {
        stats->virtual_bytes = pages * page_bytes;
        stats->resident_bytes = resident * page_bytes;
    }
    free(text);
}

/* Field 22 of /proc/self/stat is the start in ticks since boot; the name in parentheses before it
 * may hold anything, so fields are counted from the last parenthesis. */
static void read_start(struct nr_process_stats *stats)
{
    char *text = NULL, *boot = NULL, *at;
    unsigned long long ticks, boot_s;
    size_t len;

    if (nr_process_read_file("/proc/self/stat", 4096, &text, &len, NULL) == NR_OK &&
        nr_process_read_file("/proc/stat", 1024 * 1024, &boot, &len, NULL) == NR_OK &&
        (at = strrchr(text, ')')) != NULL &&
        sscanf(at,
               ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
               "%llu",
               &ticks) == 1 &&
        (at = strstr(boot, "btime ")) != NULL && sscanf(at, "btime %llu", &boot_s) == 1)
        stats->started_s = (double)boot_s + (double)ticks / (double)sysconf(_SC_CLK_TCK);
    free(text);
    free(boot);
}

static void count_files(struct nr_process_stats *stats)
{
    DIR *dir = opendir("/proc/self/fd");

    if (dir == NULL)
        return;
    while (readdir(dir) != NULL)
        stats->open_files++;
    closedir(dir);
    stats->open_files -= 3; /* ".", ".." and the directory itself */
}

void nr_process_stats(struct nr_process_stats *ret_stats)
{
    struct nr_process_stats stats = {0};
    struct rusage usage;
    struct rlimit limit;

    if (getrusage(RUSAGE_SELF, &usage) == 0)
        stats.cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        stats.files_max = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
    read_memory(&stats);
    read_start(&stats);
    count_files(&stats);
    *ret_stats = stats;
}

/* ---- files ---- */

static enum nr_code file_error(int error, struct nr_err *err)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR: return nr_err_set(err, NR_ENOENT, "no such file");
    case EACCES:
    case EPERM: return nr_err_set(err, NR_EACCESS, "no permission to read it");
    case EISDIR: return nr_err_set(err, NR_EINVAL, "is a directory");
    case EMFILE:
    case ENFILE: return nr_err_set(err, NR_EFILES, "out of file descriptors");
    default: return nr_err_set(err, NR_EIO, "%s", strerror(error));
    }
}

/* Everything that fd has, however long it is: a pipe says nothing beforehand. */
static enum nr_code read_all(int fd, size_t bytes_max, char **ret_bytes, size_t *ret_len,
                             struct nr_err *err)
{
    size_t cap = FIRST_READ_BYTES, len = 0;
    char *bytes = malloc(cap + 1);

    nr_assert(bytes != NULL);
    for (;;) {
        ssize_t got = read(fd, bytes + len, cap - len);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int error = errno;

            free(bytes);
            return file_error(error, err);
        }
        len += (size_t)got;
        if (len > bytes_max) {
            free(bytes);
            return nr_err_set(err, NR_ELIMIT, "is larger than %zu bytes", bytes_max);
        }
        if (got == 0)
            break;
        if (len == cap) {
            cap *= 2;
            bytes = realloc(bytes, cap + 1);
            nr_assert(bytes != NULL);
        }
    }
    bytes[len] = '\0';
    *ret_bytes = bytes;
    *ret_len = len;
    return NR_OK;
}

enum nr_code nr_process_read_file(const char *path, size_t bytes_max, char **ret_bytes,
                                  size_t *ret_len, struct nr_err *err)
{
    enum nr_code code;
    int fd;

    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, bytes_max, ret_bytes, ret_len, err);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_error(errno, err);
    code = read_all(fd, bytes_max, ret_bytes, ret_len, err);
    close(fd);
    return code;
}

enum nr_code nr_process_write_file(const char *path, struct nr_span bytes, struct nr_err *err)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *to = standard ? stdout : fopen(path, "we");
    bool ok;

    if (to == NULL)
        return nr_err_set(err, NR_EIO, "%s", strerror(errno));
    ok = fwrite(bytes.ptr, 1, bytes.len, to) == bytes.len;
    ok = (standard ? fflush(to) : fclose(to)) == 0 && ok;
    return ok ? NR_OK : nr_err_set(err, NR_EIO, "%s", strerror(errno));
}

static bool is_file(DIR *dir, const struct dirent *found)
{
    struct stat status;

    if (found->d_type != DT_UNKNOWN && found->d_type != DT_LNK)
        return found->d_type == DT_REG;
    return fstatat(dirfd(dir), found->d_name, &status, 0) == 0 && S_ISREG(status.st_mode);
}

enum nr_code nr_process_list_files(const char *directory,
                                   void (*entry)(void *ctx, const char *name), void *ctx,
                                   struct nr_err *err)
{
    const struct dirent *found;
    DIR *dir = opendir(directory);

    if (dir == NULL)
        return errno == ENOENT ? nr_err_set(err, NR_ENOENT, "no such directory")
                               : file_error(errno, err);
    while ((found = readdir(dir)) != NULL)
        if (is_file(dir, found))
            entry(ctx, found->d_name);
    closedir(dir);
    return NR_OK;
}

char *nr_process_capture(void (*print)(void *ctx, FILE *to), void *ctx, size_t *ret_len)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    nr_assert(to != NULL);
    print(ctx, to);
    fclose(to);
    nr_assert(text != NULL);
    *ret_len = len;
    return text;
}

uint64_t nr_process_file_stamp(const char *path)
{
    struct stat st;
    uint64_t stamp;

    if (stat(path, &st) != 0)
        return 0;
    stamp = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
    stamp = stamp * 31 + (uint64_t)st.st_size;
    return stamp * 31 + (uint64_t)st.st_ino;
}

void nr_process_close(int fd)
{
    close(fd);
}

/* ---- memory ---- */

enum { LARGE_BYTES = 128 * 1024 }; /* glibc's own default for both thresholds, now constant */

void nr_process_keep_no_memory(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
#endif
}

void nr_process_trim_memory(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
