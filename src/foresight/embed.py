#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py OUT.c FILE…: the files as C strings, so that the program carries its scenarios along."""

import os
import sys


def literal(text):
    for line in text.splitlines():
        yield '        "' + line.replace("\\", "\\\\").replace('"', '\\"') + '\\n"'


def main(out, paths):
    lines = ["/* Made by embed.py from examples/scenarios. */", '#include "foresight/included.h"', "",
             "const struct nr_included nr_included[] = {"]
    for path in sorted(paths, key=os.path.basename):
        with open(path, encoding="utf-8") as file:
            lines += [f'    {{"{os.path.basename(path)}",'] + list(literal(file.read())) + ["    },"]
    lines += ["    {0},", "};", ""]
    with open(out, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
