/* SPDX-License-Identifier: Apache-2.0 */
/* expo_machine.c - utilisation, saturation and errors of the machine, of naru's process and of its
 * threads: B. Gregg's USE method, resource by resource. */
#include "observe/expo_machine.h"

#include <stdio.h>

#include "base/hist.h"
#include "io/machine.h"
#include "io/process.h"

static void cpu_and_load(struct nr_expo *expo, const struct nr_machine_stats *stats)
{
    static const char *const modes[NR_CPU_MODES] = {
        [NR_CPU_USER] = "user",     [NR_CPU_SYSTEM] = "system", [NR_CPU_IDLE] = "idle",
        [NR_CPU_IOWAIT] = "iowait", [NR_CPU_STEAL] = "steal",
    };

    nr_expo_family(expo, "naru_machine_cpus", NR_EXPO_GAUGE, "CPUs that naru may use.");
    nr_expo_u64(expo, NULL, 0, stats->cpus);
    nr_expo_family(expo, "naru_machine_cpu_seconds", NR_EXPO_COUNTER,
                   "CPU time of the machine, all CPUs together, by mode.");
    for (int i = 0; i < NR_CPU_MODES; i++)
        nr_expo_real(expo, &(struct nr_label){"mode", nr_span_of(modes[i])}, 1, stats->cpu_s[i]);
    nr_expo_family(expo, "naru_machine_load1", NR_EXPO_GAUGE,
                   "Tasks that ran or waited to, on average of the last minute.");
    nr_expo_real(expo, NULL, 0, stats->load);
}

static void waiting(struct nr_expo *expo, const struct nr_machine_stats *stats)
{
    static const char *const names[NR_PRESSURES] = {
        [NR_PRESSURE_CPU] = "cpu", [NR_PRESSURE_MEMORY] = "memory", [NR_PRESSURE_IO] = "io"};

    nr_expo_family(expo, "naru_machine_listen_overflows", NR_EXPO_COUNTER,
                   "Connections that found the queue of a listener of this machine full.");
    nr_expo_u64(expo, NULL, 0, stats->listen_overflows);
    if (!stats->has_pressure)
        return;
    nr_expo_family(expo, "naru_machine_pressure_seconds", NR_EXPO_COUNTER,
                   "Time in which some task of the machine waited for the resource.");
    for (int i = 0; i < NR_PRESSURES; i++)
        nr_expo_real(expo, &(struct nr_label){"resource", nr_span_of(names[i])}, 1,
                     stats->pressure_s[i]);
}

void nr_expo_machine(struct nr_expo *expo)
{
    struct nr_machine_stats stats;

    nr_machine_stats(&stats);
    cpu_and_load(expo, &stats);
    nr_expo_family(expo, "naru_machine_memory_bytes", NR_EXPO_GAUGE, "Memory of the machine.");
    nr_expo_u64(expo, NULL, 0, stats.memory_bytes);
    nr_expo_family(expo, "naru_machine_memory_available_bytes", NR_EXPO_GAUGE,
                   "Memory that could be had without swapping.");
    nr_expo_u64(expo, NULL, 0, stats.available_bytes);
    waiting(expo, &stats);
}

void nr_expo_process(struct nr_expo *expo)
{
    struct nr_process_stats stats;

    nr_process_stats(&stats);
    nr_expo_family(expo, "process_cpu_seconds", NR_EXPO_COUNTER, "CPU time, user and system.");
    nr_expo_real(expo, NULL, 0, stats.cpu_s);
    nr_expo_family(expo, "process_start_time_seconds", NR_EXPO_GAUGE, "Start, since the epoch.");
    nr_expo_real(expo, NULL, 0, stats.started_s);
    nr_expo_family(expo, "process_resident_memory_bytes", NR_EXPO_GAUGE, "Resident memory.");
    nr_expo_u64(expo, NULL, 0, stats.resident_bytes);
    nr_expo_family(expo, "process_virtual_memory_bytes", NR_EXPO_GAUGE, "Virtual memory.");
    nr_expo_u64(expo, NULL, 0, stats.virtual_bytes);
    nr_expo_family(expo, "process_open_fds", NR_EXPO_GAUGE, "Open file descriptors.");
    nr_expo_u64(expo, NULL, 0, stats.open_files);
    nr_expo_family(expo, "process_max_fds", NR_EXPO_GAUGE, "Limit of open file descriptors.");
    nr_expo_u64(expo, NULL, 0, stats.files_max);
}

/* The label of a worker; `to` has room for it. */
static struct nr_label worker_label(uint32_t worker, char to[12])
{
    int len = snprintf(to, 12, "%u", worker);

    return (struct nr_label){"worker", {to, (size_t)len}};
}

void nr_expo_workers(struct nr_expo *expo, struct nr_io *const *engines, uint32_t count)
{
    char number[12];

    nr_expo_family(expo, "naru_worker_cpu_seconds", NR_EXPO_COUNTER,
                   "CPU time of a worker's thread: one whose rate is 1 is busy all the time.");
    for (uint32_t i = 0; i < count; i++)
        nr_expo_real(expo, (struct nr_label[]){worker_label(i, number)}, 1,
                     (double)nr_io_cpu_ns(engines[i]) / 1e9);
    nr_expo_family(expo, "naru_loop_lag_seconds", NR_EXPO_HISTOGRAM,
                   "How late a worker's loop was, each time that it looked: four times a second, "
                   "to the millisecond.");
    for (uint32_t i = 0; i < count; i++) {
        struct nr_hist lag_us = {0};

        nr_io_lag(engines[i], &lag_us);
        nr_expo_hist(expo, (struct nr_label[]){worker_label(i, number)}, 1, &lag_us);
    }
    nr_expo_family(expo, "naru_sockets_open", NR_EXPO_GAUGE,
                   "Sockets of a worker, to clients and services.");
    for (uint32_t i = 0; i < count; i++)
        nr_expo_u64(expo, (struct nr_label[]){worker_label(i, number)}, 1,
                    nr_io_socket_count(engines[i]));
}
