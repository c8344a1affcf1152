"""Small real servers to run as replicas, and process runtimes to run them in."""

import asyncio
import hashlib
import os
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pierhead.core.errors import Unavailable
from pierhead.core.ids import engine_key
from pierhead.core.launch import Launch, Placement, no_files
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.templates import Probe, Template
from pierhead.core.workloads import Workload
from pierhead.runtimes.base import Runtime
from pierhead.runtimes.process.ground import Settings
from pierhead.runtimes.process.identity import arguments, own_processes
from pierhead.runtimes.process.runtime import ProcessRuntime

PYTHON = (sys.executable, "-I", "-S", "-u", "-c")
SERVICE = "5e" * 16

#: Answers 200 to every GET; says so when it starts and when TERM ends it.
SERVER = """
import os, signal, socket
def leave(*_):
    print("leaving", flush=True); os._exit(0)
signal.signal(signal.SIGTERM, leave)
server = socket.socket(); server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(os.environ["PORT"]))); server.listen(64)
print("listening on", os.environ["PORT"], flush=True)
while True:
    client, _ = server.accept()
    client.recv(65536)
    client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    client.close()
"""
CRASHES = "import sys; print('no such tensor'); sys.exit(3)"
NEVER_READY = "import time; time.sleep(600)"


def launch(workload: Workload, placement: Placement) -> Launch:
    """A template's command with its port in the environment."""
    template = workload.template
    env = {**template.env, "PORT": str(placement.port), "REPLICA_ID": placement.replica}
    return Launch(template.command, env, template.readiness, template.liveness, keyed=True)


def workload(
    replicas: int = 1, *, code: str = SERVER, rollout: str = "1.0", **template: Any
) -> Workload:
    """N copies of a small Python program."""
    base = Template(
        name="test",
        engine="custom",
        command=(*PYTHON, code),
        readiness=Probe(kind="http-any", period=0.2, timeout=2.0),
        stop_grace=5.0,
    )
    return Workload(
        service=SERVICE,
        name="echo",
        rollout=rollout,
        replicas=replicas,
        template=replace(base, **template),
        files=no_files(),
    )


def owner_of(folder: Path) -> str:
    """A name for the runtime over a folder: the same in every process, another per test."""
    return "t" + hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]


def runtime(
    folder: Path, clock: Callable[[], float] = time.time, **settings: Any
) -> ProcessRuntime:
    """A process runtime over `folder`; must be made and used inside one event loop."""
    return ProcessRuntime(
        folder,
        launch,
        clock,
        secrets.token_bytes,
        lambda replica: engine_key(b"a secret of this test", replica),
        Settings(**{"owner": owner_of(folder), "cores": 2, **settings}),
    )


async def settle(
    runtime: Runtime,
    wanted: Workload,
    done: Callable[[list[ReplicaStatus]], bool],
    seconds: float = 20.0,
) -> list[ReplicaStatus]:
    """Apply again and again until what is observed is `done`; fails after `seconds`."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            await runtime.apply(wanted)
        except Unavailable:
            if time.monotonic() > give_up:
                raise
        found = runtime.observe(wanted.service)
        if done(found):
            return found
        assert time.monotonic() < give_up, f"not settled: {found}"
        await asyncio.sleep(0.01)


async def removed(runtime: Runtime, wanted: Workload, seconds: float = 20.0) -> None:
    """As the reconciler does it: told that the service leaves, then asked until nothing is left."""
    give_up = time.monotonic() + seconds
    while True:
        drained = frozenset(each.id for each in runtime.observe(wanted.service))
        await runtime.apply(replace(wanted, replicas=0, leaving=True, drained=drained))
        if await runtime.remove(wanted.service, 1.0):
            return
        assert time.monotonic() < give_up, runtime.observe(wanted.service)
        await asyncio.sleep(0.02)


async def until(done: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition; fails after `seconds`."""
    give_up = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < give_up, "the condition did not come true in time"
        await asyncio.sleep(0.01)


async def gone(runtime: Runtime, service: str = SERVICE, seconds: float = 15.0) -> None:
    """Remove a service wholly; fails after `seconds`."""
    give_up = time.monotonic() + seconds
    while not await runtime.remove(service, 1.0):
        assert time.monotonic() < give_up, f"not removed: {runtime.observe(service)}"
        await asyncio.sleep(0.01)


def ready(
    count: int, rollout: str = "1.0", *, pids: bool = True
) -> Callable[[list[ReplicaStatus]], bool]:
    """Exactly so many replicas, all ready, all of that rollout; with `pids` each tells its process."""

    def done(found: list[ReplicaStatus]) -> bool:
        fit = [r for r in found if r.state is ReplicaState.READY and r.rollout == rollout]
        return len(fit) == len(found) == count and all(r.pid or not pids for r in fit)

    return done


def related(folder: Path) -> set[int]:
    """Pids of every process that belongs to the runtime over `folder`: keepers, and their children."""
    owner = owner_of(folder)
    keepers = {pid for pid in own_processes() if owner in arguments(pid)}
    return keepers | {pid for keeper in keepers for pid in _descendants(keeper)}


def _descendants(pid: int) -> set[int]:
    try:
        direct = {
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        }
    except OSError:
        return set()
    return direct | {below for child in direct for below in _descendants(child)}


def alive(pid: int) -> bool:
    """Does a process with this pid run (zombies do not)?"""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text[text.rindex(")") + 2] not in "ZX"


def environment_of(pid: int) -> dict[str, str]:
    """What a process was started with."""
    raw = os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes())
    return dict(entry.split("=", 1) for entry in raw.split("\0") if "=" in entry)


async def _as_hub(folder: Path, replicas: int, rollout: str, remove: bool) -> None:
    """What a hub does for one service, until it is done or killed at its failpoint."""
    made = runtime(folder)
    await made.adopt()
    if remove:
        await gone(made)
    else:
        drained = frozenset(status.id for status in made.observe(SERVICE))
        wanted = replace(workload(replicas, rollout=rollout), drained=drained)
        await settle(made, wanted, ready(replicas, rollout))
    await made.close()


if __name__ == "__main__":
    asyncio.run(_as_hub(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4] == "remove"))
