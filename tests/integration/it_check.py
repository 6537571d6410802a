# SPDX-License-Identifier: Apache-2.0
"""`naru check` for people and for CI: levels, exit codes, JSON; and the configurations that naru
itself shows to people pass it."""

import glob
import json
import os
import re

from harness import ROOT, main, run_naru, test

OK, FAILURE, USAGE, CONFIG = range(4)

WARNING = """
gateway:
  listen: ["127.0.0.1:8080"]
  routes: [{match: {path: "/*"}, service: app}]
services:
  app: {instances: ["127.0.0.1:7001"], health: {path: /healthz}}
"""
ERROR = WARNING.replace("health:", "own_timeout: 1s, health:")
GOOD = WARNING.replace('7001"', '7001", "127.0.0.1:7002"')


@test("findings as compilers print them, with a fix, and counted")
def _(t):
    done = run_naru("check", "-c", t.path("naru.yaml", ERROR))
    t.equal(done.returncode, FAILURE)
    t.equal(done.stderr, "")
    lines = done.stdout.splitlines()
    t.matches(lines[0], r"naru\.yaml:6:20: warning: service 'app' has one .*\[single-instance\]$")
    t.matches(lines[1], r"^    fix: run a second instance")
    t.matches(lines[2], r"naru\.yaml:6:\d+: error: timeouts are inverted: .*\[timeouts-inverted\]$")
    t.matches(lines[4], r"1 error, 1 warning, 0 hints; naru check --explain CODE says more$")


@test("the exit code is CI's: --fail-on")
def _(t):
    for text, default, warning in ((GOOD, OK, OK), (WARNING, OK, FAILURE), (ERROR, FAILURE, FAILURE)):
        t.equal(run_naru("check", "-c", "-", input=text).returncode, default)
        t.equal(run_naru("check", "-c", "-", "--fail-on", "error", input=text).returncode, default)
        t.equal(run_naru("check", "-c", "-", "--fail-on", "warning", input=text).returncode, warning)
    t.equal(run_naru("check", "--fail-on", "hint").returncode, USAGE)
    t.matches(run_naru("check", "-c", "-", input=GOOD).stdout, r"^-: no findings$")


@test("for programs: JSON, also of what cannot be loaded")
def _(t):
    found = json.loads(run_naru("check", "-c", "-", "--json", input=ERROR).stdout)
    t.equal((found["errors"], found["warnings"], found["hints"]), (1, 1, 0))
    finding = found["findings"][1]
    t.equal((finding["code"], finding["level"], finding["line"], finding["path"]),
            ("timeouts-inverted", "error", 6, "services.app"))
    t.true(finding["reason"] and finding["fix"], "a reason and a fix")
    done = run_naru("check", "-c", "-", "--json", input=GOOD.replace("health", "helth"))
    t.equal(done.returncode, CONFIG)
    t.equal(done.stderr, "")
    finding = json.loads(done.stdout)["findings"][0]
    t.equal((finding["code"], finding["level"], finding["line"]), ("config", "error", 6))


@test("every code explains itself")
def _(t):
    codes = [line.split()[0] for line in run_naru("check", "--list").stdout.splitlines()]
    t.true(len(codes) > 20, codes)
    for code in codes:
        done = run_naru("check", "--explain", code)
        t.equal(done.returncode, OK)
        t.matches(done.stdout, rf"^{code} \((error|warning|hint)\)\n")
    done = run_naru("check", "--explain", "timeout-inverted")
    t.equal(done.returncode, FAILURE)
    t.matches(done.stderr, r"did you mean 'timeouts-inverted'\?")


@test("what naru shows to people passes its own review")
def _(t):
    shown = [(path, open(path, encoding="utf-8").read())
             for path in glob.glob(os.path.join(ROOT, "examples", "*", "naru*.yaml"))]
    for page in ("README.md", "README.ko.md"):
        with open(os.path.join(ROOT, page), encoding="utf-8") as file:
            blocks = re.findall(r"```yaml\n(gateway:.*?)```", file.read(), re.S)
        t.true(blocks, f"{page} has a configuration")
        shown += [(page, block) for block in blocks]
    for name, text in shown:
        done = run_naru("check", "-c", "-", "--fail-on", "warning", input=text)
        t.equal(done.returncode, OK, f"{name}: {done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
