"""Use cases on registered templates: add, change, copy, remove, find."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from pierhead.core.errors import Conflict, Invalid
from pierhead.core.ids import registry_id
from pierhead.core.principals import Principal
from pierhead.core.query import Found, Query
from pierhead.core.registry import (
    Binding,
    DeleteMode,
    Extras,
    ModelCenter,
    RegisteredTemplate,
    ResourceType,
)
from pierhead.operations import (
    bindings,
    checks,
    detaching,
    paths,
    references,
    rights,
    tag_rows,
    zones,
)
from pierhead.operations import template_shape as shape
from pierhead.operations.platform import Also, Platform, nothing
from pierhead.store import bindings as binding_rows
from pierhead.store import centers as center_rows
from pierhead.store import facts
from pierhead.store import services as service_rows
from pierhead.store import tags as tags_of
from pierhead.store import templates as rows

KIND = ResourceType.TEMPLATE
#: A template with its bindings.
Bound = tuple[RegisteredTemplate, tuple[Binding, ...]]


async def add(
    platform: Platform,
    actor: Principal,
    template: RegisteredTemplate,
    models: Sequence[str],
    extras: Extras,
    also: Also = nothing,
) -> RegisteredTemplate:
    """Register a template; uuid, owner, times, zone and version are set here.

    Raises:
        Invalid: a field is not legal.
        NotFound: center, zone, a model or a tag pattern is not there.
        Taken: the wanted uuid is used.
        Forbidden: it asks for what only the account itself may have.
    """
    if template.system:
        rights.demand_admin(actor, "register a system template")
    shape.check(template)
    now = platform.clock()
    made = shape.versioned(
        replace(
            template,
            uuid=checks.uuid_for(platform, extras),
            owner=actor.id,
            created=now,
            updated=now,
            images=shape.fresh_images(platform.entropy, template.images, now),
        )
    )

    def write(tx: Connection) -> RegisteredTemplate:
        center = references.center(tx, made.center)
        paths.check(actor, center, made.install_path, platform.allowed_roots, "installPath")
        placed = replace(made, zone=zones.or_default(tx, platform.region, made.zone))
        _store_new(tx, platform, actor, placed, extras)
        for model in dict.fromkeys(models):
            seen = references.model(tx, actor, model)
            bindings.tie(tx, platform.entropy, actor, seen, placed)
        also(tx, placed.uuid)
        return placed

    stored = await platform.db.write(write)
    platform.survey(f"template:{stored.uuid}")
    return stored


async def update(
    platform: Platform,
    actor: Principal,
    uuid: str,
    changes: Mapping[str, Any],
    also: Also = nothing,
) -> RegisteredTemplate:
    """Change a template, by core field names and those of `template_shape.YAML_CHANGES`; deployments keep theirs.

    Raises:
        NotFound: it is not there.
        Forbidden: it is not the actor's, or a path is not for them.
        Conflict: it is shipped with the platform.
        Invalid: a field is not legal.
    """
    now = platform.clock()

    def write(tx: Connection) -> RegisteredTemplate:
        old = references.template(tx, actor, uuid)
        rights.demand_change(actor, old)
        _refuse_shipped(old)
        new = shape.changed(platform.entropy, old, changes, now)
        shape.check(new)
        _check_moved(tx, platform, actor, old, new)
        if new != old:
            new = replace(new, updated=now)
            rows.change(tx, new)
        also(tx, uuid)
        return new

    stored = await platform.db.write(write)
    platform.survey(f"template:{uuid}")
    return stored


async def clone(
    platform: Platform,
    actor: Principal,
    uuid: str,
    changes: Mapping[str, Any],
    extras: Extras,
    also: Also = nothing,
) -> RegisteredTemplate:
    """Copy a template with its bindings, with changes; another `install_path` gets the files too.

    Raises:
        NotFound: the template or a tag pattern is not there.
        Taken: the wanted uuid is used.
        Forbidden: it asks for what only the account itself may have.
        Invalid: a field is not legal.
    """
    if changes.get("system"):
        rights.demand_admin(actor, "register a system template")
    now, new_uuid = platform.clock(), checks.uuid_for(platform, extras)

    def write(tx: Connection) -> RegisteredTemplate:
        old = references.template(tx, actor, uuid)
        new = shape.copied(platform.entropy, old, changes, now)
        new = replace(new, uuid=new_uuid, owner=actor.id, created=now, updated=now)
        shape.check(new)
        center = _check_moved(tx, platform, actor, old, new)
        _store_new(tx, platform, actor, new, extras)
        for binding in binding_rows.of_templates(tx, [uuid]):
            twin = replace(
                binding,
                uuid=registry_id(platform.entropy),
                template=new.uuid,
                default=False,  # a model has one default template, and that is the old one
            )
            binding_rows.add(tx, twin)
        _note_copy(tx, center, old, new)
        also(tx, new.uuid)
        return new

    stored = await platform.db.write(write)
    platform.survey(f"copy:{stored.uuid}")
    platform.survey(f"template:{stored.uuid}")
    return stored


async def delete(
    platform: Platform, actor: Principal, uuid: str, mode: DeleteMode, also: Also = nothing
) -> None:
    """Remove a template with its bindings and tags, if it is there; deployments live on.

    Raises:
        InUse: Permissive, and a deployment that is not stopped was made from it.
        Conflict: it is shipped with the platform.
        Forbidden: it is not the actor's.
    """
    now = platform.clock()

    def write(tx: Connection) -> list[str]:
        template = rows.load(tx, uuid)
        if template is None or not rights.sees(actor, template):
            also(tx, uuid)
            return []
        rights.demand_change(actor, template)
        _refuse_shipped(template)
        if mode is DeleteMode.PERMISSIVE:
            services = service_rows.using_template(tx, uuid)
            detaching.refuse_while_used(tx, actor, template, services, now)
        changed = drop(tx, template, actor, now)
        also(tx, uuid)
        return changed

    for service in await detaching.guarded(platform, uuid, write):
        platform.wake(service)
    platform.survey(f"discard:{uuid}")


async def find(platform: Platform, actor: Principal, uuid: str) -> RegisteredTemplate:
    """A template by its uuid.

    Raises:
        NotFound: there is none that `actor` sees.
    """
    return await platform.db.read(references.template, actor, uuid)


async def lookup(platform: Platform, actor: Principal, name: str) -> RegisteredTemplate | None:
    """A template by uuid, else the shipped one of that name, else the newest own, else the newest seen."""
    return await platform.db.read(looked_up, actor, name)


def looked_up(tx: Connection, actor: Principal, name: str) -> RegisteredTemplate | None:
    """`lookup`, inside a transaction."""
    exact = rows.load(tx, name)
    if exact is not None and rights.sees(actor, exact):
        return exact
    named = [one for one in rows.by_name(tx, name) if rights.sees(actor, one)]
    shipped = [one for one in named if one.shipped]
    own = [one for one in named if one.owner == actor.id]
    return next(iter([*shipped, *own, *named]), None)


async def page_bound(platform: Platform, actor: Principal, query: Query) -> Found[Bound]:
    """Templates that `actor` sees, each with its bindings."""

    def read(tx: Connection) -> Found[Bound]:
        found = rows.page(tx, query, rights.scope(actor, KIND))
        uuids = [template.uuid for template in found.rows]
        groups = bindings.by_template(
            uuids, bindings.seen(tx, actor, binding_rows.of_templates(tx, uuids))
        )
        return Found(tuple((one, groups[one.uuid]) for one in found.rows), found.total)

    return await platform.db.read(read)


async def in_centers(
    platform: Platform, actor: Principal, uuids: Sequence[str]
) -> list[RegisteredTemplate]:
    """Templates of the named centers, of all centers when none is named.

    Raises:
        NotFound: a center is not there.
    """

    def read(tx: Connection) -> list[RegisteredTemplate]:
        if not uuids:
            return list(rows.page(tx, checks.ALL, rights.scope(actor, KIND)).rows)
        named = [references.center(tx, uuid) for uuid in dict.fromkeys(uuids)]
        found = [one for center in named for one in rows.in_center(tx, center.uuid)]
        return [template for template in found if rights.sees(actor, template)]

    return await platform.db.read(read)


def drop(tx: Connection, template: RegisteredTemplate, actor: Principal, now: float) -> list[str]:
    """Remove a template and all that hangs on it; ids of the deployments that let go of it.

    Raises:
        Stale: a deployment was changed under us.
    """
    services = service_rows.using_template(tx, template.uuid)
    changed = detaching.detach(tx, services, lambda held: replace(held, template=""), actor, now)
    for binding in binding_rows.of_templates(tx, [template.uuid]):
        binding_rows.remove(tx, binding.uuid)
    tags_of.remove_of(tx, template.uuid)
    rows.remove(tx, template.uuid)
    if not services:  # else their replicas still work in it
        facts.put(tx, f"discard:{template.uuid}", json.dumps(_place(tx, template)))
    return changed


def _store_new(
    tx: Connection,
    platform: Platform,
    actor: Principal,
    template: RegisteredTemplate,
    extras: Extras,
) -> None:
    rows.add(tx, template)
    tag_rows.attach_new(tx, platform, KIND, template.uuid, extras)


def _check_moved(
    tx: Connection,
    platform: Platform,
    actor: Principal,
    old: RegisteredTemplate,
    new: RegisteredTemplate,
) -> ModelCenter:
    """Its center; another path is checked for the actor, the old one was for whoever set it."""
    center = references.center(tx, new.center)
    if new.install_path != old.install_path:
        paths.check(actor, center, new.install_path, platform.allowed_roots, "installPath")
    return center


def _refuse_shipped(template: RegisteredTemplate) -> None:
    if template.shipped:
        problem = "is shipped with the platform and cannot be changed or removed: clone it"
        raise Conflict(KIND, template.uuid, problem)


def _note_copy(
    tx: Connection, center: ModelCenter, old: RegisteredTemplate, new: RegisteredTemplate
) -> None:
    """Keep in mind, whatever happens to this process, that the files are still to be copied.

    Raises:
        Invalid: the copy would lie within what is copied.
    """
    one, other = paths.resolve(center, old.install_path), paths.resolve(center, new.install_path)
    if one is not None and other is not None and one != other:
        if paths.inside(other, [one]):
            problem = f"[{new.install_path[:80]}] is within [{old.install_path[:80]}]"
            raise Invalid("installPath", problem, "a path outside the files that are copied")
        facts.put(tx, f"copy:{new.uuid}", json.dumps({"from": one, "to": other}))


def _place(tx: Connection, template: RegisteredTemplate) -> dict[str, str]:
    center = center_rows.load(tx, template.center)
    path = paths.resolve(center, template.install_path) if center else None
    return {"path": path or ""}
