"""Sessions of the console: opened by a password, a key pair or a ticket, held by a cookie.

A session is a login like any other (`logins.py`), so it ends with a password, a user or a key as they
do. What its pages sign their calls with is a key of
15 minutes that belongs to the same principal, with the same rights, and ends with the session.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from pierhead.core import tickets
from pierhead.core.errors import Invalid, LoginExpired
from pierhead.core.ids import letters, object_id
from pierhead.core.principals import ROLE, AccessKey, LoginSession, Principal
from pierhead.operations.accounts import user_uuid, wire_password
from pierhead.operations.key_ring import KeyRing
from pierhead.operations.logins import Logins, Proven, expired, wrong
from pierhead.operations.platform import Platform
from pierhead.store import keys, passwords
from pierhead.store import logins as rows

#: Seconds that a session credential lasts, and a session at most, whatever is done with it.
CREDENTIAL, LONGEST = 900.0, 86_400.0
#: Credentials of one session at a time: each open page renews its own.
MOST_CREDENTIALS = 8
#: The clocks of who makes a ticket and of the hub may differ by so many seconds.
_APART = 60.0
_COOKIE = re.compile(r"[0-9a-f]{64}")
_TOKEN_BYTES = 96


@dataclass(frozen=True, slots=True)
class Session:
    """A session of the console."""

    cookie: str = field(repr=False)  #: whoever has it, has the session
    login: LoginSession

    @property
    def principal(self) -> Principal:
        """Whose it is, with its present name."""
        return self.login.principal

    @property
    def expires(self) -> float:
        """When it ends, if nothing is done with it any more; epoch seconds."""
        return min(self.login.expires, self.login.created + LONGEST)

    @property
    def csrf(self) -> str:
        """What a write must repeat: it follows from the cookie, and does not tell it."""
        key = self.cookie.encode()
        return hashlib.blake2b(b"pierhead console csrf", key=key, digest_size=24).hexdigest()


@dataclass(frozen=True, slots=True)
class Credential:
    """What a page signs its calls with: for EAS, RAM and our own API, and for ZStack's."""

    key: AccessKey
    zstack: str = field(repr=False)  #: uuid of a login


