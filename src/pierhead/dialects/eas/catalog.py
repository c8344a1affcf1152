"""The 108 operations as data: routes, parameters, RAM and reasons are read from here, nowhere else."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import unquote_to_bytes

from pierhead.core.errors import Invalid
from pierhead.dialects.eas.errors import WireError
from pierhead.dialects.eas.strict_json import UNCLEAN

_PARAMETER = "{}"


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, a field of a body or an answer, or (nameless) the items of a list or map."""

    name: str
    type: str  #: string, integer, number, boolean, object, map, array, any
    required: bool = False
    values: tuple[str, ...] = ()  #: legal ones; known ones only if `open`
    open: bool = False
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    note: str = ""
    deprecated: bool = False
    nullable: bool = False  #: a map whose values may be null: the key exists, whatever its value
    newer: bool = False  #: sent by newer clients than the Python SDK 7.0.0
    serialization: str = ""  #: `json` or `comma`, in a query string
    instead: str = ""  #: name of the parameter that may be given in place of this required one
    ref: str = ""  #: name of a model that holds the fields
    items: "Field | None" = None  #: of an array
    of: "Field | None" = None  #: values of a map
    fields: tuple["Field", ...] = ()

    @property
    def paging(self) -> bool:
        """Is it a page's number or size? Some are texts on the wire; all are read as numbers."""
        return self.name in {"PageNumber", "PageNum", "PageSize"}


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries: an object with `fields`, or a document of its own (`json_document`)."""

    kind: str
    fields: tuple[Field, ...] = ()  #: of a document: its documented parts
    note: str = ""


@dataclass(frozen=True, slots=True)
class Ram:
    """What a policy says about an operation."""

    action: str
    access: str
    resource: str  #: ARN with {regionId}, {accountId} and path parameters; `*` = no such level
    basis: str  #: documented or inferred


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the vendor's API, version 2021-07-01."""

    id: str
    method: str
    path: str
    tier: str  #: 1, 2, 2b, 3
    path_params: tuple[str, ...]
    query: tuple[Field, ...]
    body: Body | None
    response: Field
    ram: Ram
    deprecated: bool = False
    newer: bool = False  #: known to newer clients only
    unsupported: str = ""  #: why this release does not do it, and what to use; tier 1: ""

    @property
    def kind(self) -> str:
        """The noun that its path names, as core errors spell it: service, group, gateway..."""
        return _KINDS[self.path.split("/")[3]]


#: First segment of a path after `/api/v2` -> the noun.
_KINDS = {
    "services": "service",
    "app_services": "service",
    "groups": "group",
    "gateways": "gateway",
    "resources": "resource",
    "virtualresources": "resource",
    "benchmark-tasks": "benchmark task",
    "public": "region",
    "regions": "region",
    "tenantaddons": "region",
}


class UnknownPath(WireError):
    """Specified api is not found, please check your url and method."""

    def __init__(self) -> None:
        super().__init__("InvalidAction.NotFound", self.__class__.__doc__ or "")


class WrongMethod(WireError):
    """The path exists, the method does not; `allowed` are those that do."""

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        self.allowed = allowed
        super().__init__(
            "UnsupportedHTTPMethod",
            f"The method {method[:20]} is not supported on this path; legal: {', '.join(allowed)}.",
        )


@dataclass(slots=True)
class _Node:
    """One level of the paths: literal segments, the parameter segment, and what ends here."""

    children: dict[str, "_Node"] = field(default_factory=dict[str, "_Node"])
    ends: dict[str, Operation] = field(default_factory=dict[str, Operation])


@dataclass(frozen=True, slots=True)
class Catalog:
    """All operations, and the way from a request line to one of them."""

    operations: tuple[Operation, ...]
    models: Mapping[str, tuple[Field, ...]]
    by_id: Mapping[str, Operation]
    _root: _Node

    def match(self, method: str, raw_path: str) -> tuple[Operation, dict[str, str]]:
        """The operation that a raw path (percent-encoded, no query) and a method name, and its names.

        The path is split first and decoded then: `%2F` stays inside its segment.

        Raises:
            UnknownPath: no operation has this path.
            WrongMethod: operations have it, with other methods.
            Invalid: a name is not clean UTF-8 text.
        """
        if not raw_path.startswith("/"):
            raise UnknownPath
        segments = [unquote_to_bytes(part) for part in raw_path[1:].encode("latin-1").split(b"/")]
        node = next(_find(self._root, segments, 0), None)
        if node is None:
            raise UnknownPath
        operation = node.ends.get(method)
        if operation is None:
            raise WrongMethod(method, tuple(sorted(node.ends)))
        return operation, _names(operation, segments)


