"""The operations of RAM, of STS and of our own as data: parameters, answers, actions and resources."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

#: Versions: the vendor's two APIs, and the platform's own for what neither has.
RAM, STS, NATIVE = "2015-05-01", "2015-04-01", "2026-11-01"

#: `name` of a user, group, role, policy, quota or workspace; `text` is printable; `document` any text;
#: `plain` and `secret` are judged by the operation itself; `bound` is a number or `none`, `whole` of
#: them one without a fraction; the others have forms of their own.
Type = Literal[
    "name", "text", "document", "plain", "secret", "phone", "email", "version",
    "boolean", "integer", "choice", "bound", "whole",
]  # fmt: skip
#: An answer's fields: name -> its type, fields of an object, or (in a list of one) those of each item.
Shape = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation."""

    name: str
    type: Type
    required: bool = False
    of: str = ""  #: of a name: User, Group, Role, Policy, Quota, Workspace
    minimum: int | None = None  #: of a number
    maximum: int | None = None  #: of a number; of texts characters, of documents bytes
    default: int | None = None
    values: tuple[str, ...] = ()
    extension: bool = False  #: ours, not the vendor's


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation that does real work here."""

    id: str
    version: str
    parameters: tuple[Parameter, ...]
    response: Shape
    action: str  #: as policies name it, e.g. `ram:CreateUser`
    #: What a policy is asked about, each by itself, e.g. `user/{UserName}`; () = it is not asked here.
    resources: tuple[str, ...]
    access: str
    #: Of our own: further names of the deed; a policy about one of them is about all.
    also: tuple[str, ...] = ()
    #: Of our own: actions of which it is enough to be allowed one for anything at all; the operation
    #: itself leaves out what may not be seen.
    lists: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """An operation of the vendor's that there is not here."""

    id: str
    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """All operations, by (version, id)."""

    operations: Mapping[tuple[str, str], Operation]
    refused: Mapping[tuple[str, str], Refusal]


@cache
def load() -> Catalog:
    """The catalog, read once per process from the package's own data."""
    vendor, own = _document("operations.json"), _document("native.json")
    operations = [_operation(entry) for entry in (*vendor["operations"], *own["operations"])]
    refused = [Refusal(**entry) for entry in vendor["unsupported"]]
    return Catalog(
        {(one.version, one.id): one for one in operations},
        {(one.version, one.id): one for one in refused},
    )


def _document(name: str) -> dict[str, list[dict[str, Any]]]:
    return json.loads(resources.files("pierhead.dialects.ram").joinpath(name).read_bytes())


def _operation(entry: dict[str, Any]) -> Operation:
    ram: dict[str, Any] = entry["ram"]
    return Operation(
        id=entry["id"],
        version=entry["version"],
        parameters=tuple(_parameter(item) for item in entry["parameters"]),
        response=entry["response"],
        action=ram["action"],
        resources=tuple(ram["resources"]),
        access=ram["access"],
        also=tuple(ram.get("also", ())),
        lists=tuple(ram.get("lists", ())),
    )


def _parameter(item: dict[str, Any]) -> Parameter:
    return Parameter(
        name=item["name"],
        type=item["type"],
        required=item.get("required", False),
        of=item.get("of", ""),
        minimum=item.get("min"),
        maximum=item.get("max"),
        default=item.get("default"),
        values=tuple(item.get("values", ())),
        extension=item.get("extension", False),
    )
