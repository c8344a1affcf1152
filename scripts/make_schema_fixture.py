"""Writes tests/fixtures/schemas/REVISION.sql: the database of a platform of this tree, as SQL text.

Run it once for every new migration, before the next one is begun; a released one is never edited.
"""

import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parent.parent
INTO = ROOT / "tests" / "fixtures" / "schemas"


def main() -> None:
    """A running service with two replicas, a stopped one, and one of everything else that there is."""
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests"), str(ROOT / "tests" / "fault")]
    from stage import Stage
    from test_upgrade import furnish

    from pierhead.cli.client import find_access
    from pierhead.cli.ram_client import RamClient

    with tempfile.TemporaryDirectory(prefix="pierhead-fixture-") as folder:
        stage = Stage(Path(folder) / "data")
        try:
            stage.start("hub", PYTHONPATH=str(ROOT / "src"))
            stage.answering(stage.listen)
            stage.create("steady", 2)
            stage.create("paused")
            stage.running("steady", 2)
            stage.running("paused")
            stage.stop("paused")
            stage.stopped("paused")
            furnish(RamClient(find_access(stage.folder, None, {})), stage)
        finally:
            stage.end()
        revision, text = dump(stage.folder / "pierhead.db")
    INTO.mkdir(parents=True, exist_ok=True)
    path = INTO / f"{revision}.sql"
    for mine, plain in (
        (folder, "/srv/pierhead"),
        (sys.executable, "/usr/bin/python3"),
        (str(ROOT), "/srv/pierhead/program"),
    ):
        text = text.replace(mine, plain)
    path.write_text(text)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


def dump(file: Path) -> tuple[str, str]:
    """The schema's revision, and all of the database as SQL."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DELETE FROM nonces")
        connection.commit()
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        return revision, "\n".join(connection.iterdump()) + "\n"


if __name__ == "__main__":
    main()
