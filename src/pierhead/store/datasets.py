"""Datasets as stored."""

from sqlalchemy import Connection, bindparam

from pierhead.core.registry import Dataset, ResourceType
from pierhead.store import centers, codec, sight
from pierhead.store.query import Noun, Relation, fields
from pierhead.store.registry_tables import centers as center_table
from pierhead.store.registry_tables import datasets
from pierhead.store.shelf import Form, Shelf, names_of

NOUN = Noun(
    datasets,
    fields(
        datasets,
        {
            "uuid": "uuid",
            "name": "name",
            "description": "description",
            "url": "url",
            "installPath": "install_path",
            "modelCenterUuid": "center",
            "size": "size",
            "system": "system",
            "dataType": "data_type",
            "createDate": "created",
            "lastOpDate": "updated",
        },
    ),
    {"modelCenter": Relation(centers.FIELDS, center_table.c.uuid == datasets.c.center)},
    seen_by=sight.of_datasets,
)
_SHELF = Shelf(
    ResourceType.DATASET,
    NOUN,
    Form(Dataset, names_of(Dataset), {"usage_scenarios": codec.words}),
)
_IN_CENTER = _SHELF.base.where(datasets.c.center == bindparam("center")).order_by(
    datasets.c.created, datasets.c.uuid
)

add, change, remove = _SHELF.add, _SHELF.change, _SHELF.remove
load, many, page = _SHELF.load, _SHELF.many, _SHELF.page


def in_center(tx: Connection, center: str) -> list[Dataset]:
    """The datasets of a center, oldest first."""
    return _SHELF.select(tx, _IN_CENTER, {"center": center})
