"""Our own operations about the machine, its cache, storage, settings and the whole: over the wire."""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import pytest
from ram_world import KEY, World, as_key, serving

from builders import T0, a_replica, a_service, a_template, a_version
from made_database import made_sqlite
from pierhead import __version__
from pierhead.bootstrap import planning
from pierhead.bootstrap.looking import showing
from pierhead.cli.client import Access, HubRefused, Json
from pierhead.cli.ram_client import NATIVE, RamClient
from pierhead.core import audit
from pierhead.core.connections import Keys
from pierhead.core.errors import Unavailable
from pierhead.core.manifest import Entry, Manifest
from pierhead.core.mounts import OssSource
from pierhead.core.principals import AccessKey
from pierhead.core.replicas import Accelerator, Exit, Node, ReplicaState, ReplicaStatus, RuntimeInfo
from pierhead.core.resources import GIB, Resources
from pierhead.core.services import Hold, Seen, Service, Wanted
from pierhead.dialects.ram.catalog import load
from pierhead.operations import connections
from pierhead.runtimes.fake import FakeRuntime
from pierhead.settings import Settings
from pierhead.store import seen as seen_rows
from pierhead.store import services as rows

GPU = Accelerator("u", "s", "NVIDIA", "H100", 80 * GIB, id="GPU-1", memory_free=30 * GIB)
BUCKET = {
    "Kind": "oss", "Bucket": "models", "Endpoint": "https://oss.example.com",
    "StorageRegion": "cn-shanghai",
}  # fmt: skip
SECRET = "the-secret-of-the-bucket"


class Machine(FakeRuntime):
    """A double of a machine with one GPU."""

    replicas: tuple[ReplicaStatus, ...] = ()
    probes = 0

    async def probe(self) -> RuntimeInfo:
        self.probes += 1
        node = Node("box", 8, 64 * GIB, 40 * GIB, 1, "X86_64", (GPU,))
        return RuntimeInfo("process", (node,), "cgroups", ("No swap.",))

    def observe(self, service: str | None = None) -> list[ReplicaStatus]:
        return [one for one in self.replicas if service in {None, one.service}]


@dataclass
class Hub:
    """A platform behind a port, on a machine."""

    world: World
    folder: Path

    def __post_init__(self) -> None:
        self.machine = Machine(self.world.clock)
        self.settings = Settings(
            data_dir=self.folder / "data",
            cache_dir=self.folder / "cache",
            database_url="postgresql+psycopg://me:hidden-password@db.example.com/p",
        )
        platform = replace(self.world.platform, runtime=self.machine)
        self.world.platform = showing(platform, replace(self.settings, database_url=""))
        told = replace(self.world.platform.premises, settings=self.settings.explain)
        self.world.platform = replace(self.world.platform, premises=told)

    def client(self, key: AccessKey = KEY) -> RamClient:
        return RamClient(Access(f"http://{self.world.address}", "local", key))

    def user(self, name: str, *actions: str, on: Any = "*") -> RamClient:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": on}
        return self.client(as_key(self.world.user(name, *((statement,) if actions else ()))))

    def service(self, name: str, seen: Seen | None = None, **fields: Any) -> Service:
        made = a_service(name=name, **fields)
        asyncio.run(self.world.db.write(rows.add, made))
        if seen is not None:
            asyncio.run(self.world.db.write(seen_rows.save, made.id, seen))
        return made

    def snapshot(self, origin: str, name: str, content: bytes, *users: str) -> Path:
        """One in the cache, whole, as the platform leaves it."""
        folder = self.settings.cache_dir / "remote" / origin / "0123"
        (folder / "files").mkdir(parents=True)
        (folder / "users").mkdir()
        (folder / "files" / "model.gguf").write_bytes(content)
        manifest = Manifest([Entry("model.gguf", len(content))]).rows()
        (folder / "about.json").write_text(json.dumps({"name": name, "manifest": manifest}))
        (folder / "READY").write_text("{}")
        for user in users:
            (folder / "users" / user.replace("/", "%2F").replace(":", "%3A")).touch()
        return folder


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    url = made_sqlite(tmp_path / "pierhead.db")
    found = Hub(World(url), tmp_path)
    with serving(found.world):
        yield found


