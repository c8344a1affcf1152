"""A keeper by itself: a TERM is answered at every moment of an engine's start."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pierhead.runtimes.process import keeper
from pierhead.runtimes.process.identity import stat
from pierhead.runtimes.process.mounting import possible

Start = Callable[..., "subprocess.Popen[bytes]"]
GRACE = 20.0


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder, as deep below its replica's lock as a real one."""
    folder = tmp_path / "replica" / "runs" / "1"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def start(run: Path) -> Iterator[Start]:
    """Starts a keeper of `sleep 60`; whatever is left of it ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(**changes: Any) -> "subprocess.Popen[bytes]":
        lease = os.open(os.devnull, os.O_RDONLY)
        spec = {
            "argv": ["sleep", "60"],
            "env": dict(os.environ),
            "cwd": "/",
            "grace": GRACE,
            "log_bytes": 1 << 20,
            "cgroups": [],
            "oom_file": "",
            "data_bytes": 0,
            "nice": 0,
            "open_files": 0,
            "lease": lease,
            "binds": [],
            "own_users": False,
            "closed": [],
            **changes,
        }
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__, "owner", "replica", str(run)],
            stdin=subprocess.PIPE,
            pass_fds=(lease,),
            start_new_session=True,
        )
        started.append(process)
        os.close(lease)
        assert process.stdin is not None
        process.stdin.write(json.dumps(spec).encode())
        process.stdin.close()
        return process

    yield begin
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ended(process: "subprocess.Popen[bytes]", run: Path) -> tuple[float, int | None]:
    """Seconds until the keeper ended, and the signal that ended the engine (None: there was none yet)."""
    began = time.monotonic()
    process.wait(GRACE + 5)
    record = run / "exit.json"
    number = json.loads(record.read_text())["signal"] if record.exists() else None
    return time.monotonic() - began, number


def test_a_term_between_fork_and_exec_is_not_lost(run: Path, start: Start) -> None:
    # The child opens this to join its cgroup, and hangs there until somebody reads: between fork and exec.
    """Law: a TERM between fork and exec is not lost (F11)."""
    joining = run / "cgroup.procs"
    os.mkfifo(joining)
    process = start(cgroups=[str(run)])
    while not (run / "keeper.json").exists():
        time.sleep(0.005)
    engine = json.loads((run / "keeper.json").read_text())["engine"][0]
    process.send_signal(signal.SIGTERM)
    give_up = time.monotonic() + GRACE / 2
    while (now := stat(engine)) is not None and now.state != "Z":
        assert time.monotonic() < give_up, "the TERM is lost"
        time.sleep(0.005)
    # The keeper's sweep may read the same FIFO by now: that read ends here, the next finds nothing.
    reader = os.open(joining, os.O_RDWR)
    joining.unlink()
    os.close(reader)
    _took, number = ended(process, run)
    assert number == signal.SIGTERM


@pytest.mark.parametrize("shown", [False, True], ids=["", "with_mounts"])
@pytest.mark.parametrize("step", range(40))
def test_a_term_at_any_moment_of_a_start_is_answered(
    step: int, shown: bool, run: Path, start: Start
) -> None:
    """Law: a TERM at any moment of a start is answered (F11)."""
    if shown and not possible().binds:
        pytest.skip(f"no mount namespaces on this machine: {possible().why}")
    binds = [(str(run), str(run)), (str(run), "/workspace/pierhead/test")]
    process = start(binds=binds * shown, own_users=possible().means == "user")
    while not (run / "exit.json.part").exists():  # from here on a keeper answers for its end
        time.sleep(0.0005)
    time.sleep(step * 0.0005)
    process.send_signal(signal.SIGTERM)
    took, number = ended(process, run)
    assert took < GRACE / 2, f"{took:.1f} s"
    assert number in (signal.SIGTERM, None)
