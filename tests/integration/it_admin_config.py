# SPDX-License-Identifier: Apache-2.0
"""The configuration by the admin API: tried, put in force, listed, taken back, under traffic."""

import json
import os
import signal
import subprocess

import wire
from admin_api import (BEARER, TOKEN, audits, config_text, conforms, naming, one_app, patch, post,
                       rollback, with_token)
from harness import NARU, free_port, main, run_naru, test, to_yaml
from load import loads, no_failures


@test("a configuration is put in force, tried, listed and taken back")
def _(t):
    naru, a = one_app(t)
    b = t.upstream(naming("b"))
    text = config_text(naru, {"app": b, "other": a})
    answer = post(naru, text, "/v1/config?dry_run=true")
    t.equal(answer.status, 200)
    told = conforms(t, naru, answer, "putConfig")
    t.equal((told["version"], told["dry_run"], answer.header("ETag")), (1, True, '"1"'))
    t.equal(told["changes"]["services"], {"added": ["other"], "changed": ["app"], "removed": []})
    t.equal(told["changes"]["routes"], {"added": [], "changed": [], "removed": []})
    t.equal(told["changes"]["sections"], ["services"])
    t.equal(naru.request().body, b"a")
    t.equal(naru.admin("/v1/config/versions").json()["versions"][0]["version"], 1)

    answer = post(naru, text)
    told = conforms(t, naru, answer, "putConfig")
    t.equal((answer.status, told["version"], told["dry_run"]), (200, 2, False))
    t.equal(answer.header("ETag"), '"2"')
    t.equal(naru.request().body, b"b")
    t.matches(naru.admin("/v1/config").body.decode(), '"?other"?:')
    t.equal(naru.admin("/v1/config").header("ETag"), '"2"')
    listed = naru.admin("/v1/config/versions").json()["versions"]
    t.equal([(v["version"], v["source"], v["in_force"]) for v in listed],
            [(2, "api", True), (1, "start", False)])
    old = naru.admin("/v1/config/versions/1")
    t.true("other" not in old.body.decode() and a.address in old.body.decode(), "version 1")

    answer = rollback(naru, 1)
    told = conforms(t, naru, answer, "rollbackConfig")
    t.equal((answer.status, told["version"], told["changes"]["services"]["removed"]),
            (200, 3, ["other"]))
    t.equal(naru.request().body, b"a")
    for version in ("9", "0", "x", "01"):
        t.equal(naru.admin(f"/v1/config/versions/{version}").json()["reason"], "unknown_version")
    t.equal(conforms(t, naru, rollback(naru, 77), "rollbackConfig")["reason"], "unknown_version")
    answer = naru.admin("/v1/config/reload", "POST")
    t.equal(conforms(t, naru, answer, "reloadConfig")["summary"], "nothing")


@test("a version comes back as it was loaded, whatever became of its files and variables")
def _(t):
    a, b = t.upstream(naming("a")), t.upstream(naming("b"))
    naru = t.naru_stopped(services={"app": {"instances": [a.address]}}, env={"WHO": a.address})

    def write(include, services):
        naru.write_config(to_yaml({
            "include": include, "admin": {"listen": f"127.0.0.1:{naru.admin_port}"},
            "gateway": {"workers": 1, "listen": [{"address": naru.address}],
                        "routes": [{"match": {"path": "/*"}, "service": "app"}]}}))
        t.path(os.path.join(naru.folder, "more.yaml"), services)
    write("mor*.yaml", "services:\n  app: {instances: [\"${WHO}\"]}\n")
    naru.start()
    shown = naru.admin("/v1/config").body
    t.equal(naru.admin("/v1/config/versions/1").body, shown)
    write("more.yaml", f"services:\n  app: {{instances: [\"{b.address}\"]}}\n")
    t.equal(naru.admin("/v1/config/reload", "POST").status, 200)
    t.equal(naru.request().body, b"b")
    os.unlink(os.path.join(naru.folder, "more.yaml"))
    t.equal(naru.admin("/v1/config/reload", "POST").status, 422)

    old = naru.admin("/v1/config/versions/1")
    t.equal((old.body, old.header("ETag"), old.header("Content-Type")),
            (shown, '"1"', "application/yaml"))
    told = rollback(naru, 1, "?dry_run=1").json()
    t.equal(told["changes"]["services"]["changed"], ["app"])
    t.equal(naru.request().body, b"b")
    t.equal(rollback(naru, 1).json()["version"], 3)
    t.equal(naru.request().body, b"a")
    t.equal(rollback(naru, 2).json()["version"], 4)
    t.equal(naru.request().body, b"b")
    for version in range(5, 14):
        t.equal(rollback(naru, version - 2).json()["version"], version)
    t.equal(naru.request().body, b"a")
    t.equal([naru.admin(f"/v1/config/versions/{version}").status for version in (3, 4, 13)],
            [404, 200, 200])
    t.equal(naru.admin("/v1/config/versions/4").body.count(b.address.encode()), 1)
    t.equal(rollback(naru, 3).status, 404)


