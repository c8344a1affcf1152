"""The one page of a kubelet that the API server asks for: the log of a container, maybe as it grows."""

import asyncio
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from aiohttp import web
from containers import Container

_FOLLOW_SECONDS = 0.2


class HasLogs(Protocol):
    """A pod, as far as logs go."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        ...

    def container(self, name: str) -> Container | None:
        """One of its containers."""
        ...


def certificate(folder: Path) -> ssl.SSLContext:
    """TLS with a certificate made once per folder; the API server does not check a kubelet's."""
    folder.mkdir(parents=True, exist_ok=True)
    key, signed = folder / "kubelet.key", folder / "kubelet.crt"
    if not signed.exists():
        made = ["-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=hollow"]
        where = ["-keyout", str(key), "-out", str(signed)]
        subprocess.run(["openssl", "req", "-x509", *made, *where], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed, key)
    return context


async def serve(host: str, tls: ssl.SSLContext, pods: Callable[[], Iterable[HasLogs]]) -> int:
    """Serve the logs of `pods` from now on; the port."""

    async def page(request: web.Request) -> web.StreamResponse:
        return await _page(request, pods)

    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=tls)
    await site.start()
    return int(runner.addresses[0][1])


async def _page(request: web.Request, pods: Callable[[], Iterable[HasLogs]]) -> web.StreamResponse:
    wanted = (request.match_info["namespace"], request.match_info["pod"])
    pod = next((each for each in pods() if each.key == wanted), None)
    container = pod.container(request.match_info["container"]) if pod else None
    previous = request.query.get("previous") == "true"
    if container is None or not container.log(previous).exists():
        return web.Response(status=404, text="there is no such log\n")
    path = container.log(previous)
    answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await answer.prepare(request)
    with path.open("rb") as log:
        await answer.write(_selected(log.read().splitlines(keepends=True), request))
        while request.query.get("follow") == "true" and not previous:
            over = not container.running or container.log() != path
            await answer.write(_selected(log.read().splitlines(keepends=True), request, rest=True))
            if over:
                break
            await asyncio.sleep(_FOLLOW_SECONDS)
    await answer.write_eof()
    return answer


def _selected(lines: list[bytes], request: web.Request, rest: bool = False) -> bytes:
    query = request.query
    since = _since(query.get("sinceTime", ""), query.get("sinceSeconds", ""))
    if since:
        lines = [line for line in lines if line.partition(b" ")[0] >= since]
    if "tailLines" in query and not rest:
        lines = lines[max(0, len(lines) - int(query["tailLines"])) :]
    found = b"".join(_shown(line, query.get("timestamps") == "true") for line in lines)
    return found[: int(query["limitBytes"])] if "limitBytes" in query else found


def _since(text: str, seconds: str) -> bytes:
    """The first stamp that is wanted; stamps of the same form compare as text."""
    if seconds:
        moment = datetime.fromtimestamp(time.time_ns() / 1e9 - int(seconds), UTC)
    elif text:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    else:
        return b""
    return moment.isoformat().encode()[:19]


def _shown(line: bytes, with_time: bool) -> bytes:
    at, _, rest = line.partition(b" ")
    text = rest.removeprefix(b"stdout F ")
    return at + b" " + text if with_time else text
