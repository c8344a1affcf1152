"""The link to the hub: news of the route table come in, reports go out. Never in a request's path."""

import json
from dataclasses import asdict
from http import HTTPStatus
from types import TracebackType
from typing import Self, cast

import aiohttp

from pierhead.core import routes
from pierhead.core.errors import Unavailable
from pierhead.core.ids import Clock
from pierhead.core.routes import GatewayReport, RouteTable
from pierhead.gateway.settings import GatewaySettings

_GRACE = 5.0  #: seconds a hub's answer may be late
#: Seconds a heartbeat may be late: then the line is taken for dead, and all is asked for on another.
_SILENT = 3.0


class Hub:
    """The hub as the gateway sees it, and since when it has not been seen."""

    def __init__(self, settings: GatewaySettings, clock: Clock) -> None:
        self._url = settings.hub_url.rstrip("/")
        self._wait, self._clock = settings.poll_seconds, clock
        #: Epoch seconds of the first failure in a row; None while it answers.
        self.unreachable_since: float | None = clock()
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

    async def table_after(self, revision: int) -> RouteTable | None:
        """The hub's table as soon as it is another than `revision`; None if it stayed the same.

        Raises:
            Unavailable: no answer, or not one that holds a table.
        """
        url = f"{self._url}/internal/routes?revision={revision}&wait={self._wait:g}"
        status, body = await self._call("GET", url, self._wait + _SILENT)
        if status == HTTPStatus.NOT_MODIFIED:
            return None
        try:
            return routes.load(body)
        except ValueError as error:
            raise self._unavailable(str(error)) from error

    async def report(self, report: GatewayReport, seconds: float = _GRACE) -> dict[str, int]:
        """Tells the hub; what other gateways used this month, `<service>/<token>` -> tokens.

        Raises:
            Unavailable: it did not take it, or not within `seconds`.
        """
        body = json.dumps(asdict(report)).encode()
        _, answer = await self._call("POST", f"{self._url}/internal/report", seconds, body)
        return _spent(answer)

    async def _call(
        self, method: str, url: str, seconds: float, body: bytes | None = None
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body else {}
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=_GRACE)
        call = self._session.request(
            method, url, data=body, headers=headers, timeout=timeout, allow_redirects=False
        )
        try:
            async with call as response:
                answer = response.status, await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise self._unavailable(str(error) or type(error).__name__) from error
        if not (answer[0] < 300 or answer[0] == HTTPStatus.NOT_MODIFIED):
            raise self._unavailable(f"it answered {answer[0]}")
        self.unreachable_since = None
        return answer

    def _unavailable(self, why: str) -> Unavailable:
        if self.unreachable_since is None:
            self.unreachable_since = self._clock()
        return Unavailable("the hub", why)


def _spent(answer: bytes) -> dict[str, int]:
    """What an answer says of use; of an older hub's nothing."""
    try:
        document: object = json.loads(answer) if answer else None
    except ValueError:
        return {}
    spent = cast("dict[str, object]", document).get("spent") if isinstance(document, dict) else None
    if not isinstance(spent, dict):
        return {}
    figures = cast("dict[str, object]", spent)
    return {name: value for name, value in figures.items() if isinstance(value, int)}
