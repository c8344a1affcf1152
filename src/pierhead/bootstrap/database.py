"""Opens the platform's database and brings it to this release's schema."""

import sys

from pierhead.core.errors import Unavailable
from pierhead.settings import Settings
from pierhead.store import schema


def migrate(settings: Settings) -> bool:
    """Bring the database to this release's schema; True if anything had to be done.

    Raises:
        PierheadError: the database is newer than this release, or does not answer.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _driver(settings.database)
    return schema.migrate(settings.database)


def _driver(url: str) -> None:
    """Say what to install before SQLAlchemy's import error does."""
    if not url.startswith("postgresql"):
        return
    try:
        import psycopg  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise Unavailable(
            "PostgreSQL",
            f"its driver is not installed: {sys.executable} -m pip install 'pierhead[postgres]'",
        ) from error
