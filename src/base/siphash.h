/* SPDX-License-Identifier: Apache-2.0 */
/* siphash.h - SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash of 64 bits.
 *
 * Whoever does not know the key can neither predict a value nor find colliding inputs. Pure. */
#ifndef NR_BASE_SIPHASH_H
#define NR_BASE_SIPHASH_H

#include <stdint.h>

#include "naru/span.h"

uint64_t nr_siphash(const uint64_t key[2], struct nr_span bytes);

#endif
