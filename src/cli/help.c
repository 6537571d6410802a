/* SPDX-License-Identifier: Apache-2.0 */
#include "base/compiler.h"
#include "cli/command.h"

static const struct {
    int code;
    const char *meaning;
} exits[] = {
    {NR_EXIT_OK, "all went well"},
    {NR_EXIT_FAILURE,
     "failed while running; check: a finding at the level of --fail-on; explain: no such "
     "route, record or reason"},
    {NR_EXIT_USAGE, "the command line is wrong"},
    {NR_EXIT_CONFIG, "the configuration is wrong or cannot be read"},
    {NR_EXIT_LISTEN, "an address cannot be listened on: in use, or not permitted"},
    {NR_EXIT_NAME, "a name in the configuration does not resolve"},
    {NR_EXIT_ADMIN, "no naru answers at the admin address, or it wants another token"},
};

void nr_help_exit_codes(FILE *to, const char *format)
{
    for (size_t i = 0; i < NR_COUNT(exits); i++) {
        /* The format is one of two literals of this folder. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        fprintf(to, format, exits[i].code, exits[i].meaning);
#pragma GCC diagnostic pop
    }
}

static void print_options(const struct nr_command *command, FILE *to)
{
    fputs("\noptions:\n", to);
    for (uint32_t i = 0; i < command->option_count; i++) {
        const struct nr_option *option = &command->options[i];
        char left[64];

        snprintf(left, sizeof(left), "%c%c%s--%s %s", option->letter != 0 ? '-' : ' ',
                 option->letter != 0 ? option->letter : ' ', option->letter != 0 ? ", " : "  ",
                 option->name, option->value != NULL ? option->value : "");
        fprintf(to, "  %-24s %s\n", left, option->doc);
    }
    fprintf(to, "  %-24s %s\n", "-h, --help", "this text");
}

static void print_details(const char *at, FILE *to)
{
    fputc('\n', to);
    while (at != NULL && *at != '\0') {
        size_t len = strcspn(at, "\n");

        fprintf(to, "%.*s\n", (int)len, at);
        at += len + (at[len] == '\n');
    }
}

void nr_help_print(const struct nr_command *command, FILE *to)
{
    if (command != NULL) {
        bool options = command->option_count > 0;

        fprintf(to, "usage: naru %s%s%s%s\n\n%s\n", command->name, options ? " [OPTION...]" : "",
                command->synopsis[0] != '\0' ? " " : "", command->synopsis, command->summary);
        if (command->details != NULL)
            print_details(command->details, to);
        print_options(command, to);
        return;
    }
    fputs("usage: naru COMMAND [OPTION...]\n\n"
          "A gateway and proxy for the services behind one address.\n\ncommands:\n",
          to);
    for (const struct nr_command *const *at = nr_commands; *at != NULL; at++)
        fprintf(to, "  %-12s %s\n", (*at)->name, (*at)->summary);
    fputs("\nfirst steps:\n"
          "  naru serve --to 127.0.0.1:3000    a gateway on 127.0.0.1:8080, without a file\n"
          "  naru check -c naru.yaml           what is wrong, and what will hurt\n"
          "  naru serve -c naru.yaml           run it\n"
          "\nexit codes:\n",
          to);
    nr_help_exit_codes(to, "  %d  %s\n");
}

static const char *command_name(const void *ctx, uint32_t i)
{
    return nr_commands[i] == NULL ? NULL : nr_commands[i]->name;
}

int nr_cmd_help(const struct nr_args *args)
{
    const struct nr_command *command = NULL;
    char hint[128];

    if (args->word_count > 0) {
        command = nr_command_find(args->words[0]);
        if (command == NULL) {
            nr_did_you_mean(args->words[0], command_name, NULL, hint, sizeof(hint));
            fprintf(stderr, "naru: unknown command '%s'%s\n", args->words[0], hint);
            return NR_EXIT_USAGE;
        }
    }
    nr_help_print(command, stdout);
    return NR_EXIT_OK;
}

int nr_cmd_version(const struct nr_args *args)
{
    puts("naru " NR_VERSION);
    return NR_EXIT_OK;
}
