"""Every API of tiers 1 and 2 through its handler, over a real database: what it answers and does."""

import asyncio
import hashlib
import shutil
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from admin_hash import put_known_admin
from sqlalchemy import Connection

from builders import ACCOUNT, BOX, ROOT, T0, FakeClock, FakeEntropy, a_replica
from pierhead.core.errors import InUse, Invalid, Missing, NotFound, Unavailable, Unsupported
from pierhead.core.jobs import Job
from pierhead.core.principals import Principal
from pierhead.core.replicas import Accelerator, Node
from pierhead.core.resources import GIB
from pierhead.core.services import Seen
from pierhead.core.specs import BUILT_IN
from pierhead.dialects.zstack import query_language, reading
from pierhead.dialects.zstack.calls import Call, Handler, Options
from pierhead.dialects.zstack.catalog import load
from pierhead.dialects.zstack.handlers import recovered, table
from pierhead.dialects.zstack.handlers.identity import Identity
from pierhead.dialects.zstack.reading import Given
from pierhead.operations import first_start
from pierhead.operations.accounts import ADMIN_UUID, Hashing
from pierhead.operations.first_start import Home
from pierhead.operations.logins import Logins
from pierhead.operations.platform import Platform
from pierhead.runtimes.fake import FakeRuntime
from pierhead.store import db, schema, services, templates
from pierhead.store import events as event_rows
from pierhead.store import seen as seen_rows
from pierhead.store.db import Database
from pierhead.store.events import EventQuery
from zstack_inventories import INVENTORIES, check

APIS = {name: api for name, api in load().apis.items() if api.tier < 3 and name != "GetApiJob"}
GPU = Accelerator("GPU-1", "5" * 32, "NVIDIA", "NVIDIA H100", 80 * GIB, "9.0", "0000:01:00.0", "77")
NODE = Node("n1", 8, 16 * GIB, 16 * GIB, 1, "X86_64", (GPU,))
OTHER = Principal(account=ACCOUNT, id="role/other", kind="assumed-role")
PASSWORD = "correct horse"
HASH = hashlib.sha512(PASSWORD.encode()).hexdigest()

Answer = dict[str, Any]


class Stage:
    """A platform on a fresh SQLite file after its first start, and its handlers."""

    def __init__(self, file: Path) -> None:
        self.clock, self.db = FakeClock(), Database(db.sqlite_url(file), box=BOX)
        self.hashing, self.runtime = Hashing(), FakeRuntime(self.clock)
        self.platform = Platform(
            db=self.db,
            runtime=self.runtime,
            templates=BUILT_IN,
            wake=lambda _service: None,
            clock=self.clock,
            entropy=FakeEntropy(),
            account=ACCOUNT,
            region="local",
            gateway="http://gw:8090",
            box=BOX,
            hub="http://hub:8080",
            nodes=(NODE,),
        )
        logins = Logins(self.platform, self.hashing)
        identity = Identity(self.platform, logins)
        self.handlers: Mapping[str, Handler] = table(self.platform, identity, Options())
        self.committed: list[str] = []

    async def start(self, folder: Path) -> None:
        await first_start.ensure(self.platform, Home(str(folder), 8080))
        await put_known_admin(self.platform, PASSWORD)

    async def ask(
        self, name: str, params: Answer | None = None, *, who: Principal = ROOT, **query: Any
    ) -> Answer:
        """The handler's answer to parameters as a client sends them in an RPC message."""
        api = APIS[name]
        given = Given(body={**(params or {}), **query})
        values = reading.read(api, given)
        question = query_language.of_rpc(api, given.body) if api.query else None
        call = Call(
            api,
            values.params,
            who,
            question,
            values.extras,
            also=self._also,
            no_effect=values.no_effect,
        )
        self.clock.advance(1)
        return await self.handlers[name](call)

    async def one(self, name: str, params: Answer, **more: Any) -> Answer:
        """The inventory of an answer."""
        return (await self.ask(name, params, **more))["inventory"]

    async def rows(self, name: str, *conditions: str, **more: Any) -> list[Answer]:
        """The inventories that fit conditions such as `name=x`."""
        asked = [query_language.condition(text) for text in conditions]
        listed = [{"name": each.field, "op": each.op, "value": each.value} for each in asked]
        return (await self.ask(name, conditions=listed, **more))["inventories"]

    async def show(self, service: str, seen: Seen) -> None:
        """Let the reconciler have seen this."""
        await self.db.write(seen_rows.save, service, seen)

    def _also(self, _tx: Connection, uuid: str) -> None:
        self.committed.append(uuid)

    def close(self) -> None:
        self.db.close()
        self.hashing.close()


