"""Every operation of both doors for every sort of principal: let through or refused, as a table says.

What is expected is worked out here from tables written by hand and a naive evaluation of policies; of
the product's own authorization nothing is used for it. The apps, their catalogs, the store and the
policies are real; the handlers are stubs that note that they were reached.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from permission_world import FULL, Grant, House, Json, allow, deny, play_house, policy, shipped
from test_eas_app import needed_body, needed_query

from builders import ACCOUNT
from pierhead.core.permits import QUERIES
from pierhead.dialects.eas import catalog as eas_catalog
from pierhead.dialects.zstack import catalog as zstack_catalog
from pierhead.store import db, policies

HERE, ELSEWHERE = "here", "elsewhere"
SERVICE, OTHER = "svc_here", "none_such"
EAS, ZSTACK = f"acs:eas:local:{ACCOUNT}:", f"acs:zstack:local:{ACCOUNT}:"
GROUP = "ModelServiceInstanceGroupVO"
LIST, LOOK, QUERY = "eas:ListServices", "eas:DescribeService", f"zstack:Query{GROUP[:-2]}"

#: Names of the same deed: a Deny of one denies all, an Allow of one allows all.
TWINS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        f"eas:DeleteService zstack:Delete{GROUP[:-2]} zstack:Delete{GROUP[:-2]}s",
        "eas:CreateService zstack:DeployModelService zstack:DeployDistributedModelService",
        f"{LIST} {QUERY}",
        "eas:RestartService zstack:RestartModelServiceGroups",
        f"eas:UpdateService zstack:Update{GROUP[:-2]}",
    )
)
#: Deeds that are a part of another one.
PARTS: Mapping[str, str] = {
    LOOK: QUERY,
    "eas:DescribeServiceEndpoints": QUERY,
    "eas:UpdateServiceLabel": "zstack:CreateUserTag",
    "eas:DeleteServiceLabel": "zstack:DeleteTag",
    "zstack:CreateAccessKey": "ram:CreateAccessKey",
    "zstack:DeleteAccessKey": "ram:DeleteAccessKey",
    "zstack:ChangeAccessKeyState": "ram:UpdateAccessKey",
    "zstack:QueryAccessKey": "ram:ListAccessKeys",
}


@dataclass(frozen=True)
class Object:
    """One object of an operation, as policies know it."""

    names: tuple[str, ...]
    workspace: str = ""
    actions: frozenset[str] = frozenset()  #: instead of the operation's own
    more: frozenset[str] = frozenset()  #: besides the operation's own
    lists: frozenset[str] = frozenset()  #: a list: an Allow of one of these for anything is enough


@dataclass(frozen=True)
class Entry:
    """What one operation needs."""

    objects: tuple[Object, ...] = ()
    params: Json = field(default_factory=dict)  #: of a ZStack API
    outcome: str = "reached"  #: for who is let through: `reached`, `unsupported`, `open`


# --- the tables: EAS ---------------------------------------------------------------------------------

#: What an operation is about -> the operations.
EAS_TABLE: Mapping[str, str] = {
    "service": """
        CommitService CreateFaultInjection CreateServiceAutoScaler CreateServiceInstanceToken
        CreateServiceMirror DeleteFaultInjection DeleteService DeleteServiceAutoScaler
        DeleteServiceCronScaler DeleteServiceInstances DeleteServiceLabel DeleteServiceMirror
        DescribeService DescribeServiceAutoScaler DescribeServiceCronScaler DescribeServiceDiagnosis
        DescribeServiceEvent DescribeServiceInstanceDiagnosis DescribeServiceLog
        DescribeServiceMirror DescribeServiceSignedUrl DevelopService ListServiceContainers
        ListServiceInstanceFaultInjectionInfo ListServiceInstances ListServiceVersions
        ReleaseService RestartService ScaleService StartService StopService UpdateAppService
        UpdateService UpdateServiceAutoScaler UpdateServiceCronScaler UpdateServiceInstance
        UpdateServiceLabel UpdateServiceMirror UpdateServiceSafetyLock UpdateServiceVersion""",
    "service and everything": "CreateServiceCronScaler DescribeServiceEndpoints",
    "service, to be read too": "CloneService",
    "services": "ListServices",
    "everything, of services": "ListGroups",
    "a new service": "CreateAppService CreateService",
    "everything": """
        CreateGateway CreateResource CreateVirtualResource DeleteVirtualResource DescribeGroup
        DescribeGroupEndpoints DescribeMachineSpec DescribeRegions DescribeSpotDiscountHistory
        DescribeVirtualResource ListGateway ListResources ListTenantAddons ListVirtualResource
        ReinstallTenantAddon UpdateGroup UpdateVirtualResource""",
    "gateway/foo": """
        AttachGatewayDomain CreateAclPolicy CreateGatewayIntranetLinkedVpc
        CreateGatewayIntranetLinkedVpcPeer DeleteAclPolicy DeleteGateway
        DeleteGatewayIntranetLinkedVpc DeleteGatewayIntranetLinkedVpcPeer DeleteGatewayLabel
        DescribeGateway DetachGatewayDomain ListAclPolicy ListGatewayDomains
        ListGatewayIntranetLinkedVpc ListGatewayIntranetLinkedVpcPeer
        ListGatewayIntranetSupportedZone UpdateGateway UpdateGatewayLabel""",
    "resource/foo": """
        CreateResourceInstances CreateResourceLog DeleteResource DeleteResourceDLink
        DeleteResourceInstanceLabel DeleteResourceInstances DeleteResourceLog DescribeResource
        DescribeResourceDLink DescribeResourceLog ListResourceInstanceWorker ListResourceInstances
        MigrateResourceInstance UpdateResource UpdateResourceDLink UpdateResourceInstance
        UpdateResourceInstanceLabel""",
    "resource/foo, of services": "ListResourceServices",
    "benchmarktask/*": "CreateBenchmarkTask ListBenchmarkTask",
    "benchmarktask/foo": """
        DeleteBenchmarkTask DescribeBenchmarkTask DescribeBenchmarkTaskReport StartBenchmarkTask
        StopBenchmarkTask UpdateBenchmarkTask""",
}


def eas_entries(house: House, service: str) -> dict[str, Entry]:
    """The table, with the names of the one service that there is."""
    short = f"eas-m-{service[:18]}"
    pool = house.permission._realm.pool  # pyright: ignore[reportPrivateUsage]
    eas = [SERVICE, short, service]
    one = Object(
        (
            *(f"{EAS}service/{name}" for name in eas),
            *(f"{EAS}resource/{pool}/service/{name}" for name in eas),
            *(f"{ZSTACK}{GROUP}/{name}" for name in (service, SERVICE)),
        ),
        HERE,
    )
    whole, seeing = Object((f"{EAS}*",)), frozenset({LIST, LOOK, QUERY})
    objects: dict[str, tuple[Object, ...]] = {
        "service": (one,),
        "service and everything": (Object((*one.names, f"{EAS}*"), HERE),),
        "service, to be read too": (one, Object(one.names, HERE, actions=frozenset({LOOK}))),
        "services": (Object((f"{EAS}service/*", f"{ZSTACK}{GROUP}/*"), lists=seeing),),
        "everything, of services": (Object((f"{EAS}*",), lists=seeing | {"eas:ListGroups"}),),
        "a new service": (Object((f"{EAS}*",), HERE),),
        "everything": (whole,),
        "resource/foo, of services": (
            Object((f"{EAS}resource/foo",), lists=seeing | {"eas:ListResourceServices"}),
        ),
    }
    found: dict[str, Entry] = {}
    for kind, names in EAS_TABLE.items():
        about = objects.get(kind) or (Object((EAS + kind,)),)
        for name in names.split():
            tier = eas_catalog.load().by_id[name].tier
            found[name] = Entry(about, outcome="unsupported" if tier == "3" else "reached")
    return found


# --- the tables: ZStack ------------------------------------------------------------------------------


def of(kind: str, *names: str, **more: Any) -> Object:
    return Object(tuple(f"{ZSTACK}{kind}/{name}" for name in names or ("*",)), **more)


@dataclass(frozen=True)
class Things:
    """Uuids of what is there, all called `thing`."""

    service: Any
    model: str
    template: str
    dataset: str
    center: str
    zone: str
    pattern: str
    tag: str  #: a user tag on the model


def zstack_entries(house: House, t: Things) -> dict[str, Entry]:
    """Every API: the least that a client sends, and what it is about."""
    group = Object(eas_entries(house, t.service)["DeleteService"].objects[0].names, HERE)
    labelled = Object(group.names, HERE, more=frozenset({"eas:UpdateServiceLabel"}))
    acted = Object(group.names, HERE, more=frozenset({"eas:UpdateService"}))
    model, template = of("ModelVO", t.model, "thing"), of("ModelServiceVO", t.template, "thing")
    dataset, center = of("DatasetVO", t.dataset, "thing"), of("ModelCenterVO", t.center, "thing")
    pattern = of("TagPatternVO", t.pattern, "thing")
    everything = Object((f"{ZSTACK}*",))
    made = Object((*template.names, f"{EAS}*"), HERE)
    registering = {"name": "x", "installPath": "x", "modelCenterUuid": t.center}
    tag = {"resourceType": GROUP, "resourceUuid": t.service, "tag": "a::b"}
    key = {"accountUuid": "x", "userUuid": "x"}
    wanted = {"zoneUuid": t.zone, "name": "x", "type": "Container"}
    pair = {"modelUuid": t.model, "modelServiceUuid": t.template}
    put = {"tagUuid": t.pattern, "resourceUuids": [t.service]}

    def listed(kind: str, action: str, *more: str) -> Object:
        return of(kind, lists=frozenset({f"zstack:{action}", *more}))

    groups = Object((f"{ZSTACK}{GROUP}/*", f"{EAS}service/*"), lists=frozenset({QUERY, LIST, LOOK}))
    yaml = {"yaml": "", "requestCpu": 1, "requestMemory": 1, "startCommand": "x"}
    place = {"url": "x", "managementIp": "x", "managementPort": 1}
    match = {"modelUuids": [t.model], "modelServiceUuids": [t.template], "instanceNumber": 1}

    def one(about: Object, **params: Any) -> Entry:
        return Entry((about,), params)

    found = {
        "AddModel": one(of("ModelVO"), **registering),
        "AddModelCenter": one(of("ModelCenterVO"), name="x", **place),
        "AddModelService": one(of("ModelServiceVO"), **registering, **yaml),
        "BindModelToService": Entry((model, template), pair),
        "UnbindModelFromService": Entry((model, template), pair),
        "CloneModelService": one(template, uuid=t.template),
        "CreateDataset": one(of("DatasetVO"), name="x", url="x", modelCenterUuid=t.center),
        "DeleteDataset": one(dataset, uuid=t.dataset),
        "DeleteModel": one(model, uuid=t.model),
        "DeleteModels": one(model, uuids=[t.model]),
        "DeleteModelCenter": one(center, uuid=t.center),
        "DeleteModelService": one(template, uuid=t.template),
        "DeleteModelServices": one(template, uuids=[t.template]),
        "DeleteModelServiceInstanceGroup": one(group, uuid=t.service),
        "DeleteModelServiceInstanceGroups": one(group, uuids=[t.service]),
        "DeployModelService": one(made, uuid=t.template, projectUuid=HERE, **wanted),
        "DeployDistributedModelService": one(
            Object(made.names),  # it has no workspace
            modelServices=[{"uuid": t.template, "nodeRank": 0, **wanted}],
            serviceCreationStrategy="parallel",
            name="x",
        ),
        "GenerateModelMetadata": one(model, modelCenterUuid=t.center, modelUuids=[t.model]),
        "GetMaaSUsage": one(everything),
        "GetModelCenterServices": one(center, modelCenterUuids=[t.center]),
        "MatchModelServiceTemplateWithModel": one(of("ModelServiceVO"), **match, **wanted),
        "QueryDataset": one(listed("DatasetVO", "QueryDataset")),
        "QueryModel": one(listed("ModelVO", "QueryModel")),
        "QueryModelCenter": one(listed("ModelCenterVO", "QueryModelCenter")),
        "QueryModelService": one(listed("ModelServiceVO", "QueryModelService")),
        "QueryModelServiceInstanceGroup": one(groups),
        "RestartModelServiceGroups": one(group, uuids=[t.service]),
        "UpdateDataset": one(dataset, uuid=t.dataset),
        "UpdateModel": one(model, uuid=t.model),
        "UpdateModelCenter": one(center, uuid=t.center),
        "UpdateModelService": one(template, uuid=t.template),
        "UpdateModelServiceInstanceGroup": one(group, uuid=t.service),
        "CreateAccessKey": one(of("AccessKeyVO"), **key),
        "QueryAccessKey": one(of("AccessKeyVO")),
        "DeleteAccessKey": one(of("AccessKeyVO", "k"), uuid="k"),
        "ChangeAccessKeyState": one(of("AccessKeyVO", "k"), uuid="k", stateEvent="enable"),
        "QueryZone": one(of("ZoneVO")),
        "CreateZone": one(of("ZoneVO"), name="x"),
        "CreateSystemTag": one(acted, **tag),
        "CreateUserTag": one(labelled, **tag),
        "QuerySystemTag": one(of("SystemTagVO")),
        "QueryUserTag": one(of("UserTagVO")),
        "UpdateSystemTag": one(model, uuid=t.tag, tag="a::b"),
        "DeleteTag": one(model, uuid=t.tag),
        "CreateTag": one(of("TagPatternVO"), name="x", value="x"),
        "QueryTag": one(of("TagPatternVO")),
        "UpdateTag": one(pattern, uuid=t.pattern),
        "AttachTagToResources": Entry((pattern, labelled), put),
        "DetachTagFromResources": Entry(
            (pattern, Object(group.names, HERE, more=frozenset({"eas:DeleteServiceLabel"}))), put
        ),
        "QueryPciDeviceSpec": one(of("PciDeviceSpecVO")),
        "QueryGpuDevice": one(of("GpuDeviceVO")),
        "GetResourceNames": one(everything, uuids=[t.model]),
        "QueryAccount": one(of("AccountVO")),
        # A login of one's own, and what needs no credentials.
        "RenewSession": Entry((), {"sessionUuid": "x"}),
        **{
            name: Entry((), params, "open")
            for name, params in {
                "LogInByAccount": {"accountName": "x", "password": "x"},
                "LogInByUser": {"userName": "x", "password": "x", "accountName": "x"},
                "LogOut": {"sessionUuid": "x"},
                "ValidateSession": {"sessionUuid": "x"},
                "GetVersion": {},
                "IsReadyToGo": {},
                "GetApiJob": {},
            }.items()
        },
    }
    for name in UNSUPPORTED.split():
        found[name] = Entry((), {}, "unsupported")
    return found


UNSUPPORTED = """
    DeleteDatasets DeleteModelEvaluationTask DeleteModelEvaluationTasks DeployAppDevelopmentService
    DeployModelEvalService QueryApplicationDevelopmentService QueryModelEvalServiceInstanceGroup
    QueryModelEvaluationTask QueryTrainedModelRecord SyncAINginxConfiguration UpdateDatasets
    UpdateModelEvaluationTask ZQLQuery"""


# --- a naive evaluation ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """A statement, and where it counts."""

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    workspace: str = ""


def fits(patterns: tuple[str, ...], text: str, *, fold: bool = False) -> bool:
    flags = re.IGNORECASE if fold else 0
    shapes = (re.escape(one).replace(r"\*", ".*").replace(r"\?", ".") for one in patterns)
    return any(re.fullmatch(shape, text, flags | re.DOTALL) for shape in shapes)


def deeds(actions: frozenset[str]) -> frozenset[str]:
    """All names of these deeds."""
    found = set(actions)
    for action in actions:
        for same in TWINS:
            found |= same if action in same else set()
        found |= {PARTS[action]} if action in PARTS else set()
    return frozenset(found)


def verdict(rules: list[Rule], actions: frozenset[str], about: Object) -> str:
    """`Deny`, `Allow`, or "" where no rule says anything."""
    said = {
        rule.effect
        for rule in rules
        if rule.workspace in {"", about.workspace}
        and any(fits(rule.actions, action, fold=True) for action in actions)
        and any(fits(rule.resources, name) for name in about.names)
    }
    return "Deny" if "Deny" in said else "Allow" if "Allow" in said else ""


def expected(rules: list[Rule], session: list[Rule] | None, action: str, entry: Entry) -> bool:
    """Is an operation let through?"""
    for about in entry.objects:
        actions = deeds((about.actions or frozenset({action})) | about.more)
        for side in (rules, *([session] if session is not None else [])):
            said = verdict(side, actions, about)
            if said == "Allow":
                continue
            something = any(
                rule.effect == "Allow" and fits(rule.actions, each, fold=True)
                for rule in side
                for each in about.lists
            )
            if said == "Deny" or not something:
                return False
    return True


def rules_of(grants: tuple[Grant, ...]) -> list[Rule]:
    found: list[Rule] = []
    for grant in grants:
        for statement in SHIPPED[grant.name] if grant.name else grant.statements:
            resource = statement["Resource"]
            texts = (resource,) if isinstance(resource, str) else tuple(resource)
            found.append(
                Rule(statement["Effect"], tuple(statement["Action"]), texts, grant.workspace)
            )
    return found


#: What the shipped policies that are used here allow.
SHIPPED: Mapping[str, list[Json]] = {
    FULL: [allow("*")],
    "AliyunPAIEASReadOnlyAccess": [allow("eas:Describe*", "eas:List*")],
    "PierheadZStackReadOnlyAccess": [allow("zstack:Query*", "zstack:Get*", "zstack:IsReadyToGo")],
}
NARROW = ("eas:Describe*", "eas:Stop*", "zstack:Query*", "zstack:UpdateModel*")
FIXED: Mapping[str, tuple[Grant, ...]] = {
    "nobody": (),
    "read_only": (
        shipped("AliyunPAIEASReadOnlyAccess"),
        shipped("PierheadZStackReadOnlyAccess"),
    ),
    "eas_read_only": (shipped("AliyunPAIEASReadOnlyAccess"),),
    "full": (shipped(FULL),),
    "bounded_here": (shipped(FULL, HERE),),
    "bounded_elsewhere": (shipped(FULL, ELSEWHERE),),
}
#: Principals whose policy is another one for each operation.
CHANGING = ("denied", "by_name", "other_name", "twin_denied")


def changing(who: str, action: str, entry: Entry) -> tuple[Grant, ...]:
    """The policy of such a principal."""
    names = [about.names[0] for about in entry.objects] or ["*"]
    if who == "denied":
        return (policy(allow("*"), deny(action)),)
    if who == "twin_denied":
        others = sorted(deeds(frozenset({action})) - {action}) or ["eas:Nothing"]
        return (policy(allow("*"), deny(*others)),)
    if who == "by_name":
        return (policy(allow("*", on=names)),)
    # Another object of the same kind; of what has no objects, of any.
    kinds = [re.sub(r"[^/:]+$", OTHER, name) for name in names]
    return (policy(allow("*", on=[kind.replace(f":{OTHER}", f":x/{OTHER}") for kind in kinds])),)


# --- the matrix --------------------------------------------------------------------------------------


async def things(house: House) -> Things:
    service = await house.service(SERVICE, workspace=HERE)
    model = await house.world.model(name="thing")
    template = await house.world.template(name="thing")
    dataset = await house.world.dataset(name="thing")
    center = await house.world.add_center(name="thing")
    zone = (await house.rpc("root", "QueryZone")).body
    assert zone["success"]
    made = House(house.world)  # with handlers that do something
    tagged = {"resourceType": "ModelVO", "resourceUuid": model.uuid, "tag": "a::c"}
    pattern = (await made.rpc("root", "CreateTag", {"name": "thing", "value": "v"})).body
    tag = (await made.rpc("root", "CreateSystemTag", tagged)).body
    zones = (await made.rpc("root", "QueryZone")).body["inventories"]
    await made.close()
    return Things(
        service=service.id,
        model=model.uuid,
        template=template.uuid,
        dataset=dataset.uuid,
        center=center.uuid,
        zone=zones[0]["uuid"],
        pattern=pattern["inventory"]["uuid"],
        tag=tag["inventory"]["uuid"],
    )


async def outcome(house: House, who: str, door: str, name: str, entry: Entry) -> str:
    """What became of a call: `reached`, `unsupported` or `refused`."""
    house.reached.clear()
    if door == "eas":
        operation = eas_catalog.load().by_id[name]
        path = operation.path.replace("{ClusterId}", "local").replace("{ServiceName}", SERVICE)
        path = re.sub(r"\{\w+\}", "foo", path) + needed_query(operation)
        if name in {"CreateAppService", "CreateService"}:
            path += f"?WorkspaceId={HERE}"
        raw = needed_body(operation)
        said = await house.eas(who, operation.method, path, json.loads(raw) if raw else None)
    else:
        said = await house.rpc(who, name, entry.params)
    if not said.allowed:
        assert house.reached == [], "a refused call reaches no handler"
        return "refused"
    if said.code in {"UnsupportedOperation", "SYS.1014"}:
        return "unsupported"
    assert said.code == "OK", (door, name, said.body)
    assert [reached for reached, _ in house.reached] == [name]
    return "reached"


def calls(house: House, t: Things) -> Iterator[tuple[str, str, str, Entry]]:
    """(door, operation, action, entry) of all there are."""
    for name, entry in eas_entries(house, t.service).items():
        yield "eas", name, f"eas:{name}", entry
    for name, entry in zstack_entries(house, t).items():
        if name != "GetApiJob":  # no message: its own test is in test_permission.py
            yield "zstack", name, f"zstack:{name}", entry


def test_the_matrix(tmp_path: Path) -> None:
    """Law: what is let through is what policies say, for every operation and every principal (F28)."""

    async def scene(house: House) -> None:
        t = await things(house)
        for who, grants in FIXED.items():
            await house.user(who, *grants)
        narrow = json.dumps({"Version": "1", "Statement": [allow(*NARROW)]})
        await house.role("role", shipped(FULL), session=narrow)
        for who in CHANGING:
            await house.user(who, policy(deny("*")))
        of_changing = {who: f"p{number}" for number, who in enumerate(CHANGING, 1)}
        sessions = {"role": [Rule("Allow", NARROW, ("*",))]}
        wrong: list[str] = []
        counted: dict[str, int] = {"reached": 0, "refused": 0, "unsupported": 0}
        for door, name, action, entry in calls(house, t):
            given = {who: changing(who, action, entry) for who in CHANGING}
            for who, (grant,) in given.items():
                text = json.dumps({"Version": "1", "Statement": list(grant.statements)})
                await house.world.db.write(change, of_changing[who], text)
            everybody = {**FIXED, "role": (shipped(FULL),), **given}
            for who in ("root", *everybody):
                free = who == "root" or not entry.objects
                good = free or expected(rules_of(everybody[who]), sessions.get(who), action, entry)
                usual = "reached" if entry.outcome == "open" else entry.outcome
                wanted = usual if good else "refused"
                found = await outcome(house, who, door, name, entry)
                counted[found] += 1
                if found != wanted:
                    wrong.append(f"{door} {name} as {who}: {found}, not {wanted}")
        assert wrong == []
        assert all(count > 100 for count in counted.values()), counted

    play_house(db.sqlite_url(tmp_path / "pierhead.db"), tmp_path, scene, stubs=True)


def change(tx: Any, name: str, text: str) -> None:
    """Let a policy say something else."""
    kept = policies.versions(tx, name)
    for old in kept[:-1]:
        policies.remove_version(tx, name, int(old.id[1:]))
    policies.add_version(tx, name, text, 0.0, default=True)


def test_the_matrix_is_complete(tmp_path: Path) -> None:
    """Law: an operation without an entry in the matrix fails (F28)."""

    async def scene(house: House) -> None:
        named = [name for names in EAS_TABLE.values() for name in names.split()]
        assert sorted(named) == sorted(eas_catalog.load().by_id)
        assert len(named) == 108
        t = Things("0" * 32, "m", "t", "d", "c", "z", "p", "g")
        assert sorted(zstack_entries(house, t)) == sorted(zstack_catalog.load().apis)
        assert len(zstack_catalog.load().apis) == 74

    play_house(db.sqlite_url(tmp_path / "pierhead.db"), tmp_path, scene, stubs=True)


def test_the_twins_are_those_of_the_catalog() -> None:
    known = {
        (f"zstack:{api.name}", api.twin) for api in zstack_catalog.load().apis.values() if api.twin
    }
    assert all(any({one, other} <= same for same in TWINS) for one, other in known)
    assert {name for pair in known for name in pair} == {name for same in TWINS for name in same}


@pytest.mark.parametrize("kind", QUERIES)
def test_every_kind_in_lists_has_its_question(kind: str) -> None:
    name = QUERIES[kind].removeprefix("zstack:")  # pyright: ignore[reportArgumentType]
    assert zstack_catalog.load().apis[name].resource == kind
