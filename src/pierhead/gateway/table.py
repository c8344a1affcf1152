"""The route table in force. It is swapped as a whole, so that a request sees old or new, never both."""

from collections.abc import Callable

from pierhead.core.routes import Route, RouteTable, Target
from pierhead.gateway.draft import Draft
from pierhead.gateway.served import Change, Gate, Served

__all__ = ["Change", "Gate", "LiveTable", "Served", "index"]


def index(table: RouteTable) -> Served:
    """`table`, ready to serve by."""
    draft = Draft(None)
    for route in {route.service: route for route in table.routes.values()}.values():
        draft.put(route)
    return draft.done(table.revision, table.origin, table.draining)[0]


class LiveTable:
    """The revision in force. One reference is swapped, so that a request sees old or new, never both."""

    def __init__(self) -> None:
        self.served: Served | None = None  #: None until the first table was had
        self.swaps = 0  #: tables so far, by which one knows whether it judged by the newest
        #: Told what changed, so that they need not look at all services.
        self.watchers: list[Callable[[Served, Change], None]] = []

    @property
    def revision(self) -> int:
        """0 before the first table."""
        return self.served.table.revision if self.served else 0

    def swap(self, table: RouteTable) -> None:
        """From here on requests are judged by `table`; it is compared with the one before."""
        draft = Draft(self.served)
        routes = {route.service: route for route in table.routes.values()}
        for service in [one for one in draft.services() if one not in routes]:
            draft.remove(service)
        for route in routes.values():
            draft.put(route)
        self.take(*draft.done(table.revision, table.origin, table.draining))

    def take(self, served: Served, change: Change) -> None:
        """From here on requests are judged by `served`, which differs from the one before by `change`."""
        self.served = served
        self.swaps += 1
        for told in self.watchers:
            told(served, change)

    def route(self, service: str) -> Route | None:
        """What the newest table says of a service; None once it is gone."""
        gate = self.served.services.get(service) if self.served else None
        return gate.route if gate else None

    def opens(self, service: str, token: str) -> bool:
        """Does the token of this name still open the service? One that is gone is found out otherwise."""
        gate = self.served.services.get(service) if self.served else None
        return gate is None or gate.opens(token)

    def targets(self, service: str) -> tuple[Target, ...]:
        """By the newest table: a request that waited for its body must not go to a drained replica."""
        return self.served.targets(service) if self.served else ()
