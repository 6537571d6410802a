/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - the program's own log: what naru itself does, as JSON lines on stderr.
 *
 * Libraries return errors, only the program logs; this is what it logs with. Any thread may, none
 * waits for the reader of stderr. */
#ifndef NR_OBSERVE_LOG_H
#define NR_OBSERVE_LOG_H

#include <stdint.h>

#include "io/logpipe.h"
#include "observe/observe_conf.h"

struct nr_log {
    struct nr_logpipe *pipe; /* borrowed; its producer 0 is used, by nr_logpipe_put_shared */
    enum nr_log_level level; /* what is below is left out */
    uint64_t (*wall_ns)(void);
};

/* One more member of the line; a list of them ends with a NULL name. */
struct nr_log_field {
    const char *name;
    struct nr_span text; /* ptr NULL: number counts */
    int64_t number;
};

/* {"timestamp":…,"level":…,"service":"naru","message":…, fields…}. fields may be NULL. */
void nr_log_write(const struct nr_log *log, enum nr_log_level level,
                  const struct nr_log_field *fields, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A line that is written whatever the level is: who has changed what. */
void nr_log_audit(const struct nr_log *log, const struct nr_log_field *fields, const char *format,
                  ...) __attribute__((format(printf, 3, 4)));

/* "info" */
const char *nr_log_level_name(enum nr_log_level level);

#endif
