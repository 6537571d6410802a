/* SPDX-License-Identifier: Apache-2.0 */
/* sanitized.h - is this program watched by a sanitizer? What then takes minutes may do less. */
#ifndef NR_TESTS_SANITIZED_H
#define NR_TESTS_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