@dataclass
class World:
    """A stage on which one of everything is there."""

    stage: Stage
    zone: str = ""
    center: str = ""
    model: str = ""
    template: str = ""
    dataset: str = ""
    group: str = ""
    pattern: str = ""
    system_tag: str = ""
    user_tag: str = ""
    key: str = ""
    login: str = ""


async def a_world(stage: Stage) -> World:
    made = World(stage)
    made.zone = (await stage.rows("QueryZone"))[0]["uuid"]
    made.center = (await stage.rows("QueryModelCenter"))[0]["uuid"]
    made.template = (await stage.one("AddModelService", a_template(made)))["uuid"]
    made.model = (
        await stage.one(
            "AddModel",
            {
                "name": "weights",
                "installPath": "weights",
                "modelCenterUuid": made.center,
                "modelServiceUuids": [made.template],
            },
        )
    )["uuid"]
    made.dataset = (await stage.one("CreateDataset", a_dataset(made)))["uuid"]
    made.group = (await stage.one("DeployModelService", a_deploy(made)))["uuid"]
    made.pattern = (await stage.one("CreateTag", {"name": "team", "value": "team::red"}))["uuid"]
    made.system_tag = (
        await stage.one("CreateSystemTag", a_tag(made, "ModelVO", made.model, "my::own"))
    )["uuid"]
    made.user_tag = (await stage.one("CreateUserTag", a_tag(made, "ModelVO", made.model, "t")))[
        "uuid"
    ]
    made.key = (await stage.one("CreateAccessKey", a_key(made)))["uuid"]
    made.login = (await stage.one("LogInByAccount", a_login(made)))["uuid"]
    return made


def a_template(w: World) -> Answer:
    return {
        "name": "chat",
        "yaml": "services: [{ports: [3000], name: 'chat:1.2.0'}]",
        "modelCenterUuid": w.center,
        "requestCpu": 1,
        "requestMemory": 1024,
        "installPath": "chat",
        "startCommand": "python3 app.py",
        "architectureImages": [{"cpuArchitecture": "amd64", "dockerImage": "repo/chat:1"}],
    }


def a_dataset(w: World) -> Answer:
    return {"name": "corpus", "url": "file:///data/corpus", "modelCenterUuid": w.center}


def a_deploy(w: World) -> Answer:
    return {"uuid": w.template, "zoneUuid": w.zone, "name": "chat_one", "type": "Container"}


def a_tag(_w: World, kind: str, resource: str, text: str) -> Answer:
    return {"resourceType": kind, "resourceUuid": resource, "tag": text}


def a_key(_w: World) -> Answer:
    return {"accountUuid": ADMIN_UUID, "userUuid": ADMIN_UUID}


def a_login(_w: World) -> Answer:
    return {"accountName": "admin", "password": HASH}


def a_center(_w: World) -> Answer:
    return {"name": "c", "url": "10.0.0.1:/m", "managementIp": "10.0.0.1", "managementPort": 80}


def uuid_of(kind: str) -> Callable[[World], Answer]:
    return lambda w: {"uuid": getattr(w, kind)}


def pair(w: World) -> Answer:
    return {"modelUuid": w.model, "modelServiceUuid": w.template}


