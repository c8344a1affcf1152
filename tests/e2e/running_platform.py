"""A whole platform as its users start it: `pierhead up` as a process of its own, on ports of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import requests

from demo_weights import demo_cache
from ports import free_ports

PIERHEAD = (sys.executable, "-m", "pierhead")
START_SECONDS = STOP_SECONDS = 60.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform that runs."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    credentials: Mapping[str, Any]

    @property
    def region(self) -> str:
        return self.credentials["region"]

    @property
    def eas(self) -> str:
        """Base URL of the control plane."""
        return self.credentials["endpoints"]["eas"]

    @property
    def address(self) -> str:
        """HOST:PORT of the control plane, as the SDKs take it."""
        return self.eas.removeprefix("http://")

    @property
    def gateway(self) -> str:
        """Base URL of the data plane."""
        return self.credentials["endpoints"]["gateway"]

    @property
    def log(self) -> str:
        return (self.folder / "up.log").read_text(errors="replace")


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Platform]:
    """A platform with the data folder `folder`; at the end it is stopped, and nothing of it may run on."""
    platform = start(folder, environment)
    try:
        yield platform
    except BaseException:
        stop(platform.process)
        raise
    # Every descendant, replicas included: they live in sessions of their own.
    family = psutil.Process(platform.process.pid).children(recursive=True)
    code = stop(platform.process)
    assert code == 0, f"pierhead up ended with {code}:\n{platform.log[-3000:]}"
    assert not alive(family), f"left behind: {alive(family)}"


def start(folder: Path, environment: Mapping[str, str]) -> Platform:
    folder.mkdir(parents=True, exist_ok=True)
    listen, gateway = (f"127.0.0.1:{port}" for port in free_ports(2))
    addresses = ("--listen", listen, "--gateway-listen", gateway)
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            (*PIERHEAD, "up", "--data-dir", str(folder), *addresses),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PIERHEAD_CACHE_DIR": str(demo_cache()), **environment},
            start_new_session=True,
        )
    try:
        return _once_ready(process, folder)
    except BaseException:
        stop(process)
        raise


def _once_ready(process: "subprocess.Popen[bytes]", folder: Path) -> Platform:
    def ready() -> Platform | None:
        log = (folder / "up.log").read_text(errors="replace")
        assert process.poll() is None, f"pierhead up ended with {process.returncode}:\n{log}"
        if not (folder / "credentials.json").exists():
            return None
        credentials = json.loads((folder / "credentials.json").read_text())
        platform = Platform(process, folder, credentials)
        return platform if all(map(_healthy, (platform.eas, platform.gateway))) else None

    return until(ready, START_SECONDS, "the platform is ready")


def _healthy(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).json()["status"] == "ok"
    except (requests.ConnectionError, requests.Timeout):
        return False


def stop(process: "subprocess.Popen[bytes]") -> int:
    """End it in good order; its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a pid that another process got since does not count."""
    return [
        process
        for process in processes
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


def until(look: Callable[[], T | None], seconds: float, what: str, pause: float | None = None) -> T:
    """The first true value that `look` gives, within a deadline; it looks every `pause` seconds.

    Unless that is said it looks every 50 ms at first, and less often the longer it lasts, but at least four
    times a second: who looks must not take the CPU from what is waited for.
    """
    began = time.monotonic()
    deadline = began + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(
            min(0.25, max(0.05, 0.1 * (time.monotonic() - began))) if pause is None else pause
        )
