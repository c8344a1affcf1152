"""A request that was let in, on its way to a replica."""

from pierhead.core.routes import Route, Target
from pierhead.gateway.asking import Asked
from pierhead.gateway.exchange import Exchange
from pierhead.gateway.fair_queue import FREE, Place
from pierhead.gateway.ledger import Entry
from pierhead.gateway.naming import known_names, needs_own_name, renamed, renamed_form


class Call:
    """What is passed on, and what is counted for it."""

    __slots__ = ("asked", "entry", "exchange", "legible", "place", "route", "telling")

    def __init__(
        self, exchange: Exchange, route: Route, asked: Asked, entry: Entry, *, legible: bool = False
    ) -> None:
        """`legible`: the answer has to be read, so it may not be compressed; `entry` is ended once."""
        self.exchange, self.route, self.entry, self.legible = exchange, route, entry, legible
        self.place: Place = FREE  #: told which replica works on it
        self.asked = asked  #: its path is what the replica gets, without the query
        #: The body that makes a stream tell its usage; None if it tells it anyway, or cannot.
        self.telling = asked.telling() if route.api == "openai" else None

    def body_for(self, target: Target) -> bytes:
        """The body as this replica gets it."""
        body = self.telling or self.asked.body
        if not target.model:
            return body
        known = known_names(self.route)
        if self.asked.form:
            return renamed_form(body, self.asked.form, known, target.model)
        return renamed(body, known, target.model)

    def legible_for(self, target: Target) -> bool:
        """Has this replica's answer to come uncompressed?"""
        return self.legible or needs_own_name(target, self.route)
