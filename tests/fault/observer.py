"""An observer in a process of its own: records what happens to a platform, and judges nothing.

All the time: every process of the folder (100 ms), one request per 20 ms through the gateway to each
service that was Running, Describe of each service (200 ms). It ends when its standard input does,
and then writes the record; the test computes its verdict from that.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import processes
from processes import Process

from pierhead.cli.client import EasClient, find_access
from pierhead.core.errors import PierheadError

SCAN, PUMP, DESCRIBE = 0.1, 0.02, 0.2
#: A request that takes longer than this has failed.
TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request through the gateway."""

    at: float
    seconds: float
    service: str
    status: int  #: 0 = no answer
    text: str  #: the answer, or why there is none


@dataclass(frozen=True, slots=True)
class Described:
    """What Describe said; status "" while the hub gave no answer."""

    at: float
    service: str
    status: str
    reason: str
    running: int


@dataclass(slots=True)
class Record:
    """All that was seen; times are of the machine's monotonic clock."""

    requests: list[Request] = field(default_factory=list[Request])
    described: list[Described] = field(default_factory=list[Described])
    processes: list[tuple[float, list[Process]]] = field(
        default_factory=list[tuple[float, list[Process]]]
    )

    def of(self, service: str) -> list[Request]:
        """Requests to a service."""
        return [request for request in self.requests if request.service == service]

    def failed(
        self, service: str, since: float = 0.0, until: float = float("inf")
    ) -> list[Request]:
        """Requests to a service, begun in that time, that were not answered with 200."""
        return [r for r in self.of(service) if since <= r.at <= until and r.status != 200]

    def served_again(self, service: str, since: float) -> float:
        """Seconds from `since` to the last failure's end; 0 if there was none."""
        return max((r.at + r.seconds - since for r in self.failed(service, since)), default=0.0)

    def runs(self, replica: str, role: str = "engine") -> set[tuple[int, int]]:
        """(pid, start time) of every process that a replica ever had."""
        return {
            (process.pid, process.born)
            for _at, found in self.processes
            for process in found
            if process.replica == replica and process.role == role
        }

    def most(self, prefix: str, role: str = "keeper") -> int:
        """The largest number of processes of that role at one time, replicas' ids beginning so."""
        return max(
            sum(p.role == role and p.replica.startswith(prefix) for p in found)
            for _at, found in self.processes
        )

    def statuses(self, service: str) -> list[str]:
        """The statuses a service went through, each once in a row."""
        told: list[str] = []
        for look in self.described:
            if look.service == service and look.status and told[-1:] != [look.status]:
                told.append(look.status)
        return told


@contextmanager
def watching(folder: Path, *services: str) -> Iterator[Callable[[], Record]]:
    """An observer beside the block, begun once each of `services` was answered; call it for the record."""
    out = folder.with_name(f"{folder.name}.record")
    command = [sys.executable, __file__, str(folder), str(out), *services]
    observer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert observer.stdin is not None
    assert observer.stdout is not None
    record: list[Record] = []

    def finish() -> Record:
        if not record:
            observer.communicate(timeout=30)
            record.append(_load(out))
        return record[0]

    try:
        assert observer.stdout.readline() == b"begun\n", "the observer did not see the services"
        yield finish
    finally:
        if observer.poll() is None:
            observer.kill()
        observer.stdin.close()
        observer.stdout.close()
        observer.wait()


def _load(path: Path) -> Record:
    found = json.loads(path.read_text())
    return Record(
        [Request(*entry) for entry in found["requests"]],
        [Described(*entry) for entry in found["described"]],
        [(at, [Process(*entry) for entry in listed]) for at, listed in found["processes"]],
    )


# ---- the process itself -------------------------------------------------------------------


class _Observer:
    def __init__(self, folder: Path, services: list[str]) -> None:
        self._folder, self._services = folder, services
        self._client = EasClient(find_access(folder, None, {}), timeout=5.0)
        gateway = json.loads((folder / "credentials.json").read_text())["endpoints"]["gateway"]
        parts = urlsplit(gateway)
        self._gateway = parts.hostname or "", parts.port or 0
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._answered: set[str] = set()
        self.requests: list[list[Any]] = []
        self.described: list[list[Any]] = []
        self.processes: list[list[Any]] = []
        self.begun = asyncio.Event()

    async def run(self) -> None:
        loops = [self._scan(), self._describe()]
        tasks = [asyncio.create_task(loop) for loop in loops]
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        await asyncio.wait(
            [asyncio.create_task(self.begun.wait()), ended, *tasks], return_when="FIRST_COMPLETED"
        )
        if self.begun.is_set():
            print("begun", flush=True)
        await asyncio.wait([ended, *tasks], return_when="FIRST_COMPLETED")
        for task in tasks:
            if task.done():
                task.result()  # it never ends by itself, so this raises why

    async def _scan(self) -> None:
        while True:
            await asyncio.to_thread(self.scan)
            await asyncio.sleep(SCAN)

    def scan(self) -> None:
        """Write down what runs, if it is not what ran at the last look."""
        listed = [[p.pid, p.born, p.role, p.replica] for p in processes.of(self._folder)]
        if not self.processes or listed != self.processes[-1][1]:
            self.processes.append([time.monotonic(), listed])

    async def _describe(self) -> None:
        while True:
            for name, status, token in await asyncio.to_thread(self._look):
                if status == "Running" and name not in self._pumps:
                    self._pumps[name] = asyncio.create_task(self._pump(name, token))
                elif status in {"Stopped", "Deleting"} and name in self._pumps:
                    self._pumps.pop(name).cancel()
            await asyncio.sleep(DESCRIBE)

    def _look(self) -> list[tuple[str, str, str]]:
        """Name, status and token of each service; none while nobody answers."""
        at = time.monotonic()
        try:
            listed = self._client.call("ListServices", "GET", "/api/v2/services")["Services"]
            return [self._describe_one(item["ServiceName"]) for item in listed]
        except PierheadError as error:
            self.described.append([at, "", "", str(error), 0])
            return []

    def _describe_one(self, name: str) -> tuple[str, str, str]:
        at = time.monotonic()
        seen = self._client.describe(name)
        status = seen["Status"]
        self.described.append([at, name, status, seen["Reason"], seen["RunningInstance"]])
        return name, status, seen["AccessToken"]

    async def _pump(self, name: str, token: str) -> None:
        head = f"GET /api/predict/{name}/ HTTP/1.1\r\nHost: gateway\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n"
        running: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while True:
            one = asyncio.create_task(self._request(name, head.encode()))
            running.add(one)
            one.add_done_callback(running.discard)
            due += PUMP
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _request(self, name: str, head: bytes) -> None:
        at = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT):
                status, text = await self._exchange(head)
        except (OSError, TimeoutError, ValueError, IndexError) as error:
            status, text = 0, repr(error)
        self.requests.append([at, time.monotonic() - at, name, status, text])
        if status == 200:
            self._answered.add(name)
            if self._answered.issuperset(self._services):
                self.begun.set()

    async def _exchange(self, head: bytes) -> tuple[int, str]:
        reader, writer = await asyncio.open_connection(*self._gateway)
        try:
            writer.write(head)
            answer = await reader.read()
        finally:
            writer.close()
        first, _, rest = answer.partition(b"\r\n")
        return int(first.split()[1]), rest.partition(b"\r\n\r\n")[2].decode(errors="replace")


def main(folder: Path, out: Path, services: list[str]) -> None:
    observer = _Observer(folder, services)
    asyncio.run(observer.run())
    observer.scan()
    facts = {name: getattr(observer, name) for name in ("requests", "described", "processes")}
    out.write_text(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
