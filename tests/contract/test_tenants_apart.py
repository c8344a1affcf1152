"""Two tenants of one platform: neither sees, changes or learns anything of the other, at either door.

Each is a user with everything allowed, in a workspace of its own. A third kind of pair, with everything
allowed everywhere at the ZStack door, shows what ownership alone keeps apart in the registry.
"""

import json
from collections.abc import Callable
from typing import Any

from permission_world import FULL, House, Json, Said, Scene, shipped
from test_eas_app import needed_body, needed_query

from builders import T0
from pierhead.core.events import Event
from pierhead.core.services import Service
from pierhead.dialects.eas.catalog import load as eas_catalog
from pierhead.dialects.zstack.catalog import Api
from pierhead.dialects.zstack.catalog import load as zstack_catalog
from pierhead.store import events as event_rows

GROUP = "ModelServiceInstanceGroupVO"
QUERY_GROUPS = "QueryModelServiceInstanceGroup"
#: What stands in everything of the other tenant, and may never be read.
MARK = "zebra"
TENANTS = (("anna", "wa"), ("ben", "wb"))


async def two_tenants(house: House) -> Service:
    """Anna with an own service, Ben with one whose every word has the mark; gives Ben's."""
    for who, workspace in TENANTS:
        await house.user(who, shipped(FULL, workspace))
    await house.service("anna_svc", workspace="wa", created=T0 + 1)
    theirs = await house.service(
        f"{MARK}_svc",
        workspace="wb",
        group=f"{MARK}_group",
        quota=f"{MARK}_quota",
        labels={f"{MARK}_key": f"{MARK}_value"},
        title=f"{MARK} title",
        token=f"{MARK}-token",
        created=T0 + 2,
    )
    event = Event(T0, theirs.id, theirs.name, "Normal", MARK, f"{MARK} told", "x", "")
    await house.world.db.write(event_rows.append, event)
    tag = {"resourceType": GROUP, "resourceUuid": theirs.id, "tag": f"{MARK}_tag=1"}
    assert (await house.rpc("ben", "CreateUserTag", tag)).code == "OK"
    return theirs


def is_blind(said: Said, *sent: str) -> None:
    """Nothing of the other tenant is in an answer, but for what was sent in the request itself."""
    text = json.dumps(said.body)
    for each in sent:
        text = text.replace(each, "")
    assert MARK not in text, text


async def state(house: House, theirs: Service) -> tuple[Json, Json]:
    """Everything of Ben's service, as the account sees it."""
    described = await house.eas("root", "GET", f"/api/v2/services/local/{theirs.name}")
    assert described.code == "OK", described.body
    asked = {"conditions": [{"name": "uuid", "op": "=", "value": theirs.id}]}
    group = await house.rpc("root", QUERY_GROUPS, asked)
    tags = await house.rpc("root", "QueryUserTag")
    events = await house.eas(
        "root", "GET", f"/api/v2/services/local/{theirs.name}/events?StartTime=2026-01-01"
    )
    described.body.pop("RequestId")
    events.body.pop("RequestId")
    return described.body, {"groups": group.body, "tags": tags.body, "events": events.body}


def test_no_operation_of_eas_reaches_the_other_tenant(play: Callable[[Scene], None]) -> None:
    """Law: every operation that names a service is refused, by each of its names, as if it were not there."""

    async def scene(house: House) -> None:
        theirs = await two_tenants(house)
        before = await state(house, theirs)
        none = f"{MARK}_none"
        for operation in eas_catalog().operations:
            if "{ServiceName}" not in operation.path:
                continue
            path = operation.path.replace("{ClusterId}", "local") + needed_query(operation)
            raw = needed_body(operation)
            body = json.loads(raw) if raw else None
            told: list[Json] = []
            names = (theirs.name, theirs.full_name, theirs.id, f"eas-m-{theirs.id[:18]}", none)
            for name in names:
                target = path.replace("{ServiceName}", name)
                target = target.replace("{InstanceName}", "i").replace("{FaultType}", "f")
                said = await house.eas("anna", operation.method, target, body)
                assert said.code == "Forbidden.RAM", (operation.id, name, said.body)
                is_blind(said, name)
                told.append(
                    json.loads(json.dumps(said.body).replace(name, "X")) | {"RequestId": ""}
                )
            assert all(one == told[-1] for one in told), "there or not makes no difference"
        assert await state(house, theirs) == before

    play(scene)


