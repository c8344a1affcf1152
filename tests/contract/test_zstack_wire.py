"""The ZStack app as clients meet it: bad input, both doors, jobs and modes, envelopes, a real port."""

import asyncio
import http.client
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from zstack_world import (
    ALLOWED_HOOK,
    CENTER,
    KEY,
    LOGIN,
    PASSWORD,
    STRANGERS_LOGIN,
    TEMPLATE,
    ZONE,
    Json,
    Said,
    World,
    ask,
    only,
    say,
    serving,
    small_bodies,
)

from pierhead.core import errors as core
from pierhead.core.query import Condition, Op
from pierhead.dialects.zstack.calls import NOBODY, AsyncMode, Options
from pierhead.dialects.zstack.catalog import load
from zstack_replay import signature

V1 = "/zstack/v1"
TEMPLATES = f"{V1}/ai/model-services"
JOB = "0123456789abcdefGHIJKLMNOPQRSTUV"
ADD = {
    **{"name": "svc", "yaml": "services: []", "requestCpu": 1, "requestMemory": 1024},
    **{"modelCenterUuid": CENTER, "installPath": "/m", "startCommand": "x"},
}
DEPLOY = {"zoneUuid": ZONE, "name": "g", "type": "Container"}
GONE = ...
#: NOW, as a Java client writes it.
DATE = "Sat, 21 Nov 2026 19:27:22 Etc/UTC"


# ---- bad input


@dataclass(frozen=True)
class Bad:
    """A request that is refused, before any handler runs."""

    id: str
    method: str
    target: str
    status: int
    code: str  #: an error code (503), or a part of the plain text
    body: Any = None
    headers: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    names: str = ""  #: what the details must name


def changed(good: Json, change: Json) -> Json:
    return {key: value for key, value in {**good, **change}.items() if value is not GONE}


def add(id_: str, code: str, **change: Any) -> Bad:
    names, status = change.pop("names", ""), 503 if code.startswith("SYS") else 400
    return Bad(id_, "POST", TEMPLATES, status, code, {"param": changed(ADD, change)}, names=names)


def deploy(id_: str, code: str, **change: Any) -> Bad:
    names, status = change.pop("names", ""), 503 if code.startswith("SYS") else 400
    body = {"deployModelService": changed(DEPLOY, change)}
    return Bad(id_, "PUT", f"{TEMPLATES}/{TEMPLATE}", status, code, body, names=names)


def get(id_: str, status: int, code: str, query: str, names: str = "") -> Bad:
    return Bad(id_, "GET", f"{TEMPLATES}?{query}", status, code, names=names)


def raw(id_: str, body: bytes, text: str = "", status: int = 400) -> Bad:
    return Bad(id_, "POST", TEMPLATES, status, text, body)


def header(id_: str, status: int, code: str, **headers: str | None) -> Bad:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Bad(id_, "POST", TEMPLATES, status, code, {"param": ADD}, headers=named)


