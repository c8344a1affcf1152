"""Named places where a fault test may kill this process: one at every durable step.

Off unless `PIERHEAD_FAILPOINT=<name>:kill[:nth=N]` was set when the process started.
"""

import os
import signal
from dataclasses import dataclass

#: Every failpoint of the runtimes; a fault test iterates over it, so a new step is covered at once.
POINTS = frozenset(
    {
        "process.start.before_intent",
        "process.start.after_intent",
        "process.run.after_record",
        "process.run.after_spawn",
        "process.ready.after_mark",
        "process.drain.after_mark",
        "process.stop.after_mark",
        "process.stop.after_signal",
        "process.forget.before_rename",
        "process.forget.after_rename",
        "process.forget.after",
        "process.pause.after_mark",
    }
)


@dataclass(slots=True)
class _Armed:
    """Which point kills, and after how many passes."""

    name: str = ""
    passes_left: int = 1


def _armed(text: str) -> _Armed:
    name, *options = text.split(":")
    if not name:
        return _Armed()
    if name not in POINTS and name.startswith("process."):
        raise ValueError(f"PIERHEAD_FAILPOINT names no failpoint: {name}")
    nth = next((option[4:] for option in options if option.startswith("nth=")), "1")
    if name in POINTS and "kill" not in options:
        raise ValueError(f"PIERHEAD_FAILPOINT={text}: {name} can only kill")
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
