"""Where the folders of tests lie: in memory where there is room, else on the disk as everybody's."""

import os
from pathlib import Path

import pytest

import in_memory


def test_it_is_memory_where_there_is_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(in_memory, "MEMORY", tmp_path)
    monkeypatch.setattr(in_memory, "_available", lambda: 2 << 20)
    assert in_memory.folder(1 << 20) == tmp_path
    assert in_memory.folder((1 << 20) + 1) is None, "half of the memory is left to what runs"
    monkeypatch.setattr(in_memory, "_available", lambda: 1 << 70)
    assert in_memory.folder(1 << 60) is None, "no disk has so much room"


def test_nothing_is_started_where_nothing_may_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(in_memory, "MEMORY", tmp_path)
    real = os.statvfs(tmp_path)
    still = os.statvfs_result((*real[:8], real.f_flag | os.ST_NOEXEC, *real[9:]))
    monkeypatch.setattr(in_memory.os, "statvfs", lambda _path: still)
    assert in_memory.folder(1) == tmp_path
    assert in_memory.folder(1, runs=True) is None


def test_a_system_without_it_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(in_memory, "MEMORY", tmp_path / "none")
    assert in_memory.folder(1) is None


def test_the_memory_that_is_left_is_read_from_the_kernel() -> None:
    assert (
        1 << 20 < in_memory._available() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    )
