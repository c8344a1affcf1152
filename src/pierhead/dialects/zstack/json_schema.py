"""The catalog's types as JSON Schema: parameters, structs, and the fields of answers."""

from collections.abc import Iterable, Mapping
from typing import Any

from pierhead.dialects.zstack.catalog import Catalog, Field, Param

_PRIMITIVES: Mapping[str, dict[str, Any]] = {
    "String": {"type": "string"},
    "Integer": {"type": "integer", "format": "int32"},
    "int": {"type": "integer", "format": "int32"},
    "Long": {"type": "integer", "format": "int64"},
    "long": {"type": "integer", "format": "int64"},
    "Float": {"type": "number"},
    "Boolean": {"type": "boolean"},
    "boolean": {"type": "boolean"},
    "Timestamp": {"type": "string", "examples": ["Nov 14, 2017 10:20:57 PM"]},
    "List": {"type": "array"},
    "LinkedHashMap": {"type": "object"},
}
_NEVER_NULL = frozenset({"int", "long", "boolean"})


def of_fields(params: Iterable[Param], catalog: Catalog) -> dict[str, Any]:
    """An object with these parameters."""
    listed = list(params)
    value: dict[str, Any] = {
        "type": "object",
        "properties": {item.name: of_param(item, catalog) for item in listed},
    }
    required = [item.name for item in listed if item.required]
    return {**value, "required": required} if required else value


def of_param(item: Param, catalog: Catalog) -> dict[str, Any]:
    """A parameter's type, with its bounds and legal values."""
    lengths = "Items" if item.type.startswith("List<") else "Length"
    facets: dict[str, Any] = {
        "enum": list(item.values) or None,
        "examples": sorted(set(item.spelling.values())) or None,
        "default": item.default,
        "minimum": item.low,
        "maximum": item.high,
        f"min{lengths}": item.shortest or None,
        f"max{lengths}": item.longest or None,
        "description": "Accepted; has no effect on this platform." if item.no_effect else None,
    }
    shown = {name: value for name, value in facets.items() if value is not None}
    return {**of_type(item.type, catalog), **shown}


def of_type(name: str, catalog: Catalog) -> dict[str, Any]:
    """The schema of a type as the wire's clients spell it; an unknown one may be anything."""
    if name.startswith("List<"):
        return {"type": "array", "items": of_type(name[5:-1], catalog)}
    if name.startswith("Map<String,"):
        return {"type": "object", "additionalProperties": of_type(name[11:-1], catalog)}
    if name in catalog.inventories or name in catalog.structs:
        return {"$ref": f"#/components/schemas/{name}"}
    return dict(_PRIMITIVES.get(name, {}))


def of_answer(item: Field, catalog: Catalog) -> dict[str, Any]:
    """A field of an answer: null where it is not set, unless its type has no null."""
    schema = of_type(item.type, catalog)
    if not schema or item.type in _NEVER_NULL:
        return schema
    return {"anyOf": [schema, {"type": "null"}]}
