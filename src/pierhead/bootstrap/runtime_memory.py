"""Which runtime the services of a database were made for: `runtime = auto` does not change that."""

from typing import cast

from sqlalchemy import Connection, inspect

from pierhead import telemetry
from pierhead.core.errors import Unavailable
from pierhead.core.services import Wanted
from pierhead.setting_fields_kubernetes import RuntimeName
from pierhead.settings import BadSetting, Settings
from pierhead.store import db, facts, schema
from pierhead.store import services as rows

log = telemetry.logger("pierhead.hub")

_PLACE = "runtime.place"  #: fact: the namespace that it had its replicas in
_RUNTIME = "runtime"  #: fact: the name of the runtime that a hub worked with last


def before(tx: Connection) -> RuntimeName | None:
    """The runtime that a hub had last on this database; None = there is no service that would mind."""
    if not inspect(tx).has_table("facts") or not rows.ids(tx):
        return None
    return cast("RuntimeName | None", facts.get(tx, _RUNTIME))


def before_here(settings: Settings) -> RuntimeName | None:
    """The same, for who has no database open; None as well where there is no database yet.

    Raises:
        Unavailable: the database does not answer.
    """
    file = db.sqlite_file(settings.database)
    absent = file is not None and not file.exists()
    if absent or schema.version(settings.database) is None:
        return None
    engine = db.connect(settings.database, writing=False)
    try:
        return db.run(engine, before)
    finally:
        engine.dispose()


def left_behind(tx: Connection, place: str) -> str:
    """Where the replicas of running services are, if not in `place`; "" = there is nothing to lose sight of."""
    was = facts.get(tx, _PLACE)
    if not was or was == place:
        return ""
    return was if any(each.wanted is Wanted.RUNNING for each, _ in rows.everything(tx)) else ""


async def stay(store: db.Database, place: str) -> None:
    """See to it that no hub makes all replicas a second time, in another namespace.

    Raises:
        BadSetting: running services have their replicas elsewhere.
    """
    was = await store.read(left_behind, place)
    if was:
        raise BadSetting(
            f"The services that run have their replicas in the namespace [{was}], and the settings lead to "
            f"[{place}], where all of them would be made a second time. Set kubernetes.namespace to [{was}], "
            "or stop the services there first, and start them here."
        )


async def remember(store: db.Database, name: str, place: str = "") -> None:
    """Write down which runtime a hub has now, and where; a database that takes no writes is told at the next start."""
    for fact, value in ((_RUNTIME, name), (_PLACE, place)):
        if not value or await store.read(facts.get, fact) == value:
            continue
        try:
            await store.write(facts.put, fact, value)
        except Unavailable as error:
            log.warning("the database does not know this hub's runtime yet", why=str(error))
