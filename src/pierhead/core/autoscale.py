"""How many replicas a service's load asks for, and how fast its count follows. Pure: figures in, count out.

    load -> what each strategy asks for -> the most of it -> min..max -> window -> policies -> count

More replicas come at once, fewer only after their window: the highest count of it holds. A figure that is
not known never takes a replica away. A count that somebody else set is where the windows begin anew.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil, floor

from pierhead.core.lifecycle import MAX_REPLICAS
from pierhead.core.scalers import MEANS, AutoScaler, Metric, Policy, Strategy

#: Sums of measured figures are not exact: so much of a replica is no reason for a whole one.
_CRUMB = 1e-6


@dataclass(frozen=True, slots=True)
class Load:
    """What a service is busy with; None = not known."""

    ready: int = 0  #: replicas that take requests
    requests: float | None = None  #: answered per second
    in_flight: float | None = None  #: requests under way
    queue: float | None = None  #: requests that wait
    tokens: float | None = None  #: written per second
    cpu: float | None = None  #: percent, mean over ready replicas
    gpu: float | None = None  #: percent, mean over ready replicas

    def of(self, metric: Metric) -> float | None:
        """One figure."""
        return {
            Metric.QPS: self.requests,
            Metric.CPU: self.cpu,
            Metric.GPU: self.gpu,
            Metric.CONCURRENCY: self.in_flight,
            Metric.QUEUE: self.queue,
            Metric.TOKENS: self.tokens,
        }[metric]

    @property
    def busy(self) -> bool | None:
        """Does anybody use it? None = not known."""
        if any((self.requests, self.in_flight, self.queue, self.tokens)):
            return True
        return None if self.requests is None or self.in_flight is None else False


UNKNOWN = Load()


@dataclass(frozen=True, slots=True)
class Memory:
    """What a scaler has to remember from one decision to the next. An empty one is always safe."""

    replicas: int | None = None  #: the count that it left; another one is somebody else's doing
    advice: tuple[tuple[float, int], ...] = ()  #: (when, count) of the longest window
    changes: tuple[tuple[float, int], ...] = ()  #: (when, replicas more or fewer) by its own doing
    idle_since: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one strategy came to."""

    strategy: Strategy
    value: float | None
    replicas: int | None  #: that it asks for; None = its figure is not known