BAD = [
    *(add(f"without {name}", "SYS.1007", names=f"field[{name}]", **{name: GONE}) for name in ADD),
    add("null name", "SYS.1007", names="field[name]", name=None),
    add("empty name", "SYS.1007", names="field[name]", name="  "),
    add("long name", "SYS.1007", names="field[name]", name="n" * 256),
    add("long description", "SYS.1007", names="field[description]", description="d" * 2049),
    add("long yaml", "SYS.1007", names="field[yaml]", yaml="y" * (2**20 + 1)),
    add("long command", "SYS.1007", names="field[startCommand]", startCommand="c" * 65537),
    add("long path", "SYS.1007", names="field[installPath]", installPath="p" * 2049),
    add("long python", "SYS.1007", names="field[pythonVersion]", pythonVersion="3" * 33),
    add("zero cpu", "SYS.1007", names="field[requestCpu]", requestCpu=0),
    add("too many cores", "SYS.1007", names="field[requestCpu]", requestCpu=2**31),
    add("no memory", "SYS.1007", names="field[requestMemory]", requestMemory=-1),
    add("half a core", "field[requestCpu]", requestCpu=1.5),
    add("half a core in words", "field[requestCpu]", requestCpu="1.5"),
    add("empty cpu", "field[requestCpu]", requestCpu=""),
    add("true cpu", "field[requestCpu]", requestCpu=True),
    add("list of cpus", "field[requestCpu]", requestCpu=[1]),
    add("cpu beyond 64 bits", "requestCpu", requestCpu=2**70),
    add("name as number", "field[name]", name=5),
    add("name as map", "field[name]", name={}),
    add("system as word", "field[system]", system="yes"),
    add("system as number", "field[system]", system=1),
    add("models as text", "field[modelUuids]", modelUuids="m"),
    add("a model as number", "field[modelUuids[1]]", modelUuids=["m", 5]),
    add("vendors as list", "field[vendorToSpecUuidsMap]", vendorToSpecUuidsMap=["NVIDIA"]),
    add("vendor as text", "field[vendorToSpecUuidsMap[NVIDIA]]", vendorToSpecUuidsMap={"NVIDIA": "x"}),
    add("images as text", "field[architectureImages]", architectureImages="x"),
    add("image as no JSON", "field[architectureImages[0]]", architectureImages=["{"]),
    add("image as number", "field[architectureImages[0]]", architectureImages=[5]),
    add("image name as number", "architectureImages[0].dockerImage", architectureImages=[{"dockerImage": 5}]),
    add("too many images", "SYS.1007", names="field[architectureImages]", architectureImages=[{}] * 10001),
    add("unknown type", "SYS.1007", names="[Endpoint, FineTune, ModelEval, App], but Toy found", type="Toy"),
    add("unknown source", "SYS.1007", names="field[source]", source="Toy"),
    add("short uuid", "SYS.1007", names="field[resourceUuid]", resourceUuid="abc"),
    add("empty uuid", "SYS.1007", names="field[resourceUuid]", resourceUuid=""),
    add("upper-case uuid", "SYS.1007", names="field[resourceUuid]", resourceUuid=TEMPLATE.upper()),
    add("uuid of no version", "SYS.1007", names="field[resourceUuid]", resourceUuid="0" * 32),
    add("tags as text", "field[systemTags]", systemTags="a::b"),
    add("tag as number", "field[userTags[0]]", userTags=[5]),
    add("patterns as text", "field[tagUuids]", tagUuids="x"),
    deploy("deploy without a zone", "SYS.1007", names="field[zoneUuid]", zoneUuid=GONE),
    deploy("deploy as a toy", "SYS.1007", names="[VirtualMachine, Container]", type="Toy"),
    deploy("deploy with no core", "SYS.1007", names="field[cpuNum]", cpuNum=0),
    deploy("environment as list", "field[environmentVariables]", environmentVariables=["A=b"]),
    deploy("variable as number", "field[environmentVariables[A]]", environmentVariables={"A": 1}),
    deploy("boot time as word", "field[serviceBootUptime]", serviceBootUptime="soon"),
    get("no operator", 400, "q[name]", "q=name"),
    get("no field", 400, "q[=x]", "q=%3Dx"),
    get("a value of null", 400, "is null", "q=name+is+null+x"),
    get("negative limit", 400, "limit", "limit=-1"),
    get("limit in words", 400, "limit", "limit=ten"),
    get("huge limit", 400, "limit", "limit=99999999999999999999"),
    get("half a start", 400, "start", "start=1.5"),
    get("count in words", 400, "count", "count=perhaps"),
    get("unknown field to show", 503, "SYS.1007", "fields=uuid,nothing", "nothing"),
    get("unknown filter", 503, "SYS.1007", "filterName=what:ever", "what"),
    get("unknown field", 503, "SYS.1007", "q=nothing%3D1", "nothing"),
    get("no number", 503, "SYS.1007", "q=requestCpu%3Emany", "requestCpu"),
    get("unknown order", 503, "SYS.1007", "sort=nothing", "nothing"),
    get("query not UTF-8", 400, "UTF-8", "q=name%3D%FF"),
    get("query with NUL", 400, "NUL", "q=name%3D%00"),
    Bad("odd mode", "DELETE", f"{TEMPLATES}/{TEMPLATE}?deleteMode=Odd", 503, "SYS.1007", names="[Permissive, Enforcing], but Odd"),
    Bad("odd mode first", "DELETE", f"{TEMPLATES}?deleteMode=Odd", 503, "SYS.1007", names="deleteMode"),
    Bad("nothing to delete", "DELETE", f"{TEMPLATES}/", 503, "SYS.1007", names="field[uuids]"),
    Bad("port too high", "POST", f"{V1}/ai/model-centers", 503, "SYS.1007", {"param": {"name": "c", "url": "h:/x", "managementIp": "::1", "managementPort": 70000}}, names="from 1 to 65535"),
    Bad("short key id", "POST", f"{V1}/accesskeys", 503, "SYS.1007", {"params": {"accountUuid": "a", "userUuid": "u", "AccessKeyID": "short"}}, names="AccessKeyID"),
    Bad("unknown path", "GET", f"{V1}/ai/nothing", 404, "no api mapping to /v1/ai/nothing"),
    Bad("nothing without /zstack/v1", "GET", "/zstack/v2/zones", 404, "no api mapping"),
    Bad("patch", "PATCH", TEMPLATES, 405, "DELETE, GET, POST, PUT"),
    Bad("options", "OPTIONS", TEMPLATES, 405, ""),
    Bad("tier 3", "GET", f"{V1}/ai/trained-model/records/x", 404, "QueryTrainedModelRecord: this platform does not train"),
    Bad("without a handler", "POST", f"{V1}/zones", 404, "CreateZone", {"params": {"name": "z"}}),
    Bad("no action", "PUT", f"{TEMPLATES}/{TEMPLATE}", 400, f"action mapping to the URL[/v1/ai/model-services/{TEMPLATE}]", {"fooBar": {}}),
    Bad("empty put", "PUT", f"{TEMPLATES}/{TEMPLATE}", 400, "action mapping"),
    Bad("param for two actions", "PUT", f"{TEMPLATES}/{TEMPLATE}", 400, "action mapping", {"param": {"name": "x"}}),
    Bad("wrapper as list", "PUT", f"{TEMPLATES}/{TEMPLATE}", 400, "updateModelService", {"updateModelService": []}),
    Bad("path not UTF-8", "GET", f"{TEMPLATES}/%FF", 400, "UTF-8"),
    Bad("path with NUL", "GET", f"{TEMPLATES}/%00", 400, "NUL"),
    raw("no JSON", b"{"),
    raw("a list", b"[]", "no JSON object"),
    raw("a text", b'"x"', "no JSON object"),
    raw("wrapper as text", b'{"param":"x"}', "[param]"),
    raw("no UTF-8", b'{"param":{"name":"\xff"}}', "UTF-8"),
    raw("half a pair", b'{"param":{"name":"\\ud800"}}', "half a UTF-16 pair"),
    raw("a NUL", b'{"param":{"name":"\\u0000"}}', "NUL"),
    raw("twice the same key", b'{"param":{"name":"a","name":"b"}}', "more than once"),
    raw("NaN", b'{"param":{"requestCpu":NaN}}', "NaN"),
    raw("too deep", b'{"param":' + b'{"a":' * 100 + b"1" + b"}" * 101, "100 levels"),
    raw("very deep", b'{"param":' + b"[" * 100_000),
    raw("too large", b'{"param":{"yaml":"' + b"x" * (8 * 2**20) + b'"}}', "8388608 bytes", 413),
    header("no login", 400, "missing header 'Authorization'", authorization=None),
    header("other scheme", 400, "Authorization type must be 'OAuth'", authorization="Basic x"),
    header("unknown login", 503, "ID.1001", authorization="OAuth abc"),
    header("null login", 503, "ID.1001", authorization="OAuth null"),
    header("no permission", 503, "ID.1002", authorization=f"OAuth {STRANGERS_LOGIN}"),
    header("no permission, by job", 503, "ID.1002", authorization=f"OAuth {STRANGERS_LOGIN}", x_job_uuid=JOB),
    header("unknown key", 503, "ID.1000", authorization="ZStack nokey:x", date=DATE),
    header("no date", 400, "Date", authorization="ZStack testAccessKeyId0001:x"),
    header("short job", 400, "X-Job-UUID", x_job_uuid="abc"),
    header("job with a dash", 400, "X-Job-UUID", x_job_uuid="-" * 32),
    header("empty job", 400, "X-Job-UUID", x_job_uuid=""),
    header("hook to a stranger", 400, "X-Web-Hook", x_web_hook="http://127.0.0.1:9/"),
    Bad("lost job", "GET", f"{V1}/api-jobs/{TEMPLATE}", 404, "the job has been expired"),
    Bad("delete a job", "DELETE", f"{V1}/api-jobs/{TEMPLATE}", 405, "GET"),
    Bad("get the rpc door", "GET", "/zstack/api/", 405, "POST"),
    Bad("below the rpc door", "POST", "/zstack/api/x", 404, "no api mapping"),
    Bad("lost rpc job", "GET", f"/zstack/api/result/{TEMPLATE}", 404, "expired"),
    Bad("two messages", "POST", "/zstack/api", 400, "exactly one message", {"a.APIXMsg": {}, "b": {}}),
    Bad("no message", "POST", "/zstack/api", 400, "exactly one message"),
    Bad("message as list", "POST", "/zstack/api/", 400, "APIXMsg", {"a.APIXMsg": []}),
]  # fmt: skip


