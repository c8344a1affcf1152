"""What opens each service: its own secret and the tokens that have a row, as last told or read."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pierhead.core.endpoint_tokens import DEFAULT, EndpointToken
from pierhead.core.ids import Clock
from pierhead.core.routes import RouteToken
from pierhead.core.services import Service


@dataclass(frozen=True, slots=True)
class _Keys:
    """What opens a service, as somebody who changed it told."""

    revision: int  #: of the service; what is known of an older one is old
    own: str  #: the service's own secret at that revision
    tokens: tuple[EndpointToken, ...]  #: what has a row


_NONE = _Keys(-1, "", ())


class Tokens:
    """Of all services, by their ids."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: dict[str, _Keys] = {}
        self.news = 0  #: how often it was told of a change

    def know(self, held: Mapping[str, Iterable[EndpointToken]]) -> None:
        """Take in the tokens of all services, before any of these is routed."""
        self._keys = {service: _Keys(-1, "", tuple(tokens)) for service, tokens in held.items()}

    def know_again(self, held: Mapping[str, Iterable[EndpointToken]], since: int) -> None:
        """Take in what was read, should a change not have been told; `since` = `news` before the reading."""
        if since != self.news:
            return  # what was told meanwhile may be newer: the next look takes it in
        for service in self._keys.keys() | held.keys():
            known = self._keys.get(service, _NONE)
            self._keys[service] = replace(known, tokens=tuple(held.get(service, ())))

    def keyed(self, service: Service, tokens: Iterable[EndpointToken]) -> bool:
        """From now on these open a service; False if what came after that was told already."""
        self.news += 1
        if self._keys.get(service.id, _NONE).revision > service.revision:
            return False
        self._keys[service.id] = _Keys(service.revision, service.token, tuple(tokens))
        return True

    def drop(self, service: str) -> None:
        """Forget a service that is gone."""
        self._keys.pop(service, None)

    def of(self, service: Service) -> Iterator[RouteToken]:
        """All secrets that open it now, its own first."""
        known = self._keys.get(service.id, _NONE)
        # A pass may still work with what it read before somebody rotated the token.
        secret = known.own if known.revision > service.revision else service.token
        held = {token.name: token for token in known.tokens}
        own = held.pop(DEFAULT, None) or EndpointToken(service.id, DEFAULT, secret)
        if own.secret != secret:  # it got another one since: what it was before is void
            own = replace(own, secret=secret, previous="")
        for token in (own, *held.values()):
            if token.secret:
                yield RouteToken(token.secret, token.name, limits=token.limits)
            if token.previous and self._clock() < token.previous_until:
                until = token.previous_until
                yield RouteToken(token.previous, token.name, until, token.limits)
