"""Which model may be served by which template, as stored."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Select, bindparam
from sqlalchemy.exc import IntegrityError

from pierhead.core.errors import Duplicate
from pierhead.core.registry import Binding
from pierhead.store.query import Field, Noun, fields
from pierhead.store.registry_tables import bindings
from pierhead.store.shelf import Form, Shelf, batches, names_of

FIELDS: Mapping[str, Field] = fields(
    bindings,
    {
        "uuid": "uuid",
        "modelUuid": "model",
        "modelServiceUuid": "template",
        "isDefault": "default",
    },
)


class _Bindings(Shelf[Binding]):
    def refused(self, uuid: str, error: IntegrityError) -> Exception:
        if "template" in str(error.orig):  # the two columns that are unique together are named
            return Duplicate(self.kind, uuid, "is there already: the two are bound")
        return super().refused(uuid, error)


_SHELF = _Bindings("ModelServiceRefVO", Noun(bindings, FIELDS), Form(Binding, names_of(Binding)))
_OF_MODELS = _SHELF.base.where(bindings.c.model.in_(bindparam("uuids", expanding=True)))
_OF_TEMPLATES = _SHELF.base.where(bindings.c.template.in_(bindparam("uuids", expanding=True)))
_BETWEEN = _SHELF.base.where(
    bindings.c.model == bindparam("model"), bindings.c.template == bindparam("template")
)

add, change, remove = _SHELF.add, _SHELF.change, _SHELF.remove
load, many = _SHELF.load, _SHELF.many


def of_models(tx: Connection, uuids: Iterable[str]) -> list[Binding]:
    """The bindings of these models, in no order that means anything but always in the same one."""
    return _of(tx, _OF_MODELS, uuids)


def of_templates(tx: Connection, uuids: Iterable[str]) -> list[Binding]:
    """The bindings of these templates, always in the same order."""
    return _of(tx, _OF_TEMPLATES, uuids)


def find(tx: Connection, model: str, template: str) -> Binding | None:
    """The binding between the two."""
    found = _SHELF.select(tx, _BETWEEN, {"model": model, "template": template})
    return found[0] if found else None


def _of(tx: Connection, statement: Select[Any], uuids: Iterable[str]) -> list[Binding]:
    found = [
        binding
        for batch in batches(list(dict.fromkeys(uuids)))
        for binding in _SHELF.select(tx, statement, {"uuids": batch})
    ]
    return sorted(found, key=lambda binding: binding.uuid)
