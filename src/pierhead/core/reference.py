"""One operation of any API, as the explorer, the samples and the documentation know it.

Each dialect tells its own catalog in these words; nobody outside a dialect reads its wire tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Style(StrEnum):
    """How an operation is called."""

    ROA = "roa"  #: signed; method and path name it (EAS)
    RPC = "rpc"  #: signed; `Action` and `Version` name it (RAM, STS, our own)
    ZSTACK = "zstack"  #: with a login's uuid; parameters wrapped in a body of one key
    OPENAI = "openai"  #: with a service's token, at the gateway


class Place(StrEnum):
    """Where a parameter travels."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"  #: a field of the body; of a document, one of its documented parts
    HEADER = "header"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter, a field of an object, or a field of an answer."""

    name: str  #: "" of the items of a list or the values of a map
    type: str  #: string, integer, number, boolean, object, array, map, any
    place: Place = Place.BODY
    required: bool = False
    values: tuple[str, ...] = ()  #: legal ones; known ones only if `open`
    open: bool = False
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    longest: int = 0  #: characters; 0 = no limit of its own
    unit: str = ""
    example: Any = None
    deprecated: bool = False
    effectless: str = ""  #: why it is accepted and nothing follows from it; "" = it has an effect
    since: str = ""  #: API version or client release that knew it first; "" = from the beginning
    serialization: str = ""  #: of a structured query parameter: `json` or `comma`
    type_text: str = ""  #: as the vendor writes the type, where that says more: `List<String>`
    fields: tuple["Parameter", ...] = ()  #: of an object
    items: "Parameter | None" = None  #: of an array, or the values of a map


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a policy has to allow."""

    action: str  #: `eas:CreateService`
    access: str  #: create, update, delete, get, list, ...
    resource: str  #: ARN with {placeholders}; `*` = there is no such level
    conditions: tuple[str, ...] = ()  #: condition keys that this platform knows
    basis: str = ""  #: `documented` by the vendor, or `inferred` from its siblings


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the history of an operation."""

    version: str  #: of this platform, or of the vendor's clients
    kind: str  #: a word of core/history.py
    text: str  #: names that it is about, in Markdown; "" = the kind says all


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation."""

    product: str  #: `eas`, `zstack`, `ram`, `sts`, `pierhead`, `openai`
    version: str  #: of the API: `2021-07-01`
    id: str  #: the same in the explorer, the catalog and the OpenAPI document
    style: Style
    method: str
    path: str  #: with {placeholders}; of an RPC style `/`
    group: str  #: the noun under which the explorer lists it
    parameters: tuple[Parameter, ...]
    response: tuple[Parameter, ...]
    authorization: Authorization
    #: What a caller who gives only this gets through: a full example (path, query and body together,
    #: by name; ZStack's unwrapped) and its answer, as the seed pages or the types have it.
    example: Mapping[str, Any] = field(default_factory=dict[str, Any])
    answer: Mapping[str, Any] = field(default_factory=dict[str, Any])
    document: bool = False  #: the body is a document of its own (service JSON), not named fields
    wrapper: str = ""  #: ZStack: key of the body that holds the parameters
    unsupported: str = ""  #: why this platform does not do it, and what instead; "" = it does
    deprecated: bool = False
    since: str = ""
    synchronous: bool = True  #: False: it answers 202 and a location to poll
    errors: tuple[str, ...] = ()  #: wire codes that it answers besides the common ones
    changes: tuple[Change, ...] = ()

    @property
    def writes(self) -> bool:
        """Does a real call change something?"""
        return self.authorization.access.lower() not in {"get", "list", "read", "none"}
