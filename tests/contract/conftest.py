"""Fixtures of the tests of parts."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from made_database import made_sqlite

if TYPE_CHECKING:  # most tests of parts need none
    from permission_world import Scene


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database with the schema of this release; each test runs with both kinds."""
    if request.param == "postgresql":
        copy: str = request.getfixturevalue("postgres_made_url")
        return copy
    return made_sqlite(tmp_path / "pierhead.db")


@pytest.fixture
def play(tmp_path: Path) -> "Callable[[Scene], None]":
    """Plays a scene in a house of its own, with the doors of all dialects; modules may have another."""
    from permission_world import play_house

    return lambda scene: play_house(made_sqlite(tmp_path / "pierhead.db"), tmp_path, scene)


@pytest.fixture(params=["sqlite", "postgresql"])
def play_both(request: pytest.FixtureRequest, tmp_path: Path) -> "Callable[[Scene], None]":
    """The same on either database."""
    from permission_world import play_house

    found: str = (
        request.getfixturevalue("postgres_made_url")
        if request.param == "postgresql"
        else made_sqlite(tmp_path / "pierhead.db")
    )
    return lambda scene: play_house(found, tmp_path, scene)
