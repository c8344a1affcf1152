"""The 74 APIs as data: routes, parameters, inventories and reasons are read from here, nowhere else."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of an API, or a field of a struct inside one."""

    name: str
    type: (
        str  #: Java's: String, Integer, Long, Float, Boolean, List<...>, Map<String,...>, a struct
    )
    required: bool = False
    place: str = "body"  #: path, query or body
    values: tuple[str, ...] = ()  #: the only legal ones, compared without case
    spelling: Mapping[str, str] = field(default_factory=dict[str, str])  #: folded -> canonical
    keys: Mapping[str, str] = field(default_factory=dict[str, str])  #: the same, for a map's keys
    default: str | None = None
    low: float | None = None
    high: float | None = None
    shortest: int = 0  #: characters, or elements of a list
    longest: int = 0  #: characters; 0 = no limit of its own
    verbatim: bool = False  #: white space at its ends means something
    blank_absent: bool = False  #: an empty text is none at all
    no_effect: bool = False  #: accepted, but there is nothing here that it could act on


@dataclass(frozen=True, slots=True)
class Api:
    """One API of the dialect, reachable by REST and by RPC."""

    name: str
    tier: int  #: 1 and 2: done; 3: answered as not supported
    summary: str
    method: str
    path: str  #: without a trailing slash
    item_path: str  #: of a query: the path of one object; "" = none
    wrapper: str  #: key of the body that holds the parameters; "" = no body
    sync: bool  #: never answered 202
    status: int  #: of a success, when the mode is `auto`
    authenticated: bool
    message: str  #: full name of the RPC message; "" = REST only
    reply: str  #: full name of its reply or event
    resource: str  #: type of what it works on, such as `ModelServiceVO`
    tags: bool  #: systemTags and userTags are taken
    twin: str  #: action of the other dialect that does the same
    response: Mapping[str, str]  #: key -> type
    queryable: tuple[str, ...]
    effect: str
    reason: str  #: of tier 3: why not, and what instead
    params: tuple[Param, ...]

    @property
    def action(self) -> str:
        """The key that names it in a PUT body, such as `updateModelService`."""
        return self.name[0].lower() + self.name[1:]

    @property
    def event(self) -> bool:
        """Its RPC answer is an event: it may come later, and carries an `apiId`."""
        return self.reply.endswith("Event")

    @property
    def query(self) -> bool:
        """It is asked in the query language."""
        return self.name.startswith("Query")

    @property
    def batch(self) -> bool:
        """It answers a result per object."""
        return "results" in self.response

    @property
    def inventory(self) -> str:
        """Class name of the objects that it answers; "" = none."""
        told = self.response.get("inventory") or self.response.get("inventories", "")
        return told.removeprefix("List<").removesuffix(">")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an inventory."""

    name: str
    type: str
    newer: bool = False  #: clients of the generation 5.3.20 do not have it
    never: bool = False  #: known, but not answered here


@dataclass(frozen=True, slots=True)
class Inventory:
    """A class of objects in answers; `fields` includes the inherited ones."""

    name: str
    java: str  #: its class on the server, for the schema map; "" = a plain map
    fields: tuple[Field, ...]

    @property
    def newer(self) -> bool:
        """Clients of the generation 5.3.20 do not know it at all."""
        return all(item.newer for item in self.fields)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that the dialect knows about itself."""

    apis: Mapping[str, Api]
    inventories: Mapping[str, Inventory]
    structs: Mapping[str, tuple[Param, ...]]  #: of parameters
    enums: Mapping[str, tuple[str, ...]]
    messages: Mapping[str, Api]  #: by last segment, `API<Name>Msg`


@cache
def load() -> Catalog:
    """The catalog, read once per process from the package's own data."""
    data = resources.files("pierhead.dialects.zstack").joinpath("apis.json")
    document: dict[str, Any] = json.loads(data.read_bytes())
    spellings = {name: _spelling(entry) for name, entry in document["spellings"].items()}
    apis = {entry["name"]: _api(entry, spellings) for entry in document["apis"]}
    structs: dict[str, tuple[Param, ...]] = {}
    for name, entry in document["structs"].items():
        inherited = apis[entry["plus"]].params if "plus" in entry else ()
        own = tuple(_param(item, spellings) for item in entry["fields"])
        # What stands in the path of the one API may be left out of a struct.
        structs[name] = own + tuple(
            replace(item, required=False) if item.place == "path" else item for item in inherited
        )
    inventories = {**document["inventories"], "TagResult": document["structs"]["TagResult"]}
    return Catalog(
        apis=apis,
        inventories={name: _inventory(name, inventories) for name in inventories},
        structs=structs,
        enums={name: tuple(entry["values"]) for name, entry in document["enums"].items()},
        messages={api.message.rpartition(".")[2]: api for api in apis.values() if api.message},
    )


def _spelling(entry: dict[str, Any]) -> dict[str, str]:
    known = {word.casefold(): word for word in entry["known"]}
    return {**known, **{word.casefold(): to for word, to in entry["aliases"].items()}}


def _api(entry: dict[str, Any], spellings: Mapping[str, Mapping[str, str]]) -> Api:
    message = entry.get("message", "")
    return Api(
        name=entry["name"],
        tier=entry["tier"],
        summary=entry["summary"],
        method=entry["method"],
        path=entry["path"].rstrip("/"),
        item_path=entry.get("itemPath", ""),
        wrapper=entry.get("wrapper", ""),
        sync=entry["mode"] == "sync",
        status=entry.get("status", 200),
        authenticated=not entry.get("open"),
        message=message,
        reply=f"{message.rpartition('.')[0]}.{entry['reply']}" if message else "",
        resource=entry.get("resource", ""),
        tags=bool(entry.get("tags")),
        twin=entry.get("easTwinAction", ""),
        response=entry["response"],
        queryable=tuple(entry.get("queryable", ())),
        effect=entry.get("effect", ""),
        reason=entry.get("reason", ""),
        params=tuple(_param(item, spellings) for item in entry["params"]),
    )


def _param(entry: dict[str, Any], spellings: Mapping[str, Mapping[str, str]]) -> Param:
    place = entry.get("in", "body")
    known = {word.casefold(): word for word in entry.get("known", ())}
    return Param(
        name=entry["name"],
        type=entry["type"],
        required=bool(entry.get("required")) or place == "path",
        place=place,
        values=tuple(entry.get("values", ())),
        spelling=spellings[entry["spelling"]] if "spelling" in entry else known,
        keys=spellings[entry["keys"]] if "keys" in entry else {},
        default=entry.get("default"),
        low=entry.get("low"),
        high=entry.get("high"),
        shortest=entry.get("shortest", 0),
        longest=entry.get("longest", 0),
        verbatim=bool(entry.get("verbatim")),
        blank_absent=entry.get("blank") == "absent",
        no_effect=bool(entry.get("noEffect")),
    )


def _inventory(name: str, entries: Mapping[str, dict[str, Any]]) -> Inventory:
    entry = entries[name]
    own = tuple(
        Field(item["name"], item["type"], bool(item.get("newer")), bool(item.get("never")))
        for item in entry["fields"]
    )
    parent = _inventory(entry["extends"], entries).fields if "extends" in entry else ()
    return Inventory(name, entry.get("class", ""), parent + own)


def inner_class(kind: str, known: Mapping[str, Inventory]) -> tuple[str, bool]:
    """(inventory that values of a Java type hold, in a list?); ("", False) = none."""
    bare = kind.removeprefix("List<").removesuffix(">")
    return (bare, bare != kind) if bare in known else ("", False)