#: API -> the least that a client must send. An API without an entry fails the test.
LEAST: dict[str, Callable[[World], Answer]] = {
    "AddModel": lambda w: {"name": "m", "installPath": "m", "modelCenterUuid": w.center},
    "AddModelCenter": a_center,
    "AddModelService": a_template,
    "BindModelToService": pair,
    "UnbindModelFromService": pair,
    "CloneModelService": uuid_of("template"),
    "CreateDataset": a_dataset,
    "DeleteDataset": uuid_of("dataset"),
    "DeleteModel": lambda w: {"uuid": w.model, "deleteMode": "Enforcing"},
    "DeleteModelCenter": lambda w: {"uuid": w.center, "deleteMode": "Enforcing"},
    "DeleteModelService": lambda w: {"uuid": w.template, "deleteMode": "enforcing"},
    "DeleteModelServiceInstanceGroup": uuid_of("group"),
    "DeleteModelServiceInstanceGroups": lambda w: {"uuids": [w.group, "f" * 32]},
    "DeleteModelServices": lambda w: {"uuids": [w.template], "deleteMode": "Enforcing"},
    "DeleteModels": lambda w: {"uuids": [w.model], "deleteMode": "Enforcing"},
    "DeployDistributedModelService": lambda w: {
        "modelServices": [a_deploy(w), a_deploy(w)],
        "serviceCreationStrategy": "parallel",
        "name": "d",
    },
    "DeployModelService": a_deploy,
    "GenerateModelMetadata": lambda w: {"modelCenterUuid": w.center},
    "MatchModelServiceTemplateWithModel": lambda w: {
        "modelUuids": [w.model],
        "modelServiceUuids": [w.template],
        "instanceNumber": 1,
        "zoneUuid": w.zone,
        "name": "x",
        "type": "Container",
    },
    "RestartModelServiceGroups": lambda w: {"uuids": [w.group]},
    "UpdateDataset": uuid_of("dataset"),
    "UpdateModel": uuid_of("model"),
    "UpdateModelCenter": uuid_of("center"),
    "UpdateModelService": uuid_of("template"),
    "UpdateModelServiceInstanceGroup": uuid_of("group"),
    "LogInByAccount": a_login,
    "LogInByUser": lambda _w: {"accountName": "admin", "userName": "nobody", "password": HASH},
    "LogOut": lambda w: {"sessionUuid": w.login},
    "ValidateSession": lambda w: {"sessionUuid": w.login},
    "RenewSession": lambda w: {"sessionUuid": w.login},
    "CreateAccessKey": a_key,
    "DeleteAccessKey": uuid_of("key"),
    "ChangeAccessKeyState": lambda w: {"uuid": w.key, "stateEvent": "disable"},
    "CreateZone": lambda _w: {"name": "z"},
    "CreateSystemTag": lambda w: a_tag(w, "DatasetVO", w.dataset, "a::b"),
    "UpdateSystemTag": lambda w: {"uuid": w.system_tag, "tag": "my::other"},
    "CreateUserTag": lambda w: a_tag(w, "DatasetVO", w.dataset, "blue"),
    "DeleteTag": uuid_of("user_tag"),
    "CreateTag": lambda _w: {"name": "n", "value": "v"},
    "UpdateTag": uuid_of("pattern"),
    "AttachTagToResources": lambda w: {"tagUuid": w.pattern, "resourceUuids": [w.model, "f" * 32]},
    "DetachTagFromResources": lambda w: {"tagUuid": w.pattern, "resourceUuids": [w.model]},
    "GetResourceNames": lambda w: {"uuids": [w.model, w.group, "f" * 32]},
}
#: Those that refuse what is legal, and how.
REFUSING: dict[str, tuple[type[Exception], str]] = {
    "DeleteModelCenter": (Exception, "default"),
    "DeployDistributedModelService": (Invalid, "supportDistributed"),
    "LogInByUser": (Exception, "wrong"),
}


Scene = Callable[[World], Coroutine[Any, Any, None]]
Play = Callable[[Scene], None]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of today's schema; copied, never changed."""
    file = tmp_path_factory.mktemp("migrated") / "pierhead.db"
    schema.migrate(db.sqlite_url(file))
    return file


@pytest.fixture
def play(tmp_path: Path, migrated: Path) -> Play:
    """Plays a scene on a fresh world."""

    def run(scene: Scene) -> None:
        async def act() -> None:
            stage = Stage(shutil.copy(migrated, tmp_path))
            try:
                await stage.start(tmp_path)
                await scene(await a_world(stage))
            finally:
                stage.close()

        asyncio.run(act())

    return run


