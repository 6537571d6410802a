#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Licence lines, lengths, units in names: what a reader of any file may count on."""

import re

import sources

FUNCTION_LINES_MAX = 100    # the aim is 60; beyond this it has stopped to be one idea
FILE_LINES_MAX = 800        # the aim is 600
SPDX = "SPDX-License-Identifier: Apache-2.0"
TREE = ["src", "include", "tests", "examples", "bench", "dev", ".ci", "meson.build",
        "meson_options.txt"]

_TIME_WORD = r"(?:timeout|delay|interval|deadline|duration|latency|elapsed|ttl|backoff|period)"
_NUMBER = r"(?:u?int(?:8|16|32|64|ptr|max)?_t|unsigned|int|long|size_t|ssize_t|double|float)"
_NO_UNIT = re.compile(rf"\b{_NUMBER}\s+\*?((?:\w+_)?{_TIME_WORD})\b\s*[;,)=\[]")
_FUNCTION_END = re.compile(r"^}\s*$")


def check_spdx(path, text):
    if SPDX not in "\n".join(text.split("\n")[:3]):
        yield f"{path}:1: no {SPDX} line"


def check_file_length(path, text):
    lines = text.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"{path}: {lines} lines, {FILE_LINES_MAX} at most: where does an idea end?"


def check_function_length(path, text):
    """In Linux braces a function's stand in the first column, and nothing else's do."""
    begin, head = 0, ""
    for number, line in enumerate(sources.code(text).splitlines(), 1):
        if line.rstrip() == "{":
            begin = number
        elif begin and _FUNCTION_END.match(line):
            if number - begin - 1 > FUNCTION_LINES_MAX:
                yield (f"{path}:{begin}: {number - begin - 1} lines, {FUNCTION_LINES_MAX} at most: "
                       f"{head}")
            begin = 0
        elif not begin and line.strip():
            head = line.strip()


def check_units(path, text):
    for number, line in enumerate(sources.code(text).splitlines(), 1):
        for name in _NO_UNIT.findall(line):
            yield f"{path}:{number}: {name} has no unit: {name}_ns, _ms or _s"


def check_unfinished(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b", line):
            yield f"{path}:{number}: unfinished by its own word"


def self_tests(tap):
    tap.self_test("no licence", list(check_spdx("a.c", "int x;\n")), 1)
    tap.self_test("a licence", list(check_spdx("dev", f"#!/bin/sh\n# {SPDX}\n")), 0)
    tap.self_test("a long file", list(check_file_length("a.c", "\n" * 801)), 1)
    for lines, want in ((100, 0), (101, 1)):
        body = "void f(void)\n{\n" + "    x();\n" * lines + "}\n"
        tap.self_test(f"a function of {lines} lines",
                      list(check_function_length("a.c", "struct s {\n    int a;\n};\n" + body)), want)
    for line, want in (("uint64_t timeout;", 1), ("uint64_t timeout_ms;", 0),
                       ("int f(unsigned connect_timeout, int b);", 1),
                       ("uint64_t opened_ns, *ret_delay;", 0), ("uint64_t *ret_delay;", 1),
                       ("struct nr_timer timeout;", 0), ("/* int delay; */", 0),
                       ("double elapsed = 0;", 1), ("uint64_t latency_ms_max;", 0)):
        tap.self_test(f"units: {line}", list(check_units("a.c", line)), want)
    tap.self_test("unfinished", list(check_unfinished("a.c", "/* TO" "DO: later */")), 1)


def main():
    tap = sources.Tap()
    self_tests(tap)
    c_files = sources.find(["src", "include", "tests", "examples", "bench"], (".c", ".h"))
    all_files = sorted(set(c_files + sources.find(
        TREE, (".py", ".sh", "meson.build")) + sources.find(
            ["dev", ".ci/run", ".clang-format", ".clang-tidy", ".editorconfig",
             "meson_options.txt"], ("\0",))))
    for name, check, files in (
            ("every source names its licence", check_spdx, all_files),
            (f"no file beyond {FILE_LINES_MAX} lines", check_file_length, all_files),
            (f"no function beyond {FUNCTION_LINES_MAX} lines", check_function_length, c_files),
            ("times carry their unit in their name", check_units, c_files),
            ("nothing is left unfinished", check_unfinished,
             [f for f in all_files if not f.endswith(("test_sources.py", "tap_summary.py"))])):
        tap.check(name, [f for path in files for f in check(path, sources.read(path))])
    tap.done()


if __name__ == "__main__":
    main()
