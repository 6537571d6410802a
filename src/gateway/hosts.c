/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/hosts.h"

struct nr_span nr_hosts_plain(struct nr_span authority, char to[NR_HOST_BYTES_MAX])
{
    size_t len = 0;

    for (size_t i = 0; i < authority.len; i++) {
        if (authority.ptr[i] == ':' && authority.ptr[0] != '[')
            break;
        if (len == NR_HOST_BYTES_MAX)
            return (struct nr_span){to, 0};
        to[len++] = nr_ascii_lower(authority.ptr[i]);
        if (authority.ptr[i] == ']')
            break;
    }
    if (len > 1 && to[len - 1] == '.')
        len--;
    return (struct nr_span){to, len};
}
