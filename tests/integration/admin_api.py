# SPDX-License-Identifier: Apache-2.0
"""What the tests of the admin API share: ways to ask it, and what its document says of an answer."""

import json
import signal

import upstream
from harness import to_yaml

TOKEN = "a-token-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
JSON = {"Content-Type": "application/json"}


def naming(name):
    return upstream.fixed(200, name.encode())


def patch(naru, address, change, service="app", fields=None):
    return naru.admin(f"/v1/services/{service}/instances/{address}", "PATCH",
                      fields={**JSON, **(fields or {})}, body=json.dumps(change).encode())


def change(naru, target, body, method="PATCH", fields=None):
    return naru.admin(target, method, fields={**JSON, **(fields or {})}, body=json.dumps(body).encode())


def reload(t, naru, **sections):
    before = naru.stderr().count("configuration applied")
    naru.write_config(sections=sections)
    naru.signal(signal.SIGHUP)
    t.eventually(lambda: naru.stderr().count("configuration applied") > before, "reloaded")


def overrides(naru):
    """{(kind, name, part): value}, and that the metric says the same."""
    listed = {(o["kind"], o["name"], o.get("part", "")): o["value"]
              for o in naru.admin("/v1/overrides").json()["overrides"]}
    told = {f'naru_override{{kind="{kind}",name="{name}",part="{part}"}}'
            for kind, name, part in listed}
    assert told == {name for name in naru.metrics() if name.startswith("naru_override{")}, told
    return listed


def audits(naru):
    return [json.loads(line) for line in naru.stderr().splitlines() if '"audit":' in line]


def parse_metrics(answer):
    lines = [l for l in answer.body.decode().splitlines() if l and not l.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def one_app(t, count=1, **more):
    ups = [t.upstream(naming(chr(ord("a") + i))) for i in range(count)]
    naru = t.naru(services={"app": {"instances": [up.address for up in ups],
                                    "balance": "round_robin"}}, **more)
    return (naru, *ups)


def with_token(naru_port=None, **more):
    return {"admin": {"listen": f"127.0.0.1:{naru_port}", "token": TOKEN, **more}}


YAML = {"Content-Type": "application/yaml"}


def config_text(naru, services, routes=None, admin=None, **more):
    return to_yaml({
        "gateway": {"workers": 1, "listen": [{"address": naru.address}],
                    "routes": routes or [{"match": {"path": "/*"}, "service": next(iter(services))}]},
        "services": {name: {"instances": [up.address]} for name, up in services.items()},
        "admin": admin or {"listen": f"127.0.0.1:{naru.admin_port}"}, **more})


def post(naru, text, target="/v1/config", fields=None, **more):
    return naru.admin(target, "POST", fields={**YAML, **(fields or {})}, body=text.encode(), **more)


def rollback(naru, version, query="", fields=None):
    return naru.admin(f"/v1/config/rollback{query}", "POST", fields={**JSON, **(fields or {})},
                      body=json.dumps({"version": version}).encode())


def conforms(t, naru, answer, operation):
    document = naru.admin("/v1/openapi.json").json()
    known = [o for item in document["paths"].values() for o in item.values()
             if o["operationId"] == operation][0]["responses"]
    t.true(str(answer.status) in known, f"{operation} answers {answer.status}: {answer.body}")
    content = known[str(answer.status)]["content"]
    kind = answer.header("Content-Type")
    t.equal(violations(document, content[kind]["schema"], answer.json()), [])
    return answer.json()


# ---- the document

def resolve(document, schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict,
         "array": list, "null": type(None)}


def violations(document, schema, value, where="$"):
    """As much of JSON Schema as the document uses."""
    schema = resolve(document, schema)
    types = schema.get("type", [])
    types = types if isinstance(types, list) else [types]
    if types and not any(isinstance(value, TYPES[kind]) and
                         (kind == "boolean" or not isinstance(value, bool)) for kind in types):
        return [f"{where}: {value!r} is no {types}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is none of {schema['enum']}")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        found += [f"{where}.{name} is missing" for name in schema.get("required", [])
                  if name not in value]
        for name, member in value.items():
            if name in known:
                found += violations(document, known[name], member, f"{where}.{name}")
            elif schema.get("additionalProperties") is False:
                found.append(f"{where}.{name} is not in the document")
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += violations(document, schema["items"], item, f"{where}[{number}]")
    return found