def test_there_is_a_handler_for_every_api_of_tiers_1_and_2_and_no_other(migrated: Path) -> None:
    stage = Stage(migrated)
    stage.close()
    assert set(stage.handlers) == set(APIS)


@pytest.mark.parametrize("name", sorted(APIS))
def test_every_api_answers_the_least_that_is_legal(name: str, play: Play) -> None:
    async def scene(w: World) -> None:
        least = {} if not any(p.required for p in APIS[name].params) else LEAST[name](w)
        before = len(w.stage.committed)
        if name in REFUSING:
            kind, words = REFUSING[name]
            with pytest.raises(kind, match=words):
                await w.stage.ask(name, least)
            return
        answer = await w.stage.ask(name, least)
        check_answer(name, answer)
        api = APIS[name]
        if not api.sync and name not in {"RenewSession", "MatchModelServiceTemplateWithModel"}:
            # What makes a job recoverable: the intent and its mark are written together.
            assert len(w.stage.committed) > before, "nothing was committed"

    play(scene)


def check_answer(name: str, answer: Answer) -> None:
    """The keys of the contract, and in them whole inventories."""
    api = APIS[name]
    assert set(answer) <= set(api.response) | {"total"}
    assert set(api.response) <= set(answer)
    for key, kind in api.response.items():
        inner = kind.removeprefix("List<").removesuffix(">")
        rows = answer[key] if kind.startswith("List") else [answer[key]]
        for row in rows if inner in INVENTORIES else ():
            check(inner, row)
    if api.query and name != "QueryModelService":
        assert isinstance(answer["inventories"], list)


# ---- what the answers say -----------------------------------------------------------------


def test_a_template_comes_back_as_it_went_in(play: Play) -> None:
    async def scene(w: World) -> None:
        made = await w.stage.one(
            "AddModelService",
            {
                **a_template(w),
                "modelUuids": [w.model],
                "resourceUuid": "0123456789ab4def8123456789abcdef",
                "tagUuids": [w.pattern],
                "systemTags": ["ai::k::v"],
                "userTags": ["mine"],
                "vendorToSpecUuidsMap": {"nvidia": ["s1"]},
                "framework": "vllm",
            },
        )
        assert made["uuid"] == "0123456789ab4def8123456789abcdef"
        assert (made["version"], made["framework"]) == ("1.2.0", "vLLM")
        assert made["vendorToSpecUuidsMap"] == {"NVIDIA": ["s1"]}
        assert made["cpuArchitectures"] == ["X86_64"]
        assert made["modelServiceImages"][0]["modelServiceUuid"] == made["uuid"]
        assert made["modelServiceRefs"][0]["modelUuid"] == w.model
        assert made["zoneUuid"] == w.zone
        [row] = await w.stage.rows("QueryModelService", f"uuid={made['uuid']}")
        assert row == made
        found = await w.stage.rows("QueryModelService", f"__tagUuid__={w.pattern}", fields="uuid")
        assert found == [{"uuid": made["uuid"]}]
        nested = await w.stage.rows("QueryModelService", f"modelServiceRefs.modelUuid={w.model}")
        assert {each["uuid"] for each in nested} == {made["uuid"], w.template}

    play(scene)


def test_the_shipped_templates_come_first_and_have_no_newer_version(play: Play) -> None:
    async def scene(w: World) -> None:
        rows = await w.stage.rows("QueryModelService")
        shipped = [row for row in rows if row["system"]]
        assert {row["name"] for row in shipped} == set(BUILT_IN)
        assert rows[: len(shipped)] == shipped
        assert not any(row["hasNewVersion"] for row in rows)

    play(scene)


