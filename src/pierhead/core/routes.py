"""The route table: all that the gateway knows. The hub builds it, the gateway swaps it in whole."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pierhead.core.endpoint_tokens import DEFAULT, NO_LIMITS, Limits
from pierhead.core.traffic import ServiceFigures
from pierhead.core.usage import Meter


@dataclass(frozen=True, slots=True)
class Target:
    """One replica that takes requests."""

    replica: str
    host: str
    port: int
    key: str = ""  #: engine's own key, sent as Bearer; "" = no Authorization header goes there
    #: What its engine calls the model: requests get this name, answers lose it; "" = any name will do.
    model: str = ""


@dataclass(frozen=True, slots=True)
class RouteToken:
    """One secret that opens a service; a token that is being rotated has two, which count as one."""

    secret: str = field(repr=False)
    name: str = DEFAULT  #: what its use is counted for
    until: float | None = None  #: epoch seconds after which it opens nothing; None = for good
    limits: Limits = NO_LIMITS
    spent: int = (
        0  #: tokens used in the month `spent_in`, as the hub knew it when it made the table
    )
    spent_in: str = ""  #: `2026-11`, UTC; "" = nothing is known


@dataclass(frozen=True, slots=True)
class Route:
    """How requests for one service are judged and where they go."""

    service: str  #: service id
    name: str
    aliases: tuple[str, ...] = ()  #: other names it answers to, e.g. `<group>.<name>`
    tokens: tuple[RouteToken, ...] = ()  #: any of them opens it
    targets: tuple[Target, ...] = ()
    api: str = "any"  #: `openai`: its /v1 paths speak OpenAI's protocol
    #: Model names that its engine may be asked for; empty = the engine checks for itself.
    models: tuple[str, ...] = ()
    created: float = 0.0
    timeout: float | None = None  #: seconds a request may take; None = the gateway's limit
    open: bool = False  #: it asks for no token
    paths: tuple[str, ...] = ()  #: what may be called of it; empty = everything
    listed: bool = True  #: False: /v1/models does not show it, and no model name leads to it
    rate: int = 0  #: requests that may begin in a second, of all tokens together; 0 = any number
    slots: int = 0  #: requests that a replica works on at once; the others wait. 0 = any number
    queue: int = 64  #: how many may wait for a slot
    queue_seconds: float = 60.0  #: how long one may wait
    wakes: bool = False  #: it may be at zero replicas, and a request wakes it
    affinity: str = ""  #: `prefix`: like prompts go to the same replica; "" = the least busy
    repeats: bool = True  #: what a replica did not answer may be asked of another one
    group: str = ""  #: whose endpoint it answers at, too; "" = none
    #: Its share of the group's requests; -1 = by the number of its replicas, 0 = none.
    weight: int = -1


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All routes at one revision. Never changed: an update is a new table."""

    revision: int = 0
    routes: Mapping[str, Route] = field(default_factory=dict[str, Route])  #: by name and by alias
    #: Replicas that were routed and no longer are, whose last requests the hub waits for.
    draining: frozenset[str] = frozenset()
    #: Which start of a hub made it: revisions of two starts do not compare. 0 = it did not tell.
    origin: int = 0


def precedence(route: Route, name: str) -> tuple[bool, float, str]:
    """Of two routes that answer to `name`, the one with the lower value has it.

    Its own name wins over an alias, an older service over a newer one.
    """
    return route.name != name, route.created, route.service


def table(
    revision: int, routes: list[Route], draining: frozenset[str] = frozenset(), origin: int = 0
) -> RouteTable:
    """A table that finds each route by its name and its aliases, whatever their order: `precedence`."""
    by_name: dict[str, Route] = {}
    for route in routes:
        for name in (route.name, *route.aliases):
            other = by_name.get(name)
            if other is None or precedence(route, name) < precedence(other, name):
                by_name[name] = route
    return RouteTable(revision=revision, routes=by_name, draining=draining, origin=origin)


