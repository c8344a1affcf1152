"""Logins: opened by a password, used with every call, ended by a call, by silence or by purging.

Expiry slides: every call sets it anew. In memory it is exact; the database hears of it at most every
30 seconds or tenth of the timeout, whichever is shorter, so that a killed hub shortens the lives of
its logins by no more than that. Where other hubs work on the same database, memory holds a login for
a second, so that one that another hub ended is refused here as soon.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from pierhead.core.errors import (
    Forbidden,
    Invalid,
    LoginExpired,
    NotFound,
    TooManyLogins,
    Unavailable,
    WrongLogin,
)
from pierhead.core.ids import object_id
from pierhead.core.principals import USER, LoginSession, Password, Principal
from pierhead.operations.accounts import Hashing, find_password
from pierhead.operations.platform import Platform
from pierhead.store import jobs as job_rows
from pierhead.store import keys, passwords, users
from pierhead.store import logins as rows

#: Logins that a principal may hold at a time.
MOST = 500
#: Seconds that a renewal may ask for.
SHORTEST, LONGEST = 60, 31_536_000
#: The database may lag behind by so many seconds at most.
_LAG = 30.0
#: Logins in memory; more than that are read from the database again.
_REMEMBERED = 4096
#: Seconds that memory is believed, where other hubs may end logins, too.
_BELIEVED = 1.0


@dataclass(frozen=True, slots=True)
class Proven:
    """Who may have a login, and how that was shown."""

    principal: Principal
    user: str  #: uuid of the user, which of an account is the account's
    password: Password | None = None  #: it was shown with this one; None = with a key
    key: str = ""  #: id of the access key; "" = with a password


@dataclass(slots=True)
class _Held:
    login: LoginSession
    written: float  #: the expiry that the database knows
    read: float  #: when the database knew it, epoch seconds


class Logins:
    """All logins of one hub."""

    def __init__(self, platform: Platform, hashing: Hashing, timeout: float = 7200.0) -> None:
        """`timeout`: seconds of silence after which a login ends."""
        self._platform, self._hashing, self._timeout = platform, hashing, timeout
        self._lag = min(_LAG, timeout / 10)
        self._held: dict[str, _Held] = {}
        self._endings = 0
        platform.endings.hear_of_logins(self.forget)
        platform.endings.hear_of_keys(self.forget_by_key)

    async def open(
        self, password: str, account_name: str, *, account: str = "", user_name: str = ""
    ) -> LoginSession:
        """Log in; the answer is the only place where the login's uuid is shown.

        `password` is the hex SHA-512 of it; `account` is the account's uuid, for want of its name.

        Raises:
            WrongLogin: no such account or user, or another password.
            TooManyLogins: the principal holds 500 already.
            Unavailable: the database does not answer.
        """
        proven = await self.prove(password, account_name, account=account, user_name=user_name)
        return await self.begin(proven, object_id(self._platform.entropy))

    async def prove(
        self, password: str, account_name: str, *, account: str = "", user_name: str = ""
    ) -> Proven:
        """Whose password it is; opens nothing.

        Raises:
            WrongLogin: no such account or user, or another password.
            Unavailable: the database does not answer.
        """
        known = await find_password(self._platform, account_name, account, user_name)
        if not await self._hashing.fits(known.hash if known else None, password) or known is None:
            raise wrong()
        return Proven(known.principal, known.user, password=known)

    async def begin(self, proven: Proven, uuid: str) -> LoginSession:
        """A login under this uuid, which nobody must be able to guess.

        Raises:
            WrongLogin: password or key changed meanwhile.
            TooManyLogins: the principal holds 500 already.
            Unavailable: the database does not answer.
        """
        now = self._platform.clock()
        login = LoginSession(
            digest=rows.digest_of(uuid),
            principal=proven.principal,
            user=proven.user,
            created=now,
            expires=now + self._timeout,
            key=proven.key,
        )
        endings = self._endings
        await self._platform.db.write(_add, login, proven, now)
        # One that ended while it was written must not live on in memory.
        if endings == self._endings:
            self._hold(login)
        return replace(login, uuid=uuid)

    async def find(self, uuid: str) -> LoginSession:
        """The login of a call, which lives on for the timeout from now, or longer if it was to.

        One that was made for another login ends when it was to.

        Raises:
            LoginExpired: it is unknown, has ended or expired.
            Unavailable: the database does not answer.
        """
        digest, now = rows.digest_of(uuid), self._platform.clock()
        held = self._known(digest) or await self._load(digest)
        if held is None or held.login.expires <= now:
            self._held.pop(digest, None)
            raise expired()
        if held.login.parent:
            return held.login
        expires = max(held.login.expires, now + self._timeout)
        held.login = replace(held.login, expires=expires)
        if expires - held.written >= self._lag:
            with suppress(Unavailable):  # memory knows it; what only looks needs no disk
                await self._write(held)
        return held.login

    async def look(self, uuid: str) -> LoginSession:
        """The login of a call that writes nothing: it does not prolong it.

        Raises:
            LoginExpired: it is unknown, has ended or expired.
            Unavailable: the database does not answer.
        """
        digest = rows.digest_of(uuid)
        held = self._known(digest) or await self._load(digest)
        if held is None or held.login.expires <= self._platform.clock():
            raise expired()
        return held.login

    async def valid(self, uuid: str) -> bool:
        """True if a call with this login would be served now; does not prolong it.

        Raises:
            Unavailable: the database does not answer.
        """
        digest = rows.digest_of(uuid)
        held = self._known(digest)
        login = held.login if held else await self._platform.db.read(rows.find, digest)
        return login is not None and login.expires > self._platform.clock()

    async def close(self, uuid: str) -> None:
        """End a login and all that was made for it; of an unknown one there is nothing to end.

        Raises:
            Unavailable: the database does not answer.
        """
        digest = rows.digest_of(uuid)
        await self._platform.db.write(rows.remove, digest)
        self._drop(lambda login: digest in (login.digest, login.parent))

    async def close_consoles(self, principal: Principal) -> int:
        """End a principal's sessions of the console and all that was made for them; gives how many.

        Raises:
            Unavailable: the database does not answer.
        """
        ended = await self._platform.db.write(rows.remove_consoles, principal)
        self._drop(lambda login: login.principal == principal and rows.is_console(login))
        return ended

    def forget(self, principal: Principal) -> None:
        """All logins of a principal were ended, in the database: none lives on in memory."""
        self._drop(lambda login: login.principal == principal)

    def forget_by_key(self, key: str) -> None:
        """An access key was changed or deleted: what it opened is read from the database again."""
        self._drop(lambda login: login.key == key)

    def drop_made(self, digest: str) -> None:
        """Some of what was made for a login may have ended: it is read from the database again."""
        self._drop(lambda login: login.parent == digest)

    def _drop(self, ended: Callable[[LoginSession], bool]) -> None:
        self._endings += 1
        for digest, held in list(self._held.items()):
            if ended(held.login):
                del self._held[digest]

    async def renew(
        self, uuid: str, actor: Principal, own: LoginSession | None, duration: float | None = None
    ) -> LoginSession:
        """Let a login expire `duration` seconds from now (default: the timeout); own, or by admin.

        Raises:
            Invalid: the duration is out of range.
            Forbidden: it is another's login, or was made for one, with which it ends.
            NotFound: there is none, any more.
            Unavailable: the database does not answer.
        """
        if duration is not None and not SHORTEST <= duration <= LONGEST:
            raise Invalid("duration", f"{duration:g}", f"{SHORTEST} to {LONGEST} seconds")
        digest = rows.digest_of(uuid)
        if not actor.admin and (own is None or own.digest != digest):
            raise Forbidden("zstack:RenewSession", "a login of somebody else")
        now = self._platform.clock()
        held = self._known(digest) or await self._load(digest)
        if held is None or held.login.expires <= now:
            raise NotFound("SessionVO", uuid)
        if held.login.parent:
            raise Forbidden("zstack:RenewSession", "a login that ends with the one it was made for")
        held.login = replace(held.login, expires=now + (duration or self._timeout))
        await self._write(held)
        return replace(held.login, uuid=uuid)

    def _known(self, digest: str) -> _Held | None:
        """What memory knows of a login and may be believed."""
        held = self._held.get(digest)
        if held is None or not self._platform.shared:
            return held
        if 0 <= self._platform.clock() - held.read < _BELIEVED:
            return held
        del self._held[digest]
        return None

    async def _load(self, digest: str) -> _Held | None:
        while True:
            endings = self._endings
            login = await self._platform.db.read(rows.find, digest)
            # One that ended while it was read must not live on in memory.
            if endings == self._endings:
                return self._held.get(digest) or (self._hold(login) if login else None)

    def _hold(self, login: LoginSession) -> _Held:
        if len(self._held) >= _REMEMBERED:
            self._held.clear()
        now = self._platform.clock()
        held = self._held[login.digest] = _Held(login, login.expires, now)
        return held

    async def _write(self, held: _Held) -> None:
        held.written = held.login.expires
        digest = held.login.digest
        if not await self._platform.db.write(rows.move, digest, held.login.expires):
            self._held.pop(digest, None)
            raise expired()


async def purge(platform: Platform) -> None:
    """Forget expired logins and jobs; meant to be called every hour.

    Raises:
        Unavailable: the database does not answer.
    """
    await platform.db.write(_purge, platform.clock())


def _purge(tx: Connection, now: float) -> None:
    rows.sweep(tx, now - _LAG)  # memory may know of a longer life
    job_rows.sweep(tx, now)


def _add(tx: Connection, login: LoginSession, proven: Proven, now: float) -> None:
    if not _stands(tx, proven):  # it changed while it was checked
        raise wrong()
    if rows.count(tx, login.principal, now) >= MOST:
        raise TooManyLogins(
            f"This account has {MOST} logins already: end one of them, or wait until one expires."
        )
    rows.add(tx, login)
    if login.principal.kind == USER:
        users.logged_in(tx, login.principal.id, now)


def _stands(tx: Connection, proven: Proven) -> bool:
    if not proven.key:
        return passwords.of_principal(tx, proven.principal) == proven.password
    key = keys.record(tx, proven.key)
    return key is not None and key.active and key.principal == proven.principal


def wrong() -> WrongLogin:
    """What is told of every proof that is none: not what was wrong with it."""
    return WrongLogin("The account name or the password is wrong.")


def expired() -> LoginExpired:
    """What is told of a login that is no more, or never was."""
    return LoginExpired("The session is invalid or has expired: log in again.")