def refused(client: RamClient, action: str, **parameters: str) -> str:
    with pytest.raises(HubRefused) as caught:
        client.own(action, **parameters)
    return caught.value.code


# ---- machines --------------------------------------------------------------------------------------


def test_a_machine_with_who_holds_what(hub: Hub) -> None:
    sized = a_version(template=a_template(resources=Resources(cpu=2, memory=4 * GIB, gpu=1)))
    mine, yours = (hub.service(name, current=sized) for name in ("svc_mine", "svc_yours"))
    hub.machine.replicas = tuple(
        a_replica(id=f"{one.name}-1", service=one.id, node="box", devices=("GPU-1",))
        for one in (mine, yours)
    )
    found = hub.client().own("ListNodes")
    (node,) = found["Nodes"]["Node"]
    assert (node["NodeName"], node["Cpu"], node["Memory"]) == ("box", 8, 64 * GIB)
    assert node["MemoryFree"] == 40 * GIB
    assert node["Reserved"] == {"Cpu": 4, "Memory": 8 * GIB, "Gpus": 2, "Replicas": 2}
    (gpu,) = node["Accelerators"]["Accelerator"]
    assert (gpu["Model"], gpu["Memory"], gpu["MemoryUsed"]) == ("H100", 80 * GIB, 50 * GIB)
    assert [one["ServiceName"] for one in gpu["Holders"]["Holder"]] == ["svc_mine", "svc_yours"]
    assert found["Warnings"]["Warning"] == ["No swap."]
    assert found["Cache"]["DiskTotal"] > found["Cache"]["DiskFree"] > 0
    before = hub.machine.probes
    hub.client().own("ListNodes")
    assert hub.machine.probes == before, "the driver is not asked at every call"

    on = ["acs:pierhead:*:*:node/*", "acs:eas:*:*:service/svc_mine"]
    part = hub.user("part", "pierhead:ListNodes", "eas:ListServices", on=on)
    (gpu,) = part.own("ListNodes")["Nodes"]["Node"][0]["Accelerators"]["Accelerator"]
    assert gpu["Holders"]["Holder"] == [
        {"InstanceName": "svc_mine-1", "ServiceName": "svc_mine"},
        {"InstanceName": "", "ServiceName": ""},
    ]


# ---- the whole -------------------------------------------------------------------------------------


def test_an_overview_says_what_needs_attention_and_what_to_do(hub: Hub) -> None:
    ready = Seen(revision=1, settled=1, replicas=(a_replica(service=a_service(name="svc_ok").id),))
    hub.service("svc_ok", ready)
    gone = Exit(at=time.time(), code=137, oom=True)
    crashed = a_replica(
        id="bad-1", state=ReplicaState.CRASHED, failures=4, reason="OutOfMemory", last_exit=gone,
        message="The kernel killed it: out of memory.",
    )  # fmt: skip
    hub.service("svc_bad", Seen(revision=1, replicas=(crashed,)), updated=T0 + 5)
    fetch = Hold("FetchingWeights", "1 of 2 GiB are here.", progressing=True)
    hub.service("svc_coming", Seen(revision=1, since=time.time(), hold=fetch))
    hub.service("svc_asleep", Seen(revision=1, settled=1), replicas=0)
    hub.service("svc_off", Seen(revision=1, settled=1), wanted=Wanted.STOPPED)
    found = hub.client().own("GetOverview")
    counts = {one["Name"]: one["Count"] for one in found["Services"]["ByStatus"]["Status"]}
    assert counts == {"Failed": 1, "Running": 2, "Stopped": 1, "Creating": 1}
    assert (found["Services"]["Total"], found["TroubleCount"]) == (5, 1)
    (trouble,) = found["Troubles"]["Trouble"]
    assert (trouble["ServiceName"], trouble["Status"]) == ("svc_bad", "Failed")
    assert all(trouble[name].endswith(".") for name in ("Error", "Cause", "Advice"))
    assert found["Capacity"]["Memory"] == 64 * GIB and found["Capacity"]["Gpus"] == 1
    assert found["Versions"]["Pierhead"] == __version__

    chinese = hub.client().own("GetOverview", Language="zh-TW")["Troubles"]["Trouble"][0]
    assert chinese["Reason"] == trouble["Reason"] and "。" in chinese["Advice"]
    assert refused(hub.client(), "GetOverview", Language="fr") == "InvalidParameter.Language"
    on = "acs:eas:*:*:service/svc_ok"
    part = hub.user("part", "eas:DescribeService", on=on).own("GetOverview")
    assert (part["Services"]["Total"], part["TroubleCount"]) == (1, 0)


