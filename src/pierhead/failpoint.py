"""Named places at every durable step, where a fault test may end, fail or delay this process.

Off unless `PIERHEAD_FAILPOINT` was set when the process started:

    NAME:kill[:nth=N]    die by SIGKILL at the N-th pass (the first)
    NAME:raise[:nth=N]   fail there as a disk does that refuses: OSError where files are written, else `Unavailable`
    NAME:sleep=S[:nth=N] hang for S seconds, with all that waits for this thread, or for this step (`passing`)
    *:record=FILE        only write down which points are passed, one a line
    @FILE                what FILE says now, one of the above or nothing: it is read at every pass
"""

import asyncio
import errno
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pierhead.core.errors import Unavailable

VARIABLE = "PIERHEAD_FAILPOINT"
_ANY = "*"

#: Every point and what it stands for; fault tests iterate over it, so a new step is covered at once.
POINTS: Mapping[str, str] = {
    "database.before_commit": "a transaction has done all, and nothing of it is in the database yet",
    "database.after_commit": "all of it is, and whoever asked for it does not know",
    "service.create.before_write": "a new service is not in the database yet",
    "service.create.after_write": "it is, and nobody was told",
    "service.change.before_write": "a change of a service is not in the database yet",
    "service.change.after_write": "it is, and nobody was told",
    "service.seen.before_write": "what a pass saw is not in the database yet",
    "service.seen.after_write": "it is",
    "service.bury.before_write": "nothing of a deleted service is left but its record",
    "service.bury.after_write": "its record is gone too",
    "routes.after_publish": "a new route table is ready for the gateways",
    "token.before_write": "a token that is issued, changed or revoked is not in the database yet",
    "token.after_write": "it is, and no gateway was told",
    "quota.before_write": "a quota that is made, changed or deleted is not in the database yet",
    "quota.after_write": "it is, and those whom it binds were not told",
    "process.start.before_intent": "a replica has a name and nothing else",
    "process.start.after_intent": "that it shall be is on disk",
    "process.run.after_record": "its launch is on disk",
    "process.run.after_spawn": "its keeper was started",
    "process.ready.after_mark": "that it was ready is on disk",
    "process.drain.after_mark": "that it leaves is on disk",
    "process.stop.after_mark": "that it ends is on disk",
    "process.stop.after_signal": "it was told to end",
    "process.forget.before_rename": "it has ended, and its folder is whole",
    "process.forget.after_rename": "its folder counts as gone",
    "process.forget.after": "its folder is gone",
    "process.pause.after_mark": "that it ends with the platform is on disk",
    "snapshot.after_begin": "that weights are being fetched, and which, is on disk",
    "snapshot.before_ready": "all files of a snapshot are there, and it is not called whole",
    "snapshot.after_ready": "a snapshot is called whole",
    "snapshot.after_set_aside": "a snapshot that is removed counts as gone",
    "download.after_checkpoint": "which parts of a file are here is on disk",
    "download.before_rename": "a file is whole and has not its name yet",
    "download.after_rename": "a file has its name",
    "copy.before_rename": "a copy of a folder is whole and has not its name yet",
    "copy.after_set_aside": "a copy that is removed has not its name any more",
    "conversion.before_ready": "a converted model is whole and not called so",
    "environment.before_ready": "a Python environment is whole and not called so",
    "backup.after_rows": "all rows are in the backup's unfinished file",
    "backup.before_rename": "a backup is whole and has not its name yet",
    "backup.after_rename": "a backup has its name",
    "migrate.after_backup": "the backup before a migration is whole",
    "migrate.statement": "one statement of a migration was executed",
    "restore.after_set_aside": "the present state lies aside as a backup",
    "restore.after_files": "the backup's files lie ready",
    "restore.after_rows": "the backup's rows lie ready",
    "restore.after_plan": "what is to be done is on disk",
    "restore.after_commit": "rows were taken over",
    "restore.after_log": "the old database's log is out of the way",
    "restore.after_swap": "the new database is in its place",
    "restore.after_file": "one of the other files is in its place",
    "restore.after_told": "what was restored was told",
}


