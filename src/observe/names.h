/* SPDX-License-Identifier: Apache-2.0 */
/* names.h - the tables behind the ids of records, as a gateway has them at present. */
#ifndef NR_OBSERVE_NAMES_H
#define NR_OBSERVE_NAMES_H

#include "gateway/gateway.h"
#include "observe/cells.h"
#include "observe/observe_conf.h"

/* The texts are the gateway's: they live until the publish after the next one. conf says how many
 * routes have metrics of their own, and the rules of the access log. */
struct nr_observe_names *nr_observe_names_new(const struct nr_gateway *gateway,
                                              const struct nr_observe_conf *conf);
void nr_observe_names_free(struct nr_observe_names *names); /* NULL is fine */

/* Does every id mean the very same text in both, and are the rules the same? */
bool nr_observe_names_same(const struct nr_observe_names *a, const struct nr_observe_names *b);

#endif
