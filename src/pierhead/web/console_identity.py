"""The console's paths of identity: login, logout, session, credential, and what is allowed.

Logins and credentials are in the audit trail under the door `console`; guessing is slowed down by the
same counters as at the other doors. A password or secret is in no answer, log or entry.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from starlette.responses import Response

from pierhead.core import tickets
from pierhead.core.audit import Act, Source
from pierhead.core.errors import Invalid, Missing, PierheadError, Throttled, WrongLogin
from pierhead.core.principals import Principal
from pierhead.operations.allowed import Asked as Deed
from pierhead.operations.allowed import allowed
from pierhead.operations.consoles import Consoles, Session
from pierhead.operations.lockout import Lockout
from pierhead.operations.permission import Permission
from pierhead.web import sessions
from pierhead.web.console import PREFIX, Asked, Route, answer, code_of, moment

#: Deeds that one call may ask about, and bytes that it may have.
MOST_ASKED, ASKED_BODY = 200, 256 * 1024
#: Characters of what is typed at a login.
_NAME, _SECRET = 512, 1024
_DOOR = "console"


@dataclass(frozen=True, slots=True)
class Place:
    """What pages are told of the platform."""

    region: str
    version: str
    gateway: str  #: base URL of the data plane
    endpoint: str  #: base URL of the control plane, as this machine knows it


@dataclass(frozen=True, slots=True)
class Watching:
    """Who hears of logins."""

    #: Takes what was done, by whom (None = nobody known), and from where.
    note: Callable[[Act, Principal | None, Source], None]
    passwords: Lockout  #: failed logins
    keys: Lockout  #: failed proofs of access keys


@dataclass(frozen=True, slots=True)
class _Try:
    """One attempt to log in."""

    how: str  #: `password`, `key`, `ticket`
    who: str  #: whom it claims to be
    name: str  #: under which failures are counted
    guard: Lockout
    open: Callable[[], Awaitable[Session]]


@dataclass(frozen=True, slots=True)
class Identity:
    """Handlers of who is there and what they may."""

    consoles: Consoles
    permission: Permission
    place: Place
    watching: Watching

    def routes(self) -> tuple[Route, ...]:
        """All of them."""
        return (
            Route("POST", f"{PREFIX}/login", self.log_in, open=True),
            Route("POST", f"{PREFIX}/logout", self.log_out),
            Route("GET", f"{PREFIX}/session", self.session),
            Route("POST", f"{PREFIX}/credential", self.credential),
            Route("POST", f"{PREFIX}/allowed", self.allowed, body=ASKED_BODY),
        )

    async def log_in(self, asked: Asked) -> Response:
        """A new session; one that the browser had ends."""
        sessions.demand_console(asked.request)
        attempt = await self._attempt(await asked.json())
        async with self._noted(asked, "pierhead:LogIn", attempt) as noted:
            async with attempt.guard.turn(asked.address, attempt.name):
                try:
                    session = await attempt.open()
                except WrongLogin:
                    attempt.guard.failed(asked.address, attempt.name)
                    raise
                attempt.guard.passed(asked.address, attempt.name)
            noted(session.principal)
        await self.consoles.leave(sessions.cookie_of(asked.request))
        response = answer(await self._told(sessions.visitor(session)), asked)
        response.headers["set-cookie"] = sessions.cookie(session.cookie, secure=asked.secure)
        return response

    async def log_out(self, asked: Asked) -> Response:
        """The end of the session and of its credentials, or of all sessions of its user.

        Raises:
            Invalid: the body says something else than whether it is all of them.
        """
        body = await asked.json()
        _known(body, ("Everywhere",))
        everywhere: object = body.get("Everywhere", False)
        if not isinstance(everywhere, bool):
            raise Invalid("Everywhere", "its form", "true, false")
        ended, who = 1, asked.principal
        if everywhere:
            ended = await self.consoles.leave_everywhere(who)
        else:
            await self.consoles.leave(asked.visitor.session)
        detail = {"Everywhere": everywhere, "Sessions": ended}
        self._note(asked, "pierhead:LogOut", who, (who.arn,), detail=detail)
        response = answer({"Ended": ended}, asked)
        response.headers["set-cookie"] = sessions.cookie("", secure=asked.secure)
        return response

    async def session(self, asked: Asked) -> Response:
        """Who is logged in, until when, where."""
        return answer(await self._told(asked.visitor), asked)

    async def credential(self, asked: Asked) -> Response:
        """What the page signs its calls with for the next 15 minutes."""
        await _empty(asked)
        session = await self.consoles.enter(asked.visitor.session)
        made = await self.consoles.credential(session)
        seconds = round((made.key.expires or asked.now) - asked.now)
        detail = {"AccessKeyId": made.key.id, "Seconds": seconds}
        resources = (asked.principal.arn,)
        self._note(
            asked, "pierhead:CreateSessionCredential", asked.principal, resources, detail=detail
        )
        return answer(
            {
                "AccessKeyId": made.key.id,
                "AccessKeySecret": made.key.secret,
                "SecurityToken": made.key.session_token,
                "Expires": moment(made.key.expires or asked.now),
                "ZStackSession": made.zstack,
            },
            asked,
        )

    async def allowed(self, asked: Asked) -> Response:
        """What policies say of deeds that a page may offer."""
        deeds = _deeds(await asked.json())
        found = await allowed(self.permission, asked.principal, deeds, asked.circumstances())
        answers = [
            {
                "Action": one.asked.action,
                "Resource": one.asked.resource,
                "Allowed": one.allowed,
                "Reason": one.reason,
            }
            for one in found
        ]
        return answer({"Answers": answers}, asked)

    async def _attempt(self, body: Mapping[str, Any]) -> _Try:
        """Which of the three ways a body takes."""
        consoles = self.consoles
        if "Ticket" in body:
            (text,) = _texts(body, Ticket=tickets.LONGEST)
            ticket = tickets.read(text)
            key = ticket.key if ticket is not None else "ticket"
            guard = self.watching.keys
            return _Try("ticket", key, key, guard, lambda: consoles.by_ticket(text))
        if "AccessKeyId" in body:
            key, secret = _texts(body, AccessKeyId=_NAME, AccessKeySecret=_SECRET)
            guard = self.watching.keys
            return _Try("key", key, key, guard, lambda: consoles.by_key(key, secret))
        who, password = _texts(body, UserName=_NAME, Password=_SECRET)
        name = "/".join(await consoles.named(who))
        guard = self.watching.passwords
        return _Try("password", who, name, guard, lambda: consoles.by_password(who, password))

    @asynccontextmanager
    async def _noted(
        self, asked: Asked, action: str, attempt: _Try
    ) -> AsyncGenerator[Callable[[Principal], None]]:
        """Writes down how an attempt ends; the caller says whose it was if it did well."""
        who: list[Principal] = []
        detail = {"By": attempt.how, "Name": attempt.who}
        try:
            yield who.append
        except PierheadError as error:
            refused = isinstance(error, WrongLogin | Throttled)
            code = code_of(error)[0]
            self._note(asked, action, None, (), code=code, denied=refused, detail=detail)
            raise
        self._note(asked, action, who[0], (who[0].arn,), detail=detail)

    def _note(  # noqa: PLR0913 - the parts of an entry
        self,
        asked: Asked,
        action: str,
        who: Principal | None,
        resources: tuple[str, ...],
        *,
        code: str = "OK",
        denied: bool = False,
        detail: object = None,
    ) -> None:
        agent = asked.request.headers.get("user-agent", "")
        act = Act(_DOOR, action, resources, code, denied, detail)
        self.watching.note(act, who, Source(asked.address, agent, asked.id))

    async def _told(self, visitor: sessions.Visitor) -> dict[str, Any]:
        principal, place = visitor.principal, self.place
        return {
            "Principal": {
                "Account": principal.account,
                "Id": principal.id,
                "Kind": principal.kind,
                "Name": await self.consoles.name_of(principal),
                "Arn": principal.arn,
                "Admin": principal.admin,
            },
            "Expires": moment(visitor.expires),
            "Csrf": visitor.csrf,
            "Region": place.region,
            "Version": place.version,
            "Gateway": place.gateway,
            "Endpoint": place.endpoint,
        }


async def _empty(asked: Asked) -> None:
    _known(await asked.json(), ())


def _texts(body: Mapping[str, Any], **most: int) -> tuple[str, ...]:
    """The texts of these names, each of so many characters at most; nothing else may be there.

    Raises:
        Missing: one is not there, or empty.
        Invalid: one is no text or too long, or there is something else.
    """
    _known(body, most)
    for name, longest in most.items():
        value = body.get(name)
        if value is None or value == "":
            raise Missing(name)
        if not isinstance(value, str) or len(value) > longest:
            raise Invalid(name, "its form", f"a text of at most {longest} characters")
    return tuple(body[name] for name in most)


def _known(body: Mapping[str, Any], names: Mapping[str, int] | tuple[str, ...]) -> None:
    for name in body:
        if name not in names:
            raise Invalid(name[:80], "nothing here takes it", ", ".join(names) or "{}")


def _deeds(body: Mapping[str, Any]) -> list[Deed]:
    _known(body, ("Asked",))
    listed: object = body.get("Asked")
    if listed is None:
        raise Missing("Asked")
    if not isinstance(listed, list):
        raise Invalid("Asked", "it is no list")
    items = cast("list[object]", listed)
    if len(items) > MOST_ASKED:
        raise Invalid("Asked", f"it asks about {len(items)} deeds", f"at most {MOST_ASKED}")
    return [_deed(item) for item in items]


def _deed(item: object) -> Deed:
    if not isinstance(item, dict):
        raise Invalid("Asked", "an element is no object with Action and Resource")
    action, resource = _texts(cast("dict[str, Any]", item), Action=128, Resource=_SECRET)
    return Deed(action, resource)
