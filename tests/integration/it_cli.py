# SPDX-License-Identifier: Apache-2.0
"""The command line on real failures: one clear line with what to do, and the exit code that
docs/reference/cli.md promises; logs that stall or fail; the way down."""

import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

import upstream
import wire
from harness import NARU, free_port, main, run_naru, test

OK, FAILURE, USAGE, CONFIG, LISTEN, NAME = range(6)


def one_line(t, done, code, pattern):
    """It ended with the code, and standard error is one line that matches."""
    t.equal(done.returncode, code, done.stderr)
    t.equal(len(done.stderr.splitlines()), 1, done.stderr)
    t.matches(done.stderr, pattern)


# ---- words

@test("without words: help, and the code of a wrong command line")
def _(t):
    done = run_naru()
    t.equal(done.returncode, USAGE)
    t.matches(done.stderr, r"usage: naru COMMAND")
    t.matches(done.stderr, r"4 +an address cannot be listened on")


@test("slips are recognised")
def _(t):
    one_line(t, run_naru("srve"), USAGE, r"unknown command 'srve', did you mean 'serve'\?")
    done = run_naru("serve", "--confg", "x")
    t.equal(done.returncode, USAGE)
    t.matches(done.stderr, r"unknown option '--confg', did you mean 'config'\?")
    done = run_naru("config", "shema")
    t.equal(done.returncode, USAGE)
    t.matches(done.stderr, r"did you mean 'schema'\?")
    t.equal(run_naru("serve", "-c").returncode, USAGE)
    t.equal(run_naru("check", "word").returncode, USAGE)
    t.equal(run_naru("serve", "--to", "a:1", "-c", "x").returncode, USAGE)
    t.equal(run_naru("serve", "--listen", ":1").returncode, USAGE)


@test("every command explains itself")
def _(t):
    commands = re.findall(r"^  (\w+)  ", run_naru("help").stdout.split("first steps")[0], re.M)
    t.true(len(commands) >= 6, commands)
    for command in commands:
        for words in ((command, "--help"), (command, "-h"), ("help", command)):
            done = run_naru(*words)
            t.equal(done.returncode, OK)
            t.matches(done.stdout, f"usage: naru {command}")
    t.matches(run_naru("--version").stdout, r"^naru \d+\.\d+\.\d+\n$")