def test_a_group_lives_through_deploy_query_update_restart_delete(play: Play) -> None:
    async def scene(w: World) -> None:
        stage = w.stage
        [group] = await stage.rows("QueryModelServiceInstanceGroup", f"uuid={w.group}")
        assert (group["status"], group["instances"]) == ("Deploying", [])
        assert (group["name"], group["modelServiceUuid"]) == ("chat_one", w.template)
        assert group["modelUuid"] == w.model
        assert group["businessEndpoint"] == "http://gw:8090/api/predict/chat_one"
        replica = a_replica(id="chat-one-aaaa", service=w.group)
        await stage.show(w.group, Seen(1, 1, T0, replicas=(replica,), served=True))
        found = await stage.rows("QueryModelServiceInstanceGroup", "instances.status=Running")
        assert [each["uuid"] for each in found] == [w.group]
        assert await stage.rows("QueryModelServiceInstanceGroup", "status=Error") == []
        changed = await stage.one(
            "UpdateModelServiceInstanceGroup",
            {"uuid": w.group, "name": "Chat!", "environmentVariables": {"A": "1"}},
        )
        assert (changed["name"], changed["serviceName"]) == ("Chat!", "chat_one")
        restarted = await stage.ask("RestartModelServiceGroups", {"uuids": [w.group, "f" * 32]})
        good, bad = restarted["results"]
        assert good == {"uuid": w.group, "success": True}
        assert stage.committed[-1] == w.group
        assert (bad["success"], bad["error"]["code"]) == (False, "SYS.1003")
        assert await stage.ask("DeleteModelServiceInstanceGroup", {"uuid": w.group}) == {}
        [group] = await stage.rows("QueryModelServiceInstanceGroup", f"uuid={w.group}")
        assert group["status"] == "Deleting"

    play(scene)


def test_groups_are_searched_sorted_and_cut_like_everything_else(play: Play) -> None:
    async def scene(w: World) -> None:
        stage = w.stage
        second = await stage.one(
            "DeployModelService",
            {**a_deploy(w), "name": "Zulu", "systemTags": ["ai::replicas::3"], "userTags": ["k=v"]},
        )
        assert (second["replicas"], second["name"]) == (3, "Zulu")
        ask = stage.ask
        answer = await ask("QueryModelServiceInstanceGroup", replyWithCount=True, limit=1)
        assert (answer["total"], [row["uuid"] for row in answer["inventories"]]) == (2, [w.group])
        answer = await ask("QueryModelServiceInstanceGroup", sortBy="name", sortDirection="desc")
        assert [row["name"] for row in answer["inventories"]] == ["chat_one", "Zulu"]
        answer = await ask("QueryModelServiceInstanceGroup", count=True)
        assert answer == {"total": 2}
        found = await stage.rows(
            "QueryModelServiceInstanceGroup", "__userTag__=k=v", fields="name,status"
        )
        assert found == [{"name": "Zulu", "status": "Deploying"}]
        found = await stage.rows("QueryModelServiceInstanceGroup", "name~=chat%", "replicas=1")
        assert [row["uuid"] for row in found] == [w.group]

    play(scene)


def test_others_see_their_own_groups_and_no_token_of_others(play: Play) -> None:
    async def scene(w: World) -> None:
        assert await w.stage.rows("QueryModelServiceInstanceGroup", who=OTHER) == []
        assert (
            await w.stage.rows("QueryModelServiceInstanceGroup", f"uuid={w.group}", who=OTHER) == []
        )
        [own] = await w.stage.rows("QueryModelServiceInstanceGroup")
        assert own["accessToken"]
        names = await w.stage.ask("GetResourceNames", {"uuids": [w.group, w.model]}, who=OTHER)
        assert names == {"inventories": []}

    play(scene)


def test_a_template_in_use_is_refused_naming_the_group_and_a_batch_goes_on(play: Play) -> None:
    async def scene(w: World) -> None:
        with pytest.raises(InUse, match="chat_one"):
            await w.stage.ask("DeleteModelService", {"uuid": w.template})
        answer = await w.stage.ask("DeleteModelServices", {"uuids": [w.template, "f" * 32]})
        used, missing = answer["results"]
        assert (used["success"], used["error"]["code"]) == (False, "SYS.1006")
        assert "chat_one" in used["error"]["details"]
        assert missing == {"uuid": "f" * 32, "success": True}
        await w.stage.ask("DeleteModelService", {"uuid": w.template, "deleteMode": "Enforcing"})
        [group] = await w.stage.rows("QueryModelServiceInstanceGroup")
        assert group["modelServiceUuid"] is None

    play(scene)


