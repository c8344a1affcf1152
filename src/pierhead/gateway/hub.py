"""The link to the hub: news of the route table come in, reports go out. Never in a request's path.

Of several hubs one is active, and the others refuse; whichever gave the last news hears everything else.
"""

import json
from collections.abc import Collection
from dataclasses import asdict
from http import HTTPStatus
from types import TracebackType
from typing import Self, cast

import aiohttp

from pierhead.core.errors import Refused, Unavailable
from pierhead.core.ids import Clock
from pierhead.core.route_news import Known, News, reading
from pierhead.core.routes import GatewayReport
from pierhead.gateway.holding import Start
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.slices import in_slices

_GRACE = 5.0  #: seconds a hub's answer may be late
#: Seconds a heartbeat may be late: then the line is taken for dead, and all is asked for on another.
_SILENT = 3.0
#: By these the hub says that a service cannot be woken: it does not exist, or was stopped.
_REFUSALS = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT})


class Absent(Unavailable):
    """Nobody listens at the hub's address."""


class Hub:
    """The hub as the gateway sees it, and since when it has not been seen."""

    def __init__(self, settings: GatewaySettings, clock: Clock) -> None:
        self._urls = [url.rstrip("/") for url in settings.hub_url.split(",")]
        self._wait, self._clock = settings.poll_seconds, clock
        #: Epoch seconds of the first failure in a row; None while it answers.
        self.unreachable_since: float | None = clock()
        self._at = 0  # which hub is followed
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {settings.internal_key}"},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=_GRACE, sock_connect=_GRACE),
            trust_env=False,
            connector=aiohttp.TCPConnector(ssl=settings.trust) if settings.trust else None,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def news_after(self, revision: int, origin: int, known: Known) -> News | None:
        """The hub's table as soon as it is another than `revision`, or what changed since; None if nothing did.

        `origin`: who made that revision; `known`: the lines that need not be read again. Below 0
        all is told at once. It is read in slices, so that nothing else waits for it.

        Raises:
            Unavailable: no answer, or not one that holds a table.
        """
        asked = f"revision={revision}&wait={self._wait:g}"
        if revision >= 0:
            asked += f"&origin={origin}&delta=1"
        url = f"{self._url}/internal/routes?{asked}"
        try:
            status, body = await self._call("GET", url, self._wait + _SILENT)
        except Unavailable:
            # Here alone: reports that fail at the same time would turn it on past the right one.
            self._at = (self._at + 1) % len(self._urls)
            raise
        if status == HTTPStatus.NOT_MODIFIED:
            return None
        try:
            return await in_slices(reading(body, known))
        except ValueError as error:
            raise self._unavailable(str(error)) from error

    @property
    def _url(self) -> str:
        return self._urls[self._at]

    async def report(self, report: GatewayReport, seconds: float = _GRACE) -> dict[str, int]:
        """Tells the hub; what other gateways used this month, `<service>/<token>` -> tokens.

        Raises:
            Unavailable: it did not take it, or not within `seconds`.
        """
        body = json.dumps(asdict(report)).encode()
        _, answer = await self._call("POST", f"{self._url}/internal/report", seconds, body)
        return _spent(answer)

    async def wake(self, service: str) -> Start:
        """Starts a service that is at zero replicas; one that starts already is left alone.

        Raises:
            Refused: it cannot be woken, for the reason that is told.
            Unavailable: no answer.
        """
        body = json.dumps({"service": service}).encode()
        url = f"{self._url}/internal/wake"
        status, answer = await self._call("POST", url, _GRACE, body, refusals=_REFUSALS)
        told = _object(answer)
        if status in _REFUSALS:
            raise Refused(_reason(told))
        percent, seconds = told.get("percent"), told.get("seconds")
        return Start(
            str(told.get("phase") or ""),
            round(percent) if isinstance(percent, int | float) else None,
            float(seconds) if isinstance(seconds, int | float) else None,
        )

    async def _call(
        self,
        method: str,
        url: str,
        seconds: float,
        body: bytes | None = None,
        refusals: Collection[int] = (),
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body else {}
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=_GRACE)
        call = self._session.request(
            method, url, data=body, headers=headers, timeout=timeout, allow_redirects=False
        )
        try:
            async with call as response:
                answer = response.status, await response.read()
        except aiohttp.ClientConnectorError as error:
            self._note_absence()
            raise Absent("the hub", str(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._unavailable(str(error) or type(error).__name__) from error
        fine = answer[0] < 300 or answer[0] == HTTPStatus.NOT_MODIFIED
        if not fine and answer[0] not in refusals:
            raise self._unavailable(f"it answered {answer[0]}")
        self.unreachable_since = None
        return answer

    def _unavailable(self, why: str) -> Unavailable:
        self._note_absence()
        return Unavailable("the hub", why)

    def _note_absence(self) -> None:
        if self.unreachable_since is None:
            self.unreachable_since = self._clock()


def _spent(answer: bytes) -> dict[str, int]:
    """What an answer says of use; of an older hub's nothing."""
    spent = _object(answer).get("spent")
    if not isinstance(spent, dict):
        return {}
    figures = cast("dict[str, object]", spent)
    return {name: value for name, value in figures.items() if isinstance(value, int)}


def _object(answer: bytes) -> dict[str, object]:
    """An answer's JSON object; empty if it is none."""
    try:
        document: object = json.loads(answer) if answer else None
    except ValueError:
        return {}
    return cast("dict[str, object]", document) if isinstance(document, dict) else {}


def _reason(told: dict[str, object]) -> str:
    """What an answer tells of its refusal."""
    error = told.get("error")
    if isinstance(error, dict):
        error = cast("dict[str, object]", error).get("message")
    return str(error) if error else "the hub refused it"
