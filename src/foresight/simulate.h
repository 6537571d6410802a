/* SPDX-License-Identifier: Apache-2.0 */
/* simulate.h - a configuration played in virtual time against models of its services.
 *
 * The gateway is the real one: configuration, http, router, call, service and policy code run as
 * they do in `naru serve`, on the simulated engine. Only what stands around it is modelled. The
 * same configuration, scenario and seed give the same report, byte for byte. One thread. */
#ifndef NR_FORESIGHT_SIMULATE_H
#define NR_FORESIGHT_SIMULATE_H

#include "config/config.h"
#include "foresight/report.h"
#include "foresight/scenario.h"

/* Does the scenario fit the configuration? What does not is added to diags: services and instances
 * that do not exist (errors), services without a model (warnings). */
void nr_simulate_check(const struct nr_scenario *scenario, const struct nr_config *config,
                       struct nr_diags *diags);

/* Told each virtual second how much of the scenario is played, 0 to 1. */
struct nr_simulate_progress {
    void (*played)(void *ctx, double share);
    void *ctx;
};

/* Play it; both are borrowed and sound (nr_simulate_check), progress may be NULL. On success
 * *ret_report is the caller's to give to nr_report_done; it borrows from the scenario. Fails with
 * what keeps the gateway from starting. */
enum nr_code nr_simulate(const struct nr_scenario *scenario, struct nr_config *config,
                         const struct nr_simulate_progress *progress, struct nr_report *ret_report,
                         struct nr_err *err) NR_MUST_USE;

#endif
