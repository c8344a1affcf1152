"""A tunnel: after a websocket was agreed to, bytes go to and fro as they are."""

from collections.abc import Callable
from typing import Protocol


class Far(Protocol):
    """The other end of a tunnel."""

    def write(self, data: bytes) -> None:
        """Sends some bytes."""
        ...

    def hang_up(self) -> None:
        """Nothing more will come."""
        ...

    def pause(self) -> None:
        """Take nothing in for now."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...


class End(Far, Protocol):
    """A connection that can be one end of a tunnel."""

    def tunnel(self, far: Far) -> None:
        """What it reads goes to `far` from here on."""
        ...


class Tunnel:
    """Both directions; over when either end is."""

    def __init__(self, replica: End, client: End, over: Callable[[], None]) -> None:
        self._ends = replica, client
        self._over: Callable[[], None] | None = over

    def open(self) -> None:
        """Joins the two."""
        replica, client = self._ends
        replica.tunnel(_Side(client, self.close))
        client.tunnel(_Side(replica, self.close))

    def close(self) -> None:
        """One of them is gone, so the other goes as well."""
        over, self._over = self._over, None
        if over is not None:
            for end in self._ends:
                end.hang_up()
            over()


class _Side:
    """The end that one of them writes to."""

    def __init__(self, end: End, closed: Callable[[], None]) -> None:
        self._end, self._closed = end, closed

    def write(self, data: bytes) -> None:
        self._end.write(data)

    def hang_up(self) -> None:
        self._closed()

    def pause(self) -> None:
        self._end.pause()

    def resume(self) -> None:
        self._end.resume()
