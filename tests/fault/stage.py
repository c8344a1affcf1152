"""A platform to be attacked: `pierhead up`, or its parts alone, as real processes on one folder."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import processes
from processes import Process, Role

from commands import pierhead
from pierhead.cli.client import EasClient, HubRefused, NoAnswer, find_access
from ports import free_ports

T = TypeVar("T")

#: What a limit of the design is multiplied with: it holds on two idle cores, which a test of the other
#: file that runs beside this one makes busy.
PATIENCE = 3.0 if os.environ.keys() & {"CI", "PYTEST_XDIST_WORKER"} else 1.0
RECOVERY = 3.0 * PATIENCE  #: seconds to be back after a kill
LONG = 30.0  #: seconds after which a wait has failed, whatever the machine
PROGRAM = Path(__file__).with_name("replica_program.py")
Json = dict[str, Any]
#: pytest's `record_property`: what a test counts stands in the table of faults.
Count = Callable[[str, object], None]


def until(ask: Callable[[], T], why: str | Callable[[], str] = "", within: float = LONG) -> T:
    """What `ask` gives as soon as it is true; asked every 20 ms, fails after so many seconds.

    The longer it lasts the less often it is asked, but at least five times a second: what asks must not take
    the CPU from what it waits for. `why` is what the failure says, or tells it when it has failed.
    """
    began = time.monotonic()
    give_up = began + within
    while True:
        found = ask()
        if found:
            return found
        if time.monotonic() >= give_up:
            told = why if isinstance(why, str) else why()
            raise AssertionError(told or f"it did not come true within {within:g} s")
        time.sleep(min(0.2, max(0.02, 0.1 * (time.monotonic() - began))))


def document(
    name: str,
    replicas: int = 1,
    *,
    mark: Path,
    command: list[str] | None = None,
    grace: float = 10.0,
    env: Mapping[str, str] | None = None,
    rolling: Json | None = None,
) -> Json:
    """A service JSON that runs replica_program.py, or `command`."""
    metadata: Json = {"name": name, "instance": replicas}
    if rolling is not None:
        metadata["rolling_strategy"] = rolling
    container = {
        "command": command or [sys.executable, "-I", "-S", str(PROGRAM), str(mark)],
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
        "readiness_check": {"http_get": {"path": "/"}, "period_seconds": 0.5, "timeout_seconds": 2},
    }
    return {
        "metadata": metadata,
        "containers": [container],
        "runtime": {"termination_grace_period": grace},
    }


class Stage:
    """One data folder with two ports of its own, and what runs on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listen, self.gateway_listen = (f"127.0.0.1:{port}" for port in free_ports(2))
        self.log = folder.with_name(f"{folder.name}.log")
        self._started: list[subprocess.Popen[bytes]] = []

    # ---- processes ------------------------------------------------------------------------

    def start(
        self, verb: str, *flags: str, spoken_to: Path | None = None, **env: str
    ) -> "subprocess.Popen[bytes]":
        """Start `pierhead VERB` on the folder; its output goes to the log.

        `spoken_to`: a program that does so when it is told to, over its input and output.
        """
        program = ("-m", "pierhead") if spoken_to is None else (str(spoken_to), "pierhead")
        pipe = None if spoken_to is None else subprocess.PIPE
        command = [
            *(sys.executable, *program, verb, f"--data-dir={self.folder}"),
            *(
                f"--listen={self.listen}",
                f"--gateway-listen={self.gateway_listen}",
                "--log-level=warning",
                *flags,
            ),
        ]
        cache = str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pierhead")
        own = {"PIERHEAD_CACHE_DIR": cache, "PYTHONPATH": "", **env}
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=pipe or subprocess.DEVNULL,
                stdout=pipe or log,
                stderr=log,
                bufsize=0,
                env={**os.environ, **own},
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def up(self, *flags: str, **env: str) -> "subprocess.Popen[bytes]":
        """`pierhead up`, until both ports answer."""
        process = self.start("up", *flags, **env)
        self.ready(process)
        return process

    def ready(self, process: "subprocess.Popen[bytes] | None" = None) -> None:
        """Wait until hub and gateway answer."""
        self.answering(self.listen, process)
        self.answering(self.gateway_listen, process)

    def answering(self, address: str, process: "subprocess.Popen[bytes] | None" = None) -> None:
        """Wait until `address` answers /healthz with 200; fails when `process` ends before."""

        def answers() -> bool:
            ended = process.poll() if process is not None else None
            assert ended is None, f"it ended with {ended}:\n{self.tail()}"
            return healthy(address)

        until(answers, f"{address} does not answer")

    def processes(self, *roles: Role) -> list[Process]:
        """What runs now, of these roles or of all."""
        return [p for p in processes.of(self.folder) if not roles or p.role in roles]

    def one(self, role: Role) -> Process:
        """The one process of that role."""
        (found,) = self.processes(role)
        return found

    def replicas(self, service: str) -> dict[str, Process]:
        """The engines of a service by replica id."""
        return {p.replica: p for p in self.processes("engine") if _is_of(p, service)}

    def folders(self) -> list[str]:
        """Replica folders that are there, half-removed ones included."""
        root = self.folder / "replicas"
        return sorted(entry.name for group in root.glob("[!.]*") for entry in group.glob("*"))

    def end(self) -> None:
        """KILL everything that belongs to the folder; fails if something withstands."""

        def nothing_left() -> bool:
            found = self.processes()
            for process in found:
                process.kill()
            return not found

        until(nothing_left, "processes are left")
        for process in self._started:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def tail(self, lines: int = 30) -> str:
        """The end of the platform's own output."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`pierhead ...` on the folder, as a process, to its end."""
        env = {**os.environ, "PYTHONPATH": ""}
        return pierhead(*arguments, f"--data-dir={self.folder}", env=env, timeout=120)

    # ---- the control plane ----------------------------------------------------------------

    @cached_property
    def client(self) -> EasClient:
        """A signed client."""
        return EasClient(find_access(self.folder, None, {}))

    def create(self, name: str, replicas: int = 1, **rest: Any) -> None:
        """Ask for a service of replica_program.py."""
        body = document(name, replicas, mark=self.folder, **rest)
        self.client.call("CreateService", "POST", "/api/v2/services", body=body)

    def update(self, name: str, change: Json) -> None:
        """UpdateService with a part of the document."""
        client = self.client
        client.call("UpdateService", "PUT", client.path(name), body=change)

    def scale(self, name: str, replicas: int) -> None:
        self.update(name, {"metadata": {"instance": replicas}})

    def stop(self, name: str) -> None:
        self.client.change("StopService", name, "/stop")

    def start_service(self, name: str) -> None:
        self.client.change("StartService", name, "/start")

    def delete(self, name: str) -> None:
        client = self.client
        client.call("DeleteService", "DELETE", client.path(name))

    def describe(self, name: str) -> Json | None:
        """The service; None when there is none, or nobody to ask."""
        try:
            return self.client.describe(name)
        except NoAnswer:
            return None
        except HubRefused as refused:
            if refused.code == "InvalidService.NotFound":
                return None
            raise

    def running(self, name: str, replicas: int = 1, within: float = LONG) -> Json:
        """Wait until the service is Running with exactly so many instances."""
        return until(lambda: self.is_running(name, replicas), f"{name} is not Running", within)

    def stopped(self, name: str, within: float = LONG) -> Json:
        """Wait until the service is Stopped."""
        return until(lambda: self.is_stopped(name), f"{name} is not Stopped", within)

    def failed(self, name: str, within: float = LONG) -> Json:
        """Wait until the service is Failed."""
        return until(lambda: self._as(name, "Failed"), f"{name} is not Failed", within)

    def gone(self, name: str, within: float = LONG) -> float:
        """Wait until there is no such service; the seconds it took."""
        began = time.monotonic()
        until(lambda: self.is_gone(name), f"{name} is still there", within)
        return time.monotonic() - began

    def is_running(self, name: str, replicas: int = 1) -> Json | None:
        """The service if it is Running, with exactly so many instances."""
        found = self._as(name, "Running")
        if found is None or found["RunningInstance"] != replicas:
            return None
        return found if len(self.instances(name)) == replicas else None

    def is_stopped(self, name: str) -> Json | None:
        """The service if it is Stopped."""
        return self._as(name, "Stopped")

    def is_gone(self, name: str) -> bool:
        """Does the hub say that there is no such service?"""
        try:
            self.client.describe(name)
        except NoAnswer:
            return False
        except HubRefused as refused:
            return refused.code == "InvalidService.NotFound"
        return False

    def _as(self, name: str, status: str) -> Json | None:
        found = self.describe(name)
        return found if found is not None and found["Status"] == status else None

    def instances(self, name: str) -> list[Json]:
        """ListServiceInstances; [] when nobody answers, or there is no such service."""
        try:
            return self.client.of("ListServiceInstances", name, "/instances")["Instances"]
        except (NoAnswer, HubRefused):
            return []

    def events(self, name: str) -> list[Json]:
        """DescribeServiceEvent, oldest first."""
        return self.client.of("DescribeServiceEvent", name, "/events")["Events"][::-1]

    def token(self, name: str) -> str:
        return str(self.client.describe(name)["AccessToken"])

    # ---- the data plane -------------------------------------------------------------------

    def call(
        self, name: str, token: str, path: str = "/", timeout: float = 10.0
    ) -> tuple[int, str]:
        """GET through the gateway on a connection of its own: status and body."""
        return get(self.gateway_listen, f"/api/predict/{name}{path}", token, timeout)


def _is_of(process: Process, service: str) -> bool:
    return process.replica.rpartition("-")[0] == service


def get(address: str, path: str, token: str = "", timeout: float = 10.0) -> tuple[int, str]:
    """A GET on a connection of its own: status (0 = none) and body, or why there is none."""
    host, _, port = address.rpartition(":")
    head = f"GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n"
    parts: list[bytes] = []
    try:
        with socket.create_connection((host, int(port)), timeout) as connection:
            connection.sendall(head.encode())
            while data := connection.recv(65536):
                parts.append(data)
                if not path.startswith("/api/") and b'"left"' in data:
                    break  # replica_program.py keeps its connections open
    except OSError as error:
        return 0, repr(error)
    first, _, body = b"".join(parts).partition(b"\r\n\r\n")
    status = first.split(b" ", 2)[1:2]
    return (int(status[0]) if status else 0), body.decode(errors="replace")


def healthy(address: str) -> bool:
    """Does /healthz answer 200?"""
    return get(address, "/healthz", timeout=2.0)[0] == 200
