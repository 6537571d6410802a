/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the program: hand the words of the command line to their command. */
#include <stdio.h>

#include "cli/command.h"
#include "io/epoll.h"

static const char *command_name(const void *ctx, uint32_t i)
{
    return nr_commands[i] == NULL ? NULL : nr_commands[i]->name;
}

/* What people type before they have read anything. */
static const char *meant(const char *word)
{
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return "help";
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0 || strcmp(word, "-v") == 0)
        return "version";
    return word;
}

int main(int argc, char **argv)
{
    const struct nr_command *command;
    struct nr_args args;
    char hint[128];
    bool help;
    int code;

    nr_io_block_signals();
    if (argc < 2) {
        nr_help_print(NULL, stderr);
        return NR_EXIT_USAGE;
    }
    command = nr_command_find(meant(argv[1]));
    if (command == NULL) {
        nr_did_you_mean(argv[1], command_name, NULL, hint, sizeof(hint));
        fprintf(stderr, "naru: unknown command '%s'%s; 'naru help' lists them\n", argv[1], hint);
        return NR_EXIT_USAGE;
    }
    code = nr_args_parse(command, argc - 2, argv + 2, &args, &help);
    if (code != NR_EXIT_OK)
        return code;
    if (help)
        nr_help_print(command, stdout);
    else
        code = command->run(&args);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("naru: cannot write to standard output");
        return code == NR_EXIT_OK ? NR_EXIT_FAILURE : code;
    }
    return code;
}