# ---- settings --------------------------------------------------------------------------------------


def test_settings_are_shown_and_their_secrets_are_not(hub: Hub) -> None:
    found = hub.client().own("ListSettings")["Settings"]["Setting"]
    by_name = {one["Name"]: one for one in found}
    assert by_name["series.hours"]["Value"] == "24" and by_name["series.hours"]["Meaning"]
    assert "db.example.com" in by_name["database_url"]["Value"]
    assert "hidden-password" not in json.dumps(found)


# ---- the cache -------------------------------------------------------------------------------------


def test_what_nobody_needs_can_be_pruned(hub: Hub) -> None:
    source = OssSource("models", "chat/")
    hub.service("svc_chat", current=a_version(source=source))
    hub.snapshot("0" * 16, str(source), b"x" * 5000, str(source))
    idle = hub.snapshot("1" * 16, "oss://models/old/", b"y" * 7000, "oss://models/old/")
    root = hub.client()
    found = root.own("ListCacheEntries")
    by_source = {one["Source"]: one for one in found["Entries"]["Entry"]}
    assert found["Bytes"] == 12000
    used, unused = by_source[str(source)], by_source["oss://models/old/"]
    assert (used["Services"], used["KeptFor"], used["State"]) == (
        ["svc_chat"],
        [str(source)],
        "whole",
    )
    assert (unused["Services"], unused["KeptFor"], unused["Bytes"]) == ([], [], 7000)
    assert root.own("PruneCache", DryRun="true")["Bytes"] == 7000
    assert idle.is_dir()
    assert root.own("PruneCache", Limit="20000")["Bytes"] == 0
    (gone,) = root.own("PruneCache")["Entries"]["Entry"]
    assert gone["Source"] == "oss://models/old/" and not idle.exists()
    assert [one["Source"] for one in root.own("ListCacheEntries")["Entries"]["Entry"]] == [
        str(source)
    ]


def test_where_the_weights_of_others_came_from_is_told_to_nobody(hub: Hub) -> None:
    mine, secret = OssSource("models", "chat/"), OssSource("models", "of-another-team/")
    hub.service("mine", current=a_version(source=mine))
    hub.service("theirs", current=a_version(source=secret))
    hub.snapshot("0" * 16, str(mine), b"x" * 5000, str(mine))
    hub.snapshot("1" * 16, str(secret), b"y" * 7000, str(secret))
    hub.snapshot("2" * 16, "oss://models/old/", b"z" * 9000, "oss://models/old/")
    own = {
        "Effect": "Allow",
        "Action": ["pierhead:ListCacheEntries", "pierhead:PruneCache"],
        "Resource": "*",
    }
    eas = {"Effect": "Allow", "Action": "eas:*", "Resource": "acs:eas:*:*:service/mine"}
    user = hub.client(as_key(hub.world.user("member", own, eas)))
    found = user.own("ListCacheEntries")
    assert found["Bytes"] == 21000  # how full the disk is, everybody may know
    told = {
        one["Bytes"]: (one["Source"], one["KeptFor"], one["Services"])
        for one in found["Entries"]["Entry"]
    }
    assert told == {
        5000: (str(mine), [str(mine)], ["mine"]),
        7000: ("", [], []),
        9000: ("", [], []),
    }
    (gone,) = user.own("PruneCache", DryRun="true")["Entries"]["Entry"]
    assert (gone["Source"], gone["Bytes"]) == ("", 9000)
    overseer = hub.user("overseer", "pierhead:*", "eas:*")
    sources = {one["Source"] for one in overseer.own("ListCacheEntries")["Entries"]["Entry"]}
    assert sources == {str(mine), str(secret), "oss://models/old/"}


