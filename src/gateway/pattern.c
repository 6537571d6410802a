/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/pattern.h"

#include "codec/uri.h"
#include "gateway/router.h"

/* A segment with its slash in front, off the front of *rest; false at the end. */
static bool next_segment(struct nr_span *rest, struct nr_span *ret_segment)
{
    const char *slash;
    size_t len;

    if (rest->len == 0)
        return false;
    slash = memchr(rest->ptr + 1, '/', rest->len - 1);
    len = slash == NULL ? rest->len : (size_t)(slash - rest->ptr);
    *ret_segment = (struct nr_span){rest->ptr, len};
    *rest = nr_span_from(*rest, len);
    return true;
}

static bool is_param(struct nr_span segment)
{
    return segment.len > 3 && segment.ptr[1] == '{' && segment.ptr[segment.len - 1] == '}';
}

static struct nr_span param_name(struct nr_span segment)
{
    return (struct nr_span){segment.ptr + 2, segment.len - 3};
}

static bool is_star(struct nr_span segment)
{
    return nr_span_eq(segment, NR_SPAN("/*"));
}

bool nr_pattern_is_prefix(struct nr_span pattern)
{
    return pattern.len >= 2 && memcmp(pattern.ptr + pattern.len - 2, "/*", 2) == 0;
}

uint32_t nr_pattern_segments(struct nr_span pattern)
{
    uint32_t count = 0;

    for (size_t i = 0; i < pattern.len; i++)
        count += pattern.ptr[i] == '/';
    return count;
}

/* ---- checking ---- */

static bool name_sound(struct nr_span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i], lower = nr_ascii_lower(c);

        if (!((lower >= 'a' && lower <= 'z') || c == '_' || (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return name.len > 0 && name.len <= 32;
}

static enum nr_code check_param(struct nr_span pattern, struct nr_span segment, struct nr_err *err)
{
    struct nr_span name = param_name(segment);

    if (!name_sound(name))
        return nr_err_set(err, NR_EINVAL,
                          "a parameter is 1 to 32 letters, digits and '_' in braces, got '%.*s'",
                          (int)segment.len - 1, segment.ptr + 1);
    for (struct nr_span rest = pattern, other; next_segment(&rest, &other);)
        if (is_param(other) && other.ptr != segment.ptr && nr_span_eq(param_name(other), name))
            return nr_err_set(err, NR_EINVAL, "parameter '%.*s' stands twice in '%.*s'",
                              (int)name.len, name.ptr, (int)pattern.len, pattern.ptr);
    return NR_OK;
}

static enum nr_code check_literal(struct nr_span pattern, struct nr_span segment,
                                  struct nr_err *err)
{
    char text[NR_PATTERN_BYTES_MAX];
    size_t len;

    if (memchr(segment.ptr, '{', segment.len) != NULL ||
        memchr(segment.ptr, '}', segment.len) != NULL)
        return nr_err_set(err, NR_EINVAL,
                          "a parameter is a whole segment, as in /users/{id}, "
                          "got '%.*s'",
                          (int)pattern.len, pattern.ptr);
    memcpy(text, segment.ptr, segment.len);
    if (!nr_uri_canonical_path(text, segment.len, &len))
        return nr_err_set(err, NR_EINVAL, "no request has '%.*s' in its path", (int)segment.len,
                          segment.ptr);
    if (!nr_span_eq((struct nr_span){text, len}, segment))
        return nr_err_set(err, NR_EINVAL,
                          "requests are compared in their canonical form: write "
                          "'%.*s' for '%.*s'",
                          (int)len, text, (int)segment.len, segment.ptr);
    return NR_OK;
}

enum nr_code nr_pattern_check(struct nr_span pattern, struct nr_err *err)
{
    const char *star = memchr(pattern.ptr, '*', pattern.len);
    struct nr_span rest = pattern, segment;
    uint32_t params = 0;

    if (pattern.len == 0 || pattern.ptr[0] != '/')
        return nr_err_set(err, NR_EINVAL, "a path starts with '/', got '%.*s'", (int)pattern.len,
                          pattern.ptr);
    if (star != NULL && (star + 1 != pattern.ptr + pattern.len || star[-1] != '/'))
        return nr_err_set(err, NR_EINVAL, "'*' stands only at the end, after '/', got '%.*s'",
                          (int)pattern.len, pattern.ptr);
    if (memchr(pattern.ptr, '?', pattern.len) != NULL ||
        memchr(pattern.ptr, '#', pattern.len) != NULL)
        return nr_err_set(err, NR_EINVAL, "a path has no '?' and no '#', got '%.*s'",
                          (int)pattern.len, pattern.ptr);
    if (pattern.len > NR_PATTERN_BYTES_MAX || nr_pattern_segments(pattern) > NR_ROUTER_SEGMENTS_MAX)
        return nr_err_set(err, NR_EINVAL, "a path has at most %d segments", NR_ROUTER_SEGMENTS_MAX);
    while (next_segment(&rest, &segment)) {
        enum nr_code code = NR_OK;

        if (is_param(segment)) {
            params++;
            code = check_param(pattern, segment, err);
        } else if (!is_star(segment)) {
            code = check_literal(pattern, segment, err);
        }
        if (code != NR_OK)
            return code;
    }
    if (params > NR_PATTERN_PARAMS_MAX)
        return nr_err_set(err, NR_EINVAL, "a path has at most %d parameters",
                          NR_PATTERN_PARAMS_MAX);
    return NR_OK;
}

/* ---- matching ---- */

int nr_pattern_param(struct nr_span pattern, struct nr_span name)
{
    struct nr_span segment;
    int index = 0;

    while (next_segment(&pattern, &segment)) {
        if (!is_param(segment))
            continue;
        if (nr_span_eq(param_name(segment), name))
            return index;
        index++;
    }
    return -1;
}

bool nr_pattern_match(struct nr_span pattern, struct nr_span path, struct nr_captures *ret)
{
    struct nr_captures captures = {0};
    struct nr_span segment, given;
    uint32_t params = 0;

    while (next_segment(&pattern, &segment)) {
        if (is_star(segment) && pattern.len == 0) {
            captures.tail = path.len > 0 ? nr_span_from(path, 1) : path;
            path.len = 0;
            break;
        }
        if (!next_segment(&path, &given))
            return false;
        if (!is_param(segment)) {
            if (!nr_span_eq(segment, given))
                return false;
            continue;
        }
        if (given.len < 2)
            return false;
        if (params < NR_PATTERN_PARAMS_MAX)
            captures.params[params++] = nr_span_from(given, 1);
    }
    if (path.len > 0)
        return false;
    if (ret != NULL)
        *ret = captures;
    return true;
}

bool nr_pattern_covers(struct nr_span wide, struct nr_span narrow)
{
    struct nr_span want, have;

    while (next_segment(&wide, &want)) {
        if (is_star(want) && wide.len == 0)
            return true;
        if (!next_segment(&narrow, &have) || (is_star(have) && narrow.len == 0))
            return false;
        if (is_param(want) ? have.len < 2 : !nr_span_eq(want, have))
            return false;
    }
    return narrow.len == 0;
}
