/* SPDX-License-Identifier: Apache-2.0 */
/* Any lines as the words behind each command: parsed or refused, never more than there is room
 * for, and a value is one of the words or within one. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

#define EXPECT(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 12 };

static void parse(const struct nr_command *command, int argc, char **argv, const char *from,
                  size_t bytes)
{
    struct nr_args args = {.word_count = 0};
    bool help = false;
    int code = nr_args_parse(command, argc, argv, &args, &help);

    EXPECT(code == NR_EXIT_OK || code == NR_EXIT_USAGE);
    if (code != NR_EXIT_OK || help)
        return;
    EXPECT(args.word_count >= command->words_min && args.word_count <= command->words_max);
    for (uint32_t i = 0; i < args.word_count; i++)
        EXPECT(args.words[i] >= from && args.words[i] < from + bytes);
    for (uint32_t i = 0; i < command->option_count; i++)
        if (args.values[i] != NULL && command->options[i].value != NULL)
            EXPECT(args.values[i] >= from && args.values[i] < from + bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *nowhere;
    FILE *before = stderr;
    char *text = malloc(size + 1), *argv[WORDS_MAX + 1] = {NULL}, *at = text;
    int argc = 0;

    EXPECT(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    for (char *word; argc < WORDS_MAX && (word = strsep(&at, "\n")) != NULL;)
        argv[argc++] = word;
    if (nowhere == NULL)
        nowhere = fopen("/dev/null", "w");
    EXPECT(nowhere != NULL);
    stderr = nowhere; /* what it says about the words */
    for (size_t i = 0; nr_commands[i] != NULL; i++)
        parse(nr_commands[i], argc, argv, text, size + 1);
    stderr = before;
    (void)nr_command_find(text);
    free(text);
    return 0;
}
