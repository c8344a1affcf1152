"""Becomes a hub for each line of its input, in a child that has imported everything already.

`warm_hub.py pierhead hub FLAGS` writes each child's pid, and when it has ended, how. To start a hub is
mostly to import it: forked, it is there in a tenth of the time, and hundreds of them can be killed.
"""

import importlib
import os
import sys

from pierhead.cli import processes

#: What a hub imports once it is told to be one.
HEAVY = ("asyncio", "pierhead.bootstrap.hub", "pierhead.telemetry")


def become(words: list[str]) -> None:
    """Be a hub until told to end; what it writes goes to the log."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    serve = processes.plainly(words)
    assert serve is not None, words
    processes.guarded(serve)


def main() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    while os.read(0, 1):
        child = os.fork()
        if child == 0:
            become(sys.argv[2:])
            return
        os.write(1, b"%d\n" % child)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(1, b"%d\n" % ended)


if __name__ == "__main__":
    main()
