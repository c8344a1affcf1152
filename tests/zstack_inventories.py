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
#: Fields that are left out of most answers, and when they are there.
SOMETIMES = {"AccessKeyInventory": {"AccessKeySecret"}}  # shown once, to whom the key is made for
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
        elif field in row or field not in SOMETIMES.get(name, set()):
            assert field in row, f"{name}.{field} is missing"
            _check_value(name, field, java, row[field])


def _check_value(name: str, field: str, java: str, value: Any) -> None:
    where = f"{name}.{field} is {value!r:.80}, not {java}"
    inner = java.removeprefix("List<").removesuffix(">")
    if java.startswith("List"):
        assert isinstance(value, list), where
        for element in value if inner in INVENTORIES else ():
            check(inner, element)
    elif java.startswith("Map"):
        assert isinstance(value, dict), where
    elif value is None:
        assert java not in {"int", "long", "boolean"}, where
        assert field not in FILLED or name != "ModelServiceInventory", where
    elif java in INVENTORIES:
        check(java, value)
    else:
        assert isinstance(value, JAVA.get(java, (str,))), where
