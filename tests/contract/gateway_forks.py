"""Gateways that are forked off one process which has imported everything already.

To start a gateway is mostly to import it: half a second of a core, hundreds of times. So the tests of a
process share one that becomes a gateway in a fork, with settings, environment, folder and output of its
own: all that `gateway_process.py` does once it is loaded. A second fork stands between them, as a parent
that waits, and tells how the gateway ended.
"""

import array
import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

PROGRAM = Path(__file__).with_name("gateway_process.py")
_MESSAGE = 1 << 20  #: bytes; more is no gateway's settings
_LINE = 1 << 20


class Forked:
    """A gateway, spoken of as asyncio speaks of a process that it started."""

    def __init__(self, stdout: asyncio.StreamReader, told: asyncio.StreamReader) -> None:
        self.stdout = stdout
        self.pid = 0
        self.returncode: int | None = None
        self._told = told
        self._ending: asyncio.Task[int] | None = None

    @classmethod
    async def begin(cls, settings: Mapping[str, Any], env: Mapping[str, str]) -> Self:
        """A gateway with these settings and this environment."""
        asked = {"settings": settings, "env": dict(env), "cwd": str(Path.cwd())}
        (out, write_out), (told, write_told) = os.pipe(), os.pipe()
        try:
            _loaded().ask(json.dumps(asked).encode(), (write_out, write_told))
        finally:
            os.close(write_out)
            os.close(write_told)
        made = cls(await _reader(out), await _reader(told))
        made.pid = int(await made._told.readline())
        made._ending = asyncio.create_task(made._end())
        return made

    async def _end(self) -> int:
        self.returncode = int(await self._told.read())  # to its end, so that the pipe is closed
        return self.returncode

    async def wait(self) -> int:
        """Until it has ended; how."""
        assert self._ending is not None
        return await asyncio.shield(self._ending)

    def send_signal(self, number: int) -> None:
        """To the gateway, while it runs."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


async def _reader(number: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(_LINE)
    pipe = os.fdopen(number, "rb", buffering=0)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


class _Loaded:
    """The process that has imported everything."""

    def __init__(self, source: str) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MESSAGE)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", str(PROGRAM), f"--forks={theirs.fileno()}"],
                env={**os.environ, "PYTHONPATH": source, "PYTHONUNBUFFERED": "1"},
                pass_fds=(theirs.fileno(),),
            )

    def ask(self, asked: bytes, pipes: Sequence[int]) -> None:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", pipes))
        self._line.sendmsg([asked], [rights])

    def close(self) -> None:
        """It ends when nobody can ask it any more."""
        self._line.close()
        self._process.wait()


@lru_cache(maxsize=1)
def _loaded() -> _Loaded:
    made = _Loaded(os.pathsep.join(path for path in sys.path if path))
    atexit.register(made.close)
    return made


# ---- the other side ------------------------------------------------------------------------------


def serve(number: int) -> dict[str, Any] | None:
    """Fork a gateway off for each message; returns in each of them with its settings, at the end with None."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    with socket.socket(fileno=number) as line:
        while True:
            asked, rights, _, _ = line.recvmsg(_MESSAGE, socket.CMSG_SPACE(8))
            if not asked:
                return None
            out, told = array.array("i", rights[0][2])
            if os.fork() == 0:
                break
            os.close(out)
            os.close(told)
    return _become(json.loads(asked), out, told)


def _become(asked: Mapping[str, Any], out: int, told: int) -> dict[str, Any]:
    """In the fork that waits, and in the gateway; returns in the latter only."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        os.close(out)
        os.write(told, b"%d\n" % child)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(told, b"%d\n" % ended)
        os._exit(0)
    os.close(told)
    for number in (1, 2):
        os.dup2(out, number)
    os.close(out)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    return asked["settings"]
