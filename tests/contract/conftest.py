"""Fixtures of the tests of parts."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pierhead.store import db, schema

if TYPE_CHECKING:  # most tests of parts need none
    from permission_world import Scene


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database with the schema of this release; each test runs with both kinds."""
    if request.param == "postgresql":
        copy: str = request.getfixturevalue("postgres_made_url")
        return copy
    found = db.sqlite_url(tmp_path / "pierhead.db")
    assert schema.migrate(found)
    return found


@pytest.fixture
def play(tmp_path: Path) -> "Callable[[Scene], None]":
    """Plays a scene in a house of its own, with the doors of all dialects; modules may have another."""
    from permission_world import play_house

    return lambda scene: play_house(db.sqlite_url(tmp_path / "pierhead.db"), tmp_path, scene)


@pytest.fixture(params=["sqlite", "postgresql"])
def play_both(request: pytest.FixtureRequest, tmp_path: Path) -> "Callable[[Scene], None]":
    """The same on either database."""
    from permission_world import play_house

    found = db.sqlite_url(tmp_path / "pierhead.db")
    if request.param == "postgresql":
        found = request.getfixturevalue("postgres_made_url")
    return lambda scene: play_house(found, tmp_path, scene)
