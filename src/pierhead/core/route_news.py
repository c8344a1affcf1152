"""What a hub answers a gateway: its whole route table, or what changed since the one the gateway has.

Both are read in slices, so that no reading of thousands of routes holds up a loop, and a line that the
reader knows is not parsed again: to tell that a table is the same costs a look-up per route.
"""

import json
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pierhead.core.routes import Route, document, dump_route, load_route

#: Routes that are parsed in one slice: about a millisecond.
_PARSED = 50
#: Lines that are only looked up in one slice.
_LOOKED_UP = 500


@dataclass(frozen=True, slots=True)
class News:
    """What became of the routes since `base`, or all of them."""

    revision: int  #: the table's number after it
    origin: int  #: which start of a hub tells it; 0 = it did not say
    draining: frozenset[str]  #: all replicas that drain
    base: int | None  #: the number of the table that it changes; None = it is a whole table
    changed: Sequence[tuple[Route, bytes]] = field(default=(), repr=False)  #: with their lines
    removed: frozenset[str] = frozenset()  #: services that are routed no more; of a change only
    kept: frozenset[str] = frozenset()  #: services whose lines were known; of a whole table only


@dataclass(frozen=True, slots=True)
class _Head:
    """A document but for its routes."""

    fields: Mapping[str, Any]
    lines: Sequence[bytes]  #: each a route with a comma behind it, perhaps
    entries: Sequence[dict[str, Any]]  #: instead of lines, where it has none


def dump_change(
    revisions: tuple[int, int],
    origin: int,
    draining: Iterable[str],
    lines: Iterable[bytes],
    removed: Iterable[str],
) -> bytes:
    """A change as JSON; `revisions`: of the table before it and after it. Holds secrets."""
    head = {
        "base": revisions[0],
        "revision": revisions[1],
        "origin": origin,
        "removed": sorted(removed),
        "draining": sorted(draining),
    }
    return document(head, "changed", lines)


def _nothing() -> Mapping[bytes, str]:
    return {}


Known = Callable[[], Mapping[bytes, str]]


def load_news(text: bytes, known: Known = _nothing) -> News:
    """What `text` tells; see `reading`.

    Raises:
        ValueError: it is neither a table nor a change.
    """
    steps = reading(text, known)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: News = end.value
            return found


def reading(text: bytes, known: Known = _nothing) -> Generator[None, None, News]:
    """Reads a table or a change, a slice at each step.

    `known`: line of a route -> its service; asked for a whole table only.

    Raises:
        ValueError: it is neither.
    """
    try:
        head = _head(text)
        yield
        whole = "base" not in head.fields
        changed, kept = yield from _routes(head, known() if whole else {})
        return _news(head.fields, changed, kept)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a route table: {error!r}") from error


def _head(text: bytes) -> _Head:
    first, *lines = text.split(b"\n")
    if not (lines and first.endswith(b":[") and lines[-1] == b"]}"):
        fields = json.loads(text)  # of a release that wrote it in one line, or of none
        return _Head(fields, (), fields["changed" if "base" in fields else "routes"])
    return _Head(json.loads(first + b"]}"), [line for line in lines[:-1] if line], ())


def _routes(
    head: _Head, known: Mapping[bytes, str]
) -> Generator[None, None, tuple[list[tuple[Route, bytes]], set[str]]]:
    changed: list[tuple[Route, bytes]] = []
    kept: set[str] = set()
    for entry in head.entries:
        route = load_route(entry)
        changed.append((route, dump_route(route)))
        if not len(changed) % _PARSED:
            yield
    for line in head.lines:
        text = line.removesuffix(b",")
        service = known.get(text)
        if service is None:
            changed.append((load_route(json.loads(text)), text))
        else:
            kept.add(service)
        if not (len(changed) % _PARSED if service is None else len(kept) % _LOOKED_UP):
            yield
    return changed, kept


def _news(
    fields: Mapping[str, Any], changed: Sequence[tuple[Route, bytes]], kept: set[str]
) -> News:
    whole = "base" not in fields
    return News(
        revision=int(fields["revision"]),
        origin=int(fields.get("origin", 0)),
        draining=frozenset(fields["draining"]),
        base=None if whole else int(fields["base"]),
        changed=changed,
        removed=frozenset() if whole else frozenset(fields["removed"]),
        kept=frozenset(kept),
    )
