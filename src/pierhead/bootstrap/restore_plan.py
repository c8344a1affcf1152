"""The plan of a restore: what is to be put where, written down before anything is moved."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url

from pierhead.core.errors import Unavailable
from pierhead.settings import Settings
from pierhead.store import db

#: Below the data folder: what is made ready, and the plan in it.
STAGING, PLAN = "run/restore", "plan.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """A restore that is ready to be done."""

    id: str
    file: str  #: name of the backup
    made: float  #: when it was made, epoch seconds
    release: str
    schema: str
    aside: str  #: where the state before is kept, "" = there was none
    database: str  #: into which one: `place`

    def raw(self) -> bytes:
        """As it stands in the file."""
        return json.dumps(asdict(self)).encode()


def place(settings: Settings) -> str:
    """Which database it is, whoever logs in there; a file in the data folder moves with the folder."""
    file = db.sqlite_file(settings.database)
    if file is not None:
        path, folder = file.resolve(), settings.data_dir.resolve()
        inside = path.is_relative_to(folder)
        return f"sqlite:{path.relative_to(folder) if inside else path}"
    url = make_url(settings.database)
    # A socket's folder stands in the query, and so may passwords.
    query = {name: text for name, text in url.query.items() if name in {"host", "port"}}
    bare = URL.create(
        url.get_backend_name(), host=url.host, port=url.port, database=url.database, query=query
    )
    return bare.render_as_string()


def planned(settings: Settings) -> Plan | None:
    """The plan that was left, if it is for this database.

    Raises:
        Unavailable: it is for another one, which may hold what belongs to the files that lie ready.
    """
    try:
        found: dict[str, Any] = json.loads((settings.data_dir / STAGING / PLAN).read_text("utf-8"))
    except FileNotFoundError:
        return None
    plan, here = Plan(**found), place(settings)
    if plan.database != here:
        folder: Path = settings.data_dir / STAGING
        raise Unavailable(
            "The database",
            f"a restore into {plan.database} was cut off, and this is {here}: finish it there, with"
            f" --set database_url=... or without, or remove {folder} to give it up",
        )
    return plan
