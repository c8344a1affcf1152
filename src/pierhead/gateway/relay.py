"""The relay: passes requests that were let in to replicas, and their answers back. No task, no queue."""

import asyncio
from collections.abc import Callable, Sequence

from pierhead.core.routes import Target
from pierhead.gateway.affinity import NOTHING, Affinities, Material, material
from pierhead.gateway.balance import Attempt, Balance, Failure
from pierhead.gateway.call import Call
from pierhead.gateway.deadlines import Deadlines
from pierhead.gateway.exchange import Exchange
from pierhead.gateway.forward import Forward
from pierhead.gateway.headers import Addressed
from pierhead.gateway.replicas import Pool
from pierhead.gateway.sending import KNOCK, Sending, Shared
from pierhead.gateway.settings import GatewaySettings


class Relay(Shared):
    """What all calls of one gateway share."""

    def __init__(
        self,
        settings: GatewaySettings,
        pool: Pool,
        balance: Balance,
        targets: Callable[[str], tuple[Target, ...]],
    ) -> None:
        """`targets` gives the newest targets of a service id."""
        self.settings, self.pool, self.balance, self.targets = settings, pool, balance, targets
        self.loop = asyncio.get_running_loop()
        self.addressed = Addressed()
        self.affinities = Affinities()
        #: Told of each ejection: the service, the replica, and what it did.
        self.ejections: list[Callable[[str, str, Failure], None]] = []
        #: Told of a mistake of ours, from within its handling.
        self.faults: list[Callable[[Exchange], None]] = []
        self.streams: dict[Sending, None] = {}  #: that are passed on now
        self._deadlines: dict[float, Deadlines[Sending]] = {}
        balance.lately = self._lately

    def _lately(self, replica: str) -> float:
        return max((forward.lately(replica) for forward in self.streams), default=float("-inf"))

    def serve(self, call: Call, over: Callable[[], None] | None = None) -> "Forward":
        """Replies to the call; `over` is called once when that is done, however it ended."""
        forward = Forward(self, call, over)
        call.exchange.passing = forward
        try:
            forward.start()
        except Exception:  # noqa: BLE001 the process edge: a turn that came has nobody else to tell it
            forward.fault()
        return forward

    def choose(self, call: Call, tried: Sequence[Attempt]) -> tuple[Target | None, Material]:
        """The replica that a call goes to next, and what it was sought by; None = there is none left."""
        targets, route = self.targets(call.route.service), call.route
        if not tried:
            if route.affinity and len(targets) > 1 and call.asked.method == "POST":
                return self._favoured(call, targets)
            return self.balance.pick(targets), NOTHING
        # Those that nobody listens at cost next to nothing: it goes on until one does.
        many = sum(not attempt.refused for attempt in tried)
        if not route.repeats or many >= self.settings.picks:
            return None, NOTHING
        return self.balance.pick(targets, [attempt.replica for attempt in tried]), NOTHING

    def _favoured(self, call: Call, targets: tuple[Target, ...]) -> tuple[Target | None, Material]:
        """The replica that has the prompt's beginning, if there is one, it works, and has time."""
        session = call.exchange.head.headers.get(b"x-session-id", b"").decode("latin-1")
        sought = material(call.asked.document, session)
        memory, balance = self.affinities.of(call.route.service), self.balance
        found = memory.choose(sought, balance.among(targets), balance.outstanding)
        return found or balance.pick(targets), sought

    def deadlines(self, limit: float) -> "Deadlines[Sending]":
        """Those of all calls that get so many seconds; they are told shortly before."""
        found = self._deadlines.get(limit)
        if found is None:
            seconds = limit - min(KNOCK, limit / 2)
            found = self._deadlines[limit] = Deadlines(seconds, self.loop, Sending.nearly_late)
        return found

    def streaming(self) -> dict[str, int]:
        """Tokens that streams under way have so far, by service name."""
        found: dict[str, int] = {}
        for forward in self.streams:
            name, written = forward.written
            found[name] = found.get(name, 0) + written
        return found

    def note(self, call: Call, attempt: Attempt, *, ejected: bool) -> None:
        """Tells of a replica that was put out of rotation."""
        if ejected:
            for told in self.ejections:
                told(call.route.name, attempt.replica, self.balance.ejected[attempt.replica])
