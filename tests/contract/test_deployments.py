"""Deployments of registered templates on a real database: made, changed, restarted, resized, removed."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from registry_world import ANNA, BEN, NODE, Marks, Play, World, play, play_on_each, registry_url
from sqlalchemy import Connection

from builders import ACCOUNT, ROOT, a_template
from pierhead.core.errors import (
    Conflict,
    Forbidden,
    InUse,
    Invalid,
    NotFound,
    PierheadError,
    Taken,
    Unsupported,
)
from pierhead.core.ids import fixed_id
from pierhead.core.mounts import FolderSource
from pierhead.core.names import by_id
from pierhead.core.principals import Principal
from pierhead.core.registry import DeleteMode, Extras, ResourceType, TagPattern
from pierhead.core.resources import GIB
from pierhead.core.services import Change, Registration, Seen, Service, Wanted
from pierhead.core.specs import BUILT_IN
from pierhead.core.status import Status, verdict
from pierhead.operations import deployments, resolving, services, tag_patterns, tags, templates
from pierhead.operations.deployments import DeployWish, GroupChanges
from pierhead.operations.models import Ties
from pierhead.operations.services import GROUP, NO_EXTRAS, Draft
from pierhead.operations.tags import Wish
from pierhead.store import tags as tag_rows

__all__ = ["play", "play_on_each", "registry_url"]

Run = Callable[[Play], None]
NOWHERE = "0" * 32
UUID = "2e7d37432d864a81b3e3f1af51d3de93"
ZONE = fixed_id("zone", "local")


def wish(name: str = "Chat Model", **fields: Any) -> DeployWish:
    return DeployWish(**{"name": name, "zone": ZONE, **fields})


async def deploy(
    world: World,
    template: str = "",
    asked: DeployWish | None = None,
    extras: Extras = NO_EXTRAS,
    actor: Principal = ROOT,
) -> Service:
    uuid = template or (await world.template()).uuid
    return await deployments.deploy(world.platform, actor, uuid, asked or wish(), extras)


async def texts(world: World, service: Service) -> set[str]:
    return {tag.tag for tag in await world.db.read(tag_rows.of, service.id)}


async def fails(error: type[PierheadError], doing: Any) -> PierheadError:
    with pytest.raises(error) as caught:
        await doing
    return caught.value


def test_a_deployment_is_a_whole_service(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        template = await world.template(environment={"A": "1"})
        pattern = await tag_patterns.create(
            world.platform, ROOT, TagPattern("", "p", "tier=gold", 0.0, 0.0), Extras()
        )
        extras = Extras(UUID, (pattern.uuid,), ("ai::replicas::2", "x::y"), ("team=blue", "free"))
        asked = wish(
            description="two", workspace="w1", environment={"B": "2"}, kind="VirtualMachine"
        )
        marks = Marks()
        made = await deployments.deploy(world.platform, ROOT, template.uuid, asked, extras, marks)
        assert made == await world.now(made)
        assert marks.called == [UUID]
        assert world.woken == [UUID]
        assert (made.id, made.name, made.origin) == (UUID, f"chat_model_{UUID[:8]}", GROUP)
        assert (made.replicas, made.wanted, made.change) == (2, Wanted.RUNNING, Change.CREATE)
        assert made.labels == {"team": "blue", "free": "", "tier": "gold"}
        assert (made.workspace, made.caller) == ("w1", ACCOUNT)
        assert made.current.template.env == {"A": "1", "B": "2"}
        held = made.registration
        assert (held.title, held.description) == ("Chat Model", "two")
        assert (held.template, held.zone, held.kind) == (template.uuid, ZONE, "VirtualMachine")
        assert (held.type, held.open, held.runtime) == ("Endpoint", False, "")
        assert "serviceBootupTime: 600" in held.yaml
        assert await texts(world, made) == {
            "ai::replicas::2",
            "x::y",
            "team=blue",
            "free",
            "tier=gold",
            f"ai::serviceName::{made.name}",
        }
        assert verdict(made, Seen(), world.clock()).status is Status.CREATING
        (event,) = await world.events(made)
        assert (event.reason, event.actor) == ("ServiceCreated", ACCOUNT)

    play_on_each(scene)


def test_names_are_unique_over_both_doors(play: Run) -> None:
    async def scene(world: World) -> None:
        template = (await world.template()).uuid
        first = await deploy(world, template, wish("chat"))
        assert first.name == "chat"
        second = await deploy(world, template, wish("chat"))
        assert second.name == f"chat_{second.id[:8]}"
        draft = Draft(
            name="other", origin="eas.app", template=a_template(), replicas=1, submitted={}
        )
        await services.create(world.platform, ROOT, draft)
        third = await deploy(world, template, wish("other"))
        assert third.name == f"other_{third.id[:8]}"
        assert third.registration.title == "other"

    play(scene)


def test_deployments_of_one_name_at_once_all_get_one(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        template = (await world.template()).uuid
        made = await asyncio.gather(*(deploy(world, template, wish("chat")) for _ in range(8)))
        assert len({service.name for service in made}) == 8
        assert "chat" in {service.name for service in made}

    play_on_each(scene)


@pytest.mark.parametrize("part", ["template", "model", "dataset", "needed", "going"])
def test_what_is_removed_just_before_the_write_is_not_deployed(play: Run, part: str) -> None:
    async def scene(world: World) -> None:
        template, needed = await world.template(), await deploy(world)
        model, dataset = await world.model(), await world.dataset()
        whole = Registration(
            template=template.uuid,
            model=model.uuid,
            datasets=(dataset.uuid,),
            needs=(needed.id,),
        )
        gone: dict[str, dict[str, Any]] = {
            "template": {"template": NOWHERE},
            "model": {"model": NOWHERE},
            "dataset": {"datasets": (dataset.uuid, NOWHERE)},
            "needed": {"needs": (NOWHERE,)},
            "going": {},
        }
        if part == "going":
            await deployments.delete(world.platform, ROOT, needed.id, DeleteMode.PERMISSIVE)
        draft = Draft("late", GROUP, a_template(), 1, {}, registration=replace(whole, **gone[part]))
        await fails(NotFound, services.create(world.platform, ROOT, draft))
        await fails(NotFound, services.find(world.platform, "late"))

    play(scene)


def test_a_wanted_uuid_is_used_once_in_its_first_digits_too(play: Run) -> None:
    async def scene(world: World) -> None:
        template = (await world.template()).uuid
        await deploy(world, template, extras=Extras(UUID))
        await fails(Taken, deploy(world, template, extras=Extras(UUID)))
        twin = UUID[:20] + "0" * 12
        await fails(Taken, deploy(world, template, extras=Extras(twin)))
        await fails(Invalid, deploy(world, template, extras=Extras("not a uuid")))

    play(scene)


def test_a_service_is_found_by_the_first_digits_of_its_id(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        made = await deploy(world)
        await deploy(world)
        found, _seen = await services.find(world.platform, by_id(made.id[:18]))
        assert found == made
        assert (await services.find(world.platform, by_id(made.id)))[0] == made
        await fails(NotFound, services.find(world.platform, by_id(made.id[:17])))
        await fails(NotFound, services.find(world.platform, made.id[:18]))

    play_on_each(scene)


@pytest.mark.parametrize(
    ("asked", "extras", "error", "named"),
    [
        ({"zone": NOWHERE}, {}, NotFound, "ZoneVO"),
        ({"zone": ""}, {}, NotFound, "ZoneVO"),
        ({"model": NOWHERE}, {}, NotFound, "ModelVO"),
        ({"datasets": (NOWHERE,)}, {}, NotFound, "DatasetVO"),
        ({"needs": (NOWHERE,)}, {}, NotFound, "ModelServiceInstanceGroupVO"),
        ({}, {"tag_patterns": (NOWHERE,)}, NotFound, "TagPatternVO"),
        ({"name": ""}, {}, Invalid, "name"),
        ({"name": "x" * 256}, {}, Invalid, "name"),
        ({"description": "x" * 2049}, {}, Invalid, "description"),
        ({"kind": "Pod"}, {}, Invalid, "type"),
        ({"cpu": 0}, {}, Invalid, "cpuNum"),
        ({"memory": -1}, {}, Invalid, "memorySize"),
        ({"cpu": 1, "cpu_request": 2}, {}, Invalid, "requestCpuNum"),
        ({"cpu": 9}, {}, Conflict, "9 cores"),
        ({"memory": 17 * GIB}, {}, Conflict, "17.0 GiB"),
        ({"environment": {"A": "\ud800"}}, {}, Invalid, "values"),
        ({}, {"system_tags": ("ai::replicas::-1",)}, Invalid, "systemTags"),
        ({}, {"system_tags": ("ai::replicas::1001",)}, Invalid, "systemTags"),
        ({}, {"system_tags": ("ai::replicas::1", "ai::replicas::2")}, Invalid, "systemTags"),
        ({}, {"system_tags": ("ai::serviceName::mine",)}, Invalid, "systemTags"),
        ({}, {"system_tags": ("ai::auth::maybe",)}, Invalid, "systemTags"),
        ({}, {"system_tags": ("no colons",)}, Invalid, "systemTags"),
        ({}, {"system_tags": ("ai::runtime::kubernetes",)}, Unsupported, "kubernetes"),
        ({}, {"user_tags": ("x" * 3000,)}, Invalid, "tag"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(
    play: Run,
    asked: dict[str, Any],
    extras: dict[str, Any],
    error: type[PierheadError],
    named: str,
) -> None:
    async def scene(world: World) -> None:
        template = (await world.template()).uuid
        world.woken.clear()
        refusal = await fails(error, deploy(world, template, wish(**asked), Extras(**extras)))
        assert named in str(refusal)
        found, total = await services.page(world.platform, services.rows.ServiceQuery())
        assert (found, total, world.woken) == ([], 0, [])

    play(scene)


def test_requests_count_for_admission_not_limits(play: Run) -> None:
    async def scene(world: World) -> None:
        made = await deploy(world, asked=wish(cpu=64, cpu_request=1))
        assert made.current.template.resources.cpu == 64
        assert NODE.cpu < 64

    play(scene)


@pytest.mark.parametrize("type_", ["FineTune", "ModelEval"])
def test_other_types_are_not_deployed(play: Run, type_: str) -> None:
    async def scene(world: World) -> None:
        template = await world.template(type=type_)
        await fails(Unsupported, deploy(world, template.uuid))

    play(scene)


def test_broken_yaml_is_refused_at_deploy_and_bombs_do_not_go_off(play: Run) -> None:
    async def scene(world: World) -> None:
        bomb = "a: &a [x]\nb: &b [*a,*a]\n"
        for text in ("services: [", bomb, "[" * 100_000, "a: 1" + ":1" * 400_000):
            template = await world.template(yaml=text)
            began = time.process_time()
            refusal = (
                await fails(Invalid, deploy(world, template.uuid))
                if text[0] != "a" or text == bomb
                else None
            )
            assert time.process_time() - began < 0.5
            assert refusal is None or "yaml" in str(refusal)

    play(scene)


def test_a_stranger_neither_sees_the_template_nor_the_deployment(play: Run) -> None:
    async def scene(world: World) -> None:
        private = await world.template(ANNA)
        await fails(NotFound, deploy(world, private.uuid, actor=BEN))
        made = await deploy(world, private.uuid, actor=ANNA)
        assert made.caller == ANNA.id
        p = world.platform
        refusals = [
            await fails(NotFound, deployments.update(p, BEN, made.id, GroupChanges(name="x"))),
            await fails(NotFound, deployments.replicas(p, BEN, made.id, 3)),
            await fails(NotFound, deployments.update(p, ROOT, NOWHERE, GroupChanges(name="x"))),
            await fails(
                NotFound, deployments.update(p, ROOT, made.id[:20], GroupChanges(name="x"))
            ),
            await fails(NotFound, deployments.update(p, ROOT, made.name, GroupChanges(name="x"))),
        ]
        assert all(refusal.kind == ResourceType.GROUP for refusal in refusals)  # type: ignore[attr-defined]
        ((_, error),) = await deployments.restart(p, BEN, [made.id])
        assert isinstance(error, NotFound)
        assert await deployments.delete(p, BEN, made.id, DeleteMode.ENFORCING) is None
        assert await world.now(made) == made

    play(scene)


def test_requirements_of_strangers_stay_plain(play: Run) -> None:
    async def scene(world: World) -> None:
        yaml = "python: {requirements_txt: '-r /etc/passwd'}"
        private = await world.template(ANNA, yaml=yaml)
        await fails(Forbidden, deploy(world, private.uuid, actor=ANNA))
        assert await deploy(world, private.uuid)  # the account itself takes it upon itself
        shared = await world.template(yaml=yaml, system=True)
        assert await deploy(world, shared.uuid, actor=ANNA)

    play(scene)


def test_the_model_that_is_served(play: Run) -> None:
    async def scene(world: World) -> None:
        root = f"{world.folder}/models"
        one = await world.model(install_path="one")
        two = await world.model(install_path="two")
        template = await world.template(models=(one.uuid,))
        made = await deploy(world, template.uuid)
        assert made.registration.model == one.uuid
        assert made.current.weights == FolderSource(f"{root}/one")
        named = await deploy(world, template.uuid, wish(model=two.uuid))
        assert named.current.weights == FolderSource(f"{root}/two")
        three = await world.model(ties=Ties((template.uuid,)), install_path="three")
        assert three
        default = await deploy(world, template.uuid)  # two are bound; one has it as its default
        assert default.registration.model == one.uuid
        bare = await deploy(world)
        assert (bare.registration.model, bare.current.weights) == ("", None)

    play(scene)


def test_a_shipped_template_is_deployed_as_the_spec_it_is(play: Run) -> None:
    async def scene(world: World) -> None:
        spec = BUILT_IN["smollm2_135m_q4"]
        made = await deploy(world, fixed_id("spec", spec.name))
        assert made.current.template == replace(spec, framework="llama.cpp")
        assert made.registration.template == fixed_id("spec", spec.name)

    play(scene)


def test_a_snapshot_outlives_every_change_of_its_template(play: Run) -> None:
    async def scene(world: World) -> None:
        template = await world.template()
        made = await deploy(world, template.uuid)
        await templates.update(world.platform, ROOT, template.uuid, {"start_command": "other"})
        assert await world.now(made) == made
        await fails(
            InUse, templates.delete(world.platform, ROOT, template.uuid, DeleteMode.PERMISSIVE)
        )
        await templates.delete(world.platform, ROOT, template.uuid, DeleteMode.ENFORCING)
        left = await world.now(made)
        assert left.registration.template == ""
        assert (left.current, left.rollout) == (made.current, made.rollout)

    play(scene)


def test_no_replicas_at_first_is_a_stopped_deployment(play: Run) -> None:
    async def scene(world: World) -> None:
        made = await deploy(world, extras=Extras(system_tags=("ai::replicas::0",)))
        assert (made.wanted, made.replicas) == (Wanted.STOPPED, 1)
        assert verdict(made, Seen(), world.clock()).status is Status.STOPPED
        started = await services.start(world.platform, ROOT, made.name)
        assert (started.wanted, started.replicas) == (Wanted.RUNNING, 1)
        assert "ai::replicas::1" in await texts(world, made)

    play(scene)


def test_tags_at_deployment_act(play: Run) -> None:
    async def scene(world: World) -> None:
        extras = Extras(system_tags=("ai::gpus::2", "ai::auth::none", "ai::runtime::process"))
        made = await deploy(world, extras=extras)
        assert made.current.template.resources.gpu == 2
        assert (made.registration.open, made.registration.runtime) == (True, "process")

    play(scene)


def test_renaming_touches_no_replica(play: Run) -> None:
    async def scene(world: World) -> None:
        made = await deploy(world)
        marks = Marks()
        changes = GroupChanges(name="对话", description="renamed")
        changed = await deployments.update(world.platform, ROOT, made.id, changes, marks)
        assert (changed.registration.title, changed.registration.description) == ("对话", "renamed")
        assert (changed.name, changed.rollout, changed.latest) == (made.name, made.rollout, 1)
        again = await deployments.update(world.platform, ROOT, made.id, changes, marks)
        assert again == changed
        assert marks.called == [made.id, made.id]
        await fails(
            Invalid, deployments.update(world.platform, ROOT, made.id, GroupChanges(name=""))
        )

    play(scene)


def test_other_content_is_a_new_version_and_replaces_whole_maps(play: Run) -> None:
    async def scene(world: World) -> None:
        template = await world.template(
            environment={"A": "t", "B": "t"}, startup_parameters={"x": "1"}
        )
        asked = wish(environment={"B": "d", "C": "d"}, startup_parameters={"y": "2"})
        made = await deploy(world, template.uuid, asked)
        assert made.current.template.env == {"A": "t", "B": "d", "C": "d"}
        changed = await deployments.update(
            world.platform, ROOT, made.id, GroupChanges(environment={"D": "u"})
        )
        assert changed.current.template.env == {"A": "t", "B": "t", "D": "u"}
        assert changed.current.template.flags == ("--x", "1", "--y", "2")
        assert (changed.latest, changed.change) == (2, Change.UPDATE)
        more = GroupChanges(
            startup_parameters={}, livez="/l", readyz="tcp", boot_seconds=42, environment={"D": "u"}
        )
        again = await deployments.update(world.platform, ROOT, made.id, more)
        now = again.current.template
        assert (now.flags, now.start_deadline, now.readiness.kind) == (("--x", "1"), 42, "tcp")
        assert now.liveness is not None
        assert now.liveness.path == "/l"
        assert "livez: /l" in again.registration.yaml
        assert "serviceBootupTime: 42" in again.registration.yaml
        same = await deployments.update(world.platform, ROOT, made.id, more)
        assert same == again

    play(scene)


def test_a_service_of_the_other_door_is_changed_here_too(play: Run) -> None:
    async def scene(world: World) -> None:
        draft = Draft(
            name="from_eas",
            origin="eas.app",
            template=a_template(env={"A": "1"}),
            replicas=1,
            submitted={"ServiceSpec": "echo"},
            labels={"team": "blue", "bare": ""},
        )
        made = await services.create(world.platform, ROOT, draft)
        assert await texts(world, made) == {"team=blue", "bare", "ai::serviceName::from_eas"}
        p = world.platform
        renamed = await deployments.update(p, ROOT, made.id, GroupChanges(name="Echo"))
        assert renamed.origin == "eas.app"
        changed = await deployments.update(p, ROOT, made.id, GroupChanges(environment={"B": "2"}))
        assert changed.current.template.env == {"A": "1", "B": "2"}
        assert changed.origin == GROUP
        again = await deployments.update(p, ROOT, made.id, GroupChanges(environment={}))
        assert again.current.template.env == {"A": "1"}

    play(scene)


def test_restart_rolls_each_and_tells_of_each(play: Run) -> None:
    async def scene(world: World) -> None:
        one, two = await deploy(world), await deploy(world)
        await services.stop(world.platform, ROOT, two.name)
        marks = Marks()
        outcomes = await deployments.restart(
            world.platform, ROOT, [one.id, two.id, NOWHERE, one.id], marks
        )
        assert [(uuid, type(error)) for uuid, error in outcomes] == [
            (one.id, type(None)),
            (two.id, Conflict),
            (NOWHERE, NotFound),
        ]
        assert (await world.now(one)).epoch == 1
        assert len(marks.called) == 1

    play(scene)


def test_the_number_of_replicas_through_every_door(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        p = world.platform
        made = await deploy(world, extras=Extras(system_tags=("ai::replicas::2",)))
        three = await deployments.replicas(p, ROOT, made.id, 3)
        assert (three.replicas, three.change, three.revision) == (3, Change.SCALE, 2)
        assert "ai::replicas::3" in await texts(world, made)

        def one(service: Service, _seen: Seen, now: float) -> services.Decision:
            return services.scaled(service, 1, now)

        await services.change(p, ROOT, made.name, one)
        assert "ai::replicas::1" in await texts(world, made)
        none = await deployments.replicas(p, ROOT, made.id, 0)
        assert (none.wanted, none.replicas) == (Wanted.STOPPED, 1)
        assert "ai::replicas::0" in await texts(world, made)
        five = await deployments.replicas(p, ROOT, made.id, 5)
        assert (five.wanted, five.replicas, five.change) == (Wanted.RUNNING, 5, Change.START)
        assert five.revision == none.revision + 1
        await fails(Invalid, deployments.replicas(p, ROOT, made.id, 1001))
        await fails(Invalid, deployments.replicas(p, ROOT, made.id, -1))

    play_on_each(scene)


def test_a_tag_on_a_stopped_deployment_does_not_start_it(play: Run) -> None:
    async def scene(world: World) -> None:
        p = world.platform
        made = await deploy(world)
        await services.stop(p, ROOT, made.name)
        await tags.create(p, ROOT, Wish(ResourceType.GROUP, made.id, "ai::gpus::1", system=True))
        now = await world.now(made)
        assert (now.wanted, now.current.template.resources.gpu) == (Wanted.STOPPED, 1)

    play(scene)


@pytest.mark.parametrize(
    ("said", "replicas", "gpus", "open_"),
    [
        ([], 1, 0, False),
        (["ai::replicas::4"], 4, 0, False),
        (["ai::gpus::2", "ai::auth::none"], 1, 2, True),
        (["other::tag"], 1, 0, False),
    ],
)
def test_acting_tags_decide_and_what_they_leave_out_falls_back(
    play: Run,
    said: list[str],
    replicas: int,
    gpus: int,
    open_: bool,
) -> None:
    async def scene(world: World) -> None:
        begun = ("ai::replicas::2", "ai::gpus::1", "ai::auth::token")
        made = await deploy(world, extras=Extras(system_tags=begun))
        after = deployments.tagged(made, said, 5.0)
        assert (after.replicas, after.registration.open) == (replicas, open_)
        assert after.current.template.resources.gpu == gpus
        assert after.revision == made.revision + 1
        assert deployments.tagged(made, begun, 5.0) is made

    play(scene)


def test_deleting_asks_those_that_depend_on_it(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        p = world.platform
        base = await deploy(world, asked=wish("base"))
        top = await deploy(world, asked=wish("Top", needs=(base.id, base.id)))
        assert top.registration.needs == (base.id,)
        refusal = await fails(InUse, deployments.delete(p, ROOT, base.id, DeleteMode.PERMISSIVE))
        assert f"Top [{top.id}]" in str(refusal)
        world.woken.clear()
        marks = Marks()
        gone = await deployments.delete(p, ROOT, base.id, DeleteMode.ENFORCING, marks)
        assert gone is not None
        assert gone.wanted is Wanted.DELETED
        left = await world.now(top)
        assert (left.registration.needs, left.rollout) == ((), top.rollout)
        assert set(world.woken) == {base.id, top.id}
        again = await deployments.delete(p, ROOT, base.id, DeleteMode.PERMISSIVE, marks)
        assert again == gone
        assert await deployments.delete(p, ROOT, NOWHERE, DeleteMode.PERMISSIVE, marks) is None
        assert marks.called == [base.id, base.id, NOWHERE]

    play_on_each(scene)


def test_a_failing_also_takes_everything_back(play: Run) -> None:
    async def scene(world: World) -> None:
        template = (await world.template()).uuid

        def broken(_tx: Connection, _uuid: str) -> None:
            raise Invalid("job", "gone")

        p = world.platform
        await fails(Invalid, deployments.deploy(p, ROOT, template, wish(), Extras(), broken))
        assert await services.page(p, services.rows.ServiceQuery()) == ([], 0)

    play(scene)


def test_what_a_spec_means(play: Run) -> None:
    async def scene(world: World) -> None:
        p = world.platform
        old = await world.template(name="mine", start_command="old")
        new = await world.template(name="mine", start_command="new {port}")
        hidden = await world.template(BEN, name="hidden")

        async def means(spec: str, actor: Principal = ROOT) -> str | None:
            found = await resolving.resolve(p, actor, spec, "svc")
            return found and found.registration.template

        assert await means("mine") == new.uuid
        assert await means(old.uuid) == old.uuid
        assert await means("smollm2_135m_q4") == fixed_id("spec", "smollm2_135m_q4")
        assert await means("hidden", ANNA) is None
        assert await means("hidden", BEN) == hidden.uuid
        assert await means("mine", ANNA) is None
        assert await means("nothing") is None
        found = await resolving.resolve(p, ROOT, "mine", "svc")
        assert found is not None
        assert found.template.command == ("new", "{port}")
        assert "mine" in await resolving.known(p, ROOT)
        assert "hidden" not in await resolving.known(p, ANNA)

    play(scene)


def test_a_deployment_is_made_within_a_second(play: Run) -> None:
    async def scene(world: World) -> None:
        lines = "".join(f"env{n}: value\n" for n in range(9_000))
        template = (await world.template(yaml=lines)).uuid
        began = time.process_time()
        await deploy(world, template)
        assert time.process_time() - began < 1.0

    play(scene)
