"""Whom a connection to a replica tells what comes: the one who asked, and the one who keeps it."""

from typing import Generic, TypeVar

from pierhead.gateway.headers import Told
from pierhead.gateway.steady import Steady

Kept = TypeVar("Kept")


class Answer:
    """Whoever waits for what a replica answers to one request."""

    def head(self, status: int, told: Told, length: bytes | None) -> None:
        """Its head; `length` is that of its body, if it tells one."""
        raise NotImplementedError

    def body(self, data: bytes) -> None:
        """A piece of its body."""
        raise NotImplementedError

    def steady(self) -> Steady | None:
        """What passes on a whole chunk, with its frame, that need not be read; None = all are to be.

        It says False to what is no such chunk: then that is to be read.
        """
        raise NotImplementedError

    def takes(self, told: Told) -> bool:
        """May all of an answer with such a head and status 200 come by `whole`?"""
        raise NotImplementedError

    def whole(self, told: Told, body: bytes) -> None:
        """All of it at once; no other call comes before or after."""
        raise NotImplementedError

    def flush(self) -> None:
        """That is all that was read at once."""
        raise NotImplementedError

    def complete(self) -> None:
        """It is whole, and the connection free again. No `flush` comes before this."""
        raise NotImplementedError

    def lost(self, *, came: bool) -> None:
        """The connection ended before that; `came`: something of the answer did."""
        raise NotImplementedError

    def fault(self) -> None:
        """A mistake of ours came out in one of the calls above; it is being handled."""
        raise NotImplementedError

    def pause(self) -> None:
        """The replica takes no more of the request, or of the tunnel, for now."""
        raise NotImplementedError

    def resume(self) -> None:
        """It does again."""
        raise NotImplementedError


class Keeper(Generic[Kept]):
    """Whoever keeps connections between two requests."""

    def keep(self, connection: Kept) -> None:
        """It is free."""
        raise NotImplementedError

    def gone(self, connection: Kept) -> None:
        """It ended."""
        raise NotImplementedError