# ---- storage connections ---------------------------------------------------------------------------


def test_a_connection_from_its_beginning_to_its_end(hub: Hub) -> None:
    root = hub.client()
    given = {**BUCKET, "StorageAccessKeyId": "LTAI", "AccessKeySecret": SECRET}
    hub.world.acts.clear()
    made = root.own("CreateStorageConnection", ConnectionName="models", **given)
    shown = made["StorageConnection"]
    assert (shown["Serves"], shown["Services"], shown["ServiceCount"]) == ("oss://models", [], 0)
    assert root.own("GetStorageConnection", ConnectionName="models")["StorageConnection"] == shown
    listed = root.own("ListStorageConnections")["StorageConnections"]["StorageConnection"]
    assert listed == [shown]
    entries = [audit.entry(act, who, source, T0) for act, who, source in hub.world.acts]
    assert SECRET not in json.dumps([made, listed, [one.detail for one in entries]])
    account = asyncio.run(
        hub.world.db.read(lambda tx: connections.opener(tx, hub.world.platform.box, "models"))
    )
    assert account.keys == Keys(SECRET)  # what is kept opens it

    assert (
        refused(root, "CreateStorageConnection", ConnectionName="models", **given)
        == "EntityAlreadyExists.StorageConnection"
    )
    hub.service("svc_chat", current=a_version(source=OssSource("models", "chat/")))
    again = root.own("GetStorageConnection", ConnectionName="models")["StorageConnection"]
    assert again["Services"] == ["svc_chat"]
    code = refused(root, "DeleteStorageConnection", ConnectionName="models")
    assert code == "DeleteConflict.StorageConnection.Service"
    root.own("DeleteStorageConnection", ConnectionName="models", Force="true")
    for action in ("GetStorageConnection", "DeleteStorageConnection"):
        code = refused(root, action, ConnectionName="models")
        assert code == "EntityNotExist.StorageConnection"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"Kind": "ftp"}, "InvalidParameter.Kind"),
        ({"Bucket": ""}, "InvalidParameter"),
        ({"Endpoint": "file:///etc"}, "InvalidParameter"),
        ({"AccessKeySecret": "x" * 5000, "StorageAccessKeyId": "a"}, "InvalidParameter"),
        ({"StorageAccessKeyId": "without-a-secret"}, "InvalidParameter"),
        ({"Workspaces": "a b"}, "InvalidParameter"),
    ],
)
def test_connections_that_are_none(hub: Hub, wrong: Mapping[str, str], code: str) -> None:
    given = {**BUCKET, **wrong}
    assert refused(hub.client(), "CreateStorageConnection", ConnectionName="c", **given) == code


