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
    WAITING = "waiting"  #: no other one acts, and this one cannot yet: it has not seen its cluster


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


@dataclass(frozen=True, slots=True)
class Watched:
    """A lease as one that stands by sees it, look by look; times are on its own clock.

    The database's clock may be set back, and with it a lease that nobody renews would seem to last. A holder
    that is alive renews it, and each renewal changes its end.
    """

    lease: Lease | None = None
    since: float = 0.0  #: end of the look that was the first to find it so

    def seen(self, found: Lease | None, ended: float) -> "Watched":
        """After a further look, which ended then."""
        return self if found is not None and found == self.lease else Watched(found, ended)

    def let_run_out(self, began: float) -> bool:
        """Did its holder not renew it for longer than it lasts, until this look began?"""
        return self.lease is not None and began - self.since >= LASTS + MARGIN