def dump(value: RouteTable) -> str:
    """As JSON; holds secrets: only for the gateway and its 0600 file."""
    routes = {route.service: route for route in value.routes.values()}
    lines = [dump_route(route) for route in routes.values()]
    return dump_table(value.revision, value.origin, value.draining, lines).decode()


def dump_table(
    revision: int, origin: int, draining: Iterable[str], lines: Iterable[bytes]
) -> bytes:
    """As `dump`, of routes that are texts already: each is a line of its own."""
    head = {"revision": revision, "draining": sorted(draining), "origin": origin}
    return document(head, "routes", lines)


def document(head: Mapping[str, Any], name: str, lines: Iterable[bytes]) -> bytes:
    """A JSON object of `head` and, under `name`, a list whose entries stand on a line each.

    Who reads it can take it line by line, and know again the lines that it has.
    """
    begin = _ENCODER.encode(head)[:-1].encode()
    return begin + b',"%s":[\n' % name.encode() + b",\n".join(lines) + b"\n]}"


def dump_route(route: Route) -> bytes:
    """One route as a line of JSON; holds secrets."""
    return _ENCODER.encode(route).encode()


def _fields(value: Any) -> dict[str, Any]:
    """Of a dataclass; `asdict` would copy all that is in it."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=_fields)


def load(text: str | bytes) -> RouteTable:
    """The table that `dump` wrote.

    Raises:
        ValueError: the text is not such a table.
    """
    try:
        found: dict[str, Any] = json.loads(text)
        routes = [load_route(entry) for entry in found["routes"]]
        draining, origin = frozenset(found["draining"]), int(found.get("origin", 0))
        return table(int(found["revision"]), routes, draining, origin)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a route table: {error!r}") from error


def load_route(entry: dict[str, Any]) -> Route:
    """A route as `dump_route` wrote it, by this release or another.

    Raises:
        KeyError, TypeError, AttributeError: it is none.
    """
    known = {name: entry[name] for name in Route.__dataclass_fields__ if name in entry}
    known["targets"] = tuple(_target(target) for target in entry["targets"])
    known["tokens"] = tuple(_token(token) for token in entry.get("tokens", ()))
    for name in ("aliases", "models", "paths"):
        known[name] = tuple(entry.get(name, ()))
    return Route(**known)


def _token(entry: dict[str, Any] | str) -> RouteToken:
    """Of a release before this one a token is its bare text."""
    if isinstance(entry, str):
        return RouteToken(entry)
    known = {name: entry[name] for name in RouteToken.__dataclass_fields__ if name in entry}
    limits: dict[str, Any] = entry.get("limits") or {}
    known["limits"] = Limits(
        **{name: limits[name] for name in Limits.__dataclass_fields__ if name in limits}
    )
    return RouteToken(**known)


def _target(entry: dict[str, Any]) -> Target:
    """Fields that this version knows: gateway and hub are not replaced in the same moment."""
    return Target(**{name: entry[name] for name in Target.__dataclass_fields__ if name in entry})


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """What a gateway tells the hub every second."""

    gateway: str  #: stable per process
    revision: int  #: table it serves by
    outstanding: Mapping[str, int]  #: replica id -> requests it is busy with, zero left out
    ejected: tuple[str, ...] = ()  #: replica ids out of rotation because they failed
    meters: tuple[Meter, ...] = ()  #: what changed since the last report that the hub took
    place: str = ""  #: where it listens: who follows it there has taken its place
    leaves: bool = False  #: it ends now, and has nothing left
    #: What each of the ejected ones did: a word of `core.ejections`.
    why: Mapping[str, str] = field(default_factory=dict[str, str])
    #: Service id -> what it was busy with in the last seconds; idle ones are left out.
    services: Mapping[str, ServiceFigures] = field(default_factory=dict[str, ServiceFigures])
