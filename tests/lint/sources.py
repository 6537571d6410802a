# SPDX-License-Identifier: Apache-2.0
"""What the lint tests share: the files, C without its comments, TAP.

A check is a function of (path, text) that returns findings as "line: text", so
that the self-tests can hand it made-up sources: a rule that cannot fail proves
nothing.
"""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def find(folders, endings):
    """Paths below ROOT, sorted; folders may name files too."""
    found = []
    for folder in folders:
        top = os.path.join(ROOT, folder)
        if os.path.isfile(top):
            found.append(folder)
        for where, below, names in os.walk(top):
            below[:] = [b for b in below if not b.startswith(".") and b not in
                        ("__pycache__", "corpus", "node_modules")]
            found += [os.path.relpath(os.path.join(where, n), ROOT)
                      for n in names if n.endswith(endings)]
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def blank(match):
    return re.sub(r"[^\n]", " ", match[0])


def code(text):
    """Comments and literals blanked, line numbers kept."""
    return _TOKEN.sub(blank, text)


def includes(text):
    """(line, '<' or '"', path) of every include that is not in a comment."""
    bare = re.sub(r"//[^\n]*|/\*.*?\*/", blank, text, flags=re.S)
    for number, line in enumerate(bare.splitlines(), 1):
        match = _INCLUDE.match(line)
        if match:
            yield number, match[1], match[2]


def layers_of(meson_text):
    """src/meson.build holds the order, lowest first: there is no second list to forget."""
    return re.findall(r"^subdir\('(\w+)'\)", meson_text, re.M)


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def check(self, name, findings):
        """One case: passes when nothing was found."""
        self.count += 1
        self.failed += bool(findings)
        print(f"{'not ok' if findings else 'ok'} {self.count} - {name}")
        for finding in findings:
            print(f"# {finding}")

    def self_test(self, name, findings, want):
        """The check must find exactly `want` things in a made-up source."""
        self.check(f"self-test: {name}", [] if len(findings) == want else
                   [f"found {len(findings)}, want {want}"] + list(findings))

    def done(self):
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)
