"""The few calls of the Kubernetes API that a node makes, over plain JSON."""

import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import yaml

Json = dict[str, Any]
STRATEGIC = "application/strategic-merge-patch+json"
#: What a call ends in while the API server is away; a kubelet waits and goes on.
AWAY = (aiohttp.ClientError, OSError, TimeoutError, json.JSONDecodeError)
_CALL_SECONDS = 15.0
_WATCH_SECONDS = 240


class NodeApi:
    """One API server; calls answer (status, body) and leave the judgement to the caller."""

    def __init__(self, kubeconfig: Path) -> None:
        self._cluster, self._user = _current(kubeconfig)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "NodeApi":
        token = self._user.get("token")
        self._session = aiohttp.ClientSession(
            self._cluster["server"],
            headers={"Authorization": f"Bearer {token}"} if token else {},
            connector=aiohttp.TCPConnector(ssl=self._tls(), limit=0),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self, method: str, path: str, body: Json | None = None, kind: str = "application/json"
    ) -> tuple[int, Json]:
        """One request.

        Raises:
            AWAY: there was no answer, or none that is JSON.
        """
        async with self._open.request(
            method,
            path,
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": kind},
            timeout=aiohttp.ClientTimeout(total=_CALL_SECONDS),
        ) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else {}

    async def watch(self, path: str, query: str, version: str) -> AsyncIterator[Json]:
        """The changes after `version`, until the server ends the watch.

        Raises:
            AWAY: the connection broke.
        """
        url = f"{path}?watch=1&resourceVersion={version}&timeoutSeconds={_WATCH_SECONDS}&{query}"
        limits = aiohttp.ClientTimeout(
            total=None, connect=_CALL_SECONDS, sock_read=_WATCH_SECONDS + 15
        )
        async with self._open.get(url, timeout=limits, read_bufsize=2**20) as answer:
            answer.raise_for_status()
            async for line in _lines(answer.content):
                yield json.loads(line)

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("used outside of its `async with`")
        return self._session

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(
            cadata=_decoded(self._cluster, "certificate-authority")
        )
        if self._cluster.get("insecure-skip-tls-verify"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate, key = (
            _decoded(self._user, f"client-{part}") for part in ("certificate", "key")
        )
        if certificate and key:
            with tempfile.TemporaryDirectory() as folder:
                pair = Path(folder) / "client.pem"
                pair.touch(mode=0o600)
                pair.write_text(f"{certificate}\n{key}")
                context.load_cert_chain(pair)
        return context


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Whole lines of any length; a reader's own limit would end a watch at a large object."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line


def _current(kubeconfig: Path) -> tuple[Json, Json]:
    document = yaml.safe_load(kubeconfig.read_text())
    named = {
        kind: {item["name"]: item[kind.removesuffix("s")] for item in document.get(kind, ())}
        for kind in ("contexts", "clusters", "users")
    }
    context = named["contexts"][document["current-context"]]
    return named["clusters"][context["cluster"]], named["users"][context["user"]]


def _decoded(section: Json, name: str) -> str | None:
    """A certificate or key that stands in the file itself, or in a file that it names."""
    if f"{name}-data" in section:
        return base64.b64decode(section[f"{name}-data"]).decode()
    return Path(section[name]).read_text() if name in section else None
