/* SPDX-License-Identifier: Apache-2.0 */
/* access_log.h - one finished request as one JSON line. Internal to src/observe. */
#ifndef NR_OBSERVE_ACCESS_LOG_H
#define NR_OBSERVE_ACCESS_LOG_H

#include "base/record.h"
#include "observe/cells.h"
#include "observe/timestamp.h"

enum {
    NR_ACCESS_PATH_BYTES = 2048, /* longer ones are cut, with an ellipsis */
    NR_ACCESS_AGENT_BYTES = 512,
    NR_ACCESS_HOST_BYTES = 255,
    NR_ACCESS_ID_BYTES = 128,
    NR_ACCESS_NAME_BYTES = 255,
    NR_ACCESS_USER_BYTES = 128,
    /* A byte becomes at most six, and the fixed part is below 1 KiB. */
    NR_ACCESS_LINE_BYTES =
        6 * (2 * NR_ACCESS_PATH_BYTES + NR_ACCESS_AGENT_BYTES + NR_ACCESS_HOST_BYTES +
             NR_ACCESS_ID_BYTES + 7 * NR_ACCESS_NAME_BYTES + NR_ACCESS_USER_BYTES) +
        1024,
};

/* Write the line with its newline to `to`, which has NR_ACCESS_LINE_BYTES. Returns its length. */
size_t nr_access_log_line(char *to, const struct nr_observe_names *names,
                          struct nr_timestamp *timestamp, const struct nr_record *record,
                          const struct nr_record_view *view);

/* The reason as a word: naru's own, the codec's behind bad_request, "" for none. */
struct nr_span nr_record_reason(const struct nr_record *record);

/* 503, or refused (but by a rate limit), or broken off: what an operator looks for first. */
bool nr_record_failed(const struct nr_record *record);

/* The client's IP as text; the span points into `to` (64 bytes). */
struct nr_span nr_record_ip(const struct nr_record *record, char *to);

/* Names behind ids; "" when there is none. */
struct nr_span nr_names_route(const struct nr_observe_names *names, uint32_t route);
struct nr_span nr_names_service(const struct nr_observe_names *names, uint32_t service);
struct nr_span nr_names_instance(const struct nr_observe_names *names, uint32_t service,
                                 uint32_t instance, char to[NR_ROSTER_TEXT_BYTES]);
/* The tightest rate limit of the record. */
struct nr_span nr_names_limit(const struct nr_observe_names *names, const struct nr_record *record);

#endif