def _find(node: _Node, segments: list[bytes], at: int) -> Iterator[_Node]:
    """Ends that fit; a literal segment goes before a parameter."""
    if at == len(segments):
        if node.ends:
            yield node
        return
    segment = segments[at]
    literal = node.children.get(segment.decode("latin-1"))
    if literal is not None:
        yield from _find(literal, segments, at + 1)
    parameter = node.children.get(_PARAMETER)
    if parameter is not None and segment:
        yield from _find(parameter, segments, at + 1)


def _names(operation: Operation, segments: list[bytes]) -> dict[str, str]:
    names: dict[str, str] = {}
    for template, raw in zip(operation.path[1:].split("/"), segments, strict=True):
        if template.startswith("{"):
            names[template[1:-1]] = _name(template[1:-1], raw)
    return names


def _name(parameter: str, raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Invalid(parameter, "the path is not UTF-8") from error
    if UNCLEAN.search(text):
        raise Invalid(parameter, "it holds a NUL character")
    return text


@cache
def load() -> Catalog:
    """The catalog, read once per process from the package's own data."""
    folder = resources.files("pierhead.dialects.eas")
    document: dict[str, Any] = json.loads(folder.joinpath("operations.json").read_bytes())
    reasons: dict[str, str] = json.loads(folder.joinpath("unsupported.json").read_bytes())
    operations = tuple(_operation(entry, reasons) for entry in document["operations"])
    return Catalog(
        operations=operations,
        models={name: _fields(model) for name, model in document["models"].items()},
        by_id={operation.id: operation for operation in operations},
        _root=_tree(operations),
    )


def _tree(operations: tuple[Operation, ...]) -> _Node:
    root = _Node()
    for operation in operations:
        node = root
        for segment in operation.path[1:].split("/"):
            key = _PARAMETER if segment.startswith("{") else segment
            node = node.children.setdefault(key, _Node())
        node.ends[operation.method] = operation
    return root


def _operation(entry: dict[str, Any], reasons: dict[str, str]) -> Operation:
    ram: dict[str, str] = entry["ram"]
    return Operation(
        id=entry["operation"],
        method=entry["method"],
        path=entry["path"],
        tier=entry["tier"],
        path_params=tuple(entry["path_params"]),
        query=tuple(_field(item) for item in entry["query_params"]),
        body=_body(entry["body"]),
        response=_field(entry["response"]),
        ram=Ram(ram["action"], ram["access_level"], ram["resource"], ram["basis"]),
        deprecated=bool(entry.get("deprecated")),
        newer=bool(entry.get("newer")),
        unsupported=reasons.get(entry["operation"], ""),
    )


def _body(entry: dict[str, Any] | None) -> Body | None:
    if entry is None:
        return None
    fields = tuple(_field(item) for item in entry.get("document_fields", ()))
    return Body(entry["kind"], fields or _fields(entry), entry.get("note", ""))


def _fields(entry: dict[str, Any]) -> tuple[Field, ...]:
    return tuple(_field(item) for item in entry.get("fields", ()))


def _field(entry: dict[str, Any]) -> Field:
    values: Any = entry.get("values", ())
    is_map = isinstance(values, dict)
    return Field(
        name=entry.get("name", ""),
        type=entry.get("type", "any"),
        required=bool(entry.get("required")),
        values=() if is_map else tuple(values),
        open=bool(entry.get("open")),
        default=entry.get("default"),
        minimum=entry.get("min"),
        maximum=entry.get("max"),
        unit=entry.get("unit", ""),
        note=entry.get("note", ""),
        deprecated=bool(entry.get("deprecated")),
        nullable=bool(entry.get("nullable")),
        newer=bool(entry.get("newer")),
        serialization=entry.get("serialization", ""),
        instead=entry.get("instead", ""),
        ref=entry.get("ref", ""),
        items=_field(entry["items"]) if "items" in entry else None,
        of=_field(entry["values"]) if is_map else None,
        fields=_fields(entry),
    )
