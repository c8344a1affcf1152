"""What the demo measures against: the same engine started by hand, and the platform's own event times."""

import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pierhead.core.errors import PierheadError
from pierhead.core.specs import BUILT_IN

_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Bare:
    """An engine that runs on its own."""

    url: str
    ready: float  #: seconds from its launch to its first answered completion


@contextmanager
def bare_engine(spec: str, cache: Path, folder: Path) -> Generator[Bare, None, None]:
    """The engine of a demo spec with its cached weights, on a free port, without a key."""
    template = BUILT_IN[spec]
    source = template.source
    if source is None or source.kind != "package":
        raise PierheadError(f"{spec} brings no weights along.")
    model = cache / "package" / source.member_sha256[:16] / "model.gguf"
    port = _free_port()
    command = [
        sys.executable,
        "-m",
        "pierhead.engines.llama_cpp_server",
        "--model",
        str(model),
        "--alias",
        "demo",
        "--port",
        str(port),
    ]
    command += [
        "--context",
        str(template.context),
        "--slots",
        str(template.slots),
        "--threads",
        str(threads()),
    ]
    began = time.monotonic()
    with (folder / "bare.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        yield Bare(url, _wait(process, url, began))
    finally:
        process.terminate()
        process.wait(10)


def threads() -> int:
    """What the process runtime gives the only replica of a host: all cores but one."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def answers(url: str) -> bool:
    """Does a GET answer 200?"""
    try:
        with closing(_NO_PROXY.open(url, timeout=2)) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def event_times(database: Path, service: str) -> dict[str, float]:
    """First moment of each event reason of a service; the wire's times have whole seconds only."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT reason, MIN(at) FROM events WHERE name = ? GROUP BY reason", (service,)
        )
        return dict(rows.fetchall())


def median(values: list[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def _wait(process: "subprocess.Popen[bytes]", url: str, began: float) -> float:
    request = urllib.request.Request(
        url + "/v1/completions",
        data=b'{"prompt": "Hi", "max_tokens": 1}',
        headers={"Content-Type": "application/json"},
    )
    while time.monotonic() - began < 60:
        if process.poll() is not None:
            raise PierheadError(f"The bare engine ended with {process.returncode}.")
        try:
            with closing(_NO_PROXY.open(request, timeout=10)):
                return time.monotonic() - began
        except (OSError, urllib.error.URLError):
            time.sleep(0.02)
    raise PierheadError("The bare engine did not answer within 60 s.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
