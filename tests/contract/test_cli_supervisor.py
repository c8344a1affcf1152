"""`pierhead up`: restarts, order of ending, the lock, and no half platform after kill -9."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pierhead.bootstrap import supervisor
from pierhead.settings import Settings
from ports import free_ports

DOUBLE = Path(__file__).with_name("supervisor_double.py")


def command(folder: Path, grace: float = 10.0) -> list[str]:
    """Starts the supervisor over two stand-in children."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    return [sys.executable, str(DOUBLE), "up", str(folder), str(grace), *addresses]


class Up:
    """The supervisor over two stand-in children, as a process."""

    def __init__(self, folder: Path, grace: float = 10.0) -> None:
        self.folder = folder
        self._out = (folder / "out").open("wb")
        self.process = subprocess.Popen(
            command(folder, grace),
            stdout=self._out,
            stderr=subprocess.STDOUT,
        )

    def close(self) -> None:
        self._out.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pid in self.pids("hub") + self.pids("gateway"):
            wait_for(lambda pid=pid: not alive(pid))

    @property
    def said(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def journal(self) -> list[str]:
        path = self.folder / "journal"
        return path.read_text().splitlines() if path.exists() else []

    def pids(self, name: str) -> list[int]:
        starts = [line.split() for line in self.journal]
        return [int(words[2]) for words in starts if words[:2] == [name, "start"]]

    def ready(self) -> None:
        wait_for(lambda: "ready " in self.said)

    def ended(self) -> int:
        return self.process.wait(20)


def wait_for(truth: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Runs, and is no zombie (nobody may be there to reap an orphan in a container)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    with contextlib.ExitStack() as ups:

        def start(grace: float = 10.0) -> Up:
            up = Up(tmp_path, grace)
            ups.callback(up.close)
            return up

        yield start


def test_a_killed_child_starts_again_at_once(started: Callable[..., Up]):
    up = started()
    up.ready()
    for name in ("hub", "gateway"):
        other = {"hub": "gateway", "gateway": "hub"}[name]
        kept = up.pids(other)[-1]
        count = len(up.pids(name))
        began = time.monotonic()
        os.kill(up.pids(name)[-1], signal.SIGKILL)
        wait_for(lambda name=name, count=count: len(up.pids(name)) == count + 1)
        assert time.monotonic() - began < 5
        assert alive(kept)
        assert f"{name} ended (killed by SIGKILL); it starts again at once." in up.said


def test_a_child_that_dies_again_and_again_is_given_time(started: Callable[..., Up]):
    up = started()
    up.ready()
    os.kill(up.pids("hub")[-1], signal.SIGKILL)
    wait_for(lambda: len(up.pids("hub")) == 2)
    began = time.monotonic()
    os.kill(up.pids("hub")[-1], signal.SIGKILL)
    wait_for(lambda: len(up.pids("hub")) == 3)
    assert time.monotonic() - began >= 0.5
    assert "it starts again in 0.5 s." in up.said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_gateway_ends_before_the_hub(started: Callable[..., Up], number: signal.Signals):
    up = started()
    up.ready()
    up.process.send_signal(number)
    assert up.ended() == 0
    assert up.journal[-2:] == ["gateway end", "hub end"]
    said = up.said
    assert said.index("stopping the gateway") < said.index("stopping the hub")
    assert said.endswith("stopped.\n")


def test_a_child_that_does_not_end_is_killed(started: Callable[..., Up], tmp_path: Path):
    (tmp_path / "gateway.stubborn").touch()
    up = started(0.3)
    up.ready()
    up.process.terminate()
    assert up.ended() == 0
    assert "the gateway does not end; killing it." in up.said
    assert up.journal[-1] == "hub end"


def test_a_second_ctrl_c_hastens(started: Callable[..., Up], tmp_path: Path):
    (tmp_path / "gateway.stubborn").touch()
    up = started(600)
    up.ready()
    up.process.send_signal(signal.SIGINT)
    wait_for(lambda: "stopping the gateway" in up.said)
    began = time.monotonic()
    up.process.send_signal(signal.SIGINT)
    assert up.ended() == 0
    assert time.monotonic() - began < supervisor.HASTE + 5
    assert not any(alive(pid) for pid in up.pids("gateway"))


def test_kill_9_leaves_no_half_platform_behind(started: Callable[..., Up]):
    up = started()
    up.ready()
    children = up.pids("hub") + up.pids("gateway")
    assert all(map(alive, children))
    up.process.kill()
    wait_for(lambda: not any(map(alive, children)))
    again = started()
    wait_for(lambda: "ready " in again.said)


def test_one_up_per_folder(started: Callable[..., Up], tmp_path: Path):
    up = started()
    up.ready()
    with (
        pytest.raises(supervisor.CannotStart, match=f"process {up.process.pid}"),
        supervisor.only_one(tmp_path),
    ):
        pass
    up.process.terminate()
    assert up.ended() == 0
    with supervisor.only_one(tmp_path):
        assert (tmp_path / "up.lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize(("code", "starts"), [(2, 1), (1, 3)])
def test_a_child_that_cannot_start_ends_it_all(
    started: Callable[..., Up], tmp_path: Path, code: int, starts: int
):
    (tmp_path / "hub.refuses").write_text(str(code))
    up = started()
    assert up.ended() == 1
    assert len(up.pids("hub")) == starts
    assert f"hub ended (exit code {code}); its own lines above say why." in up.said
    assert not any(alive(pid) for pid in up.pids("gateway"))


def test_a_taken_port_is_named_with_its_flag(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = Settings(
            data_dir=tmp_path, listen="127.0.0.1:0", gateway_listen=f"127.0.0.1:{port}"
        )
        with pytest.raises(supervisor.CannotStart) as caught:
            supervisor.up(settings, (), print)
    assert caught.value.message == (
        f"Port {port} is already in use; choose another one with --gateway-listen "
        "(0 takes a free one)."
    )


def test_both_flags_with_the_same_port(tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(supervisor.CannotStart, match="already in use"):
        supervisor.free_addresses([("--listen", address), ("--gateway-listen", address)])


def test_the_command_says_it_in_one_sentence_and_exits_1(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "pierhead", "up", "--data-dir", str(tmp_path),
             "--listen", f"127.0.0.1:{port}", "--gateway-listen=127.0.0.1:0"],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        f"pierhead: Port {port} is already in use; choose another one with --listen "
        "(0 takes a free one).\n"
    )


def test_an_address_of_another_machine(tmp_path: Path):
    with pytest.raises(supervisor.CannotStart, match="choose another address with --listen"):
        supervisor.free_addresses([("--listen", "192.0.2.1:0")])


def test_zeros_give_two_ports():
    first, second = supervisor.free_addresses([("--a", "127.0.0.1:0"), ("--b", "127.0.0.1:0")])
    assert first != second
    assert not first.endswith(":0")


def test_up_stays_small(started: Callable[..., Up]):
    """The supervisor does nothing but wait: no server, no database library, 40 MB at most."""
    up = started()
    up.ready()
    status = Path(f"/proc/{up.process.pid}/status").read_text()
    resident = int(status.split("VmRSS:")[1].split()[0])
    assert resident < 40 * 1024


def test_a_closed_output_does_not_stop_it(tmp_path: Path):
    reading, writing = os.pipe()
    process = subprocess.Popen(command(tmp_path), stdout=writing)
    os.close(writing)
    os.close(reading)
    try:
        wait_for((tmp_path / "journal").exists)
        wait_for(lambda: len((tmp_path / "journal").read_text().splitlines()) == 2)
        process.terminate()
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
