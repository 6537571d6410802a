# SPDX-License-Identifier: Apache-2.0
"""Clients that keep asking while something else happens, and tell what they saw."""

import collections
import threading
import time

import wire


class Load(threading.Thread):
    """Requests one after the other on one connection, until told to stop."""

    def __init__(self, port, target="/", keep=True):
        super().__init__(daemon=True)
        self.port, self.target, self.keep = port, target, keep
        self.stopping = threading.Event()
        self.done, self.failed, self.connections = 0, [], 0

    def run(self):
        stream = None
        while not self.stopping.is_set():
            try:
                if stream is None:
                    stream = wire.connect(self.port)
                    self.connections += 1
                stream.send(f"GET {self.target} HTTP/1.1\r\nHost: a\r\n\r\n")
                answer = stream.read_response("GET")
                if answer.status != 200:
                    self.failed.append(repr(answer))
                self.done += 1
                if not self.keep or answer.header("Connection", "") == "close":
                    stream.close()
                    stream = None
            except Exception as error:  # whatever a client could see
                self.failed.append(repr(error))
                stream = None
        if stream is not None:
            stream.close()

    def finish(self):
        self.stopping.set()
        self.join(20)


def loads(t, naru, count=4, **more):
    running = [Load(naru.port, keep=i % 2 == 0, **more) for i in range(count)]
    for load in running:
        load.start()
        t.stack.callback(load.stopping.set)
    return running


def no_failures(t, running):
    for load in running:
        load.finish()
    for load in running:
        t.equal(load.failed[:3], [], f"of {load.done} requests")
        t.true(load.done > 0, "no request was made")


# ---- stories with figures

class Noise(threading.Thread):
    """By how much this machine was late at worst, while a story was told. It is granted on top of
    every limit: a promise of 200 ms is broken by naru, not by a busy machine."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over, self.worst_ms = threading.Event(), 0.0
        self.start()

    def run(self):
        while not self.over.is_set():
            before = time.monotonic()
            time.sleep(0.005)
            self.worst_ms = max(self.worst_ms, (time.monotonic() - before) * 1000 - 5)

    def end(self):
        self.over.set()
        self.join()
        return self.worst_ms


class Callers:
    """So many requests a second, at even distances, however slow the answers are: each by the next
    of a few threads, over a connection that it keeps."""

    def __init__(self, t, naru, per_s, method="GET", target="/", body=None, fields=(), threads=4):
        self.naru, self.request = naru, wire.request_bytes(method, target, fields, body)
        self.method, self.lock, self.over = method, threading.Lock(), threading.Event()
        self.answers, self.broken = [], []
        self.step_s, self.next_s = 1 / per_s, time.monotonic()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _i in range(threads)]
        for thread in self.threads:
            thread.start()
        t.stack.callback(self.over.set)

    def _turn(self):
        with self.lock:
            self.next_s += self.step_s
            return self.next_s

    def _run(self):
        stream = None
        while not self.over.wait(max(0, self._turn() - time.monotonic())):
            try:
                stream = stream or wire.connect(self.naru.port)
                stream.send(self.request)
                self.answers.append(stream.read_response(self.method))
            except (OSError, wire.WireError) as error:
                self.broken.append(repr(error))
                stream = None
        if stream is not None:
            stream.close()

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        return self.answers

    def statuses(self):
        return collections.Counter(answer.status for answer in self.answers)


def at_once(count, function):
    """So many threads that each call function(its number); the results in no order."""
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(function(i)), daemon=True)
               for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def keeps_its_promise(t, lines, noise_ms, who):
    """By naru's own times in these lines of its access log."""
    times_ms = [line["duration_ms"] for line in lines]
    for q, promise_ms in ((0.95, 200), (0.99, 500)):
        have_ms = quantile(times_ms, q)
        t.true(have_ms < promise_ms + noise_ms,
               f"{who}: p{q * 100:.0f} is {have_ms:.0f} ms (and the machine {noise_ms:.0f} ms late)")
