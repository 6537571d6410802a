/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a request head: the same answer however they are cut; what is accepted and written
 * again is accepted again and means the same; and writing that once more changes no byte. */
#include "codec/uri.h"
#include "fuzz_h1.h"

static enum nr_h1_reason parse(char *bytes, size_t len, struct nr_field *fields,
                               struct nr_head *head)
{
    /* Wider than for the input: a written head may be a little longer. */
    static const struct nr_h1_limits limits = {4096, 4096, FUZZ_FIELDS_MAX, 256};

    return nr_h1_parse_request(bytes, len, &limits, fields, FUZZ_FIELDS_MAX, head);
}

static size_t write(char **ret_bytes, const struct nr_head *head)
{
    struct nr_h1_framing framing = {
        .body_length = head->body_length, .close = !head->keep_alive, .upgrade = head->upgrade};
    size_t room = nr_h1_head_bytes(head);

    *ret_bytes = malloc(room);
    EXPECT(*ret_bytes != NULL);
    return nr_h1_write_request(*ret_bytes, room, head, &framing);
}

static void same_meaning(const struct nr_head *a, const struct nr_head *b)
{
    EXPECT(a->method == b->method && fuzz_same_text(a, a->method_name, b, b->method_name));
    EXPECT(fuzz_same_text(a, a->path, b, b->path));
    EXPECT(a->has_query == b->has_query && fuzz_same_text(a, a->query, b, b->query));
    EXPECT(fuzz_same_text(a, a->authority, b, b->authority));
    EXPECT(a->body_length == b->body_length && a->keep_alive == b->keep_alive);
    EXPECT(a->upgrade == b->upgrade && a->te_trailers == b->te_trailers);
    fuzz_same_fields(a, b);
}

static void accepted(const struct nr_head *head)
{
    struct nr_field fields[FUZZ_FIELDS_MAX], fields_again[FUZZ_FIELDS_MAX];
    struct nr_head copy, again;
    struct nr_arena arena;
    char *bytes, *bytes_again;
    size_t len, len_again;

    nr_arena_init(&arena, NULL, 0);
    nr_head_copy(&copy, head, &arena);
    if (copy.authority.len == 0) /* HTTP/1.0 without Host: the caller would name the upstream */
        copy.authority = nr_head_append_text(&copy, &arena, NR_SPAN("upstream"));
    EXPECT(nr_uri_authority_valid(nr_head_text(&copy, copy.authority)));
    len = write(&bytes, &copy);
    EXPECT(parse(bytes, len, fields, &again) == NR_H1_OK);
    same_meaning(&copy, &again);
    len_again = write(&bytes_again, &again);
    EXPECT(len == len_again);
    EXPECT(parse(bytes_again, len_again, fields_again, &again) == NR_H1_OK);
    same_meaning(&copy, &again);
    free(bytes);
    free(bytes_again);
    nr_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_scan got = fuzz_scan_all_ways(data, size);
    /* Also what no scanner has seen: the parser must stand alone. */
    size_t len = got.scan == NR_H1_SCAN_DONE ? got.head_bytes : size;
    char *bytes = fuzz_copy(data, len);
    struct nr_field fields[FUZZ_FIELDS_MAX];
    struct nr_head head;

    if (nr_h1_parse_request(bytes, len, &fuzz_limits, fields, FUZZ_FIELDS_MAX, &head) == NR_H1_OK) {
        EXPECT(got.scan == NR_H1_SCAN_DONE && head.version != 0);
        accepted(&head);
    }
    free(bytes);
    return 0;
}
