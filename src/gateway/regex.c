/* SPDX-License-Identifier: Apache-2.0 */
/* regex.c - PCRE2 behind regex.h.
 *
 * A match needs a block of working memory. Each regex keeps one spare in an atomic slot: whoever
 * matches takes it, or makes one if another thread holds it, and puts it back. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "gateway/regex.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

enum { HEAP_KIB_MAX = 256, DEPTH_MAX = 1000 };

struct nr_regex {
    pcre2_code *code;
    pcre2_match_context *context;
    pcre2_match_data *spare; /* atomic; NULL: in use */
};

enum nr_code nr_regex_new(struct nr_span pattern, struct nr_regex **ret_regex, struct nr_err *err)
{
    /* The whole text must match: without anchors a pattern that is meant for a path would
     * also match inside of others. \C could cut characters, and is of no use. */
    const uint32_t options = PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY |
                             PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C;
    struct nr_regex *regex;
    pcre2_code *code;
    PCRE2_SIZE at;
    uint32_t groups;
    int why;

    if (pattern.len > NR_REGEX_BYTES_MAX)
        return nr_err_set(err, NR_EINVAL, "longer than %d bytes", NR_REGEX_BYTES_MAX);
    code = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len, options, &why, &at, NULL);
    if (code == NULL) {
        char text[128] = "";

        pcre2_get_error_message(why, (PCRE2_UCHAR *)text, sizeof(text));
        return nr_err_set(err, NR_EINVAL, "%s at character %zu", text, (size_t)at + 1);
    }
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
    if (groups >= NR_REGEX_GROUPS_MAX) {
        pcre2_code_free(code);
        return nr_err_set(err, NR_EINVAL, "more than %d groups; (?:…) does not capture",
                          NR_REGEX_GROUPS_MAX - 1);
    }
    regex = calloc(1, sizeof(*regex));
    nr_assert(regex != NULL);
    regex->code = code;
    regex->context = pcre2_match_context_create(NULL);
    nr_assert(regex->context != NULL);
    pcre2_set_match_limit(regex->context, NR_REGEX_STEPS_MAX);
    pcre2_set_depth_limit(regex->context, DEPTH_MAX);
    pcre2_set_heap_limit(regex->context, HEAP_KIB_MAX);
    /* Where writable memory must not become executable, this fails and the interpreter serves. */
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    *ret_regex = regex;
    return NR_OK;
}

void nr_regex_free(struct nr_regex *regex)
{
    if (regex == NULL)
        return;
    pcre2_match_data_free(regex->spare);
    pcre2_match_context_free(regex->context);
    pcre2_code_free(regex->code);
    free(regex);
}

static pcre2_match_data *take_data(struct nr_regex *regex)
{
    pcre2_match_data *data = __atomic_exchange_n(&regex->spare, NULL, __ATOMIC_ACQUIRE);

    if (data == NULL)
        data = pcre2_match_data_create_from_pattern(regex->code, NULL);
    nr_assert(data != NULL);
    return data;
}

static void put_data(struct nr_regex *regex, pcre2_match_data *data)
{
    pcre2_match_data_free(__atomic_exchange_n(&regex->spare, data, __ATOMIC_ACQ_REL));
}

bool nr_regex_match(const struct nr_regex *regex, struct nr_span text, struct nr_span *groups)
{
    struct nr_regex *shared = (struct nr_regex *)regex; /* only the spare changes, atomically */
    pcre2_match_data *data = take_data(shared);
    PCRE2_SPTR bytes = (PCRE2_SPTR)(text.ptr == NULL ? "" : text.ptr);
    int count = pcre2_match(regex->code, bytes, text.len, 0, 0, data, regex->context);
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data);

    for (int i = 0; groups != NULL && i < NR_REGEX_GROUPS_MAX; i++) {
        groups[i] = (struct nr_span){NULL, 0};
        if (i < count && ends[2 * i] != PCRE2_UNSET)
            groups[i] = (struct nr_span){text.ptr + ends[2 * i], ends[2 * i + 1] - ends[2 * i]};
    }
    put_data(shared, data);
    return count > 0;
}

int nr_regex_group(const struct nr_regex *regex, struct nr_span name)
{
    char text[64];
    int number = 0;
    uint32_t groups;

    if (name.len == 0 || name.len >= sizeof(text))
        return -1;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    if (strspn(text, "0123456789") != name.len)
        number = pcre2_substring_number_from_name(regex->code, (PCRE2_SPTR)text);
    else if (name.len <= 2)
        number = atoi(text);
    else
        return -1;
    pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    return number >= 0 && (uint32_t)number <= groups ? number : -1;
}

void nr_regex_plainer(struct nr_span pattern, char *to, size_t room)
{
    struct nr_span rest = pattern;
    size_t len = 0;

    to[0] = '\0';
    if (rest.len > 0 && rest.ptr[0] == '^')
        rest = nr_span_from(rest, 1);
    if (rest.len > 0 && rest.ptr[rest.len - 1] == '$')
        rest.len--;
    while (rest.len > 0 && len + 3 < room) {
        char c = rest.ptr[0];
        bool escaped = c == '\\' && rest.len > 1 && strchr(".-/~_", rest.ptr[1]) != NULL;

        if (nr_span_eq(rest, NR_SPAN(".*")) && len > 0 && to[len - 1] == '/') {
            to[len++] = '*';
            break;
        }
        if (escaped)
            c = rest.ptr[1];
        else if (strchr(".[](){}*+?|\\^$", c) != NULL)
            len = room;
        if (len < room)
            to[len++] = c;
        rest = nr_span_from(rest, escaped ? 2 : 1);
    }
    to[len < room && (rest.len == 0 || to[len - 1] == '*') ? len : 0] = '\0';
}
