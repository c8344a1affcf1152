"""The relay: from a request that was let in to the last byte of its reply."""

import asyncio
from collections.abc import Callable

import aiohttp

from pierhead.core.routes import Target
from pierhead.gateway.answers import ClientLeft, Cut, NoUpstream, Refusal
from pierhead.gateway.balance import Balance
from pierhead.gateway.headers import for_client
from pierhead.gateway.metering import Count, counting
from pierhead.gateway.naming import Restoring, restoring
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.upstream import Call, NoAnswer, Upstream, noticing_the_end

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
        self.ejections: list[Callable[[str], None]] = []  #: told the service of each ejection

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
                raise ClientLeft
            await work
        finally:
            work.cancel()
            watch.cancel()
            await asyncio.wait((work, watch))
            if not work.cancelled():
                work.exception()  # seen; a client that left does not care

    async def _within_time(self, call: Call) -> None:
        limit = call.route.timeout
        try:
            async with asyncio.timeout(limit or self._settings.head_seconds) as deadline:
                await self._by_a_replica(call, deadline)
        except TimeoutError:
            if call.exchange.status:
                raise Cut from None
            if limit:
                message = f"The request took longer than {limit:g} s."
                raise Refusal(408, "request_timeout", message, close=True) from None
            self._fail(call.exchange.replica, call)  # silence for so long counts as a failure
            message = f"The service did not answer within {self._settings.head_seconds:g} s."
            raise Refusal(504, "upstream_timeout", message) from None

    async def _by_a_replica(self, call: Call, deadline: asyncio.Timeout) -> None:
        tried: list[str] = []
        while target := self._pick(call, tried):
            tried.append(target.replica)
            with self._balance.busy(target.replica):
                call.exchange.replica = target.replica
                response = await self._answer_of(target, call)
                if response is None:
                    continue
                if call.route.timeout is None:
                    deadline.reschedule(None)  # a stream may last
                await self._pass_on(response, call, target)
                return
        if not tried:
            raise NoUpstream
        raise Refusal(
            502, "bad_upstream", f"None of the {len(tried)} replicas tried gave an answer."
        )

    def _pick(self, call: Call, tried: list[str]) -> Target | None:
        if len(tried) >= self._settings.picks:
            return None
        return self._balance.pick(self._targets(call.route.service), tried)

    async def _answer_of(self, target: Target, call: Call) -> aiohttp.ClientResponse | None:
        try:
            response = await self._upstream.ask(target, call)
        except NoAnswer as failure:
            self._fail(target.replica, call)
            if failure.touched and call.exchange.method not in _IDEMPOTENT:
                raise Refusal(502, "bad_upstream", "The replica broke off its answer.") from failure
            return None
        self._balance.answered(target.replica)
        return response

    async def _pass_on(self, response: aiohttp.ClientResponse, call: Call, target: Target) -> None:
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
                await self._copy(response.content, call, count, names)
        except (aiohttp.ClientError, OSError) as error:
            self._fail(exchange.replica, call)
            raise Cut from error
        finally:
            response.close()

    async def _copy(
        self, content: aiohttp.StreamReader, call: Call, count: Count, names: Restoring | None
    ) -> None:
        exchange, more = call.exchange, True
        while more:
            data = await content.readany()
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

    def _fail(self, replica: str, call: Call) -> None:
        if self._balance.failed(replica, self._targets(call.route.service)):
            for told in self.ejections:
                told(call.route.name)
