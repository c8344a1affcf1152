"""Who asks for a list: what they may not see is left out of it, of its counts and of its conditions."""

from collections.abc import Callable
from dataclasses import dataclass

from pierhead.core.services import Service


@dataclass(frozen=True, slots=True)
class Scope:
    """What a list may hold. A named owner sees their own, what is `system` and what is shared."""

    owner: str | None = None  #: principal id; None sees everything
    #: Of those by uuid and name: may they be in it? None = all of them.
    admits: Callable[[str, str], bool] | None = None
    #: Which deployments they see; None = their own.
    services: Callable[[Service], bool] | None = None


EVERYTHING = Scope()
