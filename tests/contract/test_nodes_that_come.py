"""A cluster to which nodes are added for what waits: nothing is held for a node that is not there yet."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from reconciler_world import World, fresh_database, tell
from registry_world import Play
from registry_world import World as Registry
from registry_world import play as play

from builders import ROOT
from pierhead.core.errors import Conflict
from pierhead.core.families import FAMILIES
from pierhead.core.replicas import Accelerator, Node
from pierhead.core.resources import GIB, Resources
from pierhead.core.services import Hold, Service
from pierhead.core.templates import Constraints
from pierhead.operations import deployments, matching, zones
from pierhead.operations.effective import DeployWish
from pierhead.operations.matching import Need
from pierhead.reconciler.preparation import Preparation
from pierhead.store.db import Database

#: One small node without a GPU is there.
SMALL = Node("n1", cpu=4, memory=8 * GIB, memory_free=8 * GIB, architecture="X86_64")
GPUS = Accelerator(uuid="", spec="", vendor="NVIDIA", name="T4", memory=16 * GIB, capability="7.5")
WITH_GPU = replace(SMALL, name="n2", gpus=1, accelerators=(GPUS,))
ELSEWHERE: list[dict[str, Any]] = [
    {"resources": Resources(gpu=8)},
    {"resources": Resources(cpu=64.0, memory=512 * GIB)},
    {"constraints": Constraints(architectures=("AARCH64",))},
    {
        "resources": Resources(gpu=1),
        "constraints": Constraints(gpu_capability="9.0", gpu_specs={"NVIDIA": ("h100",)}),
    },
]


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    yield from fresh_database(tmp_path_factory.mktemp("nodes_that_come"))


async def held(its: World, service: Service, *nodes: Node, come: bool) -> str:
    """Why a service waits for a machine, on a cluster of such nodes; "" = it does not."""
    parts = replace(its.parts, nodes=nodes, nodes_come=come)
    found = await Preparation(parts).prepare(service, service.current, fresh=True)
    return found.reason if isinstance(found, Hold) and found.placement else ""


@pytest.mark.parametrize("template", ELSEWHERE, ids=str)
def test_what_fits_on_no_node_that_is_there_is_asked_for(
    db: Database, template: dict[str, Any]
) -> None:
    async def story(its: World) -> None:
        service = await its.create("svc", **template)
        assert await held(its, service, SMALL, come=False)
        assert not await held(its, service, SMALL, come=True)
        assert not await held(its, service, come=True)

    tell(db, story)


@pytest.mark.parametrize(
    ("node", "resources", "waits"),
    [
        (SMALL, Resources(), True),
        (WITH_GPU, Resources(gpu=1), True),
        (SMALL, Resources(gpu=1), True),
        # What its own limit does not hold, no node does.
        (SMALL, Resources(memory=4 * GIB), False),
    ],
    ids=str,
)
def test_a_model_too_large_for_the_nodes_that_are_there_waits_for_a_larger_one(
    db: Database, node: Node, resources: Resources, waits: bool
) -> None:
    async def story(its: World) -> None:
        its.shapes.models["m"] = replace(FAMILIES["llama_7b"].shape, layers=64)
        asked: dict[str, Any] = {
            "name": "m",
            "engine": "llama_cpp",
            "precision": "fp16",
            "resources": resources,
        }
        service = await its.create("svc", **asked)
        assert await held(its, service, node, come=False)
        assert await held(its, service, node, come=True) == ("" if waits else "ModelDoesNotFit")

    tell(db, story)


def test_a_deployment_that_no_node_is_large_enough_for_is_accepted(
    play: Callable[[Play], None],
) -> None:
    async def scene(world: Registry) -> None:
        template = await world.template(name="big", request_cpu=64, request_memory=1 << 20)
        wish = DeployWish(name="big", zone=zones.first_id("local"))
        with pytest.raises(Conflict, match="the largest node has"):
            await deployments.deploy(world.platform, ROOT, template.uuid, wish)
        need = Need((), (template.uuid,), 3, wish)
        assert await matching.fitting(world.platform, ROOT, need) == []
        grows = replace(world.platform, nodes_come=True)
        assert [each.name for each in await matching.fitting(grows, ROOT, need)] == ["big"]
        made = await deployments.deploy(grows, ROOT, template.uuid, wish)
        assert made.current.template.resources.cpu == 64

    play(scene)
