/* SPDX-License-Identifier: Apache-2.0 */
/* expo_limits.h - the metrics of rate limits, shedding and faults. */
#ifndef NR_OBSERVE_EXPO_LIMITS_H
#define NR_OBSERVE_EXPO_LIMITS_H

#include "gateway/gateway.h"
#include "observe/expo.h"

void nr_expo_limits(struct nr_expo *expo, const struct nr_gateway *gateway);
void nr_expo_guards(struct nr_expo *expo, const struct nr_gateway *gateway);

#endif
