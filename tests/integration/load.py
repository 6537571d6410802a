# SPDX-License-Identifier: Apache-2.0
"""Clients that keep asking while something else happens, and tell what they saw."""

import threading

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
