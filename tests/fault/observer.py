"""An observer in a process of its own: records what happens to a platform, and judges nothing.

All the time: every process of the folder (100 ms), one request per 20 ms through the gateway to each
service that was Running, Describe of each service (200 ms). It ends when its standard input does,
and then writes the record; the test computes its verdict from that.
"""

import errno
import http
import itertools
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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

_BUSY = {errno.EAGAIN, errno.EINPROGRESS}


@dataclass(slots=True)
class _Pump:
    """Asks one service."""

    service: str
    head: bytes
    due: float


@dataclass(slots=True)
class _Asked:
    """A request on its way, on a connection of its own."""

    at: float
    service: str
    connection: socket.socket
    left: bytes  #: of the request, still to be sent
    answer: bytearray = field(default_factory=bytearray)

    def goes_on(self) -> bool:
        """Send and take what goes at once; is there more to come?

        Raises:
            OSError: the connection is refused or broken.
        """
        try:
            if self.left:
                self.left = self.left[self.connection.send(self.left) :]
            while data := self.connection.recv(65536):
                self.answer += data
        except BlockingIOError:
            return True
        return False

    @property
    def told(self) -> tuple[int, str]:
        """Status and body; 0 and what came, if that is no answer."""
        first, _, rest = bytes(self.answer).partition(b"\r\n")
        try:
            status = int(first.split()[1])
        except (ValueError, IndexError) as error:
            return 0, repr(error)
        return status, rest.partition(b"\r\n\r\n")[2].decode(errors="replace")


class _Pumps(threading.Thread):
    """One request per PUMP seconds to each service; none of them waits for another's answer.

    Without asyncio, which would cost more than the gateway and the engine that are asked.
    """

    def __init__(self, gateway: tuple[str, int], note: Callable[[list[Any]], None]) -> None:
        super().__init__(name="pumps", daemon=True)
        self._gateway, self._note = gateway, note
        self._ready = select.epoll()
        self._asked: dict[int, _Asked] = {}
        self.pumps: dict[str, _Pump] = {}  #: by service; changed by the others' thread

    def begin(self, service: str, token: str) -> None:
        """Ask a service from now on."""
        head = f"GET /api/predict/{service}/ HTTP/1.1\r\nHost: gateway\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n"
        self.pumps[service] = _Pump(service, head.encode(), time.monotonic())

    def run(self) -> None:
        try:
            while True:
                self._turn()
        finally:  # nobody shall take what was seen until now for all
            traceback.print_exc()
            os._exit(1)

    def _turn(self) -> None:
        now = time.monotonic()
        pumps = [*self.pumps.values()]
        for pump in pumps:
            while pump.due <= now:
                pump.due += PUMP
                self._ask(pump)
        self._give_up(now - TIMEOUT)
        due = min((pump.due for pump in pumps), default=now + PUMP)
        for number, _ in self._ready.poll(max(0.0, due - time.monotonic())):
            self._go_on(number)

    def _ask(self, pump: _Pump) -> None:
        connection = socket.socket()
        connection.setblocking(False)  # noqa: FBT003 - the standard library's signature
        number = connection.fileno()
        self._asked[number] = _Asked(time.monotonic(), pump.service, connection, pump.head)
        wrong = connection.connect_ex(self._gateway)
        if wrong and wrong not in _BUSY:
            self._ended(number, OSError(wrong, os.strerror(wrong)))
            return
        self._ready.register(number, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)

    def _go_on(self, number: int) -> None:
        try:
            if not self._asked[number].goes_on():
                self._ended(number)
        except OSError as error:
            self._ended(number, error)

    def _give_up(self, before: float) -> None:
        # In the order in which they were asked.
        late = list(itertools.takewhile(lambda one: one[1].at < before, self._asked.items()))
        for number, _ in late:
            self._ended(number, TimeoutError())

    def _ended(self, number: int, error: Exception | None = None) -> None:
        one = self._asked.pop(number)
        one.connection.close()  # which takes it off the list of those that are waited for
        status, text = one.told if error is None else (0, repr(error))
        self._note([one.at, time.monotonic() - one.at, one.service, status, text])


class _Observer:
    def __init__(self, folder: Path, services: list[str]) -> None:
        self._folder, self._services = folder, services
        self._client = EasClient(find_access(folder, None, {}), timeout=5.0)
        gateway = json.loads((folder / "credentials.json").read_text())["endpoints"]["gateway"]
        parts = urlsplit(gateway)
        self._pumps = _Pumps((parts.hostname or "", parts.port or 0), self._noted)
        self._answered: set[str] = set()
        self.requests: list[list[Any]] = []
        self.described: list[list[Any]] = []
        self.processes: list[list[Any]] = []
        self._begun = threading.Event()
        self._over = threading.Event()

    def run(self) -> None:
        """Until standard input ends."""
        self._pumps.start()
        with ThreadPoolExecutor(3) as pool:
            looking = [pool.submit(self._every, SCAN, self.scan)]
            looking += [pool.submit(self._every, DESCRIBE, self._describe)]
            pool.submit(self._until_told)
            while not self._over.wait(0.05):
                if self._begun.is_set():
                    print("begun", flush=True)
                    break
            self._over.wait()
        for one in looking:
            one.result()  # it never ends by itself, so this raises why

    def _until_told(self) -> None:
        sys.stdin.read()
        self._over.set()

    def _every(self, seconds: float, look: Callable[[], None]) -> None:
        try:
            look()
            while not self._over.wait(seconds):
                look()
        except BaseException:
            self._over.set()
            raise

    def scan(self) -> None:
        """Write down what runs, if it is not what ran at the last look."""
        listed = [[p.pid, p.born, p.role, p.replica] for p in processes.of(self._folder)]
        if not self.processes or listed != self.processes[-1][1]:
            self.processes.append([time.monotonic(), listed])

    def _describe(self) -> None:
        for name, status, token in self._look():
            if status == "Running" and name not in self._pumps.pumps:
                self._pumps.begin(name, token)
            elif status in {"Stopped", "Deleting"}:
                self._pumps.pumps.pop(name, None)

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

    def _noted(self, request: list[Any]) -> None:
        self.requests.append(request)
        if request[3] == http.HTTPStatus.OK and request[2] not in self._answered:
            self._answered.add(request[2])
            if self._answered.issuperset(self._services):
                self._begun.set()


def main(folder: Path, out: Path, services: list[str]) -> None:
    observer = _Observer(folder, services)
    observer.run()
    observer.scan()
    facts = {name: [*getattr(observer, name)] for name in ("requests", "described", "processes")}
    out.write_text(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
