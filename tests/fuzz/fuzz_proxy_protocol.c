/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a PROXY header. The verdict does not depend on how the bytes came: every beginning
 * of them is "more" until the verdict stands, and then it does not change. What was understood
 * can be written and is understood again. */
#include "codec/proxy_protocol.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct verdict {
    enum nr_proxy_step step;
    enum nr_proxy_fault fault;
    size_t used;
    struct nr_proxy_header header;
};

static struct verdict look(const char *bytes, size_t len)
{
    struct verdict v = {.fault = NR_PROXY_OK};

    v.step = nr_proxy_parse((struct nr_span){bytes, len}, &v.header, &v.used, &v.fault);
    EXPECT((v.step == NR_PROXY_BAD) == (v.fault != NR_PROXY_OK));
    EXPECT(nr_proxy_fault_text(v.fault)[0] != '\0');
    if (v.step == NR_PROXY_DONE)
        EXPECT(v.used <= len && v.used <= NR_PROXY_V2_BYTES_MAX);
    return v;
}

static void write_again(const struct nr_proxy_header *header)
{
    char bytes[NR_PROXY_WRITE_BYTES_MAX];
    struct verdict v = look(bytes, nr_proxy_write(bytes, header));

    EXPECT(v.step == NR_PROXY_DONE && v.header.version == header->version);
    EXPECT(v.header.local == header->local && v.header.family == header->family);
    EXPECT(v.header.source_port == header->source_port);
    EXPECT(memcmp(v.header.source, header->source, 16) == 0);
    EXPECT(memcmp(v.header.destination, header->destination, 16) == 0);
    EXPECT(nr_span_eq(v.header.source_path, header->source_path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size > 0 ? size : 1);
    struct verdict whole, part = {.step = NR_PROXY_MORE};

    EXPECT(bytes != NULL);
    if (size > 0)
        memcpy(bytes, data, size);
    whole = look(bytes, size);
    for (size_t len = 0; len <= size && part.step == NR_PROXY_MORE; len++)
        part = look(bytes, len);
    EXPECT(part.step == whole.step && part.fault == whole.fault);
    if (whole.step == NR_PROXY_DONE) {
        EXPECT(part.used == whole.used);
        write_again(&whole.header);
    }
    free(bytes);
    return 0;
}