class Why(StrEnum):
    """What decided."""

    LOAD = "load"
    BOUNDS = "bounds"  #: the count was outside min..max
    IDLE = "idle"  #: the last replica goes
    BUSY = "busy"  #: somebody uses a service that has no replica
    WINDOW = "window"  #: it has to be right for longer
    POLICY = "policy"  #: it may not change further now
    UNKNOWN = "unknown"  #: a figure is missing
    STEADY = "steady"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision: the count, what decided, and what it was made from."""

    replicas: int
    asked: int  #: what the load asks for, whatever the limits
    why: Why
    findings: tuple[Finding, ...]
    memory: Memory

    @property
    def blind(self) -> tuple[Finding, ...]:
        """Strategies whose figure is not known."""
        return tuple(finding for finding in self.findings if finding.value is None)


def decide(
    scaler: AutoScaler, current: int, loads: Mapping[str, Load], memory: Memory, now: float
) -> Outcome:
    """The next count of a service that has `current` replicas wanted.

    Args:
        scaler: what its owner wants.
        current: replicas wanted now.
        loads: by the name in `Strategy.service`; "" is the service itself.
        memory: of the last decision.
        now: epoch seconds.
    """
    own = loads.get("", UNKNOWN)
    memory = _taken_up(memory, current, own, now)
    findings = tuple(_finding(scaler, one, current, loads) for one in scaler.strategies)
    asked = max((f.replicas for f in findings if f.replicas is not None), default=current)
    blind = any(f.replicas is None for f in findings) or (own.ready == 0 and current > 0)
    if blind:
        asked = max(asked, current)
    if current == 0:
        return _from_none(scaler, own, findings, memory)
    count, why, memory = _followed(scaler, current, asked, memory, now)
    if count == current and blind:
        why = Why.UNKNOWN
    if scaler.bounded(current) != current:
        count, why = scaler.bounded(current), Why.BOUNDS
    elif count == current == 1 and not blind and _rests(scaler, memory, now):
        count, why = 0, Why.IDLE
    return Outcome(count, asked, why, findings, _left(scaler, memory, current, count, now))


def _taken_up(memory: Memory, current: int, own: Load, now: float) -> Memory:
    if memory.replicas != current:
        memory = replace(memory, replicas=current, advice=((now, current),), idle_since=None)
    if own.busy is not False:
        return replace(memory, idle_since=None)
    return memory if memory.idle_since is not None else replace(memory, idle_since=now)


def _finding(
    scaler: AutoScaler, strategy: Strategy, current: int, loads: Mapping[str, Load]
) -> Finding:
    load = loads.get(strategy.service, UNKNOWN)
    value = load.of(strategy.metric)
    if value is None or (strategy.metric in MEANS and not load.ready):
        return Finding(strategy, None, None)
    if strategy.metric not in MEANS:
        share = value / strategy.threshold
    elif strategy.service:
        share = value * load.ready / strategy.threshold
    else:
        share = _filled(value / strategy.threshold, min(load.ready, current), current)
    return Finding(strategy, value, _asked(scaler, share, current))


def _filled(ratio: float, ready: int, current: int) -> float:
    """Of those that are not ready, each is taken for what keeps the count: for nothing, or for full."""
    rest = current - ready
    filled = ready * ratio + (rest if ratio < 1 else 0)
    return filled if (filled - current) * (ratio - 1) > 0 else float(current)


def _asked(scaler: AutoScaler, share: float, current: int) -> int:
    """Whole replicas for `share` of them; `current` where the difference is within the tolerance."""
    ratio = share / current if current else share
    if current and -scaler.down.tolerance <= ratio - 1 <= scaler.up.tolerance:
        return current
    return max(0, min(ceil(share - _CRUMB), 10 * MAX_REPLICAS))


def _from_none(
    scaler: AutoScaler, own: Load, findings: tuple[Finding, ...], memory: Memory
) -> Outcome:
    count, why = 0, Why.STEADY
    if scaler.low > 0:
        count, why = scaler.low, Why.BOUNDS
    elif own.busy:
        count, why = scaler.woken, Why.BUSY
    return Outcome(count, count, why, findings, replace(memory, replicas=count))


def _followed(
    scaler: AutoScaler, current: int, asked: int, memory: Memory, now: float
) -> tuple[int, Why, Memory]:
    """The count after windows and policies, what decided it, and the memory with this advice in it."""
    wanted = max(1, scaler.bounded(asked))
    up = min([wanted, *_within(memory.advice, now, scaler.up.window)])
    down = max([wanted, *_within(memory.advice, now, scaler.down.window)])
    steady = max(up, min(down, current))
    count = _allowed(scaler, current, steady, memory, now)
    longest = max(scaler.up.window, scaler.down.window)
    advice = tuple(entry for entry in memory.advice if now - entry[0] < longest)
    memory = replace(memory, advice=(*advice, (now, wanted)))
    if count != current:
        return count, Why.LOAD, memory
    if steady != current:
        return count, Why.POLICY, memory
    return count, Why.WINDOW if wanted != current else Why.STEADY, memory


def _within(entries: tuple[tuple[float, int], ...], now: float, seconds: float) -> Iterator[int]:
    return (count for at, count in entries if now - at < seconds)


def _allowed(scaler: AutoScaler, current: int, wanted: int, memory: Memory, now: float) -> int:
    """`wanted`, or as near to it as the policies let it come."""
    direction = scaler.up if wanted > current else scaler.down
    if direction.select == "Disabled":
        return current
    limits = [
        _limit(policy, current, memory, now, wanted > current) for policy in direction.policies
    ]
    if not limits:
        return wanted
    far = direction.select == "Max"
    if wanted > current:
        return min(wanted, max(current, max(limits) if far else min(limits)))
    return max(wanted, min(current, min(limits) if far else max(limits)))


def _limit(policy: Policy, current: int, memory: Memory, now: float, more: bool) -> int:
    began = max(1, current - sum(_within(memory.changes, now, policy.period)))
    if policy.kind == "Pods":
        return began + policy.value if more else began - policy.value
    part = began * policy.value / 100
    return ceil(began + part - _CRUMB) if more else floor(began - part + _CRUMB)


def _rests(scaler: AutoScaler, memory: Memory, now: float) -> bool:
    """Has nobody asked for so long that even the last replica may go?"""
    if scaler.low > 0 or scaler.down.select == "Disabled":
        return False
    return memory.idle_since is not None and now - memory.idle_since >= scaler.grace


def _left(scaler: AutoScaler, memory: Memory, current: int, count: int, now: float) -> Memory:
    """The memory after the decision, once it is carried out."""
    periods = [policy.period for one in (scaler.up, scaler.down) for policy in one.policies]
    longest = max(periods, default=0.0)
    changes = tuple(entry for entry in memory.changes if now - entry[0] < longest)
    if count != current:
        changes = (*changes, (now, count - current))
    return replace(memory, replicas=count, changes=changes)
