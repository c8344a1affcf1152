"""One call of an operation, before any language is chosen: where it goes and what it carries."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlsplit

from pierhead.core.errors import Invalid
from pierhead.core.redaction import SECRET_NAME
from pierhead.core.reference import Operation, Parameter, Place, Style
from pierhead.web.samples.literals import json_text

_SLOT = re.compile(r"\{(\w+)\}")
_SURROGATE = re.compile("[\ud800-\udfff]")
#: ZStack: they stand beside the wrapper, not in it.
_TAGS = ("systemTags", "userTags")
_DEEPEST = 40  #: lists and objects in each other
_MOST = 5000  #: values of a call: nobody reads a longer sample, and each takes time to lay out


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a platform is, as a caller writes it."""

    endpoint: str  #: base URL of the control plane: `http://127.0.0.1:8080`
    gateway: str  #: base URL of the data plane
    region: str


@dataclass(frozen=True, slots=True)
class Call:
    """What a sample has to send."""

    operation: Operation
    origin: Origin
    values: Mapping[str, Any]  #: by the names of the parameters; of a document, all that it holds
    path: str  #: encoded
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    body: Mapping[str, Any] | None  #: None = it has none

    @property
    def server(self) -> str:
        """Base URL of whom it calls, without a slash at the end."""
        data = self.operation.style is Style.OPENAI
        return (self.origin.gateway if data else self.origin.endpoint).rstrip("/")

    @property
    def host(self) -> str:
        """HOST:PORT, as the SDKs take it."""
        return urlsplit(self.server).netloc

    @property
    def protocol(self) -> str:
        """HTTP or HTTPS, as the SDKs write it."""
        return "HTTPS" if urlsplit(self.server).scheme == "https" else "HTTP"

    @property
    def query_text(self) -> str:
        """The query, encoded and sorted by name, as a signature has it."""
        return "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(self.query))

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query_text}" if self.query else self.path

    @property
    def json(self) -> str:
        """The body as JSON, two spaces a level; "" without one."""
        return "" if self.body is None else json_text(self.body, 2)

    @property
    def below_service_url(self) -> str:
        """Of the data plane: the path below /v1, with its slash; "" of what is not OpenAI's."""
        below = self.operation.path.partition("/v1/")[2]
        return f"/{below}" if below else ""

    @property
    def service_url(self) -> str:
        """Of the data plane: what clients of OpenAI take as their base URL."""
        return self.server + self.path.removesuffix(self.below_service_url)

    @property
    def logs_in(self) -> bool:
        """Has a ZStack call to log in before? Not one that is a login itself."""
        return not self.operation.id.startswith("LogIn")

    @property
    def title(self) -> str:
        """What the sample says of itself first."""
        operation = self.operation
        version = f" {operation.version}" if operation.version else ""
        return f"{operation.id} ({operation.product}{version})"


def planned(operation: Operation, values: Mapping[str, Any], origin: Origin) -> Call:
    """The call that `values` make.

    A path parameter that is not given shows its name in angle brackets; secrets that are not the
    documented example's do too: they belong into the environment of whoever runs the sample.

    Raises:
        Invalid: a name that the operation does not know, or a value that no request can carry.
    """
    known = {parameter.name: parameter for parameter in operation.parameters}
    _check(operation, known, values)
    shown = {
        name: value if operation.example.get(name) == value else _hidden(name, value)
        for name, value in values.items()
    }
    places = {name: _place(operation, known.get(name)) for name in shown}
    by_place: dict[Place, dict[str, Any]] = {place: {} for place in Place}
    for name, value in shown.items():
        by_place[places[name]][name] = value
    return Call(
        operation=operation,
        origin=origin,
        values=shown,
        path=_path(operation, by_place[Place.PATH]),
        query=tuple(_query(operation, known, by_place[Place.QUERY])),
        headers=tuple((name, _text(value)) for name, value in by_place[Place.HEADER].items()),
        body=_body(operation, by_place[Place.BODY]),
    )


def _check(operation: Operation, known: Mapping[str, Parameter], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name not in known and not operation.document:
            raise Invalid(name, f"{operation.id} has no such parameter", ", ".join(known))
        _check_value(name, name, 0)
        _check_value(name, value, 0)
    if _count(values) > _MOST:
        raise Invalid("params", "there are too many values", f"at most {_MOST}, inner ones too")


def _check_value(name: str, value: Any, depth: int) -> None:
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise Invalid(_SURROGATE.sub("?", name), "it holds half a character")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Invalid(name, "it is no number that JSON can hold")
    elif isinstance(value, Mapping | list | tuple):
        if depth >= _DEEPEST:
            raise Invalid(name, f"it nests deeper than {_DEEPEST} levels")
        for inner in _inside(cast(Any, value)):
            _check_value(name, inner, depth + 1)


def _count(value: Any) -> int:
    """Values in a value, itself and names included."""
    if not isinstance(value, Mapping | list | tuple):
        return 1
    return 1 + sum(map(_count, _inside(cast(Any, value))))


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from cast(Mapping[str, Any], value).keys()
        yield from cast(Mapping[str, Any], value).values()
    else:
        yield from value


def _hidden(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return f"<{name}>" if value and SECRET_NAME.search(name) else value
    if isinstance(value, Mapping):
        fields = cast(Mapping[str, Any], value)
        return {key: _hidden(key, field) for key, field in fields.items()}
    if isinstance(value, list | tuple):
        return [_hidden(name, item) for item in cast(Sequence[Any], value)]
    return value


def _place(operation: Operation, parameter: Parameter | None) -> Place:
    if parameter is None:
        return Place.BODY
    if operation.style is Style.RPC and parameter.place is Place.BODY:
        return Place.QUERY
    return parameter.place


def _path(operation: Operation, given: Mapping[str, Any]) -> str:
    def filled(slot: re.Match[str]) -> str:
        return _encoded(_text(given.get(slot[1], f"<{slot[1]}>")))

    return _SLOT.sub(filled, operation.path)


def _query(
    operation: Operation, known: Mapping[str, Parameter], given: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        serialization = known[name].serialization
        if value is None:
            continue
        if serialization == "json":
            yield name, json_text(value)
        elif serialization == "comma" and isinstance(value, list | tuple):
            yield name, ",".join(_text(item) for item in cast(Sequence[Any], value))
        else:
            yield from _flat(name, value, numbered=operation.style is Style.RPC)


def _flat(name: str, value: Any, *, numbered: bool) -> Iterator[tuple[str, str]]:
    """Lists and maps in a query: `Tag.1.Key=` in RPC style, else `uuids=` again and again."""
    if isinstance(value, Mapping):
        for key, field in cast(Mapping[str, Any], value).items():
            yield from _flat(f"{name}.{key}", field, numbered=numbered)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(cast(Sequence[Any], value), 1):
            yield from _flat(f"{name}.{index}" if numbered else name, item, numbered=numbered)
    elif value is not None:
        yield name, _text(value)


def _body(operation: Operation, given: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if operation.style is Style.ZSTACK and operation.wrapper:
        beside = {name: given[name] for name in _TAGS if name in given}
        within = {name: value for name, value in given.items() if name not in beside}
        return {operation.wrapper: within, **beside}
    takes = any(parameter.place is Place.BODY for parameter in operation.parameters)
    if operation.style is Style.RPC or not (takes or operation.document):
        return None
    return dict(given)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