def test_there_are_enough_of_them() -> None:
    assert len({bad.id for bad in BAD}) == len(BAD) >= 60


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.id.replace(" ", "-"))
def test_bad_input_is_refused(bad: Bad) -> None:
    world = World()
    said = asyncio.run(ask(world.app(), bad.method, bad.target, bad.body, bad.headers))
    assert said.status == bad.status, said.text[:300]
    assert not world.changed
    assert not world.jobs.rows
    if said.status != 503:
        assert said.headers["content-type"].startswith("text/plain")
        assert bad.code in said.text
        return
    assert said.json["success"] is False
    assert set(said.json) == {"success", "error"}
    error = said.json["error"]
    assert {"code", "description", "details", "elaboration", "opaque", "cause"} <= set(error)
    assert error["code"] == bad.code, error
    assert bad.names in error["details"], error["details"]


def test_a_word_that_makes_clients_log_in_again_is_only_where_they_should() -> None:
    for bad in BAD:
        if bad.status == 503 and not bad.code.startswith("ID."):
            said = asyncio.run(ask(World().app(), bad.method, bad.target, bad.body, bad.headers))
            told = f"{said.json['error']['description']} {said.json['error']['details']}".lower()
            assert not [word for word in ("session", "token", "401", "403") if word in told], told


# ---- routes and bodies


@pytest.mark.parametrize(
    ("method", "path", "body", "api"),
    [
        ("GET", "/ai/model-services/", None, "QueryModelService"),
        ("GET", "//ai//model-services", None, "QueryModelService"),
        ("GET", f"/ai/model-services/instances/groups//{TEMPLATE}", None, "QueryModelServiceInstanceGroup"),
        ("GET", "/ai/model-services/instances/groups/", None, "QueryModelServiceInstanceGroup"),
        ("PUT", f"/ai/model-services/{TEMPLATE}", {"updateModelService": None}, "UpdateModelService"),
        ("PUT", f"/ai/model-services/{TEMPLATE}/actions", {"updateModelService": {}}, "UpdateModelService"),
        ("PUT", f"/ai/model-services/{TEMPLATE}", {"deployModelService": DEPLOY}, "DeployModelService"),
        ("PUT", f"/ai/model-services/{TEMPLATE}", DEPLOY, "DeployModelService"),
        ("PUT", f"/ai/model-services/{TEMPLATE}", {"description": "d"}, "UpdateModelService"),
        ("PUT", f"/ai/models/{TEMPLATE}", {"params": {"name": "n"}}, "UpdateModel"),
        ("PUT", "/model-service-instance-groups", {"restartModelServiceGroups": {"uuids": ["a"]}}, "RestartModelServiceGroups"),
        ("PUT", "/model-service-instance-groups/actions", {"restartModelServiceGroups": {"uuids": ["a"]}}, "RestartModelServiceGroups"),
        ("PUT", "/model-service-instance-groups/a/actions", {"updateModelServiceInstanceGroup": {}}, "UpdateModelServiceInstanceGroup"),
        ("PUT", "/accesskeys/a/actions", {"changeAccessKeyState": {"stateEvent": "ENABLE"}}, "ChangeAccessKeyState"),
        ("POST", f"/ai/model-services/{TEMPLATE}", {"params": {"name": "c"}}, "CloneModelService"),
        ("POST", f"/ai/model-services/{TEMPLATE}", b"", "CloneModelService"),
        ("POST", f"/ai/model-services/{TEMPLATE}", b"null", "CloneModelService"),
        ("POST", "/ai/model-services", {"params": ADD}, "AddModelService"),
        ("POST", "/ai/model-services", ADD, "AddModelService"),
        ("DELETE", f"/ai/model-services/?uuids=a&uuids={TEMPLATE}", None, "DeleteModelServices"),
        ("DELETE", "/ai/models/a/model-services/b", None, "UnbindModelFromService"),
        ("GET", "/maas/usage", None, "GetMaaSUsage"),
    ],
)  # fmt: skip
def test_routes(method: str, path: str, body: Any, api: str) -> None:
    world = World(Options(async_mode="never"))
    said = say(world, method, V1 + path, body)
    assert said.status == 200, said.text
    assert [call.api.name for call in world.calls] == [api]


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("key", ["logInByAccount", "logIn", ""])
def test_login_by_either_method_and_key(method: str, key: str) -> None:
    given = {"accountName": " admin ", "password": PASSWORD, "captchaUuid": "", "verifyCode": ""}
    body = {key: given} if key else given
    said = say(World(), method, f"{V1}/accounts/login", body, authorization=None)
    if not key and method == "PUT":
        assert said.status == 400  # a PUT is told by its key
        return
    assert said.status == 200
    assert set(said.json) == {"success", "error", "inventory"}


def test_a_wrong_password_is_told_at_once_even_with_a_job() -> None:
    world = World(Options(async_mode="always"))
    body = {"logInByAccount": {"accountName": "admin", "password": "password"}}
    said = say(world, "PUT", f"{V1}/accounts/login", body, authorization=None, x_job_uuid=JOB)
    assert (said.status, said.code) == (503, "ID.1000")
    assert not world.jobs.rows


