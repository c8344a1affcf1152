"""Which of several hubs on one database is the active one: it holds the lease, the others stand by.

The lease runs by the database's clock, which all hubs have in common. Whoever takes it gives it the next
token: what an earlier holder still writes carries a lower one, and is refused.
"""

from dataclasses import dataclass
from enum import StrEnum

#: Seconds that a lease lasts, between two renewals, and between two looks of those who stand by.
LASTS, RENEWED, LOOKED = 3.0, 1.0, 0.3
#: Seconds that a lease must still last before something outside the database is changed.
MARGIN = 1.0


class Role(StrEnum):
    """What a hub is, among those on its database."""

    ACTIVE = "active"
    STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease as the database has it."""

    holder: str
    token: int  #: grows with each holder
    expires: float  #: epoch seconds, by the database's clock


@dataclass(frozen=True, slots=True)
class Held:
    """The lease as its holder knows it."""

    token: int
    #: Seconds on the holder's own clock, counted from before it was asked for: never later than the
    #: database's own moment.
    until: float

    def may_act(self, now: float) -> bool:
        """Is there time to change something that no transaction guards?"""
        return self.until - now > MARGIN

    def lasts(self, now: float) -> bool:
        """Is it certain that nobody else has it?"""
        return self.until > now


def may_take(found: Lease | None, now: float) -> bool:
    """May somebody else take it? `now`: by the database's clock."""
    return found is None or found.expires <= now
