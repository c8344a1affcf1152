"""Where the gateway's CPU time goes, by function of Python and, where `perf` is there, by symbol."""

import io
import pstats
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.gateway.cost import BUSY_CONNECTIONS, BUSY_STREAMS
from bench.gateway.outcome import Outcome
from bench.gateway.programs import drive, faults
from bench.gateway.stage import Launch, Stage, spent, stage

_LOADS = {"closed": BUSY_CONNECTIONS, "stream": BUSY_STREAMS}
_NAMES = {"closed": "requests", "stream": "tokens"}
_SAMPLES = "999"  #: a second


def measure(folder: Path, launch: Launch, seconds: float, most: int) -> Outcome:
    """The `most` dearest functions, for requests and for streams, each in a gateway of its own."""
    outcome, parts = Outcome(), list[str]()
    for mode in _LOADS:
        parts.append(_by_function(folder / mode, launch, mode, seconds, most))
        if perf := shutil.which("perf"):
            parts.append(_by_symbol(folder / f"{mode}-perf", launch, mode, seconds, (perf, most)))
    outcome.text = "\n\n".join(parts)
    return outcome


def _by_function(folder: Path, launch: Launch, mode: str, seconds: float, most: int) -> str:
    folder.mkdir()
    found = folder / "profile"
    profiled = replace(launch, under=("-m", "cProfile", "-o", str(found)))
    with stage(folder, profiled) as made:
        title = _load(made, mode, seconds)
    text = io.StringIO()
    stats = pstats.Stats(str(found), stream=text).strip_dirs()
    stats.sort_stats("tottime").print_stats(most)
    return (
        f"{title}, under cProfile, which makes calls of Python dearer than they are\n"
        + "\n".join(line for line in text.getvalue().splitlines()[2:] if line.strip())
    )


def _by_symbol(
    folder: Path, launch: Launch, mode: str, seconds: float, perf: tuple[str, int]
) -> str:
    folder.mkdir()
    program, most = perf
    with stage(folder, launch) as made, _recorded(program, folder / "perf", made):
        title = _load(made, mode, seconds)
    report = [program, "report", "-i", str(folder / "perf"), "--stdio", "--no-children"]
    told = subprocess.run(
        [*report, "--sort", "dso,symbol", "-g", "none"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    lines = [line for line in told.stdout.splitlines() if line.strip() and line[0] != "#"]
    return f"{title}, under perf\n" + "\n".join(lines[:most] or [told.stderr.strip()[:300]])


@contextmanager
def _recorded(perf: str, file: Path, made: Stage) -> Generator[None]:
    pid = made.gateway.process.pid
    command = [perf, "record", "-q", "-F", _SAMPLES, "-o", str(file), "-p", str(pid)]
    with (file.with_suffix(".log")).open("ab") as log:
        recorder = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        recorder.terminate()
        recorder.wait(30)


def _load(made: Stage, mode: str, seconds: float) -> str:
    door, pid = made.gateway.door(), made.gateway.process.pid
    drive(made.programs.driver, mode, door, 0.5, c=_LOADS[mode])
    before = spent(pid)
    run = drive(made.programs.driver, mode, door, seconds, c=_LOADS[mode])
    done = run["tokens"] if mode == "stream" else run["ok"]
    cost = (spent(pid) - before) * 1e6 / max(1, done)
    wrong = f", {faults(run)} went wrong" if faults(run) else ""
    return f"== {done} {_NAMES[mode]}, {cost:.1f} µs of CPU each{wrong}"