def test_blank_texts_of_a_login_are_absent() -> None:
    world = World()
    given = {"accountName": "admin", "password": PASSWORD, "captchaUuid": "", "verifyCode": "  "}
    say(world, "PUT", f"{V1}/accounts/login", {"logInByAccount": given})
    assert set(world.calls[0].params) == {"accountName", "password"}
    assert world.calls[0].principal == NOBODY


def test_tags_of_inside_and_beside_the_wrapper_are_merged() -> None:
    world = World()
    inside = {**ADD, "systemTags": ["a::b", " c::d "], "userTags": ["u"], "tagUuids": ["p"]}
    say(world, "POST", TEMPLATES, {"param": inside, "systemTags": ["c::d", "e::f"]})
    extras = world.calls[0].extras
    assert extras.system_tags == ("a::b", "c::d", "e::f")
    assert (extras.user_tags, extras.tag_patterns) == (("u",), ("p",))
    assert not {"systemTags", "tagUuids", "resourceUuid"} & set(world.calls[0].params)


def test_values_are_trimmed_and_spelled() -> None:
    world = World()
    say(world, "POST", TEMPLATES, {
        "param": {
            **{**ADD, "name": " svc ", "yaml": " y ", "startCommand": " c ", "unknown": 1},
            **{"requestCpu": "4", "requestMemory": 4.0, "system": "TRUE", "type": "endpoint"},
            **{"framework": "VLLM", "source": "HUGGINGFACE", "description": None},
            "architectureImages": ['{"cpuArchitecture":"amd64","x":1}', {"cpuArchitecture": "s390x"}],
            "vendorToSpecUuidsMap": {"nvidia": ["a "], "Other": [], "Intel": None},
        }
    })  # fmt: skip
    params = world.calls[0].params
    assert (params["name"], params["yaml"], params["startCommand"]) == ("svc", " y ", " c ")
    assert (params["requestCpu"], params["requestMemory"], params["system"]) == (
        4,
        1024 * 0 + 4,
        True,
    )
    assert type(params["requestMemory"]) is int
    assert (params["type"], params["framework"], params["source"]) == (
        "Endpoint",
        "vLLM",
        "HuggingFace",
    )
    assert params["architectureImages"] == [
        {"cpuArchitecture": "X86_64"},
        {"cpuArchitecture": "s390x"},
    ]
    assert params["vendorToSpecUuidsMap"] == {"NVIDIA": ["a"], "Other": []}
    assert not {"unknown", "description"} & set(params)


def test_lists_and_maps_in_a_query_string() -> None:
    world = World()
    say(world, "DELETE", f"{TEMPLATES}?uuids.1=b&uuids.0=a&uuids.10=c&uuids=z&deleteMode=enforcing")
    assert world.calls[0].params == {"uuids": ["z", "a", "b", "c"], "deleteMode": "Enforcing"}
    say(
        world,
        "DELETE",
        f"{V1}/accounts/sessions/s?clientInfo.ip=h&clientInfo.os=x",
        authorization=None,
    )
    assert world.calls[1].params == {"sessionUuid": "s", "clientInfo": {"ip": "h", "os": "x"}}


def test_the_delete_mode_defaults_to_permissive() -> None:
    world = World()
    say(world, "DELETE", f"{TEMPLATES}/{TEMPLATE}")
    assert world.calls[0].params == {"uuid": TEMPLATE, "deleteMode": "Permissive"}


def test_what_has_no_effect_is_named() -> None:
    body = {"deployModelService": {**DEPLOY, "vmImageUuid": "v", "rootDiskSize": 5}}
    world = World()
    said = say(world, "PUT", f"{TEMPLATES}/{TEMPLATE}", body)
    assert said.headers["x-pierhead-notice"] == "ParameterHasNoEffect: vmImageUuid, rootDiskSize"
    assert world.calls[0].no_effect == ("vmImageUuid", "rootDiskSize")


def test_a_tag_names_its_object_under_resource_uuid() -> None:
    world = World()
    tag = {"resourceType": "ModelServiceVO", "resourceUuid": "any text", "tag": "a::b"}
    assert say(world, "POST", f"{V1}/system-tags", {"params": tag}).status == 200
    assert world.calls[0].params == tag


# ---- policy


def test_a_policy_is_asked_for_both_names_and_the_object() -> None:
    world = World()
    say(world, "PUT", f"{TEMPLATES}/{TEMPLATE}", {"deployModelService": DEPLOY})
    say(world, "DELETE", f"{TEMPLATES}?uuids=a&uuids=b")
    say(world, "POST", TEMPLATES, {"param": ADD})
    say(world, "POST", f"{V1}/ai/models/m/model-services/s")
    assert world.asked == [
        (("zstack:DeployModelService", "eas:CreateService"), (f"ModelServiceVO/{TEMPLATE}",)),
        (("zstack:DeleteModelServices",), ("ModelServiceVO/a", "ModelServiceVO/b")),
        (("zstack:AddModelService",), ("ModelServiceVO/*",)),
        (("zstack:BindModelToService",), ("ModelVO/m", "ModelServiceVO/s")),
    ]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/management-nodes/actions", {"getVersion": {}}),
        ("GET", "/management-nodes/ready", None),
        ("GET", "/accounts/sessions/x/valid", None),
        ("DELETE", "/accounts/sessions/x", None),
    ],
)
def test_some_need_no_credentials(method: str, path: str, body: Any) -> None:
    world = World()
    assert say(world, method, V1 + path, body, authorization=None).status == 200
    assert not world.asked


def test_an_access_key_signs_the_path_as_it_is_sent() -> None:
    date = DATE
    for path in ("/v1/ai/model-services/", "/v1/ai/model-services/instances/groups/%61"):
        auth = signature(KEY.id, KEY.secret, f"GET\n{date}\n{path}")
        said = say(World(), "GET", f"/zstack{path}?limit=1", authorization=auth, date=date)
        assert said.status == 200, said.text


# ---- queries


def test_a_question_arrives_whole() -> None:
    world = World()
    conditions = "&".join(
        f"q={quote(text)}"
        for text in (
            "name~=%a_b%",
            "requestCpu>=2",
            "type!?=App,FineTune",
            "readme is null",
            "name=a=b ",
        )
    )
    say(
        world,
        "GET",
        f"{TEMPLATES}?{conditions}&sort=+name&limit=0&start=3&groupBy=type&fields=uuid,%20name",
    )
    query = only(world.calls[0].query)
    assert query.conditions == (
        Condition("name", Op.LIKE, "%a_b%"),
        Condition("requestCpu", Op.AT_LEAST, "2"),
        Condition("type", Op.NOT_IN, "App,FineTune"),
        Condition("readme", Op.IS_NULL),
        Condition("name", Op.EQUAL, "a=b "),
    )
    assert (query.sort, query.descending, query.limit, query.start) == ("name", False, 0, 3)
    assert (query.group_by, query.fields) == ("type", ("uuid", "name"))


def test_a_query_answers_schema_and_total() -> None:
    said = say(World(), "GET", f"{TEMPLATES}?replyWithCount=true&sort=-createDate").json
    assert (said["total"], said["success"], said["error"]) == (1, True, None)
    assert list(said["schema"].items()) == [
        ("inventories[0]", "org.zstack.ai.entity.ModelServiceInventory"),
        ("inventories[0].modelServiceRefs[0]", "org.zstack.ai.entity.ModelServiceRefInventory"),
    ]
    counted = say(World(), "GET", f"{TEMPLATES}?count=true").json
    assert counted == {"success": True, "total": 1, "schema": {}, "error": None}
    assert "total" not in say(World(), "GET", TEMPLATES).json


def test_only_the_fields_that_were_asked_for() -> None:
    said = say(World(), "GET", f"{TEMPLATES}?fields=uuid,name").json
    assert said["inventories"] == [{"uuid": TEMPLATE, "name": "one"}]


def test_one_object_is_a_list_and_ignores_the_question() -> None:
    world = World()
    said = say(world, "GET", f"{TEMPLATES}/{TEMPLATE}?q=broken&limit=-1&fields=nothing")
    assert [item["uuid"] for item in said.json["inventories"]] == [TEMPLATE]
    assert world.calls[0].item
    missing = say(world, "GET", f"{TEMPLATES}/nobody")
    assert (missing.status, missing.json["inventories"], missing.json["schema"]) == (200, [], {})


def test_schema_of_a_single_answer_when_it_is_asked_for() -> None:
    body = {"param": ADD}
    assert "schema" not in say(World(), "POST", TEMPLATES, body).json
    said = say(World(), "POST", TEMPLATES, body, x_json_schema="true").json
    assert list(said["schema"]) == ["inventory", "inventory.modelServiceRefs[0]"]


# ---- answers without an envelope of their own


def test_bare_answers() -> None:
    version = say(World(), "PUT", f"{V1}/management-nodes/actions", {"getVersion": {}})
    assert version.json == {"version": "5.5.28"}
    assert say(World(), "GET", f"{V1}/accounts/sessions/x/valid").json == {"valid": False}
    assert say(World(), "DELETE", f"{TEMPLATES}/x").json == {"success": True, "error": None}
    assert (
        say(World(), "GET", TEMPLATES).headers["content-type"] == "application/json;charset=utf-8"
    )


@pytest.mark.parametrize(
    ("error", "code", "details"),
    [
        (core.NotFound("ModelCenterVO", CENTER), "SYS.1003", f"invalid field[modelCenterUuid], resource[uuid:{CENTER}, type:ModelCenterVO] not found"),
        (core.Taken("ModelServiceVO", "u", "exists already"), "SYS.1002", "[u]"),
        (core.InUse("ModelServiceVO", "u", "is used by the group [g]"), "SYS.1006", "[g]"),
        (core.Duplicate("tag", "a::b", "is there already"), "TAG.1000", "a::b"),
        (core.Conflict("group", "g", "is locked"), "SYS.1006", "locked"),
        (core.Stale("raced"), "SYS.1006", "raced"),
        (core.Unsupported("deploy", "no runner"), "SYS.1014", "no runner"),
        (core.Unavailable("The database", "it is away"), "SYS.1010", "away"),
        (core.WrongLogin("wrong accessKey signature"), "ID.1000", "wrong accessKey signature"),
        (core.LoginExpired("gone"), "ID.1001", "Session expired"),
        (core.TooManyLogins("500 logins"), "ID.1006", "500"),
        (core.Forbidden("a", "b"), "ID.1002", "a"),
        (core.OverQuota("too much"), "ID.1003", "too much"),
        (core.Invalid("yaml", "line 3 is broken"), "SYS.1007", "field[yaml]"),
        (core.PierheadError("odd"), "SYS.1000", "odd"),
    ],
)  # fmt: skip
def test_errors_have_their_codes(error: Exception, code: str, details: str) -> None:
    said = say(World(fails=error), "POST", TEMPLATES, {"param": ADD})
    assert (said.status, said.code) == (503, code)
    told = said.json["error"]
    assert details in told["details"]
    assert told["i18nDetails"]
    assert ("globalErrorCode" in told) == (code == "ID.1001")
    assert ("retry-after" in said.headers) == (code == "SYS.1010")


def test_a_root_error_is_the_cause() -> None:
    try:
        raise core.Unavailable("The disk", "it is full")
    except core.Unavailable as root:
        outer = core.Conflict("center", "c", "cannot be read")
        outer.__cause__ = root
    told = say(World(fails=outer), "POST", TEMPLATES, {"param": ADD}).json["error"]
    assert told["code"] == "SYS.1006"
    assert told["cause"]["code"] == "SYS.1010"
    assert told["cause"]["cause"] is None


def test_descriptions_in_chinese_but_never_the_words_that_clients_look_for() -> None:
    told = say(World(), "POST", TEMPLATES, {"param": {}}, accept_language="zh-CN").json["error"]
    assert told["description"] == "一个或多个API参数不合法"
    assert "field[name]" in told["details"]
    assert "必填" in told["i18nDetails"]
    expired = say(World(), "GET", TEMPLATES, authorization="OAuth x", accept_language="zh").json
    assert expired["error"]["description"] == "Session expired"


def test_a_fault_tells_nothing_of_the_inside() -> None:
    said = say(World(fails=RuntimeError("secret path")), "POST", TEMPLATES, {"param": ADD})
    assert (said.status, said.text) == (500, "an internal error happened")


