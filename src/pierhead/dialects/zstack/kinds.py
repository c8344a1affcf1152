"""Which fields of an inventory a question may name, and of which kind their values are."""

from collections.abc import Iterator, Mapping
from functools import cache

from pierhead.core.query import Kind
from pierhead.dialects.zstack.catalog import Field, Inventory, inner_class, load

_BY_TYPE = {
    "Integer": Kind.INTEGER,
    "int": Kind.INTEGER,
    "Long": Kind.INTEGER,
    "long": Kind.INTEGER,
    "Float": Kind.DECIMAL,
    "Boolean": Kind.BOOLEAN,
    "boolean": Kind.BOOLEAN,
    "Timestamp": Kind.TIME,
}
#: A field that holds the uuid of an object whose own fields may be asked for under this name.
_RELATED = {"modelCenterUuid": ("modelCenter", "ModelCenterInventory")}


@cache
def kinds(inventory: str) -> Mapping[str, Kind]:
    """Kind by name, dotted for what hangs below: `modelServiceRefs.modelUuid`, `modelCenter.name`."""
    return dict(_walk(load().inventories[inventory], ""))


def _walk(inventory: Inventory, prefix: str) -> Iterator[tuple[str, Kind]]:
    for item in inventory.fields:
        yield f"{prefix}{item.name}", _kind(item)
        below = inner_class(item.type, load().inventories)[0]
        if below and not prefix:
            yield from _walk(load().inventories[below], f"{item.name}.")
        if item.name in _RELATED and not prefix:
            name, related = _RELATED[item.name]
            yield from _walk(load().inventories[related], f"{name}.")


def _kind(item: Field) -> Kind:
    if item.type.startswith(("List", "Map")):
        return Kind.LIST
    return _BY_TYPE.get(item.type, Kind.TEXT)
