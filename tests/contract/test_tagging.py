"""The use cases of tags: on any object, on deployments where they act, and from patterns."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from registry_world import ANNA, BEN, Marks, Play, World, play, play_on_each, registry_url

from builders import ROOT, a_template, a_version
from pierhead.core.errors import (
    Conflict,
    Duplicate,
    Forbidden,
    Invalid,
    NotFound,
    PierheadError,
    Unsupported,
)
from pierhead.core.query import Condition, Op, Query
from pierhead.core.registry import Extras, ResourceType, Tag, TagPattern
from pierhead.core.resources import Resources
from pierhead.core.services import Change, Registration, Service, Wanted
from pierhead.operations import tag_patterns, tag_rows, tags
from pierhead.operations.tags import Wish
from pierhead.store import tags as rows

__all__ = ["play", "play_on_each", "registry_url"]

Run = Callable[[Play], None]
NOWHERE = "0" * 32
GROUP = ResourceType.GROUP


async def texts(world: World, resource: str) -> set[str]:
    return {tag.tag for tag in await world.db.read(rows.of, resource)}


async def put(world: World, service: Service, text: str, *, system: bool = True) -> Tag:
    return await tags.create(world.platform, ROOT, Wish(GROUP, service.id, text, system))


async def a_pattern(world: World, value: str = "perf::{level}", **fields: Any) -> TagPattern:
    wanted = TagPattern("", "perf", value, 0.0, 0.0, type="withToken" if "{" in value else "simple")
    return await tag_patterns.create(world.platform, ROOT, replace(wanted, **fields), Extras())


def test_a_tag_is_stored_once_per_text(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        things = {
            ResourceType.TEMPLATE: (await world.template()).uuid,
            ResourceType.MODEL: (await world.model()).uuid,
            ResourceType.DATASET: (await world.dataset()).uuid,
            ResourceType.CENTER: world.center,
        }
        for kind, uuid in things.items():
            for system, text in ((True, "a::b"), (False, "a::b"), (False, "plain")):
                marks = Marks()
                wish = Wish(kind, uuid, text, system)
                made = await tags.create(world.platform, ROOT, wish, marks)
                assert marks.called == [made.uuid]
                assert (made.resource, made.resource_type, made.inherent) == (uuid, kind, False)
                with pytest.raises(Duplicate):
                    await tags.create(world.platform, ROOT, wish)
        found = await tags.page(world.platform, ROOT, Query(), system=True)
        assert {tag.resource for tag in found.rows} == set(things.values())
        assert world.woken == []

    play_on_each(scene)


@pytest.mark.parametrize(
    ("kind", "resource", "text", "system", "error"),
    [
        ("template", "own", "plain", True, Invalid),
        ("template", "own", "a::\n", True, Invalid),
        ("template", "own", "a::" + "x" * 2046, True, Invalid),
        ("template", "own", "", False, Invalid),
        ("template", NOWHERE, "a::b", True, NotFound),
        ("model", "own", "a::b", True, NotFound),  # there is such an object, of another kind
        ("template", "system", "a::b", True, Forbidden),
        ("template", "other", "a::b", True, NotFound),
    ],
)
def test_a_tag_that_cannot_be_is_refused(
    play: Run, kind: str, resource: str, text: str, system: bool, error: type[PierheadError]
) -> None:
    async def scene(world: World) -> None:
        known = {
            "own": (await world.template(ANNA)).uuid,
            "system": (await world.template(system=True)).uuid,
            "other": (await world.template(BEN)).uuid,
        }
        uuid = known.get(resource, resource)
        wish = Wish(ResourceType[kind.upper()], uuid, text, system)
        with pytest.raises(error):
            await tags.create(world.platform, ANNA, wish)
        assert await texts(world, uuid) == set()

    play(scene)


def test_a_tag_is_changed_and_removed(play: Run) -> None:
    async def scene(world: World) -> None:
        template = await world.template(ANNA)
        wish = Wish(ResourceType.TEMPLATE, template.uuid, "a::b", system=True)
        made = await tags.create(world.platform, ANNA, wish)
        await tags.create(world.platform, ANNA, replace(wish, text="c::d"))
        world.clock.advance(1)
        new = await tags.update(world.platform, ANNA, made.uuid, "a::c")
        assert new == replace(made, tag="a::c", updated=world.clock.now)
        for text, error in (("c::d", Duplicate), ("x", Invalid)):
            with pytest.raises(error):
                await tags.update(world.platform, ANNA, made.uuid, text)
        with pytest.raises(NotFound):
            await tags.update(world.platform, BEN, made.uuid, "a::d")
        with pytest.raises(NotFound):
            await tags.update(world.platform, ROOT, NOWHERE, "a::d")
        free = await tags.create(world.platform, ANNA, replace(wish, text="x", system=False))
        with pytest.raises(NotFound, match="SystemTagVO"):
            await tags.update(world.platform, ANNA, free.uuid, "a::d")
        await tags.delete(world.platform, ANNA, free.uuid)
        assert await texts(world, template.uuid) == {"a::c", "c::d"}
        await tags.delete(world.platform, ANNA, made.uuid)
        await tags.delete(world.platform, ANNA, made.uuid)
        assert await texts(world, template.uuid) == {"c::d"}

    play(scene)


def test_who_sees_an_object_sees_its_tags(play: Run) -> None:
    async def scene(world: World) -> None:
        await world.template(ANNA, extras=Extras(user_tags=("hers",)))
        await world.template(system=True, extras=Extras(user_tags=("shared",)))
        found = await tags.page(world.platform, BEN, Query(), system=False)
        assert [tag.tag for tag in found.rows] == ["shared"]

    play(scene)


def test_the_kind_of_an_object_is_read_in_any_case() -> None:
    assert tags.resource_type("modelservicevo") is ResourceType.TEMPLATE
    with pytest.raises(Invalid, match="resourceType"):
        tags.resource_type("ZoneVO")


# ---- on deployments


def test_acting_tags_act_at_once_and_fall_back_when_they_go(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        three = await put(world, service, "ai::replicas::3")
        assert (await world.now(service)).replicas == 3
        assert (await world.now(service)).change is Change.SCALE
        assert world.woken == [service.id]
        await tags.update(world.platform, ROOT, three.uuid, "ai::replicas::5")
        after = await world.now(service)
        assert (after.replicas, after.revision) == (5, 3)
        await put(world, service, "ai::note::x")  # does nothing
        assert await world.now(service) == after
        opened = await put(world, service, "ai::auth::none")
        after = await world.now(service)
        assert (after.registration.open, after.replicas) == (True, 5)
        assert after.rollout == service.rollout  # no replica is touched
        await tags.delete(world.platform, ROOT, opened.uuid)
        assert not (await world.now(service)).registration.open
        await tags.delete(world.platform, ROOT, three.uuid)
        assert (await world.now(service)).replicas == 1

    play_on_each(scene)


def test_a_tag_of_one_kind_leaves_alone_what_came_about_without_a_tag(play: Run) -> None:
    async def scene(world: World) -> None:
        template = a_template(resources=Resources(gpu=2))
        service = await world.service(
            replicas=4,
            current=a_version(template=template),
            registration=Registration(open=True, runtime="process"),
        )
        await put(world, service, "ai::replicas::6")
        after = await world.now(service)
        assert after.replicas == 6
        assert after.current == service.current
        assert after.registration == service.registration

    play(scene)


def test_another_number_of_gpus_is_a_new_version(play: Run) -> None:
    async def scene(world: World) -> None:
        service = await world.service(replicas=2)
        await put(world, service, "ai::gpus::1")
        after = await world.now(service)
        assert (after.current.template.resources.gpu, after.latest, after.replicas) == (1, 2, 2)
        assert after.rollout != service.rollout

    play(scene)


@pytest.mark.parametrize(
    "text", ["ai::replicas::x", "ai::gpus::-1", "ai::runtime::vm", "ai::serviceName::mine"]
)
def test_a_bad_acting_tag_is_refused_and_nothing_is_done(play: Run, text: str) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        with pytest.raises(Invalid):
            await put(world, service, text)
        good = await put(world, service, "ai::replicas::2")
        before = await world.now(service)
        with pytest.raises(Invalid):
            await tags.update(world.platform, ROOT, good.uuid, text)
        with pytest.raises(Invalid):  # and not that it is a duplicate of the good one
            await put(world, service, text)
        assert await texts(world, service.id) == {"ai::replicas::2"}
        assert await world.now(service) == before

    play(scene)


def test_two_tags_of_one_kind_would_contradict_each_other(play: Run) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        await put(world, service, "ai::replicas::2")
        with pytest.raises(Duplicate, match="ai::replicas::2"):
            await put(world, service, "ai::replicas::3")
        template = await world.template()  # there they are texts like others
        for text in ("ai::replicas::2", "ai::replicas::x"):
            wish = Wish(ResourceType.TEMPLATE, template.uuid, text, system=True)
            await tags.create(world.platform, ROOT, wish)

    play(scene)


def test_the_platforms_own_tag_is_read_only(play: Run) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        own = tag_rows.inherent(world.platform.entropy, service.id, "svc_one", 1.0)
        await world.db.write(rows.add, own)
        with pytest.raises(Conflict, match="read-only"):
            await tags.update(world.platform, ROOT, own.uuid, "ai::serviceName::x")
        with pytest.raises(Conflict, match="read-only"):
            await tags.delete(world.platform, ROOT, own.uuid)
        await put(world, service, "ai::replicas::2")  # it is in nobody's way
        assert await texts(world, service.id) == {"ai::serviceName::svc_one", "ai::replicas::2"}

    play(scene)


def test_user_tags_of_a_deployment_are_its_labels(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        service = await world.service(labels={"env": "prod"})
        test = await put(world, service, "env=test", system=False)
        assert (await world.now(service)).labels == {"env": "test"}
        bare = await put(world, service, "bare", system=False)
        assert (await world.now(service)).labels == {"env": "test", "bare": ""}
        after = await world.now(service)
        assert (after.rollout, after.replicas) == (service.rollout, service.replicas)
        for tag in (test, bare):
            await tags.delete(world.platform, ROOT, tag.uuid)
        assert (await world.now(service)).labels == {}
        with pytest.raises(Invalid, match="label"):
            await put(world, service, "=x", system=False)
        assert await texts(world, service.id) == set()

    play_on_each(scene)


def test_a_deployment_that_is_going_takes_no_tag_but_loses_them(play: Run) -> None:
    async def scene(world: World) -> None:
        service = await world.service(wanted=Wanted.DELETED, change=Change.DELETE)
        with pytest.raises(Conflict, match="deleted"):
            await put(world, service, "a=b", system=False)
        assert await texts(world, service.id) == set()
        left = Tag(f"{7:032x}", service.id, GROUP, "k=v", False, 1.0, 1.0)  # noqa: FBT003
        await world.db.write(rows.add, left)
        await tags.delete(world.platform, ROOT, left.uuid)
        assert await world.now(service) == service

    play(scene)


def test_a_deployment_is_tagged_by_whom_it_belongs_to(play: Run) -> None:
    async def scene(world: World) -> None:
        service = await world.service(caller=ANNA.id)
        wish = Wish(GROUP, service.id, "a=b", system=False)
        with pytest.raises(NotFound):
            await tags.create(world.platform, BEN, wish)
        await tags.create(world.platform, ANNA, wish)

    play(scene)


# ---- patterns


def test_a_pattern_is_made_changed_and_attached(play_on_each: Run) -> None:
    async def scene(world: World) -> None:
        pattern = await a_pattern(world, color="#fff")
        template, service = await world.template(), await world.service()
        marks = Marks()
        outcomes = await tag_patterns.attach(
            world.platform,
            ROOT,
            pattern.uuid,
            [template.uuid, service.id, NOWHERE],
            {"level": "high"},
            marks,
        )
        assert [uuid for uuid, _ in outcomes] == [template.uuid, service.id, NOWHERE]
        first, second, third = (outcome for _, outcome in outcomes)
        assert isinstance(first, Tag)
        assert isinstance(second, Tag)
        assert (first.tag, first.pattern, first.system) == ("perf::high", pattern.uuid, False)
        assert first.resource_type is ResourceType.TEMPLATE
        assert isinstance(third, NotFound)
        assert marks.called == [pattern.uuid]
        assert (await world.now(service)).labels == {"perf::high": ""}
        again = await tag_patterns.attach(
            world.platform, ROOT, pattern.uuid, [template.uuid], {"level": "low"}
        )
        assert isinstance(again[0][1], Duplicate)
        by_tag = Query((Condition("tagPatternUuid", Op.EQUAL, pattern.uuid),))
        assert len((await tags.page(world.platform, ROOT, by_tag, system=False)).rows) == 2

        changed = await tag_patterns.update(world.platform, ROOT, pattern.uuid, {"name": "p"})
        assert changed == replace(pattern, name="p", updated=world.clock.now)
        assert await texts(world, template.uuid) == {"perf::high"}  # made tags keep their text

        await tag_patterns.detach(world.platform, ROOT, pattern.uuid, [service.id, NOWHERE])
        assert (await world.now(service)).labels == {}
        assert await tag_patterns.delete(world.platform, ROOT, pattern.uuid)
        assert not await tag_patterns.delete(world.platform, ROOT, pattern.uuid)
        assert await texts(world, template.uuid) == set()

    play_on_each(scene)


def test_a_pattern_named_at_creation_is_attached_as_it_is(play: Run) -> None:
    async def scene(world: World) -> None:
        pattern = await a_pattern(world, "prod")
        made = await world.template(extras=Extras(tag_patterns=(pattern.uuid,)))
        (tag,) = await world.db.read(rows.of, made.uuid)
        assert (tag.tag, tag.pattern) == ("prod", pattern.uuid)
        found = await tags.page(world.platform, ROOT, Query(), system=False)
        assert found.rows == (tag,)

    play(scene)


def test_patterns_have_bounds(play: Run) -> None:
    async def scene(world: World) -> None:
        for fields in ({"name": ""}, {"name": "n" * 129}, {"value": ""}, {"value": "v" * 129}):
            with pytest.raises(Invalid):
                await a_pattern(world, **fields) if "value" not in fields else await a_pattern(
                    world, fields["value"]
                )
        with pytest.raises(Invalid, match="token"):
            await a_pattern(world, "plain", type="withToken")
        with pytest.raises(Unsupported):
            wanted = TagPattern("", "p", "v", 0.0, 0.0)
            await tag_patterns.create(world.platform, ROOT, wanted, Extras(user_tags=("x",)))
        pattern = await a_pattern(world)
        template = await world.template()
        with pytest.raises(Invalid, match="level"):
            await tag_patterns.attach(world.platform, ROOT, pattern.uuid, [template.uuid], {})
        for act in (tag_patterns.attach, tag_patterns.update):
            with pytest.raises(NotFound, match="TagPatternVO"):
                arguments: tuple[Any, ...] = ([], {}) if act is tag_patterns.attach else ({},)
                await act(world.platform, ROOT, NOWHERE, *arguments)

    play(scene)
