#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Includes point down the layers only, and the system is called in src/io only."""

import os

import sources
import system

# Below all layers: bytes and errors are everybody's words.
PUBLIC_BELOW_ALL = ("naru/span.h", "naru/err.h")
# The rest of include/naru is a face of the server; the layers beneath do not know it.
PUBLIC_FROM = "http"
SYSTEM_HEADERS = {
    "io": ("sys/socket.h", "sys/epoll.h", "sys/eventfd.h", "sys/timerfd.h", "sys/signalfd.h",
           "netdb.h", "poll.h", "ares.h", "pthread.h", "threads.h", "semaphore.h"),
}


def folder_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def check_includes(path, text, layers):
    """path is relative to the root; only src/ and include/ have layers."""
    own = folder_of(path)
    for line, quote, target in sources.includes(text):
        where = f"{path}:{line}: includes {target}"
        if quote == "<":
            if own is not None and own != "io" and target in SYSTEM_HEADERS["io"]:
                yield f"{where}: a header of the system, for src/io alone"
            continue
        if target in PUBLIC_BELOW_ALL:
            continue
        if target.startswith("naru/"):
            if own is not None and layers.index(own) < layers.index(PUBLIC_FROM):
                yield f"{where}: only {PUBLIC_FROM} and what lies on it know it"
            continue
        if own is None:
            yield f"{where}: a public header may use public headers only"
            continue
        folder = target.split("/")[0]
        if "/" not in target or folder not in layers:
            yield f"{where}: write it as \"layer/name.h\""
        elif layers.index(folder) > layers.index(own):
            yield f"{where}: points up, {own} lies below {folder}"


def check_calls(path, text):
    own = folder_of(path)
    if own is None:
        return
    bare = sources.code(text)
    mine = set(system.STATIC.findall(bare))
    for number, line in enumerate(bare.splitlines(), 1):
        if line.lstrip().startswith("#include"):
            continue
        for name in (call or stream for call, stream in system.CALL.findall(line)):
            reason = system.why_not(own, path.removeprefix("src/"), name)
            if reason and name not in mine:
                yield f"{path}:{number}: {name} {reason}"


def check_example(path, text):
    """Examples show what a stranger can do: with include/naru and nothing else."""
    for line, quote, target in sources.includes(text):
        own = os.path.isfile(os.path.join(sources.ROOT, os.path.dirname(path), target))
        if quote == '"' and not target.startswith("naru/") and not own:
            yield f"{path}:{line}: includes {target}: examples use include/naru only"


INCLUDES = [
    ("down is fine", "src/http/a.c", '#include "codec/head.h"\n#include "http/a.h"', 0),
    ("up is found", "src/codec/a.c", '#include "http/a.h"', 1),
    ("up by spaces is found", "src/codec/a.h", '  #  include   "http/a.h"', 1),
    ("comments are no includes", "src/codec/a.c", '/* #include "http/a.h"\n#include "cli/b.h" */', 0),
    ("no folder", "src/codec/a.c", '#include "head.h"', 1),
    ("dots", "src/codec/a.c", '#include "../http/a.h"', 1),
    ("spans are for all", "src/base/a.c", '#include "naru/span.h"', 0),
    ("service.h is not", "src/io/a.c", '#include "naru/service.h"', 1),
    ("public on private", "include/naru/service.h", '#include "http/a.h"', 1),
    ("a system header", "src/gateway/a.c", "#include <sys/epoll.h>", 1),
    ("and where it belongs", "src/io/a.c", "#include <sys/epoll.h>", 0),
]

CALLS = [
    ("the clock", "src/policy/a.c", "x = clock_gettime(0, &t);", 1),
    ("the clock in io", "src/io/a.c", "x = clock_gettime(0, &t);", 0),
    ("time", "src/http/a.c", "t = time(NULL);", 1),
    ("a member of that name", "src/http/a.c", "io->ops->read(op); io.send(op); s.time(x);", 0),
    ("our own name", "src/http/a.c", "nr_io_read(op); reread(x); nr_random_u64(r);", 0),
    ("a static of that name", "src/http/a.c", "static void open(int x)\n{\n}\nvoid f(void) { open(1); }", 0),
    ("in a comment", "src/http/a.c", "/* read(fd) */ // send(fd)\n", 0),
    ("in a string", "src/http/a.c", 'x = "open(file)";', 0),
    ("after an escaped quote", "src/http/a.c", 'x = "\\""; open(y); z = "";', 1),
    ("two on one line", "src/call/a.c", "rand() + getrandom (p, 1, 0);", 2),
    ("threads", "src/service/a.c", "pthread_mutex_lock(&m);", 1),
    ("names", "src/service/a.c", "ares_query(c);", 1),
    ("the heap in policy", "src/policy/a.c", "p = malloc(4);", 1),
    ("the heap elsewhere", "src/gateway/a.c", "p = malloc(4); free(p);", 0),
    ("printing", "src/gateway/a.c", "printf(x); fputs(x, stdout);", 2),
    ("printing where told", "src/gateway/a.c", "fputs(x, to);", 0),
    ("printing where told in codec", "src/codec/a.c", "fputs(x, to);", 1),
    ("printing into memory", "src/gateway/a.c", "snprintf(b, n, f);", 0),
    ("printing by the program", "src/cli/a.c", "printf(x); getenv(y);", 0),
    ("a socket by the program", "src/cli/a.c", "socket(1, 2, 3);", 1),
    ("last words", "src/base/assert.c", "fprintf(stderr, x);", 0),
]


def main():
    tap = sources.Tap()
    sample = ["base", "policy", "codec", "io", "http", "config", "service", "call", "gateway", "cli"]
    for name, path, text, want in INCLUDES:
        tap.self_test(f"includes: {name}", list(check_includes(path, text, sample)), want)
    for name, path, text, want in CALLS:
        tap.self_test(f"calls: {name}", list(check_calls(path, text)), want)
    tap.self_test("examples: inside", list(check_example("examples/x/a.c", '#include "http/a.h"')), 1)

    layers = sources.layers_of(sources.read("src/meson.build"))
    present = {folder_of(p) for p in sources.find(["src"], (".c", ".h"))}
    tap.check("every folder of src is a layer of src/meson.build",
              [f"src/{folder}" for folder in sorted(present - set(layers), key=str)])
    for layer in layers:
        findings = []
        for path in sources.find([f"src/{layer}"], (".c", ".h")):
            text = sources.read(path)
            findings += check_includes(path, text, layers)
            findings += check_calls(path, text)
        tap.check(f"src/{layer} uses only what lies below, and no system", findings)
    tap.check("public headers stand alone",
              [f for path in sources.find(["include"], (".h",))
               for f in check_includes(path, sources.read(path), layers)])
    tap.check("examples use include/naru only",
              [f for path in sources.find(["examples"], (".c", ".h"))
               for f in check_example(path, sources.read(path))])
    tap.done()


if __name__ == "__main__":
    main()
