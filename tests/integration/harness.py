# SPDX-License-Identifier: Apache-2.0
"""Integration tests: the real binary, real sockets, TAP on stdout.

    from harness import main, test
    import upstream

    @test("a body comes back whole")
    def _(t):
        up = t.upstream(upstream.echo())
        naru = t.naru(services={"echo": {"instances": [up.address]}})
        answer = naru.request("POST", "/", body=b"x" * 100_000)
        t.equal(answer.body, b"x" * 100_000)

    if __name__ == "__main__":
        main()

Whatever a test starts through `t` ends with it, and naru's end is part of the
test: a crash, an exit code, a sanitizer's report or an upstream that was sent
something that is not HTTP fails it. Children die with this process, even when
it is killed (PR_SET_PDEATHSIG). Run one by hand with
`/usr/bin/python3 tests/integration/it_NAME.py [FILTER]`; -k keeps the folders.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import wire
from upstream import Upstream

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NARU = os.environ.get("NARU", os.path.join(ROOT, "build", "naru"))
TEST_TIMEOUT_S = 60
READY_S = 20        # generous: sanitizers on a busy machine

_SANITIZER = re.compile(r"(ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|"
                        r"runtime error:|assertion failed:).*")


# ---- the registry

class Skip(Exception):
    """Raised by t.skip(reason) and t.need(program)."""


_tests = []


def test(name, timeout_s=TEST_TIMEOUT_S):
    """Registers a test; they run in the order of the file."""
    def register(function):
        _tests.append((name, function, timeout_s))
        return function
    return register


class Test:
    """What a test function is handed."""

    def __init__(self, name, keep=False):
        self.name = name
        self.stack = contextlib.ExitStack()
        self.folder = tempfile.mkdtemp(prefix="naru-it-")
        if not keep:
            self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.upstreams = []

    # Things with an end.

    def upstream(self, behave=None, **more):
        up = Upstream(behave, **more)
        self.upstreams.append(up)
        self.stack.callback(up.stop)
        return up

    def naru(self, **config):
        naru = Naru(self.folder, **config)
        self.stack.callback(naru.finish)
        naru.start()
        return naru

    def naru_stopped(self, **config):
        """One that is not started yet."""
        naru = Naru(self.folder, **config)
        self.stack.callback(naru.finish)
        return naru

    def connect(self, address, **more):
        return self.stack.enter_context(wire.connect(address, **more))

    def spawn(self, argv, **more):
        """Any other program; killed at the end of the test."""
        process = spawn(argv, **more)
        self.stack.callback(reap, process)
        return process

    def path(self, name, text=None):
        """A path in the test's folder; with text, a file with it."""
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path

    # Verdicts. `assert` works too; these print both sides.

    def equal(self, have, want, what=""):
        if have != want:
            raise AssertionError(f"{what or 'have'}: {short(have)}, want {short(want)}")

    def true(self, value, what):
        if not value:
            raise AssertionError(what)

    def matches(self, text, pattern):
        if re.search(pattern, text) is None:
            raise AssertionError(f"{short(text)} does not match {pattern!r}")

    def raises(self, kind, function, *args, **more):
        try:
            function(*args, **more)
        except kind as error:
            return error
        raise AssertionError(f"{kind.__name__} expected")

    def eventually(self, condition, what, within_s=10.0):
        """Polls; returns the first true value."""
        deadline_s = time.monotonic() + within_s
        while not (value := condition()):
            if time.monotonic() > deadline_s:
                raise AssertionError(f"not within {within_s} s: {what}")
            time.sleep(0.01)
        return value

    def skip(self, reason):
        raise Skip(reason)

    def need(self, program):
        """The path of a program of the distribution, or the test is skipped."""
        path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if path is None:
            self.skip(f"{program} is not installed")
        return path

    def finish(self):
        self.stack.close()
        for up in self.upstreams:
            for error in up.errors:
                raise AssertionError(f"naru sent its upstream: {error}")


def short(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:140]} … {text[-140:]} ({len(value)} long)"


def _alarm(_signal, _frame):
    raise AssertionError("the test took too long")


def _run_one(name, function, timeout_s, keep):
    """Returns (passed, skip reason or None, diagnostics)."""
    t = Test(name, keep)
    notes = []
    skipped = None
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(timeout_s)
    try:
        function(t)
    except Skip as reason:
        skipped = str(reason)
    except Exception:
        notes.append(traceback.format_exc())
    finally:
        # The clean-up has a limit of its own: a naru that does not stop is a finding too.
        signal.alarm(60)
        try:
            t.finish()
        except Exception:
            notes.append(traceback.format_exc())
        signal.alarm(0)
    passed = not notes
    if keep:
        notes.append(f"kept {t.folder}\n")
    return passed, skipped, "".join(notes)


