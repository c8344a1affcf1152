"""Asks a replica whether it can take requests; the answer is "" or the reason why not."""

import asyncio
import json
import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from pierhead.core.templates import Probe
from pierhead.optional import Later
from pierhead.runtimes.process.identity import Identity
from pierhead.runtimes.process.mounting import beside

if TYPE_CHECKING:
    import aiohttp
else:
    aiohttp = Later("aiohttp")

#: A completion of one token is far below this.
_BODY_LIMIT = 1024 * 1024
#: Becomes a command with as many open files as its replica has: the hub raised its own limit.
_LIMITED = 'ulimit -Sn "$0"; exec "$@"'


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom to ask."""

    name: str  #: what its engine calls the model: the service's name, unless it has one of its own
    host: str
    port: int
    key: str
    env: Callable[[], Mapping[str, str]]  #: the replica's, for `exec`
    cwd: str
    beside: Identity | None = None  #: whose view of the file system `exec` needs; None = ours
    open_files: int = 0  #: the replica's soft RLIMIT_NOFILE, for `exec`; 0 = ours


def once_ready(probe: Probe) -> Probe:
    """How to go on asking a ready replica: a completion each time would take its engine's time."""
    return replace(probe, kind="http-any", path="/health") if probe.kind == "completion" else probe


class Prober:
    """One HTTP session for all probes; a connection per try, since idle ones block small servers."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, probe: Probe, subject: Subject) -> str:
        """One try, bounded by the probe's timeout: "" when it succeeds, else why not."""
        if (
            self._session is None
        ):  # the first import takes its time: neither the probe's nor the hub's
            await asyncio.to_thread(import_module, "aiohttp")
        try:
            async with asyncio.timeout(probe.timeout):
                return await self._ask(probe, subject)
        except TimeoutError:
            if probe.kind == "auto":  # it listens but speaks no HTTP
                return await self._tcp(probe, subject)
            return f"no answer to the {probe.kind} probe within {probe.timeout:g} s"

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, probe: Probe, subject: Subject) -> str:
        match probe.kind:
            case "completion":
                return await self._completion(probe, subject)
            case "http":
                return await self._http(probe, subject, below=400)
            case "http-any":
                return await self._http(probe, subject, below=500)
            case "tcp":
                return await self._tcp(probe, subject)
            case "exec":
                return await _exec(probe, subject)
            case "auto":
                return await self._auto(probe, subject)

    async def _auto(self, probe: Probe, subject: Subject) -> str:
        try:
            return await self._status(probe, subject, below=500)
        except aiohttp.ClientConnectorError as error:
            return f"nothing listens on port {_port(probe, subject)} yet ({error.strerror})"
        except (aiohttp.ClientError, OSError):  # it listens, but this is no HTTP
            return await self._tcp(probe, subject)

    async def _http(self, probe: Probe, subject: Subject, below: int) -> str:
        try:
            return await self._status(probe, subject, below)
        except aiohttp.ClientResponseError:  # no status line, or one that means nothing
            return f"GET {probe.path} on port {_port(probe, subject)}: what answers is no HTTP/1.1"
        except (aiohttp.ClientError, OSError) as error:
            return f"GET {probe.path} on port {_port(probe, subject)}: {_words(error)}"

    async def _status(self, probe: Probe, subject: Subject, below: int) -> str:
        url = _url(probe, subject)
        headers = _headers(subject)
        async with self._open().get(url, headers=headers, allow_redirects=False) as answer:
            status = answer.status
        return "" if status < below else f"GET {probe.path} answered {status}"

    async def _completion(self, probe: Probe, subject: Subject) -> str:
        body = {"model": subject.name, "prompt": "Hi", "max_tokens": 1}
        url, headers = _url(probe, subject), _headers(subject)
        try:
            async with self._open().post(url, json=body, headers=headers) as answer:
                text = await _bounded(answer)
                status = answer.status
        except (aiohttp.ClientError, OSError) as error:
            return f"POST {probe.path} on port {_port(probe, subject)}: {_words(error)}"
        if status != 200:
            return f"POST {probe.path} answered {status}"
        return _judge(text, subject.name)

    async def _tcp(self, probe: Probe, subject: Subject) -> str:
        port = _port(probe, subject)
        try:
            async with asyncio.timeout(probe.timeout):
                _, writer = await asyncio.open_connection(subject.host, port)
        except OSError as error:
            return f"no connection to port {port}: {_words(error)}"
        writer.close()
        with suppress(OSError):  # the connection was the proof; how it ends does not matter
            await writer.wait_closed()
        return ""

    def _open(self) -> "aiohttp.ClientSession":
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                timeout=aiohttp.ClientTimeout(total=None),  # the probe's own timeout rules
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _bounded(answer: "aiohttp.ClientResponse") -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in answer.content.iter_chunked(65536):
        size += len(part)
        if size > _BODY_LIMIT:
            break
        parts.append(part)
    return b"".join(parts)


def _judge(text: bytes, name: str) -> str:
    """Is it really an answer of the right model? Anybody can say 200."""
    try:
        found: Any = json.loads(text)
    except ValueError:
        return "the completion probe got something that is not JSON"
    if not isinstance(found, dict):
        return "the completion probe got JSON that is no object"
    answer = cast("dict[str, Any]", found)
    choices: Any = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        return "the completion probe got an answer without choices"
    model: Any = answer.get("model")
    if model is not None and model != name:
        return f"the engine serves [{str(model)[:80]}], not [{name}]"
    return ""


async def _exec(probe: Probe, subject: Subject) -> str:
    if not probe.command:
        return "the exec probe has no command"
    command, cwd = probe.command, subject.cwd
    if subject.beside is not None:
        command, cwd = beside(subject.beside, cwd, command), "/"
    env = dict(subject.env())
    if subject.open_files and shutil.which(command[0], path=env.get("PATH")):
        command = ("/bin/sh", "-c", _LIMITED, str(subject.open_files), *command)
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=env,
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        return f"{probe.command[0]}: {_words(error)}"
    try:
        code = await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()
    return "" if code == 0 else f"{probe.command[0]} ended with exit code {code}"


def _url(probe: Probe, subject: Subject) -> str:
    host = f"[{subject.host}]" if ":" in subject.host else subject.host
    path = probe.path if probe.path.startswith("/") else f"/{probe.path}"
    return f"http://{host}:{_port(probe, subject)}{path}"


def _port(probe: Probe, subject: Subject) -> int:
    return subject.port if probe.port is None else probe.port


def _headers(subject: Subject) -> dict[str, str]:
    return {"Authorization": f"Bearer {subject.key}"} if subject.key else {}


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.strerror or "no connection"
    return str(error) or type(error).__name__
