"""Delete works from every state, through every door, and "gone" means that nothing of it remains."""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from broken_things import verb
from processes import Process
from stage import PATIENCE, Stage, document, until

import wheel_index
from oss_double import OssDouble
from pierhead.cli.client import find_access
from pierhead.cli.ram_client import RamClient
from pierhead.cli.zstack_client import ZstackClient
from tiny_gguf import write_tiny_gguf

SOURCE = str(Path(__file__).parent.parent.parent / "src")
ACCEPTED = 1.0 * PATIENCE  #: seconds; the list allows five
GRACE = 1.0  #: seconds that an engine here gets to end
#: A keeper that is stopped is told, waited for, and killed 3 s after its engine's grace.
GONE = (GRACE + 3.0 + 4.0) * PATIENCE
GROUPS = "ai/model-services/instances/groups"
CGROUPS = Path("/sys/fs/cgroup")
Json = dict[str, Any]


class Place:
    """A hub with its own cache, a store that drips, an index that says nothing, and a full quota."""

    def __init__(self, stage: Stage, folder: Path, stack: ExitStack) -> None:
        self.stage, self.folder, self._stack = stage, folder, stack
        self.process = self.start()
        self.own = RamClient(find_access(stage.folder, None, {}))
        self.doors: list[Callable[[str], object]] = [stage.delete, self._by_zstack, self._by_verb]

    def start(self) -> "subprocess.Popen[bytes]":
        process = self.stage.start(
            "hub", PYTHONPATH=SOURCE, PIERHEAD_CACHE_DIR=str(self.folder / "cache")
        )
        self.stage.answering(self.stage.listen, process)
        return process

    def _by_zstack(self, name: str) -> None:
        client = ZstackClient(find_access(self.stage.folder, None, {}))
        (group,) = client.page(GROUPS, [f"name={name}"], start=0, limit=2)
        client.delete(f"{GROUPS}/{group['uuid']}", {"deleteMode": "Enforcing"})

    def _by_verb(self, name: str) -> None:
        verb(self.stage, "services", "delete", name, "--yes")

    # ---- services that wait for something ---------------------------------------------------------

    def dripping(self, *names: str) -> None:
        """Their weights come at 20 kB a second."""
        root = self.folder / "oss"
        for name in names:
            (root / "drip" / name).mkdir(parents=True)
            write_tiny_gguf(root / "drip" / name / f"{name}.gguf", "llama_7b_fp16")
        double = self._stack.enter_context(OssDouble(root))
        double.faults({"kind": "slow", "value": 20_000, "times": 10**9})
        secret = self.folder / "secret"
        secret.write_text("SKTEST")
        where = ("--bucket", "drip", "--endpoint", double.url, "--region", "cn-shanghai")
        keys = ("--access-key-id", "AKTEST", "--access-key-secret-file", str(secret))
        verb(self.stage, "storage", "add", "oss", "drip", *where, *keys, "--allow-private")
        for name in names:
            storage = {"oss": {"path": f"oss://drip/{name}/"}, "mount_path": "/model"}
            containers = [{"image": "pierhead/llama_7b_fp16"}]
            metadata = {"name": name, "instance": 1}
            self.ask({"metadata": metadata, "containers": containers, "storage": [storage]})
        for name in names:
            until(lambda name=name: any(row["sent"] and name in str(row) for row in double.log()))

    def building(self, name: str) -> None:
        """Its Python environment waits for an index that does not answer."""
        made = wheel_index.wheel("delete_one", "1.0", "WORD = 1\n")
        index = self._stack.enter_context(wheel_index.serving({"delete-one": made}))
        file = self.folder / "env.yaml"
        file.write_text(f"python:\n  requirements_txt: delete_one\n  index_url: {index.url}\n")
        verb(
            self.stage,
            *("templates", "add", "--name", name, "--yaml", str(file)),
            *("--start-command", "python -c 'import delete_one'"),
        )
        verb(self.stage, "templates", "deploy", name, "--name", name)

    def depending(self, name: str) -> None:
        """It needs a service that cannot run."""
        command = ("--start-command", "sh -c 'exit 3'")
        verb(self.stage, "templates", "add", "--name", "ill", *command)
        verb(self.stage, "templates", "deploy", "ill", "--name", "ill")
        verb(self.stage, "templates", "deploy", "ill", "--name", name, "--needs", "ill")

    def bounded(self, name: str) -> None:
        """A workspace's quota has no room for it."""
        self.own.own("CreateQuota", QuotaId="none", MaxReplicas="0")
        self.engine(name, metadata={"quota_id": "none", "memory": 64, "cpu": 1})

    def engine(self, name: str, *, metadata: Json | None = None, **rest: Any) -> None:
        """A light one; `metadata` is added to its document."""
        body = document(name, mark=self.stage.folder, grace=GRACE, **rest)
        body["metadata"].update(metadata or {})
        self.ask(body)

    def ask(self, body: Json) -> None:
        self.stage.client.call("CreateService", "POST", "/api/v2/services", body=body)

    # ---- what is done to those that run ----------------------------------------------------------

    def keeper(self, name: str) -> Process:
        return self._of("keeper", name)

    def running_engine(self, name: str) -> Process:
        return self._of("engine", name)

    def _of(self, role: Any, name: str) -> Process:
        (found,) = [p for p in self.stage.processes(role) if p.replica.rpartition("-")[0] == name]
        return found

    def replica_folder(self, name: str) -> Path:
        (found,) = (self.stage.folder / "replicas").glob(f"*/{name}-*")
        return found


