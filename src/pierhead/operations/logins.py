"""Logins: opened by a password, used with every call, ended by a call, by silence or by purging.

Expiry slides: every call sets it anew. In memory it is exact; the database hears of it at most every
30 seconds or tenth of the timeout, whichever is shorter, so that a killed hub shortens the lives of
its logins by no more than that. A login that another hub ended is refused here as late.
"""

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
from pierhead.store import logins as rows
from pierhead.store import passwords, users

#: Logins that a principal may hold at a time.
MOST = 500
#: Seconds that a renewal may ask for.
SHORTEST, LONGEST = 60, 31_536_000
#: The database may lag behind by so many seconds at most.
_LAG = 30.0
#: Logins in memory; more than that are read from the database again.
_REMEMBERED = 4096


@dataclass(slots=True)
class _Held:
    login: LoginSession
    written: float  #: the expiry that the database knows


class Logins:
    """All logins of one hub."""

    def __init__(self, platform: Platform, hashing: Hashing, timeout: float = 7200.0) -> None:
        """`timeout`: seconds of silence after which a login ends."""
        self._platform, self._hashing, self._timeout = platform, hashing, timeout
        self._lag = min(_LAG, timeout / 10)
        self._held: dict[str, _Held] = {}
        self._endings = 0
        platform.endings.hear_of_logins(self.forget)

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
        known = await find_password(self._platform, account_name, account, user_name)
        if not await self._hashing.fits(known.hash if known else None, password) or known is None:
            raise _wrong()
        now = self._platform.clock()
        uuid = object_id(self._platform.entropy)
        login = LoginSession(
            digest=rows.digest_of(uuid),
            principal=known.principal,
            user=known.user,
            created=now,
            expires=now + self._timeout,
        )
        endings = self._endings
        await self._platform.db.write(_add, login, known, now)
        # One that ended while it was written must not live on in memory.
        if endings == self._endings:
            self._hold(login)
        return replace(login, uuid=uuid)

    async def find(self, uuid: str) -> LoginSession:
        """The login of a call, which lives on for the timeout from now, or longer if it was to.

        Raises:
            LoginExpired: it is unknown, has ended or expired.
            Unavailable: the database does not answer.
        """
        digest, now = rows.digest_of(uuid), self._platform.clock()
        held = self._held.get(digest) or await self._load(digest)
        if held is None or held.login.expires <= now:
            self._held.pop(digest, None)
            raise _expired()
        expires = max(held.login.expires, now + self._timeout)
        held.login = replace(held.login, expires=expires)
        if expires - held.written >= self._lag:
            with suppress(Unavailable):  # memory knows it; what only looks needs no disk
                await self._write(held)
        return held.login

    async def valid(self, uuid: str) -> bool:
        """True if a call with this login would be served now; does not prolong it.

        Raises:
            Unavailable: the database does not answer.
        """
        digest = rows.digest_of(uuid)
        held = self._held.get(digest)
        login = held.login if held else await self._platform.db.read(rows.find, digest)
        return login is not None and login.expires > self._platform.clock()

    async def close(self, uuid: str) -> None:
        """End a login; of an unknown one there is nothing to end.

        Raises:
            Unavailable: the database does not answer.
        """
        digest = rows.digest_of(uuid)
        await self._platform.db.write(rows.remove, digest)
        self._endings += 1
        self._held.pop(digest, None)

    def forget(self, principal: Principal) -> None:
        """All logins of a principal were ended, in the database: none lives on in memory."""
        self._endings += 1
        for digest, held in list(self._held.items()):
            if held.login.principal == principal:
                del self._held[digest]

    async def renew(
        self, uuid: str, actor: Principal, own: LoginSession | None, duration: float | None = None
    ) -> LoginSession:
        """Let a login expire `duration` seconds from now (default: the timeout); own, or by admin.

        Raises:
            Invalid: the duration is out of range.
            Forbidden: it is another's login.
            NotFound: there is none, any more.
            Unavailable: the database does not answer.
        """
        if duration is not None and not SHORTEST <= duration <= LONGEST:
            raise Invalid("duration", f"{duration:g}", f"{SHORTEST} to {LONGEST} seconds")
        digest = rows.digest_of(uuid)
        if not actor.admin and (own is None or own.digest != digest):
            raise Forbidden("zstack:RenewSession", "a login of somebody else")
        now = self._platform.clock()
        held = self._held.get(digest) or await self._load(digest)
        if held is None or held.login.expires <= now:
            raise NotFound("SessionVO", uuid)
        held.login = replace(held.login, expires=now + (duration or self._timeout))
        await self._write(held)
        return replace(held.login, uuid=uuid)

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
        held = self._held[login.digest] = _Held(login, login.expires)
        return held

    async def _write(self, held: _Held) -> None:
        held.written = held.login.expires
        digest = held.login.digest
        if not await self._platform.db.write(rows.move, digest, held.login.expires):
            self._held.pop(digest, None)
            raise _expired()


async def purge(platform: Platform) -> None:
    """Forget expired logins and jobs; meant to be called every hour.

    Raises:
        Unavailable: the database does not answer.
    """
    await platform.db.write(_purge, platform.clock())


def _purge(tx: Connection, now: float) -> None:
    rows.sweep(tx, now - _LAG)  # memory may know of a longer life
    job_rows.sweep(tx, now)


def _add(tx: Connection, login: LoginSession, password: Password, now: float) -> None:
    if passwords.of_principal(tx, login.principal) != password:  # it changed while it was checked
        raise _wrong()
    if rows.count(tx, login.principal, now) >= MOST:
        raise TooManyLogins(
            f"This account has {MOST} logins already: end one of them, or wait until one expires."
        )
    rows.add(tx, login)
    if login.principal.kind == USER:
        users.logged_in(tx, login.principal.id, now)


def _wrong() -> WrongLogin:
    return WrongLogin("The account name or the password is wrong.")


def _expired() -> LoginExpired:
    return LoginExpired("The session is invalid or has expired: log in again.")
