/* SPDX-License-Identifier: Apache-2.0 */
/* policies.h - what the policies of services know at this moment, as metrics and as JSON. Any
 * thread; now_ns is that of any engine. */
#ifndef NR_OBSERVE_POLICIES_H
#define NR_OBSERVE_POLICIES_H

#include "base/json.h"
#include "gateway/gateway.h"
#include "observe/expo.h"

void nr_policies_metrics(struct nr_expo *expo, const struct nr_gateway *gateway, uint64_t now_ns);

/* Whose circuit it is: "instance" or "route" and the name; name NULL: the service's only one. The
 * name may lie in *instance. */
struct nr_label nr_policies_subject(const struct nr_gateway *gateway, struct nr_service *service,
                                    const struct nr_circuit_view *circuit,
                                    struct nr_instance_view *instance);

/* "open", "closed", "disabled"; "auto" when nothing was said by hand. */
const char *nr_policies_force_name(enum nr_breaker_mode mode);

/* A list of them. */
struct nr_json *nr_policies_circuits_json(const struct nr_gateway *gateway, uint32_t service,
                                          uint64_t now_ns);

/* An object with what the policies of a service know. */
struct nr_json *nr_policies_json(const struct nr_gateway *gateway, uint32_t service,
                                 uint64_t now_ns);

#endif
