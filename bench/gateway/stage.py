"""What a measure stands on: replicas, the hub's double, and a gateway process of its own."""

import os
import resource
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench.gateway.hub import HubDouble, hub_double
from bench.gateway.programs import Door, Programs, Stub, build, stub
from bench.platforms import free_address, stop
from bench.processes import children, cpu_seconds, memory, until
from pierhead.core.routes import Route, RouteToken, Target

SERVICE, TOKEN = "bench", "token-of-the-bench"
_SOURCE = Path(__file__).parents[2] / "src"


@dataclass(frozen=True, slots=True)
class Launch:
    """Which gateway, and how it is started."""

    settings: Sequence[str] = ()  #: KEY=VALUE of the platform
    source: Path = _SOURCE  #: the folder that `pierhead` is in: another version's may be measured
    under: Sequence[str] = ()  #: arguments of Python's before the program's own, as of a profiler


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway that is measured; its children are counted with it."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    def door(self, service: str = SERVICE, token: str = TOKEN) -> Door:
        """Of one service, by its path."""
        return Door(self.port, f"/api/predict/{service}", token, service)


@dataclass(frozen=True, slots=True)
class Stage:
    """All that runs."""

    programs: Programs
    replicas: Sequence[Stub]
    hub: HubDouble
    gateway: Gateway

    def show(self, *routes: Route, draining: frozenset[str] = frozenset()) -> float:
        """Publishes a table; seconds until the gateway says that it serves by it."""
        revision = self.hub.publish(list(routes), draining)
        return until(lambda: _revision(self.gateway) == revision, 30, f"revision {revision}", 0.001)


def route(
    name: str, replicas: Sequence[Stub], tokens: Sequence[str] = (TOKEN,), **more: object
) -> Route:
    """A service that speaks OpenAI's protocol, whose model name is checked."""
    targets = tuple(Target(each.name, "127.0.0.1", each.port) for each in replicas)
    given = {"api": "openai", "models": (name,), **more}
    keys = tuple(RouteToken(text, name=f"token-{at}") for at, text in enumerate(tokens))
    return Route(f"id-{name}", name, tokens=keys, targets=targets, **given)  # pyright: ignore[reportArgumentType]


@contextmanager
def stage(
    folder: Path, launch: Launch, replicas: int = 2, *, gap: float = 0.005
) -> Generator[Stage]:
    """A gateway that serves `SERVICE` from `replicas` stubs, `gap` seconds between two tokens."""
    raise_limit()
    programs = build(folder)
    with ExitStack() as stack:
        stubs = [
            stack.enter_context(stub(programs.stub, f"r{at}", gap=gap)) for at in range(replicas)
        ]
        hub = stack.enter_context(hub_double())
        hub.publish([route(SERVICE, stubs)])
        gateway = stack.enter_context(started(folder / "gateway", hub, launch))
        yield Stage(programs, stubs, hub, gateway)


@contextmanager
def started(folder: Path, hub: HubDouble, launch: Launch) -> Generator[Gateway]:
    """The gateway's process, which serves by the hub's first table when this is entered."""
    folder.mkdir(parents=True, exist_ok=True)
    address = free_address()
    settings = [f"hub_url=http://127.0.0.1:{hub.port}", *launch.settings]
    command = [sys.executable, *launch.under, "-m", "pierhead", "gateway"]
    command += [f"--data-dir={folder}", f"--gateway-listen={address}"]
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PIERHEAD_")}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [*command, *(f"--set={text}" for text in settings)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=kept | {"PYTHONPATH": str(launch.source)},
        )
    gateway = Gateway(process, int(address.rpartition(":")[2]), folder)
    try:
        until(lambda: _revision(gateway) > 0, 30, f"the gateway (see {folder / 'log'})")
        yield gateway
    finally:
        stop(process)


def _revision(gateway: Gateway) -> int:
    """Of the table that it serves by; 0 = it does not answer yet."""
    if gateway.process.poll() is not None:
        log = (gateway.folder / "log").read_text()[-1000:]
        raise RuntimeError(f"the gateway ended with {gateway.process.returncode}: {log}")
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        text = connection.getresponse().read().decode()
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()
    found = text.replace(" ", "").partition('"revision":')[2]
    return int(found.partition(",")[0] or 0)


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    return [pid, *(one for child, _ in children(pid) for one in family(child))]


def spent(pid: int) -> float:
    """CPU seconds of a process and its descendants, exact to the nanosecond."""
    return sum(cpu_seconds(one) for one in family(pid))


def pss(pid: int) -> float:
    """MiB of a process and its descendants; shared pages divided among all who share them."""
    return sum(memory(one).pss for one in family(pid)) / 2**20


def rss(pid: int) -> float:
    """MiB of a process and its descendants, shared pages counted for each."""
    return sum(memory(one).rss for one in family(pid)) / 2**20


def raise_limit() -> int:
    """As many open files as may be had; how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
