"""Webhooks: the end of a job is told to the URL that its call named, if an operator allows that URL.

A webhook makes the platform send requests, so it is narrow: a list of allowed URL prefixes, no
redirects, no credentials, and a name never leads to a private address: only an address that the list
itself spells out does. The end is told at least once: a hub that dies in between tells it again.
"""

import asyncio
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from pierhead import telemetry
from pierhead.core import egress
from pierhead.core.errors import Invalid
from pierhead.core.jobs import Job, JobState
from pierhead.operations.platform import Platform
from pierhead.optional import Later
from pierhead.store import jobs as rows

if TYPE_CHECKING:
    import aiohttp
    import yarl
    from aiohttp.abc import AbstractResolver, ResolveResult
else:  # without a list of allowed URLs nobody is called
    aiohttp, yarl = Later("aiohttp"), Later("yarl")

HEADER = "X-Web-Hook"
#: Seconds before each repetition of a call that was not answered 2xx.
DELAYS = (2.0,) * 15
#: Seconds for one call, and for finding out the addresses of a host.
_CALL, _LOOKUP = 10.0, 5.0
_AT_A_TIME = 16

#: Gives the addresses of a host's name; raises OSError.
Lookup = Callable[[str], Awaitable[Sequence[str]]]

log = telemetry.logger("pierhead.webhooks")


async def addresses(host: str) -> list[str]:
    """The addresses that this machine finds for a name.

    Raises:
        OSError: there are none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Webhooks:
    """Checks URLs when a job begins, and tells them when it has ended."""

    def __init__(
        self,
        platform: Platform,
        allowed: Sequence[str],
        *,
        delays: Sequence[float] = DELAYS,
        lookup: Lookup = addresses,
    ) -> None:
        """`allowed`: URL prefixes; `delays`: seconds before each repetition."""
        self._platform, self._delays = platform, delays
        self._allowed = tuple(yarl.URL(prefix) for prefix in allowed)
        self._resolver = PublicAddresses(lookup)
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: aiohttp.ClientSession | None = None

    async def check(self, url: str) -> None:
        """Accept a URL as a webhook.

        Raises:
            Invalid: it is not within the setting zstack.webhooks, or its host has no fit address.
        """
        place = self._place(url)
        host = place.host or ""
        if not _is_address(host):
            try:
                await self._resolver.resolve(host)
            except OSError as error:
                raise Invalid(HEADER, f"[{host[:80]}] cannot be called: {error}") from error

    def tell(self, job: str) -> None:
        """A job with a webhook has ended: tell it, in the background."""
        task = asyncio.get_running_loop().create_task(self._deliver(job))
        self._tasks.add(task)
        task.add_done_callback(self._told)

    async def start(self) -> None:
        """Tell what a former hub did not come to tell.

        Raises:
            Unavailable: the database does not answer.
        """
        for job in await self._platform.db.read(rows.unheard):
            self.tell(job)

    async def close(self) -> None:
        """Stop telling; the next hub goes on with what is left."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    def _told(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("webhook not told, next try at the next start", error=str(error))

    async def _deliver(self, job_id: str) -> None:
        job = await self._platform.db.read(rows.load, job_id)
        if job is None or not job.webhook:
            return
        problem = await self._try(job)
        for delay in self._delays:
            if not problem:
                break
            await asyncio.sleep(delay)
            problem = await self._try(job)
        if problem:
            log.warning("webhook given up", job=job.id, problem=problem)
        await self._platform.db.write(rows.heard, job.id)

    async def _try(self, job: Job) -> str:
        """ "" when the webhook took it, else why not."""
        try:
            place = self._place(job.webhook)  # the list may be another one since
            async with (
                self._slots,
                self._session().post(
                    place, data=_body(job), headers=_headers(job), allow_redirects=False
                ) as answer,
            ):
                return "" if 200 <= answer.status < 300 else f"it answered {answer.status}"
        except Invalid as error:
            return error.message
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return f"{type(error).__name__}: {error}"

    def _session(self) -> "aiohttp.ClientSession":
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=cast("AbstractResolver", self._resolver),
                    use_dns_cache=False,
                    force_close=True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=_CALL),
                trust_env=False,
            )
        return self._client

    def _place(self, url: str) -> "yarl.URL":
        try:
            place = yarl.URL(url)
        except ValueError:
            place = yarl.URL()
        if not _plain(url, place) or not any(_within(place, prefix) for prefix in self._allowed):
            legal = (
                ", ".join(map(str, self._allowed)) or "none: the setting zstack.webhooks is empty"
            )
            raise Invalid(HEADER, f"[{url[:200]}] is not within the allowed URLs", legal)
        return place


class PublicAddresses:
    """Finds the addresses of names, the public ones only; `localhost` alone has private ones.

    It is a resolver as connectors of aiohttp take one.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> "list[ResolveResult]":
        """The addresses to connect to: no later look-up can put another one in their place.

        Raises:
            OSError: there are none, or none is public.
        """
        async with asyncio.timeout(_LOOKUP):
            found = await self._lookup(host)
        fit = [address for address in found if is_public(address) or host == "localhost"]
        if not fit:
            raise OSError("its name leads to no public address")
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in fit
        ]

    async def close(self) -> None:
        """Nothing is held."""


def is_public(text: str) -> bool:
    """True for an address of the open internet: the rule that storage endpoints go by, too."""
    return egress.refusal(text) is None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _plain(url: str, place: "yarl.URL") -> bool:
    """Nothing in it that two readers could take for different places, and no credentials."""
    odd = any(character <= " " or character in "\\\x7f" for character in url)
    inside = ".." not in place.path.split("/")
    return inside and not odd and place.user is None and place.password is None


def _within(place: "yarl.URL", prefix: "yarl.URL") -> bool:
    same = (place.scheme, place.host, place.port) == (prefix.scheme, prefix.host, prefix.port)
    root = prefix.path.rstrip("/") + "/"
    return same and place.scheme in ("http", "https") and f"{place.path}/".startswith(root)


def _body(job: Job) -> bytes:
    return json.dumps(job.answer or {}, ensure_ascii=True).encode()


def _headers(job: Job) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json;charset=utf-8",
        "User-Agent": "pierhead",
        "X-Job-UUID": job.id,
        "X-Job-Success": "true" if job.state is JobState.DONE else "false",
    }
    results = (job.answer or {}).get("results")
    if isinstance(results, list):
        headers["X-Job-Batch"] = _batch(cast("list[Mapping[str, Any]]", results))
    return headers


def _batch(results: Sequence[Mapping[str, Any]]) -> str:
    went = [bool(result.get("success")) for result in results]
    if all(went):
        return "SUCCESS"
    return "PARTIAL" if any(went) else "FAIL"
