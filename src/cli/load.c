/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/load.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/strbuf.h"
#include "cli/command.h"
#include "cli/sections.h"
#include "io/process.h"

/* ---- where it comes from ---- */

static void note_file(struct nr_cli_files *files, const char *path)
{
    if (files == NULL)
        return;
    files->paths = realloc(files->paths, (files->count + 1) * sizeof(char *));
    nr_assert(files->paths != NULL);
    files->paths[files->count] = strdup(path);
    nr_assert(files->paths[files->count] != NULL);
    files->count++;
}

void nr_cli_files_done(struct nr_cli_files *files)
{
    for (uint32_t i = 0; i < files->count; i++)
        free(files->paths[i]);
    free(files->paths);
    nr_original_unref(files->original);
    *files = (struct nr_cli_files){0};
}

static struct nr_original *original_of(struct nr_cli_files *files)
{
    return files == NULL ? NULL : files->original;
}

static enum nr_code read_file(void *arg, const char *path, size_t bytes_max, struct nr_arena *arena,
                              struct nr_span *ret_bytes, struct nr_err *err)
{
    char *bytes = NULL;
    size_t len;
    enum nr_code code = nr_process_read_file(path, bytes_max, &bytes, &len, err);

    note_file(arg, path);
    if (code != NR_OK)
        return code;
    *ret_bytes = nr_arena_dup(arena, (struct nr_span){bytes, len});
    free(bytes);
    if (original_of(arg) != NULL)
        nr_original_add_file(original_of(arg), path, *ret_bytes);
    return NR_OK;
}

struct listing {
    struct nr_arena *arena;
    struct nr_span *names;
    uint32_t count, cap;
};

static void list_entry(void *ctx, const char *name)
{
    struct listing *listing = ctx;

    if (listing->count == listing->cap) {
        uint32_t cap = listing->cap == 0 ? 16 : listing->cap * 2;
        struct nr_span *names = nr_arena_alloc(listing->arena, cap * sizeof(*names));

        if (listing->count > 0)
            memcpy(names, listing->names, listing->count * sizeof(*names));
        listing->names = names;
        listing->cap = cap;
    }
    listing->names[listing->count++] = nr_arena_dup(listing->arena, nr_span_of(name));
}

static enum nr_code list_files(void *arg, const char *directory, struct nr_arena *arena,
                               struct nr_span **ret_names, uint32_t *ret_count, struct nr_err *err)
{
    struct listing listing = {.arena = arena};
    enum nr_code code = nr_process_list_files(directory, list_entry, &listing, err);

    note_file(arg, directory);
    if (code != NR_OK)
        return code;
    *ret_names = listing.names;
    *ret_count = listing.count;
    if (original_of(arg) != NULL)
        nr_original_add_listing(original_of(arg), directory, listing.names, listing.count);
    return NR_OK;
}

static const char *environment(void *arg, const char *name)
{
    const char *value = getenv(name);

    if (original_of(arg) != NULL)
        nr_original_add_variable(original_of(arg), name, value);
    return value;
}

static const struct nr_config_source source = {
    .read = read_file,
    .list = list_files,
    .getenv = environment,
};

/* ---- loading ---- */

void nr_cli_print_diags(const struct nr_diags *diags)
{
    for (uint32_t i = 0; i < diags->count; i++) {
        const struct nr_diag *diag = &diags->items[i];
        char text[1024];

        nr_diag_format(diag, text, sizeof(text));
        fprintf(stderr, "%s%s%s%s", diag->level != NR_DIAG_ERROR ? "warning: " : "", text,
                diag->fix != NULL ? ": " : "", diag->fix != NULL ? diag->fix : "");
        if (diag->code != NULL && strcmp(diag->code, "config") != 0)
            fprintf(stderr, " [%s]", diag->code);
        fputc('\n', stderr);
    }
    if (diags->dropped > 0)
        fprintf(stderr, "naru: %u more of this kind are not shown\n", diags->dropped);
}

static struct nr_config_source source_noting(struct nr_cli_files *files)
{
    struct nr_config_source noting = source;

    noting.arg = files;
    return noting;
}

int nr_cli_load_files(const char *path, struct nr_cli_files *files, struct nr_config **ret_config)
{
    const struct nr_config_source noting = source_noting(files);
    struct nr_arena arena;
    struct nr_diags diags;
    enum nr_code code;

    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 0);
    code = nr_config_load(nr_section_roots, NR_SECTION_COUNT, &noting,
                          path == NULL ? NR_CONFIG_PATH_DEFAULT : path, &diags, ret_config);
    nr_diags_sort(&diags);
    nr_cli_print_diags(&diags);
    if (code != NR_OK && path == NULL)
        fputs("naru: say which file with -c FILE, or run without one: "
              "naru serve --to 127.0.0.1:3000\n",
              stderr);
    nr_arena_done(&arena);
    return code == NR_OK ? NR_EXIT_OK : NR_EXIT_CONFIG;
}

