"""What was used of a token: counted by gateways, kept by the hub. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Usage:
    """So many requests, and the tokens they read and wrote."""

    requests: int = 0  #: that an engine answered
    prompt: int = 0  #: tokens read
    completion: int = 0  #: tokens written
    estimated: int = 0  #: of these requests, those whose tokens are a guess: the client left early

    @property
    def tokens(self) -> int:
        """Read and written."""
        return self.prompt + self.completion

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.requests + other.requests,
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.estimated + other.estimated,
        )


NONE = Usage()


@dataclass(frozen=True, slots=True)
class Meter:
    """All that one gateway process counted for one token in one month, since that process began.

    Totals, not differences: told twice, they count once.
    """

    service: str  #: service id
    token: str  #: the token's name
    month: str  #: `2026-11`, UTC
    usage: Usage


def month(at: float) -> str:
    """The calendar month of an epoch time, in UTC: `2026-11`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m}"