@dataclass(slots=True)
class Consoles:
    """All sessions of one hub."""

    platform: Platform
    logins: Logins
    ring: KeyRing

    async def by_password(self, name: str, password: str) -> Session:
        """Log in as the account, by its name, or as a user: `user` or `user@account`.

        Raises:
            WrongLogin: no such account or user, or another password.
            TooManyLogins: the principal holds 500 already.
            Unavailable: the database does not answer.
        """
        account, user = await self.named(name)
        proven = await self.logins.prove(wire_password(password), account, user_name=user)
        return await self._begin(proven)

    async def by_key(self, key_id: str, secret: str) -> Session:
        """Log in with an access key of one's own; the session ends with it.

        Raises:
            WrongLogin: there is no such key, it is off or a temporary one, or has another secret.
            TooManyLogins: the principal holds 500 already.
            Unavailable: the database does not answer.
        """
        key = await self._own(key_id)
        known = key.secret if key is not None else ""
        if not hmac.compare_digest(known.encode(), _bytes(secret)) or key is None:
            raise wrong()
        return await self._begin(self._proven(key))

    async def by_ticket(self, text: str) -> Session:
        """Log in with a ticket, which is of no more use then.

        Raises:
            WrongLogin: it is none, has expired or was used, or its key is no more.
            TooManyLogins: the principal holds 500 already.
            Unavailable: the database does not answer.
        """
        ticket, now = tickets.read(text), self.platform.clock()
        key = await self._own(ticket.key) if ticket is not None else None
        if ticket is None or key is None or not ticket.proves(key.secret):
            raise wrong()
        if not now < ticket.expires <= now + tickets.LIFE + _APART:
            raise wrong()
        burnt = await self.ring.nonces.use(key.id, f"ticket {ticket.nonce}", ticket.expires)
        if not burnt:
            raise wrong()
        return await self._begin(self._proven(key))

    async def enter(self, cookie: str) -> Session:
        """The session of a cookie, which lives on for the timeout from now, but never for over a day.

        Raises:
            LoginExpired: there is none, any more.
            Unavailable: the database does not answer.
        """
        if _COOKIE.fullmatch(cookie) is None:
            raise expired()
        session = Session(cookie, await self.logins.find(_uuid(cookie)))
        if session.expires <= self.platform.clock():
            await self.leave(cookie)
            raise expired()
        return session

    async def lasts(self, cookie: str) -> bool:
        """Would it be let in now? Does not prolong it.

        Raises:
            Unavailable: the database does not answer.
        """
        return _COOKIE.fullmatch(cookie) is not None and await self.logins.valid(_uuid(cookie))

    async def leave(self, cookie: str) -> None:
        """End a session and its credentials; of an unknown one there is nothing to end.

        Raises:
            Unavailable: the database does not answer.
        """
        if _COOKIE.fullmatch(cookie) is not None:
            await self.logins.close(_uuid(cookie))
            self.ring.forget_made()

    async def leave_everywhere(self, principal: Principal) -> int:
        """End all of a principal's sessions, in every browser, and their credentials; gives how many.

        Raises:
            Unavailable: the database does not answer.
        """
        ended = await self.logins.close_consoles(principal)
        self.ring.forget_made()
        return ended

    async def credential(self, session: Session) -> Credential:
        """What the session's pages sign with from now on, for 15 minutes; no more than the session.

        Of more than eight at a time the oldest end.

        Raises:
            LoginExpired: the session ended.
            Unavailable: the database does not answer.
        """
        now, entropy = self.platform.clock(), self.platform.entropy
        login, uuid = session.login, object_id(entropy)
        until = min(now + CREDENTIAL, session.expires)
        key = AccessKey(
            id="STS." + letters(entropy, 24),
            secret=letters(entropy, 44),
            principal=login.principal,
            session_token=base64.b64encode(entropy(_TOKEN_BYTES)).decode(),
            expires=until,
            created=now,
            updated=now,
            login=login.digest,
        )
        child = replace(
            login, digest=rows.digest_of(uuid), created=now, expires=until, parent=login.digest
        )
        await self.platform.db.write(_mint, self.platform, key, child)
        self.logins.drop_made(login.digest)
        self.ring.forget_made()
        return Credential(key, uuid)

    async def name_of(self, principal: Principal) -> str:
        """Under which name it logs in: a user's, or the account's.

        Raises:
            Unavailable: the database does not answer.
        """
        if not principal.admin:
            return principal.name
        return await self.platform.db.read(passwords.account_name, principal.account)

    async def _begin(self, proven: Proven) -> Session:
        cookie = self.platform.entropy(32).hex()
        return Session(cookie, await self.logins.begin(proven, _uuid(cookie)))

    async def named(self, name: str) -> tuple[str, str]:
        """(account's name, user's name) of what somebody typed; the user's is "" for the account.

        Raises:
            Unavailable: the database does not answer.
        """
        known = await self.platform.db.read(passwords.account_name, self.platform.account)
        user, at, account = name.rpartition("@")
        if at:
            return known if account == self.platform.account else account, user
        return (known, "") if name == known else (known, name)

    async def _own(self, key_id: str) -> AccessKey | None:
        """A key that opens sessions: its owner keeps it, and it is in use."""
        try:
            key = await self.ring.find(key_id)
        except Invalid:
            return None  # an id that no database can hold is nobody's
        if key is None or not key.active or key.session_token or key.expires is not None:
            return None
        return None if key.principal.kind == ROLE else key

    def _proven(self, key: AccessKey) -> Proven:
        return Proven(key.principal, user_uuid(self.platform, key.principal), key=key.id)


def _mint(tx: Connection, platform: Platform, key: AccessKey, child: LoginSession) -> None:
    if rows.find(tx, child.parent) is None:
        raise LoginExpired("The session ended: log in again.")
    rows.trim(tx, child.parent, MOST_CREDENTIALS - 1)
    keys.add(tx, platform.box, key)
    rows.add(tx, child)


def _uuid(cookie: str) -> str:
    """The login's: of a form that no other login has, so what the ZStack door gave is no cookie."""
    return f"{rows.CONSOLE}{cookie}"


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
