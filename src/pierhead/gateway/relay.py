"""The relay: from a request that was let in to the last byte of its reply."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import aiohttp

from pierhead.core.routes import Target
from pierhead.gateway.answers import ClientLeft, Cut, NoUpstream, Refusal
from pierhead.gateway.balance import Attempt, Balance, Failure
from pierhead.gateway.headers import for_client
from pierhead.gateway.metering import Awaited, Count, counting
from pierhead.gateway.naming import Restoring, restoring
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.upstream import KNOCK, Call, NoAnswer, Upstream, noticing_the_end

#: They may be repeated although a replica had begun to answer (RFC 9110 §9.2.2).
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


class Relay:
    """Passes calls to replicas and their answers back."""

    def __init__(
        self,
        settings: GatewaySettings,
        upstream: Upstream,
        balance: Balance,
        targets: Callable[[str], tuple[Target, ...]],
        now: Callable[[], float],
    ) -> None:
        """`targets` gives the newest targets of a service id; `now` is the loop's clock."""
        self._settings, self._upstream, self._balance = settings, upstream, balance
        self._targets, self._now = targets, now
        #: Told of each ejection: the service, the replica, and what it did.
        self.ejections: list[Callable[[str, str, Failure], None]] = []

    async def serve(self, call: Call) -> None:
        """Replies to the call; stops at once when the client leaves.

        Raises:
            Refusal: nothing was sent yet; answer with this.
            Cut: the reply broke off.
            ClientLeft: nobody is there to reply to.
        """
        exchange = call.exchange
        work = asyncio.create_task(self._within_time(call))
        watch = asyncio.create_task(exchange.gone())
        try:
            await asyncio.wait((work, watch), return_when=asyncio.FIRST_COMPLETED)
            # The end of the reply ends the watch as well: that is no leaving.
            if not work.done() and not exchange.finished:
                if call.entry.count is None and exchange.replica and call.asked.writes:
                    call.entry.count = Awaited(call.asked)
                raise ClientLeft
            await work
        finally:
            work.cancel()
            watch.cancel()
            await asyncio.wait((work, watch))
            if not work.cancelled():
                work.exception()  # seen; a client that left does not care

    async def _within_time(self, call: Call) -> None:
        limit, tried = call.route.timeout, list[Attempt]()
        seconds = limit or self._settings.head_seconds
        try:
            async with asyncio.timeout(seconds) as deadline:
                await self._by_a_replica(call, deadline, tried)
        except TimeoutError:
            if call.exchange.status:
                raise Cut from None
            # The last of several may have had a moment only, after the others took their time.
            if tried and self._now() - tried[-1].begun >= seconds / 2:
                self._note(call, tried[-1], tried[-1].timed_out(self._of(call)))
            if limit:
                message = f"The request took longer than {limit:g} s."
                raise Refusal(408, "request_timeout", message, close=True) from None
            message = f"The service did not answer within {self._settings.head_seconds:g} s."
            raise Refusal(504, "upstream_timeout", message) from None

    async def _by_a_replica(
        self, call: Call, deadline: asyncio.Timeout, tried: list[Attempt]
    ) -> None:
        while target := self._pick(call, tried):
            with self._balance.attempt(target) as attempt:
                tried.append(attempt)
                call.exchange.replica = target.replica
                with self._knocking(call, target, attempt, deadline.when()):
                    response = await self._answer_of(target, call, attempt)
                if response is None:
                    continue
                if call.route.timeout is None:
                    deadline.reschedule(None)  # a stream may last
                await self._pass_on(response, call, target, attempt)
                return
        if not tried:
            raise NoUpstream
        raise Refusal(
            502, "bad_upstream", f"None of the {len(tried)} replicas tried gave an answer."
        )

    @contextmanager
    def _knocking(
        self, call: Call, target: Target, attempt: Attempt, deadline: float | None
    ) -> Generator[None]:
        """Shortly before the time is over, find out whether a replica that sent nothing is alive."""
        loop, begun = asyncio.get_running_loop(), self._now()
        tasks = list[asyncio.Task[None]]()

        def knock() -> None:
            # One that is alone is put out for nothing.
            if len(self._of(call)) > 1 and not attempt.is_answering:
                tasks.append(loop.create_task(self._knock(target, attempt)))

        left = 0.0 if deadline is None else deadline - begun
        timer = loop.call_at(begun + left - min(KNOCK, left / 2), knock)
        try:
            yield
        finally:
            timer.cancel()
            for task in tasks:
                task.cancel()

    async def _knock(self, target: Target, attempt: Attempt) -> None:
        with suppress(NoAnswer):
            await self._upstream.knock(target)
            attempt.awake = True

    def _pick(self, call: Call, tried: list[Attempt]) -> Target | None:
        # Those that nobody listens at cost next to nothing: it goes on until one does.
        if sum(not attempt.refused for attempt in tried) >= self._settings.picks:
            return None
        return self._balance.pick(self._of(call), [attempt.replica for attempt in tried])

    async def _answer_of(
        self, target: Target, call: Call, attempt: Attempt
    ) -> aiohttp.ClientResponse | None:
        """The head of the answer; None = it may be asked of another replica.

        That is so while this one sent nothing, or where it does not matter how often it is done.
        """
        try:
            if attempt.wakes:
                # That it still hangs must not cost the request: most of its time is left for another.
                limit = call.route.timeout or self._settings.head_seconds
                await self._upstream.knock(target, min(KNOCK, limit / 4))
            response = await self._upstream.ask(target, call)
        except NoAnswer as failure:
            self._note(call, attempt, attempt.failed(failure.kind, self._of(call)))
            if failure.touched and call.exchange.method not in _IDEMPOTENT:
                raise Refusal(502, "bad_upstream", "The replica broke off its answer.") from failure
            return None
        self._note(call, attempt, attempt.answered(response.status, self._of(call)))
        return response

    async def _pass_on(
        self, response: aiohttp.ClientResponse, call: Call, target: Target, attempt: Attempt
    ) -> None:
        exchange = call.exchange
        raw = response.raw_headers
        names = restoring(target, call.route, exchange.method, raw)
        count = counting(call.asked, response.status, raw, told=call.telling is not None)
        call.entry.count = count
        try:
            sized = names is None and not count.strips
            headers = for_client(raw, exchange.request_id, sized=sized)
            await exchange.start(response.status, headers)
            with noticing_the_end(response):
                await self._copy(response.content, call, count, names, attempt)
            attempt.whole()
        except (aiohttp.ClientError, OSError) as error:
            self._note(call, attempt, attempt.failed(Failure.BROKEN, self._of(call)))
            raise Cut from error
        finally:
            response.close()

    async def _copy(
        self,
        content: aiohttp.StreamReader,
        call: Call,
        count: Count,
        names: Restoring | None,
        attempt: Attempt,
    ) -> None:
        exchange, more = call.exchange, True
        while more:
            data = await content.readany()
            attempt.flows()
            more = not content.at_eof()
            data = count.passed(data, last=not more)
            if not more or count.ended:
                # Before the client can know of it: its next request finds this one counted.
                call.entry.end()
            if names is not None:
                data = names.passed(data, last=not more)
            if data and exchange.first_byte is None:
                exchange.first_byte = self._now()
            if data or not more:
                await exchange.chunk(data, more=more)

    def _of(self, call: Call) -> tuple[Target, ...]:
        return self._targets(call.route.service)

    def _note(self, call: Call, attempt: Attempt, ejected: bool) -> None:
        if ejected:
            for told in self.ejections:
                told(call.route.name, attempt.replica, self._balance.ejected[attempt.replica])
