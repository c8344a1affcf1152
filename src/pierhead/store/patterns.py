"""Tag patterns as stored."""

from pierhead.core.registry import TagPattern
from pierhead.store.query import Noun, fields
from pierhead.store.registry_tables import patterns
from pierhead.store.shelf import Form, Shelf, names_of

FIELDS = fields(
    patterns,
    {
        "uuid": "uuid",
        "name": "name",
        "value": "value",
        "description": "description",
        "color": "color",
        "type": "type",
        "createDate": "created",
        "lastOpDate": "updated",
    },
)
NOUN = Noun(patterns, FIELDS)
_SHELF = Shelf("TagPatternVO", NOUN, Form(TagPattern, names_of(TagPattern)))

add, change, remove = _SHELF.add, _SHELF.change, _SHELF.remove
load, many, page = _SHELF.load, _SHELF.many, _SHELF.page
