"""One container of a pod as a process of this machine, and what a kubelet would say about it."""

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

Json = dict[str, Any]
_MEMORY_LOOK_SECONDS = 0.5
_LINE_BYTES = 2**20
_PR_SET_PDEATHSIG = 1
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9}
_libc = ctypes.CDLL(None)


def stamp() -> str:
    """Now, as the API writes it."""
    return f"{precise_stamp()[:19]}Z"


def precise_stamp() -> str:
    """Now with all its digits, as a kubelet writes it before each line of a log."""
    seconds, rest = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09}Z"


def _end_with_the_node() -> None:
    """In the child: a node that dies takes its processes along; one that is stopped does not."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Container:
    """Facts and process of one container; `changed` is called after every new fact."""

    def __init__(self, spec: Json, folder: Path, changed: Callable[[], None]) -> None:
        self.spec, self.name = spec, str(spec["name"])
        self.restarts, self.last, self.ready, self.started = 0, dict[str, Any](), False, False
        self.state: Json = {"waiting": {"reason": "ContainerCreating"}}
        self._folder, self._changed = folder, changed
        self._process: asyncio.subprocess.Process | None = None
        self._life: asyncio.Task[Json] | None = None
        self._oom_killed = False

    @property
    def running(self) -> bool:
        return "running" in self.state

    def log(self, previous: bool = False) -> Path:
        """The log of this run or of the one before; lines are "TIME stdout F TEXT"."""
        number = self.restarts - 1 if previous else self.restarts
        return self._folder / f"{self.name}.{number}.log"

    def status(self) -> Json:
        return {
            "name": self.name,
            "image": self.spec.get("image", ""),
            "imageID": "",
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last,
        }

    def wait_for(self, reason: str, message: str = "") -> None:
        """It does not run now, for this reason."""
        self._become({"waiting": {"reason": reason} | ({"message": message} if message else {})})

    def restarting(self, reason: str, message: str) -> None:
        """The run that ended becomes the last one, a new one comes."""
        if "terminated" in self.state:
            self.last, self.restarts = self.state, self.restarts + 1
        self.wait_for(reason, message)

    def mark(self, *, ready: bool | None = None, started: bool | None = None) -> None:
        """What the probes found."""
        before = (self.ready, self.started)
        self.ready = self.ready if ready is None else ready
        self.started = self.started if started is None else started
        if before != (self.ready, self.started):
            self._changed()

    async def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start its process; a command that cannot run ends at once, with 127 or 126."""
        self._folder.mkdir(parents=True, exist_ok=True)
        began = stamp()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                env=dict(environment),
                cwd=self.spec.get("workingDir"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_the_node,
                limit=_LINE_BYTES,
            )
        except OSError as error:
            code = 127 if isinstance(error, FileNotFoundError) else 126
            self.log().touch()
            self._become(_terminated(code, began, "ContainerCannotRun", str(error)))
            return
        self._oom_killed = False
        self._become({"running": {"startedAt": began}})
        self._life = asyncio.create_task(self._live(self._process, began))

    async def ended(self) -> Json:
        """Wait for the end of the run; what it was."""
        if self._life is not None:
            await asyncio.shield(self._life)
        return self.state["terminated"]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def _live(self, process: asyncio.subprocess.Process, began: str) -> Json:
        log = asyncio.create_task(self._keep_log(process))
        watch = asyncio.create_task(self._watch_memory(process))
        code = await process.wait()
        watch.cancel()
        self.signal_rest(process)
        await asyncio.wait({log}, timeout=2)  # a grandchild may hold the pipe open
        log.cancel()
        reason = "OOMKilled" if self._oom_killed else "Completed" if code == 0 else "Error"
        self.ready = self.started = False
        self._become(_terminated(code, began, reason))
        return self.state["terminated"]

    @staticmethod
    def signal_rest(process: asyncio.subprocess.Process) -> None:
        """A container's first process takes all others along."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    async def _keep_log(self, process: asyncio.subprocess.Process) -> None:
        with self.log().open("wb", buffering=0) as log:
            while process.stdout and (line := await _line(process.stdout)):
                at = precise_stamp().encode()
                log.write(at + b" stdout F " + line.rstrip(b"\n") + b"\n")

    async def _watch_memory(self, process: asyncio.subprocess.Process) -> None:
        limit = quantity(self.spec.get("resources", {}).get("limits", {}).get("memory", "0"))
        while limit:
            await asyncio.sleep(_MEMORY_LOOK_SECONDS)
            if _own_memory(process.pid) > limit:
                self._oom_killed = True
                self.signal_rest(process)
                return

    def _become(self, state: Json) -> None:
        self.state = state
        if "running" not in state:
            self.ready = self.started = False
        self._changed()


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line, or a part of one that is longer than a log line may be."""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as end:
        return end.partial
    except asyncio.LimitOverrunError as much:
        return await stream.read(much.consumed)


def quantity(text: str) -> float:
    """A number of the API with its unit, as "16Gi" or "500M"."""
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    return float(text)


def _own_memory(pid: int) -> int:
    """Bytes that the process and its children hold alone; mapped files can be given back and do not count."""
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in family:
        with suppress(psutil.NoSuchProcess):
            held = process.memory_info()
            total += held.rss - held.shared
    return total


def _terminated(code: int, began: str, reason: str, message: str = "") -> Json:
    found: Json = {
        "exitCode": 128 - code if code < 0 else code,
        "reason": reason,
        "startedAt": began,
        "finishedAt": stamp(),
    }
    if code < 0:
        found["signal"] = -code
    return {"terminated": found | ({"message": message} if message else {})}
