/* SPDX-License-Identifier: Apache-2.0 */
/* completion.c - completion scripts, from the tables of commands. */
#include "cli/command.h"

static void put_names(FILE *to)
{
    for (const struct nr_command *const *at = nr_commands; *at != NULL; at++)
        fprintf(to, "%s%s", at == nr_commands ? "" : " ", (*at)->name);
}

static void put_words(FILE *to, const struct nr_command *command)
{
    for (uint32_t i = 0; i < command->option_count; i++)
        fprintf(to, "--%s ", command->options[i].name);
    for (const char *const *at = command->choices; at != NULL && *at != NULL; at++)
        fprintf(to, "%s ", *at);
    if (command->run == nr_cmd_help)
        put_names(to);
    else
        fputs("--help", to);
}

static void bash(FILE *to)
{
    fputs("_naru() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words\n"
          "    case $before in\n"
          "    -c | --config) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
          "    esac\n"
          "    case ${COMP_WORDS[1]} in\n",
          to);
    for (const struct nr_command *const *at = nr_commands; *at != NULL; at++) {
        fprintf(to, "    %s) words='", (*at)->name);
        put_words(to, *at);
        fputs("' ;;\n", to);
    }
    fputs("    *) words='' ;;\n"
          "    esac\n"
          "    [ \"$COMP_CWORD\" -gt 1 ] || words='",
          to);
    put_names(to);
    fputs("'\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "}\n"
          "complete -o default -F _naru naru\n",
          to);
}

static void zsh(FILE *to)
{
    fputs("autoload -U +X bashcompinit && bashcompinit\n", to);
    bash(to);
}

static void fish(FILE *to)
{
    fputs("complete -c naru -f\n", to);
    for (const struct nr_command *const *at = nr_commands; *at != NULL; at++) {
        const struct nr_command *command = *at;

        fprintf(to, "complete -c naru -n __fish_use_subcommand -a %s -d '%s'\n", command->name,
                command->summary);
        for (uint32_t i = 0; i < command->option_count; i++) {
            const struct nr_option *option = &command->options[i];

            fprintf(to, "complete -c naru -n '__fish_seen_subcommand_from %s' -l %s", command->name,
                    option->name);
            if (option->letter != 0)
                fprintf(to, " -s %c", option->letter);
            fprintf(to, "%s%s -d '%s'\n", option->value != NULL ? " -r" : "",
                    option->letter == 'c' ? " -F" : "", option->doc);
        }
        for (const char *const *choice = command->choices; choice != NULL && *choice != NULL;
             choice++)
            fprintf(to, "complete -c naru -n '__fish_seen_subcommand_from %s' -a %s\n",
                    command->name, *choice);
    }
}

int nr_cmd_completion(const struct nr_args *args)
{
    switch (args->words[0][0]) {
    case 'b': bash(stdout); break;
    case 'z': zsh(stdout); break;
    default: fish(stdout); break;
    }
    return NR_EXIT_OK;
}
