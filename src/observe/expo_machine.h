/* SPDX-License-Identifier: Apache-2.0 */
/* expo_machine.h - metrics of the machine, the process and the workers. Internal to src/observe. */
#ifndef NR_OBSERVE_EXPO_MACHINE_H
#define NR_OBSERVE_EXPO_MACHINE_H

#include "io/io.h"
#include "observe/expo.h"

void nr_expo_machine(struct nr_expo *expo);
void nr_expo_process(struct nr_expo *expo);

/* Per worker: CPU time, the loop's lag, sockets. */
void nr_expo_workers(struct nr_expo *expo, struct nr_io *const *engines, uint32_t count);

#endif
