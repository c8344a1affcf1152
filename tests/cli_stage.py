"""The command line run in this process: what it said, and with which exit code it ended."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from pierhead.cli import main


class Said(NamedTuple):
    """What one command said."""

    code: int
    out: str
    err: str


Cli = Callable[..., Said]


def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs `pierhead ARGUMENTS...`."""

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["pierhead", *arguments])
        code = 0
        try:
            main.run()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Said(code, *capsys.readouterr())

    return run


def only_folder(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Nothing of the caller's own settings counts, only this data folder."""
    for name in [name for name in os.environ if name.startswith("PIERHEAD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIERHEAD_DATA_DIR", str(folder))
