/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a response head; the first byte picks the method of the request. */
#include "fuzz_h1.h"

static void same_meaning(const struct nr_head *a, const struct nr_head *b)
{
    EXPECT(a->status == b->status);
    EXPECT(a->body_length == b->body_length && a->upgrade == b->upgrade);
    EXPECT(a->reason.len == 0 || fuzz_same_text(a, a->reason, b, b->reason));
    fuzz_same_fields(a, b);
}

static void accepted(const struct nr_head *head, enum nr_method method)
{
    static const struct nr_h1_limits limits = {4096, 4096, FUZZ_FIELDS_MAX, 256};
    struct nr_h1_framing framing = {.body_length = head->body_length,
                                    .close = !head->keep_alive,
                                    .upgrade = head->upgrade,
                                    .omit_length = head->body_length == NR_BODY_NONE};
    struct nr_field fields[FUZZ_FIELDS_MAX];
    struct nr_head copy, again;
    struct nr_arena arena;
    size_t room, len;
    char *bytes;

    nr_arena_init(&arena, NULL, 0);
    nr_head_copy(&copy, head, &arena);
    room = nr_h1_head_bytes(&copy);
    bytes = malloc(room);
    EXPECT(bytes != NULL);
    len = nr_h1_write_response(bytes, room, &copy, &framing);
    EXPECT(nr_h1_parse_response(bytes, len, &limits, method, fields, FUZZ_FIELDS_MAX, &again) ==
           NR_H1_OK);
    same_meaning(&copy, &again);
    EXPECT(again.keep_alive == copy.keep_alive);
    if ((method == NR_METHOD_HEAD && head->status != 101) || head->status == 304 ||
        head->status == 204)
        EXPECT(nr_h1_response_body(head, method) == NR_BODY_NONE);
    free(bytes);
    nr_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum nr_method method = size > 0 && data[0] % 2 == 1 ? NR_METHOD_HEAD : NR_METHOD_GET;
    struct fuzz_scan got;
    struct nr_field fields[FUZZ_FIELDS_MAX];
    struct nr_head head;
    size_t len;
    char *bytes;

    if (size == 0)
        return 0;
    got = fuzz_scan_all_ways(data + 1, size - 1);
    len = got.scan == NR_H1_SCAN_DONE ? got.head_bytes : size - 1;
    bytes = fuzz_copy(data + 1, len);
    if (nr_h1_parse_response(bytes, len, &fuzz_limits, method, fields, FUZZ_FIELDS_MAX, &head) ==
        NR_H1_OK) {
        EXPECT(got.scan == NR_H1_SCAN_DONE);
        accepted(&head, method);
    }
    free(bytes);
    return 0;
}
