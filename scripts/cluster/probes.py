"""Probes of containers: one look, and the count of looks that turns it into a verdict."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

Json = dict[str, Any]


@dataclass
class Verdict:
    """What the looks of one probe amount to; `good` is None until one of the thresholds is reached."""

    probe: Json
    good: bool | None = None
    message: str = ""
    _row: int = 0  #: looks in a row with the same result; failures count below zero

    def count(self, error: str) -> bool:
        """Take one look's result ("" = good); whether the verdict changed."""
        self._row = min(self._row, 0) - 1 if error else max(self._row, 0) + 1
        before = self.good
        if error and -self._row >= self.probe.get("failureThreshold", 3):
            self.good, self.message = False, error
        elif not error and self._row >= self.probe.get("successThreshold", 1):
            self.good, self.message = True, ""
        return self.good != before


async def look(
    probe: Json, host: str, ports: Sequence[Json], environment: Mapping[str, str]
) -> str:
    """Why the probe failed this time; "" when it did not."""
    limit = float(probe.get("timeoutSeconds", 1))
    try:
        async with asyncio.timeout(limit):
            if "exec" in probe:
                return await _exec(probe["exec"]["command"], environment)
            if "tcpSocket" in probe:
                _, writer = await asyncio.open_connection(host, _port(probe["tcpSocket"], ports))
                writer.close()
                return ""
            return await _http(probe["httpGet"], host, ports)
    except TimeoutError:
        return f"no answer within {limit:g} s"
    except (OSError, aiohttp.ClientError) as error:
        return str(error)


async def _http(wanted: Json, host: str, ports: Sequence[Json]) -> str:
    scheme = wanted.get("scheme", "HTTP").lower()
    url = f"{scheme}://{wanted.get('host', host)}:{_port(wanted, ports)}{wanted.get('path', '/')}"
    headers = {header["name"]: header["value"] for header in wanted.get("httpHeaders", ())}
    connector = aiohttp.TCPConnector(ssl=False, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(url, headers=headers, allow_redirects=False) as answer,
    ):
        good = 200 <= answer.status < 400
        return "" if good else f"HTTP probe failed with statuscode: {answer.status}"


async def _exec(command: Sequence[str], environment: Mapping[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    return "" if code == 0 else f"command ended with {code}"


def _port(wanted: Json, ports: Sequence[Json]) -> int:
    port = wanted["port"]
    if isinstance(port, int):
        return port
    return next(known["containerPort"] for known in ports if known.get("name") == port)
