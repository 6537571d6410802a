/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as an address and as a network: what is accepted prints to something that is accepted
 * and means the same, and a network contains its own address. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/addr.h"

#define EXPECT(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void address(const char *text)
{
    char printed[NR_ADDR_TEXT_BYTES], ip[NR_ADDR_TEXT_BYTES];
    struct nr_addr addr, again;
    struct nr_err err = {0};
    size_t len;

    if (nr_addr_parse(text, &addr, &err) != NR_OK)
        return;
    len = nr_addr_format(&addr, printed, sizeof(printed));
    EXPECT(len > 0 && len < sizeof(printed) && strlen(printed) == len);
    EXPECT(nr_addr_parse(printed, &again, &err) == NR_OK);
    EXPECT(nr_addr_eq(&addr, &again) && addr.port == again.port);
    EXPECT(nr_addr_format_ip(&addr, ip, sizeof(ip)) > 0);
    for (size_t room = 16; room < 24; room++) /* cut, never past the end */
        EXPECT(nr_addr_format(&addr, ip, room) < room);
}

static void network(const char *text)
{
    struct nr_cidr cidr;
    struct nr_err err = {0};

    if (nr_cidr_parse(text, &cidr, &err) != NR_OK)
        return;
    EXPECT(cidr.network.family == NR_ADDR_V4 || cidr.network.family == NR_ADDR_V6);
    EXPECT(cidr.prefix_bits <= (cidr.network.family == NR_ADDR_V4 ? 32 : 128));
    EXPECT(nr_cidr_contains(&cidr, &cidr.network));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    EXPECT(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    address(text);
    network(text);
    free(text);
    return 0;
}
