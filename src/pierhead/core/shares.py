"""A service's share in its group: whether it takes part in the group's traffic, and with which weight. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pierhead.core.errors import Invalid

BY_REPLICAS = -1  #: the weight of a service that counts by its ready replicas
MOST = 1000  #: the highest weight
PER_REPLICA = 100  #: what a ready replica weighs where no weight was set


class Mode(StrEnum):
    """By what a group shares out its traffic. Nothing keeps it: it is what its members' weights say."""

    AUTO = "auto"  #: all by their replicas
    CUSTOMIZED = "customized"  #: at least one by a weight that was set


@dataclass(frozen=True, slots=True)
class Share:
    """How a service takes part in the traffic of its group; without a group it means nothing."""

    #: Its part of the sum of all members' weights; 0 = no request, -1 = `PER_REPLICA` for each one.
    weight: int = BY_REPLICAS
    standalone: bool = False  #: the group's endpoint does not lead to it


WHOLE = Share()


def check_weight(weight: int, field: str = "Weight") -> int:
    """`weight`, if it is legal: -1 to 1000.

    Raises:
        Invalid: it is not; the message names `field`.
    """
    if not BY_REPLICAS <= weight <= MOST:
        raise Invalid(field, f"[{weight}]", f"a whole number from {BY_REPLICAS} to {MOST}")
    return weight


def mode_of(members: Iterable[Share]) -> Mode:
    """The mode of a group with these members."""
    weighed = any(share.weight != BY_REPLICAS for share in members)
    return Mode.CUSTOMIZED if weighed else Mode.AUTO


def newcomer(members: Iterable[Share]) -> Share:
    """The share of a service that joins: where weights were set, none until it gets one of its own."""
    return WHOLE if mode_of(members) is Mode.AUTO else Share(weight=0)


def in_mode(share: Share, mode: Mode, replicas: int) -> Share:
    """A member's share after its group's mode was chosen.

    By replicas again, all weights go; by weight, each begins with what it had: its replicas.
    """
    if mode is Mode.AUTO:
        return Share(BY_REPLICAS, share.standalone)
    if share.weight != BY_REPLICAS:
        return share
    return Share(min(replicas * PER_REPLICA, MOST), share.standalone)
