"""What every use case works with. Built once, by bootstrap."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pierhead.core.ids import Clock, Entropy
from pierhead.core.templates import Template
from pierhead.runtimes.base import Runtime
from pierhead.store.db import Database


@dataclass(frozen=True, slots=True)
class Platform:
    """The platform's parts, as the use cases see them."""

    db: Database
    runtime: Runtime
    templates: Mapping[str, Template]
    wake: Callable[[str], None]  #: service id -> the reconciler looks at it soon
    clock: Clock
    entropy: Entropy
    account: str
    region: str
    gateway: str  #: base URL of the data plane, without a trailing slash

    def template(self, name: str) -> Template | None:
        """A template by its name or uuid."""
        return self.templates.get(name)
