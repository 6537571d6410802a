/* SPDX-License-Identifier: Apache-2.0 */
#include "config/node.h"

#include <errno.h>
#include <stdlib.h>

#include "config/tree.h"

const struct nr_node *nr_node_get(const struct nr_node *node, struct nr_span key)
{
    if (node == NULL || node->kind != NR_NODE_MAPPING)
        return NULL;
    for (const struct nr_node *entry = node->first; entry != NULL; entry = entry->next)
        if (nr_span_eq(entry->key, key))
            return entry;
    return NULL;
}

/* The element that "[3]" at *path names; moves *path behind the bracket. */
static const struct nr_node *element(const struct nr_node *node, const char **path)
{
    char *end;
    unsigned long index = strtoul(*path + 1, &end, 10);
    const struct nr_node *child;

    if (*end != ']' || node->kind != NR_NODE_SEQUENCE || index >= node->count)
        return NULL;
    for (child = node->first; index > 0; index--)
        child = child->next;
    *path = end + 1;
    return child;
}

const struct nr_node *nr_node_find(const struct nr_node *root, const char *path)
{
    const struct nr_node *node = root;

    while (node != NULL && *path != '\0') {
        size_t len;

        if (*path == '.')
            path++;
        if (*path == '[') {
            node = element(node, &path);
            continue;
        }
        len = strcspn(path, ".[");
        node = nr_node_get(node, (struct nr_span){path, len});
        path += len;
    }
    return node;
}

struct nr_place nr_node_place(const struct nr_node *node)
{
    return node->key.ptr != NULL ? node->key_place : node->place;
}

/* Numbers as YAML 1.2, 10.3.2 has them, without octal and hexadecimal, .inf and .nan. */
static bool number_shaped(struct nr_span text)
{
    size_t at = 0, digits = 0;

    if (at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+'))
        at++;
    for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
        digits++;
    if (at < text.len && text.ptr[at] == '.')
        for (at++; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
            digits++;
    if (digits == 0)
        return false;
    if (at < text.len && (text.ptr[at] == 'e' || text.ptr[at] == 'E')) {
        at++;
        if (at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+'))
            at++;
        if (at == text.len)
            return false;
        while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
            at++;
    }
    return at == text.len;
}

static struct nr_json *scalar_json(const struct nr_node *node)
{
    struct nr_span text = node->text;
    long long integer;
    char *end;

    if (node->quoted)
        return nr_json_string(text);
    if (node->null)
        return nr_json_null();
    if (nr_span_eq(text, NR_SPAN("true")) || nr_span_eq(text, NR_SPAN("false")))
        return nr_json_bool(text.ptr[0] == 't');
    if (!number_shaped(text))
        return nr_json_string(text);
    errno = 0;
    integer = strtoll(text.ptr, &end, 10);
    if (*end == '\0' && errno == 0)
        return nr_json_integer(integer);
    return nr_json_real(strtod(text.ptr, NULL));
}

struct nr_json *nr_node_json(const struct nr_node *node)
{
    struct nr_json *json;

    if (node->kind == NR_NODE_SCALAR)
        return scalar_json(node);
    json = node->kind == NR_NODE_SEQUENCE ? nr_json_array() : nr_json_object();
    for (const struct nr_node *child = node->first; child != NULL; child = child->next) {
        if (node->kind == NR_NODE_SEQUENCE)
            nr_json_push(json, nr_node_json(child));
        else
            nr_json_set(json, child->key.ptr, nr_node_json(child));
    }
    return json;
}
