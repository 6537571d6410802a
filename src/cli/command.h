/* SPDX-License-Identifier: Apache-2.0 */
/* command.h - what a command of the program is: words, options, help, and a function.
 *
 * Commands are constant tables (commands.c); parsing, help, completion and the reference page are
 * made from them, so they cannot disagree. */
#ifndef NR_CLI_COMMAND_H
#define NR_CLI_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "naru/span.h"

#define NR_VERSION "0.1.0"

/* Exit codes are a contract: scripts and units rely on them. */
enum nr_exit {
    NR_EXIT_OK = 0,
    NR_EXIT_FAILURE = 1, /* failed while running */
    NR_EXIT_USAGE = 2,   /* the command line is wrong */
    NR_EXIT_CONFIG = 3,  /* the configuration is wrong or cannot be read */
    NR_EXIT_LISTEN = 4,  /* an address cannot be listened on */
    NR_EXIT_NAME = 5,    /* a name in the configuration does not resolve */
    NR_EXIT_ADMIN = 6,   /* no naru answers at the admin address */
};

enum { NR_OPTIONS_MAX = 16, NR_WORDS_MAX = 4, NR_MANY_MAX = 64 };

struct nr_option {
    const char *name;  /* without the dashes */
    char letter;       /* of the short form; 0: none */
    const char *value; /* what it takes: "FILE"; NULL: nothing */
    const char *doc;
};

/* A parsed command line; values by the index of the command's options, NULL when not given, "" for
 * one that takes nothing. */
struct nr_args {
    const char *values[NR_OPTIONS_MAX]; /* of a repeated one: the last */
    const char *many[NR_MANY_MAX];      /* all of the one that may be repeated */
    uint32_t many_count;
    const char *words[NR_WORDS_MAX];
    uint32_t word_count;
};

struct nr_command {
    const char *name;
    const char *synopsis; /* words after the options: "[COMMAND]" */
    const char *summary;  /* one line */
    const char *details;  /* further paragraphs, in lines; may be NULL */
    const struct nr_option *options;
    uint32_t option_count;
    uint32_t many;              /* 1 + the option that may be given again and again; 0: none */
    const char *const *choices; /* values of the first word; ended by NULL; NULL: any */
    uint32_t words_min, words_max;
    int (*run)(const struct nr_args *args);
};

extern const struct nr_command *const nr_commands[]; /* ended by NULL */

/* NULL when there is none. */
const struct nr_command *nr_command_find(const char *name);

/* Parse what follows the command's name. Returns NR_EXIT_OK, or says on stderr what is wrong and
 * returns NR_EXIT_USAGE. *ret_help: --help was asked for, nothing else is checked. */
int nr_args_parse(const struct nr_command *command, int argc, char **argv, struct nr_args *ret_args,
                  bool *ret_help);

/* Help on one command, or on the program (command NULL). */
void nr_help_print(const struct nr_command *command, FILE *to);

/* One row for each exit code: number and meaning. */
void nr_help_exit_codes(FILE *to, const char *format);

/* The nearest of the candidates as ", did you mean 'x'?" into `to` (room bytes), or "". */
void nr_did_you_mean(const char *word, const char *(*candidate)(const void *ctx, uint32_t i),
                     const void *ctx, char *to, size_t room);

/* The commands. */
int nr_cmd_serve(const struct nr_args *args);
int nr_cmd_check(const struct nr_args *args);
int nr_cmd_config(const struct nr_args *args);
int nr_cmd_explain(const struct nr_args *args);
int nr_cmd_simulate(const struct nr_args *args);
int nr_cmd_help(const struct nr_args *args);
int nr_cmd_version(const struct nr_args *args);
int nr_cmd_completion(const struct nr_args *args);

#endif
