"""What happened, to which service, by whose doing, and why. Appended, never changed."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    at: float  #: epoch seconds
    service: str  #: service id
    name: str  #: service name, kept for the time after its removal
    type: Literal["Normal", "Warning"]
    reason: str  #: one word
    message: str
    actor: str  #: principal id, or `pierhead` for the platform itself
    replica: str = ""
    id: int = 0  #: given by the store


PLATFORM = "pierhead"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about a request that its sender should know: a parameter without effect here, say."""

    reason: str
    message: str
    warning: bool = True  #: False = good to know, and nothing is wrong
