/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c - runs a fuzz target over its corpus, without a fuzzer.
 *
 * Every file is one TAP test and is fed whole, then cut at each of its first
 * PREFIXES_MAX bytes: parsers break at their end of input more often than
 * anywhere else. The bytes are handed over in an allocation of exactly their
 * size, so that a sanitizer sees a read past the end. A crash names its file,
 * because the name is printed before the run. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIXES_MAX = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* NULL when the file cannot be read whole. */
static uint8_t *slurp(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long size;

    if (file == NULL)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 &&
        fseek(file, 0, SEEK_SET) == 0) {
        data = malloc((size_t)size + 1);
        if (data != NULL && fread(data, 1, (size_t)size, file) != (size_t)size) {
            free(data);
            data = NULL;
        }
        *ret_size = (size_t)size;
    }
    fclose(file);
    return data;
}

static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);

    if (exact == NULL)
        abort();
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static int replay_file(const char *folder, const char *name)
{
    char path[4096];
    size_t size = 0;
    uint8_t *data;

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
        return 0;
    data = slurp(path, &size);
    if (data == NULL)
        return 0;
    run(data, size);
    for (size_t cut = 0; cut < size && cut < PREFIXES_MAX; cut++)
        run(data, cut);
    free(data);
    return 1;
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    int count, failed = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    count = scandir(argv[1], &entries, is_input, alphasort);
    if (count <= 0) {
        printf("1..1\nnot ok 1 - %s holds no inputs\n", argv[1]);
        return 1;
    }
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        printf("# %s\n", entries[i]->d_name);
        fflush(stdout);
        if (!replay_file(argv[1], entries[i]->d_name)) {
            printf("not ok %d - %s (unreadable)\n", i + 1, entries[i]->d_name);
            failed++;
        } else {
            printf("ok %d - %s\n", i + 1, entries[i]->d_name);
        }
        fflush(stdout);
        free(entries[i]);
    }
    free(entries);
    return failed > 0;
}
