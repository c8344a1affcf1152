"""The part `metadata.rpc` of a service JSON: how long a request may take, how many wait, how many begin."""

from typing import Any

from pierhead.core.services import Intake, Version
from pierhead.dialects.eas.document_part import Part

_MOST_WAITING = 100_000  #: what waits is held in the gateway's memory
_HIGHEST_RATE = 1_000_000
_MOST_WORKERS = 100_000
_OPTIONS = ("max_batch_size", "io_threads")
_NO_OPTION = "the engine has no such option"
_NO_SLOTS = (
    "how many requests the program works on at once is not known, so none waits for it; "
    "metadata.rpc.worker_threads says it"
)
_PREFIX = "rpc."


def rpc_part(metadata: Part) -> Part:
    """The part; its keys may also stand in metadata itself, as `rpc.keepalive`, where they weigh less."""
    nested = metadata.part("rpc")
    dotted = [key for key in metadata.entries if key.startswith(_PREFIX)]
    flat = {key.removeprefix(_PREFIX): metadata.take(key) for key in dotted}
    return Part(nested.path, {**flat, **nested.entries}, nested.notices)


def timeout(rpc: Part) -> float | None:
    """Seconds that a request may take; None = the platform's limit.

    Raises:
        Invalid: not a whole number of milliseconds.
    """
    keepalive = rpc.integer("keepalive", 1)
    return None if keepalive is None else keepalive / 1000


def intake(rpc: Part, *, own: bool) -> Intake:
    """How many requests may wait, begin in a second, and be worked on at once.

    `own`: replicas run a program of their owner's; how many an engine works on is known.

    Raises:
        Invalid: not a whole number, or one out of range.
    """
    usual = Intake()
    queue = rpc.integer("max_queue_size", 0, _MOST_WAITING)
    rate = rpc.integer("rate_limit", 0, _HIGHEST_RATE)
    workers = rpc.integer("worker_threads", 1, _MOST_WORKERS) if own else None
    rpc.report(_NO_OPTION, *_OPTIONS if own else (*_OPTIONS, "worker_threads"))
    if own and workers is None:
        rpc.report(_NO_SLOTS, "max_queue_size")
    return Intake(usual.queue if queue is None else queue, rate or usual.rate, workers or 0)


def shown_rpc(version: Version) -> dict[str, Any]:
    """`{"rpc": ...}` of what is not as usual; empty where everything is."""
    held, usual = version.intake, Intake()
    seconds = version.request_timeout
    shown = {
        "keepalive": None if seconds is None else round(seconds * 1000),
        "max_queue_size": None if held.queue == usual.queue else held.queue,
        "rate_limit": held.rate or None,
        "worker_threads": held.workers or None,
    }
    given = {key: value for key, value in shown.items() if value is not None}
    return {"rpc": given} if given else {}
