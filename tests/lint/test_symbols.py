#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same rule as test_layers.py, asked of the compiled objects: no macro and no
inline function hides a system call from the linker. Argument: the library."""

import re
import subprocess
import sys

import sources
import system

# With _FORTIFY_SOURCE and C2x some calls have other names at link time.
_ALIAS = re.compile(r"__isoc99_|__isoc23_|^__|_chk$")
_OBJECT = re.compile(r"src_([a-z]+)_(\w+)\.c\.o")


def check(nm_output):
    """nm_output: of `nm -A --undefined-only` over the archive."""
    for line in nm_output.splitlines():
        member = _OBJECT.search(line)
        if member is None:
            continue
        symbol = line.split()[-1].split("@")[0]
        folder, file = member[1], f"{member[1]}/{member[2]}.c"
        if symbol.startswith(("__asan", "__tsan", "__ubsan", "__sanitizer")):
            continue
        reason = system.why_not(folder, file, _ALIAS.sub("", symbol))
        if reason:
            yield f"src/{file}: {symbol} {reason}"


SAMPLE = """
libnaru_core.a:src_policy_breaker.c.o:                 U clock_gettime
libnaru_core.a:src_policy_breaker.c.o:                 U memcpy
libnaru_core.a:src_io_epoll.c.o:                 U clock_gettime
libnaru_core.a:src_http_h1.c.o:                 U __read_chk
libnaru_core.a:src_http_h1.c.o:                 U __asan_init
libnaru_core.a:src_base_assert.c.o:                 U fprintf
libnaru_core.a:src_base_arena.c.o:                 U malloc
"""


def main():
    tap = sources.Tap()
    tap.self_test("a clock in policy and a read in http", list(check(SAMPLE)), 2)
    nm = subprocess.run(["nm", "-A", "--undefined-only", sys.argv[1]], capture_output=True,
                        text=True, check=True)
    objects = set(_OBJECT.findall(nm.stdout))
    tap.check("the library's objects are seen", [] if len(objects) >= 4 else ["too few"])
    tap.check("no object outside src/io needs the system", list(check(nm.stdout)))
    tap.done()


if __name__ == "__main__":
    main()
