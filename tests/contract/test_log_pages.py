"""Pages of logs: the same lines as in the whole log, without reading more of it than is needed."""

from dataclasses import replace
from pathlib import Path

import pytest

from pierhead.runtimes.base import LogLine
from pierhead.runtimes.process import logfiles
from pierhead.runtimes.process.logfiles import LogRun

ALL = 1_000_000
SECRET = "quay-seven"


def written(folder: Path, replica: str, first: int, count: int, end: str = "\n") -> LogRun:
    """A run that wrote `count` lines, the first third of them into the older of two files."""
    folder.mkdir()
    lines = [f"{first + 2 * at}.5 {replica} {SECRET} {at}" for at in range(count)]
    cut = count // 3
    (folder / "log.1").write_text("".join(f"{line}\n" for line in lines[:cut]))
    (folder / "log").write_text("\n".join(lines[cut:]) + end)
    return LogRun(folder, replica, (SECRET,))


def whole(runs: list[LogRun]) -> list[LogLine]:
    """Everything that they wrote, masked, in the order of time."""
    return logfiles.merged(
        (logfiles.hiding(logfiles.tail(run.path, run.replica, ALL), run.hidden) for run in runs),
        ALL,
    )


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("end", ["\n", ""])
def test_pages_are_parts_of_the_whole_log(tmp_path: Path, replicas: int, end: str) -> None:
    runs = [
        written(tmp_path / f"r{at}", f"r{at}", 1000 + at, 9000 - at, end) for at in range(replicas)
    ]
    lines = whole(runs)
    assert len(lines) == 9000 * replicas - (replicas - 1)
    assert all("******" in line.text for line in lines)
    end_of_all = len(lines)
    for skip in (0, 1, 999, 5999, 6000, 6001, end_of_all - 1, end_of_all, end_of_all + 7):
        for limit in (1, 1000, end_of_all):
            end_at = max(0, end_of_all - skip)
            wanted = lines[max(0, end_at - limit) : end_at]
            assert logfiles.page(runs, skip, limit) == (wanted, end_of_all), (skip, limit)


def test_no_log_has_no_pages_and_no_lines(tmp_path: Path) -> None:
    nothing = LogRun(tmp_path / "none", "r0", ())
    assert logfiles.page([], 0, 10) == ([], 0)
    assert logfiles.page([nothing, replace(nothing, replica="r1")], 0, 10) == ([], 0)
