"""`pierhead demo`, as a newcomer runs it: an answer, figures, and nothing left behind; or kept running."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from running_platform import PIERHEAD, alive, until

from demo_weights import demo_cache

SECONDS = 120.0


@pytest.fixture(autouse=True)
def weights_are_there() -> None:
    """The download is no part of these tests."""
    demo_cache()


def run_demo(folder: Path, *options: str) -> tuple[int, str, list[psutil.Process]]:
    """Exit code, output, and every process that it started."""
    output = folder.with_suffix(".out")
    with output.open("wb") as file:
        process = subprocess.Popen(
            (*PIERHEAD, "demo", "--data-dir", str(folder), *options), stdout=file, stderr=file
        )
    family: dict[int, psutil.Process] = {}
    try:
        until(lambda: _ended(process, family), SECONDS, "the demo ended", pause=0.3)
    except BaseException:
        for member in [psutil.Process(process.pid), *family.values()]:
            if alive([member]):
                member.kill()
        process.wait()
        raise
    return process.returncode, output.read_text(), list(family.values())


def _ended(process: "subprocess.Popen[bytes]", family: dict[int, psutil.Process]) -> bool:
    try:
        found = psutil.Process(process.pid).children(recursive=True)
        family |= {child.pid: child for child in found}
    except psutil.NoSuchProcess:
        pass
    return process.poll() is not None


def test_the_demo_answers_and_leaves_no_process(tmp_path: Path) -> None:
    code, output, family = run_demo(tmp_path / "demo")
    assert code == 0, output
    answer = re.search(r"> What is the capital of France.*\n +(.+)\n", output)
    assert answer is not None
    assert "Paris" in answer[1]
    for phase in ("platform", "create", "weights", "schedule", "load", "ready", "delete", "stop"):
        assert re.search(rf"^{phase} +\d+\.\d\d s", output, re.M), f"{phase} is missing:\n{output}"
    assert re.search(r"\d+ tokens/s", output)
    assert re.search(r"request +[+-]\d+\.\d+ ms", output)
    # Supervisor, hub, gateway, a replica and its keeper, the bare engine.
    assert len(family) >= 5, family
    assert not alive(family)


@contextmanager
def kept(folder: Path) -> Iterator[str]:
    """A demo that runs on, ended at the latest here; its output."""
    code, output, family = run_demo(folder, "--keep")
    try:
        assert code == 0, output
        yield output
    finally:
        for process in alive(family):
            process.kill()


def test_a_kept_demo_runs_on_and_its_commands_work(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with kept(folder) as output:
        # Commands as printed, with their continuation lines joined.
        text = output[output.index("runs on") :].replace("\\\n", " ")
        commands = [
            line.strip()
            for line in text.splitlines()
            if re.match(r" +(\S*pierhead |curl |kill )", line)
        ]
        names = [shlex.split(command)[0].rpartition("/")[2] for command in commands]
        assert {"pierhead", "curl", "kill"} <= set(names), output
        answers = {command: _run(command) for command in commands if "kill " not in command}
        curl = next(text for command, text in answers.items() if command.startswith("curl"))
        assert json.loads(curl)["choices"][0]["message"]["content"]
        listed = next(text for command, text in answers.items() if "services list" in command)
        assert "Running" in listed
        (pid,) = (shlex.split(command)[1] for command in commands if command.startswith("kill"))
        supervisor = psutil.Process(int(pid))
        family = [supervisor, *supervisor.children(recursive=True)]
        assert len(family) >= 4
        _run(f"kill {pid}")
        until(lambda: not alive(family), 60, "all of it ended")


def _run(command: str) -> str:
    """What a printed command says; it must succeed."""
    # `.venv/bin/` stands for wherever the program is installed.
    program = str(Path(sys.executable).with_name("pierhead"))
    command = command.replace(".venv/bin/pierhead", shlex.quote(program))
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout
