"""Fixtures of the tests of parts."""

from pathlib import Path

import pytest

from pierhead.store import db, schema


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database with the schema of this release; each test runs with both kinds."""
    found: str = (
        db.sqlite_url(tmp_path / "pierhead.db")
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    assert schema.migrate(found)
    return found
