"""DeployDistributedModelService through the whole door, as REST and as RPC: made, refused, allowed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from permission_world import House, Said, Scene, allow, play_house, policy
from sqlalchemy import Connection, select

from pierhead.core import spans
from pierhead.core.ids import fixed_id
from pierhead.dialects.zstack import asking
from pierhead.operations import services
from pierhead.store import db
from pierhead.store import services as rows
from pierhead.store.services import ServiceQuery
from pierhead.store.tables import metadata

ZONE = fixed_id("zone", "local")
DEPLOY = ("zstack:DeployDistributedModelService", "eas:CreateService")

Send = Callable[[House, str, dict[str, Any]], Any]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Scene], None]:
    return lambda scene: play_house(db.sqlite_url(tmp_path / "pierhead.db"), tmp_path, scene)


async def by_rest(house: House, who: str, body: dict[str, Any]) -> Said:
    said = await house.rest(
        who, "PUT", "/ai/model-services", {"deployDistributedModelService": body}
    )
    while said.status == 202:
        job = said.body["location"].rpartition("/")[2]
        said = await house.rest(who, "GET", f"/api-jobs/{job}")
    return said


async def by_rpc(house: House, who: str, body: dict[str, Any]) -> Said:
    return await house.rpc(who, "DeployDistributedModelService", body)


BOTH = pytest.mark.parametrize("send", [by_rest, by_rpc])


async def template(house: House, **fields: Any) -> str:
    usual: dict[str, Any] = {"framework": "vLLM", "start_command": "", "support_distributed": True}
    return (await house.world.template(**usual | fields)).uuid


def asked(uuid: str, *nodes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    part = {"uuid": uuid, "zoneUuid": ZONE, "name": "node", "type": "Container"}
    parts = [{**part, "nodeRank": at, **node} for at, node in enumerate(nodes or ({}, {}))]
    whole = {"name": "large", "serviceCreationStrategy": "parallel", "modelServices": parts}
    return whole | fields


def counted(tx: Connection) -> dict[str, int]:
    """Rows of every table, but of calls themselves."""
    return {
        name: len(tx.execute(select(table)).all())
        for name, table in metadata.tables.items()
        if name != "api_jobs"
    }


@BOTH
def test_a_group_is_made_and_lives_as_any_other(play: Callable[[Scene], None], send: Send) -> None:
    async def scene(house: House) -> None:
        runtime: Any = house.platform.runtime
        runtime.faults.one_node = ""
        uuid = await template(house)
        body = asked(
            uuid, {"tensorParallelSize": 4, "isInitialNode": True}, {"tensorParallelSize": 4}
        )
        said = await send(house, "root", body)
        assert said.code == "OK", said.body
        group = said.body["inventory"]
        pair = await house.world.db.read(rows.load, group["uuid"])
        assert pair is not None
        made = pair[0].current.template
        assert (made.nodes, made.in_turn, made.resources.gpu, made.engine) == (2, False, 4, "vllm")

        described = await house.eas("root", "GET", f"/api/v2/services/local/{group['serviceName']}")
        assert (described.code, described.body["Gpu"]) == ("OK", 4)
        changed = await house.rpc(
            "root",
            "UpdateModelServiceInstanceGroup",
            {"uuid": group["uuid"], "startupParameters": {"max-model-len": "4096"}},
        )
        assert changed.code == "OK", changed.body
        wrong = await house.rpc(
            "root",
            "UpdateModelServiceInstanceGroup",
            {"uuid": group["uuid"], "startupParameters": {"tensor-parallel-size": "8"}},
        )
        assert (wrong.code, "startupParameters" in str(wrong.body["error"])) == ("SYS.1007", True)
        restarted = await house.rpc("root", "RestartModelServiceGroups", {"uuids": [group["uuid"]]})
        assert restarted.code == "OK"
        pair = await house.world.db.read(rows.load, group["uuid"])
        assert pair is not None
        assert (pair[0].current.template.nodes, pair[0].epoch) == (2, 1)
        gone = await house.rpc("root", "DeleteModelServiceInstanceGroup", {"uuid": group["uuid"]})
        assert gone.code == "OK"

    play(scene)


@BOTH
@pytest.mark.parametrize(
    ("fields", "body", "code", "words"),
    [
        ({}, {}, "SYS.1014", "its replicas are doubles on one node"),
        ({"support_distributed": False}, {}, "SYS.1007", "supportDistributed false"),
        ({}, {"nodes": ({},)}, "SYS.1007", "DeployModelService is for one node"),
        ({}, {"nodes": ({}, {"nodeRank": 0})}, "SYS.1007", "modelServices[1].nodeRank"),
        ({}, {"nodes": ({}, {"nodeRank": 7})}, "SYS.1007", "modelServices[1].nodeRank"),
        ({}, {"nodes": ({}, {"nodeRank": None})}, "SYS.1007", "modelServices[1].nodeRank"),
        (
            {},
            {"nodes": ({}, {"isInitialNode": True})},
            "SYS.1007",
            "modelServices[1].isInitialNode",
        ),
        (
            {},
            {"nodes": ({"tensorParallelSize": 2}, {"tensorParallelSize": 4})},
            "SYS.1007",
            "modelServices[1].tensorParallelSize",
        ),
        ({}, {"nodes": ({"tensorParallelSize": 0}, {})}, "SYS.1007", "tensorParallelSize"),
        ({}, {"nodes": ({}, {"dockerImage": "other"})}, "SYS.1007", "modelServices[1].dockerImage"),
        ({}, {"nodes": ({}, {"resourceUuid": "a" * 32})}, "SYS.1007", "resourceUuid"),
        ({}, {"serviceCreationStrategy": "odd"}, "SYS.1007", "serviceCreationStrategy"),
    ],
)
def test_what_is_refused_leaves_nothing(
    play: Callable[[Scene], None],
    send: Send,
    fields: dict[str, Any],
    body: dict[str, Any],
    code: str,
    words: str,
) -> None:
    async def scene(house: House) -> None:
        uuid = await template(house, **fields)
        before = await house.world.db.read(counted)
        nodes, rest = body.get("nodes", ({}, {})), {k: v for k, v in body.items() if k != "nodes"}
        tagged = {"userTags": ["team=blue"], "systemTags": ["ai::replicas::2"]}
        said = await send(house, "root", {**asked(uuid, *nodes), **tagged, **rest})
        error = said.body["error"]
        assert (said.code, words in f"{error}") == (code, True), error
        assert await house.world.db.read(counted) == before
        assert await services.page(house.platform, ServiceQuery()) == ([], 0)

    play(scene)


@BOTH
def test_more_gpus_than_a_node_has_are_refused(play: Callable[[Scene], None], send: Send) -> None:
    async def scene(house: House) -> None:
        runtime: Any = house.platform.runtime
        runtime.faults.one_node = ""
        uuid = await template(house)
        said = await send(house, "root", asked(uuid, {"tensorParallelSize": 9}, {}))
        assert (said.code, "9 is more than a node has GPUs" in str(said.body)) == ("SYS.1007", True)

    play(scene)


@BOTH
def test_a_part_names_the_workspace_and_policies_are_asked_there(
    play: Callable[[Scene], None], send: Send
) -> None:
    async def scene(house: House) -> None:
        runtime: Any = house.platform.runtime
        runtime.faults.one_node = ""
        uuid = await template(house)
        bounded = policy(allow(*DEPLOY, "zstack:*", "eas:*"), workspace="blue")
        await house.user("anna", bounded)
        blue, red = {"projectUuid": "blue"}, {"projectUuid": "red"}
        for nodes in (({}, {}), (red, red), (blue, red), (red, {}), ({}, red)):
            said = await send(house, "anna", asked(uuid, *nodes))
            assert not said.allowed, (nodes, said.body)
        assert await services.page(house.platform, ServiceQuery()) == ([], 0)
        for nodes in ((blue, blue), (blue, {})):
            said = await send(house, "anna", asked(uuid, *nodes))
            assert said.allowed, (nodes, said.body)

    play(scene)


@BOTH
def test_ten_thousand_nodes_are_asked_for_as_few(
    play: Callable[[Scene], None], send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: what is asked of the policies grows with what is named, not with its square."""
    targets = 0
    real = asking.Target

    def counting(*parts: Any, **fields: Any) -> Any:
        nonlocal targets
        targets += 1
        return real(*parts, **fields)

    monkeypatch.setattr(asking, "Target", counting)

    async def scene(house: House) -> None:
        uuid = await template(house)
        await house.user("anna", policy(allow(*DEPLOY)))
        nodes = [{"uuid": f"{at:032x}", "projectUuid": f"p{at}"} for at in range(10_000)]
        said = await send(house, "anna", asked(uuid, *nodes))
        assert not said.body.get("success", False)

    play(scene)
    assert 2 <= targets <= 2 * spans.MOST_NODES
