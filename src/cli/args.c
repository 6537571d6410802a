/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/arena.h"
#include "cli/command.h"
#include "config/text.h"

void nr_did_you_mean(const char *word, const char *(*candidate)(const void *ctx, uint32_t i),
                     const void *ctx, char *to, size_t room)
{
    struct nr_suggest suggest;
    struct nr_arena arena;
    const char *name;

    nr_arena_init(&arena, NULL, 0);
    nr_suggest_init(&suggest, nr_span_of(word));
    for (uint32_t i = 0; (name = candidate(ctx, i)) != NULL; i++)
        nr_suggest_try(&suggest, nr_span_of(name));
    snprintf(to, room, "%s", nr_suggest_text(&suggest, &arena));
    nr_arena_done(&arena);
}

static const char *option_name(const void *ctx, uint32_t i)
{
    const struct nr_command *command = ctx;

    if (i < command->option_count)
        return command->options[i].name;
    return i == command->option_count ? "help" : NULL;
}

static const char *choice_name(const void *ctx, uint32_t i)
{
    const struct nr_command *command = ctx;

    return command->choices[i];
}

/* The option that `arg` names, in its long or short form; -1: none. *ret_value: what stands behind
 * '=' or the letter, NULL when the value is the next argument. */
static int find_option(const struct nr_command *command, const char *arg, const char **ret_value)
{
    bool is_long = arg[1] == '-';
    const char *name = arg + (is_long ? 2 : 1);
    size_t len = is_long ? strcspn(name, "=") : 1;

    *ret_value = name[len] == '\0' ? NULL : name + len + (is_long ? 1 : 0);
    for (uint32_t i = 0; i < command->option_count; i++) {
        const struct nr_option *option = &command->options[i];

        if (is_long ? strlen(option->name) == len && memcmp(option->name, name, len) == 0
                    : option->letter != 0 && option->letter == name[0])
            return (int)i;
    }
    return -1;
}

static int usage_error(const struct nr_command *command)
{
    fprintf(stderr, "naru: 'naru help %s' explains the command\n", command->name);
    return NR_EXIT_USAGE;
}

static int unknown_option(const struct nr_command *command, const char *arg)
{
    char name[64], hint[128];

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(arg, "="), arg);
    nr_did_you_mean(name + strspn(name, "-"), option_name, command, hint, sizeof(hint));
    fprintf(stderr, "naru %s: unknown option '%s'%s\n", command->name, name, hint);
    return usage_error(command);
}

static int check_words(const struct nr_command *command, const struct nr_args *args)
{
    char hint[128];

    if (args->word_count < command->words_min) {
        fprintf(stderr, "naru %s: a word is missing: naru %s %s\n", command->name, command->name,
                command->synopsis);
        return usage_error(command);
    }
    if (command->choices == NULL || args->word_count == 0)
        return NR_EXIT_OK;
    for (uint32_t i = 0; command->choices[i] != NULL; i++)
        if (strcmp(command->choices[i], args->words[0]) == 0)
            return NR_EXIT_OK;
    nr_did_you_mean(args->words[0], choice_name, command, hint, sizeof(hint));
    fprintf(stderr, "naru %s: '%s' is not one of %s%s\n", command->name, args->words[0],
            command->synopsis, hint);
    return usage_error(command);
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

/* `value` is what came with the option's own word, or NULL; *i moves over one that comes behind. */
static int take_option(const struct nr_command *command, int option, const char *value, int argc,
                       char **argv, int *i, struct nr_args *args)
{
    const struct nr_option *what = &command->options[option];

    if (what->value == NULL && value != NULL) {
        fprintf(stderr, "naru %s: --%s takes no value\n", command->name, what->name);
        return usage_error(command);
    }
    if (what->value == NULL)
        value = "";
    if (value == NULL && *i + 1 < argc)
        value = argv[++*i];
    if (value == NULL) {
        fprintf(stderr, "naru %s: --%s needs %s\n", command->name, what->name, what->value);
        return usage_error(command);
    }
    args->values[option] = value;
    if ((int)command->many != option + 1)
        return NR_EXIT_OK;
    if (args->many_count == NR_MANY_MAX) {
        fprintf(stderr, "naru %s: --%s more than %d times\n", command->name, what->name,
                NR_MANY_MAX);
        return usage_error(command);
    }
    args->many[args->many_count++] = value;
    return NR_EXIT_OK;
}

int nr_args_parse(const struct nr_command *command, int argc, char **argv, struct nr_args *ret_args,
                  bool *ret_help)
{
    struct nr_args args = {0};
    bool options_end = false;

    *ret_help = false;
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i], *value;
        int option;

        if (!options_end && is_help(arg)) {
            *ret_help = true;
            return NR_EXIT_OK;
        }
        if (!options_end && strcmp(arg, "--") == 0) {
            options_end = true;
            continue;
        }
        if (options_end || arg[0] != '-' || arg[1] == '\0') {
            if (args.word_count >= command->words_max) {
                fprintf(stderr, "naru %s: '%s' is one word too many\n", command->name, arg);
                return usage_error(command);
            }
            args.words[args.word_count++] = arg;
            continue;
        }
        option = find_option(command, arg, &value);
        if (option < 0)
            return unknown_option(command, arg);
        if (take_option(command, option, value, argc, argv, &i, &args) != NR_EXIT_OK)
            return NR_EXIT_USAGE;
    }
    *ret_args = args;
    return check_words(command, &args);
}
