"""What all connections of clients have in common: limits, deadlines, who is there, and who replies."""

import asyncio
from collections.abc import Callable
from random import Random

from pierhead.gateway import answers
from pierhead.gateway.answers import Refusal
from pierhead.gateway.deadlines import Deadlines
from pierhead.gateway.exchange import LEFT, Exchange, Line
from pierhead.gateway.settings import GatewaySettings
from pierhead.server import Connections


class Dispatch:
    """Whoever replies to requests."""

    def request(self, exchange: Exchange) -> None:
        """A request came, all of it at once."""
        raise NotImplementedError

    def head(self, exchange: Exchange) -> None:
        """The head of a request came; its body may still come."""
        raise NotImplementedError

    def whole(self, exchange: Exchange) -> None:
        """All of it came."""
        raise NotImplementedError


class Connection(Line):
    """A client's connection, as far as all of them are looked after together."""

    idle_since: float = 0.0  #: of the loop's clock; 0 = it is not

    def head_late(self) -> None:
        """Its head did not come in time."""
        raise NotImplementedError

    def body_late(self) -> None:
        """Its body did not come in time."""
        raise NotImplementedError

    def close(self) -> None:
        """Idle for too long, or still sending what nobody wants."""
        raise NotImplementedError

    def write_late(self) -> None:
        """What was sent should have been taken by now."""
        raise NotImplementedError

    def stop(self) -> None:
        """No more requests; the one in work may end."""
        raise NotImplementedError

    def end(self, refusal: Refusal) -> None:
        """Whatever is in work ends now."""
        raise NotImplementedError

    def hang_up(self, *, hard: bool = False) -> None:
        """Ends it; `hard`: whatever was not sent yet is lost."""
        raise NotImplementedError


class Commons:
    """One for all connections of a gateway."""

    def __init__(
        self,
        settings: GatewaySettings,
        gateway: Dispatch,
        note: Callable[[Exchange], None],
        rng: Random,
    ) -> None:
        """`note` is called once for each request, when its reply is over."""
        loop = asyncio.get_running_loop()
        self.gateway, self.limits, self.note = gateway, settings.limits, note
        self.settings, self.body_limit = settings, settings.body_limit
        self.scheme = b"https" if settings.tls else b"http"
        self.now = loop.time
        self.stopping = False
        self.clients: set[Connection] = set()
        self.heads = Deadlines[Connection](settings.limits.head_seconds, loop, _head_late)
        self.bodies = Deadlines[Connection](settings.body_seconds, loop, _body_late)
        self.rests = Deadlines[Connection](settings.limits.rest_seconds, loop, _rest_late)
        self.writes = Deadlines[Connection](settings.write_seconds, loop, _write_late)
        self._connections = Connections(settings.limits)
        # Unique, not secret: a random start, counted on.
        self._prefix = b"%016x" % rng.getrandbits(64)
        self._number = rng.getrandbits(32)
        self.empty: asyncio.Event | None = None  #: set once nobody is left

    def enter(self, client: Connection, address: str) -> bool:
        """Counts a connection; False if its address has too many."""
        if not self._connections.enter(address):
            return False
        self.clients.add(client)
        return True

    def leave(self, client: Connection, address: str) -> None:
        """It is gone."""
        self._connections.leave(address)
        self.clients.discard(client)
        for deadlines in (self.heads, self.bodies, self.rests, self.writes):
            deadlines.drop(client)
        if self.empty is not None and not self.clients:
            self.empty.set()

    def left(self, exchange: Exchange) -> None:
        """Its client went before its reply was complete."""
        passing, exchange.passing = exchange.passing, None
        exchange.status, exchange.finished = LEFT, True
        if passing is not None:
            passing.left()
        self.note(exchange)

    def fresh_id(self) -> bytes:
        """A request id of 32 hexadecimal digits."""
        self._number += 1
        return self._prefix + b"%016x" % self._number

    def too_large(self) -> Refusal:
        """413."""
        return answers.too_large(self.body_limit)

    def body_late(self) -> Refusal:
        """408."""
        seconds = self.settings.body_seconds
        message = f"The request body did not arrive within {seconds:g} s."
        return Refusal(408, "body_timeout", message, close=True)


def _head_late(one: Connection) -> None:
    one.head_late()


def _body_late(one: Connection) -> None:
    one.body_late()


def _rest_late(one: Connection) -> None:
    one.close()


def _write_late(one: Connection) -> None:
    one.write_late()
