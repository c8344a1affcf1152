"""What an engine's headers tell, and heads as bytes, ready to be sent in either direction."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from pierhead.core.routes import Target
from pierhead.gateway.exchange import STATUS_LINES, Exchange
from pierhead.gateway.head import HOP_BY_HOP, USUAL, Header, named_by_connection


class Addressed:
    """What each request to a replica has in its head: its address, and its own key if it has one."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Target, bytes]] = {}

    def lines(self, target: Target) -> bytes:
        """`Host` and `Authorization`."""
        known = self._known.get(target.replica)
        if known is not None and known[0] is target:
            return known[1]
        host = f"[{target.host}]" if ":" in target.host else target.host
        lines = f"Host: {host}:{target.port}\r\n"
        if target.key:
            lines += f"Authorization: Bearer {target.key}\r\n"
        made = lines.encode("latin-1")
        self._known[target.replica] = target, made
        return made

    def forget(self, replicas: Iterable[str]) -> None:
        """Those that are gone."""
        for replica in replicas:
            self._known.pop(replica, None)


def for_replica(
    exchange: Exchange, path: bytes, addressed: bytes, size: int, *, legible: bool = False
) -> bytes:
    """The head of the request as the engine gets it.

    `size`: bytes of the body; `legible`: the answer is to come uncompressed, because the gateway has to
    read it.
    """
    head, line = exchange.head, exchange.line
    seen = head.headers.get(b"x-forwarded-for")
    return b"%b %b%b HTTP/1.1\r\n%b%bX-Request-Id: %b\r\nX-Forwarded-For: %b\r\n%b\r\n" % (
        head.method.encode(),
        path,
        b"?" + head.query if head.query else b"",
        addressed,
        head.block(line.scheme, legible=legible),
        exchange.request_id,
        b"%b, %b" % (seen, line.address) if seen else line.address,
        b"Content-Length: %d\r\n" % size if (size or head.writes) and not head.upgrades else b"",
    )


class Told(NamedTuple):
    """What an engine's headers tell about its answer."""

    passing: bytes  #: lines that go to the client
    kind: bytes  #: media type, lower case, without parameters
    coded: bool  #: compressed
    length: bytes | None  #: of its body, if it says so
    chunked: bool


def told_by(raw: list[Header]) -> Told:
    """Reads an answer's headers; lines that pass keep their bytes."""
    passing: list[bytes] = []
    found: dict[int, bytes] = {}
    for header in raw:
        name, value = header
        role = _ROLES.get(name) or _role_of(name)
        if role <= _CODING:
            passing.append(b"%b: %b\r\n" % header)
        if role != _PASSES:
            found[role] = b"%b,%b" % (found[role], value) if role in found else value
    written, coding = found.get(_TYPE, b""), found.get(_CODING, b"identity")
    if found.get(_CONNECTION, b"close") not in USUAL:
        named = named_by_connection(raw)
        passing = [line for line in passing if line.partition(b":")[0].lower() not in named]
    return Told(
        b"".join(passing),
        _KINDS.get(written) or _kind_of(written),
        coding.strip().lower() != b"identity",
        found.get(_LENGTH),
        _FRAMING in found,  # the parser takes no other transfer coding
    )


#: What a header of an answer is to us, by its name as it was written: engines write few of them.
_ROLES: Final[dict[bytes, int]] = {}
_KINDS: Final[dict[bytes, bytes]] = {}  #: media types by what was written
_REMEMBERED: Final = 512
_PASSES, _TYPE, _CODING, _LENGTH, _FRAMING, _CONNECTION, _STAYS = range(1, 8)
_SPECIAL: Final = {
    b"content-length": _LENGTH,
    b"content-type": _TYPE,
    b"content-encoding": _CODING,
    b"x-request-id": _STAYS,
    **dict.fromkeys(HOP_BY_HOP, _STAYS),
    b"connection": _CONNECTION,
    b"transfer-encoding": _FRAMING,
}


def _role_of(name: bytes) -> int:
    role = _SPECIAL.get(name.lower(), _PASSES)
    if len(_ROLES) < _REMEMBERED:
        _ROLES[name] = role
    return role


def _kind_of(value: bytes) -> bytes:
    kind = value.partition(b";")[0].strip().lower()
    if len(_KINDS) < _REMEMBERED:
        _KINDS[value] = kind
    return kind


def for_client(
    exchange: Exchange, status: int, told: Told, *, length: bytes | None, chunked: bool
) -> bytes:
    """The head of the reply: the engine's own headers, framed as the client is to read it."""
    framing = b""
    if length is not None:
        # With fifty zeros before it, it is legal, and too long for some clients to believe.
        framing = b"content-length: %b\r\n" % (length.strip().lstrip(b"0") or b"0")
    elif chunked:
        framing = b"transfer-encoding: chunked\r\n"
    return b"%b%bx-request-id: %b\r\n%b%b\r\n" % (
        STATUS_LINES[status],
        told.passing,
        exchange.request_id,
        framing,
        b"connection: close\r\n" if exchange.ends else b"",
    )


def switching(exchange: Exchange, told: Told) -> bytes:
    """The head of the reply that agrees to a websocket."""
    return b"%b%bx-request-id: %b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" % (
        STATUS_LINES[101],
        told.passing,
        exchange.request_id,
    )
