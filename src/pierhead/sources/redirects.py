"""Asks a hub, and follows it to where its files lie; what proves who asks never goes along.

Hubs keep large files on other hosts, and send whoever asks there. Each address on the way passes the
operator's rule like the first one (see addresses.py), a redirect never leaves encryption behind, and
nothing but http and https is followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from pierhead.core.errors import Invalid
from pierhead.sources.addresses import Endpoint, Http, endpoint
from pierhead.sources.answers import Answer
from pierhead.sources.remote import Rejected

_MOST = 6  #: redirects of one question
_LONGEST = 8192  #: characters of an address; signed ones are long
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Reached:
    """The answer to a question, and how it came."""

    answer: Answer
    url: str  #: of the one that answered
    first: Mapping[str, str]  #: headers of the hub's own answer, in lower case
    away: bool  #: did another one than the hub answer?


class Follower:
    """Questions to one hub."""

    def __init__(self, http: Http, name: str) -> None:
        """`name`: what is asked for, as a person knows it."""
        self._http, self._name = http, name

    def get(self, url: str, headers: Mapping[str, str], private: Mapping[str, str]) -> Reached:
        """Ask; `private` headers go to the host of `url` alone, and no more once it was left.

        Raises:
            Denied: an address on the way is not permitted.
            Flaky: no connection, or it broke.
            Rejected: it redirects without end, or to what is no address of the web.
        """
        home, first, away = _origin(url), None, False
        for _ in range(_MOST + 1):
            sent = dict(headers) if away else {**headers, **private}
            answer = self._http.send("GET", url, sent)
            first = first or dict(answer.headers)
            if answer.status not in _REDIRECTS:
                return Reached(answer, url, first, away)
            answer.close()
            url = self._next(url, answer.headers.get("location", ""))
            away = away or _origin(url) != home
        raise Rejected(self._name, f"it redirects more than {_MOST} times")

    def _next(self, url: str, location: str) -> str:
        try:
            if not location or len(location) > _LONGEST or not _is_plain(location):
                raise ValueError(location)
            found = urljoin(url, location)
            parts = urlsplit(found)
            place = endpoint(f"{parts.scheme}://{parts.netloc}")
        except (ValueError, Invalid):
            raise Rejected(self._name, "it redirects to what is no address of the web") from None
        if place.scheme != "https" and urlsplit(url).scheme == "https":
            raise Rejected(self._name, f"it redirects to {place.host} without encryption")
        return parts._replace(fragment="").geturl()


def _is_plain(text: str) -> bool:
    """May it stand in a request as it is?"""
    return text.isascii() and text.isprintable() and not any(sign in ' \\"<>' for sign in text)


def _origin(url: str) -> Endpoint:
    parts = urlsplit(url)
    return endpoint(f"{parts.scheme}://{parts.netloc}")
