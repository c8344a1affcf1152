"""A user's own commands, for real: what they need is there, and whatever they do wrong is named and swept."""
# ruff: noqa: ASYNC240 - one scene at a time: a short wait for a file harms nobody

import asyncio
import json
import os
import socket
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wheel_index
from pierhead.core.launch import EnvironmentPath, Launch, Placement, no_files
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.resources import MIB, Resources
from pierhead.core.secrecy import MASK
from pierhead.core.services import Hold
from pierhead.core.templates import Environment, Link, Probe, Template
from pierhead.core.workloads import Workload
from pierhead.engines.custom import Custom
from pierhead.runtimes.process.ground import Settings
from pierhead.runtimes.process.limits import Limits
from pierhead.runtimes.process.runtime import ProcessRuntime
from pierhead.sources.environments import Environments
from ports import free_port
from replica_servers import SERVICE, alive, gone, owner_of, ready, related, settle, until

S = ReplicaState
Scene = Callable[[ProcessRuntime], Awaitable[None]]

#: Tells what it finds, as JSON, on the port it is given.
SERVER = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"cwd": os.getcwd(), "argv": sys.argv[1:], "prefix": sys.prefix,
                           "env": dict(os.environ), "extra": EXTRA}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
try:
    import tinyweb; EXTRA = tinyweb.ANSWER
except ImportError:
    EXTRA = None
