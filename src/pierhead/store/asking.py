"""Who asks for a list: what others own is left out of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """What a list may hold. A named owner sees their own, what is `system` and what is shared."""

    owner: str | None = None  #: principal id; None sees everything


EVERYTHING = Scope()
