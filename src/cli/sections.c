/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sections.h"

#include "admin/admin_conf.h"
#include "gateway/gateway_conf.h"
#include "observe/observe_conf.h"
#include "service/service_conf.h"

const struct nr_schema_root *const nr_section_roots[NR_SECTION_COUNT] = {
    &nr_gateway_conf_root, &nr_callers_conf_root, &nr_services_conf_root, &nr_limits_conf_root,
    &nr_observe_conf_root, &nr_dns_conf_root,     &nr_admin_conf_root,
};
