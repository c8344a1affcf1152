"""What is remembered of a client's last request: the next one on its connection is often its like."""

import hmac
from collections.abc import Callable
from typing import Final

from pierhead.core.routes import RouteToken
from pierhead.gateway.door import Door
from pierhead.gateway.exchange import Exchange, Judged
from pierhead.gateway.table import Gate
from pierhead.gateway.tokens import Credential, Plain

QUEUE_HEADER: Final = (
    b"x-eas-queueservice-redis-uid"  #: clients of the vendor's queue service send it
)


def _same(one: bytes | None, other: bytes | None) -> bool:
    """In a time that tells nothing: several clients of one proxy share a connection."""
    if one is None or other is None:
        return one is other
    return hmac.compare_digest(one, other)


class SameAgain(Judged):
    """How the head of a request was judged.

    The next one's is judged the same if path and credential are the same bytes, and the table is the
    same one: with that also every token that was revoked since. The table itself is not held: an idle
    connection would keep it, however many came after it.
    """

    __slots__ = (
        "_credential",
        "_head",
        "_live",
        "_openai",
        "_path",
        "_service",
        "_shown",
        "_swaps",
    )

    def __init__(self, exchange: Exchange, door: Door, go: Callable[[Exchange], None]) -> None:
        """`go` may not hold what comes to its end by itself."""
        self._head = exchange.head
        head = exchange.head
        self._path, self._credential = head.path, head.headers.get(b"authorization")
        self._shown = head.token
        self._openai, self._service = exchange.openai, exchange.service
        self._live, self._swaps, self.go = door.live, door.live.swaps, go

    def fits(self, exchange: Exchange) -> bool:
        """Would this one be judged the same? Then what was found out is noted in it."""
        head = exchange.head
        if self._live.swaps != self._swaps or exchange.fault is not None:
            return False
        if head is not self._head and (
            head.path != self._path
            or not _same(head.headers.get(b"authorization"), self._credential)
            or not _same(head.token, self._shown)
            or QUEUE_HEADER in head.headers
        ):
            return False
        exchange.openai, exchange.service = self._openai, self._service
        return True


class Models:
    """The service that the last model named by a client means, and its token."""

    __slots__ = ("_door", "_gate", "_name", "_swaps", "_token", "shown")

    def __init__(self, door: Door, shown: Credential | None) -> None:
        """`shown`: by which it is let in."""
        self.shown = shown
        self._door, self._name, self._swaps = door, "", -1
        self._gate: Gate | None = None
        self._token: RouteToken | None = None

    def of(self, name: str, session: bytes) -> tuple[Gate, RouteToken | None]:
        """See `Door.model`. Of a group one is picked each time.

        Raises:
            Refusal: none of this name is opened.
            NoUpstream: it is a group's, and none of its members takes part in its traffic.
        """
        door, gate = self._door, self._gate
        if gate is not None and name == self._name and self._swaps == door.live.swaps:
            return gate, self._token
        gate, token = door.model(name, self.shown, session)
        is_its_own = door.served.gates.get(name) is gate
        lasts = isinstance(self.shown, Plain) and (token is None or token.until is None)
        if is_its_own and lasts:
            self._gate, self._token, self._name, self._swaps = gate, token, name, door.live.swaps
        return gate, token
