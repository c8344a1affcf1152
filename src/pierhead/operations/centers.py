"""Use cases on model centers: storage roots under which models, templates and datasets lie."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from pierhead.core.errors import Conflict, Forbidden, InUse
from pierhead.core.ids import fixed_id
from pierhead.core.principals import Principal
from pierhead.core.query import Found, Query
from pierhead.core.registry import (
    Dataset,
    DeleteMode,
    Extras,
    Model,
    ModelCenter,
    RegisteredTemplate,
    ResourceType,
)
from pierhead.operations import (
    checks,
    datasets,
    detaching,
    models,
    paths,
    references,
    rights,
    tag_rows,
    templates,
    zones,
)
from pierhead.operations.platform import Also, Platform, nothing
from pierhead.store import centers as rows
from pierhead.store import datasets as dataset_rows
from pierhead.store import models as model_rows
from pierhead.store import tags as tags_of
from pierhead.store import templates as template_rows

KIND = ResourceType.CENTER
_PORTS = 65535
_NAME = 128  #: characters of a center's name: fewer than of other names


async def add(
    platform: Platform,
    actor: Principal,
    center: ModelCenter,
    extras: Extras,
    also: Also = nothing,
) -> ModelCenter:
    """Register a center, connected until a look at its root says otherwise.

    Raises:
        Invalid: a field is not legal.
        NotFound: the zone or a tag pattern is not there.
        Taken: the wanted uuid is used.
        Forbidden: its root is not for the actor.
    """
    check(center)
    paths.check_root(actor, center.url, platform.allowed_roots)
    now = platform.clock()
    made = replace(
        center,
        uuid=checks.uuid_for(platform, extras),
        created=now,
        updated=now,
        default=False,
        connected=True,
    )

    def write(tx: Connection) -> ModelCenter:
        placed = replace(made, zone=zones.or_default(tx, platform.region, made.zone))
        rows.add(tx, placed)
        tag_rows.attach_new(tx, platform, KIND, placed.uuid, extras)
        also(tx, placed.uuid)
        return placed

    stored = await platform.db.write(write)
    platform.survey(f"center:{stored.uuid}")
    return stored


async def update(
    platform: Platform,
    actor: Principal,
    uuid: str,
    changes: Mapping[str, Any],
    also: Also = nothing,
) -> ModelCenter:
    """Change a center, by core field names; another root is looked at soon.

    Raises:
        NotFound: it is not there.
        Invalid: a field is not legal.
        Forbidden: its new root is not for the actor.
    """
    now = platform.clock()

    def write(tx: Connection) -> ModelCenter:
        old = references.center(tx, uuid)
        new = replace(old, **changes)
        check(new)
        if new.zone is not None and new.zone != old.zone:
            zones.existing(tx, new.zone)
        if new.url != old.url:
            paths.check_root(actor, new.url, platform.allowed_roots)
            _demand_own(tx, actor, old)
        if new != old:
            new = replace(new, updated=now)
            rows.change(tx, new)
        also(tx, uuid)
        return new

    stored = await platform.db.write(write)
    platform.survey(f"center:{uuid}")
    return stored


async def delete(
    platform: Platform, actor: Principal, uuid: str, mode: DeleteMode, also: Also = nothing
) -> None:
    """Remove a center, if it is there; Enforcing removes what is registered in it too, no files.

    Raises:
        Conflict: it is the default one.
        InUse: Permissive, and it holds something.
    """
    now = platform.clock()

    def write(tx: Connection) -> list[str]:
        center = rows.load(tx, uuid)
        changed: list[str] = []
        if center is not None:
            if center.default:
                raise Conflict(KIND, uuid, f"[{center.name}] is the default one: it stays")
            changed = _drop(tx, center, mode, actor, now)
        also(tx, uuid)
        return changed

    for service in await detaching.guarded(platform, uuid, write):
        platform.wake(service)


async def find(platform: Platform, uuid: str) -> ModelCenter:
    """A center by its uuid; everybody sees them all.

    Raises:
        NotFound: there is none.
    """
    return await platform.db.read(references.center, uuid)


async def page(platform: Platform, actor: Principal, query: Query) -> Found[ModelCenter]:
    """Centers; everybody sees them all whom no policy keeps from it."""
    return await platform.db.read(rows.page, query, rights.scope(actor, KIND))


def first_id(region: str) -> str:
    """The uuid of the center that the first start makes."""
    return fixed_id("model-center", region)


def check(center: ModelCenter) -> None:
    """Refuse what no center may have.

    Raises:
        Invalid: the first field that is not legal.
    """
    checks.name(center.name)
    checks.texts(
        [
            ("name", center.name, _NAME),
            ("url", center.url, checks.PATH),
            ("description", center.description, checks.DESCRIPTION),
            ("parameters", center.parameters, checks.DESCRIPTION),
            ("managementIp", center.management_ip, _NAME),
            ("storageNetworkUuid", center.storage_network, checks.NAME),
            ("serviceNetworkUuid", center.service_network, checks.NAME),
            ("containerRegistry", center.container_registry, checks.PATH),
            ("containerNetwork", center.container_network, checks.PATH),
            ("containerStorageNetwork", center.container_storage_network, checks.PATH),
        ]
    )
    checks.between("managementPort", center.management_port, 0, _PORTS)


def _drop(
    tx: Connection, center: ModelCenter, mode: DeleteMode, actor: Principal, now: float
) -> list[str]:
    held_models = model_rows.in_center(tx, center.uuid)
    held_templates = template_rows.in_center(tx, center.uuid)
    held_datasets = dataset_rows.in_center(tx, center.uuid)
    if mode is DeleteMode.PERMISSIVE:
        _refuse_full(actor, center, [*held_models, *held_templates, *held_datasets])
    _demand_own(tx, actor, center)
    changed = [
        *(id_ for one in held_models for id_ in models.drop(tx, one, actor, now)),
        *(id_ for one in held_templates for id_ in templates.drop(tx, one, actor, now)),
        *(id_ for one in held_datasets for id_ in datasets.drop(tx, one, actor, now)),
    ]
    tags_of.remove_of(tx, center.uuid)
    rows.remove(tx, center.uuid)
    return changed


def _demand_own(tx: Connection, actor: Principal, center: ModelCenter) -> None:
    """Centers are everybody's; what others keep in one is not to be moved or removed with it.

    Raises:
        Forbidden: something in it is not the actor's.
    """
    things = (
        *model_rows.in_center(tx, center.uuid),
        *template_rows.in_center(tx, center.uuid),
        *dataset_rows.in_center(tx, center.uuid),
    )
    if not all(rights.owns(actor, thing) for thing in things):
        raise Forbidden("a change", f"{KIND} [{center.uuid}]: others keep things in it")


def _refuse_full(
    actor: Principal, center: ModelCenter, held: list[Model | RegisteredTemplate | Dataset]
) -> None:
    kinds = {
        ResourceType.MODEL: [one for one in held if isinstance(one, Model)],
        ResourceType.TEMPLATE: [one for one in held if isinstance(one, RegisteredTemplate)],
        ResourceType.DATASET: [one for one in held if isinstance(one, Dataset)],
    }
    told = [
        detaching.named(
            kind,
            ((one.name, one.uuid) for one in things if rights.sees(actor, one)),
            len(things),
        )
        for kind, things in kinds.items()
        if things
    ]
    if told:
        raise InUse(KIND, center.uuid, f"[{center.name}] holds {'; '.join(told)}")
