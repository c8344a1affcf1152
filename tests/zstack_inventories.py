"""What the published inventories promise, and a check of rows against it."""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

WIRE: dict[str, Any] = json.loads(
    resources.files("pierhead.dialects.zstack").joinpath("apis.json").read_text()
)
INVENTORIES: dict[str, Any] = WIRE["inventories"]

#: Fields that Pierhead has nothing for, and why.
ABSENT = {
    "ModelServiceInventory": {"dockerImage", "vmImageUuid"},  # older clients only; not emitted
    "ModelCenterInventory": {"zdfs"},  # the contract: never emitted
    "ModelServiceInstanceInventory": {"vm"},  # there are no VM objects
    # Columns of another product's network and image objects; Pierhead has none.
    "ModelServiceInstanceGroupInventory": {
        "businessNetworkProfileUuid",
        "businessGatewayUuid",
        "developerAccessGatewayUuid",
    },
    "ModelServiceTemplateInventory": {
        "name",
        "acceleratorType",
        "imageNamePattern",
        "runtimeName",
        "runtimeVersionPattern",
    },
}
#: Fields whose boxed Java type may be null, but which the contract wants filled always.
FILLED = {"hasNewVersion", "system", "size", "supportDistributed"}
JAVA: Mapping[str, tuple[type, ...]] = {
    "String": (str,),
    "Timestamp": (str,),
    "Integer": (int,),
    "Long": (int,),
    "int": (int,),
    "long": (int,),
    "Boolean": (bool,),
    "boolean": (bool,),
}


def fields_of(name: str) -> dict[str, str]:
    """Every field of a published inventory and its Java type, those it inherits too."""
    inventory = INVENTORIES[name]
    inherited = fields_of(inventory["extends"]) if "extends" in inventory else {}
    return inherited | {field["name"]: field["type"] for field in inventory["fields"]}


def check(name: str, row: Mapping[str, Any]) -> None:
    """Every field is there, of its type; primitives, lists and maps are never null."""
    for field, java in fields_of(name).items():
        if field in ABSENT.get(name, set()):
            assert field not in row
            continue
        assert field in row, f"{name}.{field} is missing"
        value = row[field]
        if java.startswith(("List", "Map")):
            assert isinstance(value, list if java.startswith("List") else dict), field
            inner = java.removeprefix("List<").removesuffix(">")
            for element in value if inner in INVENTORIES else ():
                check(inner, element)
        elif java in INVENTORIES:
            if value is not None:
                check(java, value)
        elif value is None:
            assert java not in {"int", "long", "boolean"}, f"{name}.{field} is null"
            assert field not in FILLED or name != "ModelServiceInventory", field
        else:
            assert isinstance(value, JAVA.get(java, (str,))), (name, field, value)
