"""Replicas over several nodes in the reconciler: enough nodes, enough memory on each, a quota for all of them."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from reconciler_world import World, fresh_database, tell

from builders import ROOT, a_template
from pierhead.core.families import FAMILIES
from pierhead.core.languages import Language
from pierhead.core.quotas import Quota
from pierhead.core.replicas import Accelerator, Node, RuntimeInfo
from pierhead.core.resources import GIB, Resources
from pierhead.core.services import Hold, Service
from pierhead.core.status import Status
from pierhead.core.templates import Template
from pierhead.core.why import message
from pierhead.operations import quotas, services
from pierhead.operations.services import Draft
from pierhead.reconciler.preflight import judge
from pierhead.reconciler.preparation import Preparation
from pierhead.store import quotas as quota_rows
from pierhead.store.db import Database

LARGE = Node("n1", cpu=16, memory=64 * GIB, memory_free=64 * GIB, gpus=2)
SMALL = replace(LARGE, name="small", gpus=1)
WIDE: dict[str, Any] = {
    "engine": "vllm",
    "command": (),
    "nodes": 2,
    "resources": Resources(cpu=4, memory=8 * GIB, gpu=2),
}


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    yield from fresh_database(tmp_path_factory.mktemp("spread"))


def has_nodes(its: World, *nodes: Node) -> None:
    async def probe() -> RuntimeInfo:
        return RuntimeInfo("fake", nodes, "")

    its.runtime.probe = probe  # type: ignore[method-assign]


async def made(its: World, name: str, count: int, **template: Any) -> Service:
    """A service that counts against the quota q."""
    draft = Draft(name, "test", a_template(**WIDE | template), count, {}, quota="q")
    return await services.create(its.platform, ROOT, draft)


def on_a_cluster(its: World) -> None:
    """Replicas are in images, where they can be on several nodes."""
    its.offer("vllm")
    made: Any = its.one_pass.preparation
    made._parts = replace(its.parts, runtime_name="kubernetes")


def test_it_waits_for_as_many_nodes_as_a_replica_is_on_and_begins_by_itself(db: Database) -> None:
    async def story(its: World) -> None:
        on_a_cluster(its)
        has_nodes(its, LARGE, SMALL)
        service = await its.create("wide", **WIDE, start_deadline=60.0)
        await asyncio.sleep(600)
        found = await its.verdict("wide")
        assert (found.status, found.reason) == (Status.PENDING, "Unschedulable")
        wanted = "2 nodes with 2 GPU, 4 cores, 8.0 GiB memory each wanted, 1 fits"
        assert wanted in found.message
        assert "需要 2 个，符合要求的有 1 个" in message(found, Language.ZH_CN)
        assert "需要 2 個，符合要求的有 1 個" in message(found, Language.ZH_TW)
        assert await its.reasons(service.id) == ["ServiceCreated", "Unschedulable"]
        has_nodes(its, LARGE, SMALL, replace(LARGE, name="n2"))
        await its.settled("wide", within=60)

    tell(db, story)


def test_where_machines_join_for_what_waits_it_is_asked_for_at_once(db: Database) -> None:
    async def story(its: World) -> None:
        its.offer("vllm")
        its.shapes.models["large"] = FAMILIES["llama_13b"].shape
        service = await its.create("wide", **WIDE, name="large", precision="fp16")
        await its.delete("wide")
        parts = replace(its.parts, nodes=(SMALL,), nodes_come=True, runtime_name="kubernetes")
        found = await Preparation(parts).prepare(service, service.current, fresh=True)
        assert not isinstance(found, Hold), found
        assert found.engine == "vllm"

    tell(db, story)


def test_where_replicas_are_processes_it_is_held_for_good_and_told_why(db: Database) -> None:
    async def story(its: World) -> None:
        its.offer("vllm")
        has_nodes(its, LARGE, replace(LARGE, name="n2"))
        service = await its.create("wide", **WIDE)
        await asyncio.sleep(60)
        found = await its.verdict("wide")
        assert (found.status, found.reason) == (Status.FAILED, "CannotStart")
        assert "Each replica is on 2 nodes, and replicas here are processes" in found.message
        assert its.runtime.observe(service.id) == []

    tell(db, story)


def test_an_engine_for_one_node_is_never_started_on_several(db: Database) -> None:
    async def story(its: World) -> None:
        on_a_cluster(its)
        has_nodes(its, LARGE, replace(LARGE, name="n2"))
        service = await its.create("wide", **WIDE | {"engine": "llama_cpp"})
        await asyncio.sleep(60)
        found = await its.verdict("wide")
        assert found.reason == "NoEngine"
        assert "llama_cpp (it computes on one node only)" in found.message
        assert its.runtime.observe(service.id) == []

    tell(db, story)


def test_a_quota_counts_every_node_of_every_replica(db: Database) -> None:
    async def story(its: World) -> None:
        on_a_cluster(its)
        has_nodes(its, LARGE, replace(LARGE, name="n2"))
        await its.db.write(quota_rows.add, Quota("q", gpus=11, cpu=64, memory=1024 * GIB))
        service = await made(its, "wide", 3)
        await asyncio.sleep(60)
        assert len(its.ready(service)) == 2, "a replica has 2 GPUs on each of 2 nodes"
        found = await its.verdict("wide")
        assert "Quota [q] allows 11 GPU, and this service alone wants 12" in found.message
        use = await quotas.get_quota(its.platform, ROOT, "q")
        assert (use.used.gpus, use.used.cpu, use.used.memory) == (8, 16, 32 * GIB)
        assert (use.used.replicas, use.wanted.gpus) == (2, 12)

    tell(db, story)


def test_what_one_node_has_no_memory_for_two_may_hold_together() -> None:
    card = Accelerator("u", "s", "NVIDIA", "L4", memory=24 * GIB)
    node = replace(LARGE, gpus=1, accelerators=(card,))
    other = replace(node, name="n2")
    shape = FAMILIES["llama_13b"].shape
    alone = Template("large", "vllm", precision="fp16", context=2048, resources=Resources(gpu=1))
    both = replace(alone, nodes=2)
    hold = judge(shape, alone, [node, other])
    assert isinstance(hold, Hold)
    assert hold.message.startswith("One replica needs about")
    assert judge(shape, both, [node, other]) == ()
    short = judge(shape, both, [node])
    assert isinstance(short, Hold)
    assert "Each of a replica's 2 nodes needs about" in short.message
    assert "not 2 nodes have any" in short.message
