/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the program: hand the words of the command line to their command. */
#include <stdio.h>

int main(void)
{
    puts("naru 0.1.0");
    return 0;
}
