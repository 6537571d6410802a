/* SPDX-License-Identifier: Apache-2.0 */
/* assert.h - assertions that stay on in production.
 *
 * For programmer errors only: never for bytes from a peer, a disk or a
 * database, which are hostile until parsed and earn an error instead. */
#ifndef NR_BASE_ASSERT_H
#define NR_BASE_ASSERT_H

_Noreturn void nr_assert_failed(const char *what, const char *file, int line);

#define nr_assert(condition)                                                                       \
    (__builtin_expect(!(condition), 0) ? nr_assert_failed(#condition, __FILE__, __LINE__) : (void)0)

#endif
