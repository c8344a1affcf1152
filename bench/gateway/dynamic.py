"""Replicas, services and tokens come, go and die while requests and streams pass."""

import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.figures import Figure, figure
from bench.gateway.calls import Answer, Watched, probed
from bench.gateway.outcome import Outcome
from bench.gateway.programs import Door, Stub, driving, ended, faults, stop_at_once, stub
from bench.gateway.stage import SERVICE, TOKEN, Launch, Stage, route, stage
from bench.processes import until
from pierhead.core.endpoint_tokens import NO_LIMITS, Limits
from pierhead.core.routes import Route

SECONDS, RATE = 14.0, 100
STREAMS, STREAM_SECONDS = 12, 12.0
_GAP = 0.05  #: seconds between two tokens
_FIRST, _SECOND = "first-token", "second-token"
_EXTRA = "extra"
_IN_FORCE_MS = 50.0


@dataclass
class Play:
    """The table as it is just now, and how long each change of it took."""

    made: Stage
    replicas: list[Stub]
    tokens: list[str] = field(default_factory=lambda: [TOKEN, _FIRST])
    extra: bool = False
    limits: Limits = NO_LIMITS
    draining: frozenset[str] = frozenset()
    began: float = field(default_factory=time.monotonic)
    took: dict[str, float] = field(default_factory=dict[str, float])

    def at(self, seconds: float) -> None:
        """Waits for its moment in the play."""
        time.sleep(max(0.0, self.began + seconds - time.monotonic()))

    def routes(self) -> list[Route]:
        """All of it."""
        one = route(SERVICE, self.replicas, self.tokens)
        tokens = tuple(replace(key, limits=self.limits) for key in one.tokens)
        # Of the extra service only the replica that will live.
        extra = [route(_EXTRA, self.made.replicas[1:])] if self.extra else []
        return [replace(one, tokens=tokens), *extra]

    def publish(self) -> float:
        """Puts it into force; when."""
        self.made.hub.publish(self.routes(), self.draining)
        return time.monotonic()

    def change(self, what: str, door: Door, met: Callable[[Answer], bool]) -> None:
        """Publishes, and notes the milliseconds until requests are answered accordingly."""
        self.took[what] = probed(door, met, self.publish())


def measure(folder: Path, launch: Launch) -> Outcome:
    """The whole play."""
    with ExitStack() as stack:
        made = stack.enter_context(stage(folder, launch, gap=_GAP))
        third = stack.enter_context(stub(made.programs.stub, "r2", gap=_GAP))
        play = Play(made, list(made.replicas))
        made.show(*play.routes())
        streams = _streams(made)
        play.began = time.monotonic()
        with _load(made) as result:
            drained = _acts(play, third)
        for each in streams:
            each.wait(STREAM_SECONDS)
        return _judged(play, streams, result, drained)


def _streams(made: Stage) -> list[Watched]:
    tokens = round(STREAM_SECONDS / _GAP)
    found = [Watched(made.gateway.door(), tokens) for _ in range(STREAMS)]
    until(lambda: all(each.tokens for each in found), 10, "the streams")
    return found


@contextmanager
def _load(made: Stage) -> Generator[dict[str, Any]]:
    """Requests at an even pace; what became of them stands in what is yielded, at the end."""
    result: dict[str, Any] = {}
    running = driving(made.programs.driver, "open", made.gateway.door(), SECONDS, r=RATE, c=64)
    try:
        yield result
        result.update(ended(running, SECONDS))
    finally:
        stop_at_once(running)


def _acts(play: Play, third: Stub) -> int:
    """All changes, in order; how many requests a drained replica still got."""
    before = _replicas_change(play, third)
    play.at(9)
    late = _asked(play.made.replicas[1]) - before
    _tokens_change(play)
    return late


def _replicas_change(play: Play, third: Stub) -> int:
    """From two to the third one alone; how many requests the drained one had got by then."""
    one, two = play.made.replicas
    door = play.made.gateway.door()
    play.at(1)
    play.extra = True
    play.change("a service is added", play.made.gateway.door(_EXTRA), _answered)
    play.at(2)
    play.replicas.append(third)
    play.change("a replica is added", door, lambda answer: answer.replica == third.name)
    play.at(4)
    os.kill(one.pid, signal.SIGKILL)
    play.at(6)
    play.replicas.remove(one)
    play.publish()
    play.at(7)
    play.replicas.remove(two)
    play.draining = frozenset((two.name,))
    play.made.show(*play.routes(), draining=play.draining)
    return _asked(two)


def _tokens_change(play: Play) -> None:
    """One comes, all get limits, one goes; and at last the service that came."""
    play.tokens.append(_SECOND)
    play.change("a token is added", play.made.gateway.door(token=_SECOND), _answered)
    play.at(10)
    play.limits = Limits(rpm=1_000_000, concurrency=1000)
    play.publish()
    play.at(11)
    play.tokens.remove(_FIRST)
    play.change("a token is revoked", play.made.gateway.door(token=_FIRST), _refused)
    play.at(12.5)
    play.extra = False
    play.change("a service is removed", play.made.gateway.door(_EXTRA), _unknown)


def _asked(replica: Stub) -> int:
    counted = replica.counted()
    return counted["requests"] + counted["streams"]


def _answered(answer: Answer) -> bool:
    return answer.status == 200


def _refused(answer: Answer) -> bool:
    return answer.status == 401


def _unknown(answer: Answer) -> bool:
    return answer.status == 404


def _judged(play: Play, streams: list[Watched], result: dict[str, Any], drained: int) -> Outcome:
    killed, kept = play.made.replicas[0].name, play.made.replicas[1].name
    lost = [each for each in streams if each.broken]
    elsewhere = [each for each in lost if each.replica != killed]
    outcome = Outcome()
    if wrong := faults(result):
        outcome.faults.append(f"{wrong} requests failed: {result['statuses']}")
    if elsewhere:
        outcome.faults.append(f"{len(elsewhere)} streams broke that were not on {killed}")
    if drained:
        outcome.faults.append(f"the drained replica {kept} got {drained} more requests")
    if not lost or len(lost) == len(streams):
        outcome.faults.append("all streams were on one replica, so nothing is proved of others")
    outcome.figures = [
        *(_change(what, took) for what, took in play.took.items()),
        figure("requests failed", "", [float(faults(result))], 0, note=f"of {result['ok']}"),
        figure("streams broken elsewhere", "", [float(len(elsewhere))], 0, note=f"of {STREAMS}"),
        figure("streams broken by the kill", "", [float(len(lost) - len(elsewhere))]),
        figure("request, p99", "ms", [result["request_p99_us"] / 1000]),
        figure("request, longest", "ms", [result["request_max_us"] / 1000]),
    ]
    outcome.numbers = {"took_ms": play.took, "load": result}
    return outcome


def _change(what: str, took: float) -> Figure:
    return figure(f"until in force: {what}", "ms", [took], _IN_FORCE_MS)
