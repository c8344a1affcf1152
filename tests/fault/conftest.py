"""Fixtures of the fault tests: a stage of its own for each test, and nothing left of it afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """An empty folder with two ports; whatever runs on it at the end is killed, by pid."""
    made = Stage(tmp_path / "data")
    try:
        yield made
    finally:
        made.end()
        print(made.tail(60))  # shown by pytest when the test failed
