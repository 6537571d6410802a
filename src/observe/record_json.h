/* SPDX-License-Identifier: Apache-2.0 */
/* record_json.h - a decision record for a reader: names for ids, attempts with their results. */
#ifndef NR_OBSERVE_RECORD_JSON_H
#define NR_OBSERVE_RECORD_JSON_H

#include "base/json.h"
#include "base/record.h"
#include "observe/cells.h"

/* The caller frees. */
struct nr_json *nr_record_json(const struct nr_observe_names *names,
                               const struct nr_record *record);

/* "connect_refused" */
const char *nr_attempt_result_name(uint32_t result);

#endif