@test("a dry run says what naru check says")
def _(t):
    naru, a = one_app(t)
    text = config_text(naru, {"app": a}).replace("workers: 1\n", "workers: 128\n")
    told = post(naru, text, "/v1/config?dry_run=true").json()
    checked = json.loads(run_naru("check", "--json", "-c", t.path("same.yaml", text)).stdout)
    t.equal([(f["code"], f["level"], f["line"]) for f in told["findings"]],
            [(f["code"], f["level"], f["line"]) for f in checked["findings"]])
    t.equal({f["level"] for f in told["findings"]}, {"warning", "hint"})
    t.true("findings" not in post(naru, text).json(), "only a dry run looks for them")


@test("what /v1/config shows can be put in force again")
def _(t):
    naru, _a = one_app(t)
    shown = naru.admin("/v1/config").body.decode()
    told = post(naru, shown).json()
    t.equal((told["summary"], told["changes"]["sections"]), ("nothing", []))


@test("a bad configuration is 422 with every diagnostic, and the one before stays")
def _(t):
    naru, a = one_app(t)
    text = config_text(naru, {"app": a}).replace("instances:", "instanes:") + "bogus: 1\n"
    for query in ("", "?dry_run=1"):
        answer = post(naru, text, "/v1/config" + query)
        t.equal(answer.status, 422)
        told = conforms(t, naru, answer, "putConfig")
        t.equal((told["reason"], told["version"]), ("bad_config", 1))
        t.equal(answer.header("Content-Type"), "application/problem+json")
        by_line = [d for d in told["diagnostics"] if d["message"].startswith("unknown")]
        t.matches(by_line[0]["text"], r"^configuration:\d+:\d+: unknown field 'instanes', did you mean "
                                      r"'instances'\?")
        t.equal(by_line[0]["path"], "services.app")
        t.matches(told["detail"], r"errors, and version 1 stays in force: configuration:\d+:\d+: ")
        lines = text.splitlines()
        t.true("instanes" in lines[by_line[0]["line"] - 1], by_line[0])
        t.true("bogus" in lines[by_line[-1]["line"] - 1], by_line[-1])
    t.equal(post(naru, "").status, 400)
    for body in ("[", "a: &x 1\nb: *x\n", "\x01", "gateway: {}\ngateway: {}\n"):
        t.equal((body, post(naru, body).status), (body, 422))
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json", ""):
        answer = post(naru, text, fields={"Content-Type": kind})
        t.equal((kind, answer.status), (kind, 415))
    taken = config_text(naru, {"app": a}).replace(naru.address, "192.0.2.1:1")
    answer = post(naru, taken)
    t.equal(answer.status, 422)
    t.matches(answer.json()["diagnostics"][0]["text"], "cannot listen on 192.0.2.1:1")
    t.equal(naru.request().body, b"a")
    t.equal([v["version"] for v in naru.admin("/v1/config/versions").json()["versions"]], [1])


@test("a configuration that is too large is refused without being read")
def _(t):
    naru, a = one_app(t)
    text = config_text(naru, {"app": a})
    with naru.connect() as _, t.connect(naru.admin_port) as stream:
        stream.send("POST /v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/yaml"
                    f"\r\nContent-Length: {16 * 1024 * 1024 + 1}\r\n\r\n")
        t.equal(stream.read_response("POST").status, 413)
    padding = "#" * 1000 + "\n"
    t.equal(post(naru, text + padding * 2000).status, 200)


@test("If-Match keeps two operators from undoing each other's work")
def _(t):
    naru, a = one_app(t)
    b = t.upstream(naming("b"))
    tag = naru.admin("/v1/config").header("ETag")
    answer = post(naru, config_text(naru, {"app": b}), fields={"If-Match": tag})
    t.equal((answer.status, answer.header("ETag")), (200, '"2"'))
    answer = post(naru, config_text(naru, {"app": a}), fields={"If-Match": tag})
    t.equal(answer.status, 412)
    told = conforms(t, naru, answer, "putConfig")
    t.equal((told["reason"], told["version"]), ("stale_version", 2))
    t.equal(rollback(naru, 1, fields={"If-Match": '"1"'}).status, 412)
    t.equal(naru.request().body, b"b")
    for good in ('"2"', "2", "*"):
        t.equal(rollback(naru, 1, "?dry_run=1", {"If-Match": good}).status, 200)
    for bad in ("", "x", '"1", "2"', 'W/"2"', '"0"', '"99999999999"', '"'):
        t.equal((bad, rollback(naru, 1, fields={"If-Match": bad}).status), (bad, 400))


