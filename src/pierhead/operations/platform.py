"""What every use case works with. Built once, by bootstrap."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from pierhead.core.autoscale import Outcome
from pierhead.core.cron_scalers import Zones
from pierhead.core.ids import Clock, Entropy
from pierhead.core.replicas import Node
from pierhead.core.templates import Template
from pierhead.core.traffic import Traffic
from pierhead.operations.endings import Endings
from pierhead.operations.premises import NOWHERE, Premises
from pierhead.operations.secret_box import SecretBox
from pierhead.runtimes.base import Runtime
from pierhead.store.db import Database
from pierhead.store.series import SeriesFiles

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
    runtime_name: str = "process"  #: what runs services: `process` or `kubernetes`
    hub: str = ""  #: base URL of the control plane, without a trailing slash
    nodes: Sequence[Node] = ()  #: those of a cluster come and go: take a `tuple` of them
    nodes_come: bool = False  #: does a machine join for what fits on none that is there?
    #: `center:<uuid>`, `model:<uuid>`, `template:<uuid>` -> its files are looked at soon.
    survey: Callable[[str], None] = lambda _key: None
    #: Folders, besides the centers' own, in which others than the account may name files.
    allowed_roots: tuple[str, ...] = ()
    #: Service id -> what its auto-scaler came to last; None = nothing since this hub runs.
    scaled: Callable[[str], Outcome | None] = lambda _service: None
    zones: Zones = lambda name: ZoneInfo(name) if name else UTC
    #: Services may name only workspaces and quotas that somebody made.
    strict_ids: bool = False
    #: What gateways tell of the last seconds.
    traffic: Callable[[], Traffic] = Traffic
    #: Tells those who hold keys and logins in memory which of them ended.
    endings: Endings = field(default_factory=Endings)
    premises: Premises = NOWHERE
    shared: bool = False  #: do other hubs work on the same database?
    #: Figures over time; None = none are kept.
    series: SeriesFiles | None = None

    @property
    def images(self) -> bool:
        """Do commands run in images of their own?"""
        return self.runtime_name != "process"

    def template(self, name: str) -> Template | None:
        """A template by its name or uuid."""
        return self.templates.get(name)
