/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_text.h"

#include <string.h>

#include "base/copy.h"

void nr_json_text_raw(struct nr_json_text *to, struct nr_span bytes)
{
    if (bytes.len > (size_t)(to->end - to->at)) {
        to->cut = true;
        return;
    }
    memcpy(to->at, bytes.ptr, bytes.len);
    to->at += bytes.len;
}

void nr_json_text_u64(struct nr_json_text *to, uint64_t value)
{
    char digits[NR_DECIMAL_BYTES];

    nr_json_text_raw(to, nr_decimal(digits, value));
}

void nr_json_text_milli(struct nr_json_text *to, uint64_t value)
{
    uint64_t rest = value % 1000;
    char decimals[4] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                        (char)('0' + rest % 10)};

    nr_json_text_u64(to, value / 1000);
    nr_json_text_raw(to, (struct nr_span){decimals, sizeof(decimals)});
}

/* RFC 3629, section 4: the table of well-formed sequences. */
size_t nr_utf8_char(struct nr_span text)
{
    const unsigned char *s = (const unsigned char *)text.ptr;
    unsigned char low = 0x80, high = 0xbf;
    size_t len;

    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        len = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        len = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        len = 4;
    else
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0; /* below: overlong */
    else if (s[0] == 0xed)
        high = 0x9f; /* above: surrogates */
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f; /* above: beyond U+10FFFF */
    if (text.len < len || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return len;
}

static bool plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x7f && c != '"' && c != '\\';
}

static void control(struct nr_json_text *to, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

    switch (c) {
    case '"': NR_JSON_TEXT_LIT(to, "\\\""); break;
    case '\\': NR_JSON_TEXT_LIT(to, "\\\\"); break;
    case '\n': NR_JSON_TEXT_LIT(to, "\\n"); break;
    case '\r': NR_JSON_TEXT_LIT(to, "\\r"); break;
    case '\t': NR_JSON_TEXT_LIT(to, "\\t"); break;
    default: nr_json_text_raw(to, (struct nr_span){escape, sizeof(escape)});
    }
}

void nr_json_text_string(struct nr_json_text *to, struct nr_span text, size_t bytes_max)
{
    bool cut = text.len > bytes_max;
    size_t at = 0;
    size_t end = cut ? bytes_max : text.len;

    NR_JSON_TEXT_LIT(to, "\"");
    while (at < end) {
        size_t run = at;
        size_t len;

        while (run < end && plain(text.ptr[run]))
            run++;
        if (run > at) {
            nr_json_text_raw(to, (struct nr_span){text.ptr + at, run - at});
            at = run;
            continue;
        }
        len = nr_utf8_char((struct nr_span){text.ptr + at, text.len - at});
        if (cut && at + len > end)
            break; /* not half a character */
        if (len == 0)
            NR_JSON_TEXT_LIT(to, "\\ufffd");
        else if (len == 1)
            control(to, (unsigned char)text.ptr[at]);
        else
            nr_json_text_raw(to, (struct nr_span){text.ptr + at, len});
        at += len > 0 ? len : 1;
    }
    if (cut)
        NR_JSON_TEXT_LIT(to, "\xe2\x80\xa6");
    NR_JSON_TEXT_LIT(to, "\"");
}
