"""`--wait`: follows a service on its way and shows where it is, why, and for how long."""

import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from pierhead.cli.client import EasClient, HubRefused, Json, NoAnswer
from pierhead.cli.screen import note, plain
from pierhead.core.errors import PierheadError

#: Statuses in which the platform has nothing under way.
FINAL = frozenset({"Running", "Failed", "Stopped", "DeleteFailed"})
GONE = "InvalidService.NotFound"


class NotReached(PierheadError):
    """The service ended up elsewhere, or not in time."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How to watch: longest time in seconds, and the clock and sleep to use."""

    timeout: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    period: float = 0.5


class _Line:
    """One line that rewrites itself on a terminal; elsewhere a line for every change."""

    def __init__(self) -> None:
        self._last = ""
        self._live = sys.stderr.isatty()

    def show(self, elapsed: float, text: str) -> None:
        if self._live:
            print(
                f"\r\x1b[K{elapsed:6.1f} s  {plain(text[:160])}",
                end="",
                file=sys.stderr,
                flush=True,
            )
        elif text != self._last:
            note(f"{elapsed:6.1f} s  {text}")
        self._last = text

    def close(self) -> None:
        if self._live and self._last:
            note("")


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw: a status ("" = nothing answered), that status in words, the whole."""

    status: str
    told: str
    found: Json = field(default_factory=dict[str, Any])


def follow(
    name: str,
    look: Callable[[], Look],
    final: Collection[str],
    goals: Collection[str],
    watch: Watch,
) -> Json:
    """Look until the status is a `final` one; gives what the last look saw.

    Raises:
        NotReached: it ended in a status outside `goals`, or the time ran out.
    """
    began, line = watch.clock(), _Line()
    try:
        while True:
            elapsed = watch.clock() - began
            seen = look()
            line.show(elapsed, seen.told)
            if seen.status in final:
                break
            if elapsed >= watch.timeout:
                raise NotReached(f"{name} is not there after {watch.timeout:g} s: {seen.told}")
            watch.sleep(watch.period)
    finally:
        line.close()
    if seen.status not in goals:
        raise NotReached(f"{name} is {seen.told} See `pierhead services logs {name}` and `events`.")
    return seen.found


def until(client: EasClient, name: str, goals: Collection[str], watch: Watch) -> Json:
    """Wait until the service has nothing under way; gives its last description.

    A hub that does not answer for a while is waited for: services outlive it.

    Raises:
        NotReached: it ended in a status outside `goals`, or the time ran out.
        HubRefused: the hub refused, e.g. because the service is gone.
    """
    return follow(name, lambda: _look(client, name), FINAL, goals, watch)


def until_gone(client: EasClient, name: str, watch: Watch) -> None:
    """Wait until the service is deleted.

    Raises:
        NotReached: the deletion failed, or the time ran out.
    """
    try:
        until(client, name, (), watch)
    except HubRefused as refusal:
        if refusal.code != GONE:
            raise


def _look(client: EasClient, name: str) -> Look:
    try:
        found = client.describe(name)
    except NoAnswer as problem:
        return Look("", problem.message)
    status, reason = str(found.get("Status", "")), str(found.get("Reason", ""))
    why = f" ({reason})" if reason and reason != status else ""
    return Look(status, f"{status}{why}: {found.get('Message', '')}", found)
