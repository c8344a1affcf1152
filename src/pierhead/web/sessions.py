"""Whose session a request to the console brings: the cookie, the CSRF header, and where it came from.

A cookie comes with every request to its host, whoever had the browser send it. So a write must repeat
what only the session's own pages were told, and what a strange page sent is refused by what browsers
tell of it: SameSite, Origin, Sec-Fetch-Site.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request

from pierhead.operations.consoles import Consoles, Session
from pierhead.web.console import Forged, Visitor

COOKIE = "pierhead_session"
#: Headers: the session's proof, with every write; and what no strange page can send, with a login.
CSRF, CONSOLE = "x-pierhead-csrf", "x-pierhead-console"
#: Where the browser sends the cookie: pages and API calls need none.
_PATH = "/console"
_LOOKS = frozenset({"GET", "HEAD"})
_OWN_SITES = frozenset({"same-origin", "none"})


@dataclass(frozen=True, slots=True)
class Sessions:
    """The guard of one hub's console."""

    consoles: Consoles
    #: Counts a call of a principal (id); raises Throttled.
    pace: Callable[[str], None] = lambda _principal: None

    async def enter(self, request: Request) -> Visitor:
        """Whose session it is; a write only with its CSRF token, from a page of the console.

        Raises:
            LoginExpired: there is no session, or it ended.
            Forged: the CSRF header is missing or another session's, or a strange page sent it.
            Throttled: there were too many calls.
            Unavailable: the database does not answer.
        """
        writes = request.method not in _LOOKS
        if writes:
            demand_own_page(request)
        session = await self.consoles.enter(cookie_of(request))
        if writes:
            given = request.headers.get(CSRF, "")
            if not hmac.compare_digest(given.encode("latin-1"), session.csrf.encode()):
                raise Forged("The header X-Pierhead-Csrf is missing, or is not this session's.")
        self.pace(session.principal.id)
        return visitor(session)

    async def lasts(self, visitor: Visitor) -> bool:
        """Would it be let in now? Does not prolong it.

        Raises:
            Unavailable: the database does not answer.
        """
        return await self.consoles.lasts(visitor.session)


def visitor(session: Session) -> Visitor:
    """A session as handlers see it."""
    return Visitor(session.principal, session.csrf, session.expires, session.cookie)


def cookie_of(request: Request) -> str:
    """The session's cookie; "" without one."""
    return request.cookies.get(COOKIE, "")


def demand_own_page(request: Request) -> None:
    """Refuse what a browser says another site's page sent; who says nothing is no browser.

    Raises:
        Forged: it is one.
    """
    site = request.headers.get("sec-fetch-site", "same-origin").lower()
    origin = request.headers.get("origin")
    host = request.headers.get("host", "").lower()
    if site not in _OWN_SITES or (origin is not None and _host(origin) != host):
        raise Forged("A page of another site sent this: open the console itself.")


def demand_console(request: Request) -> None:
    """Refuse a login that a form of a strange page may have sent.

    Raises:
        Forged: it may.
    """
    demand_own_page(request)
    if request.headers.get(CONSOLE) != "1":
        raise Forged("A login needs the header X-Pierhead-Console: 1.")


def cookie(value: str, *, secure: bool) -> str:
    """The header Set-Cookie of a session; of "" the one that takes the cookie away."""
    ends = "" if value else "; Max-Age=0"
    return (
        f"{COOKIE}={value}; Path={_PATH}; HttpOnly; SameSite=Strict"
        f"{'; Secure' if secure else ''}{ends}"
    )


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower() or "\0"  # `null` has none, as an old client's Host
    except ValueError:
        return "\0"  # nobody's
