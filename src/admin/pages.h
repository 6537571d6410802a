/* SPDX-License-Identifier: Apache-2.0 */
/* pages.h - what stands behind each path, by file. Internal to src/admin; the table of endpoints.c
 * names them. */
#ifndef NR_ADMIN_PAGES_H
#define NR_ADMIN_PAGES_H

#include "admin/call.h"

/* pages.c */
void nr_admin_index(struct nr_admin_call *call);
void nr_admin_health(struct nr_admin_call *call);
void nr_admin_ready(struct nr_admin_call *call);
void nr_admin_drain(struct nr_admin_call *call);
void nr_admin_metrics(struct nr_admin_call *call);
void nr_admin_openapi_page(struct nr_admin_call *call);
void nr_admin_requests(struct nr_admin_call *call);
void nr_admin_request(struct nr_admin_call *call);

extern const struct nr_admin_shape nr_admin_status_shape;
extern const struct nr_admin_shape nr_admin_requests_shape;
extern const struct nr_admin_shape nr_admin_request_shape;

/* services.c */
bool nr_admin_find_service(struct nr_admin_call *call, uint32_t *ret_number);
void nr_admin_services(struct nr_admin_call *call);
void nr_admin_service(struct nr_admin_call *call);
void nr_admin_instance(struct nr_admin_call *call);
void nr_admin_change_instance(struct nr_admin_call *call);
void nr_admin_change_service(struct nr_admin_call *call);

extern const struct nr_admin_shape nr_admin_services_shape;
extern const struct nr_admin_shape nr_admin_service_shape;
extern const struct nr_admin_shape nr_admin_instance_shape;
extern const struct nr_admin_shape nr_admin_instance_change_shape;
extern const struct nr_admin_shape nr_admin_service_change_shape;

/* circuits_api.c */
void nr_admin_circuits(struct nr_admin_call *call);
void nr_admin_force_circuits(struct nr_admin_call *call);

extern const struct nr_admin_shape nr_admin_circuits_shape;
extern const struct nr_admin_shape nr_admin_circuits_change_shape;

/* limits_api.c */
void nr_admin_limits(struct nr_admin_call *call);
void nr_admin_limit(struct nr_admin_call *call);
void nr_admin_change_limit(struct nr_admin_call *call);

/* The limit that the path names, and its number; false: there is none, and a problem is answered.
 */
bool nr_admin_find_limit(struct nr_admin_call *call, struct nr_gateway_limit *ret_limit,
                         uint32_t *ret_number);

extern const struct nr_admin_shape nr_admin_limits_shape;
extern const struct nr_admin_shape nr_admin_limit_shape;
extern const struct nr_admin_shape nr_admin_limit_change_shape;

/* usage_api.c */
void nr_admin_usage(struct nr_admin_call *call);

extern const struct nr_admin_shape nr_admin_usage_shape;

/* overrides_api.c */
void nr_admin_overrides(struct nr_admin_call *call);

extern const struct nr_admin_shape nr_admin_overrides_shape;

/* live_routes_api.c */
void nr_admin_unknown_route(struct nr_admin_call *call, struct nr_span name);
void nr_admin_route(struct nr_admin_call *call);
void nr_admin_change_route(struct nr_admin_call *call);

extern const struct nr_admin_shape nr_admin_route_state_shape;
extern const struct nr_admin_shape nr_admin_route_change_shape;

/* shedding_api.c */
void nr_admin_shedding(struct nr_admin_call *call);
void nr_admin_force_shedding(struct nr_admin_call *call);

extern const struct nr_admin_shape nr_admin_shedding_shape;
extern const struct nr_admin_shape nr_admin_shedding_change_shape;

/* config_api.c */
void nr_admin_config(struct nr_admin_call *call);
void nr_admin_put_config(struct nr_admin_call *call);
void nr_admin_reload_config(struct nr_admin_call *call);
void nr_admin_rollback_config(struct nr_admin_call *call);
void nr_admin_config_versions(struct nr_admin_call *call);
void nr_admin_config_version(struct nr_admin_call *call);

extern const struct nr_admin_shape nr_admin_config_result_shape;
extern const struct nr_admin_shape nr_admin_config_versions_shape;
extern const struct nr_admin_shape nr_admin_rollback_shape;

/* routes_api.c */
void nr_admin_routes(struct nr_admin_call *call);
void nr_admin_explain_route(struct nr_admin_call *call);

extern const struct nr_admin_shape nr_admin_routes_shape;
extern const struct nr_admin_shape nr_admin_explained_shape;

#endif
