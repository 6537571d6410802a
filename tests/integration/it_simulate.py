# SPDX-License-Identifier: Apache-2.0
"""`naru simulate` as a person uses it: names and files, reports, diagnostics, exit codes."""

import json
import os
import re
import subprocess
import tempfile

from harness import NARU as NARU_PROGRAM, main, run_naru, test

OK, FAILURE, USAGE, CONFIG = range(4)

NARU = """
gateway:
  listen: [{ address: "127.0.0.1:8080" }]
  routes: [{ match: { path: "/*" }, service: app }]
services:
  app: { instances: ["127.0.0.1:7001"] }
"""

SCENARIO = """
about: a test
config: naru.yaml
duration: 5s
traffic: { rate: 20/s }
services: { app: { latency: 10ms } }
"""


def written(folder, **files):
    for name, text in files.items():
        with open(os.path.join(folder, name + ".yaml"), "w", encoding="utf-8") as file:
            file.write(text)
    return os.path.join(folder, "scenario.yaml")


@test("every scenario that --list names can be played, and tells its reason")
def _(t):
    listed = run_naru("simulate", "--list")
    t.equal(listed.returncode, OK, listed.stderr)
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    t.true("dead-instance" in names and len(names) >= 8, names)
    for name in names:
        done = run_naru("simulate", name, "--set", "scenario.duration=3s",
                        "--set", "scenario.failures=[]")
        t.equal(done.returncode, OK, done.stderr)
        t.equal(done.stderr, "")
        t.matches(done.stdout, r"availability +\d+\.\d+ %")


@test("a file is played with the configuration beside it, or the one that is given")
def _(t):
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, naru=NARU, scenario=SCENARIO,
                       other=NARU.replace("/*", "/elsewhere"))
        t.matches(run_naru("simulate", path).stdout, r"availability +100\.000 %")
        other = run_naru("simulate", path, "-c", os.path.join(folder, "other.yaml"), "--json", "-")
        t.true(json.loads(other.stdout)["summary"]["reasons"]["no_route"] > 50, other.stdout)


@test("the same seed gives the same bytes, another one other bytes")
def _(t):
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, naru=NARU, scenario=SCENARIO)
        page, again = os.path.join(folder, "1.html"), os.path.join(folder, "2.html")
        one = run_naru("simulate", path, "--html", page)
        two = run_naru("simulate", path, "--html", again)
        t.equal(one.stdout, two.stdout)
        with open(page, encoding="utf-8") as first, open(again, encoding="utf-8") as second:
            text = first.read()
            t.equal(text, second.read())
        t.matches(text, r"^<!doctype html>")
        t.true(run_naru("simulate", path, "--seed", "2").stdout != one.stdout, "seed 2")


@test("the model transport is chosen by the scenario or the command line, which goes first")
def _(t):
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, naru=NARU, scenario=SCENARIO + "transport: model\n")
        for words, transport in (((), "model"), (("--transport", "wire"), "wire"), (("--transport=model",), "model")):
            done = run_naru("simulate", path, "--json", "-", *words)
            t.equal(done.stderr, "")
            report = json.loads(done.stdout)
            t.equal(report["transport"], transport)
            t.equal(report["summary"]["availability"], 1)


@test("a long run shows a person at a terminal how far it is")
def _(t):
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, naru=NARU, scenario=SCENARIO.replace("20/s", "2000/s"))
        screen, terminal = os.openpty()
        naru = subprocess.Popen([NARU_PROGRAM, "simulate", path, "--set", "scenario.duration=1d"],
                                stdout=subprocess.DEVNULL, stderr=terminal)
        os.close(terminal)
        seen = b""
        while not re.search(rb"naru simulate: +\d+ %, \d+ s to go", seen):
            seen += os.read(screen, 1000)
        naru.kill()
        naru.wait()
        os.close(screen)


@test("what is wrong is said in one line with its place")
def _(t):
    with tempfile.TemporaryDirectory() as folder:
        path = written(folder, naru=NARU, scenario=SCENARIO.replace("rate", "rates"))
        for words, code, pattern in (
                ((path,), CONFIG, r"scenario\.yaml:5:\d+: unknown field 'rates'"),
                (("dead-instanc",), CONFIG, r"did you mean 'dead-instance'\?"),
                ((), USAGE, r"which scenario\?.*--list"),
                (("herd", "--seed", "x"), USAGE, r"--seed takes a number, got 'x'"),
                (("herd", "--transport", "modl"), USAGE,
                 r"--transport takes wire or model, got 'modl', did you mean 'model'\?"),
                (("herd", "--transport", "model", "--set", "scenario.traffic.requests=[/a/../../b]"), CONFIG,
                 r"--set:1:\d+: the gateway's parser refuses this request \(\w+\), and the model transport has none"),
                (("herd", "--set", "services.tickets.retry.atempts=1"), CONFIG,
                 r"--set:1:\d+: unknown field 'atempts', did you mean 'attempts'\?"),
                (("herd", "--set", "nonsense"), CONFIG, r"expected path=value"),
                (("herd", "--json", os.path.join(folder, "no", "where")), FAILURE,
                 r"cannot write .*: No such file")):
            done = run_naru("simulate", *words)
            t.equal(done.returncode, code, done.stderr)
            t.equal(len(done.stderr.splitlines()), 1, done.stderr)
            t.matches(done.stderr, pattern)


@test("the schema knows what the loader knows")
def _(t):
    schema = json.loads(run_naru("config", "schema", "scenario").stdout)
    t.true({"traffic", "services", "failures", "links"} <= set(schema["properties"]), "sections")
    t.true(re.search("simulate", schema["title"]), "title")


if __name__ == "__main__":
    main()
