"""Which model may be served by which template, and which template is a model's default."""

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import Connection

from pierhead.core.errors import Forbidden
from pierhead.core.ids import Entropy, registry_id
from pierhead.core.principals import Principal
from pierhead.core.registry import Binding, Model, RegisteredTemplate
from pierhead.operations import references, rights
from pierhead.operations.platform import Also, Platform, nothing
from pierhead.store import bindings as rows
from pierhead.store import models as model_rows
from pierhead.store import templates as template_rows


async def bind(
    platform: Platform, actor: Principal, model: str, template: str, also: Also = nothing
) -> Binding:
    """Let a template serve a model; nothing changes when it does already.

    Raises:
        NotFound: model or template is not there.
        Forbidden: neither belongs to `actor`.
    """

    def write(tx: Connection) -> Binding:
        pair = references.model(tx, actor, model), references.template(tx, actor, template)
        if not any(rights.owns(actor, thing) for thing in pair):
            raise Forbidden("bind", f"ModelVO [{model}] to ModelServiceVO [{template}]")
        binding = tie(tx, platform.entropy, actor, *pair)
        also(tx, binding.uuid)
        return binding

    return await platform.db.write(write)


async def unbind(
    platform: Platform, actor: Principal, model: str, template: str, also: Also = nothing
) -> None:
    """Take a binding away, if it is there; deployments are not touched.

    Raises:
        Forbidden: neither model nor template belongs to `actor`.
    """

    def write(tx: Connection) -> None:
        binding = rows.find(tx, model, template)
        if binding is not None:
            things = model_rows.load(tx, model), template_rows.load(tx, template)
            mine = any(thing is not None and rights.owns(actor, thing) for thing in things)
            if mine:
                rows.remove(tx, binding.uuid)
            elif seen(tx, actor, [binding]):
                raise Forbidden("unbind", f"ModelVO [{model}] from ModelServiceVO [{template}]")
        also(tx, binding.uuid if binding else "")

    await platform.db.write(write)


async def of_models(
    platform: Platform, models: Iterable[str], actor: Principal | None = None
) -> dict[str, tuple[Binding, ...]]:
    """The bindings of each of these models to templates that `actor` sees (None = to all)."""
    wanted = list(models)
    found = await platform.db.read(lambda tx: seen(tx, actor, rows.of_models(tx, wanted)))
    return by_model(wanted, found)


async def of_templates(
    platform: Platform, templates: Iterable[str], actor: Principal | None = None
) -> dict[str, tuple[Binding, ...]]:
    """The bindings of each of these templates to models that `actor` sees (None = to all)."""
    wanted = list(templates)
    found = await platform.db.read(lambda tx: seen(tx, actor, rows.of_templates(tx, wanted)))
    return by_template(wanted, found)


def seen(tx: Connection, actor: Principal | None, found: Iterable[Binding]) -> list[Binding]:
    """Those of these bindings of which `actor` sees both ends."""
    known = list(found)
    if actor is None or actor.admin or not known:
        return known
    ends = (
        *model_rows.many(tx, dict.fromkeys(one.model for one in known)),
        *template_rows.many(tx, dict.fromkeys(one.template for one in known)),
    )
    there = {thing.uuid for thing in ends if rights.sees(actor, thing)}
    return [one for one in known if one.model in there and one.template in there]


def by_model(models: Iterable[str], found: Iterable[Binding]) -> dict[str, tuple[Binding, ...]]:
    """Bindings in groups, one for each of `models`."""
    groups: dict[str, list[Binding]] = {uuid: [] for uuid in models}
    for binding in found:
        groups[binding.model].append(binding)
    return {uuid: tuple(group) for uuid, group in groups.items()}


def by_template(
    templates: Iterable[str], found: Iterable[Binding]
) -> dict[str, tuple[Binding, ...]]:
    """Bindings in groups, one for each of `templates`."""
    groups: dict[str, list[Binding]] = {uuid: [] for uuid in templates}
    for binding in found:
        groups[binding.template].append(binding)
    return {uuid: tuple(group) for uuid, group in groups.items()}


def tie(
    tx: Connection, entropy: Entropy, actor: Principal, model: Model, template: RegisteredTemplate
) -> Binding:
    """The binding of the two, made if need be.

    The first model of a template has it as its default, unless it has another one already; a
    template's default is not for those to give who only see it.
    """
    there = rows.find(tx, model.uuid, template.uuid)
    if there is not None:
        return there
    first = not rows.of_templates(tx, [template.uuid]) and _default(tx, model.uuid) is None
    default = first and rights.owns(actor, template)
    binding = Binding(registry_id(entropy), model.uuid, template.uuid, default)
    rows.add(tx, binding)
    return binding


def make_default(
    tx: Connection, entropy: Entropy, model: Model, template: RegisteredTemplate
) -> None:
    """Make it the model's one default template, bound if it was not."""
    there = rows.find(tx, model.uuid, template.uuid)
    if there is not None and there.default:
        return
    clear_default(tx, model.uuid)
    if there is None:
        rows.add(tx, Binding(registry_id(entropy), model.uuid, template.uuid, default=True))
    else:
        rows.change(tx, replace(there, default=True))


def clear_default(tx: Connection, model: str) -> None:
    """Leave the model without a default template."""
    old = _default(tx, model)
    if old is not None:
        rows.change(tx, replace(old, default=False))


def _default(tx: Connection, model: str) -> Binding | None:
    return next((one for one in rows.of_models(tx, [model]) if one.default), None)
