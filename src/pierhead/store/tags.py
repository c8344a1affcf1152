"""Tags as stored: one row per text and object."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, literal, or_, select
from sqlalchemy.exc import IntegrityError

from pierhead.core.errors import Duplicate
from pierhead.core.query import Found, Query
from pierhead.core.registry import ResourceType, Tag
from pierhead.core.tags import Kind
from pierhead.store import patterns, sight
from pierhead.store import query as asked
from pierhead.store import services as service_rows
from pierhead.store.asking import EVERYTHING, Scope
from pierhead.store.query import Noun, Relation, Truth, either, fields
from pierhead.store.registry_tables import centers as center_table
from pierhead.store.registry_tables import datasets as dataset_table
from pierhead.store.registry_tables import models as model_table
from pierhead.store.registry_tables import patterns as pattern_table
from pierhead.store.registry_tables import tags
from pierhead.store.registry_tables import templates as template_table
from pierhead.store.shelf import Form, Shelf, batches, names_of
from pierhead.store.tables import services


def _seen(tx: Connection, scope: Scope) -> Iterator[Truth]:
    """The tags of what they see: centers are everybody's, groups those that policies let them see."""
    owner = scope.owner
    if owner is None:
        return
    things = (
        (template_table, sight.of_templates(owner)),
        (model_table, sight.of_models(owner)),
        (dataset_table, sight.of_datasets(owner)),
    )
    mine = services.c.caller == literal(owner)
    if scope.services is not None:
        everything = service_rows.everything(tx)
        mine = services.c.id.in_([one.id for one, _ in everything if scope.services(one)])
    yield or_(
        exists().where(center_table.c.uuid == tags.c.resource),
        exists().where(services.c.id == tags.c.resource, mine),
        *(exists().where(table.c.uuid == tags.c.resource, seen) for table, seen in things),
    )


NOUN = Noun(
    tags,
    {
        **fields(
            tags,
            {
                "uuid": "uuid",
                "resourceUuid": "resource",
                "resourceType": "resource_type",
                "tag": "tag",
                "inherent": "inherent",
                "tagPatternUuid": "pattern",
                "createDate": "created",
                "lastOpDate": "updated",
            },
        ),
        "type": either(tags.c.system, "System", "User"),
    },
    {"tagPattern": Relation(patterns.FIELDS, pattern_table.c.uuid == tags.c.pattern)},
)


_SAME = select(tags.c.uuid).where(
    tags.c.resource == bindparam("resource"),
    tags.c.system == bindparam("system"),
    tags.c.digest == bindparam("digest"),
)


class _Tags(Shelf[Tag]):
    def add(self, tx: Connection, thing: Tag) -> None:
        # Looked for first: after a refused row PostgreSQL lets nothing more into the transaction.
        if self.same(tx, thing):
            raise self.duplicate(thing.uuid)
        super().add(tx, thing)

    def change(self, tx: Connection, thing: Tag) -> None:
        if self.same(tx, thing) not in (None, thing.uuid):
            raise self.duplicate(thing.uuid)
        super().change(tx, thing)

    def row(self, thing: Tag) -> dict[str, Any]:
        """With the digest that makes a text unique on an object."""
        return super().row(thing) | {
            "resource_type": str(thing.resource_type),
            "digest": _digest(thing),
        }

    def refused(self, uuid: str, error: IntegrityError) -> Exception:
        """A race for the same tag was lost, or the uuid is used; both databases name the columns."""
        return self.duplicate(uuid) if "digest" in str(error.orig) else super().refused(uuid, error)

    def duplicate(self, uuid: str) -> Duplicate:
        return Duplicate(self.kind, uuid, "is there already: the object has this tag")

    def same(self, tx: Connection, thing: Tag) -> str | None:
        """The uuid of the tag that says the same of the same object."""
        key = {"resource": thing.resource, "system": thing.system, "digest": _digest(thing)}
        return tx.execute(_SAME, key).scalar()


def _build(*values: Any) -> Tag:
    uuid, resource, resource_type, *others = values
    return Tag(uuid, resource, ResourceType(resource_type), *others)


_SHELF = _Tags("TagVO", NOUN, Form(_build, names_of(Tag)))
_OF = _SHELF.base.where(tags.c.resource.in_(bindparam("uuids", expanding=True)))
_REMOVE_OF = delete(tags).where(tags.c.resource == bindparam("wanted"))

add, change, remove = _SHELF.add, _SHELF.change, _SHELF.remove
load, many = _SHELF.load, _SHELF.many


def page(
    tx: Connection, query: Query, scope: Scope = EVERYTHING, *, system: bool | None = None
) -> Found[Tag]:
    """One page of tags: system tags, user tags, or (None) both.

    Raises:
        Invalid: a field is not known, or a value is not one of its kind.
    """
    base = _SHELF.base
    kind = () if system is None else (tags.c.system == literal(system),)
    only = (*kind, *_seen(tx, scope))
    rows, total = asked.rows(tx, NOUN, base, query, EVERYTHING, only)
    return Found(tuple(_SHELF.read(tx, rows)), total)


def of(tx: Connection, resource: str) -> list[Tag]:
    """The tags of an object, oldest first."""
    return of_many(tx, [resource])


def of_many(tx: Connection, resources: Iterable[str]) -> list[Tag]:
    """The tags of these objects, oldest first."""
    found = [
        tag
        for batch in batches(list(dict.fromkeys(resources)))
        for tag in _SHELF.select(tx, _OF, {"uuids": batch})
    ]
    return sorted(found, key=lambda tag: (tag.created, tag.uuid))


def remove_of(tx: Connection, resource: str) -> None:
    """Remove all tags of an object."""
    tx.execute(_REMOVE_OF, {"wanted": resource})


def set_replicas(tx: Connection, service: str, replicas: int) -> None:
    """Let a service's `ai::replicas` tag, if it has one, say how many are wanted now."""
    set_value(tx, service, Kind.REPLICAS, replicas)


def set_value(tx: Connection, service: str, kind: Kind, value: int) -> None:
    """Let a service's system tag of a kind, if it has one, say what is so now."""
    for tag in of(tx, service):
        if tag.system and tag.tag.startswith(f"{kind}::"):
            change(tx, replace(tag, tag=f"{kind}::{value}"))


def _digest(tag: Tag) -> str:
    """Of the text and the pattern: two patterns may give an object the same text."""
    return hashlib.sha256(f"{tag.pattern or ''}\n{tag.tag}".encode()).hexdigest()
