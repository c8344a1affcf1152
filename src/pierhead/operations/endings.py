"""Who holds keys and logins in memory hears here of those that ended, so that they end at once.

Another hub on the same database hears of it later: of a key after a second, of a login at its next
write (`key_ring`, `logins`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from pierhead.core.principals import Principal


@dataclass(slots=True)
class Endings:
    """One hub's. To be told after the transaction, not in it: what is read before it commits is old."""

    _of_keys: list[Callable[[str], None]] = field(default_factory=list[Callable[[str], None]])
    _of_logins: list[Callable[[Principal], None]] = field(
        default_factory=list[Callable[[Principal], None]]
    )

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

    def logins(self, principal: Principal) -> None:
        """All logins of this principal ended."""
        for listener in self._of_logins:
            listener(principal)
