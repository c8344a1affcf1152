"""Use cases on datasets: rows that say where data lies; nothing is downloaded."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from pierhead.core.principals import Principal
from pierhead.core.query import Found, Query
from pierhead.core.registry import Dataset, Extras, ModelCenter, ResourceType
from pierhead.core.services import Registration
from pierhead.operations import checks, detaching, paths, references, rights, tag_rows
from pierhead.operations.platform import Also, Platform, nothing
from pierhead.store import datasets as rows
from pierhead.store import services as service_rows
from pierhead.store import tags as tags_of

KIND = ResourceType.DATASET


async def add(
    platform: Platform, actor: Principal, dataset: Dataset, extras: Extras, also: Also = nothing
) -> Dataset:
    """Register a dataset; uuid, owner, times and install path are set here.

    Raises:
        Invalid: a field is not legal.
        NotFound: center or a tag pattern is not there.
        Taken: the wanted uuid is used.
        Forbidden: it asks for what only the account itself may have.
    """
    if dataset.system:
        rights.demand_admin(actor, "register a system dataset")
    check(dataset)
    now = platform.clock()
    made = replace(
        dataset,
        uuid=checks.uuid_for(platform, extras),
        owner=actor.id,
        created=now,
        updated=now,
    )

    def write(tx: Connection) -> Dataset:
        center = references.center(tx, made.center)
        placed = replace(made, install_path=_path(platform, actor, center, made.url))
        rows.add(tx, placed)
        tag_rows.attach_new(tx, platform, KIND, placed.uuid, extras)
        also(tx, placed.uuid)
        return placed

    stored = await platform.db.write(write)
    platform.survey(f"dataset:{stored.uuid}")
    return stored


async def update(
    platform: Platform,
    actor: Principal,
    uuid: str,
    changes: Mapping[str, Any],
    also: Also = nothing,
) -> Dataset:
    """Change a dataset, by core field names.

    Raises:
        NotFound: it is not there.
        Forbidden: it is not the actor's.
        Invalid: a field is not legal.
    """
    now = platform.clock()

    def write(tx: Connection) -> Dataset:
        old = references.dataset(tx, actor, uuid)
        rights.demand_change(actor, old)
        new = replace(old, **changes)
        check(new)
        if new != old:
            new = replace(new, updated=now)
            rows.change(tx, new)
        also(tx, uuid)
        return new

    return await platform.db.write(write)


async def delete(platform: Platform, actor: Principal, uuid: str, also: Also = nothing) -> None:
    """Remove a dataset and its references, if it is there; its files and deployments stay.

    Raises:
        Forbidden: it is not the actor's.
    """
    now = platform.clock()

    def write(tx: Connection) -> list[str]:
        dataset = rows.load(tx, uuid)
        changed: list[str] = []
        if dataset is not None and rights.sees(actor, dataset):
            rights.demand_change(actor, dataset)
            changed = drop(tx, dataset, actor, now)
        also(tx, uuid)
        return changed

    for service in await detaching.guarded(platform, uuid, write):
        platform.wake(service)


async def page(platform: Platform, actor: Principal, query: Query) -> Found[Dataset]:
    """Datasets that `actor` sees."""
    return await platform.db.read(rows.page, query, rights.scope(actor, KIND))


def drop(tx: Connection, dataset: Dataset, actor: Principal, now: float) -> list[str]:
    """Remove a dataset and all that hangs on it; ids of the deployments that let go of it.

    Raises:
        Stale: a deployment was changed under us.
    """

    def let_go(held: Registration) -> Registration:
        return replace(held, datasets=tuple(one for one in held.datasets if one != dataset.uuid))

    using = [
        service
        for service, _seen in service_rows.everything(tx)
        if dataset.uuid in service.registration.datasets
    ]
    changed = detaching.detach(tx, using, let_go, actor, now)
    tags_of.remove_of(tx, dataset.uuid)
    rows.remove(tx, dataset.uuid)
    return changed


def check(dataset: Dataset) -> None:
    """Refuse what no dataset may have.

    Raises:
        Invalid: the first field that is not legal.
    """
    checks.name(dataset.name)
    checks.texts(
        [
            ("url", dataset.url, checks.PATH),
            ("description", dataset.description, checks.DESCRIPTION),
        ]
    )


def _path(platform: Platform, actor: Principal, center: ModelCenter, url: str) -> str | None:
    """Where the data lies: a `file://` address or a path; None for addresses elsewhere.

    Raises:
        Invalid, Forbidden: as `paths.check`.
    """
    path = paths.local(url) or (None if ":" in url else url)
    if url.startswith("file://") or path is not None:
        paths.check(actor, center, path or url, platform.allowed_roots, "url")
    return path