port = int(os.environ["PORT"] if len(sys.argv) < 2 or not sys.argv[1].isdigit() else sys.argv[1])
print("serving", os.environ.get("API_KEY"), flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def launch(workload: Workload, placement: Placement) -> Launch:
    return Custom().launch(workload.template, workload.files, placement)


def play(folder: Path, scene: Scene, *, last: bool = True) -> None:
    """One hub's life over real commands; after the `last` one no process and no file is left."""

    async def live() -> None:
        made = ProcessRuntime(
            folder / "replicas",
            launch,
            time.time,
            os.urandom,
            lambda _replica: "",
            Settings(owner=owner_of(folder / "replicas"), cores=2),
        )
        try:
            await made.adopt()
            await scene(made)
            if last:
                await gone(made)
                assert not related(folder / "replicas")
                assert not list((folder / "replicas").iterdir())
        finally:
            await made.close()

    with nobody_left(folder / "replicas"):
        asyncio.run(asyncio.wait_for(live(), 90))


@contextmanager
def nobody_left(folder: Path) -> Iterator[None]:
    """A failed test must not leave its servers running."""
    try:
        yield
    except BaseException:
        for pid in related(folder):
            os.kill(pid, 9)
        raise


def command(**fields: Any) -> Workload:
    """One replica of a command."""
    base = Template(
        name="mine",
        engine="custom",
        readiness=Probe(kind="http-any", period=0.1, timeout=2.0),
        start_deadline=30.0,
        stop_grace=3.0,
    )
    files = replace(no_files(), **fields.pop("files", {}))
    replicas = fields.pop("replicas", 1)
    return Workload(SERVICE, "mine", "1.0", replicas, replace(base, **fields), files)


def program(folder: Path, text: str = SERVER) -> str:
    path = folder / "program.py"
    path.write_text(text)
    return str(path)


def ask(status: ReplicaStatus) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://{status.address}/", timeout=5) as answer:
        return json.loads(answer.read())


async def asked(status: ReplicaStatus) -> dict[str, Any]:
    return await asyncio.to_thread(ask, status)


def failed(found: list[ReplicaStatus]) -> bool:
    return bool(found) and found[0].state is S.CRASHED


async def crash_of(runtime: ProcessRuntime, wanted: Workload) -> ReplicaStatus:
    (found,) = await settle(runtime, wanted, failed, 30)
    return found


# ---- what a command is given ---------------------------------------------------------------------


def test_requirements_are_installed_once_and_two_replicas_use_them(tmp_path: Path) -> None:
    wheel = wheel_index.wheel("tinyweb", "1.2", "ANSWER = 42\n")
    with wheel_index.serving({"tinyweb": wheel}) as index:
        wanted = Environment(requirements=("tinyweb==1.2",), index_url=index.url)

        async def scene(runtime: ProcessRuntime) -> None:
            environments = Environments(tmp_path / "envs", time.time, lambda: None)
            phases: list[str] = []
            deadline = time.monotonic() + 60
            while isinstance(found := environments.ensure(wanted), Hold):
                assert found.progressing, found
                assert time.monotonic() < deadline
                phases.append(found.message)
                await asyncio.sleep(0.02)
            assert isinstance(found, EnvironmentPath)
            assert phases
            workload = command(
                script=f"exec python {program(tmp_path)}",
                replicas=2,
                files={"environment": found.folder},
            )
            replicas = await settle(runtime, workload, ready(2), 30)
            told = [await asked(replica) for replica in replicas]
            for one in told:
                assert (one["extra"], one["prefix"]) == (42, found.folder)
                assert one["env"]["VIRTUAL_ENV"] == found.folder
                assert one["env"]["PATH"].startswith(f"{found.folder}/bin:")
            assert len({one["env"]["REPLICA_ID"] for one in told}) == 2
            assert len(list((tmp_path / "envs").glob("*/READY"))) == 1
            environments.close()

        play(tmp_path, scene)


def test_flags_datasets_and_folders_are_as_the_template_says(tmp_path: Path) -> None:
    data = tmp_path / "corpus"
    data.mkdir()
    (data / "a.txt").write_text("hello")
    work = tmp_path / "installed"
    work.mkdir()

    async def scene(runtime: ProcessRuntime) -> None:
        workload = command(
            command=(sys.executable, program(tmp_path)),
            flags=("--title", "a 'b' $(id)", "--port={port}"),
            links=(Link("corpus", str(data)), Link("对话", str(data))),
            workdir=str(work),
            env={"API_KEY": "sk-very-secret", "PORT": "1"},
            resources=Resources(cpu=2),
        )
        (replica,) = await settle(runtime, workload, ready(1))
        told = await asked(replica)
        assert told["argv"] == ["--title", "a 'b' $(id)", f"--port={replica.port}"]
        assert told["cwd"] == str(work)
        assert told["env"]["PORT"] == str(replica.port)
        assert told["env"]["OMP_NUM_THREADS"] == "2"
        shown = Path(told["env"]["DATASETS_DIR"])
        assert (shown / "corpus" / "a.txt").read_text() == "hello"
        assert sorted(entry.name for entry in shown.iterdir()) == ["corpus", "对话"]
        assert "PIERHEAD" not in " ".join(told["env"])
        assert replica.command[-2:] == ("a 'b' $(id)", f"--port={replica.port}")

    play(tmp_path, scene)
    assert (data / "a.txt").read_text() == "hello", "links go, what they show stays"


def test_without_its_folder_it_runs_in_an_empty_one_of_its_own(tmp_path: Path) -> None:
    async def scene(runtime: ProcessRuntime) -> None:
        workload = command(
            command=(sys.executable, program(tmp_path)), workdir=str(tmp_path / "nowhere")
        )
        (replica,) = await settle(runtime, workload, ready(1))
        told = await asked(replica)
        assert told["cwd"].startswith(str(tmp_path / "replicas"))
        assert list(Path(told["cwd"]).iterdir()) == []

    play(tmp_path, scene)


def test_secrets_are_in_the_environment_and_in_nothing_that_is_shown(tmp_path: Path) -> None:
    """Law: a secret of a template is in the environment, and in nothing that is shown (F34)."""
    secret = "sk-very-secret"

    async def scene(runtime: ProcessRuntime) -> None:
        workload = command(
            command=(sys.executable, program(tmp_path), "x"),
            flags=("--api-key", "k-1", f"--note={secret}"),
            env={"API_KEY": secret},
        )
        (replica,) = await settle(runtime, workload, ready(1))
        assert (await asked(replica))["env"]["API_KEY"] == secret
        assert replica.command[-3:] == ("--api-key", MASK, f"--note={MASK}")
        while not (lines := await runtime.logs(SERVICE)):  # noqa: ASYNC110 - it may be ready sooner
            await asyncio.sleep(0.02)
        assert [line.text for line in lines] == [f"serving {MASK}"]
        await gone(runtime)
        crash = "import os, sys; print('bad key', os.environ['API_KEY']); sys.exit(3)"
        dies = command(command=(sys.executable, "-c", crash), env={"API_KEY": secret})
        found = await crash_of(runtime, dies)
        assert f"bad key {MASK}" in found.message
        assert secret not in repr(found)

    play(tmp_path, scene)


# ---- a port of its own choice --------------------------------------------------------------------


def test_a_command_that_ignores_port_is_found_where_its_template_says(tmp_path: Path) -> None:
    declared = free_port()
    workload = command(
        # The listener is a grandchild: the whole tree counts.
        script=f"{sys.executable} {program(tmp_path)} {declared}; true",
        ports=(free_port(), declared),
    )
    pids: list[int | None] = []

    async def first(runtime: ProcessRuntime) -> None:
        (replica,) = await settle(runtime, workload, ready(1))
        assert replica.port == declared
        assert (await asked(replica))["env"]["PORT"] != str(declared)
        pids.append(replica.pid)

    async def second(runtime: ProcessRuntime) -> None:
        (replica,) = await settle(runtime, workload, ready(1))
        assert (replica.pid, replica.port) == (pids[0], declared), "a new hub knows it too"

    play(tmp_path, first, last=False)
    play(tmp_path, second)


def test_a_strangers_port_is_not_taken_for_its_own(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        declared = stranger.getsockname()[1]

        async def scene(runtime: ProcessRuntime) -> None:
            workload = command(
                command=("sleep", "60"), ports=(declared,), start_deadline=1.5, stop_grace=0.5
            )
            found = await crash_of(runtime, workload)
            assert found.reason == "NeverListened"
            assert f"declared port {declared}" in found.message

        play(tmp_path, scene)


# ---- what commands do wrong ----------------------------------------------------------------------

EXITS = [
    ({"command": ("no-such-program-zz",)}, "CommandNotFound", "no-such-program-zz"),
    ({"script": "no-such-program-zz --x | cat; exit 127"}, "CommandNotFound", "not found"),
    ({"command": ("/etc/passwd",)}, "CommandNotExecutable", "Permission denied"),
    ({"command": ("true", "x" * 200_000)}, "CommandTooLong", "Argument list too long"),
    ({"script": "echo one; echo two; echo three; echo four; exit 7"}, "Crashed", "exit code 7"),
    (
        {"script": "echo one; echo two; echo three; echo four; exit 7"},
        "Crashed",
        "two | three | four",
    ),
    ({"script": "true"}, "Exited", "it wrote nothing"),
    (
        {"command": (sys.executable, "-c", "import nothing_like_this")},
        "ModuleMissing",
        "nothing_like_this",
    ),
]


@pytest.mark.parametrize(("template", "reason", "words"), EXITS)
def test_one_that_ends_at_once_is_named_with_its_last_words(
    tmp_path: Path, template: dict[str, Any], reason: str, words: str
) -> None:
    """Law: who ends at once is named with its last words (F41)."""

    async def scene(runtime: ProcessRuntime) -> None:
        found = await crash_of(runtime, command(**template))
        assert found.reason == reason, found.message
        assert words in found.message
        assert found.failures == 1
        assert found.retry_at is not None

    play(tmp_path, scene)


def test_one_that_never_listens_is_ended_and_counted(tmp_path: Path) -> None:
    async def scene(runtime: ProcessRuntime) -> None:
        workload = command(
            script="echo started; sleep 60", ports=(3000,), start_deadline=1.0, stop_grace=0.5
        )
        found = await crash_of(runtime, workload)
        assert (found.reason, found.failures) == ("NeverListened", 1)
        assert "PORT names (" in found.message
        assert "declared port 3000" in found.message
        assert found.last_lines == ("started",)
        assert str(found.last_exit) == "ended by the platform: NeverListened"
        (again,) = await settle(runtime, workload, lambda seen: seen[0].failures >= 2, 20)
        assert again.runs >= 2, "it is tried again"

    play(tmp_path, scene)


def test_one_that_listens_but_is_never_well_says_what_its_probe_got(tmp_path: Path) -> None:
    async def scene(runtime: ProcessRuntime) -> None:
        workload = command(
            command=(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "{port}"),
            readiness=Probe(kind="http", path="/no-such-thing", period=0.1),
            start_deadline=2.0,
            stop_grace=0.5,
        )
        found = await crash_of(runtime, workload)
        assert found.reason == "StartDeadlineExceeded"
        assert "404" in found.message

    play(tmp_path, scene)


DEAF_TREE = """
import os, signal, socket, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()  # a daemon that leaves its group, too
    if os.fork() == 0:
        open(sys.argv[1], "w").write(str(os.getpid())); time.sleep(600)
    os._exit(0)
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    client, _ = server.accept(); client.recv(9999)
    client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n"); client.close()
"""


def test_one_that_ignores_term_and_forks_is_killed_after_its_grace_with_all_its_children(
    tmp_path: Path,
) -> None:
    """Law: no orphan, whatever a command does."""
    stray = tmp_path / "stray"

    async def scene(runtime: ProcessRuntime) -> None:
        workload = command(command=(sys.executable, "-c", DEAF_TREE, str(stray)), stop_grace=1.0)
        await settle(runtime, workload, ready(1))
        await until(lambda: stray.exists() and stray.read_text().isdigit())
        pid = int(stray.read_text())
        assert alive(pid)
        began = time.monotonic()
        await settle(runtime, replace(workload, replicas=0), lambda seen: not seen, 20)
        assert 0.9 <= time.monotonic() - began < 10
        assert not alive(pid)

    play(tmp_path, scene)


def test_one_that_puts_itself_in_the_background_has_ended_and_leaves_nobody(tmp_path: Path) -> None:
    stray = tmp_path / "stray"

    async def scene(runtime: ProcessRuntime) -> None:
        found = await crash_of(runtime, command(script=f"setsid sleep 600 & echo $! > {stray}"))
        assert found.reason == "Exited"
        assert not alive(int(stray.read_text()))

    play(tmp_path, scene)


GENTLE = """
import os, signal, socket, sys, time
def leave(*_):
    time.sleep(0.7); open(sys.argv[1], "w").write("in peace"); os._exit(0)
signal.signal(signal.SIGTERM, leave)
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    client, _ = server.accept(); client.recv(9999)
    client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n"); client.close()
"""


def test_a_server_behind_a_shell_gets_its_grace_too(tmp_path: Path) -> None:
    """Law: a replica may end what it has; the shell before it dies of TERM at once."""
    server, left = program(tmp_path, GENTLE), tmp_path / "left"

    async def scene(runtime: ProcessRuntime) -> None:
        workload = command(script=f"{sys.executable} {server} {left}; true", stop_grace=10.0)
        (replica,) = await settle(runtime, workload, ready(1))
        began = time.monotonic()
        stopping = replace(workload, replicas=0, drained=frozenset({replica.id}))
        await settle(runtime, stopping, lambda seen: not seen, 20)
        assert left.read_text() == "in peace"
        assert time.monotonic() - began < 8

    play(tmp_path, scene)


SICK = """
import http.server, os, time
began = time.monotonic()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sick = self.path == "/livez" and time.monotonic() - began > 1
        self.send_response(500 if sick else 200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def test_three_bad_answers_of_livez_restart_it(tmp_path: Path) -> None:
    async def scene(runtime: ProcessRuntime) -> None:
        workload = command(
            command=(sys.executable, "-c", SICK),
            liveness=Probe(kind="http", path="/livez", period=0.2, failures=3),
            stop_grace=1.0,
        )
        await settle(runtime, workload, ready(1))
        (found,) = await settle(runtime, workload, lambda seen: seen[0].runs == 2, 30)
        assert found.last_exit is not None
        assert found.last_exit.reason == "LivenessFailed"
        assert "failed 3 times: GET /livez answered 500" in found.last_exit.message
        await settle(runtime, workload, ready(1))

    play(tmp_path, scene)


EATS = "import os,time\nos.fork() == 0\nx = bytearray(80_000_000)\ntime.sleep(60)"


def test_two_processes_that_together_take_too_much_are_ended_where_no_cgroup_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each keeps its own limit; the watchdog counts the whole replica."""
    monkeypatch.setattr(
        "pierhead.runtimes.process.runtime.detect", lambda owner: Limits(owner, None, None)
    )

    async def scene(runtime: ProcessRuntime) -> None:
        workload = command(
            command=(sys.executable, "-c", EATS),
            resources=Resources(memory=120 * MIB),
            stop_grace=0.5,
        )
        found = await crash_of(runtime, workload)
        assert found.reason == "OutOfMemory", found
        assert "120.0 MiB" in found.message

    play(tmp_path, scene)
