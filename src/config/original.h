/* SPDX-License-Identifier: Apache-2.0 */
/* original.h - what a configuration was read from, kept small, so that it can be loaded again.
 *
 * A loaded configuration of 1,000 routes takes about a mebibyte, its text a twentieth of that and
 * a hundredth when packed. So whoever may want to go back to it keeps this: the files, the
 * directories as they were listed, the variables of the environment. Loaded from here it is the
 * same to the last line and column, whatever has become of the files since.
 *
 *   READING --nr_original_pack--> PACKED, constant
 *
 * Texts that two originals have in common are in memory once. Any thread, one at a time; different
 * originals may be used on different threads, also when they share texts. */
#ifndef NR_CONFIG_ORIGINAL_H
#define NR_CONFIG_ORIGINAL_H

#include "config/node.h"

struct nr_original; /* opaque */

struct nr_original *nr_original_new(void);
struct nr_original *nr_original_ref(struct nr_original *original);
void nr_original_unref(struct nr_original *original); /* NULL is fine */

/* While it is being read; all is copied. The first file is the one that includes the others. A
 * variable that is not set has the value NULL. The same again is fine. */
void nr_original_add_file(struct nr_original *original, const char *path, struct nr_span bytes);
void nr_original_add_listing(struct nr_original *original, const char *directory,
                             const struct nr_span *names, uint32_t count);
void nr_original_add_variable(struct nr_original *original, const char *name, const char *value);

/* All has been read: make it small. Takes milliseconds for a megabyte. */
void nr_original_pack(struct nr_original *original);

/* Hold what both have in common once; nothing happens unless both are PACKED. */
void nr_original_share(struct nr_original *original, const struct nr_original *with);

/* Load from it (nr_config_load): the file to begin with, and where all is found. Valid as long as
 * the original. It may be PACKED or not. */
const char *nr_original_path(const struct nr_original *original);
struct nr_config_source nr_original_source(const struct nr_original *original);

/* What it takes, shared texts by halves and thirds. */
size_t nr_original_bytes(const struct nr_original *original);

#endif
