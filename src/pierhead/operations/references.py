"""Objects that others name by uuid: there, and seen by whom asks, or `NotFound`."""

from sqlalchemy import Connection

from pierhead.core.errors import NotFound
from pierhead.core.principals import Principal
from pierhead.core.registry import Dataset, Model, ModelCenter, RegisteredTemplate, ResourceType
from pierhead.operations import rights
from pierhead.store import centers, datasets, models, templates


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
    found = models.load(tx, uuid)
    if found is None or not rights.sees(actor, found):
        raise NotFound(ResourceType.MODEL, uuid)
    return found


def template(tx: Connection, actor: Principal, uuid: str) -> RegisteredTemplate:
    """The template.

    Raises:
        NotFound: there is none that `actor` sees.
    """
    found = templates.load(tx, uuid)
    if found is None or not rights.sees(actor, found):
        raise NotFound(ResourceType.TEMPLATE, uuid)
    return found


def dataset(tx: Connection, actor: Principal, uuid: str) -> Dataset:
    """The dataset.

    Raises:
        NotFound: there is none that `actor` sees.
    """
    found = datasets.load(tx, uuid)
    if found is None or not rights.sees(actor, found):
        raise NotFound(ResourceType.DATASET, uuid)
    return found
