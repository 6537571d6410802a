# SPDX-License-Identifier: Apache-2.0
"""`naru explain`: the records of a naru that runs, in words, and clear refusals when there are none."""

import contextlib
import json
import os
import socket
import threading

import upstream
from harness import free_port, main, run_naru, test

OK, FAILURE, USAGE, CONFIG, LISTEN, NAME, ADMIN = range(7)


def shop(t):
    """A service that lives behind one instance that does not, and one that nobody runs."""
    up = t.upstream(upstream.named("alive"))
    return t.naru(
        gateway={"routes": [{"match": {"path": "/api/*"}, "service": "orders"},
                            {"match": {"path": "/gone/*"}, "service": "gone"}]},
        services={"orders": {"instances": [f"127.0.0.1:{free_port()}", up.address],
                             "balance": "round_robin"},
                  "gone": {"instances": [f"127.0.0.1:{free_port()}"]}})


def explain(naru, *words, **more):
    return run_naru("explain", "-c", naru.config_path, *words, **more)


def answered(naru):
    with contextlib.suppress(OSError):
        return naru.request("GET", "/")
    return None


def one_line(t, done, code, pattern):
    t.equal(done.returncode, code, done.stderr)
    t.equal(len(done.stderr.splitlines()), 1, done.stderr)
    t.equal(done.stdout, "")
    t.matches(done.stderr, pattern)


@test("a request that needed a second instance, and one that had none")
def _(t):
    naru = shop(t)
    tries = [naru.request("GET", f"/api/{i}") for i in range(2)]
    texts = [t.eventually(lambda a=a: explain(naru, a.header("X-Request-Id")).stdout, "a record")
             for a in tries]
    retried = [text for text in texts if "attempt 2" in text]
    t.equal(len(retried), 1)
    t.matches(retried[0], r"^GET /api/\d -> 200 in ")
    t.matches(retried[0], r"The answer is the service's own: service 'orders' \(127.*at attempt 2")
    t.matches(retried[0], r"attempt 1 +127\S+ refused the connection after")
    t.matches(retried[0], r"attempt 2 +127\S+ answered 200 after")
    t.matches(retried[0], r"deadline +5000 ms")

    failed = naru.request("GET", "/gone/x")
    t.equal(failed.status, 502)
    text = t.eventually(lambda: explain(naru, failed.json()["request_id"]).stdout, "a record")
    t.matches(text, r"Naru answered 502\. .*\[connect_refused\]\nWhat to do: Nothing listens")
    t.matches(text, r"Where the time went\n(.*\|.*#.*\|\n)+  all of it")


@test("lists, and what chooses among them")
def _(t):
    naru = shop(t)
    for i in range(3):
        naru.request("GET", f"/api/{i}")
    for i in range(2):
        naru.request("GET", f"/gone/{i}")
    naru.request("GET", "/nowhere")
    t.eventually(lambda: len(naru.admin("/v1/requests").json()["requests"]) == 6, "six records")

    def rows(*words):
        done = explain(naru, "--last", "50", *words)
        t.equal(done.returncode, OK, done.stderr)
        return [line.split()[-1] for line in done.stdout.splitlines()[1:]]

    t.equal(rows(), ["/nowhere", "/gone/1", "/gone/0", "/api/2", "/api/1", "/api/0"])
    t.equal(rows("--status", "5xx"), ["/gone/1", "/gone/0"])
    t.equal(rows("--status", "404"), ["/nowhere"])
    t.equal(rows("--reason", "no_route"), ["/nowhere"])
    t.equal(rows("--service", "orders", "--status", "200-299"), ["/api/2", "/api/1", "/api/0"])
    t.equal(rows("--route", "/gone/*"), ["/gone/1", "/gone/0"])
    t.equal(rows("--service", "nobody"), [])
    t.equal(len(explain(naru, "--last", "2").stdout.splitlines()), 3)
    as_json = json.loads(explain(naru, "--last", "1", "--json").stdout)
    t.equal(as_json["requests"][0]["reason"], "no_route")
    t.equal(json.loads(explain(naru, as_json["requests"][0]["request_id"], "--json").stdout),
            as_json["requests"][0])
    t.equal(naru.admin("/v1/requests?status=9xx").json()["reason"], "bad_filter")


@test("what a reason means")
def _(t):
    done = run_naru("explain", "--reason", "no_healthy")
    t.equal(done.returncode, OK)
    t.matches(done.stdout, r"^no_healthy \(503\)\n  means:  No instance .*\n  do:     .*health")
    t.equal(json.loads(run_naru("explain", "--reason", "idle", "--json").stdout)["status"], 408)
    one_line(t, run_naru("explain", "--reason", "no_helthy"), FAILURE,
             r"no reason 'no_helthy', did you mean 'no_healthy'\?")