def test_gpus_of_the_nodes_are_listed_with_their_kinds(play: Play) -> None:
    async def scene(w: World) -> None:
        [spec] = await w.stage.rows("QueryPciDeviceSpec", "vendor=NVIDIA")
        assert (spec["uuid"], spec["ramSize"]) == (GPU.spec, "81920 MB")
        [device] = await w.stage.rows("QueryGpuDevice", f"pciSpecUuid={spec['uuid']}")
        assert (device["uuid"], device["memory"]) == (GPU.uuid, 80 * GIB)
        assert await w.stage.rows("QueryGpuDevice", "vendor=Intel") == []

    play(scene)


def test_the_platform_tells_of_itself(play: Play) -> None:
    async def scene(w: World) -> None:
        ask = w.stage.ask
        assert await ask("GetVersion") == {"version": "5.5.28"}
        node = (await ask("IsReadyToGo"))["managementNodeId"]
        assert len(node) == 32
        assert await ask("IsReadyToGo", {"managementNodeId": node}) == {"managementNodeId": node}
        with pytest.raises(Unavailable):
            await ask("IsReadyToGo", {"managementNodeId": "f" * 32})
        usages = {row["name"]: row["value"] for row in (await ask("GetMaaSUsage"))["usages"]}
        assert usages["modelCenters"] == usages["models"] == usages["datasets"] == 1
        assert usages["modelServices"] == 1 + len(BUILT_IN)
        assert (usages["modelServiceInstanceGroups"], usages["modelServiceInstances"]) == (1, 0)
        assert not {"requests", "tokens"} & set(usages)
        names = await ask("GetResourceNames", {"uuids": [w.group, "f" * 32, w.center]})
        assert [(row["resourceName"], row["resourceType"]) for row in names["inventories"]] == [
            ("chat_one", "ModelServiceInstanceGroupVO"),
            ("default", "ModelCenterVO"),
        ]

    play(scene)


def a_spread(w: World, template: str, **fields: Any) -> Answer:
    """Two nodes of a template."""
    node = {"uuid": template, "zoneUuid": w.zone, "name": "node", "type": "Container", **fields}
    parts = [{**node, "nodeRank": rank, "isInitialNode": rank == 0} for rank in range(2)]
    return {"modelServices": parts, "serviceCreationStrategy": "sequential", "name": "large"}


async def a_spanning(w: World) -> str:
    """A template of which replicas may be on several nodes."""
    served = {"framework": "vLLM", "startCommand": "", "supportDistributed": True}
    return (await w.stage.one("AddModelService", {**a_template(w), **served}))["uuid"]


def test_a_distributed_deploy_is_refused_for_the_right_reason(play: Play) -> None:
    async def scene(w: World) -> None:
        spanning = await a_spanning(w)

        async def deploy(template: str | None = spanning, **part: Any) -> None:
            asked = a_spread(w, template or "", **part)
            if template is None:
                asked["modelServices"][1].pop("uuid")
            await w.stage.ask("DeployDistributedModelService", asked)

        with pytest.raises(Unsupported, match="its replicas are doubles on one node"):
            await deploy()
        with pytest.raises(NotFound):
            await deploy("f" * 32)
        with pytest.raises(Missing, match="uuid"):
            await deploy(None)
        with pytest.raises(Invalid, match="tensorParallelSize"):
            await deploy(tensorParallelSize=0)
        groups = await w.stage.rows("QueryModelServiceInstanceGroup")
        assert [group["uuid"] for group in groups] == [w.group]

    play(scene)


