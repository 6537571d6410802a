# SPDX-License-Identifier: Apache-2.0
"""What a call costs that `naru simulate` plays: CPU time and instructions, and calls a second.

Two durations of the same scenario are played; what the longer one costs more is that of its further
calls alone, without the program's start. Instructions (callgrind) do not depend on what else the
machine does; seconds do.
"""
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile

import peers as P

FOLDER = os.path.join(P.ROOT, 'bench', 'simulate')


def play(naru, transport, duration_s, before=()):
    """The report's summary, what the program wrote to standard error, and its CPU seconds."""
    with tempfile.NamedTemporaryFile(suffix='.json') as report:
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([*before, naru, 'simulate', f'{FOLDER}/scenario.yaml', '--transport', transport,
                               '--set', f'scenario.duration={duration_s}s', '--json', report.name],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode != 0:
            sys.exit(f'bench: {done.stderr}')
        summary = json.load(report)['summary']
    if summary['availability'] != 1:
        sys.exit(f'bench: a call failed: {summary}')
    return summary, done.stderr, end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime


def cpu(naru, transport):
    short, _, short_s = play(naru, transport, 5)
    long, _, long_s = play(naru, transport, 55)
    return (long_s - short_s) * 1e6 / (long['attempts'] - short['attempts'])


def instructions(naru, transport):
    counts, calls = [], []
    for duration_s in (1, 3):
        with tempfile.NamedTemporaryFile() as out:
            summary, said, _ = play(naru, transport, duration_s,
                                    ['valgrind', '--tool=callgrind', f'--callgrind-out-file={out.name}'])
        counts.append(int(re.search(r'Collected : (\d+)', said).group(1)))
        calls.append(summary['attempts'])
    return (counts[1] - counts[0]) / (calls[1] - calls[0])


def count(naru, rounds):
    print(f'{"":8} {"µs a call":>10} {"calls/s":>12} {"instructions a call":>20}   median of {rounds}')
    for transport in ('model', 'wire'):
        took_us = statistics.median(cpu(naru, transport) for _ in range(rounds))
        print(f'{transport:8} {took_us:10.3f} {1e6 / took_us:12,.0f} {instructions(naru, transport):20,.0f}')
