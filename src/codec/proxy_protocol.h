/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_protocol.h - the PROXY protocol, version 1 (text) and 2 (binary): who the client is, said
 * by the proxy before the first byte of the connection.
 *
 * Pure: no socket, no clock, no allocation. Parsing keeps no state: it is asked again with
 * everything that has come so far, and the answer is MORE until the header is complete. A header is
 * short, so looking again costs nothing.
 *
 * Source: W. Tarreau, "The PROXY protocol, Versions 1 & 2" (2020/03/05), referred to as "the
 * specification". */
#ifndef NR_CODEC_PROXY_PROTOCOL_H
#define NR_CODEC_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "naru/span.h"

enum {
    NR_PROXY_V1_BYTES_MAX = 107,  /* with CRLF; the specification, 2.1 */
    NR_PROXY_V2_BYTES_MAX = 4096, /* ours: its length field would allow 65,551 */
    NR_PROXY_UNIX_BYTES = 108,
    NR_PROXY_WRITE_BYTES_MAX = 256, /* what the writer needs at most */
};

enum nr_proxy_step {
    NR_PROXY_MORE,   /* it may become a header: read on */
    NR_PROXY_DONE,   /* *ret_bytes of it are the header */
    NR_PROXY_ABSENT, /* these bytes are none */
    NR_PROXY_BAD,    /* a header, and broken: the connection must be dropped */
};

enum nr_proxy_fault {
    NR_PROXY_OK,
    NR_PROXY_TOO_LONG,
    NR_PROXY_BAD_LINE,     /* v1: not the words, single spaces and CRLF that it must be */
    NR_PROXY_BAD_PROTOCOL, /* v1: neither TCP4, TCP6 nor UNKNOWN */
    NR_PROXY_BAD_ADDRESS,  /* v1 */
    NR_PROXY_BAD_PORT,     /* v1 */
    NR_PROXY_BAD_VERSION,  /* v2: not 2 */
    NR_PROXY_BAD_COMMAND,  /* v2: neither LOCAL nor PROXY */
    NR_PROXY_BAD_FAMILY,   /* v2: a reserved family or transport, or a combination of them */
    NR_PROXY_BAD_LENGTH,   /* v2: the addresses do not fit in */
    NR_PROXY_BAD_TLV,      /* v2: reaches beyond the end, or has a length that it may not have */
    NR_PROXY_BAD_CHECKSUM, /* v2: the CRC32C does not fit */
    NR_PROXY_FAULTS
};

enum nr_proxy_family {
    NR_PROXY_UNSPEC, /* says nothing: the connection's own addresses stand */
    NR_PROXY_V4,
    NR_PROXY_V6,
    NR_PROXY_UNIX,
};

struct nr_proxy_header {
    uint8_t version;    /* 1 or 2 */
    uint8_t family;     /* enum nr_proxy_family; UNSPEC with LOCAL, UNKNOWN and datagrams */
    bool local;         /* the proxy speaks for itself: a health check */
    bool checksum;      /* v2: carried a CRC32C, and it was right. Writing: add one */
    uint8_t source[16]; /* network order; v4 uses the first four */
    uint8_t destination[16];
    uint16_t source_port; /* host order */
    uint16_t destination_port;
    struct nr_span source_path; /* UNIX: into the bytes parsed */
    struct nr_span destination_path;
};

/* Look at the first bytes of a connection. *ret_header and *ret_bytes are set with DONE, *ret_fault
 * with BAD. */
enum nr_proxy_step nr_proxy_parse(struct nr_span bytes, struct nr_proxy_header *ret_header,
                                  size_t *ret_bytes, enum nr_proxy_fault *ret_fault);

/* Write the header in its version to `to`, which has NR_PROXY_WRITE_BYTES_MAX; returns its length.
 * What version 1 cannot say (LOCAL, UNIX) becomes UNKNOWN. */
size_t nr_proxy_write(char *to, const struct nr_proxy_header *header);

/* "bad_checksum" */
const char *nr_proxy_fault_text(enum nr_proxy_fault fault);

#endif
