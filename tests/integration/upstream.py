# SPDX-License-Identifier: Apache-2.0
"""An upstream that does what the test says, also what no server should.

`Upstream(behave)` accepts connections and runs `behave(peer)` for each in a
thread of its own. A peer is a wire.Stream, so the behaviour may read strictly,
write any bytes, stall, close or reset. The ready-made behaviours below cover
the usual ones. Requests that were read by `peer.next()` are kept in
`upstream.requests` in the order they came.
"""

import os
import socket
import struct
import threading
import time

import wire

THREADS_STACK_BYTES = 256 * 1024


class Peer(wire.Stream):
    """One accepted connection. `number` counts from 0 per upstream."""

    def __init__(self, upstream, sock, number):
        super().__init__(sock, wait_s=60.0)
        self.upstream = upstream
        self.number = number

    def next(self, body=True):
        """The next request, remembered; None at the end of the connection."""
        request = self.read_request(body)
        if request is not None:
            request.connection = self.number
            with self.upstream.lock:
                self.upstream.requests.append(request)
        return request

    def answer(self, status=200, body=b"", fields=(), reason="OK", method="GET"):
        data = wire.response_bytes(status, body, fields, reason)
        if method == "HEAD":
            data = data[:data.index(b"\r\n\r\n") + 4]
        self.send(data)

    def sleep(self, seconds):
        """Returns early when the upstream stops."""
        self.upstream.stopping.wait(seconds)


class Upstream:
    """Listens from construction on until stop(); `address` is what naru's config takes."""

    def __init__(self, behave=None, path=None, port=0, backlog=256):
        self.behave = behave or fixed(200, b"hello\n")
        self.path = path
        self.port = port
        self.backlog = backlog
        self.requests = []
        self.errors = []            # WireErrors of what naru sent; checked by the harness
        self.connections_total = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.peers = set()
        self.threads = set()
        self.listener = None
        self.start()

    @property
    def address(self):
        return f"unix:{self.path}" if self.path else f"127.0.0.1:{self.port}"

    @property
    def connections_open(self):
        with self.lock:
            return len(self.peers)

    def start(self):
        """Also after stop(), on the same address: an instance that comes back."""
        self.stopping = threading.Event()
        if self.path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.path)
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", self.port))
            self.port = self.listener.getsockname()[1]
        self.listener.listen(self.backlog)
        threading.stack_size(THREADS_STACK_BYTES)
        self.acceptor = threading.Thread(target=self._accept, args=(self.listener, self.stopping),
                                         daemon=True)
        self.acceptor.start()

    def _accept(self, listener, stopping):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            if stopping.is_set():
                sock.close()
                return
            with self.lock:
                peer = Peer(self, sock, self.connections_total)
                self.connections_total += 1
                thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
                self.peers.add(peer)
                self.threads.add(thread)
            thread.start()

    def _serve(self, peer):
        try:
            self.behave(peer)
        except wire.Closed:
            pass        # naru may leave whenever it likes
        except wire.WireError as error:
            if not self.stopping.is_set():
                self.errors.append(error)
        except OSError:
            pass        # written to a connection that naru has closed
        finally:
            peer.close()
            with self.lock:
                self.peers.discard(peer)
                self.threads.discard(threading.current_thread())

    def stop(self, reset=True):
        """As a crash (reset) or an orderly exit: nothing listens, no connection stays."""
        if self.listener is None:
            return
        self.stopping.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)    # wakes accept()
        except OSError:
            pass
        self.listener.close()
        self.listener = None
        self.acceptor.join(5)
        with self.lock:
            peers, threads = list(self.peers), list(self.threads)
        for peer in peers:
            try:
                if reset:
                    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                         struct.pack("ii", 1, 0))
                peer.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in threads:
            thread.join(5)
        if self.path:
            os.unlink(self.path)

    def wait_requests(self, count, within_s=10.0):
        deadline_s = time.monotonic() + within_s
        while len(self.requests) < count:
            if time.monotonic() > deadline_s:
                raise AssertionError(f"upstream saw {len(self.requests)} of {count} requests")
            time.sleep(0.005)
        return self.requests

    def wait_idle(self, within_s=10.0):
        """Until naru has closed every connection."""
        deadline_s = time.monotonic() + within_s
        while self.connections_open:
            if time.monotonic() > deadline_s:
                raise AssertionError(f"{self.connections_open} connections still open")
            time.sleep(0.005)


# ---- behaviours

def each(answer):
    """Keep-alive; answer(peer, request) for every request. Returning False closes."""
    def behave(peer):
        while (request := peer.next()) is not None:
            if answer(peer, request) is False:
                return
    return behave


def fixed(status=200, body=b"", fields=()):
    return each(lambda peer, r: peer.answer(status, body, fields, method=r.method))


def named(name):
    """Says who it is, for tests of balancing."""
    return fixed(200, name.encode() + b"\n", {"X-Instance": name})


def echo():
    """The request's body back, with its method and target as fields."""
    return each(lambda peer, r: peer.answer(
        200, r.body, {"X-Method": r.method, "X-Target": r.target}, method=r.method))


def chunked(parts, trailers=(), pause_s=0):
    """The parts as one chunk each, with a pause before each."""
    def answer(peer, request):
        peer.send(wire.response_bytes(200, b"", {"Transfer-Encoding": "chunked"}))
        for part in parts:
            if pause_s:
                peer.sleep(pause_s)
            peer.send(wire.chunk(part))
        peer.send("0\r\n" + "".join(f"{n}: {v}\r\n" for n, v in trailers) + "\r\n")
    return each(answer)


def big(total_bytes, piece_bytes=64 * 1024):
    """A body that need not fit anybody's memory: the position modulo 251, byte by byte."""
    def answer(peer, request):
        peer.send(wire.response_bytes(200, b"", {"Content-Length": str(total_bytes)}))
        for at in range(0, total_bytes, piece_bytes):
            peer.send(pattern(at, min(piece_bytes, total_bytes - at)))
    return each(answer)


_PATTERN = bytes(i % 251 for i in range(251 * 2))


def pattern(at, count):
    """What big() sends at this position."""
    start = at % 251
    return (_PATTERN * (count // 251 + 2))[start:start + count]


def slow(seconds, status=200, body=b"late\n"):
    """Thinks before every answer."""
    def answer(peer, request):
        peer.sleep(seconds)
        peer.answer(status, body, method=request.method)
    return each(answer)


def silent():
    """Reads requests and never answers."""
    return each(lambda peer, request: peer.sleep(3600))


def raw(data, close=True):
    """Reads one request and sends these bytes, whatever they are."""
    def behave(peer):
        peer.next()
        peer.send(data)
        if not close:
            peer.sleep(3600)
    return behave


def garbage():
    return raw(b"\x16\x03\x01\x00not HTTP at all\r\n\r\n")


def close_at_once():
    """Accepts and closes without reading."""
    return lambda peer: None


def close_after_request():
    """Reads a request, then closes without an answer."""
    return lambda peer: peer.next()


def reset_after_request():
    def behave(peer):
        peer.next()
        peer.reset()
    return behave


def truncated(total_bytes, sent_bytes):
    """Promises more than it sends, then closes."""
    head = wire.response_bytes(200, b"", {"Content-Length": str(total_bytes)})
    return raw(head + b"x" * sent_bytes)


def early(status=413, body=b"too big\n"):
    """Answers after the head, before the body was read."""
    def behave(peer):
        while peer.next(body=False) is not None:
            peer.answer(status, body, {"Connection": "close"})
            peer.half_close()
            peer.sleep(0.5)
            return
    return behave