def test_a_distributed_deploy_makes_one_group_with_the_nodes_of_each_replica(play: Play) -> None:
    async def scene(w: World) -> None:
        w.stage.runtime.faults.one_node = ""
        asked = a_spread(w, await a_spanning(w), tensorParallelSize=2, startupParameters={"q": ""})
        tagged = {**asked, "description": "both", "systemTags": ["ai::replicas::2"]}
        made = await w.stage.one("DeployDistributedModelService", tagged)
        check("ModelServiceInstanceGroupInventory", made)
        assert w.stage.committed[-1] == made["uuid"]
        assert (made["name"], made["description"], made["replicas"]) == ("large", "both", 2)
        pair = await w.stage.db.read(services.load, made["uuid"])
        assert pair is not None
        template = pair[0].current.template
        assert (template.nodes, template.in_turn, template.resources.gpu) == (2, True, 2)
        assert (template.engine, template.flags) == ("vllm", ("--q",))
        leader = a_replica(service=made["uuid"], id="large-0", members=("n2",), command=("vllm",))
        await w.stage.show(made["uuid"], Seen(revision=1, replicas=(leader,)))
        (group,) = await w.stage.rows("QueryModelServiceInstanceGroup", f"uuid={made['uuid']}")
        check("ModelServiceInstanceGroupInventory", group)
        first, second = group["instances"]
        ranks = [(one["name"], one["nodeRank"], one["status"]) for one in (first, second)]
        assert ranks == [("large-0", 0, "Running"), ("large-0-1", 1, "Running")]
        assert first["uuid"] != second["uuid"]
        assert (first["launchCommand"], second["launchCommand"]) == ("vllm", None)
        assert (first["internalUrl"] is None, second["internalUrl"]) == (False, None)
        assert group["readyReplicas"] == 1
        unplaced = replace(leader, members=("",))
        await w.stage.show(made["uuid"], Seen(revision=1, replicas=(unplaced,)))
        (group,) = await w.stage.rows("QueryModelServiceInstanceGroup", f"uuid={made['uuid']}")
        assert [one["status"] for one in group["instances"]] == ["Running", "Deploying"]

    play(scene)


@pytest.mark.parametrize(
    ("changes", "number", "fits"),
    [
        ({}, 1, True),
        ({}, 15, True),
        ({}, 17, False),  # 1 GiB each, the node has 16, and one is deployed already
        ({"requestMemory": 64 * GIB}, 1, False),
        ({"requestCpu": 64}, 1, False),
        ({"gpuComputeCapability": "8.0"}, 1, True),
        ({"gpuComputeCapability": "8.0"}, 2, False),
        ({"gpuComputeCapability": "99.0"}, 1, False),
        ({"vendorToSpecUuidsMap": {"NVIDIA": [GPU.spec]}}, 1, True),
        ({"vendorToSpecUuidsMap": {"Huawei": []}}, 1, False),
        ({"architectureImages": [{"cpuArchitecture": "arm64", "dockerImage": "x"}]}, 1, False),
        ({"modelUuids": []}, 1, True),
    ],
)
def test_templates_are_matched_against_models_machines_and_room(
    changes: Answer, number: int, fits: bool, play: Play
) -> None:
    async def scene(w: World) -> None:
        params = {**a_template(w), "modelUuids": [w.model], **changes}
        made = await w.stage.one("AddModelService", params)
        least = LEAST["MatchModelServiceTemplateWithModel"](w)
        wanted = {**least, "modelServiceUuids": [made["uuid"]], "instanceNumber": number}
        answer = await w.stage.ask("MatchModelServiceTemplateWithModel", wanted)
        assert [row["uuid"] for row in answer["inventories"]] == ([made["uuid"]] if fits else [])

    play(scene)


def test_a_template_that_serves_other_models_only_does_not_match(play: Play) -> None:
    async def scene(w: World) -> None:
        other = await w.stage.one(
            "AddModel", {"name": "o", "installPath": "o", "modelCenterUuid": w.center}
        )
        least = LEAST["MatchModelServiceTemplateWithModel"](w)
        wanted = {**least, "modelUuids": [w.model, other["uuid"]]}
        answer = await w.stage.ask("MatchModelServiceTemplateWithModel", wanted)
        assert answer == {"inventories": []}
        with pytest.raises(NotFound):
            await w.stage.ask(
                "MatchModelServiceTemplateWithModel", {**least, "modelUuids": ["f" * 32]}
            )

    play(scene)


