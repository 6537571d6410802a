/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h - telling the service manager how we are: sd_notify's protocol, without its library.
 *
 * A datagram of "NAME=value" lines to the Unix socket that NOTIFY_SOCKET names (systemd's
 * sd_notify(3)). Nobody listens: nothing is done. Never blocks, never fails. Any thread. */
#ifndef NR_IO_NOTIFY_H
#define NR_IO_NOTIFY_H

#include <stdint.h>

/* socket: the value of NOTIFY_SOCKET; NULL or empty: nobody listens. state: lines. */
void nr_notify(const char *socket, const char *state);

void nr_notify_ready(const char *socket);
/* monotonic_ns: when the reload began; systemd waits for a READY=1 after it. */
void nr_notify_reloading(const char *socket, uint64_t monotonic_ns);
void nr_notify_stopping(const char *socket);

#endif
