"""Use cases on the versions of a service: what it was, and making it so again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from pierhead.core.errors import Invalid
from pierhead.core.principals import Principal
from pierhead.core.services import Registration, Seen, Service
from pierhead.core.tags import Kind
from pierhead.operations import references, services
from pierhead.operations.platform import Also, Platform
from pierhead.operations.services import Decide
from pierhead.store import history, models, templates
from pierhead.store import tags as tags_of
from pierhead.store.history import Kept


@dataclass(frozen=True, slots=True)
class Page:
    """Some versions of a service, newest first."""

    service: Service
    seen: Seen
    versions: tuple[Kept, ...]
    total: int
    gone: frozenset[
        str
    ]  #: uuids of templates and models that these name and that are there no more


async def page(platform: Platform, actor: Principal, name: str, offset: int, limit: int) -> Page:
    """Some versions of a service, as far as they are kept.

    Raises:
        NotFound: there is no such service.
        Forbidden: the actor may not look at them.
    """
    service, seen = await services.find(platform, name, actor)

    def read(tx: Connection) -> Page:
        found, total = history.page(tx, service.id, offset, limit)
        return Page(service, seen, tuple(found), total, _gone(tx, found))

    return await platform.db.read(read)


async def find(platform: Platform, service: Service, number: int) -> Kept:
    """One version of a service; what it was made from and is registered no more is left out.

    Raises:
        Invalid: it is not kept, or never was.
    """

    def read(tx: Connection) -> tuple[Kept | None, frozenset[str], list[int]]:
        # No column holds any number that a client may think of.
        kept = history.load(tx, service.id, number) if number <= service.latest else None
        if kept is None:
            return None, frozenset(), history.numbers(tx, service.id)
        return kept, _gone(tx, [kept]), []

    kept, gone, there = await platform.db.read(read)
    if kept is None:
        raise Invalid("Version", f"[{number}] is not kept", f"{_ranges(there)}, but the current")
    held = kept.registration
    return replace(kept, registration=_without(held, gone) if held else None)


async def bring_back(
    platform: Platform, actor: Principal, name: str, decide: Decide, also: Also
) -> Service:
    """Change a service to what an earlier or a later version was, as `decide` says; rolling.

    Raises:
        Invalid: it is the current one.
        NotFound: there is no such service; or what the version was made from was removed meanwhile.
        Conflict: it is being deleted, or was changed by others again and again.
        Forbidden: the actor may not do it.
    """
    wanted: list[Service] = []

    def noted(service: Service, seen: Seen, now: float) -> services.Decision:
        decision = decide(service, seen, now)
        wanted[:] = [decision.service or service]
        return decision

    def beside(tx: Connection, service: str) -> None:
        held = wanted[0].registration
        references.demand_kept(tx, Registration(template=held.template, model=held.model))
        tags_of.set_value(tx, service, Kind.GPUS, wanted[0].current.template.resources.gpu)
        also(tx, service)

    return await services.change(platform, actor, name, noted, beside)


def _gone(tx: Connection, versions: Sequence[Kept]) -> frozenset[str]:
    held = [one.registration for one in versions if one.registration is not None]
    named_templates = {one.template for one in held if one.template}
    named_models = {one.model for one in held if one.model}
    there = {one.uuid for one in templates.many(tx, named_templates)}
    there |= {one.uuid for one in models.many(tx, named_models)}
    return frozenset((named_templates | named_models) - there)


def _without(held: Registration, gone: frozenset[str]) -> Registration:
    return replace(
        held,
        template="" if held.template in gone else held.template,
        model="" if held.model in gone else held.model,
    )


def _ranges(numbers: Sequence[int]) -> str:
    """`1, 4 to 9` of whole numbers, lowest first."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join(" to ".join(map(str, part)) for part in parts)
