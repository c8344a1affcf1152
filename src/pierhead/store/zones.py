"""Zones as stored."""

from pierhead.core.registry import Zone
from pierhead.store.query import Noun, constant, fields
from pierhead.store.registry_tables import zones
from pierhead.store.shelf import Form, Shelf, names_of

NOUN = Noun(
    zones,
    {
        **fields(
            zones,
            {
                "uuid": "uuid",
                "name": "name",
                "description": "description",
                "isDefault": "default",
                "createDate": "created",
                "lastOpDate": "updated",
            },
        ),
        "state": constant("Enabled"),
        "type": constant("zstack"),
    },
)
_SHELF = Shelf("ZoneVO", NOUN, Form(Zone, names_of(Zone)))

add, change, remove = _SHELF.add, _SHELF.change, _SHELF.remove
load, many, page = _SHELF.load, _SHELF.many, _SHELF.page
