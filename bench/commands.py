"""How long the command line takes to answer."""

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.figures import Figure, figure
from bench.platforms import hub
from bench.rounds import rounds

ROUNDS, SECONDS = 10, 20.0


def measure(folder: Path) -> list[Figure]:
    """`--help` and a call of the hub, in turns."""
    help_: list[tuple[float, float]] = []
    list_: list[tuple[float, float]] = []
    with hub(folder / "commands") as running:
        for _ in rounds(ROUNDS, SECONDS):
            help_.append(_timed("--help"))
            list_.append(_timed("services", "list", f"--data-dir={running.folder}"))
    figures: list[Figure] = []
    for name, found in (("--help", help_), ("services list", list_)):
        seconds, cpu = zip(*found, strict=True)
        figures.append(figure(f"`pierhead {name}`", "s", seconds))
        figures.append(figure(f"`pierhead {name}`, CPU time", "s", cpu))
    return figures


def _timed(*arguments: str) -> tuple[float, float]:
    command = [sys.executable, "-m", "pierhead", *arguments]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    _pid, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return seconds, usage.ru_utime + usage.ru_stime
