"""Model centers as stored, each with its capacity."""

from collections.abc import Mapping
from typing import Any

from pierhead.core.registry import Capacity, ModelCenter, ResourceType
from pierhead.store.query import Field, Noun, Relation, constant, either, fields, no_value
from pierhead.store.registry_tables import centers
from pierhead.store.shelf import Form, Shelf, names_of

_PARTS = names_of(Capacity)
_WHOLE = names_of(ModelCenter, but=["capacity"])

FIELDS: Mapping[str, Field] = {
    **fields(
        centers,
        {
            "uuid": "uuid",
            "name": "name",
            "description": "description",
            "url": "url",
            "parameters": "parameters",
            "managementIp": "management_ip",
            "managementPort": "management_port",
            "storageNetworkUuid": "storage_network",
            "serviceNetworkUuid": "service_network",
            "containerRegistry": "container_registry",
            "containerStorageNetwork": "container_storage_network",
            "containerNetwork": "container_network",
            "zoneUuid": "zone",
            "createDate": "created",
            "lastOpDate": "updated",
        },
    ),
    "status": either(centers.c.connected, "Connected", "Disconnected"),
    "zdfs": no_value(),
}
_CAPACITY = {
    **fields(
        centers,
        {
            "uuid": "uuid",
            "modelUsedCapacity": "models",
            "modelServiceUsedCapacity": "templates",
            "datasetUsedCapacity": "datasets",
            "cacheUsedCapacity": "cache",
            "availableCapacity": "available",
            "totalCapacity": "total",
        },
    ),
    # Pierhead keeps no files of these kinds.
    **{
        f"{kind}UsedCapacity": constant(0)
        for kind in ("fineTune", "modelEvaluation", "installation", "temporary")
    },
}
NOUN = Noun(centers, FIELDS, {"capacity": Relation(_CAPACITY)})


class _Form(Form[ModelCenter]):
    def write(self, thing: ModelCenter) -> dict[str, Any]:
        row = {name: getattr(thing, name) for name in _WHOLE}
        return row | {name: getattr(thing.capacity, name) for name in _PARTS}


def _build(*values: Any) -> ModelCenter:
    whole = dict(zip(_WHOLE, values, strict=False))
    return ModelCenter(**whole, capacity=Capacity(*values[len(_WHOLE) :]))


_SHELF = Shelf(ResourceType.CENTER, NOUN, _Form(_build, _WHOLE + _PARTS))

add, change, remove = _SHELF.add, _SHELF.change, _SHELF.remove
load, many, page = _SHELF.load, _SHELF.many, _SHELF.page
