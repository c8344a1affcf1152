"""What watches over all doors, built from the settings: audit trail, lock-out, pace."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from pierhead import telemetry
from pierhead.bootstrap.secret_files import storage_key
from pierhead.core.audit import Mark, same_key
from pierhead.dialects.watch import Watch
from pierhead.operations.audit import Audit, Options
from pierhead.operations.lockout import Lockout, Pace, Rules
from pierhead.operations.platform import Platform
from pierhead.settings import Settings

log = telemetry.logger("pierhead.audit")

#: Below the data folder: entries on their way, and the end of the chain as this hub saw it last.
SPOOL, HEAD = "run/audit.spool", "run/audit.head"


@asynccontextmanager
async def watching(platform: Platform, settings: Settings) -> AsyncGenerator[Watch]:
    """The watch; at the end its last entries are written.

    Raises:
        Unavailable: the database does not answer.
    """
    key = audit_key(settings.data_dir)
    audit = Audit(
        platform.db,
        key,
        time.time,
        Options(settings.data_dir / SPOOL, settings.audit_reads, settings.audit_days),
        written=_Head(settings.data_dir / HEAD, key),
    )
    await audit.start()
    window = settings.lockout_minutes * 60
    try:
        yield Watch(
            note=audit.act,
            settle=audit.flush,
            reads=settings.audit_reads,
            keys=Lockout(Rules(failures=settings.lockout_signatures, window=window)),
            passwords=Lockout(Rules(failures=settings.lockout_failures, window=window)),
            pace=Pace(settings.calls_per_minute),
        )
    finally:
        await audit.close()


def audit_key(data_dir: Path) -> bytes:
    """What the audit trail's digests are made with: who has the database alone cannot make them."""
    return same_key(storage_key(data_dir))


class _Head:
    """Keeps the chain's end beside the database: entries that are cut off there are missed here."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path, self._key = path, key
        self._failed = False

    def __call__(self, mark: Mark) -> None:
        part = self._path.with_name(self._path.name + ".part")
        try:
            part.write_text(mark.text(self._key))
            part.replace(self._path)
        except OSError as error:
            if not self._failed:
                log.warning("the audit trail's end is not kept", error=str(error))
            self._failed = True
