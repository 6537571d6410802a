/* SPDX-License-Identifier: Apache-2.0 */
#include "io/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/process.h"

enum { FILE_BYTES_MAX = 1024 * 1024 };

/* malloc'ed; NULL if it cannot be read. */
static char *text_of(const char *path)
{
    char *text = NULL;
    size_t len;

    return nr_process_read_file(path, FILE_BYTES_MAX, &text, &len, NULL) == NR_OK ? text : NULL;
}

static void read_cpu(struct nr_machine_stats *stats)
{
    unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    char *text = text_of("/proc/stat");
    cpu_set_t mine;

    if (text != NULL && sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice,
                               &system, &idle, &iowait, &irq, &softirq, &steal) == 8) {
        stats->cpu_s[NR_CPU_USER] = (double)(user + nice) / ticks;
        stats->cpu_s[NR_CPU_SYSTEM] = (double)(system + irq + softirq) / ticks;
        stats->cpu_s[NR_CPU_IDLE] = (double)idle / ticks;
        stats->cpu_s[NR_CPU_IOWAIT] = (double)iowait / ticks;
        stats->cpu_s[NR_CPU_STEAL] = (double)steal / ticks;
    }
    free(text);
    if (sched_getaffinity(0, sizeof(mine), &mine) == 0)
        stats->cpus = (uint32_t)CPU_COUNT(&mine);
}

static uint64_t kilobytes(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    unsigned long long value;

    return at != NULL && sscanf(at + strlen(name), " %llu kB", &value) == 1 ? value * 1024 : 0;
}

static void read_memory(struct nr_machine_stats *stats)
{
    char *text = text_of("/proc/meminfo");

    if (text != NULL) {
        stats->memory_bytes = kilobytes(text, "MemTotal:");
        stats->available_bytes = kilobytes(text, "MemAvailable:");
    }
    free(text);
}

static void read_load(struct nr_machine_stats *stats)
{
    char *text = text_of("/proc/loadavg");

    if (text != NULL)
        stats->load = strtod(text, NULL);
    free(text);
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345": microseconds. */
static void read_pressure(struct nr_machine_stats *stats)
{
    static const char *const paths[NR_PRESSURES] = {
        [NR_PRESSURE_CPU] = "/proc/pressure/cpu",
        [NR_PRESSURE_MEMORY] = "/proc/pressure/memory",
        [NR_PRESSURE_IO] = "/proc/pressure/io",
    };

    for (int i = 0; i < NR_PRESSURES; i++) {
        char *text = text_of(paths[i]);
        const char *total = text != NULL ? strstr(text, "total=") : NULL;

        if (total != NULL) {
            stats->has_pressure = true;
            stats->pressure_s[i] = (double)strtoull(total + strlen("total="), NULL, 10) / 1e6;
        }
        free(text);
    }
}

/* Where the n-th word of a line begins; NULL: it has fewer. */
static const char *word(const char *line, uint32_t n)
{
    for (; n > 0; n--) {
        line += strcspn(line, " \n");
        if (*line != ' ')
            return NULL;
        line++;
    }
    return line;
}

uint64_t nr_machine_pick(const char *text, const char *title, const char *name)
{
    const char *names = strstr(text, title);
    const char *values = names != NULL ? strstr(names + 1, title) : NULL;
    size_t len = strlen(name);

    for (uint32_t i = 1; values != NULL; i++) {
        const char *at = word(names, i), *value = word(values, i);

        if (at == NULL || value == NULL)
            return 0;
        if (strcspn(at, " \n") == len && memcmp(at, name, len) == 0)
            return strtoull(value, NULL, 10);
    }
    return 0;
}

void nr_machine_stats(struct nr_machine_stats *ret_stats)
{
    struct nr_machine_stats stats = {0};
    char *text = text_of("/proc/net/netstat");

    read_cpu(&stats);
    read_memory(&stats);
    read_load(&stats);
    read_pressure(&stats);
    if (text != NULL)
        stats.listen_overflows = nr_machine_pick(text, "TcpExt:", "ListenOverflows");
    free(text);
    *ret_stats = stats;
}