@test("where naru is: a file, an address, a name, nothing at all")
def _(t):
    naru = shop(t)
    request_id = naru.request("GET", "/nowhere").json()["request_id"]
    for words in (("-c", naru.config_path), ("--admin", f"127.0.0.1:{naru.admin_port}"),
                  ("--admin", f"localhost:{naru.admin_port}")):
        done = t.eventually(lambda w=words: (r := run_naru("explain", *w, request_id)).stdout and r,
                            f"an answer with {words}")
        t.matches(done.stdout, r"no_route")
    path = os.path.join(naru.folder, "admin.sock")
    one_line(t, run_naru("explain", "--admin", f"unix:{path}", "x"), ADMIN,
             r"nobody listens on unix:.*is naru running")
    other = t.naru_stopped(config_text=f"""
        gateway: {{listen: ["127.0.0.1:{free_port()}"]}}
        admin: {{listen: "unix:{path}"}}
        """)
    other.start(wait=False)
    done = t.eventually(lambda: (r := explain(other, request_id)).returncode != ADMIN and r,
                        "an answer over the Unix socket")
    one_line(t, done, FAILURE, r"no record of this id: naru has not carried any request yet")


@test("a naru with a token: from the configuration, and none or a wrong one")
def _(t):
    naru = t.naru_stopped(config_text="""
        gateway: {listen: ["127.0.0.1:{port}"], routes: [{match: {path: "/*"}, respond: {body: hi}}]}
        admin: {listen: "127.0.0.1:{admin_port}", token: correct-horse-battery}
        """)
    naru.start(wait=False)
    request_id = t.eventually(lambda: answered(naru), "an answer").header("X-Request-Id")
    done = t.eventually(lambda: (r := explain(naru, request_id)).returncode == OK and r, "a record")
    t.matches(done.stdout, r"GET / -> 200 in .*\n.*\n\nNaru answered this itself: the route says so")
    admin = f"127.0.0.1:{naru.admin_port}"
    one_line(t, run_naru("explain", "--admin", admin, request_id), ADMIN, r"wants a token")
    one_line(t, explain(naru, request_id, env={"NARU_ADMIN_TOKEN": "another-horse-battery"}), ADMIN,
             r"wants a token")
    one_line(t, explain(naru, request_id, env={"NARU_ADMIN_TOKEN": "short"}), USAGE,
             r"NARU_ADMIN_TOKEN: .*bytes")


@test("one clear line when there is nothing to tell")
def _(t):
    naru = shop(t)
    naru.request("GET", "/nowhere")
    one_line(t, t.eventually(lambda: "oldest" in (r := explain(naru, "ffff")).stderr and r,
                             "a record to compare with"),
             FAILURE, r"no record of this id: never seen, or overwritten; the oldest kept is of 20")
    one_line(t, run_naru("explain", "--admin", f"127.0.0.1:{free_port()}", "x"), ADMIN,
             r"nobody listens on 127\S+: is naru running, and is this its admin address\?")
    one_line(t, run_naru("explain", "--admin", f"127.0.0.1:{naru.port}", "x"), ADMIN,
             r"answers 404 \(no_route\), not as a naru's admin listener: wrong port\?")
    one_line(t, run_naru("explain", "--admin", "nonsense", "x"), USAGE, r"no address such as")
    one_line(t, explain(naru, "x", "--token-file", "/nowhere/token"), USAGE, r"/nowhere/token")
    one_line(t, explain(naru), USAGE, r"an ID, --last COUNT, --reason CODE or --route")
    one_line(t, explain(naru, "--last", "0"), USAGE, r"--last needs a number")
    one_line(t, explain(naru, "--last", "2", "x"), USAGE, r"exclude each other")
    one_line(t, explain(naru, "--last", "2", "--status", "never"), USAGE, r"--status needs")
    one_line(t, explain(naru, "--service", "orders"), USAGE, r"--last COUNT")


@test("what listens there is something else")
def _(t):
    def serve(listener, answer):
        peer, _address = listener.accept()
        with peer:
            peer.recv(65536)
            peer.sendall(answer)

    for answer, pattern in (
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", r"does not speak HTTP: wrong port\?"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", r"answers 200, not as a naru's"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{", r"broke off"),
            (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", r"wants a token: --token-file")):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=serve, args=(listener, answer))
            thread.start()
            one_line(t, run_naru("explain", "--admin",
                                 f"127.0.0.1:{listener.getsockname()[1]}", "x"), ADMIN, pattern)
            thread.join()


@test("the token is sent, from a file or the environment")
def _(t):
    def take(listener, seen):
        peer, _address = listener.accept()
        with peer:
            seen.append(peer.recv(65536))
            peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    for words, env in ((("--token-file", t.path("token", "correct-horse-battery\n")), {}),
                       ((), {"NARU_ADMIN_TOKEN": "correct-horse-battery"})):
        seen = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=take, args=(listener, seen))
            thread.start()
            run_naru("explain", "--admin", f"127.0.0.1:{listener.getsockname()[1]}", "a b",
                     *words, env=env)
            thread.join()
        t.matches(seen[0].decode(), r"^GET /v1/requests/a%20b HTTP/1\.1\r\n")
        t.matches(seen[0].decode(), r"\r\nAuthorization: Bearer correct-horse-battery\r\n")


if __name__ == "__main__":
    main()