def test_texts_that_utf8_cannot_hold_do_not_cost_the_answer() -> None:
    world = World()
    world.rows[TEMPLATE]["name"] = "a\ud800b"
    assert say(world, "GET", TEMPLATES).json["inventories"][0]["name"] == "a?b"


# ---- jobs


def test_auto_answers_registry_work_at_once_and_keeps_the_clients_job() -> None:
    world = World()
    said = say(world, "POST", TEMPLATES, {"param": ADD}, x_job_uuid=JOB)
    assert said.status == 200
    assert world.jobs.committed == [(JOB, said.json["inventory"]["uuid"])]
    polled = say(
        world, "GET", f"{V1}/api-jobs/{JOB}", authorization="OAuth null", x_json_schema="true"
    )
    assert polled.status == 200
    assert polled.json == {**said.json, "schema": polled.json["schema"]}
    assert "inventory" in polled.json["schema"]
    assert "schema" not in say(world, "GET", f"{V1}/api-jobs/{JOB}", authorization=None).json


def test_a_job_id_is_used_once() -> None:
    world = World()
    assert say(world, "POST", TEMPLATES, {"param": ADD}, x_job_uuid=JOB).status == 200
    again = say(world, "POST", TEMPLATES, {"param": ADD}, x_job_uuid=JOB)
    assert (again.status, again.text) == (400, f"Duplicate job uuid[{JOB}]")
    assert len(world.calls) == 1
    assert say(world, "GET", TEMPLATES, x_job_uuid=JOB).status == 200  # of a GET it is only checked


@pytest.mark.parametrize("body", [{"param": {**ADD, "resourceUuid": TEMPLATE}}, {"param": {}}])
def test_a_failure_with_a_job_is_told_by_the_job(body: Any) -> None:
    world = World()
    said = say(world, "POST", TEMPLATES, body, x_job_uuid=JOB)
    assert said.status == 202
    assert said.json == {"location": f"http://h:1/zstack/v1/api-jobs/{JOB}", "apiTimeout": 1800000}
    polled = say(world, "GET", f"{V1}/api-jobs/{JOB}")
    assert polled.status == 503
    assert polled.code in ("SYS.1002", "SYS.1007")
    assert say(world, "GET", f"{V1}/api-jobs/{JOB}").content == polled.content


def test_auto_answers_deploys_by_job_and_their_failures_at_once() -> None:
    world = World()
    body = {"deployModelService": DEPLOY}
    said = say(world, "PUT", f"{TEMPLATES}/{TEMPLATE}", body, x_api_timeout="60")
    assert (said.status, said.json["apiTimeout"]) == (202, 60_000)
    assert said.json["location"].startswith("http://h:1/zstack/v1/api-jobs/")
    failed = say(world, "PUT", f"{TEMPLATES}/nobody", body)
    assert (failed.status, failed.code) == (503, "SYS.1003")


@pytest.mark.parametrize("status", ["done", "fails"])
def test_always_and_never(status: str) -> None:
    error = core.OverQuota("full") if status == "fails" else None
    for mode, direct in (("always", 202), ("never", 503 if error else 200)):
        world = World(Options(async_mode=mode), fails=error)  # pyright: ignore[reportArgumentType]
        assert say(world, "POST", TEMPLATES, {"param": ADD}).status == direct
        assert bool(world.jobs.rows) == (mode == "always")
        world.fails = None
        assert say(world, "GET", TEMPLATES).status == 200  # what is sync stays so
        assert say(world, "GET", f"{V1}/accounts/sessions/{LOGIN}/valid").status == 200


@pytest.mark.parametrize("mode", ["auto", "always", "never"])
def test_a_secret_is_told_once_and_never_by_a_job(mode: AsyncMode) -> None:
    world = World(Options(async_mode=mode))
    body = {"params": {"accountUuid": "a", "userUuid": "u"}}
    said = say(world, "POST", f"{V1}/accesskeys", body, x_job_uuid=JOB)
    assert (said.status, said.json["inventory"]["AccessKeySecret"]) == (200, "s3cret")
    renewed = say(
        world,
        "PUT",
        f"{V1}/accounts/sessions/{LOGIN}/renew",
        {"renewSession": {}},
        x_job_uuid=JOB[::-1],
    )
    assert (renewed.status, renewed.json["inventory"]["uuid"]) == (200, LOGIN)
    deployed = say(
        world, "PUT", f"{TEMPLATES}/{TEMPLATE}", {"deployModelService": DEPLOY}, x_job_uuid="d" * 32
    )
    assert deployed.status == (200 if mode == "never" else 202)
    kept = json.dumps([dict(job.answer or {}) for job in world.jobs.rows.values()])
    assert "k" in kept
    assert len(world.jobs.rows) == 3
    assert not [secret for secret in ("s3cret", LOGIN, "t0ken") if secret in kept]


def test_a_slow_call_goes_on_after_its_202() -> None:
    async def run() -> None:
        world = World(Options(inline_seconds=0.01))
        world.gate = asyncio.Event()
        app = world.app()
        body = {"deployModelService": {**DEPLOY, "name": "slow"}}
        said = await ask(app, "PUT", f"{TEMPLATES}/{TEMPLATE}", body)
        path = said.json["location"].removeprefix("http://h:1")
        running = await ask(app, "GET", path)
        assert (said.status, running.status, running.content) == (202, 202, b"{}")
        assert (await ask(app, "GET", path.replace("v1/api-jobs", "api/result"))).json[
            "state"
        ] == "Processing"
        world.gate.set()
        await app.close(5)
        done = await ask(app, "GET", path)
        assert (done.status, done.json["inventory"]["name"]) == (200, "slow")

    asyncio.run(run())


def test_closing_does_not_wait_for_ever() -> None:
    async def run() -> None:
        world = World(Options(inline_seconds=0.01))
        world.gate = asyncio.Event()
        app = world.app()
        await ask(
            app,
            "PUT",
            f"{TEMPLATES}/{TEMPLATE}",
            {"deployModelService": {**DEPLOY, "name": "slow"}},
        )
        await app.close(0.01)
        (job,) = world.jobs.rows.values()
        assert not job.ended  # the next start answers it

    asyncio.run(run())


