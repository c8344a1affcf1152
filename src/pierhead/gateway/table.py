"""The route table as the gateway uses it: indexed once per revision, kept on disk for the next start."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pierhead.core import routes
from pierhead.core.routes import Route, RouteTable, RouteToken, Target
from pierhead.gateway.sealing import Seal, is_sealed
from pierhead.gateway.tokens import Credential, Lock, Plain, lock
from pierhead.lasting import sync_folder


@dataclass(frozen=True, slots=True)
class Gate:
    """A route with its tokens made ready for comparison."""

    route: Route
    locks: tuple[Lock, ...]


@dataclass(frozen=True, slots=True)
class Served:
    """One revision, indexed. Never changed: requests in flight may hold an older one."""

    table: RouteTable
    gates: dict[str, Gate]  #: by name and alias
    services: dict[str, Gate]  #: by service id
    #: By SHA-256 of a token. Looking up a digest tells a prober nothing about any token.
    keys: dict[bytes, tuple[Gate, ...]] = field(repr=False)
    unlocked: tuple[Gate, ...] = ()  #: those that ask for no token

    def opened(self, shown: Credential | None, now: float) -> dict[str, RouteToken | None]:
        """Ids of the services that a credential opens, with its token, and of those that need none.

        `now`: epoch seconds.
        """
        found: dict[str, RouteToken | None] = {}
        if shown is not None:
            for gate in self._near(shown):
                token = shown.opens(gate.locks, now)
                if token is not None:
                    found[gate.route.service] = token
        return found | {gate.route.service: None for gate in self.unlocked}

    def _near(self, shown: Credential) -> Iterable[Gate]:
        """Those that are worth a comparison."""
        if isinstance(shown, Plain):
            return [gate for key in shown.digests for gate in self.keys.get(key, ())]
        return self.services.values()

    def targets(self, service: str) -> tuple[Target, ...]:
        """The replicas of a service by its id; none once it is gone."""
        gate = self.services.get(service)
        return gate.route.targets if gate else ()

    def tokens(self) -> Iterator[tuple[str, str]]:
        """Every token: service id and name."""
        for gate in self.services.values():
            yield from ((gate.route.service, each.name) for each in gate.route.tokens)

    def replicas(self) -> Iterator[str]:
        """Every replica that is routed or draining."""
        yield from self.table.draining
        for gate in self.services.values():
            yield from (target.replica for target in gate.route.targets)


def index(table: RouteTable) -> Served:
    """`table`, ready to serve by."""
    services = {
        route.service: Gate(route, tuple(lock(token) for token in route.tokens if token.secret))
        for route in table.routes.values()
    }
    keys: dict[bytes, tuple[Gate, ...]] = {}
    for gate in services.values():
        for one in gate.locks:
            keys[one.digest] = (*keys.get(one.digest, ()), gate)
    gates = {name: services[route.service] for name, route in table.routes.items()}
    unlocked = tuple(gate for gate in services.values() if gate.route.open)
    return Served(table, gates, services, keys, unlocked)


class LiveTable:
    """The revision in force. One reference is swapped, so that a request sees old or new, never both."""

    def __init__(self) -> None:
        self.served: Served | None = None  #: None until the first table was had
        self.watchers: list[Callable[[Served], None]] = []

    @property
    def revision(self) -> int:
        """0 before the first table."""
        return self.served.table.revision if self.served else 0

    def swap(self, table: RouteTable) -> None:
        """From here on requests are judged by `table`."""
        self.served = index(table)
        for watcher in self.watchers:
            watcher(self.served)

    def targets(self, service: str) -> tuple[Target, ...]:
        """By the newest table: a request that waited for its body must not go to a drained replica."""
        return self.served.targets(service) if self.served else ()


def read_table(path: Path, seal: Seal) -> tuple[RouteTable, bool] | None:
    """The table that was last written, and whether it lies there sealed; None if there is none.

    Raises:
        ValueError: the file is not a table.
        OSError: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    sealed = is_sealed(content)
    return routes.load(seal.open(content) if sealed else content), sealed


def set_aside(path: Path) -> Path | None:
    """Moves a broken file out of the way, to be looked at; its new path.

    One of a release that kept tokens in plain text goes for good: None.
    """
    with path.open("rb") as file:
        sealed = is_sealed(file.read(64))
    if not sealed:
        path.unlink()
        return None
    aside = path.with_name(f"{path.name}.broken")
    path.replace(aside)
    return aside


def write_table(path: Path, table: RouteTable, seal: Seal) -> None:
    """Replaces the file at once or not at all; it holds tokens and keys, so it is sealed.

    Raises:
        OSError: it cannot be written; the old file is untouched.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as file:  # noqa: PTH123 a path cannot say 0600 from birth
        file.write(seal.close(routes.dump(table).encode()))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)
