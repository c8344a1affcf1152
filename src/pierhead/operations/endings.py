"""Who holds keys, logins and endpoint tokens in memory hears here of changes, so that they count at once.

Another hub on the same database hears of it later: of a key after a second, of a login at its next
write (`key_ring`, `logins`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pierhead.core.endpoint_tokens import EndpointToken
from pierhead.core.principals import Principal
from pierhead.core.services import Service


@dataclass(slots=True)
class Endings:
    """One hub's. To be told after the transaction, not in it: what is read before it commits is old."""

    _of_keys: list[Callable[[str], None]] = field(default_factory=list[Callable[[str], None]])
    _of_logins: list[Callable[[Principal], None]] = field(
        default_factory=list[Callable[[Principal], None]]
    )

    _of_tokens: list[Callable[[Service, Sequence[EndpointToken]], None]] = field(
        default_factory=list[Callable[[Service, Sequence[EndpointToken]], None]]
    )

    def hear_of_tokens(self, listener: Callable[[Service, Sequence[EndpointToken]], None]) -> None:
        """`listener` is called with a service and all that opens it now, whenever that changes."""
        self._of_tokens.append(listener)

    def hear_of_keys(self, listener: Callable[[str], None]) -> None:
        """`listener` is called with the id of every key that was changed or deleted."""
        self._of_keys.append(listener)

    def hear_of_logins(self, listener: Callable[[Principal], None]) -> None:
        """`listener` is called with every principal whose logins ended."""
        self._of_logins.append(listener)

    def key(self, *ids: str) -> None:
        """These keys were changed or deleted."""
        for listener in self._of_keys:
            for id_ in ids:
                listener(id_)

    def tokens(self, service: Service, present: Sequence[EndpointToken]) -> None:
        """These are the tokens of a service now."""
        for listener in self._of_tokens:
            listener(service, present)

    def logins(self, principal: Principal) -> None:
        """All logins of this principal ended."""
        for listener in self._of_logins:
            listener(principal)
