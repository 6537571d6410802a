/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a path, a query and an authority. A canonical path is its own canonical form, does
 * not grow, and contains nothing that a later reader could take for another path. */
#include "codec/uri.h"

#include <stdint.h>
#include <stdlib.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *copy(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size > 0 ? size : 1);

    EXPECT(bytes != NULL);
    if (size > 0)
        memcpy(bytes, data, size);
    return bytes;
}

static bool contains(struct nr_span text, struct nr_span what)
{
    return memmem(text.ptr, text.len, what.ptr, what.len) != NULL;
}

static void path(const uint8_t *data, size_t size)
{
    char *bytes = copy(data, size);
    size_t len = SIZE_MAX, again = SIZE_MAX;

    if (nr_uri_canonical_path(bytes, size, &len)) {
        struct nr_span text = {bytes, len};
        char *before = copy((const uint8_t *)bytes, len);

        EXPECT(len > 0 && len <= size && bytes[0] == '/');
        EXPECT(!contains(text, NR_SPAN("/../")) && !contains(text, NR_SPAN("/./")));
        EXPECT(!contains(text, NR_SPAN("%2F")) && !contains(text, NR_SPAN("%2E")));
        EXPECT(!contains(text, NR_SPAN("%00")) && !contains(text, NR_SPAN("\\")));
        EXPECT(nr_uri_query_valid(text));
        EXPECT(nr_uri_canonical_path(bytes, len, &again) && again == len);
        EXPECT(memcmp(before, bytes, len) == 0);
        free(before);
    }
    free(bytes);
}

static void authority(struct nr_span text)
{
    struct nr_span host, port;

    nr_uri_split_authority(text, &host, &port);
    EXPECT(host.len + port.len <= text.len);
    if (!nr_uri_authority_valid(text))
        return;
    EXPECT(host.len > 0);
    EXPECT(host.len == text.len || host.len + 1 + port.len == text.len);
    for (size_t i = 0; i < port.len; i++)
        EXPECT(port.ptr[i] >= '0' && port.ptr[i] <= '9');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = copy(data, size);

    path(data, size);
    (void)nr_uri_query_valid((struct nr_span){bytes, size});
    authority((struct nr_span){bytes, size});
    free(bytes);
    return 0;
}
