"""The two C programs: built, started, and what they say."""

import json
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.platforms import free_address, stop
from bench.processes import until

_SOURCES = Path(__file__).parent
_STUB, _DRIVER = "stub", "driver"
_GRACE = 5.0  #: seconds that requests which are on their way at the end get


class CannotBuild(Exception):
    """There is no C compiler, or it does not take our programs."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where they lie."""

    stub: Path
    driver: Path


def build(folder: Path) -> Programs:
    """Compiles both.

    Raises:
        CannotBuild: see there.
    """
    compiler = os.environ.get("CC") or shutil.which("cc") or ""
    if not compiler:
        raise CannotBuild("There is no C compiler: install `cc`, or name one in CC.")
    for name in (_STUB, _DRIVER):
        command = [compiler, "-O2", "-o", str(folder / name), str(_SOURCES / f"{name}.c")]
        made = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if made.returncode:
            raise CannotBuild(f"{' '.join(command)}: {made.stderr.strip()[:500]}")
    return Programs(folder / _STUB, folder / _DRIVER)


@dataclass(frozen=True, slots=True)
class Stub:
    """A replica that runs."""

    name: str
    port: int
    pid: int = 0  #: 0 = it is somebody else's child

    def counted(self) -> dict[str, Any]:
        """What it says of itself."""
        return _get(self.port, "/stat")


@contextmanager
def stub(program: Path, name: str, *, gap: float = 0.005, delay: float = 0.0) -> Generator[Stub]:
    """One replica; `gap` seconds between two tokens of a stream, `delay` before any other answer."""
    port = int(free_address().rpartition(":")[2])
    times = ["-g", str(round(gap * 1e6)), "-d", str(round(delay * 1000))]
    process = subprocess.Popen(
        [str(program), "-p", str(port), "-n", name, *times], stdin=subprocess.DEVNULL
    )
    running = Stub(name, port, process.pid)
    try:
        until(lambda: _answers(running, process), 10, f"the stub {name}")
        yield running
    finally:
        stop(process)


@dataclass(frozen=True, slots=True)
class Door:
    """Where requests go: the path that `/v1/...` is put behind, and what opens it."""

    port: int
    base: str = ""
    token: str = ""
    model: str = "m"

    @property
    def arguments(self) -> list[str]:
        """For the driver."""
        path = f"{self.base}/v1/chat/completions"
        return ["-p", str(self.port), "-u", path, "-a", f"Bearer {self.token}", "-m", self.model]


def drive(driver: Path, mode: str, door: Door, seconds: float, **more: float) -> dict[str, Any]:
    """Runs the driver to its end; what it printed. `more`: its one-letter options."""
    return ended(driving(driver, mode, door, seconds, **more), seconds)


def driving(
    driver: Path, mode: str, door: Door, seconds: float, **more: float
) -> subprocess.Popen[str]:
    """Starts the driver; `ended` is to be called with it."""
    given = {"s": seconds, "w": _GRACE, **more}
    options = [text for name, value in given.items() for text in (f"-{name}", f"{value:g}")]
    return subprocess.Popen(
        [str(driver), mode, *door.arguments, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    """What a driver that was started for `seconds` has printed."""
    try:
        out, errors = process.communicate(timeout=seconds + 60)
    finally:
        stop_at_once(process)
    if process.returncode:
        raise RuntimeError(f"the driver ended with {process.returncode}: {errors[:500]}")
    return json.loads(out)


def stop_at_once(process: subprocess.Popen[Any]) -> None:
    """Without asking it."""
    if process.poll() is None:
        process.kill()
        process.wait()


def faults(run: dict[str, Any]) -> int:
    """How much of a run did not go as it should."""
    names = ("failed", "refused", "resets", "unfinished", "broken", "usage_seen")
    return sum(run[name] for name in names)


def _answers(running: Stub, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the stub ended with {process.returncode}")
    try:
        return bool(running.counted())
    except OSError:
        return False


def _get(port: int, path: str) -> dict[str, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