def test_attached_tags_carry_their_pattern(play: Play) -> None:
    async def scene(w: World) -> None:
        given = {"tagUuid": w.pattern, "resourceUuids": [w.model, "f" * 32]}
        good, bad = (await w.stage.ask("AttachTagToResources", given))["results"]
        assert good["inventory"]["tag"] == "team::red"
        assert good["inventory"]["tagPattern"]["uuid"] == w.pattern
        assert (bad["success"], bad["inventory"], bad["error"]["code"]) == (False, None, "SYS.1003")
        rows = await w.stage.rows("QueryUserTag", f"tagPatternUuid={w.pattern}")
        assert [row["resourceUuid"] for row in rows] == [w.model]
        assert rows[0]["tagPattern"]["name"] == "team"
        await w.stage.ask("DeleteTag", {"uuid": w.pattern})
        assert await w.stage.rows("QueryTag") == []
        assert await w.stage.rows("QueryUserTag", f"tagPatternUuid={w.pattern}") == []

    play(scene)


def test_jobs_of_a_former_hub_are_answered_from_what_is_there(play: Play) -> None:
    async def scene(w: World) -> None:
        answer = recovered.answers(w.stage.handlers, ROOT)

        async def of(api: str, *objects: str) -> Mapping[str, Any]:
            return await answer(Job("j" * 32, api, ROOT.id, T0, T0, objects=objects))

        [row] = await w.stage.rows("QueryModel", f"uuid={w.model}")
        assert await of("AddModel", w.model) == {"inventory": row}
        deployed = (await of("DeployModelService", w.group))["inventory"]
        assert deployed["uuid"] == w.group
        assert await of("DeleteModel", w.model) == {}
        assert await of("DeleteModels", w.model) == {
            "results": [{"uuid": w.model, "success": True}]
        }
        assert await of("GenerateModelMetadata", w.center) == {"inventories": [row]}
        await w.stage.ask(
            "AttachTagToResources", {"tagUuid": w.pattern, "resourceUuids": [w.model]}
        )
        [result] = (await of("AttachTagToResources", w.pattern))["results"]
        assert result["inventory"]["resourceUuid"] == w.model

    play(scene)


def test_a_system_template_behind_the_shipped_one_says_so(play: Play) -> None:
    async def scene(w: World) -> None:
        shipped = (await w.stage.rows("QueryModelService", "system=true"))[0]
        newest = await w.stage.db.read(templates.load, shipped["uuid"])
        assert newest is not None
        newer = replace(newest, version="9.1.0")
        await w.stage.db.write(templates.change, newer)
        for version, expected in (("1.0.0", True), ("9.1.0", False)):
            own = {**a_template(w), "name": newer.name, "installPath": f"chat_{version}"}
            made = await w.stage.one("AddModelService", {**own, "system": True})
            assert (made["version"], made["hasNewVersion"]) == (version, expected)
            made = await w.stage.one("AddModelService", own)
            assert made["hasNewVersion"] is False

    play(scene)


def test_parameters_without_effect_are_told_in_the_deployments_events(play: Play) -> None:
    async def scene(w: World) -> None:
        given = {**a_deploy(w), "name": "second", "rootDiskSize": 5, "vmImageUuid": "v"}
        made = await w.stage.one("DeployModelService", given)
        found, _ = await w.stage.db.read(event_rows.page, EventQuery(service=made["uuid"]))
        told = [event.message for event in found if event.reason == "ParameterHasNoEffect"]
        assert {
            name for name in ("rootDiskSize", "vmImageUuid") for text in told if name in text
        } == {
            "rootDiskSize",
            "vmImageUuid",
        }

    play(scene)


def test_what_is_not_there_is_told_by_kind(play: Play) -> None:
    async def scene(w: World) -> None:
        for name in ("UpdateModel", "UpdateModelService", "UpdateModelServiceInstanceGroup"):
            with pytest.raises(NotFound) as caught:
                await w.stage.ask(name, {"uuid": "f" * 32, "name": "x"})
            assert caught.value.kind == APIS[name].resource

    play(scene)
