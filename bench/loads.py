# SPDX-License-Identifier: Apache-2.0
"""What is done to the proxies, and what is read off: cost, memory, latency, reloads."""
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

import peers as P

LUA = os.path.join(P.ROOT, 'bench')


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f'bench: {" ".join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}')
    return done.stdout


def say(text):
    if sys.stderr.isatty():
        print('\r' + text.ljust(76)[:76], end='\r', file=sys.stderr, flush=True)


# ---- cost ----

def load(port, case, seconds, argument=None):
    """Requests made, how many of them failed, and the seconds that it took."""
    cores = P.BOTH_CORES if case.get('variant') == 'workers' else P.LOAD_CORE
    command = ['taskset', '-c', cores, 'wrk', '-t1', f'-c{case["connections"]}', f'-d{seconds}s', '--timeout', '10s']
    if 'script' in case:
        command += ['-s', os.path.join(LUA, case['script'])]
    if case.get('close'):
        command += ['-H', 'Connection: close']
    if case.get('variant') == 'logs':
        command += ['-H', 'User-Agent: naru-bench/1 (open benchmark)']
    out = run(command + [f'http://127.0.0.1:{port}{case["path"]}'] + ([] if argument is None else ['--', str(argument)]))
    requests, took = re.search(r'(\d+) requests in ([\d.]+)s', out).groups()
    failed = sum(int(n) for n in re.findall(r'Non-2xx or 3xx responses: (\d+)', out))
    errors = re.search(r'Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)', out)
    if errors:
        counts = [int(n) for n in errors.groups()]
        failed += sum(counts) - (counts[1] if case.get('close') else 0)  # wrk counts our close as a read error
    if int(requests) == 0:
        sys.exit(f'bench: {case["name"]}: no request was answered\n{out}')
    return int(requests), failed, float(took)


def cost(case, proxies, rounds, seconds, arguments=None):
    """CPU microseconds a request of each proxy, over interleaved rounds."""
    names = list(proxies)
    arguments = arguments or {}
    got = {name: [] for name in names}
    rates = {name: [] for name in names}
    failures = dict.fromkeys(names, 0)
    for name in names:
        failures[name] += load(proxies[name].port, case, 1, arguments.get(name))[1]  # warm up
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            say(f'  {case["name"]}: round {number + 1} of {rounds}, {name}')
            before = P.cpu_ns(proxies[name].pid)
            requests, failed, took = load(proxies[name].port, case, seconds, arguments.get(name))
            got[name].append((P.cpu_ns(proxies[name].pid) - before) / 1e3 / requests)
            rates[name].append(requests / took)
            failures[name] += failed
    say('')
    return {name: dict(value=statistics.median(got[name]), least=min(got[name]), most=max(got[name]), rounds=got[name],
                       requests_per_s=statistics.median(rates[name]), failed=failures[name]) for name in names}


# ---- memory ----

def idle(case, proxies, count):
    """Bytes of anonymous memory that each of count keep-alive connections costs, after one request."""
    bytes_each = {}
    for name, proxy in proxies.items():
        load(proxy.port, case, 1)  # its pools and buffers are not what we count
        before = P.anonymous_bytes(proxy.pid)
        holder = subprocess.Popen([f'{P.BUILD}/bench/bench-idle', str(proxy.port), str(count)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        held = holder.stdout.readline().startswith('held')
        time.sleep(1)
        bytes_each[name] = dict(value=(P.anonymous_bytes(proxy.pid) - before) / count, failed=0 if held else count)
        holder.stdin.close()
        holder.wait()
    return bytes_each


# ---- latency ----

def openloop(proxy, connections, rate, seconds, path):
    return subprocess.Popen(['taskset', '-c', P.LOAD_CORE, f'{P.BUILD}/bench/bench-openloop', str(proxy.port),
                             str(connections), f'{rate:.0f}', str(seconds), path], stdout=subprocess.PIPE, text=True)


def latency(case, proxies, runs, seconds, rate):
    names = list(proxies)
    samples = {name: [] for name in names}
    for number in range(runs):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            say(f'  {case["name"]}: run {number + 1} of {runs}, {name}')
            client = openloop(proxies[name], case['connections'], rate, seconds, case['path'])
            samples[name].append(json.loads(client.communicate()[0]))
    say('')
    return {name: dict(value=statistics.median(s['p50_us'] for s in samples[name]),
                       **{key: statistics.median(s[key] for s in samples[name])
                          for key in ('p50_us', 'p90_us', 'p99_us', 'p999_us')},
                       failed=sum(s['failed'] for s in samples[name])) for name in names}


# ---- reloads ----

class Tunnel:
    """An upgraded connection whose far end sends everything back."""

    def __init__(self, port):
        self.sock = socket.create_connection(('127.0.0.1', port), 5)
        self.sock.sendall(b'GET /echo HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: bench\r\n\r\n')
        head = b''
        while b'\r\n\r\n' not in head:
            some = self.sock.recv(4096)
            if not some:
                break
            head += some
        if b' 101 ' not in head:
            sys.exit(f'bench: no tunnel: {head[:200]!r}')

    def lives(self):
        try:
            self.sock.sendall(b'ping')
            return self.sock.recv(4) == b'ping'
        except OSError:
            return False


def version_of(port):
    """What a new connection is told; None when it is told nothing."""
    try:
        with socket.create_connection(('127.0.0.1', port), 1) as s:
            s.sendall(b'GET /version HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n')
            answer = b''
            while some := s.recv(4096):
                answer += some
        return int(answer.rsplit(b'\n', 2)[-2])
    except (OSError, ValueError, IndexError):
        return None


def reload_once(proxy, version):
    """Milliseconds until the new configuration answers, and the askings that got no answer meanwhile."""
    proxy.write(version)
    unanswered = 0
    start = time.monotonic()
    proxy.reload()
    while time.monotonic() < start + 20:
        told = version_of(proxy.port)
        if told == version:
            return (time.monotonic() - start) * 1e3, unanswered
        unanswered += told is None
    sys.exit(f'bench: {proxy.name} did not load version {version} in 20 s')


def reloads(case, proxies, count, rate):
    """One proxy after the other, because each is loaded for as long as its reloads take."""
    got = {}
    for name, proxy in proxies.items():
        client = openloop(proxy, case['connections'], rate, 600, case['path'])
        tunnels = [Tunnel(proxy.port) for _ in range(case['tunnels'])]
        time.sleep(2)
        before, times, unanswered = P.anonymous_bytes(proxy.pid), [], 0
        for number in range(1, count + 1):
            say(f'  {case["name"]}: reload {number} of {count}, {name}')
            took, failed = reload_once(proxy, number)
            times.append(took)
            unanswered += failed
            time.sleep(0.05)
        alive = sum(tunnel.lives() for tunnel in tunnels)
        time.sleep(1)
        after, processes = P.anonymous_bytes(proxy.pid), len(P.below(proxy.pid))
        client.send_signal(signal.SIGTERM)
        told = json.loads(client.communicate()[0])
        got[name] = dict(value=statistics.median(times), most=max(times), requests=told['requests'],
                         failed=told['failed'] + unanswered, closed=told['closed'], p99_us=told['p99_us'],
                         tunnels_lost=len(tunnels) - alive, bytes_before=before, bytes_after=after,
                         processes=processes)
        proxy.stop()  # nginx and HAProxy keep their old processes as long as the tunnels live
        for tunnel in tunnels:
            tunnel.sock.close()
    say('')
    return got
