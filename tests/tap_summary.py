#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the TAP subtests in Meson's test logs and says what did not pass.

    tap_summary.py [--total] LOG.json…

Meson counts programs; what matters is the cases inside them. A program that
failed without a failing case (a crash, a time-out, a broken plan, a leak found
at exit) counts as one failure more, so that nothing that Meson calls bad can
sum up to "0 failed". --total prints the last line only.
"""

import json
import re
import sys

CASE = re.compile(r"\s*(not )?ok\b\s*\d*\s*-?\s*(.*?)\s*(?:#\s*(SKIP|TODO)\S*\s*(.*))?$", re.I)
SKIPPED_PLAN = re.compile(r"1\.\.0\b\s*(?:#\s*SKIP\S*\s*(.*))?$", re.I)
GOOD = {"OK", "SKIP", "EXPECTEDFAIL"}
OUTPUT_LINES_MAX = 200


class Sum:
    def __init__(self):
        self.passed = 0
        self.failed = []    # (program, case)
        self.skipped = []   # (program, case, reason)

    def add(self, run):
        """One program: an object of Meson's testlog.json. False if something in it failed."""
        name, seen, failed_before = run["name"], False, len(self.failed)
        for line in run.get("stdout", "").splitlines():
            plan, case = SKIPPED_PLAN.match(line), CASE.match(line)
            if plan:
                self.skipped.append((name, "all of it", plan[1] or "no reason given"))
                seen = True
            elif case:
                self._case(name, bool(case[1]), case[2], (case[3] or "").upper(), case[4])
                seen = True
        if run["result"] not in GOOD and len(self.failed) == failed_before:
            self.failed.append((name, f"{run['result']}, exit code {run.get('returncode')}"))
        elif run["result"] == "SKIP" and not seen:
            self.skipped.append((name, "all of it", "no reason given"))
        elif not seen and len(self.failed) == failed_before:
            self.passed += 1    # a program without TAP
        return len(self.failed) == failed_before

    def _case(self, name, bad, case, directive, reason):
        if directive == "SKIP":
            self.skipped.append((name, case, reason or "no reason given"))
        elif bad and directive != "TODO":
            self.failed.append((name, case))
        elif bad:
            self.skipped.append((name, case, f"to do: {reason}"))
        else:
            self.passed += 1

    def line(self):
        text = f"{self.passed} passed, {len(self.failed)} failed"
        return text + (f", {len(self.skipped)} skipped" if self.skipped else "")


def show_output(run):
    print(f"\n---- {run['name']}: {run['result']} after {run.get('duration', 0):.1f} s")
    lines = [line for part in ("stdout", "stderr") for line in run.get(part, "").splitlines()
             if not re.match(r"\s*ok\b", line)]
    if len(lines) > OUTPUT_LINES_MAX:
        print(f"({len(lines) - OUTPUT_LINES_MAX} lines before these left out)")
    print("\n".join(lines[-OUTPUT_LINES_MAX:]))


def main(argv):
    total_only = "--total" in argv
    logs = [word for word in argv if word != "--total"]
    total = Sum()
    for path in logs:
        with open(path, encoding="utf-8", errors="replace") as log:
            for text in log:
                run = json.loads(text)
                if not total.add(run) and not total_only:
                    show_output(run)
    if not total_only:
        for name, case, reason in total.skipped:
            print(f"skipped  {name}: {case} ({reason})")
        for name, case in total.failed:
            print(f"failed   {name}: {case}")
    print(total.line())
    return 1 if total.failed or not (total.passed or total.skipped) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
