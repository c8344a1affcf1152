"""What every use case works with. Built once, by bootstrap."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from pierhead.core.ids import Clock, Entropy
from pierhead.core.replicas import Node
from pierhead.core.templates import Template
from pierhead.operations.endings import Endings
from pierhead.operations.secret_box import SecretBox
from pierhead.runtimes.base import Runtime
from pierhead.store.db import Database

#: Runs inside the transaction that creates or changes an object, with the object's uuid.
Also = Callable[[Connection, str], None]


def nothing(_tx: Connection, _uuid: str) -> None:
    """The `Also` that adds nothing."""


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
    box: SecretBox  #: seals what has to be known again: access keys' secrets
    hub: str = ""  #: base URL of the control plane, without a trailing slash
    nodes: tuple[Node, ...] = ()
    #: `center:<uuid>`, `model:<uuid>`, `template:<uuid>` -> its files are looked at soon.
    survey: Callable[[str], None] = lambda _key: None
    #: Folders, besides the centers' own, in which others than the account may name files.
    allowed_roots: tuple[str, ...] = ()
    #: Services may name only workspaces and quotas that somebody made.
    strict_ids: bool = False
    #: Tells those who hold keys and logins in memory which of them ended.
    endings: Endings = field(default_factory=Endings)

    def template(self, name: str) -> Template | None:
        """A template by its name or uuid."""
        return self.templates.get(name)