def test_only_the_account_leads_a_connection_into_this_machine(hub: Hub) -> None:
    """Law: who may keep connections may not thereby read the hub's own files and network."""
    user = hub.user("user", "pierhead:*")
    nas = {"Kind": "nas", "MountTarget": "nas.example.com", "LocalPath": "/"}
    private = {**BUCKET, "AllowPrivate": "true"}
    export = {"Kind": "nas", "MountTarget": "nas.example.com", "Nfs": "127.0.0.1:/"}
    for given in (nas, private, export):
        assert refused(user, "CreateStorageConnection", ConnectionName="c", **given) == (
            "NoPermission"
        )
        hub.client().own("CreateStorageConnection", ConnectionName="c", **given)
        user.own("DeleteStorageConnection", ConnectionName="c")
    user.own("CreateStorageConnection", ConnectionName="c", **BUCKET)


# ---- would it fit ----------------------------------------------------------------------------------


def fit(client: RamClient, document: Json, **more: str) -> Json:
    return client.own("CheckServiceFit", ServiceDocument=json.dumps(document), **more)["Fit"]


def test_a_model_that_fits_and_one_that_does_not(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = Node("tiny", 2, 4 * GIB, 3 * GIB, 0, "X86_64")
    monkeypatch.setattr(planning, "this_machine", lambda: tiny)
    root = hub.client()
    small = fit(root, {"ServiceSpec": "smollm2_135m_q4"})
    assert small["Fits"] is True and small["Reason"] == ""
    assert 0 < small["Needed"] <= small["Free"] <= small["Total"]
    assert small["Needed"] == sum(
        small[name] for name in ("Weights", "KvCache", "Compute", "Overhead")
    )
    assert small["LargestContext"] and small["MostSlots"]
    huge = fit(root, {"ServiceSpec": "llama_13b_fp16"})
    assert (huge["Fits"], huge["Reason"]) == (False, "ModelDoesNotFit")
    assert huge["Needed"] > 20 * GIB and huge["Total"] == 4 * GIB and huge["ReplicasNow"] == 0


def test_far_weights_keep_nobody_from_the_cache(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as may look at weights at once wait for a store that does not answer."""
    waiting, gate = Semaphore(0), Event()

    def silent(*_: object) -> None:
        waiting.release()
        gate.wait(60)
        raise Unavailable("The endpoint", "it does not answer any more")

    monkeypatch.setattr(planning, "answer", silent)
    document = json.dumps({"ServiceSpec": "smollm2_135m_q4"})
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(refused, hub.client(), "CheckServiceFit", ServiceDocument=document)
            for _ in range(4)
        ]
        try:
            assert all(waiting.acquire(timeout=60) for _ in asked)
            assert "Entries" in hub.client().own("ListCacheEntries")
            one_more = refused(hub.client(), "CheckServiceFit", ServiceDocument=document)
        finally:
            gate.set()
    assert {one_more, *(one.result() for one in asked)} == {"ServiceUnavailable"}


def test_a_document_that_is_none_is_told_so(hub: Hub) -> None:
    root = hub.client()
    assert refused(root, "CheckServiceFit") == "MissingServiceDocument"
    for text in ("{", "[]", '{"ServiceSpec": "none_such"}', '{"ServiceSpec": 7}'):
        assert refused(root, "CheckServiceFit", ServiceDocument=text) == "InvalidParameter", text


def test_nobody_looks_over_a_connection_that_serves_others(hub: Hub) -> None:
    """Law: what a service may not be made of, nobody finds out about by asking whether it fits."""
    hub.client().own(
        "CreateStorageConnection", ConnectionName="models", Workspaces="theirs", **BUCKET
    )
    hub.client().own("CreateWorkspace", WorkspaceId="theirs")
    user = hub.user("user", "eas:CreateService", on="acs:eas:*:*:service/nothing")
    mounted = {
        "metadata": {"name": "svc", "instance": 1},
        "storage": [{"mount_path": "/m", "oss": {"path": "oss://models/x/", "endpoint": "e"}}],
        "containers": [{"script": "vllm serve /m"}],
    }
    maker = hub.user("maker", "eas:CreateService")
    assert fit(maker, {"ServiceSpec": "llama_7b_fp16"})["Fits"] is not None
    assert refused(user, "CheckServiceFit", ServiceDocument=json.dumps(mounted)) == "NoPermission"
    code = refused(maker, "CheckServiceFit", ServiceDocument=json.dumps(mounted))
    assert code == "InvalidParameter"


# ---- who may what ----------------------------------------------------------------------------------

CALLS: Mapping[str, Mapping[str, str]] = {
    "GetServiceSeries": {"ServiceName": "svc_chat"},
    "GetOverview": {},
    "ListNodes": {},
    "CheckServiceFit": {"ServiceDocument": '{"ServiceSpec": "smollm2_135m_q4"}'},
    "CreateStorageConnection": {"ConnectionName": "new", **BUCKET},
    "GetStorageConnection": {"ConnectionName": "models"},
    "ListStorageConnections": {},
    "DeleteStorageConnection": {"ConnectionName": "new"},
    "ListCacheEntries": {},
    "PruneCache": {},
    "ListSettings": {},
}
READ = {name for name in CALLS if name.startswith(("Get", "List"))}
MAY: Mapping[str, set[str]] = {
    "root": set(CALLS),
    "nobody": set(),
    "reads": READ,
    "full": set(CALLS),
    "eas-reads": {"GetServiceSeries", "GetOverview"},
    "eas-makes": {"CheckServiceFit"},
    "other": set(),
}


def test_the_matrix(hub: Hub) -> None:
    """Law: what is let through is what policies say, for every operation and every principal (F28)."""
    hub.service("svc_chat")
    root = hub.client()
    root.own("CreateStorageConnection", ConnectionName="models", **BUCKET)
    people = {
        "root": root,
        "nobody": hub.user("nobody"),
        "reads": hub.user("reads", "pierhead:Get*", "pierhead:List*"),
        "full": hub.user("full", "*"),
        "eas-reads": hub.user("eas-reads", "eas:Describe*", "eas:List*"),
        "eas-makes": hub.user("eas-makes", "eas:CreateService"),
        "other": hub.user("other", "ram:*", "zstack:CreateZone", "pierhead:ListQuotas"),
    }
    wrong: list[str] = []
    for name, parameters in CALLS.items():
        for who, client in people.items():
            for action, there in (("Delete", "new"), ("Create", "new")):
                wanted = name == f"{action}StorageConnection"
                before = "Create" if action == "Delete" else "Delete"
                if wanted:
                    _whatever(root, f"{before}StorageConnection", there)
            try:
                client.own(name, **parameters)
                code = "OK"
            except HubRefused as refusal:
                code = refusal.code
            if code != ("OK" if name in MAY[who] else "NoPermission"):
                wrong.append(f"{name} as {who}: {code}")
    assert wrong == []


def _whatever(root: RamClient, action: str, name: str) -> None:
    given = BUCKET if action.startswith("Create") else {}
    try:
        root.own(action, ConnectionName=name, **given)
    except HubRefused as refusal:
        assert refusal.status in {404, 409}


def test_the_matrix_is_complete() -> None:
    """Law: an operation of our own without an entry in a matrix fails (F28)."""
    elsewhere = ("quota/", "workspace/")  # test_native_api.py
    theirs = {  # test_attempts, test_export, test_token_api, test_traffic_api
        "ListServiceAttempts", "ListServiceTraffic", "ListServiceTokens", "GetServiceToken",
        "AddServiceToken", "RotateServiceToken", "UpdateServiceToken", "RevokeServiceToken",
        "GetServiceUsage", "ExportService", "ExportServiceSecrets",
    }  # fmt: skip
    own = {
        name
        for (version, name), one in load().operations.items()
        if version == NATIVE and not "".join(one.resources).startswith(elsewhere)
    }
    assert own - theirs == set(CALLS)
    assert {one.action for one in load().operations.values() if one.id in CALLS} == {
        f"pierhead:{name}" for name in CALLS
    }
