"""What watches over every door: the audit trail, the counters of failed tries, the pace of calls."""

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from pierhead.core.audit import Act, Source
from pierhead.core.errors import Forbidden, LoginExpired, PierheadError, Throttled, WrongLogin
from pierhead.core.principals import Principal
from pierhead.dialects.signing.codes import SignError
from pierhead.operations.lockout import Lockout, Pace

Scope = MutableMapping[str, Any]
_CLAIM = re.compile(r"Credential=([^,\s]{1,128})|^\s*(?:acs|ZStack)\s+([^:\s]{1,128}):")


def _nowhere(_act: Act, _who: Principal | None, _source: Source) -> None:
    """For apps that nobody watches."""


async def _at_once() -> None:
    """Nothing is noted, so nothing has to be waited for."""


@dataclass(frozen=True, slots=True)
class Watch:
    """One hub's; all doors share it."""

    #: Takes what was done, by whom (None = nobody known), and from where.
    note: Callable[[Act, Principal | None, Source], None] = _nowhere
    #: Returns once all that was noted can be read.
    settle: Callable[[], Awaitable[None]] = _at_once
    reads: bool = False  #: what only looked, and could, is noted too
    keys: Lockout = field(default_factory=Lockout)  #: failed signatures
    passwords: Lockout = field(default_factory=Lockout)  #: failed logins
    pace: Pace = field(default_factory=lambda: Pace(0))

    def counts(self, code: str, *, reading: bool) -> bool:
        """Is a call to be noted? What changes something, what was refused, and what failed."""
        return self.reads or not reading or code != "OK"


def address_of(scope: Scope) -> str:
    """The client's address, as the server or the front door gives it; "" when it is not known."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def source_of(scope: Scope, request_id: str) -> Source:
    """Where an ASGI request came from."""
    return Source(address_of(scope), agent_of(scope["headers"]), request_id)


def agent_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The header User-Agent."""
    return next((v.decode("latin-1") for k, v in headers if k.lower() == b"user-agent"), "")


def is_denied(error: PierheadError) -> bool:
    """Was it refused for want of identity or permission?"""
    return isinstance(error, Forbidden | SignError | WrongLogin | LoginExpired | Throttled)


def claimed(headers: Iterable[tuple[str, str]]) -> str:
    """The access key that a request says it was signed with; headers by lower-case names."""
    given = next((value for name, value in headers if name == "authorization"), "")
    found = _CLAIM.search(given)
    return (found[1] or found[2]) if found else ""
