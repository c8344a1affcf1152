"""Which templates fit some models: bindings, frameworks, machines, and what is free of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from registry_world import ANNA, Play, World, play

from builders import ROOT, a_template, a_version
from pierhead.core.errors import Invalid, NotFound
from pierhead.core.query import Query
from pierhead.core.registry import ArchitectureImage
from pierhead.core.resources import GIB, Resources
from pierhead.operations import matching, zones
from pierhead.operations.effective import DeployWish
from pierhead.operations.matching import Need
from pierhead.operations.models import Ties
from pierhead.store import models as model_rows
from pierhead.store import templates as template_rows

__all__ = ["play"]

Run = Callable[[Play], None]


async def fits(world: World, models: list[str], replicas: int = 1, **wish: Any) -> set[str]:
    """Names of the templates that fit, of all that were registered."""
    known = await world.db.read(template_rows.page, Query())
    mine = tuple(template.uuid for template in known.rows if not template.shipped)
    need = Need(tuple(models), mine, replicas, DeployWish(zone=zones.first_id("local"), **wish))
    found = await matching.fitting(world.platform, ROOT, need)
    return {template.name for template in found}


def test_a_template_with_models_serves_those_and_one_without_what_its_framework_reads(
    play: Run,
) -> None:
    async def scene(world: World) -> None:
        bound = await world.template(name="bound")
        await world.template(name="torch", framework="Transformers")
        await world.template(name="llama", framework="llama.cpp")
        await world.template(name="any")
        known = await world.model(ties=Ties((bound.uuid,)))
        other = await world.model()
        unread = {"torch", "llama", "any"}  # nothing is held against what nobody knows
        assert await fits(world, [known.uuid]) == {"bound"} | unread
        assert await fits(world, [other.uuid]) == unread
        assert await fits(world, [known.uuid, other.uuid]) == unread
        await world.db.write(model_rows.change, replace(other, framework_version="GGUF 3"))
        assert await fits(world, [other.uuid]) == {"llama", "any"}

    play(scene)


def test_a_template_fits_where_a_machine_is_as_it_needs(play: Run) -> None:
    async def scene(world: World) -> None:
        arm = (ArchitectureImage("", "AARCH64", "repo/a"),)
        both = (*arm, ArchitectureImage("", "X86_64", "repo/b"))
        await world.template(name="arm", images=arm)
        await world.template(name="both", images=both)
        await world.template(name="gpu", gpu_capability="7.5")
        await world.template(name="broken", yaml="services: {")
        model = await world.model()
        assert await fits(world, [model.uuid]) == {"both"}

    play(scene)


def test_what_is_deployed_takes_its_part_of_the_machine(play: Run) -> None:
    async def scene(world: World) -> None:
        await world.template(name="chat", request_cpu=2, request_memory=4096)  # of 8 cores, 16 GiB
        model = await world.model()
        assert await fits(world, [model.uuid], 4) == {"chat"}
        assert await fits(world, [model.uuid], 5) == set()
        assert await fits(world, [model.uuid], 8, memory=2048) == {"chat"}
        assert await fits(world, [model.uuid], 1, memory=17 * GIB) == set()
        assert await fits(world, [model.uuid], 1, cpu=9) == set()
        held = a_template(resources=Resources(cpu=1.0, memory=9 * GIB, memory_request=5 * GIB))
        await world.service(replicas=1, current=a_version(template=held))
        assert await fits(world, [model.uuid], 2) == {"chat"}
        assert await fits(world, [model.uuid], 3) == set()

    play(scene)


def test_what_is_named_must_be_there(play: Run) -> None:
    async def scene(world: World) -> None:
        model, theirs = await world.model(), await world.template(ROOT)
        nowhere, here = "0" * 32, DeployWish(zone=zones.first_id("local"))
        for actor, need in (
            (ROOT, Need((nowhere,), (), 1, here)),
            (ROOT, Need((), (nowhere,), 1, here)),
            (ROOT, Need((model.uuid,), (theirs.uuid,), 1, DeployWish(zone=nowhere))),
            (ANNA, Need((model.uuid,), (), 1, here)),
            (ANNA, Need((), (theirs.uuid,), 1, here)),
        ):
            with pytest.raises(NotFound):
                await matching.fitting(world.platform, actor, need)
        with pytest.raises(Invalid, match="instanceNumber"):
            await matching.fitting(world.platform, ROOT, Need((), (), 0, here))
        chosen = Need((model.uuid,), (theirs.uuid,), 1, here)
        assert await matching.fitting(world.platform, ROOT, chosen) == [theirs]

    play(scene)
