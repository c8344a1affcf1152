"""A client's connection: what its transport tells, and what its deadlines do."""

import asyncio
from typing import Final, cast

from pierhead.gateway.answers import Refusal
from pierhead.gateway.pipeline import Pipeline
from pierhead.gateway.sockets import untaken

_EARLY: Final = 256 * 1024  #: bytes that it may send before its upgrade was agreed to


class Client(Pipeline):
    """One connection: an `asyncio.Protocol` by its methods, as a compiled class has no such base."""

    # ---- the transport ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self._transport = cast(asyncio.Transport, transport)
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        address = str(peer[0]) if peer else ""
        if not self._front.enter(self, address):
            self._transport.abort()
            return
        self._counted = address or "-"
        self.address = address.encode("latin-1", "replace")
        self.server = (str(own[0]), int(own[1])) if own else ("", 0)
        self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It went."""
        if self._counted:
            self._front.leave(self, self._counted.removeprefix("-"))
        self._deafen()
        far, self._far = self._far, None
        if far is not None:
            far.hang_up()
        current, self._current = self._current, None
        if current is not None:
            self._front.left(current)
        self.judged = None
        self._requests.drop()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        known = self._requests.remembered
        if known is not None and self.idle_since and not self._blocked:
            body = known.body_of(data)
            if body is not None:
                self._take(known.found, body)
                return
        if self._far is not None:
            self._far.write(data)
        elif self._deaf:
            return
        elif self._early is not None:
            self._early.append(data)
            if sum(map(len, self._early)) > _EARLY:
                self._stall()
        elif self._requests.over:
            self._requests.surplus = True
        else:
            self._busy = True
            self._requests.feed(data)
            self._go_on()

    def eof_received(self) -> bool:
        """It sends no more; nor will it read, as far as anybody can tell."""
        return False

    def pause_writing(self) -> None:
        """It reads slower than we send."""
        self._blocked = True
        self._time_writing()
        if self._far is not None:
            self._far.pause()
        elif self._current is not None and self._current.passing is not None:
            self._current.passing.pause()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._blocked = False
        if not self._transport.is_closing():  # else it has to take the rest in time, too
            self._front.writes.drop(self)
        if self._far is not None:
            self._far.resume()
        elif self._current is not None:
            if self._current.passing is not None:
                self._current.passing.resume()
        elif self._more and not self._busy:
            self._go_on()

    # ---- deadlines -------------------------------------------------------------------------------

    def head_late(self) -> None:
        """Its head did not come in time."""
        self._head_timed = False
        if not self._requests.begun:
            self.close()
            return
        self._requests.stop()
        self._requests.surplus = True
        self._last_words, self._more = 408, True
        if self._current is None:
            self._go_on()

    def body_late(self) -> None:
        """Its body did not come in time."""
        if self._current is not None:
            self._current.refuse(self._front.body_late())

    def write_late(self) -> None:
        """It took too little of what was sent."""
        if untaken(self._transport) < self._untaken:
            self._time_writing()
        else:
            self.hang_up(hard=True)

    def close(self) -> None:
        """Idle for too long, or still sending what nobody wants."""
        self.hang_up()

    def stop(self) -> None:
        """No more requests; the one in work may end."""
        if self._current is not None:
            self._current.ends = True
        elif self._far is None:
            self.close()

    def end(self, refusal: Refusal) -> None:
        """Whatever is in work ends now."""
        if self._current is not None:
            passing = self._current.passing
            if passing is not None:
                passing.left()
            self._current.refuse(refusal)
        else:
            self._close()
