"""What opens a service's endpoint, and how much it may be used for. Pure."""

from dataclasses import dataclass, field, fields, replace

from pierhead.core.errors import Invalid
from pierhead.core.ids import Entropy, access_token

#: The token that the dialects call the service's AccessToken.
DEFAULT = "default"
#: Longest overlap of a rotation, in seconds.
LONGEST_OVERLAP = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one token may be used; None = without a limit."""

    rpm: int | None = None  #: requests begun in any 60 seconds
    tpm: int | None = None  #: tokens read and written in any 60 seconds
    concurrency: int | None = None  #: requests at the same time
    monthly_tokens: int | None = None  #: tokens read and written in a calendar month, UTC

    @property
    def unlimited(self) -> bool:
        """None of them is set."""
        return self is NO_LIMITS or self == NO_LIMITS


NO_LIMITS = Limits()
#: The highest limit that can be set, of any of them.
HIGHEST_LIMIT = 10**15


def check_limits(limits: Limits) -> None:
    """Refuse limits that nothing can be used under.

    Raises:
        Invalid: one of them is not 1 to `HIGHEST_LIMIT`.
    """
    for each in fields(limits):
        value = getattr(limits, each.name)
        if value is not None and not 1 <= value <= HIGHEST_LIMIT:
            raise Invalid(each.name, f"[{value}]", f"a whole number from 1 to {HIGHEST_LIMIT}")


@dataclass(frozen=True, slots=True)
class EndpointToken:
    """One token of one service."""

    service: str  #: service id
    name: str  #: unique in its service
    secret: str = field(repr=False)
    user: str = ""  #: id of the RAM user it was issued to; it ends with that user
    limits: Limits = NO_LIMITS
    previous: str = field(default="", repr=False)  #: what it was before it was rotated
    previous_until: float = 0.0  #: when `previous` opens nothing any more, epoch seconds
    created: float = 0.0
    updated: float = 0.0

    def secrets(self, now: float) -> tuple[str, ...]:
        """What opens the endpoint now."""
        return (
            (self.secret, self.previous)
            if self.previous and now < self.previous_until
            else (self.secret,)
        )


def rotated(token: EndpointToken, entropy: Entropy, overlap: float, now: float) -> EndpointToken:
    """`token` with a new secret; the present one opens for `overlap` seconds more.

    Raises:
        Invalid: nobody waits that long.
    """
    if not 0 <= overlap <= LONGEST_OVERLAP:
        raise Invalid("Overlap", f"{overlap:g} seconds", f"0 to {LONGEST_OVERLAP:.0f}")
    kept = (token.secret, now + overlap) if overlap else ("", 0.0)
    return replace(
        token,
        secret=access_token(entropy),
        previous=kept[0],
        previous_until=kept[1],
        updated=now,
    )
