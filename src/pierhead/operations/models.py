"""Use cases on models: add, change, remove, find, read what their files say."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from pierhead.core.principals import Principal
from pierhead.core.query import Found, Query
from pierhead.core.registry import Binding, DeleteMode, Extras, Model, ResourceType
from pierhead.operations import bindings, checks, detaching, paths, references, rights, tag_rows
from pierhead.operations.platform import Also, Platform, nothing
from pierhead.store import bindings as binding_rows
from pierhead.store import models as rows
from pierhead.store import services as service_rows
from pierhead.store import tags as tags_of

KIND = ResourceType.MODEL
#: A model with its bindings.
Bound = tuple[Model, tuple[Binding, ...]]


@dataclass(frozen=True, slots=True)
class Ties:
    """Templates that a model is to be bound to, by uuid."""

    templates: tuple[str, ...] = ()
    default: str = ""  #: bound too, and the model's default; "" = as it is
    clear_default: bool = False


async def add(
    platform: Platform,
    actor: Principal,
    model: Model,
    ties: Ties,
    extras: Extras,
    also: Also = nothing,
) -> Model:
    """Register a model; uuid, owner, times and kind are set here.

    Raises:
        Invalid: a field is not legal.
        NotFound: center, a template or a tag pattern is not there.
        Taken: the wanted uuid is used.
        Forbidden: the path is not for the actor.
    """
    check(model)
    now, uuid = platform.clock(), checks.uuid_for(platform, extras)
    made = replace(
        model,
        uuid=uuid,
        owner=actor.id,
        created=now,
        updated=now,
        model_id=model.model_id or uuid,
        size_given=model.size is not None,
    )

    def write(tx: Connection) -> Model:
        center = references.center(tx, made.center)
        paths.check(actor, center, made.install_path, platform.allowed_roots, "installPath")
        rows.add(tx, made)
        tag_rows.attach_new(tx, platform, KIND, uuid, extras)
        _tie(tx, platform, actor, made, ties)
        also(tx, uuid)
        return made

    stored = await platform.db.write(write)
    platform.survey(f"model:{uuid}")
    return stored


async def update(
    platform: Platform,
    actor: Principal,
    uuid: str,
    changes: Mapping[str, Any],
    ties: Ties = Ties(),
    also: Also = nothing,
) -> Model:
    """Change a model, by core field names, and its default template.

    Raises:
        NotFound: it, its new center or the template is not there.
        Forbidden: it is not the actor's, or the path is not for them.
        Invalid: a field is not legal.
    """
    now = platform.clock()

    def write(tx: Connection) -> Model:
        old = references.model(tx, actor, uuid)
        rights.demand_change(actor, old)
        new = _unmeasured(old, replace(old, **changes))
        check(new)
        center = references.center(tx, new.center)
        if (new.install_path, new.center) != (old.install_path, old.center):
            paths.check(actor, center, new.install_path, platform.allowed_roots, "installPath")
        if new != old or ties != Ties():
            new = replace(new, updated=now)
            rows.change(tx, new)
        _tie(tx, platform, actor, new, ties)
        also(tx, uuid)
        return new

    stored = await platform.db.write(write)
    platform.survey(f"model:{uuid}")
    return stored


async def delete(
    platform: Platform, actor: Principal, uuid: str, mode: DeleteMode, also: Also = nothing
) -> None:
    """Remove a model with its bindings and tags, if it is there; files and deployments stay.

    Raises:
        InUse: Permissive, and a deployment that is not stopped serves it.
        Forbidden: it is not the actor's.
    """
    now = platform.clock()

    def write(tx: Connection) -> list[str]:
        model = rows.load(tx, uuid)
        if model is None or not rights.sees(actor, model):
            also(tx, uuid)
            return []
        rights.demand_change(actor, model)
        if mode is DeleteMode.PERMISSIVE:
            services = service_rows.using_model(tx, uuid)
            detaching.refuse_while_used(tx, actor, model, services, now)
        changed = drop(tx, model, actor, now)
        also(tx, uuid)
        return changed

    for service in await detaching.guarded(platform, uuid, write):
        platform.wake(service)


async def find(platform: Platform, actor: Principal, uuid: str) -> Model:
    """A model by its uuid.

    Raises:
        NotFound: there is none that `actor` sees.
    """
    return await platform.db.read(references.model, actor, uuid)


async def page_bound(platform: Platform, actor: Principal, query: Query) -> Found[Bound]:
    """Models that `actor` sees, each with its bindings."""

    def read(tx: Connection) -> Found[Bound]:
        found = rows.page(tx, query, rights.scope(actor, KIND))
        uuids = [model.uuid for model in found.rows]
        groups = bindings.by_model(
            uuids, bindings.seen(tx, actor, binding_rows.of_models(tx, uuids))
        )
        return Found(tuple((one, groups[one.uuid]) for one in found.rows), found.total)

    return await platform.db.read(read)


def drop(tx: Connection, model: Model, actor: Principal, now: float) -> list[str]:
    """Remove a model and all that hangs on it; ids of the deployments that let go of it.

    Raises:
        Stale: a deployment was changed under us.
    """
    services = service_rows.using_model(tx, model.uuid)
    changed = detaching.detach(tx, services, lambda held: replace(held, model=""), actor, now)
    for binding in binding_rows.of_models(tx, [model.uuid]):
        binding_rows.remove(tx, binding.uuid)
    tags_of.remove_of(tx, model.uuid)
    rows.remove(tx, model.uuid)
    return changed


def check(model: Model) -> None:
    """Refuse what no model may have.

    Raises:
        Invalid: the first field that is not legal.
    """
    checks.name(model.name)
    checks.texts(
        [
            ("installPath", model.install_path, checks.PATH),
            ("description", model.description, checks.DESCRIPTION),
            ("parameters", model.parameters, checks.MIB),
            ("logo", model.logo, checks.MIB),
            ("introduction", model.introduction, checks.MIB),
            ("vendor", model.vendor, checks.NAME),
            ("version", model.version, checks.NAME),
            ("modelId", model.model_id, checks.NAME),
            ("recommendedGpuNum", model.recommended_gpu_num, checks.NAME),
            ("gpuConstraintDescription", model.gpu_constraint, checks.DESCRIPTION),
            *(("modelClassifications", text, checks.NAME) for text in model.classifications),
            *((field, text, checks.DESCRIPTION) for field, text in model.fine_tuning.items()),
        ]
    )
    checks.between("size", model.size, 0, checks.LONG)


def _tie(tx: Connection, platform: Platform, actor: Principal, model: Model, ties: Ties) -> None:
    if ties.clear_default:
        bindings.clear_default(tx, model.uuid)
    for uuid in dict.fromkeys(ties.templates):
        seen = references.template(tx, actor, uuid)
        bindings.tie(tx, platform.entropy, actor, model, seen)
    if ties.default:
        seen = references.template(tx, actor, ties.default)
        bindings.make_default(tx, platform.entropy, model, seen)


def _unmeasured(old: Model, new: Model) -> Model:
    """What was read from the files of another place is not true any more."""
    if (new.install_path, new.center) == (old.install_path, old.center):
        return new
    return replace(
        new,
        size=new.size if new.size_given else None,
        architecture=None,
        pipeline_tag=None,
        framework_version=None,
        accelerator=None,
        min_gpu_memory=None,
        checksum=None,
        measured_bytes=None,
    )
