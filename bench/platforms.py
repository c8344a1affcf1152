"""Starts and stops the processes that are measured, each on a folder and ports of its own."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.processes import children, until

READY_SECONDS, STOP_SECONDS = 60.0, 60.0
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Running:
    """A process that answers; `seconds` is from its launch to its first 200."""

    process: subprocess.Popen[bytes]
    folder: Path
    listen: str
    gateway_listen: str
    seconds: float

    @property
    def pid(self) -> int:
        """Of the process that was launched."""
        return self.process.pid

    @cached_property
    def hub(self) -> int:
        """Pid of the hub, of `up`'s or this very process."""
        return self._child("hub")

    @cached_property
    def gateway(self) -> int:
        """Pid of `up`'s gateway."""
        return self._child("gateway")

    @cached_property
    def credentials(self) -> dict[str, Any]:
        """The file that the first start writes."""
        return json.loads((self.folder / "credentials.json").read_text())

    def _child(self, verb: str) -> int:
        found = [pid for pid, argv in children(self.pid) if verb in argv[1:4]]
        return found[0] if found else self.pid


@contextmanager
def hub(folder: Path, program: Sequence[str] = ("-m", "pierhead")) -> Iterator[Running]:
    """A hub alone."""
    listen = free_address()
    command = [*program, "hub", "--stop-replicas-on-exit", f"--listen={listen}"]
    with _launched(command, folder, (listen,)) as running:
        yield running


@contextmanager
def up(folder: Path, settings: Mapping[str, str] = NO_SETTINGS) -> Iterator[Running]:
    """Supervisor, hub and gateway; `settings` = variables of their environment."""
    listen, gateway = free_address(), free_address()
    command = ["-m", "pierhead", "up", f"--listen={listen}", f"--gateway-listen={gateway}"]
    with _launched(command, folder, (listen, gateway), settings) as running:
        yield running


@contextmanager
def _launched(
    command: Sequence[str],
    folder: Path,
    addresses: tuple[str, ...],
    settings: Mapping[str, str] = NO_SETTINGS,
) -> Iterator[Running]:
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("PIERHEAD_")},
        "PIERHEAD_CACHE_DIR": str(cache()),
        "PYTHONPATH": str(Path(__file__).parent.parent),
        **settings,
    }
    began = time.monotonic()
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *command, f"--data-dir={folder}"],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    try:
        for address in addresses:
            until(lambda at=address: _answers(process, at), READY_SECONDS, f"start on {folder}")
        yield Running(process, folder, addresses[0], addresses[-1], time.monotonic() - began)
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """In good order; if that takes too long, at once."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cache() -> Path:
    """Where fetched weights are kept between runs."""
    named = os.environ.get("PIERHEAD_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(named or f"{base}/pierhead").expanduser()


def free_address() -> str:
    """host:port on which nothing listens just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _answers(process: subprocess.Popen[bytes], address: str) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"it ended at its start with {process.returncode}; see its log")
    connection = http.client.HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
