"""What owners want of a service's count: by its load (`AutoScaler`). `autoscale.py` decides by it."""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Literal

from pierhead.core.errors import Invalid
from pierhead.core.lifecycle import MAX_REPLICAS

#: Longest window and longest period of a policy, in seconds.
MAX_WINDOW, MAX_PERIOD = 3600.0, 1800.0
MAX_GRACE = 7 * 86400.0
MAX_STRATEGIES = 16


class Metric(StrEnum):
    """What is measured of a service, and compared with a threshold per replica."""

    QPS = "qps"  #: requests answered per second
    CPU = "cpu"  #: percent of the CPU that a replica may use
    GPU = "gpu[util]"  #: percent of the time that a replica's devices were at work
    CONCURRENCY = "concurrency"  #: requests under way
    QUEUE = "queue"  #: requests that wait for a replica
    TOKENS = "tokens"  #: tokens written per second


#: Measured as the mean over the replicas that are ready; all others are sums over the service.
MEANS = frozenset({Metric.CPU, Metric.GPU})


@dataclass(frozen=True, slots=True)
class Strategy:
    """One figure that decides, and how much of it one replica should have."""

    metric: Metric
    threshold: float
    service: str = ""  #: name of the service that is measured; "" = the one that is scaled


@dataclass(frozen=True, slots=True)
class Policy:
    """How much may change within a time."""

    kind: Literal["Pods", "Percent"]
    value: int
    period: float  #: seconds


@dataclass(frozen=True, slots=True)
class Direction:
    """How the count follows in one direction."""

    window: float  #: seconds for which a count must have been right
    policies: tuple[Policy, ...] = ()  #: none = any step
    select: Literal["Max", "Min", "Disabled"] = "Max"  #: of several policies
    tolerance: float = 0.1  #: share of the threshold that is no reason


@dataclass(frozen=True, slots=True)
class AutoScaler:
    """What the owner of a service wants of its count."""

    low: int
    high: int
    strategies: tuple[Strategy, ...]
    up: Direction = Direction(0.0)
    down: Direction = Direction(300.0)
    grace: float = (
        600.0  #: seconds without a request until the last replica goes; with `low` 0 only
    )
    activation: int = 1  #: replicas that a request brings back from none

    def bounded(self, count: int) -> int:
        """The nearest count within its limits."""
        return max(self.low, min(self.high, count))

    @property
    def woken(self) -> int:
        """Replicas that a request brings back from none."""
        return self.bounded(max(1, self.activation))


@dataclass(frozen=True, slots=True)
class Deeds:
    """What an auto-scaler did: its policies count it, and it is shown."""

    changes: tuple[tuple[float, int], ...] = ()  #: (epoch seconds, replicas more or fewer)
    last: str = ""  #: the last decision, as a sentence
    at: float = 0.0  #: epoch seconds of it
    rise: float = 0.0  #: seconds that a replica took from launch to ready; 0 = not known


def check(scaler: AutoScaler, field: str = "") -> AutoScaler:
    """`scaler`, if it can be followed; `field` goes before the names in the message.

    Raises:
        Invalid: one of its numbers is not legal.
    """
    _ranged(f"{field}min", scaler.low, 0, MAX_REPLICAS - 1)
    _ranged(f"{field}max", scaler.high, 1, MAX_REPLICAS)
    if scaler.high <= scaler.low:
        raise Invalid(f"{field}max", str(scaler.high), f"a whole number above min ({scaler.low})")
    if not 1 <= len(scaler.strategies) <= MAX_STRATEGIES:
        count = len(scaler.strategies)
        raise Invalid(f"{field}scaleStrategies", f"{count} of them", f"1 to {MAX_STRATEGIES}")
    for at, one in enumerate(scaler.strategies):
        if not (isfinite(one.threshold) and one.threshold >= 0.001):
            name = f"{field}scaleStrategies[{at}].threshold"
            raise Invalid(name, f"{one.threshold:g}", "a number from 0.001")
    zero = f"{field}behavior.onZero."
    _ranged(f"{zero}scaleDownGracePeriodSeconds", scaler.grace, 0, MAX_GRACE)
    _ranged(f"{zero}scaleUpActivationReplicas", scaler.activation, 1, scaler.high)
    _check_direction(f"{field}behavior.scaleUp.", scaler.up)
    _check_direction(f"{field}behavior.scaleDown.", scaler.down)
    return scaler


def _check_direction(field: str, direction: Direction) -> None:
    _ranged(f"{field}stabilizationWindowSeconds", direction.window, 0, MAX_WINDOW)
    _ranged(f"{field}tolerance", direction.tolerance, 0, 1)
    if len(direction.policies) > MAX_STRATEGIES:
        raise Invalid(f"{field}policies", "too many", f"at most {MAX_STRATEGIES}")
    for at, policy in enumerate(direction.policies):
        _ranged(f"{field}policies[{at}].value", policy.value, 1, 10 * MAX_REPLICAS)
        _ranged(f"{field}policies[{at}].periodSeconds", policy.period, 1, MAX_PERIOD)


def _ranged(field: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise Invalid(field, f"{value:g}", f"a number from {low:g} to {high:g}")
