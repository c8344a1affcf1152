"""Side by side, what takes longest begins first."""

from pathlib import Path

import pytest

import longest_first

ROOT = Path(__file__).parent.parent.parent


def test_the_longest_file_comes_first_and_stays_as_it_is() -> None:
    found = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("new", 5), ("b", 6)]
    seconds = {"a": 1.0, "b": 90.0, "c": 1.0}
    assert longest_first.ordered(found, seconds) == [2, 6, 5, 1, 3, 4]


def test_what_was_measured_replaces_what_was_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(longest_first, "SECONDS", tmp_path / "seconds.json")
    here = str(Path(__file__).relative_to(ROOT))
    assert longest_first.known() == {}
    longest_first.written({"tests/gone.py": 1.0, here: 2.0})
    longest_first.written({here: 3.04})
    assert longest_first.known() == {here: 3.0}
