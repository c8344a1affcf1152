"""The verbs that tests run in a fork say and do what the real program does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands import pierhead


@pytest.mark.parametrize(
    "words", [("nonsense",), ("settings",), ("quota", "show", "q")], ids=lambda words: words[0]
)
def test_a_fork_says_what_the_program_says(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    env = {**os.environ, "PIERHEAD_DATA_DIR": str(tmp_path / "data"), "PIERHEAD_REGION": "here"}
    real = subprocess.run(
        [sys.executable, "-m", "pierhead", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=env,
    )
    fork = pierhead(*words, env=env)
    assert (fork.returncode, fork.stdout, fork.stderr) == (
        real.returncode,
        real.stdout,
        real.stderr,
    )


def test_it_reads_what_it_is_given_and_is_ended_in_time() -> None:
    assert pierhead("plan", "-", given="{").returncode == 2
    with pytest.raises(subprocess.TimeoutExpired):
        pierhead("version", timeout=0.0)
    assert pierhead("version").returncode == 0