def test_a_fault_ends_its_job_too() -> None:
    world = World(fails=RuntimeError("inside"))
    assert say(world, "POST", TEMPLATES, {"param": ADD}, x_job_uuid=JOB).status == 202
    polled = say(world, "GET", f"{V1}/api-jobs/{JOB}")
    assert (polled.status, polled.code) == (503, "SYS.1000")
    assert "inside" not in polled.text


@pytest.mark.parametrize("mode", ["auto", "always", "never"])
def test_an_allowed_webhook_is_a_job_that_is_told(mode: AsyncMode) -> None:
    world = World(Options(async_mode=mode))
    said = say(world, "POST", TEMPLATES, {"param": ADD}, x_web_hook=f"{ALLOWED_HOOK}x")
    assert said.status == 202
    (job,) = world.jobs.rows.values()
    assert job.webhook == f"{ALLOWED_HOOK}x"
    assert say(world, "GET", TEMPLATES, x_web_hook="http://anywhere/").status == 200


# ---- RPC


def rpc(world: World, api: str, params: Json | None = None, login: str | None = LOGIN) -> Json:
    message = {**(params or {}), **({"session": {"uuid": login}} if login else {})}
    said = say(world, "POST", "/zstack/api/", {f"any.package.{api}": message}, authorization=None)
    assert said.status == 200, said.text
    assert "error" not in said.json
    return said.json


def result(body: Json) -> tuple[str, Json]:
    assert body["state"] == "Done"
    assert {"createdDate", "finishedDate"} <= set(body)
    ((name, inside),) = json.loads(body["result"]).items()
    return name, inside


def test_rpc_answers_an_event_at_once_where_rest_answers_200() -> None:
    world = World()
    name, inside = result(rpc(world, "APIAddModelServiceMsg", {**ADD, "systemTags": ["a::b"]}))
    assert name == "org.zstack.ai.message.APIAddModelServiceEvent"
    assert inside["success"] is True
    assert "error" not in inside
    assert len(inside["apiId"]) == 32
    assert world.calls[0].extras.system_tags == ("a::b",)


def test_rpc_path_variables_are_parameters() -> None:
    world = World()
    rpc(world, "APIUpdateModelServiceMsg", {"uuid": TEMPLATE, "description": "d"})
    assert world.calls[0].params == {"uuid": TEMPLATE, "description": "d"}
    _, inside = result(rpc(world, "APIDeleteModelServicesMsg", {"uuids": ["a"]}))
    assert inside["results"] == [{"uuid": "a", "success": True}]
    assert world.calls[1].params["deleteMode"] == "Permissive"
    _, missing = result(rpc(world, "APIUpdateModelServiceMsg", {}))
    assert missing["error"]["code"] == "SYS.1007"


def test_rpc_sends_to_the_result_where_rest_answers_202() -> None:
    world = World()
    processing = rpc(world, "APIDeployModelServiceMsg", {"uuid": TEMPLATE, **DEPLOY})
    assert set(processing) == {"uuid", "state", "createdDate"}
    job = processing["uuid"]
    said = say(world, "GET", f"/zstack/api/result/{job}", authorization=None)
    name, inside = result(said.json)
    assert name == "org.zstack.ai.message.APIDeployModelServiceEvent"
    assert (inside["apiId"], inside["success"]) == (job, True)
    assert said.json["uuid"] == job
    assert say(world, "GET", f"{V1}/api-jobs/{job}", authorization=None).status == 200


def test_rpc_failures_are_inside_the_result() -> None:
    world = World(Options(async_mode="always"))
    processing = rpc(world, "APIAddModelServiceMsg", {**ADD, "resourceUuid": TEMPLATE})
    name, inside = result(say(world, "GET", f"/zstack/api/result/{processing['uuid']}/").json)
    assert name.endswith("APIAddModelServiceEvent")
    assert (inside["success"], inside["error"]["code"]) == (False, "SYS.1002")


@pytest.mark.parametrize(
    ("api", "params", "login", "reply", "code"),
    [
        ("APIQueryModelServiceMsg", {}, None, "MessageReply", "ID.1001"),
        ("APIQueryModelServiceMsg", {}, "nobody", "MessageReply", "ID.1001"),
        ("APIQueryModelServiceMsg", {}, STRANGERS_LOGIN, "APIQueryModelServiceReply", "ID.1002"),
        ("APINothingMsg", {}, LOGIN, "MessageReply", "SYS.1008"),
        ("Nothing", {}, LOGIN, "MessageReply", "SYS.1008"),
        ("APIZQLQueryMsg", {}, LOGIN, "APIZQLQueryReply", "SYS.1014"),
        ("APIAddModelServiceMsg", {}, LOGIN, "APIAddModelServiceEvent", "SYS.1007"),
        ("APIAddModelServiceMsg", {**ADD, "requestCpu": "x"}, LOGIN, "APIAddModelServiceEvent", "SYS.1007"),
        ("APIQueryModelServiceMsg", {"limit": -1}, LOGIN, "APIQueryModelServiceReply", "SYS.1007"),
        ("APIQueryModelServiceMsg", {"conditions": [5]}, LOGIN, "APIQueryModelServiceReply", "SYS.1007"),
        ("APIQueryModelServiceMsg", {"conditions": "x"}, LOGIN, "APIQueryModelServiceReply", "SYS.1007"),
        ("APIQueryModelServiceMsg", {"conditions": [{"name": "name", "op": "~"}]}, LOGIN, "APIQueryModelServiceReply", "SYS.1007"),
        ("APIQueryModelServiceMsg", {"conditions": [{"op": "=", "value": "x"}]}, LOGIN, "APIQueryModelServiceReply", "SYS.1007"),
        ("APIQueryModelServiceMsg", {"sortDirection": "up"}, LOGIN, "APIQueryModelServiceReply", "SYS.1007"),
        ("APIQueryModelServiceMsg", {"fields": [{}]}, LOGIN, "APIQueryModelServiceReply", "SYS.1007"),
        ("APILogInByAccountMsg", {"accountName": "admin", "password": "x"}, None, "APILogInReply", "ID.1000"),
    ],
)  # fmt: skip
def test_rpc_refusals(api: str, params: Json, login: str | None, reply: str, code: str) -> None:
    name, inside = result(rpc(World(), api, params, login))
    assert name.rpartition(".")[2] == reply
    assert (inside["success"], inside["error"]["code"]) == (False, code)


