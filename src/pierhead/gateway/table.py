"""The route table as the gateway uses it: indexed once per revision, kept on disk for the next start."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pierhead.core import routes
from pierhead.core.routes import Route, RouteTable, Target
from pierhead.gateway.tokens import Credential, Lock, Plain, lock


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

    def opened(self, shown: Credential | None) -> list[Gate]:
        """The services that a credential opens, those that need none besides."""
        if shown is None:
            return list(self.unlocked)
        near = {id(gate): gate for gate in self.unlocked}
        near |= {id(gate): gate for gate in self._near(shown) if shown.opens(gate.locks)}
        return list(near.values())

    def _near(self, shown: Credential) -> Iterable[Gate]:
        """Those that are worth a comparison."""
        if isinstance(shown, Plain):
            return [gate for key in shown.digests for gate in self.keys.get(key, ())]
        return self.services.values()

    def targets(self, service: str) -> tuple[Target, ...]:
        """The replicas of a service by its id; none once it is gone."""
        gate = self.services.get(service)
        return gate.route.targets if gate else ()

    def replicas(self) -> Iterator[str]:
        """Every replica that is routed or draining."""
        yield from self.table.draining
        for gate in self.services.values():
            yield from (target.replica for target in gate.route.targets)


def index(table: RouteTable) -> Served:
    """`table`, ready to serve by."""
    services = {
        route.service: Gate(route, tuple(lock(token) for token in route.tokens if token))
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


def read_table(path: Path) -> RouteTable | None:
    """The table that was last written; None if there is none.

    Raises:
        ValueError: the file is not a table.
        OSError: it cannot be read.
    """
    try:
        return routes.load(path.read_bytes())
    except FileNotFoundError:
        return None


def set_aside(path: Path) -> Path:
    """Moves a broken file out of the way, to be looked at; its new path."""
    aside = path.with_name(f"{path.name}.broken")
    path.replace(aside)
    return aside


def write_table(path: Path, table: RouteTable) -> None:
    """Replaces the file at once or not at all; it holds tokens and keys, so only its owner may read it.

    Raises:
        OSError: it cannot be written; the old file is untouched.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 a path cannot say 0600 from birth
        file.write(routes.dump(table))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
