# SPDX-License-Identifier: Apache-2.0
"""naru's user-space instructions per proxied request, counted by callgrind.

Instructions do not depend on what else the machine does, so a change of one percent shows. naru is
built like a release, but without link-time optimisation, so that each function keeps its name and
file. A fixed number of requests is counted, after as many that warm pools and caches up.
"""
import os
import re
import selectors
import socket
import subprocess
import sys
from collections import defaultdict

import peers as P

# wrk sends the same, users.lua likewise.
REQUEST = 'GET /1024 HTTP/1.1\r\nHost: 127.0.0.1\r\n{}\r\n'
USERS = 1000
BODY_BYTES = 1024
SILENCE_S = 30


def request(number, users):
    return REQUEST.format(f'X-User: user-{number % USERS}\r\n' if users else '').encode()


def drive(port, connections, count, users):
    """Exactly `count` requests over keep-alive connections, one at a time on each."""
    selector, started, done = selectors.DefaultSelector(), 0, 0
    for _ in range(connections):
        sock = socket.create_connection(('127.0.0.1', port))
        sock.sendall(request(started, users))
        started += 1
        selector.register(sock, selectors.EVENT_READ, bytearray())
    while done < count:
        ready = selector.select(SILENCE_S)
        if not ready:
            sys.exit(f'bench: naru is silent after {done} of {count} requests')
        for key, _ in ready:
            got = key.fileobj.recv(65536)
            if not got:
                sys.exit('bench: naru closed a connection')
            key.data.extend(got)
            head = key.data.find(b'\r\n\r\n')
            if head < 0 or len(key.data) < head + 4 + BODY_BYTES:
                continue
            if not key.data.startswith(b'HTTP/1.1 200 '):
                sys.exit(f'bench: not answered: {bytes(key.data[:200])}')
            key.data.clear()
            done += 1
            if started < count:
                key.fileobj.sendall(request(started, users))
                started += 1
    for key in list(selector.get_map().values()):
        key.fileobj.close()


def place(name):
    """'src/http' of a file's path; the C library is one place."""
    match = re.search(r'(?:^|/)(src/\w+|include/naru)/', name)
    return match.group(1) if match else 'libc'


def profile(path, requests):
    """Instructions a request by (file of the source, function), inlined ones under their own file.

    The format, as far as it is needed: fl, fi and fe set the file of the lines that follow, fn the
    function; a name is given once, then by its number. What follows calls= is not the function's own.
    """
    found, names = defaultdict(float), {'fl': {}, 'fn': {}}
    name = function = ''
    with open(path) as lines:
        for line in lines:
            spec = re.match(r'(fl|fi|fe|fn|cfn|cfi|cfl)=(\(\d+\))(?: (.*))?$', line)
            if spec:
                what, number, text = spec.groups()
                known = names['fn' if what.endswith('fn') else 'fl']
                if text is not None:
                    known[number] = text
                if what == 'fn':
                    function = known[number]
                elif not what.startswith('c'):
                    name = known[number]
            elif line.startswith('calls='):
                next(lines)
            elif re.match(r'[-+*\d]', line):
                found[name, function] += int(line.split()[1]) / requests
    return found


def table(cost, most):
    print(f'\n{"":4}{"instructions":>12}{"share":>8}')
    total = sum(cost.values())
    for name, count in sorted(cost.items(), key=lambda item: -item[1])[:most]:
        print(f'{"":4}{count:12.1f}{count / total:8.1%}  {name}')


def control(naru, what):
    """Zero or dump the counters."""
    subprocess.run(['callgrind_control', what, str(naru.pid)], check=True, capture_output=True, timeout=60)


def measure(work, variant='plain', users=False, requests=10000, connections=64):
    """The profile of naru in that variant."""
    origin = P.start_origin(work)
    out = os.path.join(work, f'callgrind.{variant}')
    naru = None
    try:
        naru = P.start_peer('naru', origin.port, work,
                            ['valgrind', '-q', '--tool=callgrind', f'--callgrind-out-file={out}'], variant=variant)
        drive(naru.port, connections, requests, users)
        control(naru, '-z')
        drive(naru.port, connections, requests, users)
        control(naru, '-d')
    finally:
        for process in (naru, origin):
            if process:
                process.stop()
    return profile(out + '.1', requests)


def tables(found, functions):
    by_place, by_function = defaultdict(float), defaultdict(float)
    for (name, function), n in found.items():
        by_place[place(name)] += n
        by_function[f'{place(name)}/{os.path.basename(name)}: {function}'] += n
    table(by_place, len(by_place))
    table(by_function, functions)


def count(work, functions=25):
    found = measure(work)
    print(f'{sum(found.values()):.0f} instructions a request (GET 1 KiB, 64 connections, 10000 requests, '
          'system calls not counted)')
    tables(found, functions)


def compare(work, variant, functions=40):
    """naru as it is, and what the variant adds to it, for the same requests."""
    plain = measure(work, users=True)
    more = measure(work, variant, users=True)
    print(f'{sum(plain.values()):.0f} instructions a request plain, {sum(more.values()):.0f} with {variant}: '
          f'{sum(more.values()) - sum(plain.values()):.0f} more (GET 1 KiB, 64 connections, {USERS} users)')
    tables({key: more.get(key, 0) - plain.get(key, 0) for key in plain.keys() | more.keys()}, functions)
