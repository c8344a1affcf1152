"""Small parts of the process runtime against the real /proc and the real disk."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pierhead.core.errors import Invalid
from pierhead.core.launch import Files
from pierhead.core.resources import MIB, Resources
from pierhead.core.templates import Constraints, Environment, Link, Probe, Template
from pierhead.core.workloads import Workload
from pierhead.runtimes.process import hardware
from pierhead.runtimes.process.records import Intent, ReplicaFolder
from pierhead.runtimes.process.spawn import engine_environment
from pierhead.runtimes.process.tree import Tree

TEMPLATE = Template(
    name="mine",
    engine="custom",
    script="serve | tee log",
    flags=("--x", "1"),
    workdir="/install",
    environment=Environment("3.11", "", ("six==1.16.0",), "https://i.test", "i.test", ("curl",)),
    ports=(3000, 3001),
    side_ports={"admin": 3001},
    images={"X86_64": "img:1"},
    links=(Link("corpus", "/data/corpus"),),
    constraints=Constraints(("X86_64",), "7.5", {"NVIDIA": ("a" * 32,)}),
    routed="private",
    env={"A": "1"},
    resources=Resources(cpu=1, memory=MIB, gpu=1, cpu_request=0.5),
    liveness=Probe(kind="http", path="/livez"),
)


def test_an_intent_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    files = Files("/w", "/w/m", 7, environment="/envs/1", env={"DEP_A_URL": "http://a"})
    workload = Workload("s", "mine", "1.0", 2, TEMPLATE, files, held=True)
    folder = ReplicaFolder(tmp_path / "s" / "r")
    folder.create(Intent("r", 1.5, workload))
    found = folder.intent()
    assert found is not None
    assert found.workload == Workload("s", "mine", "1.0", 2, TEMPLATE, files)


def test_an_intent_of_an_older_release_is_read(tmp_path: Path) -> None:
    folder = ReplicaFolder(tmp_path / "s" / "r")
    older = Template(name="old", engine="custom", command=("x",), constraints=Constraints())
    folder.create(Intent("r", 1.5, Workload("s", "old", "1.0", 1, older, Files("", "", 0))))
    path = folder.path / "replica.json"
    text = path.read_text()
    for newer in ('"flags": [], ', '"environment": null, ', '"links": [], ', '"ports": [], '):
        assert newer in text
        text = text.replace(newer, "")
    path.write_text(text)
    found = folder.intent()
    assert found is not None
    assert found.workload.template == older


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "x\0y"])
def test_no_dataset_leaves_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="datasets"):
        ReplicaFolder(tmp_path).show((Link(name, "/etc"),))


def test_links_are_made_anew_for_each_run(tmp_path: Path) -> None:
    folder = ReplicaFolder(tmp_path)
    folder.show((Link("a", "/etc"), Link("b", "/usr")))
    folder.show((Link("b", "/var"),))
    assert [(e.name, str(e.readlink())) for e in (tmp_path / "datasets").iterdir()] == [
        ("b", "/var")
    ]
    folder.show(())
    assert not (tmp_path / "datasets").exists()


def test_folders_of_an_environment_go_first_in_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HUB_SECRET", "x")
    found = engine_environment({"A": "1"}, ("/envs/1/bin",))
    assert found["PATH"] == "/envs/1/bin:/usr/bin:/bin"
    assert engine_environment({"PATH": "/own"}, ("/e/bin",))["PATH"] == "/e/bin:/own"
    assert set(found) == {"PATH", "HOME", "LANG", "TMPDIR", "A"}


LISTENER = """
import socket, os, sys, time
server = socket.create_server(("127.0.0.1", 0))
six = socket.create_server(("::1", 0), family=socket.AF_INET6) if socket.has_ipv6 and sys.argv[1] == "6" else None
if os.fork() == 0:
    os.setsid()
    other = socket.create_server(("127.0.0.1", 0))
    held = bytearray(30_000_000)
    print(server.getsockname()[1], other.getsockname()[1], six.getsockname()[1] if six else 0, flush=True)
time.sleep(60)
"""


def test_a_trees_listening_ports_and_memory_are_seen_and_nobody_elses(tmp_path: Path) -> None:
    six = "6" if Path("/proc/net/if_inet6").exists() else "4"
    with socket.create_server(("127.0.0.1", 0)) as mine:
        parent = subprocess.Popen(
            [
                *(sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])"),
                *(sys.executable, "-c", LISTENER, six),
            ],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            assert parent.stdout is not None
            ports = {int(text) for text in parent.stdout.readline().split()} - {0}
            tree = Tree(parent.pid)
            assert tree.listening() == ports
            assert mine.getsockname()[1] not in ports
            assert 30 * MIB - MIB * 2 < tree.memory() < 400 * MIB
        finally:
            for pid in [*tree_pids(parent.pid), parent.pid]:
                os.kill(pid, 9)
            parent.wait()
            assert parent.stdout is not None
            parent.stdout.close()
    assert Tree(parent.pid).listening() == frozenset()


def tree_pids(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for child in map(int, text) for found in (*tree_pids(child), child)]


def test_architectures_have_the_names_that_templates_use(monkeypatch: pytest.MonkeyPatch) -> None:
    class Uname:
        machine = "aarch64"

    monkeypatch.setattr(os, "uname", Uname)
    assert hardware.architecture() == "AARCH64"
    monkeypatch.setattr(Uname, "machine", "x86_64")
    assert hardware.architecture() == "X86_64"
    monkeypatch.setattr(Uname, "machine", "riscv64")
    assert hardware.architecture() == "RISCV64"