@test("completion scripts are accepted by their shells")
def _(t):
    for shell, check in (("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])):
        script = run_naru("completion", shell)
        t.equal(script.returncode, OK)
        if shutil.which(shell):
            done = subprocess.run([shell, *check, t.path(shell, script.stdout)],
                                  capture_output=True, text=True, check=False)
            t.equal(done.returncode, 0, done.stderr)


@test("a full standard output is an error")
def _(t):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([NARU, "version"], stdout=full, stderr=subprocess.PIPE, check=False)
    t.equal(done.returncode, FAILURE)
    t.matches(done.stderr.decode(), "cannot write to standard output")


# ---- configuration

GOOD = """
gateway:
  listen: [{address: "127.0.0.1:8080"}]
  routes: [{match: {path: "/*"}, service: app}]
services:
  app: {instances: ["127.0.0.1:7001", "127.0.0.1:7002"], health: {path: /healthz}}
"""


@test("a missing file says how to go on")
def _(t):
    done = run_naru("serve", cwd=t.folder)
    t.equal(done.returncode, CONFIG)
    t.matches(done.stderr, r"naru\.yaml.*no such file")
    t.matches(done.stderr, r"naru serve --to 127\.0\.0\.1:3000")
    one_line(t, run_naru("check", "-c", "/nowhere/x.yaml"), CONFIG, r"/nowhere/x\.yaml.*no such file")


@test("a wrong file says line and column")
def _(t):
    path = t.path("bad.yaml", GOOD.replace("health:", "helth:"))
    for command in ("serve", "check"):
        one_line(t, run_naru(command, "-c", path), CONFIG,
                 r"bad\.yaml:6:\d+: unknown field 'helth', did you mean 'health'\?")


@test("a good file: no findings, and the effective configuration loads to itself")
def _(t):
    path = t.path("good.yaml", GOOD)
    t.equal(run_naru("check", "-c", path).returncode, OK)
    printed = run_naru("config", "print", "-c", path)
    t.equal(printed.returncode, OK)
    again = run_naru("config", "print", "-c", t.path("again.yaml", printed.stdout))
    t.equal(again.stdout, printed.stdout)
    piped = run_naru("config", "print", "-c", "-", input=GOOD)
    t.equal(piped.stdout, printed.stdout)


@test("what another file would change, by name, and what of it takes a restart")
def _(t):
    old = t.path("old.yaml", GOOD)
    t.equal(run_naru("config", "diff", old, "-c", old).returncode, OK)
    more = GOOD + "observe: { log_level: debug, access_log: false }\n"
    new = t.path("new.yaml", more.replace("services:", "services:\n  extra: { instances: [\"127.0.0.1:9\"] }"))
    diff = run_naru("config", "diff", old, "-c", new)
    t.equal((diff.returncode, diff.stdout.splitlines()), (1, [
        "+ service extra", "~ section services", "~ section observe",
        "! observe.access_log.enabled takes effect with a restart, or an upgrade in place (SIGUSR2)"]))
    back = run_naru("config", "diff", new, "-c", old)
    t.equal((back.returncode, back.stdout.splitlines()[0]), (1, "- service extra"))
    one_line(t, run_naru("config", "diff"), USAGE, "naru config diff: against which file")
    one_line(t, run_naru("config", "diff", t.path("bad.yaml", "gateway: 7\n"), "-c", new), CONFIG, r"bad\.yaml:1:\d+")


# ---- addresses and names

@test("a busy port: who and how to find out")
def _(t):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for words in (("--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{free_port()}"),
                      ("--listen", f"127.0.0.1:{free_port()}", "--admin", f"127.0.0.1:{port}")):
            one_line(t, run_naru("serve", "--to", "127.0.0.1:1", *words), LISTEN,
                     rf"cannot listen on 127\.0\.0\.1:{port}: address in use.*ss -ltnp")


@test("a port without permission")
def _(t):
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        if int(file.read()) <= 80:
            t.skip("anybody may listen on port 80 here")
    argv = [NARU, "serve", "--to", "127.0.0.1:1", "--listen", "127.0.0.1:80",
            "--admin", f"127.0.0.1:{free_port()}"]
    if os.getuid() == 0:
        os.chmod(t.folder, 0o755)
        argv[0] = shutil.copy(NARU, t.path("naru"))
        argv = [t.need("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups", *argv]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    one_line(t, done, LISTEN, r"127\.0\.0\.1:80: permission denied.*CAP_NET_BIND_SERVICE")


@test("a name that does not resolve")
def _(t):
    done = run_naru("serve", "--to", "no-such-host.invalid:80",
                    "--listen", f"127.0.0.1:{free_port()}", "--admin", f"127.0.0.1:{free_port()}")
    one_line(t, done, NAME, r"service 'app': 'no-such-host\.invalid'")


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# Only of a number that somebody wrote: the default is not a promise.
@test("fewer descriptors than the configured connections may need are said at the start")
def _(t):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))

    for limits, expected in (("max_connections: 120", r"limit of open files is 300, but 120 "
                              r"connections may need \d+: .*LimitNOFILE=.*max_connections"),
                             ("max_connections: 20", None), ("max_fields: 50", None)):
        port, admin = free_port(), free_port()
        path = t.path(f"{limits.split()[-1]}.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"gateway: {{listen: [{{address: '127.0.0.1:{port}', "
                       f"limits: {{{limits}}}}}], routes: [{{match: '/*', service: a}}]}}\n"
                       f"services: {{a: {{instances: ['127.0.0.1:1']}}}}\n"
                       f"admin: {{listen: '127.0.0.1:{admin}'}}\n")
        with open(t.path("err"), "w", encoding="utf-8") as err:
            process = subprocess.Popen([NARU, "serve", "-c", path], stdout=subprocess.DEVNULL,
                                       stderr=err, preexec_fn=limit)
        try:
            t.eventually(lambda: answers(admin), "it listens")
        finally:
            process.terminate()
            t.equal(process.wait(30), OK)
        said = open(t.path("err"), encoding="utf-8").read()
        if expected is None:
            t.true("open files" not in said, f"with {limits} it says {said!r}")
        else:
            t.matches(said, expected)


# ---- logs

class Gate:
    """A naru whose standard output is what the test wants."""

    def __init__(self, t, up, stdout, more=""):
        self.port, self.admin_port = free_port(), free_port()
        self.err = t.path("stderr")
        path = t.path("gate.yaml", f"""
gateway:
  workers: 1
  drain_timeout: 5s
  listen: [{{address: "127.0.0.1:{self.port}"}}]
  routes: [{{match: {{path: "/*"}}, service: app}}]
services:
  app: {{instances: ["{up.address}"]}}
admin: {{listen: "127.0.0.1:{self.admin_port}"}}
{more}""")
        with open(self.err, "wb") as err:
            self.process = t.spawn([NARU, "serve", "-c", path], stdout=stdout, stderr=err)
        t.eventually(self.ready, "ready", 20)

    def ready(self):
        with contextlib.suppress(OSError, wire.Closed):
            return self.get_admin("/ready").status == 200

    def get_admin(self, target):
        return wire.request(self.admin_port, "GET", target, host="127.0.0.1")

    def dropped(self):
        text = self.get_admin("/metrics").body.decode()
        return int(re.search(r'^naru_log_dropped_total{log="access"} (\d+)', text, re.M)[1])

    def stderr(self):
        with open(self.err, encoding="utf-8") as file:
            return file.read()

    def stop(self):
        self.process.terminate()
        return self.process.wait(30)


@test("a full disk for the access log costs lines, not requests")
def _(t):
    up = t.upstream(upstream.fixed(200, b"hello\n"))
    with open("/dev/full", "wb") as full:
        gate = Gate(t, up, full)
    for _ in range(50):
        t.equal(wire.request(gate.port, "GET", "/").status, 200)
    t.eventually(lambda: gate.dropped() == 50, "each line counted")
    t.equal(gate.stop(), OK)
    t.equal(len(re.findall(r"No space left on device", gate.stderr())), 1, "said once")


@test("a standard output that stalls costs lines, not requests, and not the end")
def _(t):
    up = t.upstream(upstream.fixed(200, b"hello\n"))
    reader, writer = os.pipe()
    gate = Gate(t, up, writer, "observe: {access_log: {enabled: true, buffer: 64KiB}}")
    os.close(writer)
    long_path = "/" + "x" * 1500
    with wire.connect(gate.port) as stream:
        for _ in range(300):        # 450 kB of lines against 64 kB of pipe and 64 kB of ring
            stream.send(wire.request_bytes("GET", long_path))
            t.equal(stream.read_response().status, 200)
    t.true(gate.dropped() > 0, "lines were dropped")
    began = time.monotonic()
    t.equal(gate.stop(), OK)
    t.true(time.monotonic() - began < 10, "the end does not wait for the reader")
    # What did get through is whole lines, but for the last, which nobody took any more.
    with os.fdopen(reader, "rb") as file:
        lines = file.read().split(b"\n")
    t.true(len(lines) > 10, f"{len(lines)} lines")
    t.true(all(line.endswith(b"}") for line in lines[:-1]), "whole lines")


@test("one line of access log for a request, and its record by id")
def _(t):
    up = t.upstream(upstream.fixed(201, b"made\n"))
    naru = t.naru(services={"app": {"instances": [up.address]}})
    answer = naru.request("POST", "/a?b=%22", body=b"12345", fields=[("User-Agent", 'x"\\\xff')])
    t.equal(answer.status, 201)
    line = t.eventually(naru.access_log, "a line")[0]
    t.equal(line["status"], 201)
    t.equal(line["method"], "POST")
    t.equal(line["bytes_in"], 5)
    t.equal(line["bytes_out"], 5)
    t.equal(line["ip"], "127.0.0.1")
    t.equal(line["instance"], up.address)
    t.equal(line["request_id"], answer.header("X-Request-Id"))
    t.matches(line["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
    record = naru.record(line["request_id"])
    t.equal(record["status"], 201)
    t.equal([a["result"] for a in record["attempts"]], ["answered"])
    t.equal(naru.metrics()['naru_requests_total{route="/*",method="POST",class="2xx"}'], 1)


# ---- the admin side

@test("the admin side: paths, methods, HEAD, a foreign Host")
def _(t):
    up = t.upstream()
    naru = t.naru(services={"app": {"instances": [up.address]}})
    for path in ("/", "/health", "/ready", "/metrics", "/v1/services", "/v1/requests",
                 "/v1/requests?failed=1&limit=5", "/v1/config"):
        t.equal(naru.admin(path).status, 200, path)
        head = naru.admin(path, method="HEAD")
        t.equal((head.status, head.body), (200, b""), path)
    t.equal(naru.admin("/nothing").json()["reason"], "not_found")
    t.equal(naru.admin("/v1/requests/" + "0" * 32).status, 404)
    refused = naru.admin("/metrics", method="POST")
    t.equal((refused.status, refused.header("Allow")), (405, "GET, HEAD"))
    foreign = wire.request(naru.admin_port, "GET", "/v1/config", host="evil.example")
    t.equal((foreign.status, foreign.json()["reason"]), (421, "foreign_host"))
    t.equal(wire.request(naru.admin_port, "GET", "/ready", host="localhost:1").status, 200)
    openm = naru.admin("/metrics", fields=[("Accept", "application/openmetrics-text")])
    t.true(openm.body.endswith(b"# EOF\n"), "OpenMetrics ends in # EOF")


# ---- the way down

@test("a drain: readiness fails, the listener closes, what is in flight finishes")
def _(t):
    up = t.upstream(upstream.slow(1.5))
    naru = t.naru(services={"app": {"instances": [up.address]}})
    with naru.connect() as stream:
        stream.send(wire.request_bytes("GET", "/"))
        up.wait_requests(1)
        naru.signal(signal.SIGTERM)
        t.eventually(lambda: naru.admin("/ready").status == 503, "not ready")
        t.equal(naru.admin("/ready").json()["reason"], "draining")
        t.equal(naru.admin("/health").status, 200)
        t.raises(OSError, wire.connect, naru.port)
        answer = stream.read_response()
        t.equal((answer.status, answer.body), (200, b"late\n"))
    t.equal(naru.process.wait(20), OK)


@test("a drain that lasts too long is cut off")
def _(t):
    up = t.upstream(upstream.slow(30))
    naru = t.naru(services={"app": {"instances": [up.address]}},
                  gateway={"drain_timeout": "300ms", "deadline": "60s"})
    with naru.connect() as stream:
        stream.send(wire.request_bytes("GET", "/"))
        up.wait_requests(1)
        began = time.monotonic()
        t.equal(naru.stop(), OK)
        t.true(time.monotonic() - began < 5, "cut off after 300 ms")
    t.matches(naru.stderr(), "drain timeout")


@test("a second signal ends at once")
def _(t):
    up = t.upstream(upstream.slow(30))
    naru = t.naru(services={"app": {"instances": [up.address]}}, gateway={"deadline": "60s"})
    naru.expected_exit = (FAILURE,)
    with naru.connect() as stream:
        stream.send(wire.request_bytes("GET", "/"))
        up.wait_requests(1)
        naru.signal(signal.SIGTERM)
        t.eventually(lambda: "draining" in naru.stderr(), "draining")
        naru.signal(signal.SIGINT)
        t.equal(naru.process.wait(5), FAILURE)


if __name__ == "__main__":
    main()
