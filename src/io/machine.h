/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h - how busy and how full the machine is, as its kernel counts: proc(5). Any thread. */
#ifndef NR_IO_MACHINE_H
#define NR_IO_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

enum nr_cpu_mode {
    NR_CPU_USER,
    NR_CPU_SYSTEM,
    NR_CPU_IDLE,
    NR_CPU_IOWAIT,
    NR_CPU_STEAL,
    NR_CPU_MODES
};

/* What tasks waited for; see "PSI - Pressure Stall Information" of the kernel's documentation. */
enum nr_pressure { NR_PRESSURE_CPU, NR_PRESSURE_MEMORY, NR_PRESSURE_IO, NR_PRESSURES };

struct nr_machine_stats {
    uint32_t cpus;              /* that this process may use */
    double cpu_s[NR_CPU_MODES]; /* of all CPUs, since boot: nice counts as user, irq as system */
    double load;                /* of the last minute */
    uint64_t memory_bytes;
    uint64_t available_bytes; /* without swapping: an estimate of the kernel's */
    bool has_pressure;
    double pressure_s[NR_PRESSURES]; /* in which some task waited, since boot */
    uint64_t listen_overflows; /* connections that found a listener's queue full, since boot */
};

/* What cannot be learnt stays 0. */
void nr_machine_stats(struct nr_machine_stats *ret_stats);

/* One line of names and one of values below it, each beginning with `title`, as in
 * /proc/net/netstat. The value of `name`; 0 if it is not there. For tests, too. */
uint64_t nr_machine_pick(const char *text, const char *title, const char *name);

#endif
