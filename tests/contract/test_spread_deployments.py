"""Deployments whose replicas are on several nodes each, on a real database: made, changed, refused, counted."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from registry_world import BEN, Marks, NoRuntime, Play, World, play

from builders import ROOT
from pierhead.core.errors import Conflict, Forbidden, Invalid, NotFound, PierheadError, Unsupported
from pierhead.core.ids import fixed_id
from pierhead.core.names import by_id
from pierhead.core.principals import Principal
from pierhead.core.quota_sizes import of_replica
from pierhead.core.quotas import Amount
from pierhead.core.registry import Extras, RegisteredTemplate, ResourceType
from pierhead.core.replicas import Node, RuntimeInfo
from pierhead.core.resources import GIB, MIB
from pierhead.core.services import Service
from pierhead.dialects.eas import revise
from pierhead.operations import deployments, services, tags, versions
from pierhead.operations.deployments import GroupChanges
from pierhead.operations.platform import Platform
from pierhead.operations.services import NO_EXTRAS
from pierhead.operations.spreading import Part, Spread
from pierhead.operations.tags import Wish
from pierhead.operations.wishes import DeployWish
from pierhead.store import events as event_rows
from pierhead.store import tags as tag_rows
from pierhead.store.services import ServiceQuery

__all__ = ["play"]

Run = Callable[[Play], None]
NOWHERE = "0" * 32
ZONE = fixed_id("zone", "local")
NODES = tuple(
    Node(name, 16, 64 * GIB, 64 * GIB, gpus=4, architecture="X86_64") for name in ("a", "b")
)


class Spanning(NoRuntime):
    """A runtime that has replicas on several nodes, or says why not."""

    def __init__(self, one_node: str = "") -> None:
        self.one_node = one_node

    async def probe(self) -> RuntimeInfo:
        return RuntimeInfo("kubernetes", NODES, "", one_node=self.one_node)


def spanning(world: World, one_node: str = "") -> Platform:
    runtime: Any = Spanning(one_node)
    return replace(world.platform, runtime=runtime, runtime_name="kubernetes", nodes=NODES)


async def registered(world: World, **fields: Any) -> RegisteredTemplate:
    """A template that the engine vllm serves, of which replicas may be on several nodes."""
    usual: dict[str, Any] = {"framework": "vLLM", "start_command": "", "support_distributed": True}
    return await world.template(**usual | {"install_path": "large"} | fields)


def spread(template: RegisteredTemplate, count: int = 2, **fields: Any) -> Spread:
    """So many parts of one template; `wish` fields count for each of them."""
    whole = {key: fields.pop(key) for key in ("name", "description", "in_turn") if key in fields}
    tensor = fields.pop("tensor", None)
    wish = DeployWish("node", zone=ZONE, **fields)
    parts = tuple(Part(template.uuid, wish, rank, tensor) for rank in range(count))
    return Spread(parts, **{"name": "Large Model", **whole})


async def deploy(
    world: World,
    asked: Spread,
    extras: Extras = NO_EXTRAS,
    actor: Principal = ROOT,
    also: Any = None,
) -> Service:
    return await deployments.deploy_distributed(
        spanning(world), actor, asked, extras, also or Marks()
    )


async def fails(error: type[PierheadError], doing: Any) -> Any:
    with pytest.raises(error) as caught:
        await doing
    return caught.value


async def nothing_left(world: World) -> None:
    """No service, no tag and no event of one."""
    assert await services.page(world.platform, ServiceQuery()) == ([], 0)
    events, _total = await world.db.read(event_rows.page, event_rows.EventQuery())
    assert events == []
    assert world.woken == []


def test_a_replica_over_two_nodes_is_a_whole_service(play: Run) -> None:
    async def scene(world: World) -> None:
        template = await registered(
            world, startup_parameters={"max-model-len": "8192"}, environment={"A": "1"}
        )
        marks = Marks()
        extras = Extras("", (), ("ai::replicas::3",), ("team=blue",))
        asked = spread(
            template,
            description="two of them",
            in_turn=True,
            tensor=4,
            startup_parameters={"trust-remote-code": ""},
            environment={"B": "2"},
            workspace="w1",
        )
        made = await deploy(world, asked, extras, also=marks)
        assert made == await world.now(made)
        assert marks.called == [made.id] == world.woken
        assert (made.replicas, made.workspace, dict(made.labels)) == (3, "w1", {"team": "blue"})
        assert (made.registration.title, made.registration.description) == (
            "Large Model",
            "two of them",
        )
        found = made.current.template
        assert (found.engine, found.command, found.script) == ("vllm", (), "")
        assert (found.nodes, found.in_turn, found.resources.gpu) == (2, True, 4)
        assert found.flags == ("--max-model-len", "8192", "--trust-remote-code")
        assert found.env == {"A": "1", "B": "2"}
        texts = {tag.tag for tag in await world.db.read(tag_rows.of, made.id)}
        assert texts == {"ai::replicas::3", "team=blue", f"ai::serviceName::{made.name}"}
        assert of_replica(found) == Amount(4.0, 2 * 1024 * MIB, 8.0, 1)

    play(scene)


@pytest.mark.parametrize(
    ("tags_", "fields", "gpus"),
    [
        ((), {}, 1),
        (("ai::gpus::3",), {}, 3),
        (("ai::gpus::3",), {"tensor": 3}, 3),
        ((), {"tensor": 2}, 2),
    ],
)
def test_how_many_gpus_each_node_has(
    play: Run, tags_: tuple[str, ...], fields: dict[str, Any], gpus: int
) -> None:
    async def scene(world: World) -> None:
        asked = spread(await registered(world), **fields)
        made = await deploy(world, asked, Extras("", (), tags_, ()))
        assert made.current.template.resources.gpu == gpus

    play(scene)


REFUSED: list[tuple[dict[str, Any], dict[str, Any], tuple[str, ...], str]] = [
    ({"support_distributed": False}, {}, (), "modelServices"),
    ({}, {"count": 1}, (), "modelServices"),
    ({"start_command": "vllm serve {model_dir}"}, {}, (), "modelServices"),
    ({"framework": "llama.cpp"}, {}, (), "modelServices"),
    ({"framework": "Transformers"}, {}, (), "modelServices"),
    ({}, {"tensor": 5}, (), "tensorParallelSize"),
    ({}, {"tensor": 2}, ("ai::gpus::4",), "tensorParallelSize"),
    ({}, {}, ("ai::gpus::0",), "tensorParallelSize"),
    ({"startup_parameters": {"tensor-parallel-size": "4"}}, {"tensor": 2}, (), "startupParameters"),
    ({}, {"startup_parameters": {"-tp": "4"}}, (), "startupParameters"),
    ({}, {"startup_parameters": {"pipeline-parallel-size": "3"}}, (), "startupParameters"),
    ({}, {"name": ""}, (), "name"),
]


@pytest.mark.parametrize(("template", "asked", "tags_", "field"), REFUSED)
def test_what_makes_no_such_deployment_is_refused_and_leaves_nothing(
    play: Run,
    template: dict[str, Any],
    asked: dict[str, Any],
    tags_: tuple[str, ...],
    field: str,
) -> None:
    async def scene(world: World) -> None:
        told = spread(await registered(world, **template), **asked)
        world.woken.clear()
        error = await fails(Invalid, deploy(world, told, Extras("", (), tags_, ())))
        assert error.field == field
        await nothing_left(world)

    play(scene)


def test_parts_of_two_templates_are_refused_with_both_names(play: Run) -> None:
    async def scene(world: World) -> None:
        one, other = await registered(world, name="large"), await registered(world, name="small")
        parts = (*spread(one).parts[:1], *spread(other).parts[1:])
        error = await fails(Invalid, deploy(world, Spread(parts, "x")))
        assert error.field == "modelServices[1].uuid"
        assert "[small] beside [large]" in error.message
        gone = replace(parts[1], template=NOWHERE)
        await fails(NotFound, deploy(world, Spread((parts[0], gone), "x")))
        await nothing_left(world)

    play(scene)


def test_a_runtime_on_one_node_says_why_and_nothing_is_begun(play: Run) -> None:
    async def scene(world: World) -> None:
        template = await registered(world)
        why = "the cluster has no LeaderWorkerSets (leaderworkerset.x-k8s.io)"
        error = await fails(
            Unsupported,
            deployments.deploy_distributed(spanning(world, why), ROOT, spread(template)),
        )
        assert error.message == (
            f"A replica over several nodes is not supported: {why}; deploy it on one node"
        )
        await nothing_left(world)

    play(scene)


def test_a_node_that_no_machine_is_large_enough_for(play: Run) -> None:
    async def scene(world: World) -> None:
        told = spread(await registered(world), cpu=17)
        error = await fails(Conflict, deploy(world, told))
        assert "17 cores; the largest node has 16" in error.message
        await nothing_left(world)

    play(scene)


def test_where_machines_join_for_what_waits_no_size_is_too_large(play: Run) -> None:
    async def scene(world: World) -> None:
        told = spread(await registered(world), tensor=8, cpu=64)
        growing = replace(spanning(world), nodes_come=True)
        made = await deployments.deploy_distributed(growing, ROOT, told)
        assert made.current.template.resources.gpu == 8

    play(scene)


def test_strangers_see_no_template_to_deploy(play: Run) -> None:
    async def scene(world: World) -> None:
        template = await registered(world)
        await fails((NotFound, Forbidden), deploy(world, spread(template), actor=BEN))  # type: ignore[arg-type]
        await nothing_left(world)

    play(scene)


def test_an_update_keeps_the_nodes_and_is_held_to_the_same_rules(play: Run) -> None:
    async def scene(world: World) -> None:
        p = spanning(world)
        made = await deploy(world, spread(await registered(world), tensor=2))
        longer = GroupChanges(startup_parameters={"max-model-len": "4096"})
        changed = await deployments.update(p, ROOT, made.id, longer)
        found = changed.current.template
        assert (found.flags, found.nodes, found.resources.gpu) == (
            ("--max-model-len", "4096"),
            2,
            2,
        )
        other = GroupChanges(startup_parameters={"tensor-parallel-size": "4"})
        error = await fails(Invalid, deployments.update(p, ROOT, made.id, other))
        assert error.field == "startupParameters"
        assert await world.now(made) == changed

    play(scene)


def test_tags_say_how_many_gpus_each_node_has_and_leave_it_when_they_go(play: Run) -> None:
    async def scene(world: World) -> None:
        p = spanning(world)
        made = await deploy(world, spread(await registered(world), tensor=2))

        async def now() -> tuple[int, int]:
            found = await world.now(made)
            return found.replicas, found.current.template.resources.gpu

        def tag(text: str) -> Wish:
            return Wish(ResourceType.GROUP, made.id, text, system=True)

        await tags.create(p, ROOT, tag("ai::replicas::2"))
        assert await now() == (2, 2)
        four = await tags.create(p, ROOT, tag("ai::gpus::4"))
        assert await now() == (2, 4)
        await tags.delete(p, ROOT, four.uuid)
        assert await now() == (2, 4)
        error = await fails(Invalid, tags.create(p, ROOT, tag("ai::gpus::0")))
        assert error.field == "tensorParallelSize"
        assert await now() == (2, 4)

    play(scene)


def test_the_other_door_shows_the_nodes_and_cannot_change_them(play: Run) -> None:
    async def scene(world: World) -> None:
        p = spanning(world)
        made = await deploy(world, spread(await registered(world), tensor=2))
        document = json.loads(json.dumps(revise.config(made)))
        assert document["pierhead"] == {"nodes": 2}
        assert document["metadata"]["gpu"] == 2

        async def update(body: dict[str, Any]) -> Service:
            def decide(service: Service, _seen: Any, now: float) -> services.Decision:
                return revise.document(service, body, {}, now, merge=True)

            return await services.change(p, ROOT, by_id(made.id), decide)

        changed = await update({"metadata": {"gpu": 4, "memory": 2048}})
        found = changed.current.template
        assert (found.nodes, found.resources.gpu, found.engine) == (2, 4, "vllm")
        error = await fails(Invalid, update({"pierhead": {"nodes": 3}}))
        assert error.field == "pierhead.nodes"
        own = {"containers": [{"image": "", "command": "sleep 1"}]}
        assert (await fails(Invalid, update(own))).field == "pierhead.nodes"
        await fails(Conflict, update({**own, "pierhead": None}))
        await fails(Invalid, update({"metadata": {"gpu": 0}}))
        assert (await world.now(made)).current == changed.current
        back = await versions.find(p, changed, 1)
        assert back.version.template == made.current.template

    play(scene)