def _shut(place: Place, name: str) -> None:
    place.replica_folder(name).chmod(0)  # root can look all the same: then only the rest counts


def _strange(place: Place, name: str) -> None:
    (place.replica_folder(name).parent / "note.txt").write_text("mine")
    (place.replica_folder(name) / "runs" / "9").mkdir()


def _both(place: Place, name: str) -> None:
    keeper = place.keeper(name)
    shutil.rmtree(place.replica_folder(name))
    keeper.kill()


#: What is done to a service that runs, before it is deleted.
HARMED: dict[str, Callable[[Place, str], object]] = {
    "unharmed": lambda _place, _name: None,
    "engine_gone": lambda place, name: place.running_engine(name).kill(),
    "engine_stopped": lambda place, name: place.running_engine(name).kill(signal.SIGSTOP),
    "keeper_gone": lambda place, name: place.keeper(name).kill(),
    "keeper_stopped": lambda place, name: place.keeper(name).kill(signal.SIGSTOP),
    "folder_gone": lambda place, name: shutil.rmtree(place.replica_folder(name)),
    "parent_gone": lambda place, name: shutil.rmtree(place.replica_folder(name).parent),
    "folder_and_keeper_gone": _both,
    "folder_shut": _shut,
    "strange_file": _strange,
}
HELD = ("too_large", "no_room", "building", "depending", "drip_a", "drip_b", "looping", "stopped")


@pytest.fixture
def place(stage: Stage, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        made = Place(stage, tmp_path, stack)
        yield made
        stage.end()  # before what it talks to ends


@pytest.mark.parametrize("restarts", [False, True], ids=["hub runs", "hub is killed"])
def test_delete_from_every_state(place: Place, restarts: bool) -> None:
    """Law: accepted at once; "gone" is told only when no process, lock, mount or cgroup is left (F11)."""
    stage = place.stage
    _make(place)
    traces = {name: _traces(place, name) for name in (*HARMED, "looping")}
    for name, harm in HARMED.items():
        harm(place, name)
    verb(stage, "storage", "remove", "drip")
    shutil.rmtree(place.folder / "cache", ignore_errors=True)  # with the weights that came so far
    place.own.own("DeleteQuota", QuotaId="none", Force="true")

    everybody = ("ill", *HELD, *HARMED)
    for number, name in enumerate(everybody):
        asked = time.monotonic()
        place.doors[number % len(place.doors)](name)
        assert time.monotonic() - asked <= ACCEPTED, name
    if restarts:
        place.process.kill()
        place.process.wait()
        place.process = place.start()
    asked = time.monotonic()
    for name in everybody:
        until(lambda name=name: stage.is_gone(name), f"{name} is not gone", within=GONE + 10)
        for left in traces.get(name, ()):
            assert not left(), f"{name} is called gone: {left.__doc__ or left}"
    took = time.monotonic() - asked
    assert took <= GONE, took
    assert stage.processes("keeper", "engine") == []
    assert stage.folders() == []
    assert list((stage.folder / "replicas").glob("*")) == []
    stage.create("drip_a")  # the name is free again
    stage.running("drip_a")


def _make(place: Place) -> None:
    """One service for every state."""
    stage = place.stage
    for name in (*HARMED, "stopped"):
        place.engine(name)
    place.engine("too_large", metadata={"memory": 1 << 30, "cpu": 1})
    place.bounded("no_room")
    place.engine("looping", command=["sh", "-c", "exit 3"])
    place.dripping("drip_a", "drip_b")
    place.building("building")
    place.depending("depending")
    for name in (*HARMED, "stopped"):
        stage.running(name)
    stage.stop("stopped")
    stage.failed("looping")
    for name in ("too_large", "no_room", "depending"):
        until(lambda name=name: (stage.describe(name) or {}).get("Reason"), name)
    stage.stopped("stopped")


def _traces(place: Place, name: str) -> list[Callable[[], object]]:
    """What must not be there any more once it is called gone."""
    folder = place.replica_folder(name)
    mine = [p for p in place.stage.processes("keeper", "engine") if p.replica == folder.name]
    held = [path for one in mine for path in _locks(one.pid)]

    def process() -> object:
        """a process runs"""
        return [one for one in mine if one.alive]

    def lease() -> object:
        """a port is still leased"""
        return [path for path in held if _held(path)]

    def mount() -> object:
        """something is mounted"""
        return str(folder) in Path("/proc/self/mounts").read_text()

    def cgroup() -> object:
        """a cgroup is there"""
        return [path for path in _cgroups() if folder.name in path]

    def rest() -> object:
        """a folder is there"""
        return folder.parent.exists()

    return [process, lease, mount, cgroup, rest]


def _locks(pid: int) -> list[Path]:
    """Files that a process holds open below the folder of port leases, or as a replica's lock."""
    found: list[Path] = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        path = entry.readlink()
        if "pierhead-ports-" in str(path) or path.name == "lock":
            found.append(path)
    return found


def _held(path: Path) -> bool:
    """Does somebody hold the lock of this file?"""
    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _cgroups() -> Iterator[str]:
    for path, names, _files in os.walk(CGROUPS):
        yield from (f"{path}/{name}" for name in names)
