"""From a name of a template to what runs: which model, which center, whose files; read once."""

from dataclasses import dataclass, replace
from typing import Protocol

from sqlalchemy import Connection

from pierhead.core.errors import NotFound, Unsupported
from pierhead.core.events import Notice
from pierhead.core.ids import fixed_id
from pierhead.core.principals import Principal
from pierhead.core.query import Query
from pierhead.core.registry import Model, RegisteredTemplate, ResourceType
from pierhead.core.services import Registration
from pierhead.core.templates import Template
from pierhead.operations import effective, references, rights, templates, zones
from pierhead.operations.platform import Platform
from pierhead.operations.wishes import DeployWish, Facts, Layers
from pierhead.store import bindings as binding_rows
from pierhead.store import centers as center_rows
from pierhead.store import models as model_rows
from pierhead.store import services as service_rows
from pierhead.store import templates as template_rows
from pierhead.store.db import Database

#: Types of templates that something is deployed from.
DEPLOYED = frozenset({"Endpoint", "App"})
_NAMED = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment is made of; the service's name is still missing."""

    registered: RegisteredTemplate
    facts: Facts
    registration: Registration


@dataclass(frozen=True, slots=True)
class Resolved:
    """The template that a name stands for, as a service keeps it."""

    template: Template
    registration: Registration
    notices: tuple[Notice, ...] = ()
    layers: Layers | None = None  #: None: a built-in one, of one layer


def plan(
    tx: Connection, platform: Platform, actor: Principal, template: str, wish: DeployWish
) -> Plan:
    """Everything that a deployment names.

    Raises:
        NotFound: template, zone, model, dataset or dependency is not there.
        Unsupported: templates of this type are not deployed.
    """
    registered = references.template(tx, actor, template)
    zone = zones.existing(tx, wish.zone).uuid
    facts = _facts(tx, platform, actor, registered, wish)
    for needed in wish.needs:
        found = service_rows.load(tx, needed)
        if found is None or not rights.sees_service(actor, found[0]):
            raise NotFound(ResourceType.GROUP, needed)
    registration = Registration(
        title=wish.name,
        description=wish.description,
        template=registered.uuid,
        model=facts.model.uuid if facts.model else "",
        zone=zone,
        kind=wish.kind,
        type=registered.type,
        datasets=tuple(dataset.uuid for dataset, _center in facts.datasets),
        needs=tuple(dict.fromkeys(wish.needs)),
    )
    return Plan(registered, facts, registration)


class Shelf(Protocol):
    """Where templates are looked up: the platform, or just its database."""

    @property
    def db(self) -> Database:
        """What is registered."""
        ...

    @property
    def account(self) -> str:
        """Whose own templates may do more."""
        ...

    @property
    def images(self) -> bool:
        """Do commands run in images of their own?"""
        ...

    def template(self, name: str) -> Template | None:
        """A built-in one."""
        ...


async def resolve(platform: Shelf, actor: Principal, spec: str, service: str) -> Resolved | None:
    """The template called `spec`, built-in or registered, for a service of this name.

    Raises:
        Invalid: the registered one's YAML is not legal.
        Unsupported: templates of its type are not deployed.
        Forbidden: it asks for what only the account itself may have.
    """
    built_in = platform.template(spec)
    if built_in is not None:
        return Resolved(built_in, Registration(template=fixed_id("spec", spec)))

    def read(tx: Connection) -> tuple[RegisteredTemplate, Facts] | None:
        found = templates.looked_up(tx, actor, spec)
        return found and (found, _facts(tx, platform, actor, found, DeployWish()))

    found = await platform.db.read(read)
    if found is None:
        return None
    registered, facts = found
    snapshot = effective.snapshot(registered, DeployWish(), replace(facts, service=service))
    registration = Registration(
        template=registered.uuid,
        model=facts.model.uuid if facts.model else "",
        zone=registered.zone or "",
        type=registered.type,
    )
    return Resolved(snapshot.template, registration, snapshot.notices, snapshot.layers)


async def known(platform: Platform, actor: Principal) -> list[str]:
    """Names to offer to somebody who named none that is there: the built-in ones, then the newest."""
    newest = Query(limit=_NAMED, sort="createDate", descending=True)
    found = await platform.db.read(
        template_rows.page, newest, rights.scope(actor, ResourceType.TEMPLATE)
    )
    names = [*sorted(platform.templates), *(template.name for template in found.rows)]
    return list(dict.fromkeys(name[:80] for name in names))


def _facts(
    tx: Connection,
    platform: Shelf,
    actor: Principal,
    registered: RegisteredTemplate,
    wish: DeployWish,
) -> Facts:
    if registered.type not in DEPLOYED:
        raise Unsupported(
            f"A deployment of the type [{registered.type}]",
            f"only templates of the types {', '.join(sorted(DEPLOYED))} are served",
        )
    model = references.model(tx, actor, wish.model) if wish.model else None
    if model is None:
        model = _bound_model(tx, actor, registered)
    datasets = [references.dataset(tx, actor, uuid) for uuid in dict.fromkeys(wish.datasets)]
    return Facts(
        service="",
        center=center_rows.load(tx, registered.center),
        model=model,
        model_center=center_rows.load(tx, model.center) if model else None,
        datasets=tuple((dataset, center_rows.load(tx, dataset.center)) for dataset in datasets),
        shipped=platform.template(registered.name) if registered.shipped else None,
        images=platform.images,
        trusted=actor.admin or registered.owner == platform.account,
    )


def _bound_model(tx: Connection, actor: Principal, registered: RegisteredTemplate) -> Model | None:
    """The model whose default the template is, else the only one; None when that is not clear.

    Others may bind models of theirs to a template that they only see: those are not served to
    everybody who deploys it.
    """
    bindings = binding_rows.of_templates(tx, [registered.uuid])
    models = {model.uuid: model for model in model_rows.many(tx, [one.model for one in bindings])}
    eligible = [one for one in bindings if _offered(actor, registered, models.get(one.model))]
    for choice in ([one for one in eligible if one.default], eligible):
        if len(choice) == 1:
            return models[choice[0].model]
    return None


def _offered(actor: Principal, registered: RegisteredTemplate, model: Model | None) -> bool:
    if model is None or not rights.sees(actor, model):
        return False
    return model.owner in {actor.id, registered.owner} or model.share_mode == rights.PUBLIC