int nr_cli_load_as(const struct nr_cli_load *load, struct nr_config **ret_config)
{
    struct nr_config_source setting = source;
    struct nr_arena arena;
    struct nr_diags diags;
    enum nr_code code;

    setting.sets = load->sets;
    setting.set_count = load->set_count;
    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 0);
    if (load->text != NULL)
        code = nr_config_load_bytes(load->roots, load->root_count, &setting, load->path,
                                    nr_span_of(load->text), &diags, ret_config);
    else
        code =
            nr_config_load(load->roots, load->root_count, &setting, load->path, &diags, ret_config);
    nr_diags_sort(&diags);
    nr_cli_print_diags(&diags);
    nr_arena_done(&arena);
    return code == NR_OK ? NR_EXIT_OK : NR_EXIT_CONFIG;
}

int nr_cli_load(const char *path, struct nr_config **ret_config)
{
    return nr_cli_load_files(path, NULL, ret_config);
}

int nr_cli_load_quietly(const char *path, struct nr_diags *diags, struct nr_config **ret_config)
{
    enum nr_code code =
        nr_config_load(nr_section_roots, NR_SECTION_COUNT, &source, path, diags, ret_config);

    nr_diags_sort(diags);
    return code == NR_OK ? NR_EXIT_OK : NR_EXIT_CONFIG;
}

/* Text that no file holds. Its name is what diagnostics call it. */
static enum nr_code load_text(const char *name, struct nr_span text,
                              const struct nr_config_source *noting, struct nr_diags *diags,
                              struct nr_config **ret_config)
{
    if (original_of(noting->arg) != NULL)
        nr_original_add_file(original_of(noting->arg), name, text);
    return nr_config_load_bytes(nr_section_roots, NR_SECTION_COUNT, noting, name, text, diags,
                                ret_config);
}

enum nr_code nr_cli_reload(const char *path, const struct nr_span *text, struct nr_cli_files *files,
                           struct nr_diags *diags, struct nr_config **ret_config)
{
    const struct nr_config_source noting = source_noting(files);

    if (text == NULL)
        return nr_config_load(nr_section_roots, NR_SECTION_COUNT, &noting, path, diags, ret_config);
    return load_text("configuration", *text, &noting, diags, ret_config);
}

enum nr_code nr_cli_load_original(const struct nr_original *original, struct nr_diags *diags,
                                  struct nr_config **ret_config)
{
    const struct nr_config_source then = nr_original_source(original);

    return nr_config_load(nr_section_roots, NR_SECTION_COUNT, &then, nr_original_path(original),
                          diags, ret_config);
}

/* JSON strings are YAML; a dollar sign would be a variable. */
static void put_quoted(struct nr_strbuf *out, const char *text)
{
    struct nr_json *string = nr_json_string(nr_span_of(text));
    char *quoted = nr_json_dump(string, 0);

    for (const char *at = quoted; *at != '\0'; at++)
        nr_strbuf_printf(out, "%s%c", *at == '$' ? "$" : "", *at);
    free(quoted);
    nr_json_free(string);
}

int nr_cli_load_to(const char *to, const char *listen, const char *admin,
                   struct nr_cli_files *files, struct nr_config **ret_config)
{
    const struct nr_config_source noting = source_noting(files);
    struct nr_strbuf text = {0};
    struct nr_arena arena;
    struct nr_diags diags;
    enum nr_code code;

    NR_STRBUF_LIT(&text, "gateway:\n  listen: [{address: ");
    put_quoted(&text, listen != NULL ? listen : "127.0.0.1:8080");
    NR_STRBUF_LIT(&text, "}]\n  routes: [{match: {path: \"/*\"}, service: app}]\n"
                         "services:\n  app: {instances: [");
    put_quoted(&text, to);
    NR_STRBUF_LIT(&text, "]}\nadmin: {listen: ");
    put_quoted(&text, admin != NULL ? admin : "127.0.0.1:9900");
    NR_STRBUF_LIT(&text, "}\n");

    nr_arena_init(&arena, NULL, 0);
    nr_diags_init(&diags, &arena, 0);
    code = load_text("command line", nr_strbuf_span(&text), &noting, &diags, ret_config);
    /* Lines and columns of a text that nobody wrote would only mislead. */
    for (uint32_t i = 0; i < diags.count; i++)
        fprintf(stderr, "naru serve: %s: %s\n", diags.items[i].path, diags.items[i].text);
    nr_strbuf_done(&text);
    nr_arena_done(&arena);
    return code == NR_OK ? NR_EXIT_OK : NR_EXIT_USAGE;
}
