"""Replicas with files of their own view, for real: read-only, where their template wants them, gone with them."""
# ruff: noqa: ASYNC240 - one scene at a time: a short wait for a file or a program harms nobody

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import ordinary_user
from pierhead.core.errors import Unsupported
from pierhead.core.launch import Files, Launch, Placement, no_files
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.templates import Link, Probe, Template
from pierhead.core.workloads import Workload
from pierhead.engines.custom import Custom
from pierhead.runtimes.process import mounting
from pierhead.runtimes.process.ground import Settings
from pierhead.runtimes.process.mounting import Mounts
from pierhead.runtimes.process.runtime import ProcessRuntime
from replica_servers import SERVICE, alive, gone, owner_of, ready, related, settle, until

Scene = Callable[[ProcessRuntime], Awaitable[None]]
ORDINARY = "PIERHEAD_TEST_ORDINARY_USER"
#: An ordinary user's engine can read no interpreter in root's home.
PYTHON = os.environ.get(ORDINARY) or sys.executable
NOT_HERE = ("/mnt/model", "/workspace/pierhead/test", "/usr/share/pierhead-test")

#: Evaluates what it is asked, on the port it is given.
SERVER = """
import errno, http.server, json, os, subprocess, sys, urllib.parse
def write(path):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        return errno.errorcode[error.errno]
    return "written"
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = urllib.parse.unquote(self.path[1:])
        body = json.dumps(eval(text) if text else os.getcwd()).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture(autouse=True)
def can_mount() -> None:
    """All of it needs a kernel that lets us."""
    if not mounting.possible().binds:
        pytest.skip(f"no mount namespaces on this machine: {mounting.possible().why}")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that an ordinary user may enter too, with weights and a dataset."""
    with tempfile.TemporaryDirectory(prefix="mounting") as made:
        folder = Path(made).resolve()
        (folder / "weights").mkdir()
        (folder / "weights" / "model.gguf").write_text("the model")
        (folder / "corpus").mkdir()
        (folder / "corpus" / "page").write_text("a page")
        yield folder


def launch(workload: Workload, placement: Placement) -> Launch:
    return Custom().launch(workload.template, workload.files, placement)


def play(place: Path, scene: Scene, *, last: bool = True, **settings: Any) -> None:
    """One hub's life; after the `last` one no process, file or mount is left."""

    async def live() -> None:
        made = ProcessRuntime(
            place / "replicas",
            launch,
            time.time,
            os.urandom,
            lambda _replica: "",
            Settings(owner=owner_of(place / "replicas"), cores=2, **settings),
        )
        try:
            await made.adopt()
            await scene(made)
            if last:
                await gone(made)
                assert not related(place / "replicas")
                assert not list((place / "replicas").iterdir())
        finally:
            await made.close()

    with nothing_left(place):
        asyncio.run(asyncio.wait_for(live(), 90))


@contextmanager
def nothing_left(place: Path) -> Iterator[None]:
    """No trace on the host; a failed test must not leave its servers running."""
    missing = [path for path in NOT_HERE if not Path(path).exists()]
    try:
        yield
    except BaseException:
        for pid in related(place / "replicas"):
            os.kill(pid, 9)
        raise
    assert str(place) not in Path("/proc/self/mountinfo").read_text()
    assert not [path for path in missing if Path(path).exists()]


def wanted(place: Path, *, files: Files | None = None, **fields: Any) -> Workload:
    base: dict[str, Any] = {
        "name": "mine",
        "engine": "custom",
        "command": (PYTHON, "-I", "-S", "-u", "-c", SERVER),
        "readiness": Probe(kind="http-any", period=0.1, timeout=2.0),
        "start_deadline": 30.0,
        "stop_grace": 3.0,
    }
    weights = place / "weights"
    files = files or Files(str(weights), str(weights / "model.gguf"), 9)
    return Workload(SERVICE, "mine", "1.0", 1, Template(**{**base, **fields}), files)


async def started(runtime: ProcessRuntime, workload: Workload) -> ReplicaStatus:
    (found,) = await settle(runtime, workload, ready(1), 30)
    return found


async def asked(status: ReplicaStatus, text: str = "") -> Any:
    def ask() -> Any:
        url = f"http://{status.address}/{urllib.request.quote(text)}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.loads(answer.read())

    return await asyncio.to_thread(ask)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def crashed(found: list[ReplicaStatus]) -> bool:
    return bool(found) and found[0].state is ReplicaState.CRASHED


# ---- what a replica sees -------------------------------------------------------------------------


