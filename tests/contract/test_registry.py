"""The registry's use cases on a real database: what each writes down, refuses, and takes along."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from registry_world import (
    ANNA,
    BEN,
    Marks,
    Play,
    World,
    a_registered,
    play,
    play_on_each,
    registry_url,
)

from builders import ROOT, a_replica
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
from pierhead.core.principals import Principal
from pierhead.core.query import Condition, Op, Query
from pierhead.core.registry import (
    ArchitectureImage,
    DeleteMode,
    Extras,
    Zone,
)
from pierhead.core.services import Change, Registration, Seen, Wanted
from pierhead.operations import (
    bindings,
    centers,
    datasets,
    first_start,
    models,
    resolving,
    service_yaml,
    templates,
    zones,
)
from pierhead.operations.models import Ties
from pierhead.operations.wishes import DeployWish
from pierhead.store import centers as center_rows
from pierhead.store import facts
from pierhead.store import tags as tag_rows
from pierhead.store import templates as template_rows

__all__ = ["play", "play_on_each", "registry_url"]

Run = Callable[[Play], None]
UUID = "0123456789ab4cde8fffffffffffffff"
PERMISSIVE, ENFORCING = DeleteMode.PERMISSIVE, DeleteMode.ENFORCING
NOWHERE = "0" * 32


async def seen(world: World, actor: Principal, module: Any) -> tuple[Any, ...]:
    """Templates or models that somebody sees."""
    found = await module.page_bound(world.platform, actor, Query())
    return tuple(thing for thing, _ in found.rows)


async def tag_texts(world: World, resource: str) -> list[tuple[str, bool]]:
    return [(tag.tag, tag.system) for tag in await world.db.read(tag_rows.of, resource)]


# ---- first start


def test_the_first_start_makes_zone_center_and_specs_with_the_agreed_uuids(play: Run) -> None:
    async def scene(world: World) -> None:
        (zone,) = (await zones.page(world.platform, ROOT, Query())).rows
        assert (zone.uuid, zone.name, zone.default) == (
            "019568134b9e5638acc707fc61b0fda4",
            "local",
            True,
        )
        (center,) = (await centers.page(world.platform, ROOT, Query())).rows
        assert center.uuid == "4e250a4a75705a708bca567882f72dd4"
        assert (center.name, center.default, center.connected) == ("default", True, True)
        assert center.url == f"file://{world.folder}/models"
        assert (center.management_ip, center.management_port) == ("127.0.0.1", 8080)
        assert await asyncio.to_thread(Path(world.home.models).is_dir)
        shipped = await seen(world, ANNA, templates)
        assert {one.name for one in shipped} == set(world.platform.templates)
        assert all(one.shipped and one.system and one.zone == zone.uuid for one in shipped)
        demo = next(one for one in shipped if one.name == "smollm2_135m_q4")
        assert demo.uuid == first_start.template_id("smollm2_135m_q4")
        assert demo.request_memory == 1024 * 1024 * 1024

    play(scene)


def test_another_start_changes_nothing_and_what_is_registered_comes_after(play: Run) -> None:
    async def scene(world: World) -> None:
        mine = await world.template()
        before = await seen(world, ROOT, templates)
        assert before[-1] == mine
        world.clock.advance(3600)
        await first_start.ensure(world.platform, world.home)
        assert await seen(world, ROOT, templates) == before

    play(scene)


def test_the_default_center_follows_the_data_folder_until_somebody_moves_it(play: Run) -> None:
    async def scene(world: World) -> None:
        moved = replace(world.home, models=str(world.folder / "elsewhere"))
        await first_start.ensure(world.platform, moved)
        assert (await centers.find(world.platform, world.center)).url.endswith("/elsewhere")
        await centers.update(world.platform, ROOT, world.center, {"url": "file:///srv/own"})
        await first_start.ensure(world.platform, world.home)
        assert (await centers.find(world.platform, world.center)).url == "file:///srv/own"

    play(scene)


# ---- add


def test_a_template_is_stored_as_given_with_what_follows_from_it(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        model = await world.model()
        image = ArchitectureImage("", "AARCH64", "repo/a:1", "vm")
        extras = Extras(uuid=UUID, system_tags=("ai::note::x",), user_tags=("k=v", "k=v"))
        marks = Marks()
        wanted = a_registered(
            center=world.center,
            images=(image,),
            vendor_specs={"NVIDIA": ()},
            environment={"A": "1"},
            readme="# Hi",
        )
        world.surveyed.clear()
        made = await templates.add(
            world.platform, ROOT, wanted, [model.uuid, model.uuid], extras, marks
        )
        now = world.clock.now
        assert made == replace(
            wanted,
            uuid=UUID,
            owner=ROOT.id,
            created=now,
            updated=now,
            zone=zones.first_id("local"),
            version="1.2.3",
            images=(replace(image, uuid=made.images[0].uuid, created=now, updated=now),),
        )
        assert len(made.images[0].uuid) == 32
        assert await templates.find(world.platform, ROOT, UUID) == made
        ((_, refs),) = (
            await templates.page_bound(
                world.platform, ROOT, Query((Condition("uuid", Op.EQUAL, UUID),))
            )
        ).rows
        assert [(ref.model, ref.template, ref.default) for ref in refs] == [
            (model.uuid, UUID, True)
        ]
        assert sorted(await tag_texts(world, UUID)) == [("ai::note::x", True), ("k=v", False)]
        assert marks.called == [UUID]
        assert world.surveyed == [f"template:{UUID}"]

    play_on_each(scene)


@pytest.mark.parametrize(
    ("fields", "error", "named"),
    [
        ({"name": ""}, Invalid, "name"),
        ({"name": "n" * 256}, Invalid, "name"),
        ({"description": "d" * 2049}, Invalid, "description"),
        ({"yaml": "y" * (1024 * 1024 + 1)}, Invalid, "yaml"),
        ({"request_cpu": 0}, Invalid, "requestCpu"),
        ({"request_memory": 0}, Invalid, "requestMemory"),
        ({"request_memory": 2**63}, Invalid, "requestMemory"),
        ({"gpu_capability": "7" * 33}, Invalid, "gpuComputeCapability"),
        ({"install_path": "a/../b"}, Invalid, "installPath"),
        ({"install_path": "p" * 2049}, Invalid, "installPath"),
        ({"start_command": "x\0"}, Invalid, "startCommand"),
        ({"python_version": "3" * 33}, Invalid, "pythonVersion"),
        ({"container_args": "a" * 65537}, Invalid, "containerArgs"),
        ({"center": NOWHERE}, NotFound, "ModelCenterVO"),
        ({"center": "modelCenterUuidExample"}, NotFound, "ModelCenterVO"),
        ({"zone": NOWHERE}, NotFound, "ZoneVO"),
        ({"models": [NOWHERE]}, NotFound, "ModelVO"),
        ({"extras": Extras(uuid="0123")}, Invalid, "resourceUuid"),
        ({"extras": Extras(uuid="F" * 32)}, Invalid, "resourceUuid"),
        ({"extras": Extras(tag_patterns=(NOWHERE,))}, NotFound, "TagPatternVO"),
        ({"extras": Extras(system_tags=("plain",))}, Invalid, "systemTags"),
        ({"extras": Extras(user_tags=("",))}, Invalid, "userTags"),
        ({"actor": ANNA, "system": True}, Forbidden, ""),
        ({"actor": ANNA, "install_path": "/etc"}, Forbidden, ""),
    ],
)
def test_a_template_that_is_not_legal_leaves_no_trace(
    play: Run, fields: dict[str, Any], error: type[PierheadError], named: str
) -> None:
    async def scene(world: World) -> None:
        before = await world.db.read(_everything)
        with pytest.raises(error) as caught:
            await world.template(**fields)
        told = getattr(caught.value, "field", "") or getattr(caught.value, "kind", "")
        assert str(told) == named
        assert len(caught.value.message) < 400
        assert await world.db.read(_everything) == before
        assert world.surveyed == []

    play(scene)


def _everything(tx: Any) -> tuple[int | None, ...]:
    count = Query(count=True)
    return template_rows.page(tx, count).total, tag_rows.page(tx, count).total


def test_a_wanted_uuid_is_given_once(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        await world.template(extras=Extras(uuid=UUID))
        with pytest.raises(Taken, match=UUID):
            await world.template(name="other", extras=Extras(uuid=UUID, user_tags=("x",)))
        assert (await templates.find(world.platform, ROOT, UUID)).name == "chat"
        assert await tag_texts(world, UUID) == []

    play_on_each(scene)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("weights", True),
        ("/srv/shared/a", True),
        ("/srv/sharedX", False),
        ("/srv", False),
        ("{root}/a", True),
        ("{root}X", False),
        ("", True),
    ],
)
def test_who_is_not_the_account_names_paths_only_where_files_may_lie(
    play: Run, path: str, allowed: bool
) -> None:
    async def scene(world: World) -> None:
        named = path.format(root=world.home.models)
        assert (await world.template(install_path=named)).install_path == named
        for add in (world.template, world.model):
            if allowed:
                assert (await add(ANNA, install_path=named)).install_path == named
            else:
                with pytest.raises(Forbidden):
                    await add(ANNA, install_path=named)

    play(scene)


def test_the_version_is_that_of_the_path_else_of_the_yaml(play: Run) -> None:
    async def scene(world: World) -> None:
        named = "services:\n- name: 'model:4.5.6'\n  ports: [3000]\n"
        assert (await world.template(yaml=named)).version == "1.2.3"
        plain = await world.template(yaml=named, install_path="chat")
        assert plain.version == "4.5.6"
        assert (await world.template(yaml=": [: x:1.2.3", install_path="chat")).version is None
        changed = await templates.update(world.platform, ROOT, plain.uuid, {"yaml": "x"})
        assert changed.version is None

    play(scene)


def test_a_model_is_stored_and_bound(play: Run) -> None:
    async def scene(world: World) -> None:
        one, two = await world.template(), await world.template()
        made = await world.model(ties=Ties((one.uuid, two.uuid), default=two.uuid), size=7)
        assert (made.model_id, made.size_given, made.kind) == (made.uuid, True, "Custom")
        refs = (await bindings.of_models(world.platform, [made.uuid]))[made.uuid]
        assert {ref.template: ref.default for ref in refs} == {one.uuid: False, two.uuid: True}
        unmeasured = await world.model()
        assert (unmeasured.size, unmeasured.size_given) == (None, False)
        with pytest.raises(NotFound, match="ModelServiceVO"):
            await world.model(ties=Ties((NOWHERE,)))

    play(scene)


# ---- bindings


def test_binding_is_idempotent_and_the_first_is_the_default(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        template, one, two = await world.template(), await world.model(), await world.model()
        first = await bindings.bind(world.platform, ROOT, one.uuid, template.uuid)
        assert first.default
        assert await bindings.bind(world.platform, ROOT, one.uuid, template.uuid) == first
        assert not (await bindings.bind(world.platform, ROOT, two.uuid, template.uuid)).default
        await bindings.unbind(world.platform, ROOT, one.uuid, template.uuid)
        await bindings.unbind(world.platform, ROOT, one.uuid, template.uuid)
        await bindings.unbind(world.platform, ROOT, NOWHERE, NOWHERE)
        left = (await bindings.of_templates(world.platform, [template.uuid]))[template.uuid]
        assert [ref.model for ref in left] == [two.uuid]
        for model, served in ((NOWHERE, template.uuid), (one.uuid, NOWHERE)):
            with pytest.raises(NotFound, match=NOWHERE):
                await bindings.bind(world.platform, ROOT, model, served)

    play_on_each(scene)


def test_a_model_has_one_default_template(play: Run) -> None:
    async def scene(world: World) -> None:
        one, two, model = await world.template(), await world.template(), await world.model()
        for template in (one, two):
            await bindings.bind(world.platform, ROOT, model.uuid, template.uuid)

        async def default() -> list[str]:
            refs = (await bindings.of_models(world.platform, [model.uuid]))[model.uuid]
            return [ref.template for ref in refs if ref.default]

        assert await default() == [one.uuid]
        await models.update(world.platform, ROOT, model.uuid, {}, Ties(default=two.uuid))
        assert await default() == [two.uuid]
        third = await world.template()  # not bound before: it is now
        await models.update(world.platform, ROOT, model.uuid, {}, Ties(default=third.uuid))
        assert await default() == [third.uuid]
        await models.update(world.platform, ROOT, model.uuid, {}, Ties(clear_default=True))
        assert await default() == []

    play(scene)


# ---- who sees and changes what


def test_what_is_somebody_elses_is_not_there_unless_it_is_shared(play: Run) -> None:
    async def scene(world: World) -> None:
        hers = await world.template(ANNA)
        system = await world.template(ROOT, system=True)
        public = await world.model(ANNA, share_mode="Public")
        private = await world.model(ANNA)

        found = await seen(world, BEN, templates)
        also = await seen(world, BEN, models)
        visible = {one.uuid for one in (*found, *also)}
        assert visible & {hers.uuid, private.uuid} == set()
        assert visible >= {system.uuid, public.uuid}
        with pytest.raises(NotFound):
            await templates.update(world.platform, BEN, hers.uuid, {"name": "mine"})
        with pytest.raises(Forbidden):
            await templates.update(world.platform, BEN, system.uuid, {"name": "mine"})
        await templates.delete(world.platform, BEN, hers.uuid, ENFORCING)  # as if it were not there
        with pytest.raises(Forbidden):
            await models.delete(world.platform, BEN, public.uuid, ENFORCING)
        assert (await templates.find(world.platform, ANNA, hers.uuid)) == hers
        with pytest.raises(NotFound):
            await world.template(BEN, models=[private.uuid])
        with pytest.raises(Forbidden):  # neither is his
            await bindings.bind(world.platform, BEN, public.uuid, system.uuid)
        ref = await bindings.bind(world.platform, BEN, (await world.model(BEN)).uuid, system.uuid)
        assert not ref.default  # that would change what all others get

    play(scene)


def test_a_strangers_binding_gives_nobody_else_a_model(play: Run) -> None:
    async def scene(world: World) -> None:
        system = await world.template(system=True)
        await world.model(BEN, Ties(default=system.uuid))

        async def served(actor: Principal) -> str:
            wish = DeployWish(zone=zones.first_id("local"))
            plan = await world.db.read(resolving.plan, world.platform, actor, system.uuid, wish)
            return plan.registration.model

        assert [await served(actor) for actor in (ROOT, ANNA)] == ["", ""]
        assert await served(BEN) != ""
        mine = await world.model(share_mode="Public", ties=Ties((system.uuid,)))
        assert [await served(actor) for actor in (ROOT, ANNA)] == [mine.uuid, mine.uuid]

    play(scene)


def test_lookup_prefers_uuid_then_shipped_then_own_then_the_newest(play: Run) -> None:
    async def scene(world: World) -> None:
        spec = "smollm2_135m_q4"
        await world.template(ANNA, name=spec)
        shared = await world.template(ROOT, name="chat", system=True)
        own = await world.template(ANNA)
        newer = await world.template(ANNA)
        await world.template(ROOT, name="chat", system=True)

        async def uuid(actor: Any, name: str) -> str | None:
            found = await templates.lookup(world.platform, actor, name)
            return found and found.uuid

        assert await uuid(ANNA, own.uuid) == own.uuid
        assert await uuid(ANNA, spec) == first_start.template_id(spec)
        assert await uuid(ANNA, "chat") == newer.uuid
        assert await uuid(BEN, own.uuid) is None
        assert await uuid(BEN, "chat") not in {None, newer.uuid, shared.uuid}
        assert await uuid(BEN, "no such") is None

    play(scene)


# ---- update and clone


def test_an_update_replaces_what_it_names_and_moves_the_date_only_then(play: Run) -> None:
    async def scene(world: World) -> None:
        image = ArchitectureImage("", "X86_64", "repo/a:1")
        made = await world.template(images=(image,), environment={"A": "1", "B": "2"})
        world.clock.advance(60)
        marks = Marks()
        same = await templates.update(world.platform, ROOT, made.uuid, {"name": "chat"}, marks)
        assert (same, marks.called) == (made, [made.uuid])
        changes = {
            "environment": {"C": "3"},
            "images": (ArchitectureImage("", "AARCH64", "repo/b:1"),),
            "service_name": "web",
            "service_ports": (9000,),
            "service_readyz": "/ready",
            "service_boot_time": 30,
        }
        new = await templates.update(world.platform, ROOT, made.uuid, changes)
        assert (new.updated, new.created) == (world.clock.now, made.created)
        assert new.environment == {"C": "3"}
        assert new.architectures == ("AARCH64",)
        assert new.images[0].uuid not in {"", made.images[0].uuid}
        content = service_yaml.parse(new.yaml).services[0]
        assert (content.name, content.ports, content.readyz) == ("web", (9000,), "/ready")
        assert content.boot_seconds == 30
        assert new == await templates.find(world.platform, ROOT, made.uuid)
        with pytest.raises(Invalid, match="requestCpu"):
            await templates.update(world.platform, ROOT, made.uuid, {"request_cpu": 0})
        for bad, field in (
            ({"environment": {"A=": "x"}}, "environmentParameters"),
            ({"environment": {"": "x"}}, "environmentParameters"),
            ({"startup_parameters": {"": "x"}}, "startupParameters"),
        ):
            with pytest.raises(Invalid, match=field):
                await templates.update(world.platform, ROOT, made.uuid, bad)
        with pytest.raises(NotFound):
            await templates.update(world.platform, ROOT, NOWHERE, {})
        with pytest.raises(Conflict, match="shipped"):
            spec = first_start.template_id("smollm2_135m_q4")
            await templates.update(world.platform, ROOT, spec, {"name": "x"})

    play(scene)


def test_what_was_read_from_other_files_is_forgotten(play: Run) -> None:
    async def scene(world: World) -> None:
        made = await world.template()
        measured = replace(made, size=5, readme="# Old")
        await world.db.write(template_rows.change, measured)
        new = await templates.update(world.platform, ROOT, made.uuid, {"install_path": "b"})
        assert (new.size, new.readme, new.version) == (0, None, None)

    play(scene)


def test_a_clone_has_bindings_and_images_of_its_own(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        model = await world.model()
        image = ArchitectureImage("", "X86_64", "repo/a:1")
        old = await world.template(images=(image,), models=[model.uuid], system=True)
        world.clock.advance(5)
        extras = Extras(uuid=UUID, user_tags=("copy",))
        marks = Marks()
        new = await templates.clone(
            world.platform, ANNA, old.uuid, {"name": "mine", "size": 9}, extras, marks
        )
        assert new == replace(
            old,
            uuid=UUID,
            name="mine",
            owner=ANNA.id,
            system=False,
            size=9,
            size_given=True,
            created=world.clock.now,
            updated=world.clock.now,
            images=new.images,
        )
        assert new.images[0].docker_image == "repo/a:1"
        assert new.images[0].uuid != old.images[0].uuid
        refs = await bindings.of_templates(world.platform, [old.uuid, UUID])
        assert [(ref.model, ref.default) for ref in refs[UUID]] == [(model.uuid, False)]
        assert refs[old.uuid][0].default
        assert await tag_texts(world, UUID) == [("copy", False)]
        assert marks.called == [UUID]
        assert await world.db.read(facts.under, "copy:") == {}  # the same files

    play_on_each(scene)


def test_a_clone_with_another_path_leaves_word_to_copy_the_files(play: Run) -> None:
    async def scene(world: World) -> None:
        old = await world.template()
        new = await templates.clone(
            world.platform, ROOT, old.uuid, {"install_path": "b_2.0.0"}, Extras()
        )
        assert (new.version, new.size) == ("2.0.0", 0)
        root = world.home.models
        said = await world.db.read(facts.get, f"copy:{new.uuid}")
        assert said == f'{{"from": "{root}/chat_1.2.3", "to": "{root}/b_2.0.0"}}'
        assert f"copy:{new.uuid}" in world.surveyed
        spec = first_start.template_id("smollm2_135m_q4")
        copy = await templates.clone(world.platform, ANNA, spec, {}, Extras())
        assert not (copy.shipped or copy.system)
        with pytest.raises(Forbidden):
            await templates.clone(world.platform, ANNA, spec, {"system": True}, Extras())
        with pytest.raises(Forbidden):
            await templates.clone(world.platform, ANNA, spec, {"install_path": "/etc"}, Extras())

    play(scene)


# ---- delete


def running(**fields: Any) -> dict[str, Any]:
    return {"name": "svc_run", "registration": Registration(**fields)}


@pytest.mark.parametrize("kind", ["template", "model"])
def test_what_a_deployment_uses_is_refused_by_name_or_detached(
    play_on_each: Run, kind: str
) -> None:
    async def scene(world: World) -> None:
        thing = await (world.template() if kind == "template" else world.model())
        module: Any = templates if kind == "template" else models
        service = await world.service(**running(**{kind: thing.uuid}, title="Chat!"))
        marks = Marks()
        with pytest.raises(InUse) as caught:
            await module.delete(world.platform, ROOT, thing.uuid, PERMISSIVE, marks)
        assert "Chat!" in caught.value.message
        assert service.id in caught.value.message
        assert (await module.find(world.platform, ROOT, thing.uuid)) == thing
        assert (await world.now(service)) == service
        assert (marks.called, world.woken) == ([], [])

        world.clock.advance(9)
        await module.delete(world.platform, ROOT, thing.uuid, ENFORCING, marks)
        with pytest.raises(NotFound):
            await module.find(world.platform, ROOT, thing.uuid)
        after = await world.now(service)
        assert after == replace(
            service,
            registration=Registration(title="Chat!"),
            revision=2,
            updated=world.clock.now,
            change=Change.UPDATE,
        )
        assert after.rollout == service.rollout  # no replica is touched
        assert (marks.called, world.woken) == ([thing.uuid], [service.id])
        assert [event.reason for event in await world.events(service)] == ["ServiceDetached"]

    play_on_each(scene)


def test_stopped_and_going_deployments_do_not_hold_a_template(play: Run) -> None:
    async def scene(world: World) -> None:
        template = await world.template()
        held = Registration(template=template.uuid)
        stopped = await world.service(
            name="svc_stopped",
            wanted=Wanted.STOPPED,
            change=Change.STOP,
            seen=Seen(revision=1, settled=1),
            registration=held,
        )
        going = await world.service(
            name="svc_going", wanted=Wanted.DELETED, change=Change.DELETE, registration=held
        )
        await templates.delete(world.platform, ROOT, template.uuid, PERMISSIVE)
        for service in (stopped, going):
            after = await world.now(service)
            assert after.registration.template == ""
            assert after.wanted is service.wanted
        assert (await world.now(going)).change is Change.DELETE

    play(scene)


def test_a_deployment_that_still_stops_holds_its_template(play: Run) -> None:
    async def scene(world: World) -> None:
        template = await world.template()
        await world.service(
            name="svc_stopping",
            wanted=Wanted.STOPPED,
            change=Change.STOP,
            seen=Seen(revision=1, replicas=(a_replica(),)),
            registration=Registration(template=template.uuid),
        )
        with pytest.raises(InUse):
            await templates.delete(world.platform, ROOT, template.uuid, PERMISSIVE)

    play(scene)


def test_bindings_and_tags_go_with_their_object(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        template = await world.template(extras=Extras(user_tags=("a",), system_tags=("a::b",)))
        model = await world.model(ties=Ties((template.uuid,)), extras=Extras(user_tags=("m",)))
        await templates.delete(world.platform, ROOT, template.uuid, PERMISSIVE)
        assert await tag_texts(world, template.uuid) == []
        assert await bindings.of_models(world.platform, [model.uuid]) == {model.uuid: ()}
        await models.delete(world.platform, ROOT, model.uuid, PERMISSIVE)
        assert await tag_texts(world, model.uuid) == []

    play_on_each(scene)


def test_deleting_what_is_not_there_succeeds_and_is_marked(play: Run) -> None:
    async def scene(world: World) -> None:
        marks = Marks()
        for mode in DeleteMode:
            await templates.delete(world.platform, ROOT, NOWHERE, mode, marks)
            await models.delete(world.platform, ROOT, NOWHERE, mode, marks)
            await centers.delete(world.platform, ROOT, NOWHERE, mode, marks)
        await datasets.delete(world.platform, ROOT, NOWHERE, marks)
        assert marks.called == [NOWHERE] * 7

    play(scene)


@pytest.mark.parametrize("mode", list(DeleteMode))
def test_what_is_shipped_and_the_default_center_stay_in_both_modes(
    play: Run, mode: DeleteMode
) -> None:
    async def scene(world: World) -> None:
        spec = first_start.template_id("smollm2_135m_q4")
        with pytest.raises(Conflict, match="shipped"):
            await templates.delete(world.platform, ROOT, spec, mode)
        with pytest.raises(Conflict, match="default"):
            await centers.delete(world.platform, ROOT, world.center, mode)
        registered = await world.template(system=True)  # like any other
        await templates.delete(world.platform, ROOT, registered.uuid, mode)

    play(scene)


def test_a_center_that_holds_something_is_refused_or_takes_it_along(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        center = await world.add_center()
        template = await world.template(center=center.uuid, name="kept")
        model = await world.model(center=center.uuid, ties=Ties((template.uuid,)))
        data = await world.dataset(center=center.uuid)
        service = await world.service(
            **running(template=template.uuid, model=model.uuid, datasets=(data.uuid,))
        )
        with pytest.raises(InUse) as caught:
            await centers.delete(world.platform, ROOT, center.uuid, PERMISSIVE)
        for thing in (template, model, data):
            assert f"{thing.name} [{thing.uuid}]" in caught.value.message
        await centers.delete(world.platform, ROOT, center.uuid, ENFORCING)
        assert await world.db.read(center_rows.load, center.uuid) is None
        assert await seen(world, ROOT, models) == ()
        assert (await datasets.page(world.platform, ROOT, Query())).rows == ()
        assert (await world.now(service)).registration == Registration()
        empty = await world.add_center()
        await centers.delete(world.platform, ROOT, empty.uuid, PERMISSIVE)

    play_on_each(scene)


# ---- centers, zones, datasets


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": ""}, Invalid),
        ({"name": "n" * 129}, Invalid),
        ({"url": "file://host/x"}, Invalid),
        ({"url": "file:///a/../b"}, Invalid),
        ({"management_port": 70000}, Invalid),
        ({"zone": NOWHERE}, NotFound),
        ({"actor": ANNA, "url": "file:///etc"}, Forbidden),
        ({"actor": ANNA, "url": "/etc"}, Forbidden),
        ({"actor": ANNA, "url": "file:///srv/shared/x"}, None),
        ({"actor": ANNA, "url": "10.0.0.1:/ai"}, None),
    ],
)
def test_a_center_has_a_root_that_its_maker_may_use(
    play: Run, fields: dict[str, Any], error: type[PierheadError] | None
) -> None:
    async def scene(world: World) -> None:
        if error is not None:
            with pytest.raises(error):
                await world.add_center(**fields)
            return
        made = await world.add_center(**fields)
        assert (made.connected, made.default) == (True, False)
        assert made.zone == zones.first_id("local")
        assert world.surveyed == [f"center:{made.uuid}"]
        assert await centers.find(world.platform, made.uuid) == made

    play(scene)


def test_a_center_is_changed_field_by_field(play: Run) -> None:
    async def scene(world: World) -> None:
        made = await world.add_center()
        world.clock.advance(1)
        changes = {"url": "file:///srv/new", "container_registry": "reg:5000"}
        new = await centers.update(world.platform, ROOT, made.uuid, changes)
        assert new == replace(
            made, url="file:///srv/new", container_registry="reg:5000", updated=world.clock.now
        )
        with pytest.raises(Forbidden):
            await centers.update(world.platform, ANNA, made.uuid, {"url": "file:///etc"})
        with pytest.raises(NotFound, match="ModelCenterVO"):
            await centers.update(world.platform, ROOT, NOWHERE, {})

    play(scene)


def test_a_new_default_zone_takes_the_mark_from_the_old_one(play: Run) -> None:
    async def scene(world: World) -> None:
        zone = Zone("", "east", 0.0, 0.0, default=True)
        made = await zones.add(world.platform, ROOT, zone, Extras())
        found = (await zones.page(world.platform, ROOT, Query())).rows
        assert {one.name: one.default for one in found} == {"local": False, "east": True}
        assert (await world.template()).zone == made.uuid
        assert (await world.template(zone=zones.first_id("local"))).zone != made.uuid
        with pytest.raises(Unsupported):
            await zones.add(world.platform, ROOT, zone, Extras(user_tags=("x",)))

    play(scene)


def test_a_dataset_goes_and_deployments_let_go_of_it(play: Run) -> None:
    async def scene(world: World) -> None:
        data = await world.dataset(url="file:///srv/shared/d")
        kept = await world.dataset(url="https://example.org/d")
        assert (data.install_path, kept.install_path) == ("/srv/shared/d", None)
        service = await world.service(**running(datasets=(data.uuid, kept.uuid)))
        world.clock.advance(1)
        new = await datasets.update(world.platform, ROOT, data.uuid, {"data_type": "Text"})
        assert (new.data_type, new.updated) == ("Text", world.clock.now)
        await datasets.delete(world.platform, ROOT, data.uuid)
        assert (await world.now(service)).registration.datasets == (kept.uuid,)
        assert world.woken == [service.id]
        with pytest.raises(Forbidden):
            await world.dataset(ANNA, url="file:///etc")
        with pytest.raises(Forbidden):
            await world.dataset(ANNA, system=True)

    play(scene)
