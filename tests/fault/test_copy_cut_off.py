"""A copy of a folder, and its removal, cut off by SIGKILL: the copy is whole or not there, and nothing is left."""

import multiprocessing
from pathlib import Path

import pytest

from pierhead import failpoint
from pierhead.failpoint import POINTS
from pierhead.sources import copying

PROCESSES = multiprocessing.get_context("forkserver")
OWNER = "0" * 32


def deed(name: str, source: str, into: str, cut: str) -> None:
    """Copy or discard; it dies at the failpoint that `cut` arms."""
    failpoint.arm(cut)
    if name == "copy":
        copying.copy(Path(source), Path(into), OWNER, lambda: False, lambda _bytes: None)
    else:
        copying.discard(Path(into), OWNER)


def ended(name: str, folder: Path, cut: str = "") -> int | None:
    """How a deed in a process of its own ended."""
    given = (name, str(folder / "source"), str(folder / "into"), cut)
    process = PROCESSES.Process(target=deed, args=given, daemon=True)
    process.start()
    process.join(60)
    return process.exitcode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "source/below").mkdir(parents=True)
    (tmp_path / "source/below/model.gguf").write_bytes(b"x" * 1000)
    return tmp_path


def there(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_all_steps_of_a_copy_are_played() -> None:
    played = {"copy.before_rename", "copy.after_set_aside"}
    assert {point for point in POINTS if point.startswith("copy.")} == played


@pytest.mark.parametrize("then", ["copy", "discard"])
def test_a_copy_that_dies_before_it_has_its_name_is_none(folder: Path, then: str) -> None:
    """Law: it is made anew, or what is left of it goes with what it was made for (F18)."""
    assert ended("copy", folder, "copy.before_rename:kill") == -9
    assert "into" not in there(folder)
    assert ended(then, folder) == 0
    assert there(folder) == ({"source", "into"} if then == "copy" else {"source"})
    if then == "copy":
        assert (folder / "into/below/model.gguf").read_bytes() == b"x" * 1000


def test_a_removal_that_dies_halfway_is_ended_by_the_next(folder: Path) -> None:
    """Law: removal always works, also the second time, and leaves nothing (F11)."""
    assert ended("copy", folder) == 0
    assert ended("discard", folder, "copy.after_set_aside:kill") == -9
    assert "into" not in there(folder)
    assert ended("discard", folder) == 0
    assert there(folder) == {"source"}
