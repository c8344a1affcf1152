"""Named places where a fault test may end this process: one at every durable step of what keeps data.

Off unless `PIERHEAD_FAILPOINT=<name>:kill[:nth=N]` was set when the process started. The runtimes have
points of their own (`runtimes/failpoint.py`), which are armed by the same variable.
"""

import os
import signal
from dataclasses import dataclass

#: Every point of this module; fault tests iterate over it, so a new step is covered at once.
POINTS = frozenset(
    {
        "backup.after_rows",
        "backup.before_rename",
        "backup.after_rename",
        "migrate.after_backup",
        "migrate.statement",
        "restore.after_set_aside",
        "restore.after_files",
        "restore.after_rows",
        "restore.after_plan",
        "restore.after_commit",
        "restore.after_log",
        "restore.after_swap",
        "restore.after_file",
        "restore.after_told",
    }
)


@dataclass(slots=True)
class _Armed:
    """Which point kills, and after how many passes."""

    name: str = ""
    passes_left: int = 1


def _armed(text: str) -> _Armed:
    name, *options = text.split(":")
    if name not in POINTS:
        return _Armed()
    if "kill" not in options:
        raise ValueError(f"PIERHEAD_FAILPOINT={text}: {name} can only kill")
    nth = next((option[4:] for option in options if option.startswith("nth=")), "1")
    return _Armed(name, int(nth))


_ARMED = _armed(os.environ.get("PIERHEAD_FAILPOINT", ""))


def failpoint(name: str) -> None:
    """Die here by SIGKILL, if the environment asked for it.

    Raises:
        KeyError: `name` is not in `POINTS`.
    """
    if name not in POINTS:
        raise KeyError(name)
    if name != _ARMED.name:
        return
    _ARMED.passes_left -= 1
    if _ARMED.passes_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