def test_rpc_survives_a_fault() -> None:
    name, inside = result(rpc(World(fails=RuntimeError("inside")), "APIQueryModelServiceMsg"))
    assert name.endswith("Reply")
    assert inside["error"]["code"] == "SYS.1000"
    assert "inside" not in json.dumps(inside)


def test_rpc_questions() -> None:
    world = World()
    _, inside = result(
        rpc(world, "APIQueryModelServiceMsg", {
            "conditions": [
                {"name": "name", "op": "in", "value": ["one", "two"]},
                {"name": "requestCpu", "op": ">=", "value": 1},
                {"name": "readme", "op": "is null"},
                {"name": "name", "op": "not like", "value": "x%"},
            ],
            **{"limit": 50, "replyWithCount": True, "sortBy": "name", "sortDirection": "DESC"},
            "fields": ["uuid"],
        })
    )  # fmt: skip
    assert inside == {"success": True, "inventories": [{"uuid": TEMPLATE}], "total": 1}
    query = only(world.calls[0].query)
    assert [condition.op for condition in query.conditions] == [
        Op.IN,
        Op.AT_LEAST,
        Op.IS_NULL,
        Op.NOT_LIKE,
    ]
    assert [condition.value for condition in query.conditions] == ["one,two", "1", "", "x%"]
    assert (query.sort, query.descending, query.limit) == ("name", True, 50)


def test_rpc_tells_validity_under_both_names_and_the_version() -> None:
    _, inside = result(rpc(World(), "APIValidateSessionMsg", {"sessionUuid": LOGIN}, None))
    assert inside == {"success": True, "valid": True, "validSession": True}
    _, version = result(rpc(World(), "APIGetVersionMsg", None, None))
    assert version == {"success": True, "version": "5.5.28"}


def test_rpc_by_put_and_without_a_slash() -> None:
    body = {"org.zstack.header.managementnode.APIGetVersionMsg": None}
    assert say(World(), "PUT", "/zstack/api", body).status == 200


# ---- the edge


def test_cross_origin_only_where_an_operator_wants_it() -> None:
    asked = {"origin": "http://ui", "access_control_request_headers": "x-job-uuid"}
    closed = say(World(), "GET", TEMPLATES, **asked)
    assert not [name for name in closed.headers if name.startswith("access-control")]
    options = Options(cors_origins=("http://ui",))
    opened = say(World(options), "GET", TEMPLATES, **asked)
    assert opened.headers["access-control-allow-origin"] == "http://ui"
    preflight = say(World(options), "OPTIONS", TEMPLATES, **asked)
    assert (preflight.status, preflight.headers["access-control-allow-headers"]) == (
        204,
        "x-job-uuid",
    )
    stranger = say(World(options), "GET", TEMPLATES, origin="http://other")
    assert "access-control-allow-origin" not in stranger.headers


def test_figures_name_api_and_code() -> None:
    world = World()
    say(world, "GET", TEMPLATES)
    say(world, "GET", TEMPLATES, authorization="OAuth x")
    say(world, "GET", f"{V1}/nothing")
    rpc(world, "APIQueryModelServiceMsg", login=None)
    assert world.figures == [
        ("QueryModelService", "OK"),
        ("QueryModelService", "ID.1001"),
        ("", "404"),
        ("QueryModelService", "ID.1001"),
    ]


def test_handlers_of_unknown_apis_are_a_mistake() -> None:
    world = World()
    world.handlers = lambda: {"Nothing": world.nothing}
    with pytest.raises(ValueError, match="Nothing"):
        world.app()


def test_every_supported_api_is_reachable_by_both_doors() -> None:
    world = World(Options(async_mode="never"))
    for name in sorted(world.handlers()):
        api = load().apis[name]
        path = api.path.replace("{", "").replace("}", "")
        say(world, api.method, path, {api.wrapper: {}} if api.wrapper else None)
        assert world.figures[-1][0] == name
        rpc(world, api.message.rpartition(".")[2])
        assert world.figures[-1][0] == name


# ---- on a real port


def test_on_a_real_port() -> None:
    world = World(small_bodies())
    with serving(world.app()) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

        def call(method: str, path: str, body: Any = None, **headers: str) -> Said:
            content = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(
                method, path, content, {"Authorization": f"OAuth {LOGIN}", **headers}
            )
            answer = connection.getresponse()
            return Said(answer.status, dict(answer.headers.items()), answer.read())

        assert call("POST", TEMPLATES, {"param": ADD}).status == 200
        assert call("GET", f"{TEMPLATES}//{TEMPLATE}/").json["inventories"][0]["uuid"] == TEMPLATE
        large = call("POST", TEMPLATES, b"x" * 100_000)
        assert (large.status, large.text) == (
            413,
            "the body is larger than the limit of 4096 bytes",
        )
        # Refused before the body is read: the connection goes on all the same.
        assert call("POST", TEMPLATES, b"x" * 100_000, Authorization="OAuth x").status == 503
        put = call("PUT", f"{TEMPLATES}/{TEMPLATE}", {"deployModelService": DEPLOY})
        assert put.json["location"].startswith(f"http://127.0.0.1:{port}/zstack/v1/api-jobs/")
        poll = put.json["location"].removeprefix(f"http://127.0.0.1:{port}")
        assert call("GET", poll, Authorization="OAuth null").json["inventory"]["name"] == "g"
        connection.close()
        assert slow_body(port) == 408


def slow_body(port: int) -> int:
    """The status for a body of which half never comes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("POST", TEMPLATES)
    connection.putheader("Authorization", f"OAuth {LOGIN}")
    connection.putheader("Content-Length", "10")
    connection.endheaders(b"{")
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def test_calls_at_a_time_do_not_disturb_each_other() -> None:
    world = World()
    seen: list[int] = []
    with serving(world.app()) as port:

        def work() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            for _ in range(10):
                body = json.dumps({"param": ADD})
                connection.request("POST", TEMPLATES, body, {"Authorization": f"OAuth {LOGIN}"})
                answer = connection.getresponse()
                answer.read()
                seen.append(answer.status)
            connection.close()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert seen == [200] * 80
    assert len(world.rows) == 81
