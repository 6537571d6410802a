# SPDX-License-Identifier: Apache-2.0
"""Raw HTTP/1.1 over a socket, strict on purpose.

A client library would forgive what naru must never send, so responses are read
here with no tolerance at all: CRLF only, token names, one framing. Anything
else raises WireError and fails the test.
"""

import re
import select
import socket
import struct
import time

WAIT_S = 10.0

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) ([\t \x21-\x7e\x80-\xff]*)\Z")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/(1\.[01])\Z")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e\x80-\xff]?"
                    rb"(?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)[ \t]*\Z")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t \x21-\x7e\x80-\xff]*)?\Z")


class WireError(AssertionError):
    """The peer sent something that HTTP/1.1 does not allow, or not in time."""


class Closed(WireError):
    """The connection ended where more bytes were due. `reset` tells RST from FIN."""

    def __init__(self, text, reset=False):
        super().__init__(text)
        self.reset = reset


class Fields(list):
    """(name, value) pairs as received: order and case kept, both str."""

    def all(self, name):
        return [v for n, v in self if n.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        return ", ".join(values) if values else default

    def names(self):
        return [n for n, _ in self]


class Message:
    """A request or a response: start line, fields, body, trailers."""

    def __init__(self):
        self.fields = Fields()
        self.body = b""
        self.trailers = Fields()
        self.chunks = []        # sizes as framed by the peer, when chunked
        # of a response
        self.status = 0
        self.reason = ""
        self.interim = []       # 1xx responses that came before, as Message
        # of a request
        self.method = ""
        self.target = ""
        self.version = "1.1"

    def header(self, name, default=None):
        return self.fields.get(name, default)

    def json(self):
        import json
        return json.loads(self.body)

    def __repr__(self):
        start = f"{self.method} {self.target}" if self.method else f"{self.status} {self.reason}"
        return f"<{start} {list(self.fields)} body {len(self.body)} B>"


class Stream:
    """A socket with a read buffer and a deadline on every read."""

    def __init__(self, sock, wait_s=WAIT_S):
        self.sock = sock
        self.wait_s = wait_s
        self.buffer = bytearray()
        self.ended = False

    # ---- bytes

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("latin-1")
        self.sock.settimeout(self.wait_s)
        self.sock.sendall(data)

    def send_slowly(self, data, piece_bytes=1, pause_s=0.01):
        """In pieces, each its own segment: a parser must not care."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), piece_bytes):
            self.send(data[at:at + piece_bytes])
            time.sleep(pause_s)

    def _fill(self, deadline_s):
        """One more read into the buffer; False at an orderly end."""
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise WireError(f"nothing within {self.wait_s} s; have {bytes(self.buffer[:200])!r}")
        self.sock.settimeout(left_s)
        try:
            data = self.sock.recv(256 * 1024)
        except TimeoutError:
            raise WireError(f"nothing within {self.wait_s} s; "
                            f"have {bytes(self.buffer[:200])!r}") from None
        except ConnectionResetError:
            self.ended = True
            raise Closed(f"reset; had {bytes(self.buffer[:200])!r}", reset=True) from None
        if not data:
            self.ended = True
            return False
        self.buffer += data
        return True

    def _take(self, count):
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def read_exact(self, count):
        deadline_s = time.monotonic() + self.wait_s
        while len(self.buffer) < count:
            if not self._fill(deadline_s):
                raise Closed(f"closed after {len(self.buffer)} of {count} bytes")
        return self._take(count)

    def read_line(self, bytes_max=64 * 1024):
        """One line without its CRLF. A bare LF or CR is an error."""
        deadline_s = time.monotonic() + self.wait_s
        while (at := self.buffer.find(b"\n")) < 0:
            if len(self.buffer) > bytes_max:
                raise WireError("a line without end")
            if not self._fill(deadline_s):
                raise Closed(f"closed within a line: {bytes(self.buffer[:200])!r}")
        line = self._take(at + 1)
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise WireError(f"bare CR or LF in {line!r}")
        return line[:-2]

    def read_to_end(self):
        """Everything until FIN. A reset raises."""
        while True:
            # The deadline restarts with every read: a big body is not a stall.
            if not self._fill(time.monotonic() + self.wait_s):
                return self._take(len(self.buffer))

    # ---- ends

    def expect_close(self, within_s=None, allow_reset=False):
        """The peer closes, and sends nothing more before it does."""
        if self.buffer:
            raise WireError(f"more bytes than due: {bytes(self.buffer[:200])!r}")
        try:
            if self._fill(time.monotonic() + (within_s or self.wait_s)):
                raise WireError(f"bytes instead of a close: {bytes(self.buffer[:200])!r}")
        except Closed:
            if not allow_reset:
                raise

    def expect_silence(self, for_s=0.3):
        """The connection stays open and nothing comes."""
        if self.buffer:
            raise WireError(f"more bytes than due: {bytes(self.buffer[:200])!r}")
        readable, _, _ = select.select([self.sock], [], [], for_s)
        if readable:
            if self._fill(time.monotonic() + 1):
                raise WireError(f"bytes instead of silence: {bytes(self.buffer[:200])!r}")
            raise Closed("closed instead of silent")

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def reset(self):
        """Close by RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- messages

    def read_fields(self):
        fields = Fields()
        while line := self.read_line():
            match = _FIELD.match(line)
            if match is None:
                raise WireError(f"not a field line: {line!r}")
            fields.append((match[1].decode("ascii"), match[2].decode("latin-1")))
        return fields

    def _read_chunked(self, message):
        body = bytearray()
        while True:
            match = _CHUNK_SIZE.match(line := self.read_line())
            if match is None:
                raise WireError(f"not a chunk size: {line!r}")
            size = int(match[1], 16)
            if size == 0:
                break
            message.chunks.append(size)
            body += self.read_exact(size)
            if self.read_exact(2) != b"\r\n":
                raise WireError("a chunk does not end in CRLF")
        message.trailers = self.read_fields()
        message.body = bytes(body)

    def _framing(self, message):
        """'chunked', a length, or None when the fields say neither (RFC 9112, 6.3)."""
        lengths = message.fields.all("content-length")
        codings = message.fields.all("transfer-encoding")
        if codings:
            if lengths or [c.strip().lower() for c in codings] != ["chunked"]:
                raise WireError(f"ambiguous framing: {message.fields}")
            return "chunked"
        if lengths:
            if len(lengths) != 1 or re.fullmatch(r"[0-9]{1,18}", lengths[0]) is None:
                raise WireError(f"bad Content-Length: {lengths}")
            return int(lengths[0])
        return None

    def read_request(self, body=True):
        """The next request; None when the peer closed instead of sending one."""
        if not self.buffer:
            try:
                if not self._fill(time.monotonic() + self.wait_s):
                    return None
            except Closed:
                return None
        request = Message()
        match = _REQUEST_LINE.match(line := self.read_line())
        if match is None:
            raise WireError(f"not a request line: {line!r}")
        request.method = match[1].decode("ascii")
        request.target = match[2].decode("latin-1")
        request.version = match[3].decode("ascii")
        request.fields = self.read_fields()
        if body:
            self.read_body(request)
        return request

    def read_body(self, request):
        framing = self._framing(request)
        if framing == "chunked":
            self._read_chunked(request)
        elif framing:
            request.body = self.read_exact(framing)
        return request

    def read_head(self):
        """A response's head alone; framing is then the caller's business."""
        response = Message()
        match = _STATUS_LINE.match(line := self.read_line())
        if match is None:
            raise WireError(f"not a status line: {line!r}")
        response.status = int(match[1])
        response.reason = match[2].decode("latin-1")
        response.fields = self.read_fields()
        return response

    def read_response(self, method="GET"):
        """The next final response, read whole, with its 1xx in `interim`."""
        interim = []
        while True:
            response = self.read_head()
            if response.status >= 200 or response.status == 101:
                break
            if self._framing(response) is not None:
                raise WireError(f"a 1xx with framing fields: {response}")
            interim.append(response)
        response.interim = interim
        framing = self._framing(response)
        if response.status in (101, 204) and framing is not None:
            raise WireError(f"framing fields on {response.status}: {response.fields}")
        if method == "HEAD" or response.status in (101, 204, 304):
            return response
        if framing == "chunked":
            self._read_chunked(response)
        elif framing is not None:
            response.body = self.read_exact(framing)
        else:
            response.body = self.read_to_end()
        return response


def connect(address, wait_s=WAIT_S, receive_buffer_bytes=None):
    """address: port, (host, port), "host:port" or "unix:/path". A small receive buffer makes a
    slow reader slow at once."""
    if isinstance(address, str) and address.startswith("unix:"):
        family, where = socket.AF_UNIX, address[len("unix:"):]
    elif isinstance(address, str):
        host, _, port = address.rpartition(":")
        family, where = socket.AF_INET6 if ":" in host else socket.AF_INET, (host.strip("[]"), int(port))
    else:
        family = socket.AF_INET
        where = ("127.0.0.1", address) if isinstance(address, int) else address
    sock = socket.socket(family, socket.SOCK_STREAM)
    if receive_buffer_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    sock.settimeout(wait_s)
    try:
        sock.connect(where)
    except BaseException:
        sock.close()
        raise
    return Stream(sock, wait_s)


def request_bytes(method="GET", target="/", fields=(), body=None, host="naru.test", chunked=False):
    """A well-formed request; for any other, write the bytes yourself."""
    pairs = list(fields.items()) if isinstance(fields, dict) else list(fields)
    names = {n.lower() for n, _ in pairs}
    if "host" not in names and host is not None:
        pairs.insert(0, ("Host", host))
    if chunked:
        pairs.append(("Transfer-Encoding", "chunked"))
    elif body is not None and "content-length" not in names:
        pairs.append(("Content-Length", str(len(body))))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in pairs) + "\r\n"
    data = head.encode("latin-1")
    if chunked:
        return data + b"".join(chunk(part) for part in body) + b"0\r\n\r\n"
    return data + (body or b"")


def response_bytes(status=200, body=b"", fields=(), reason="OK"):
    """A well-formed response with a Content-Length, unless the fields frame it themselves."""
    pairs = list(fields.items()) if isinstance(fields, dict) else list(fields)
    names = {n.lower() for n, _ in pairs}
    bodiless = status < 200 or status in (204, 304)
    if not bodiless and not names & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(body))))
    head = f"HTTP/1.1 {status} {reason}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in pairs) + "\r\n"
    return head.encode("latin-1") + body


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def request(address, method="GET", target="/", fields=(), body=None, wait_s=WAIT_S, **more):
    """One request on a connection of its own, its response whole."""
    with connect(address, wait_s) as stream:
        stream.send(request_bytes(method, target, fields, body, **more))
        return stream.read_response(method)
