/* SPDX-License-Identifier: Apache-2.0 */
/* config_diff.h - two configurations side by side, for people: what came, what went, what is
 * different now. Internal to src/admin. */
#ifndef NR_ADMIN_CONFIG_DIFF_H
#define NR_ADMIN_CONFIG_DIFF_H

#include "admin/call.h"
#include "config/config.h"

extern const struct nr_admin_shape nr_admin_config_diff_shape;

/* The caller frees. */
struct nr_json *nr_admin_config_diff(const struct nr_config *before, const struct nr_config *after);

#endif