def main(tests=None):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # runs the clean-up
    words = [w for w in sys.argv[1:] if w != "-k"]
    chosen = [entry for entry in (tests if tests is not None else _tests)
              if not words or any(w in entry[0] for w in words)]
    failed = 0
    print(f"1..{len(chosen)}", flush=True)
    for number, (name, function, timeout_s) in enumerate(chosen, 1):
        passed, skipped, notes = _run_one(name, function, timeout_s, "-k" in sys.argv)
        failed += not passed
        print(f"{'ok' if passed else 'not ok'} {number} - {name.replace('#', '')}" +
              (f" # SKIP {skipped}" if skipped and passed else ""))
        for line in notes.splitlines():
            print(f"# {line}")
        sys.stdout.flush()
    sys.exit(1 if failed else 0)


# ---- ports

_held_ports = []


def free_port():
    """A TCP port that nobody listens on and no other test process will be given.

    Below the range that the kernel gives to outgoing connections, or one of
    those could take it before its owner listens. The lock is held until exit.
    """
    folder = os.path.join(tempfile.gettempdir(), f"naru-ports-{os.getuid()}")
    os.makedirs(folder, exist_ok=True)
    for _ in range(1000):
        port = random.randrange(10000, 32000)
        lock = open(os.path.join(folder, str(port)), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _held_ports.append(lock)
        return port
    raise AssertionError("no free port")


# ---- processes

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def spawn(argv, **more):
    """Popen whose child is killed when this process ends in any way. Only from the main
    thread: the kernel means the thread when it says parent."""
    return subprocess.Popen([str(a) for a in argv], preexec_fn=_die_with_parent,
                            stdin=more.pop("stdin", subprocess.DEVNULL), **more)


def reap(process, within_s=0.0):
    if process.poll() is None and within_s:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(within_s)
    if process.poll() is None:
        process.kill()
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


# ---- configuration

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*\Z|[0-9]+(ms|s|m|h|KiB|MiB|%)?\Z")
_NOT_PLAIN = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def to_yaml(value, depth=0):
    """Enough YAML for configurations, in the shape a person would write."""
    pad = "  " * depth
    if isinstance(value, dict):
        if not value:
            return " {}\n"
        return "\n" * (depth > 0) + "".join(
            f"{pad}{_scalar(k)}:{to_yaml(v, depth + 1)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        if not value:
            return " []\n"
        return "\n" + "".join(
            f"{pad}- {to_yaml(v, depth + 1).strip()}\n" for v in value)
    return f" {_scalar(value)}\n"


def _scalar(value):
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    if _PLAIN.match(value) and value.lower() not in _NOT_PLAIN:
        return value
    return json.dumps(value)


# ---- naru

def sanitized():
    """Is it a build with a sanitizer, which keeps what was freed in quarantine?"""
    with open(NARU, "rb") as file:
        program = file.read()
    return b"__asan_init" in program or b"__tsan_init" in program


class Naru:
    """One naru on ports of its own.

    Sections are given as keywords and join a small default: one listener, the
    admin listener, and, unless `gateway` brings routes, a route "/*" to the first
    service. `config_text` replaces all of it ({port} and {admin_port} are put in).
    """

    def __init__(self, folder, config_text=None, workers=1, env=None, **sections):
        self.folder = tempfile.mkdtemp(prefix="naru-", dir=folder)
        self.port = free_port()
        self.admin_port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.config_path = os.path.join(self.folder, "naru.yaml")
        self.env = dict(os.environ, **(env or {}))
        self.process = None
        self.expected_exit = (0,)       # of a stop by SIGTERM
        self.write_config(config_text, workers, sections)

    def write_config(self, config_text=None, workers=1, sections=None):
        if config_text is not None:
            text = config_text.replace("{admin_port}", str(self.admin_port)) \
                              .replace("{port}", str(self.port))
        else:
            text = to_yaml(self._with_defaults(workers, dict(sections or {})))
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(text)

    def _with_defaults(self, workers, sections):
        gateway = {"workers": workers, "listen": [{"address": self.address}]}
        gateway.update(sections.pop("gateway", {}))
        if "routes" not in gateway and sections.get("services"):
            service = next(iter(sections["services"]))
            gateway["routes"] = [{"match": {"path": "/*"}, "service": service}]
        return {"gateway": gateway, "admin": {"listen": f"127.0.0.1:{self.admin_port}"},
                **sections}

    @property
    def pid(self):
        return self.process.pid

    @property
    def stderr_path(self):
        return os.path.join(self.folder, "stderr")

    @property
    def stdout_path(self):
        return os.path.join(self.folder, "stdout")

    def stderr(self):
        with open(self.stderr_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def access_log(self):
        """The complete JSON lines on stdout so far."""
        with open(self.stdout_path, "rb") as file:
            return [json.loads(line) for line in file.read().split(b"\n")[:-1]]

    def start(self, wait=True, prefix=(), env=None, **more):
        with open(self.stdout_path, "wb") as out, open(self.stderr_path, "wb") as err:
            self.process = spawn([*prefix, NARU, "serve", "-c", self.config_path],
                                 stdout=out, stderr=err, env=dict(self.env, **(env or {})),
                                 cwd=self.folder, **more)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        deadline_s = time.monotonic() + READY_S
        why = "no attempt"
        while time.monotonic() < deadline_s:
            if self.process.poll() is not None:
                raise AssertionError(f"naru exited with {self.process.returncode} instead of "
                                     f"getting ready:\n{self.stderr()}")
            try:
                answer = self.admin("/ready", wait_s=2)
                if answer.status == 200:
                    return
                why = f"{answer.status} {answer.body!r}"
            except (OSError, wire.Closed) as error:
                why = repr(error)
            time.sleep(0.02)
        raise AssertionError(f"naru is not ready after {READY_S} s ({why}):\n{self.stderr()}")

    # Talking to it.

    def connect(self, **more):
        return wire.connect(self.port, **more)

    def request(self, method="GET", target="/", fields=(), body=None, **more):
        return wire.request(self.port, method, target, fields, body, **more)

    def exchange(self, data, method="GET"):
        """These bytes on a connection of their own, and the response."""
        with self.connect() as stream:
            stream.send(data)
            return stream.read_response(method)

    def admin(self, target, method="GET", wait_s=wire.WAIT_S, **more):
        return wire.request(self.admin_port, method, target, wait_s=wait_s,
                            host=f"127.0.0.1:{self.admin_port}", **more)

    def record(self, request_id, within_s=10.0):
        """The record of a request; a client may have its answer a moment before it is made."""
        deadline_s = time.monotonic() + within_s
        while (answer := self.admin(f"/v1/requests/{request_id}")).status != 200:
            if time.monotonic() > deadline_s:
                raise AssertionError(f"no record of {request_id} within {within_s} s")
            time.sleep(0.01)
        return answer.json()

    def policies(self, service=0):
        """What the policies of a service have decided; services by their order in the file."""
        return self.admin("/v1/services").json()["services"][service]["policies"]

    def circuits(self, service=0):
        """The states of its circuits."""
        return [circuit["state"] for circuit in self.policies(service)["circuits"]]

    def circuits_become(self, t, want, what):
        """A moment after the answer: its client may have it before the circuit knows."""
        t.eventually(lambda: self.circuits() == want, f"{what}: {want}")

    def metrics(self):
        """{'name{labels}': value} of /metrics."""
        values = {}
        for line in self.admin("/metrics").body.decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    # Looking at it from outside.

    def fd_count(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) * 1024

    def anonymous_bytes(self):
        """Memory of its own: neither of files nor shared."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            return int(re.search(r"Anonymous:\s+(\d+) kB", file.read())[1]) * 1024

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # Ending it.

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, within_s=30):
        """SIGTERM and wait. Returns the exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"naru did not stop within {within_s} s:\n"
                                 f"{self.stderr()}") from None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.expected_exit = (self.process.returncode,)

    def finish(self):
        """The end of the test: it must still live, or have ended as expected, and cleanly."""
        if self.process is None:
            return
        code = self.stop()
        found = _SANITIZER.search(self.stderr())
        if found:
            raise AssertionError(f"on stderr:\n{self.stderr()[found.start():][:6000]}")
        if code not in self.expected_exit:
            raise AssertionError(f"naru ended with {code}:\n{self.stderr()[-3000:]}")


def run_naru(*argv, input=None, timeout_s=30, env=None, cwd=None):
    """A naru that ends by itself: check, config, bad arguments. Returns CompletedProcess, text."""
    return subprocess.run([NARU, *argv], input=input, capture_output=True, text=True,
                          timeout=timeout_s, env=dict(os.environ, **(env or {})), cwd=cwd,
                          check=False, preexec_fn=_die_with_parent)
