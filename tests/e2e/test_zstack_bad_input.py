"""Bad input through the ZStack door: the documented status and code, within a second, nothing half done."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import requests
from running_platform import Platform
from zstack_client import GROUPS, ZStack

from own_time import OwnTime

Json = dict[str, Any]
NOBODY = "0123456789ab4def8123456789abcdef"
TEMPLATES = "/ai/model-services"
LISTS = (TEMPLATES, "/ai/models", "/ai/model-centers", "/ai/datasets", GROUPS, "/system-tags")
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(8)
)


@dataclass(frozen=True)
class Case:
    """One bad request. `code` is an error code (503), or a part of the plain text that says it."""

    id: str
    method: str
    path: str
    status: int
    code: str
    body: Any = None
    query: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    names: str = ""  #: what the details must name


def add(id_: str, code: str, status: int = 503, names: str = "", **change: Any) -> Case:
    """AddModelService with one thing wrong; ... leaves the field out."""
    return Case(id_, "POST", TEMPLATES, status, code, {"ADD": change}, names=names)


def deploy(id_: str, code: str, status: int = 503, names: str = "", **change: Any) -> Case:
    """DeployModelService of a good template with one thing wrong."""
    return Case(id_, "PUT", f"{TEMPLATES}/TEMPLATE", status, code, {"DEPLOY": change}, names=names)


def get(id_: str, status: int, code: str, names: str = "", **query: Any) -> Case:
    """QueryModelService with a bad question."""
    return Case(id_, "GET", TEMPLATES, status, code, query=query, names=names)


GONE = ...
CASES = [
    # mandatory fields
    *(
        Case(
            f"without {name}", "POST", TEMPLATES, 503, "SYS.1007", {"ADD": {name: GONE}}, names=name
        )
        for name in (
            *("name", "yaml", "requestCpu", "requestMemory"),
            *("modelCenterUuid", "installPath", "startCommand"),
        )
    ),
    add("null name", "SYS.1007", names="name", name=None),
    add("empty name", "SYS.1007", names="name", name=""),
    add("long name", "SYS.1007", names="name", name="n" * 256),
    add("long description", "SYS.1007", names="description", description="d" * 2049),
    add("long path", "SYS.1007", names="installPath", installPath="p" * 2049),
    add("path upwards", "SYS.1007", names="installPath", installPath="../../etc"),
    add("huge yaml", "SYS.1007", names="yaml", yaml="x" * (1024 * 1024 + 1)),
    add("long command", "SYS.1007", names="startCommand", startCommand="c" * 65537),
    # numbers
    add("zero cpu", "SYS.1007", names="requestCpu", requestCpu=0),
    add("negative memory", "SYS.1007", names="requestMemory", requestMemory=-1),
    add("half a core", "requestCpu", 400, requestCpu=1.5),
    add("cpu as word", "requestCpu", 400, requestCpu="four"),
    add("cpu as list", "requestCpu", 400, requestCpu=[1]),
    add("cpu beyond every integer", "requestCpu", 400, requestCpu=2**70),
    # types
    add("name as map", "name", 400, name={"a": 1}),
    add("system as word", "system", 400, system="perhaps"),
    add("modelUuids as map", "modelUuids", 400, modelUuids={"a": "b"}),
    add("vendor map as list", "vendorToSpecUuidsMap", 400, vendorToSpecUuidsMap=["NVIDIA"]),
    add("images as text", "architectureImages", 400, architectureImages="x"),
    # enums and identifiers
    add("unknown type", "SYS.1007", names="type", type="Nonsense"),
    add("unknown source", "SYS.1007", names="source", source="Nonsense"),
    add("malformed resourceUuid", "SYS.1007", names="resourceUuid", resourceUuid="abc"),
    add("unknown center", "SYS.1003", names="modelCenterUuid", modelCenterUuid=NOBODY),
    add("center that is no uuid", "SYS.1003", modelCenterUuid="modelCenterUuidExample"),
    add("unknown zone", "SYS.1003", names="zoneUuid", zoneUuid=NOBODY),
    add("unknown model", "SYS.1003", names=NOBODY, modelUuids=[NOBODY]),
    add("unknown tag pattern", "SYS.1003", names=NOBODY, tagUuids=[NOBODY]),
    add("system tag without ::", "SYS.1007", systemTags=["plain"]),
    add("system tag with a line end", "SYS.1007", systemTags=["ai::a\nb"]),
    add("system tag too long", "SYS.1007", systemTags=["ai::" + "x" * 2048]),
    # deploy
    deploy("deploy without zone", "SYS.1007", names="zoneUuid", zoneUuid=GONE),
    deploy("deploy to no zone", "SYS.1003", names="zoneUuid", zoneUuid=NOBODY),
    deploy("deploy without name", "SYS.1007", names="name", name=GONE),
    deploy("deploy as nonsense", "SYS.1007", names="type", type="Nonsense"),
    deploy("requests above limits", "SYS.1007", cpuNum=1, requestCpuNum=2),
    deploy("more cpu than any node", "SYS.1006", names="4096", cpuNum=4096),
    deploy("more memory than any node", "SYS.1006", names="memory", memorySize=2**50),
    deploy("a negative count", "SYS.1007", names="replicas", systemTags=["ai::replicas::-1"]),
    deploy("a count in words", "SYS.1007", names="replicas", systemTags=["ai::replicas::two"]),
    deploy("no such runtime", "SYS.1007", names="runtime", systemTags=["ai::runtime::magic"]),
    deploy("environment as list", "environmentVariables", 400, environmentVariables=["A=b"]),
    deploy("unknown model at deploy", "SYS.1003", names=NOBODY, modelUuid=NOBODY),
    deploy("unknown dataset", "SYS.1003", names=NOBODY, datasetUuids=[NOBODY]),
    deploy("unknown dependency", "SYS.1003", names=NOBODY, modelServiceGroupUuids=[NOBODY]),
    Case(
        "deploy what is not there",
        "PUT",
        f"{TEMPLATES}/{NOBODY}",
        503,
        "SYS.1003",
        {"deployModelService": {"zoneUuid": NOBODY, "name": "g", "type": "Container"}},
    ),
    # the query language
    get("no operator", 400, "name", q="name"),
    get("unknown field", 503, "SYS.1007", names="nothing", q="nothing=1"),
    get("no number", 503, "SYS.1007", names="requestCpu", q="requestCpu>many"),
    get("negative limit", 400, "limit", limit="-1"),
    get("limit in words", 400, "limit", limit="ten"),
    get("unknown sort", 503, "SYS.1007", names="nothing", sort="+nothing"),
    get("unknown shown field", 503, "SYS.1007", names="nothing", fields="uuid,nothing"),
    get("unknown filter", 503, "SYS.1007", filterName="what:ever"),
    # deleting
    Case(
        "odd mode", "DELETE", f"{TEMPLATES}/TEMPLATE", 503, "SYS.1007", query={"deleteMode": "Odd"}
    ),
    Case("default center", "DELETE", "/ai/model-centers/CENTER", 503, "SYS.1006"),
    Case("shipped template", "DELETE", f"{TEMPLATES}/SHIPPED", 503, "SYS.1006"),
    Case(
        "shipped template, by force",
        "DELETE",
        f"{TEMPLATES}/SHIPPED",
        503,
        "SYS.1006",
        query={"deleteMode": "Enforcing"},
    ),
    # HTTP
    Case("unknown path", "GET", "/ai/nothing", 404, "no api mapping"),
    Case("method", "PATCH", TEMPLATES, 405, ""),
    Case("no action", "PUT", f"{TEMPLATES}/TEMPLATE", 400, "action mapping", {"fooBar": {}}),
    Case("tier 3", "GET", "/ai/trained-model/records", 404, "QueryTrainedModelRecord"),
    Case("no JSON", "POST", TEMPLATES, 400, "", b"{"),
    Case("a list as body", "POST", TEMPLATES, 400, "", b"[]"),
    Case("no UTF-8", "POST", TEMPLATES, 400, "", b'{"param":{"name":"\xff"}}'),
    Case("deep JSON", "POST", TEMPLATES, 400, "", b'{"param":' + b"[" * 100000),
    Case("9 MiB", "POST", TEMPLATES, 413, "", b'{"param":{"yaml":"' + b"x" * 9 * 2**20 + b'"}}'),
    Case("no login", "GET", TEMPLATES, 400, "Authorization", headers={"Authorization": None}),
    Case("unknown login", "GET", TEMPLATES, 503, "ID.1001", headers={"Authorization": "OAuth abc"}),
    Case("other scheme", "GET", TEMPLATES, 400, "OAuth", headers={"Authorization": "Basic abc"}),
    Case("short job uuid", "GET", TEMPLATES, 400, "", headers={"X-Job-UUID": "abc"}),
    Case("lost job", "GET", f"/api-jobs/{NOBODY}", 404, "expired"),
    Case(
        "webhook to a stranger",
        "POST",
        TEMPLATES,
        400,
        "X-Web-Hook",
        {"ADD": {}},
        headers={"X-Web-Hook": "http://127.0.0.1:9/"},
    ),
]


@dataclass(frozen=True)
class World:
    """What the cases name."""

    client: ZStack
    names: Mapping[str, str]

    def counts(self) -> dict[str, int]:
        return {path: self.client.call("GET", path, count="true")["total"] for path in LISTS}


@pytest.fixture(scope="module")
def world(platform: Platform) -> Iterator[World]:
    client = ZStack(platform).log_in()
    template = client.add_template("good", startCommand="sleep 60")
    (shipped,) = client.query(TEMPLATES, "name=llama_7b_fp16")
    names = {"TEMPLATE": template["uuid"], "CENTER": client.center, "SHIPPED": shipped["uuid"]}
    yield World(client, names)
    client.call("DELETE", f"{TEMPLATES}/{template['uuid']}")
    client.http.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id.replace(" ", "-"))
def test_bad_input_is_refused(world: World, case: Case) -> None:
    before = world.counts()
    own = OwnTime()
    answer = send(world, case)
    took = own.seconds()
    assert answer.status_code == case.status, answer.text[:500]
    if case.status == 503:
        said = answer.json()
        assert said["success"] is False
        error = said["error"]
        assert {"code", "description", "details", "elaboration", "opaque", "cause"} <= set(error)
        assert error["code"] == case.code, error
        assert case.names.lower() in error["details"].lower(), error["details"]
    else:
        assert not answer.text.startswith("{"), "plain text is wanted"
        assert case.code.lower() in answer.text.lower(), answer.text
    assert took < 1.0, f"{took:.2f} s"
    assert world.counts() == before


def send(world: World, case: Case) -> requests.Response:
    client = world.client
    path = case.path
    for name, uuid in world.names.items():
        path = path.replace(name, uuid)
    given = {"Authorization": f"OAuth {client.login}", "Content-Type": "application/json"}
    headers = {key: value for key, value in {**given, **case.headers}.items() if value is not None}
    body: Any = case.body
    good: Json
    if isinstance(body, dict) and "ADD" in body:
        good = {
            **{"name": "bad", "yaml": "services: []", "requestCpu": 1, "requestMemory": 256},
            **{"modelCenterUuid": client.center, "installPath": "", "startCommand": "x"},
        }
        body = {"param": changed(good, cast("Json", body["ADD"]))}
    elif isinstance(body, dict) and "DEPLOY" in body:
        good = {"zoneUuid": client.zone, "name": "bad", "type": "Container"}
        body = {"deployModelService": changed(good, cast("Json", body["DEPLOY"]))}
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    return requests.request(
        case.method,
        f"{client.base}/v1{path}",
        data=content,
        params=dict(case.query),
        headers=headers,
        timeout=30,
    )


def changed(good: Json, change: Mapping[str, Any]) -> Json:
    return {key: value for key, value in {**good, **change}.items() if value is not GONE}


@pytest.mark.parametrize(
    "yaml",
    [
        "services: [",
        "services:\n\t- a",
        BOMB,
        "a: !!python/object/apply:os.system ['true']",
        "a: " + "[" * 200 + "]" * 200,
        "services: [{ports: [70000]}]",
        "services: [{ports: [x]}]",
        "env: 7",
        "- {a: &x 1, b: *x}",
    ],
    ids=["unclosed", "tab", "bomb", "python", "deep", "port", "word port", "env", "alias"],
)
def test_a_broken_yaml_is_kept_and_refused_at_deploy(world: World, yaml: str) -> None:
    client = world.client
    template = client.add_template("broken-yaml", yaml=yaml, startCommand="sleep 60")
    try:
        assert template["yaml"] == yaml
        before = world.counts()
        own = OwnTime()
        case = Case("", "PUT", f"{TEMPLATES}/{template['uuid']}", 503, "", {"DEPLOY": {}})
        answer = send(world, case)
        assert own.seconds() < 1.0
        assert answer.status_code == 503, answer.text
        error = answer.json()["error"]
        assert error["code"] == "SYS.1007"
        assert "yaml" in error["details"].lower()
        assert world.counts() == before
    finally:
        client.call("DELETE", f"{TEMPLATES}/{template['uuid']}")


def test_wildcards_in_values_are_letters(world: World) -> None:
    client = world.client
    odd = client.add_template("odd", startCommand="x", systemTags=["ai::100%::_"], userTags=["a%b"])
    plain = client.add_template("plain", startCommand="x", systemTags=["ai::100x::y"])
    try:
        found = client.query(TEMPLATES, "__systemTag__=ai::100%::_")
        assert [item["uuid"] for item in found] == [odd["uuid"]]
        found = client.query(TEMPLATES, "__systemTag__~=ai::100%::_", "name?=odd,plain")
        assert {item["uuid"] for item in found} == {odd["uuid"], plain["uuid"]}
        assert client.query(TEMPLATES, "name=' OR 1=1 --") == []
        assert client.query(TEMPLATES, "__userTag__=a_b") == []
    finally:
        for item in (odd, plain):
            client.call("DELETE", f"{TEMPLATES}/{item['uuid']}")