#: Steps that write files: what a disk refuses there is no error of ours.
_FILES = (
    "process.",
    "snapshot.",
    "download.",
    "copy.",
    "conversion.",
    "environment.",
    "backup.",
    "restore.",
)


@dataclass(slots=True)
class _Armed:
    """Which point does what, and after how many passes."""

    name: str = ""
    passes_left: int = 1
    deed: str = "kill"
    of: str = ""  #: the spec it was read from
    file: str = ""  #: where the spec stands, if it may change


def _armed(text: str) -> _Armed:
    """Read a spec.

    Raises:
        ValueError: it names no point, or nothing that a point can do.
    """
    if text.startswith("@"):
        return _Armed(file=text[1:])
    name, *options = text.split(":")
    if not name:
        return _Armed()
    nth = next((option[4:] for option in options if option.startswith("nth=")), "1")
    deeds = [option for option in options if not option.startswith("nth=")]
    deed = deeds[0] if len(deeds) == 1 else ""
    fits = deed in {"kill", "raise"} or deed.startswith("sleep=")
    if not (deed.startswith("record=") if name == _ANY else fits and name in POINTS):
        raise ValueError(
            f"{VARIABLE}={text}: give NAME:kill, NAME:raise or NAME:sleep=SECONDS, with :nth=N if it is"
            " not the first pass; `pierhead doctor --failpoints` shows all names"
        )
    return _Armed(name, int(nth), deed, text)


_ARMED = _armed(os.environ.get(VARIABLE, ""))


def arm(text: str) -> None:
    """Take `text` for what the environment said, in a process that was forked for a test.

    Raises:
        ValueError: it names no point, or nothing that a point can do.
    """
    new = _armed(text)
    for name in _Armed.__dataclass_fields__:
        setattr(_ARMED, name, getattr(new, name))


def failpoint(name: str) -> None:
    """Do here what the environment asked for, if anything.

    Raises:
        KeyError: `name` is not in `POINTS`.
        Unavailable, OSError: the environment asked for that.
    """
    deed = _deed(name)
    if deed.startswith("sleep="):
        time.sleep(_seconds(deed))
    elif deed:
        _do(name, deed)


async def passing(name: str) -> None:
    """As `failpoint`, on the event loop next to a step that is taken in a thread: only this task waits.

    Raises:
        KeyError: `name` is not in `POINTS`.
        Unavailable, OSError: the environment asked for that.
    """
    deed = _deed(name)
    if deed.startswith("sleep="):
        await asyncio.sleep(_seconds(deed))
    elif deed:
        _do(name, deed)


def _deed(name: str) -> str:
    """What is to be done here now; "" = nothing."""
    if name not in POINTS:
        raise KeyError(name)
    if _ARMED.file:
        _look_again(_ARMED)
    if _ARMED.name not in {name, _ANY}:
        return ""
    _ARMED.passes_left -= 1
    if _ARMED.name == _ANY:
        with Path(_ARMED.deed.partition("=")[2]).open("a") as out:
            out.write(f"{name}\n")
        return ""
    return _ARMED.deed if _ARMED.passes_left == 0 else ""


def _look_again(armed: _Armed) -> None:
    """Take over what the file says, if that is not what it said at the last pass."""
    try:
        text = Path(armed.file).read_text().strip()
    except FileNotFoundError:
        text = ""
    if text != armed.of:
        file = armed.file
        arm(text)
        armed.file = file
        armed.of = text


def _do(name: str, deed: str) -> None:
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif name.startswith(_FILES):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    else:
        raise Unavailable(f"The step {name}", "its failpoint is armed")


def _seconds(deed: str) -> float:
    return float(deed.partition("=")[2])
