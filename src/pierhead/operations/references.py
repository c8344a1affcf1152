"""Objects that others name by uuid: there, and seen by whom asks, or `NotFound`."""

from typing import TypeVar

from sqlalchemy import Connection

from pierhead.core.errors import NotFound
from pierhead.core.principals import Principal
from pierhead.core.registry import Dataset, Model, ModelCenter, RegisteredTemplate, ResourceType
from pierhead.core.services import Registration, Wanted
from pierhead.operations import rights
from pierhead.store import centers, datasets, models, services, templates

Owned = TypeVar("Owned", Model, RegisteredTemplate, Dataset)


def center(tx: Connection, uuid: str) -> ModelCenter:
    """The model center.

    Raises:
        NotFound: there is none.
    """
    found = centers.load(tx, uuid)
    if found is None:
        raise NotFound(ResourceType.CENTER, uuid)
    return found


def model(tx: Connection, actor: Principal, uuid: str) -> Model:
    """The model.

    Raises:
        NotFound: there is none that `actor` sees.
    """
    return _seen(models.load(tx, uuid), actor, ResourceType.MODEL, uuid)


def template(tx: Connection, actor: Principal, uuid: str) -> RegisteredTemplate:
    """The template.

    Raises:
        NotFound: there is none that `actor` sees.
    """
    return _seen(templates.load(tx, uuid), actor, ResourceType.TEMPLATE, uuid)


def dataset(tx: Connection, actor: Principal, uuid: str) -> Dataset:
    """The dataset.

    Raises:
        NotFound: there is none that `actor` sees.
    """
    return _seen(datasets.load(tx, uuid), actor, ResourceType.DATASET, uuid)


def _seen(found: Owned | None, actor: Principal, kind: ResourceType, uuid: str) -> Owned:
    if found is None or not rights.sees(actor, found):
        raise NotFound(kind, uuid)
    return found


def demand_kept(tx: Connection, registration: Registration) -> None:
    """Refuse a deployment whose parts went away between the look at them and this write.

    Raises:
        NotFound: the template, the model, a dataset or what it depends on is not there any more.
    """
    named = (
        (ResourceType.TEMPLATE, templates.many, (registration.template,)),
        (ResourceType.MODEL, models.many, (registration.model,)),
        (ResourceType.DATASET, datasets.many, registration.datasets),
    )
    for kind, many, uuids in named:
        wanted = [uuid for uuid in uuids if uuid]
        there = {thing.uuid for thing in many(tx, wanted)} if wanted else set[str]()
        for uuid in wanted:
            if uuid not in there:
                raise NotFound(kind, uuid)
    for uuid in registration.needs:
        found = services.load(tx, uuid)
        if found is None or found[0].wanted is Wanted.DELETED:
            raise NotFound(ResourceType.GROUP, uuid)
