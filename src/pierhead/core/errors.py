"""Every error Pierhead raises on purpose, in the domain's words; dialects map them to wire codes.

PierheadError
├── Refused                     the caller asked for something that will not be done
│   ├── Missing                 a required field is absent
│   ├── Invalid                 a field's value is not legal
│   ├── Unsupported             legal, but this platform has no such thing
│   ├── NotFound                no such object
│   ├── Conflict                the object's state forbids it (name taken, being deleted, raced)
│   │   ├── InUse               other objects depend on it
│   │   ├── TooMany             it has as many of something as it may
│   │   ├── Taken               the identifier asked for belongs to another object
│   │   ├── Duplicate           the very same thing is there already
│   │   └── Locked              its owner locked it against such a change
│   ├── WrongLogin              wrong account or password, or a refused key
│   ├── LoginExpired            the login is unknown, ended or expired
│   ├── TooManyLogins           one principal holds too many logins
│   ├── Forbidden               a policy denies it
│   ├── Throttled               too many tries or calls for now
│   └── OverQuota               capacity or quota refuses for good
├── Unavailable                 an outside part does not answer now; the same call may work later
│   └── Occupied                what is needed is there, but others have it now
└── Stale                       a guarded write lost the race: reload and decide again
"""

from collections.abc import Mapping
from math import ceil


class PierheadError(Exception):
    """Something went wrong."""

    @property
    def message(self) -> str:
        """One sentence for a person."""
        return str(self)


class Refused(PierheadError):
    """The caller asked for something that will not be done."""


class Missing(Refused):
    """A required field is absent."""

    def __init__(self, field: str, hint: str = "") -> None:
        self.field = field
        super().__init__(f"The parameter {field} is required{': ' + hint if hint else ''}.")


class Invalid(Refused):
    """A field's value is not legal; `legal` says what would be."""

    def __init__(self, field: str, problem: str, legal: str = "") -> None:
        self.field = field
        tail = f" Legal: {legal}." if legal else ""
        super().__init__(f"The parameter {field} is not valid: {problem}.{tail}")


class Unsupported(Refused):
    """Legal on the cloud, but this platform has no such thing; `reason` says why and what to use."""

    def __init__(self, feature: str, reason: str) -> None:
        self.feature = feature
        super().__init__(f"{feature} is not supported: {reason}")


class NotFound(Refused):
    """No such object."""

    def __init__(self, kind: str, name: str, hint: str = "") -> None:
        self.kind, self.name = kind, name
        super().__init__(f"{kind} [{name}] does not exist{'. ' + hint if hint else '.'}")


class Conflict(Refused):
    """The object's present state forbids the change."""

    def __init__(self, kind: str, name: str, problem: str) -> None:
        self.kind, self.name = kind, name
        super().__init__(f"{kind} [{name}] {problem}.")


class Forbidden(Refused):
    """A policy denies it."""

    def __init__(
        self, action: str, resource: str, *, explicit: bool = False, because: str = ""
    ) -> None:
        """`explicit`: a statement denies it, `because` names it; else nothing allows it."""
        self.action, self.resource = action, resource
        self.explicit, self.because = explicit, because
        tail = f": {because}" if because else ""
        super().__init__(f"You are not authorized to do {action} on {resource}{tail}.")


class OverQuota(Refused):
    """Capacity or quota refuses for good."""


class Unavailable(PierheadError):
    """An outside part does not answer now; the same call may work later."""

    def __init__(self, what: str, why: str) -> None:
        self.what, self.why = what, why
        super().__init__(f"{what} is not available: {why}")


class Occupied(Unavailable):
    """What is needed is there, but others have it now; it goes on by itself when they let go.

    `reason` is one word; `placement` = it is a machine's part that is missing; `facts` = what is
    behind the words, by name.
    """

    def __init__(
        self,
        reason: str,
        why: str,
        *,
        placement: bool = False,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("What it needs", why)
        self.reason, self.placement, self.facts = reason, placement, facts or {}

    def __str__(self) -> str:
        return self.why


class Stale(PierheadError):
    """A guarded write lost the race; the caller reloads and decides again."""


class InUse(Conflict):
    """Other objects depend on it; the message names them."""

    def __init__(self, kind: str, name: str, problem: str, by: str = "") -> None:
        """`by`: kind of the objects that depend on it, where a dialect has a code for each."""
        self.by = by
        super().__init__(kind, name, problem)


class TooMany(Conflict):
    """It has as many of something as it may."""

    def __init__(self, kind: str, name: str, what: str, most: int) -> None:
        """`what`: kind of the objects that it has `most` of."""
        self.what, self.most = what, most
        super().__init__(kind, name, f"has {most} of {what} already, which is the most: remove one")


class Taken(Conflict):
    """The identifier that was asked for belongs to another object."""


class Duplicate(Conflict):
    """The very same thing is there already."""


class Locked(Conflict):
    """Its owner locked it against such a change."""


class WrongLogin(Refused):
    """Wrong account or password, or a key that is refused; never says which."""


class LoginExpired(Refused):
    """The login is unknown, ended or expired: log in again."""


class TooManyLogins(Refused):
    """One principal may not hold so many logins at a time."""


class Throttled(Refused):
    """Too many tries or calls for now; says nothing about whether this one was right."""

    def __init__(self, problem: str, seconds: float) -> None:
        """`seconds`: after which it is worth trying again."""
        self.seconds = max(1, ceil(seconds))
        super().__init__(f"{problem} Try again in {self.seconds} s.")
