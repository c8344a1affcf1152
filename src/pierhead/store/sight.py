"""Which rows a principal sees besides all others', as conditions: their own, the system's, the shared."""

from sqlalchemy import ColumnElement, exists, literal, or_

from pierhead.store.registry_tables import bindings, datasets, models, templates

Truth = ColumnElement[bool]


def of_models(owner: str) -> Truth:
    """Models: what is shared with every account, too."""
    return or_(
        models.c.owner == literal(owner),
        models.c.share_mode == literal("Public"),
        models.c.kind == literal("System"),
    )


def of_templates(owner: str) -> Truth:
    """Templates."""
    return or_(templates.c.owner == literal(owner), templates.c.system)


def of_datasets(owner: str) -> Truth:
    """Datasets."""
    return or_(datasets.c.owner == literal(owner), datasets.c.system)


def of_bound_models(owner: str) -> Truth:
    """Bindings whose model they see."""
    return exists().where(models.c.uuid == bindings.c.model, of_models(owner))


def of_bound_templates(owner: str) -> Truth:
    """Bindings whose template they see."""
    return exists().where(templates.c.uuid == bindings.c.template, of_templates(owner))