@pytest.mark.parametrize("path", NOT_HERE)
def test_weights_are_where_the_document_says_and_read_only(place: Path, path: str) -> None:
    weights = place / "weights"

    async def scene(runtime: ProcessRuntime) -> None:
        command = (PYTHON, "-I", "-S", "-u", "-c", SERVER, "--model={model_dir}/model.gguf")
        status = await started(runtime, wanted(place, mount_path=path, command=command))
        told = await asked(status, "[os.environ['MODEL_DIR'], os.getcwd(), sys.argv[1]]")
        assert told == [path, path, f"--model={path}/model.gguf"]
        assert await asked(status, "open(sys.argv[1][8:]).read()") == "the model"
        assert await asked(status, f"write({path + '/x'!r})") == "EROFS"
        assert await asked(status, f"write({path + '/model.gguf'!r})") == "EROFS"
        assert await asked(status, f"write({str(weights / 'x')!r})") == "EROFS", (
            "where they lie too"
        )
        child = f"subprocess.run(['/bin/sh', '-c', 'echo > {path}/y'], stderr=-3).returncode"
        assert await asked(status, child) != 0, "its children see the same"
        assert await asked(status, f"write({str(place / 'ok')!r})") == "written"
        assert await asked(status, "os.getuid()") == os.getuid()
        assert not Path(path).exists()

    play(place, scene)
    assert [each.name for each in weights.iterdir()] == ["model.gguf"]
    assert (place / "ok").exists()


def test_datasets_are_read_only(place: Path) -> None:
    links = (Link("corpus", str(place / "corpus")),)

    async def scene(runtime: ProcessRuntime) -> None:
        status = await started(runtime, wanted(place, links=links, files=no_files()))
        at = "os.environ['DATASETS_DIR'] + '/corpus"
        assert await asked(status, f"open({at}/page').read()") == "a page"
        assert await asked(status, f"write({at}/x')") == "EROFS"
        assert await asked(status, "write('mine')") == "written", "its own folder stays its own"

    play(place, scene)


def test_a_probe_that_runs_a_command_sees_what_the_replica_sees(place: Path) -> None:
    line = 'test "$(pwd)" = /mnt/model && test -f /mnt/model/model.gguf && ! touch x 2>/dev/null'
    readiness = Probe(kind="exec", command=("sh", "-c", line), period=0.2, failures=1)

    async def scene(runtime: ProcessRuntime) -> None:
        status = await started(runtime, wanted(place, mount_path="/mnt/model", readiness=readiness))
        assert status.ready_at

    play(place, scene)


def test_a_working_folder_in_the_weights_is_found_there(place: Path) -> None:
    (place / "weights" / "app").mkdir()

    async def scene(runtime: ProcessRuntime) -> None:
        work = wanted(place, mount_path="/mnt/model", workdir="/mnt/model/app")
        assert await asked(await started(runtime, work)) == "/mnt/model/app"

    play(place, scene)


def test_where_nothing_can_be_shown_the_weights_lie_in_model_dir(place: Path) -> None:
    async def scene(runtime: ProcessRuntime) -> None:
        info = await runtime.probe()
        assert (info.binds, "as a test" in info.mounts) == (False, True)
        assert info.mounts in info.warnings
        status = await started(runtime, wanted(place, mount_path="/mnt/model"))
        told = await asked(
            status, "[os.environ['MODEL_DIR'], os.getcwd(), os.path.exists('/mnt/model')]"
        )
        assert told == [str(place / "weights")] * 2 + [False]

    play(place, scene, mounts=Mounts("none", "as a test"))


def test_the_runtime_says_what_it_can(place: Path) -> None:
    async def scene(runtime: ProcessRuntime) -> None:
        info = await runtime.probe()
        assert info.binds
        assert "read-only" in info.mounts
        assert info.mounts not in info.warnings

    play(place, scene)


# ---- what cannot be shown ------------------------------------------------------------------------


def test_the_platforms_own_folder_is_refused_by_name(place: Path) -> None:
    async def scene(runtime: ProcessRuntime) -> None:
        path = str(place / "replicas" / "x")
        with pytest.raises(Unsupported, match="keeps its own data"):
            await runtime.apply(wanted(place, mount_path=path))
        (found,) = runtime.observe(SERVICE)
        assert (found.state, found.reason) == (ReplicaState.PENDING, "CannotStart")
        assert path in found.message

    play(place, scene)


def test_a_path_that_leads_elsewhere_is_refused_by_name(place: Path) -> None:
    (place / "door").symlink_to("/proc")

    async def scene(runtime: ProcessRuntime) -> None:
        path = str(place / "door" / "x")
        (found,) = await settle(runtime, wanted(place, mount_path=path), crashed, 30)
        assert found.reason == "NotStarted"
        assert f"cannot run with its files at {path}: nothing may be shown there" in found.message

    play(place, scene)