@test("changes under traffic, and what is said of instances meanwhile: no request fails")
def _(t):
    naru, a = one_app(t, workers=2)
    b = t.upstream(naming("b"))
    texts = [config_text(naru, {"app": a, "more": b}), config_text(naru, {"app": b}),
             config_text(naru, {"app": a}, observe={"log_level": "warn"})]
    running = loads(t, naru)
    for number in range(18):
        answer = post(naru, texts[number % 3])
        t.equal((number, answer.status), (number, 200))
        address = (a, b, a)[number % 3].address
        t.equal(patch(naru, address, {"weight": number + 1}).json()["weight"], number + 1)
        if number % 6 == 5:
            t.equal(rollback(naru, answer.json()["version"] - 1).status, 200)
    no_failures(t, running)
    t.equal(len(naru.admin("/v1/config/versions").json()["versions"]), 10)


@test("a client that leaves before its change is done does no harm")
def _(t):
    naru, a = one_app(t)
    text = config_text(naru, {"app": a, "named": a}).replace(
        f"instances:\n      - {a.address}", f"instances:\n      - {a.address}", 1)
    body = text.encode()
    for _ in range(10):
        with t.connect(naru.admin_port) as stream:
            stream.send(b"POST /v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/yaml"
                        b"\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            stream.reset()
    t.eventually(lambda: len(audits(naru)) >= 1, "an audit line")
    t.equal(naru.request().body, b"a")
    t.equal(post(naru, text).status, 200)


@test("a change that waits when naru ends is over with it")
def _(t):
    naru, a = one_app(t)
    body = config_text(naru, {"app": a}).encode()
    streams = [t.connect(naru.admin_port) for _ in range(4)]
    for stream in streams:
        stream.send(b"POST /v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/yaml"
                    b"\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    t.equal(naru.stop(), 0)


@test("the token can be changed by the API, not taken away")
def _(t):
    port = free_port()
    up = t.upstream(naming("a"))
    naru = t.naru_stopped(services={"app": {"instances": [up.address]}}, **with_token(port))
    naru.admin_port = port
    naru.start()
    answer = post(naru, config_text(naru, {"app": up}), fields=BEARER)
    t.equal(answer.status, 422)
    t.matches(answer.json()["detail"], "the admin token would be gone")
    other = "quite-another-token"
    admin = {"listen": f"127.0.0.1:{port}", "token": other}
    answer = post(naru, config_text(naru, {"app": up}, admin=admin),
                  fields={**BEARER, "Content-Type": "text/plain"})
    t.equal(answer.status, 200)
    t.equal(naru.admin("/v1/services", fields=BEARER).status, 401)
    new = {"Authorization": f"Bearer {other}"}
    t.equal(rollback(naru, 1, fields=new).status, 200)
    t.equal(naru.admin("/v1/services", fields=BEARER).status, 200)
    t.equal(naru.admin("/v1/config/reload", "POST").status, 401)
    lines = t.eventually(lambda: len(audits(naru)) >= 4 and audits(naru), "four lines")
    t.true(other not in naru.stderr() and TOKEN not in naru.stderr(), "a token is in the log")
    t.equal([(l["audit"], l["status"], l["version"]) for l in lines],
            [("putConfig", 422, 1), ("putConfig", 200, 2), ("rollbackConfig", 200, 3),
             ("reloadConfig", 401, 3)])
    actors = [l["actor"] for l in lines]
    t.true(actors[0] == actors[1] != actors[2], f"who used which token: {actors}")
    t.equal(actors[3], "no token")


@test("what takes effect with a restart only is said")
def _(t):
    naru, a = one_app(t)
    text = config_text(naru, {"app": a}).replace("workers: 1", "workers: 2")
    told = post(naru, text, "/v1/config?dry_run=true").json()
    t.equal([w["code"] for w in told["warnings"]], ["restart"])
    t.matches(told["warnings"][0]["text"], r"^configuration:2:\d+: gateway.workers has changed")
    told = post(naru, text).json()
    t.equal(len(told["warnings"]), 1)
    t.eventually(lambda: "gateway.workers has changed: that takes effect" in naru.stderr(), "logged")


@test("a naru from the command line has no file to read again")
def _(t):
    up = t.upstream(naming("a"))
    naru = t.naru_stopped(services={})
    done = t.spawn([NARU, "serve", "--to", up.address, "--listen", naru.address,
                    "--admin", f"127.0.0.1:{naru.admin_port}"],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ready():
        try:
            return naru.admin("/ready").status == 200
        except (OSError, wire.Closed):
            return False
    t.eventually(ready, "ready", 20)
    answer = naru.admin("/v1/config/reload", "POST")
    t.equal((answer.status, answer.json()["reason"]), (409, "no_file"))
    t.equal(post(naru, naru.admin("/v1/config").body.decode()).status, 200)
    done.send_signal(signal.SIGTERM)
    t.equal(done.wait(20), 0)


if __name__ == "__main__":
    main()
