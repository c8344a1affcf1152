"""A call on its way to replicas: which one is asked, how often, and how long; its reply is `Forward`'s."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Final

from pierhead.core.routes import Target
from pierhead.gateway.affinity import NOTHING, Affinities, Material
from pierhead.gateway.answers import NoUpstream, Refusal
from pierhead.gateway.awaiting import Answer
from pierhead.gateway.balance import Attempt, Balance, Failure
from pierhead.gateway.call import Call
from pierhead.gateway.deadlines import Deadlines
from pierhead.gateway.exchange import Exchange
from pierhead.gateway.fair_queue import FREE
from pierhead.gateway.headers import Addressed, for_replica
from pierhead.gateway.metering import Awaited, Count, Events
from pierhead.gateway.opened import Passes
from pierhead.gateway.replicas import Pool, ReplicaConnection
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.steady import Steady

#: They may be repeated although a replica had begun to answer (RFC 9110 §9.2.2).
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
KNOCK: Final = 1.0  #: seconds in which a replica that may hang has to give a sign of life
_LARGE: Final = 64 * 1024  #: a larger body is not copied behind its head


class Shared:
    """What all calls of one gateway share: the relay."""

    settings: GatewaySettings
    pool: Pool
    balance: Balance
    targets: Callable[[str], tuple[Target, ...]]
    loop: asyncio.AbstractEventLoop
    addressed: Addressed
    affinities: Affinities
    faults: list[Callable[[Exchange], None]]
    streams: "dict[Sending, None]"

    def choose(self, call: Call, tried: Sequence[Attempt]) -> tuple[Target | None, Material]:
        """The replica that a call goes to next, and what it was sought by."""
        raise NotImplementedError

    def deadlines(self, limit: float) -> "Deadlines[Sending]":
        """Those of all calls that get so many seconds; they are told shortly before."""
        raise NotImplementedError

    def note(self, call: Call, attempt: Attempt, *, ejected: bool) -> None:
        """Tells of a replica that was put out of rotation."""
        raise NotImplementedError


class Sending(Answer):
    """One call: asks replicas until one answers. Whoever replies by it says how."""

    # What most calls never need has its place in the class: an object with few of its own is cheap.
    _begun = 0.0
    # The reply.
    _chunked = False
    _paused = False
    _sent = False  #: the head is out
    _is_stream = False
    _plain = False  #: a stream whose chunks may go on as they are

    def __init__(self, relay: Shared, call: Call, over: Callable[[], None] | None) -> None:
        self._relay, self._call, self._exchange = relay, call, call.exchange
        self._over = over
        self._tried: list[Attempt] = []
        self._timers: list[asyncio.TimerHandle] = []
        self._limit = call.route.timeout or relay.settings.head_seconds
        self._out: list[bytes] = []
        self._sought: Material = NOTHING
        self._attempt: Attempt | None = None
        self._target: Target | None = None
        self._connection: ReplicaConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._deadlines: Deadlines[Sending] | None = None
        self._count: Count | None = None
        self._names: Passes | None = None
        self._steady: Steady | None = None

    @property
    def written(self) -> tuple[str, int]:
        """The service's name, and how many tokens were passed on so far."""
        self._settle()
        count = self._count
        return self._call.route.name, count.written if count is not None else 0

    def lately(self, replica: str) -> float:
        """When a stream of this replica last flowed, if this is one; the beginning of time if not."""
        steady = self._steady
        here = steady is not None and self._exchange.replica == replica
        return steady.last if steady is not None and here else float("-inf")

    def start(self) -> None:
        """Asks the first replica."""
        deadlines = self._deadlines = self._relay.deadlines(self._limit)
        self._begun = deadlines.add(self)
        self._next()

    # ---- asking ------------------------------------------------------------------------------------

    def _next(self) -> None:
        relay = self._relay
        target, sought = relay.choose(self._call, self._tried)
        self._sought = self._sought if sought is NOTHING else sought
        if target is None:
            many = len(self._tried)
            message = f"None of the {many} replicas tried gave an answer."
            self._refuse(Refusal(502, "bad_upstream", message) if many else NoUpstream())
            return
        self._target = target
        attempt = self._attempt = relay.balance.attempt(target)
        self._tried.append(attempt)
        self._exchange.replica = target.replica
        if self._call.place is not FREE:
            self._call.place.at(target.replica)
        if self._sought is not NOTHING:
            memory = relay.affinities.of(self._call.route.service)
            memory.went(self._sought, target.replica)
        if attempt.wakes:
            # That it still hangs must not cost the request: most of its time is left for another.
            knock = partial(self._knock_first, target, attempt)
            self._connecting = relay.pool.spawn(knock, self.fault)
            return
        # One that was used before may be closed just now: then the request has to be sent again.
        connection = relay.pool.take(target) if self._may_repeat else None
        if connection is not None:
            self._ask(connection)
        else:
            self._connect(target)
        if self._timers:
            self._knock_in_time()

    @property
    def _may_repeat(self) -> bool:
        """May it be sent twice, if nothing was answered the first time?"""
        return self._call.route.repeats or self._exchange.method in _IDEMPOTENT

    def _connect(self, target: Target) -> None:
        self._connecting = self._relay.pool.connect(
            target, self._connected, self._unreachable, self.fault, once=not self._may_repeat
        )

    def _connected(self, connection: ReplicaConnection) -> None:
        self._connecting = None
        self._ask(connection)

    def _ask(self, connection: ReplicaConnection) -> None:
        call, target, exchange = self._call, self._target, self._exchange
        if target is None:
            return
        self._connection = connection
        body = call.body_for(target)
        head = for_replica(
            exchange,
            call.asked.path,
            self._relay.addressed.lines(target),
            len(body),
            legible=call.legible_for(target),
        )
        data = [head, body] if len(body) > _LARGE else [head + body]
        connection.ask(self, data, headless=exchange.method == "HEAD")

    def _unreachable(self, why: Failure) -> None:
        self._connecting = None
        self._failed(why)
        self._next()

    def _failed(self, why: Failure) -> None:
        """The attempt came to nothing."""
        attempt, self._attempt, self._connection = self._attempt, None, None
        if attempt is not None:
            self._relay.note(self._call, attempt, ejected=attempt.failed(why, self._targets()))
            attempt.end()

    def lost(self, *, came: bool) -> None:
        """The connection to the replica ended before its answer did."""
        self._settle()
        connection, self._connection = self._connection, None
        if self._exchange.status:
            self._failed(Failure.BROKEN)
            self._cut()
        elif came:
            self._failed(Failure.BROKEN)
            if self._exchange.method in _IDEMPOTENT:
                self._next()
            else:
                self._refuse(Refusal(502, "bad_upstream", "The replica broke off its answer."))
        elif connection is not None and connection.used and self._target is not None:
            # It closed an idle connection just as we used it: no fault, and nothing was done yet.
            self._connect(self._target)
        else:
            self._failed(Failure.CLOSED)
            self._next()

    # ---- the client ------------------------------------------------------------------------------------

    def left(self) -> None:
        """The client is gone: the replica is to know."""
        self._settle()
        self._charge()
        self._end()

    def _charge(self) -> None:
        """It ends before its answer began: a replica that was sent it works on its prompt all the same."""
        if self._count is None and self._connection is not None and self._call.asked.writes:
            self._call.entry.count = Awaited(self._call.asked)

    def pause(self) -> None:
        """The client reads slower than the replica writes."""
        if not self._paused and self._connection is not None:
            self._paused = True
            self._connection.pause()

    def resume(self) -> None:
        """It has caught up."""
        if self._paused:
            self._paused = False
            if self._connection is not None:
                self._connection.resume()

    def _settle(self) -> None:
        """What flowed by since is counted."""
        steady, count = self._steady, self._count
        if steady is not None and steady.passed:
            self._exchange.chunks += steady.passed
            self._exchange.last_byte = steady.last
            if isinstance(count, Events):
                count.events += steady.passed
            steady.passed = 0

    def fault(self) -> None:
        """A mistake of ours."""
        for told in self._relay.faults:
            told(self._exchange)
        self._refuse(Refusal(502, "gateway_fault", "The gateway failed."))

    # ---- time --------------------------------------------------------------------------------------------

    def nearly_late(self) -> None:
        """Shortly before its time is over."""
        loop, limit = self._relay.loop, self._limit
        self._timers.append(loop.call_at(self._begun + limit, self._late))
        if not self._exchange.status:
            self._knock()

    def _knock_in_time(self) -> None:
        """An attempt that began when the time was nearly over gets its knock half-way to the end."""
        left = self._begun + self._limit - self._relay.loop.time()
        self._timers.append(self._relay.loop.call_later(max(0.0, left / 2), self._knock))

    def _knock(self) -> None:
        """Finds out whether a replica that sent nothing is alive."""
        attempt, target = self._attempt, self._target
        # One that is alone is put out for nothing.
        if attempt is None or target is None or len(self._targets()) < 2 or attempt.is_answering:
            return

        async def knock() -> None:
            if await self._relay.pool.knock(target, KNOCK) is None:
                attempt.awake = True

        self._relay.pool.spawn(knock, self.fault)

    async def _knock_first(self, target: Target, attempt: Attempt) -> None:
        failure = await self._relay.pool.knock(target, min(KNOCK, self._limit / 4))
        self._connecting = None
        if attempt is not self._attempt:
            return
        if failure is not None:
            self._failed(failure)
            self._next()
        else:
            self._connect(target)

    def _late(self) -> None:
        """The time is over."""
        self._settle()
        if self._exchange.status:
            self._cut()
            return
        settings, limit, attempt = self._relay.settings, self._call.route.timeout, self._attempt
        # The last of several may have had a moment only, after the others took their time.
        if attempt is not None and monotonic() - attempt.begun >= self._limit / 2:
            ejected = attempt.timed_out(self._targets())
            self._relay.note(self._call, attempt, ejected=ejected)
        self._charge()
        if limit:
            message = f"The request took longer than {limit:g} s."
            self._refuse(Refusal(408, "request_timeout", message, close=True))
        else:
            message = f"The service did not answer within {settings.head_seconds:g} s."
            self._refuse(Refusal(504, "upstream_timeout", message))

    # ---- the end -------------------------------------------------------------------------------------------

    def _refuse(self, refusal: Refusal) -> None:
        self._end()
        self._exchange.refuse(refusal)

    def _cut(self) -> None:
        # Without a frame an orderly end of the connection would pass for the end of the answer.
        exchange = self._exchange
        bare = not self._chunked and exchange.head.http_1_0
        self._end()
        exchange.cut(hard=bare)

    def _end(self) -> None:
        """Lets go of all there is; a second time does nothing."""
        if self._deadlines is not None:
            self._deadlines.drop(self)
        self._disarm()
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.end()
        entry = self._call.entry
        entry.end()
        self._exchange.tokens = entry.counted
        if self._is_stream:
            self._relay.streams.pop(self, None)
        over, self._over = self._over, None
        if over is not None:
            over()

    def _disarm(self) -> None:
        if self._timers:
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()

    def _targets(self) -> tuple[Target, ...]:
        return self._relay.targets(self._call.route.service)
