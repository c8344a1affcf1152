"""Use cases on registered templates: add, change, copy, remove, find."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from pierhead.core import versions
from pierhead.core.errors import Conflict, Invalid, PierheadError
from pierhead.core.ids import registry_id
from pierhead.core.principals import Principal
from pierhead.core.query import Found, Query
from pierhead.core.registry import (
    ArchitectureImage,
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
    service_yaml,
    tag_rows,
    zones,
)
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

#: Changes that go into the first service of the YAML, and what `service_yaml` calls them.
YAML_CHANGES = {
    "service_name": "name",
    "service_ports": "ports",
    "service_livez": "livez",
    "service_readyz": "readyz",
    "service_boot_time": "boot_seconds",
}
_COMMAND = 64 * 1024


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
    check(template)
    now = platform.clock()
    made = _versioned(
        replace(
            template,
            uuid=checks.uuid_for(platform, extras),
            owner=actor.id,
            created=now,
            updated=now,
            images=_images(platform, template.images, now),
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
    """Change a template, by core field names and those of `YAML_CHANGES`; deployments keep theirs.

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
        new = _changed(platform, old, changes, now)
        check(new)
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
        new = _copied(platform, old, changes, now)
        new = replace(new, uuid=new_uuid, owner=actor.id, created=now, updated=now)
        check(new)
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
            detaching.refuse_while_used(tx, KIND, uuid, services, now)
        changed = drop(tx, template, actor, now)
        also(tx, uuid)
        return changed

    for service in await detaching.guarded(platform, uuid, write):
        platform.wake(service)
    platform.survey(f"discard:{uuid}")


async def delete_many(
    platform: Platform, actor: Principal, uuids: Sequence[str], mode: DeleteMode
) -> list[tuple[str, PierheadError | None]]:
    """`delete` each; what became of it, in the order asked."""
    outcomes: list[tuple[str, PierheadError | None]] = []
    for uuid in uuids:
        try:
            await delete(platform, actor, uuid, mode)
        except PierheadError as error:
            outcomes.append((uuid, error))
        else:
            outcomes.append((uuid, None))
    return outcomes


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


async def page(platform: Platform, actor: Principal, query: Query) -> Found[RegisteredTemplate]:
    """Templates that `actor` sees."""
    return await platform.db.read(rows.page, query, rights.scope(actor))


async def page_bound(platform: Platform, actor: Principal, query: Query) -> Found[Bound]:
    """Templates that `actor` sees, each with its bindings."""

    def read(tx: Connection) -> Found[Bound]:
        found = rows.page(tx, query, rights.scope(actor))
        uuids = [template.uuid for template in found.rows]
        groups = bindings.by_template(uuids, binding_rows.of_templates(tx, uuids))
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
            return list(rows.page(tx, checks.ALL, rights.scope(actor)).rows)
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


def check(template: RegisteredTemplate) -> None:
    """Refuse what no template may have.

    Raises:
        Invalid: the first field that is not legal.
    """
    checks.name(template.name)
    checks.texts(
        [
            ("description", template.description, checks.DESCRIPTION),
            ("yaml", template.yaml, checks.MIB),
            ("gpuComputeCapability", template.gpu_capability, 32),
            ("installPath", template.install_path, checks.PATH),
            ("startCommand", template.start_command, _COMMAND),
            ("pythonVersion", template.python_version, 32),
            ("condaVersion", template.conda_version, 32),
            ("framework", template.framework, checks.NAME),
            ("containerCommand", template.container_command, _COMMAND),
            ("containerArgs", template.container_args, _COMMAND),
            ("readme", template.readme, checks.MIB),
        ]
    )
    checks.between("requestCpu", template.request_cpu, 1, checks.INTEGER)
    checks.between("requestMemory", template.request_memory, 1, checks.LONG)
    checks.between("size", template.size, 0, checks.LONG)


def outdated(template: RegisteredTemplate, shipped: Sequence[RegisteredTemplate]) -> bool:
    """Is there a newer version of this system template among those shipped with the platform?"""
    return template.system and any(
        one.name == template.name and versions.newer(one.version, template.version)
        for one in shipped
    )


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


def _changed(
    platform: Platform, old: RegisteredTemplate, changes: Mapping[str, Any], now: float
) -> RegisteredTemplate:
    """`old` with the fields changed, and what follows from them."""
    plain = {key: value for key, value in changes.items() if key not in YAML_CHANGES}
    inside = {YAML_CHANGES[key]: value for key, value in changes.items() if key in YAML_CHANGES}
    if "images" in plain:
        plain |= {
            "images": _images(platform, plain["images"], now),
            "cpu_architectures": plain.get("cpu_architectures", ()),
        }
    new = replace(old, **plain)
    if inside:
        new = replace(new, yaml=service_yaml.patched(new.yaml, **inside))
    return _versioned(_unmeasured(old, new))


def _copied(
    platform: Platform, old: RegisteredTemplate, changes: Mapping[str, Any], now: float
) -> RegisteredTemplate:
    """The copy of a template: nobody's, shipped by nobody, with what the clone was given."""
    given = {
        "system": False,
        "shipped": False,
        "size_given": bool(changes.get("size")),
        "readme_given": changes.get("readme") is not None,
        "images": changes.get("images", old.images),  # new uuids in any case
        "cpu_architectures": old.cpu_architectures if "images" not in changes else (),
    }
    return _changed(platform, old, given | dict(changes), now)


def _unmeasured(old: RegisteredTemplate, new: RegisteredTemplate) -> RegisteredTemplate:
    """What was read from the files of another path is not true any more."""
    if new.install_path == old.install_path:
        return new
    return replace(
        new,
        size=new.size if new.size_given else 0,
        readme=new.readme if new.readme_given else None,
    )


def _versioned(template: RegisteredTemplate) -> RegisteredTemplate:
    version = versions.of_path(template.install_path) or _yaml_version(template.yaml)
    return replace(template, version=version)


def _yaml_version(text: str) -> str | None:
    if versions.of_text(text) is None:  # far cheaper than to parse it
        return None
    try:
        services = service_yaml.parse(text).services
    except Invalid:  # that is for the deployment to say
        return None
    return versions.of_name(services[0].name or "") if services else None


def _images(
    platform: Platform, images: Sequence[ArchitectureImage], now: float
) -> tuple[ArchitectureImage, ...]:
    return tuple(
        replace(image, uuid=registry_id(platform.entropy), created=now, updated=now)
        for image in images
    )


def _refuse_shipped(template: RegisteredTemplate) -> None:
    if template.shipped:
        problem = "is shipped with the platform and cannot be changed or removed: clone it"
        raise Conflict(KIND, template.uuid, problem)


def _note_copy(
    tx: Connection, center: ModelCenter, old: RegisteredTemplate, new: RegisteredTemplate
) -> None:
    """Keep in mind, whatever happens to this process, that the files are still to be copied."""
    one, other = paths.resolve(center, old.install_path), paths.resolve(center, new.install_path)
    if one is not None and other is not None and one != other:
        facts.put(tx, f"copy:{new.uuid}", json.dumps({"from": one, "to": other}))


def _place(tx: Connection, template: RegisteredTemplate) -> dict[str, str]:
    center = center_rows.load(tx, template.center)
    path = paths.resolve(center, template.install_path) if center else None
    return {"path": path or ""}
