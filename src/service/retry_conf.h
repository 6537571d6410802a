/* SPDX-License-Identifier: Apache-2.0 */
/* retry_conf.h - second chances: the section `retry`, as loaded. */
#ifndef NR_SERVICE_RETRY_CONF_H
#define NR_SERVICE_RETRY_CONF_H

#include <stdint.h>

#include "config/schema.h"
#include "policy/backoff.h"
#include "policy/retry_budget.h"

/* Bits of nr_retry_conf.on are 1 << these. */
enum nr_retry_on {
    NR_RETRY_ON_CONNECT, /* no connection came about: the service has seen nothing */
    NR_RETRY_ON_RESET,   /* it broke before the first byte of the answer was forwarded */
    NR_RETRY_ON_TIMEOUT, /* the attempt's own time limit passed */
    NR_RETRY_ON_429,     /* only with Retry-After */
    NR_RETRY_ON_500,
    NR_RETRY_ON_501,
    NR_RETRY_ON_502,
    NR_RETRY_ON_503,
    NR_RETRY_ON_504,
};

/* The bit of an answer with this status; 0: such answers are never repeated. */
uint32_t nr_retry_on_status(uint16_t status);

struct nr_retry_backoff_conf {
    struct nr_section at;
    struct nr_backoff_conf policy;
};

struct nr_retry_spending_conf {
    struct nr_section at;
    struct nr_rate min;
    struct nr_retry_budget_conf policy; /* min_per_s from min */
};

struct nr_retry_conf {
    struct nr_section at;
    uint32_t attempts; /* in all: 1 means no retry */
    uint64_t on;       /* bit 1 << enum nr_retry_on */
    uint64_t methods;  /* bit 1 << enum nr_method */
    struct nr_retry_backoff_conf backoff;
    struct nr_retry_spending_conf budget;
};

extern const struct nr_schema nr_retry_schema;

#endif