def test_weights_that_went_away_are_named(place: Path) -> None:
    absent = str(place / "absent")

    async def scene(runtime: ProcessRuntime) -> None:
        work = wanted(place, files=Files(absent, absent, 1), mount_path="/mnt/model")
        (found,) = await settle(runtime, work, crashed, 30)
        assert found.reason == "NotStarted"
        assert f"{absent}: No such file or directory" in found.message

    play(place, scene)


# ---- whoever is killed, nothing stays ------------------------------------------------------------


@pytest.mark.parametrize("victim", ["keeper", "engine"])
def test_a_killed_replica_leaves_no_mount_and_comes_back(place: Path, victim: str) -> None:
    async def scene(runtime: ProcessRuntime) -> None:
        work = wanted(place, mount_path="/workspace/pierhead/test")
        first = await started(runtime, work)
        assert first.pid is not None
        views = {view(first.pid)}
        assert views != {view(os.getpid())}
        keeper = int(Path(f"/proc/{first.pid}/stat").read_text().rsplit(")")[-1].split()[1])
        assert view(keeper) == view(os.getpid())
        os.kill(keeper if victim == "keeper" else first.pid, 9)
        await until(lambda: not alive(first.pid or 0))
        await until(lambda: not views & views_of(place))
        await until(lambda: crashed(runtime.observe(SERVICE)))
        again = await started(runtime, work)
        assert again.pid != first.pid
        assert await asked(again, "write('x')") == "EROFS"

    play(place, scene)


def views_of(place: Path) -> set[str]:
    """Mount namespaces of all processes of the runtime."""
    found: set[str] = set()
    for pid in related(place / "replicas"):
        with suppress(OSError):  # it has ended
            found.add(view(pid))
    return found


def view(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/mnt").readlink())


def test_the_next_hub_takes_it_up_and_goes_on_probing_inside(place: Path) -> None:
    gate = place / "weights" / "gate"
    gate.touch()
    readiness = Probe(
        kind="exec", command=("test", "-f", "/mnt/model/gate"), period=0.1, failures=1
    )
    work = wanted(place, mount_path="/mnt/model", readiness=readiness)
    pids: list[int | None] = []

    async def first(runtime: ProcessRuntime) -> None:
        status = await started(runtime, work)
        pids.append(status.pid)
        await until(lambda: listens(status.port))

    async def second(runtime: ProcessRuntime) -> None:
        await until(lambda: ready(1)(runtime.observe(SERVICE)))
        status = await started(runtime, work)
        assert [status.pid] == pids, "the same engine"
        gate.unlink()
        await until(lambda: runtime.observe(SERVICE)[0].state is ReplicaState.UNREADY)
        gate.touch()
        await until(lambda: ready(1)(runtime.observe(SERVICE)))
        assert await asked(status, "write('x')") == "EROFS"

    play(place, first, last=False)
    play(place, second)


def test_twenty_starts_and_stops_leave_nothing(place: Path) -> None:
    async def scene(runtime: ProcessRuntime) -> None:
        for number in range(20):
            path = NOT_HERE[number % len(NOT_HERE)]
            status = await started(runtime, wanted(place, mount_path=path))
            assert await asked(status, "os.getcwd()") == path
            await gone(runtime)
        assert str(place) not in Path("/proc/self/mountinfo").read_text()

    top = {each.name for each in Path("/").iterdir()}
    play(place, scene)
    assert {each.name for each in Path("/").iterdir()} == top


# ---- an ordinary user ----------------------------------------------------------------------------


def test_all_of_it_holds_for_an_ordinary_user() -> None:
    """This very file again, without root's rights; only reading is left of them, for our interpreter."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("not root, or no setpriv: this is an ordinary user's run already")
    if not ordinary_user.python():
        pytest.skip("no interpreter on this machine that an ordinary user may start")
    with tempfile.TemporaryDirectory(prefix="ordinary") as home:
        os.chown(home, ordinary_user.NOBODY, ordinary_user.NOBODY)
        who = f"--reuid={ordinary_user.NOBODY} --regid={ordinary_user.NOBODY} --clear-groups"
        rights = "--inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search --bounding-set=-all,+dac_read_search"
        done = subprocess.run(
            [
                *("setpriv", *who.split(), *rights.split()),
                *(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__),
                *("-k", "not ordinary", f"--basetemp={home}/pytest"),
            ],
            env={
                **os.environ,
                "PIERHEAD_RECORD_SECONDS": "",
                "HOME": home,
                "TMPDIR": home,
                ORDINARY: ordinary_user.python(),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    if "no mount namespaces on this machine" in done.stdout:
        pytest.skip("this kernel gives ordinary users no namespaces")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
