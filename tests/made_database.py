"""SQLite files with this release's schema: the first is made by the migrations, the others are its copies.

To make one takes 30 ms of the processor, and hundreds of tests begin with it; to copy one takes none.
"""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from pierhead.store import db, schema


def made_sqlite(file: Path) -> str:
    """Make `file`, which must not exist, a database without anything in it; its URL."""
    with file.open("xb") as out:
        out.write(_content())
    return db.sqlite_url(file)


@cache
def _content() -> bytes:
    """Of a database that nobody has open any more: all of it is in its one file."""
    with TemporaryDirectory(prefix="pierhead-made-") as folder:
        file = Path(folder, "model.db")
        assert schema.migrate(db.sqlite_url(file))
        assert [each.name for each in Path(folder).iterdir()] == [file.name]
        return file.read_bytes()