def test_no_list_of_eas_tells_of_the_other_tenant(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        theirs = await two_tenants(house)
        queries = (
            "",
            "PageSize=1",
            "Sort=CreateTime&Order=asc",
            f"Filter={MARK}",
            f"ServiceName={theirs.name}",
            f"ServiceUid=eas-m-{theirs.id[:18]}",
            "WorkspaceId=wb",
            "WorkspaceId=wb&IncludeNoWorkspace=true",
            f"QuotaId={MARK}_quota",
            f"GroupName={MARK}_group",
            "TrafficState=grouping",
            "ServiceStatus=Failed",
            f"Label=%7B%22{MARK}_key%22%3Anull%7D",
            f"CallerUid={theirs.caller}",
        )
        for query in queries:
            said = await house.eas("anna", "GET", f"/api/v2/services?{query}")
            mine = [row["ServiceName"] for row in said.body["Services"]]
            assert (said.code, said.body["TotalCount"]) == ("OK", len(mine)), query
            assert mine in ([], ["anna_svc"]), query
            is_blind(said)
        for operation in eas_catalog().operations:
            if operation.method != "GET" or "{ServiceName}" in operation.path:
                continue
            target = operation.path.replace("{ClusterId}", "local")
            for name in operation.path_params:
                target = target.replace(f"{{{name}}}", f"{MARK}_group")
            said = await house.eas("anna", "GET", target + needed_query(operation))
            is_blind(said, f"{MARK}_group")
        taken = {
            "AppType": "LLM",
            "AppVersion": "v1",
            "ServiceSpec": "smollm2_135m_q4",
            "Replicas": 1,
        }
        made = await house.eas(
            "anna",
            "POST",
            "/api/v2/app_services?WorkspaceId=wa",
            {**taken, "ServiceName": theirs.name},
        )
        assert made.code == "InvalidService.Conflict", (
            "names are unique in a region: that much is told"
        )
        is_blind(made, theirs.name)

    play(scene)


#: What each API of ZStack is sent, so that it is about the other tenant's service.
def aimed(api: Any, theirs: Service, tag: str) -> list[Json]:
    names = {param.name for param in api.params}
    base: Json = {"uuid": theirs.id, "uuids": [theirs.id], "deleteMode": "Enforcing"}
    by_tag = {"uuid": tag, "tag": f"{MARK}::x"}
    found = [{**base, "name": "x"}]
    if "resourceUuid" in names and "resourceType" in names:
        found = [{"resourceType": GROUP, "resourceUuid": theirs.id, "tag": "a::b"}]
    if api.name in {"UpdateSystemTag", "DeleteTag"}:
        found = [by_tag]
    if "resourceUuids" in names:
        found = [{"tagUuid": tag, "resourceUuids": [theirs.id]}]
    return found


def test_no_api_of_zstack_reaches_the_other_tenant(play: Callable[[Scene], None]) -> None:
    """Law: whatever it is sent, every API of Anna's leaves Ben's service as it is, and tells nothing."""

    async def scene(house: House) -> None:
        theirs = await two_tenants(house)
        tags = (await house.rpc("root", "QueryUserTag")).body["inventories"]
        system = (await house.rpc("root", "QuerySystemTag")).body["inventories"]
        before = await state(house, theirs)
        for api in zstack_catalog().apis.values():
            if not api.message or not api.authenticated:
                continue
            for tag in (*tags, *system):
                for params in aimed(api, theirs, tag["uuid"]):
                    said = await house.rpc("anna", api.name, params)
                    is_blind(said, f"{MARK}::x")
        assert await state(house, theirs) == before

    play(scene)


def test_no_question_of_zstack_tells_of_the_other_tenant(play: Callable[[Scene], None]) -> None:
    """Law: conditions, nested and on tags, counts, groups and orders work on what one sees alone."""

    async def scene(house: House) -> None:
        theirs = await two_tenants(house)
        conditions = (
            ("uuid", "=", theirs.id),
            ("name", "~=", f"%{MARK}%"),
            ("serviceName", "=", theirs.name),
            ("accessToken", "=", theirs.token),
            ("accessToken", "~=", f"{MARK}%"),
            ("status", "=", "Error"),
            ("instances.status", "is null", ""),
            ("instances.uuid", "!=", "x"),
            ("__userTag__", "=", f"{MARK}_tag=1"),
            ("__userTag__", "!=", "x"),
            ("__systemTag__", "~=", "ai::serviceName%"),
        )
        for name, op, value in conditions:
            asked: Json = {"conditions": [{"name": name, "op": op, "value": value}]}
            for more in (
                {},
                {"count": True},
                {"replyWithCount": True},
                {"groupBy": "type"},
                {"sortBy": "name"},
            ):
                said = await house.rpc("anna", QUERY_GROUPS, {**asked, **more})
                assert said.code == "OK", said.body
                is_blind(said)
                assert said.body.get("total", 0) <= 1
                rows = said.body.get("inventories", [])
                assert [row["serviceName"] for row in rows] in ([], ["anna_svc"])
        for target in (
            "?q=name~=%25zebra%25",
            f"?q=uuid={theirs.id}",
            "?count=true",
            "?fields=name",
        ):
            said = await house.rest("anna", "GET", f"/ai/model-services/instances/groups/{target}")
            assert said.code == "OK"
            is_blind(said)
        item = await house.rest("anna", "GET", f"/ai/model-services/instances/groups/{theirs.id}")
        none = await house.rest("anna", "GET", f"/ai/model-services/instances/groups/{'0' * 32}")
        assert item.body == none.body, "one that is not there looks the same"
        zql = await house.rest("anna", "GET", f"/zql?zql=query+{GROUP}")
        is_blind(zql)

    play(scene)


async def two_owners(house: House) -> dict[str, str]:
    """Anna and Ben with everything allowed, everywhere; gives the uuids of what is Ben's, by kind."""
    await house.user("anna", shipped(FULL))
    await house.user("ben", shipped(FULL))
    center = (await house.rpc("root", "QueryModelCenter")).body["inventories"][0]["uuid"]
    place = {"installPath": f"{MARK}/w", "modelCenterUuid": center}
    template = {"yaml": "", "requestCpu": 1, "requestMemory": 9, "startCommand": f"run {MARK}"}
    uuids: dict[str, str] = {}
    for api, kind, params in (
        ("AddModel", "ModelVO", {"name": f"{MARK} m", **place}),
        ("AddModelService", "ModelServiceVO", {"name": f"{MARK} t", **place, **template}),
        (
            "CreateDataset",
            "DatasetVO",
            {"name": f"{MARK} d", "url": MARK, "modelCenterUuid": center},
        ),
    ):
        tags = {"userTags": [f"{MARK}-tag"], "systemTags": [f"a::{MARK}"]}
        made = await house.rpc("ben", api, {**params, **tags})
        assert made.code == "OK", made.body
        uuids[kind] = made.body["inventory"]["uuid"]
    uuids["center"] = center
    return uuids


def at_an_object(api: Api, kind: str, uuid: str, center: str) -> Json:
    """What an API is sent, so that it is about an object, in whatever way it can be."""
    if api.query:
        return {"conditions": [{"name": "name", "op": "~=", "value": f"%{MARK}%"}]}
    single = ("uuid", "modelUuid", "modelServiceUuid", "resourceUuid")
    several = ("uuids", "modelUuids", "modelServiceUuids", "datasetUuids")
    everything: Json = {
        **dict.fromkeys(single, uuid),
        **{name: [uuid] for name in several},
        **{"resourceType": kind, "tag": "x::y", "deleteMode": "Enforcing"},
        **{"instanceNumber": 1, "modelCenterUuid": center},
    }
    known = {param.name for param in api.params}
    return {name: value for name, value in everything.items() if name in known}


def test_what_ownership_keeps_apart_in_the_registry(play: Callable[[Scene], None]) -> None:
    """Law: with everything allowed, others' models, templates and data are still not there."""

    async def scene(house: House) -> None:
        theirs = await two_owners(house)
        center = theirs.pop("center")
        before = await registry(house)
        for api in zstack_catalog().apis.values():
            if not api.message or not api.authenticated or api.name in SHARED:
                continue
            for kind, uuid in theirs.items():
                said = await house.rpc("anna", api.name, at_an_object(api, kind, uuid, center))
                is_blind(said)
                if api.query and said.code == "OK":
                    assert said.body["inventories"] == []
        assert await registry(house) == before

    play(scene)


def test_names_tags_and_counts_of_others_are_not_told(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        theirs = await two_owners(house)
        theirs.pop("center")
        named = await house.rpc("anna", "GetResourceNames", {"uuids": list(theirs.values())})
        assert named.body["inventories"] == []
        for kind in ("QueryUserTag", "QuerySystemTag"):
            asked: Json = {"conditions": [{"name": "tag", "op": "~=", "value": f"%{MARK}%"}]}
            assert (await house.rpc("anna", kind, asked)).body["inventories"] == []
            assert (await house.rpc("anna", kind, {**asked, "count": True})).body["total"] == 0
            assert (await house.rpc("ben", kind, {**asked, "count": True})).body["total"] == 3
        usages = (await house.rpc("anna", "GetMaaSUsage")).body["usages"]
        counted = {row["name"]: row["value"] for row in usages}
        assert (counted["models"], counted["datasets"]) == (0, 0)
        shown = (await house.rpc("anna", "QueryModelService", {"count": True})).body["total"]
        assert counted["modelServices"] == shown > 0

    play(scene)


#: APIs that make something of one's own, or of everybody's, and tell nothing of others.
SHARED = frozenset(
    {"AddModel", "AddModelCenter", "AddModelService", "CreateDataset", "CreateZone", "CreateTag"}
)


async def registry(house: House) -> Json:
    """All that is registered, as the account sees it."""
    return {
        api: (await house.rpc("root", api)).body["inventories"]
        for api in (
            "QueryModel",
            "QueryModelService",
            "QueryDataset",
            "QueryUserTag",
            "QuerySystemTag",
            "QueryModelCenter",
        )
    }
