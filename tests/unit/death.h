/* SPDX-License-Identifier: Apache-2.0 */
/* death.h - does this end the process by an assertion? The deed is done in a
 * child, whose last words are dropped. */
#ifndef TESTS_UNIT_DEATH_H
#define TESTS_UNIT_DEATH_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* True when deed(argument) aborts; false when it returns or dies otherwise. */
static inline bool aborts(void (*deed)(void *argument), void *argument)
{
    pid_t child = fork();
    int status = 0;

    if (child < 0)
        return false;
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);

        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(null, STDERR_FILENO);
        signal(SIGABRT, SIG_DFL); /* cmocka's own handler would go on */
        deed(argument);
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0)
        ;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
