"""Accounts as the ZStack dialect knows them: their uuids, who may do what, and their passwords.

There is one account. Its name and password stand in the credentials file; its users are RAM's, with
the passwords of their login profiles. Clients send the lower-case hex SHA-512 of a password, and what
is kept is argon2id of that text.
"""

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection

from pierhead.core.errors import Invalid
from pierhead.core.ids import fixed_id
from pierhead.core.principals import USER, Password, Principal
from pierhead.operations.platform import Platform
from pierhead.store import logins, passwords, users

T = TypeVar("T")

#: The first account's uuid is the same on every installation, and clients know it.
ADMIN_UUID = "36c27e8ff05c4780bf6d2fa65700f22e"
#: OWASP's choice for argon2id: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: Nobody's: who names an unknown account waits as long as one who errs in the password.
NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$04BLFIIFkDFLhZhVZYeRRQ$mxLS28h3iMoE3/AKw6yfepi4jZCUtbP4mf8i9koadXg"
#: Hashes at a time: each takes 19 MiB and 30 ms of a core.
_AT_A_TIME = 2


class Hashing:
    """Makes and checks hashes in two threads of its own: a flood of logins stops nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="passwords")

    async def make(self, text: str) -> str:
        """A new hash of `text`."""
        return await self._run(lambda: _HASHER.hash(_bytes(text)))

    async def fits(self, known: str | None, text: str) -> bool:
        """True if `known` is a hash of `text`; without one False, after the same time."""
        fits = await self._run(lambda: _fits(known or NOBODY, _bytes(text)))
        return fits and known is not None

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Wait for running checks and end the threads."""
        self._threads.shutdown()


def wire_password(plain: str) -> str:
    """What clients send in place of a password: the lower-case hex SHA-512 of it."""
    return hashlib.sha512(_bytes(plain)).hexdigest()


def account_uuid(platform: Platform, account: str) -> str:
    """The uuid of an account, by its 16 digits."""
    if account == platform.account:
        return ADMIN_UUID
    return fixed_id("account", account)


def user_uuid(platform: Platform, principal: Principal) -> str:
    """The uuid of a principal as a user; an account is its own user."""
    if principal.kind == "account":
        return account_uuid(platform, principal.account)
    return fixed_id("user", f"{principal.account}:{principal.id}")


async def put_admin(platform: Platform, hashing: Hashing, name: str, plain: str) -> bool:
    """Take over the name and password of the credentials file; True when either was new.

    A new password ends the logins that the former one opened.

    Raises:
        Unavailable: the database does not answer.
    """
    principal = Principal(account=platform.account, id=platform.account)
    text = wire_password(plain)
    known = next(iter(await platform.db.read(passwords.of_account, principal.account)), None)
    if known is not None and known.user_name:
        known = None
    # No login, whose time must tell nothing: where nothing is kept, nothing has to be compared.
    same = known is not None and await hashing.fits(known.hash, text)
    if known and same and known.account_name == name and not _HASHER.check_needs_rehash(known.hash):
        return False
    password = Password(
        account_name=name,
        user_name="",
        principal=principal,
        user=account_uuid(platform, principal.account),
        hash=await hashing.make(text),
        created=known.created if known else platform.clock(),
    )
    await platform.db.write(_put_admin, password, not same)
    return True


async def find_password(
    platform: Platform, account_name: str, account: str = "", user_name: str = ""
) -> Password | None:
    """Who would log in under these names; `account` is an account's uuid, for want of its name.

    Raises:
        Unavailable: the database does not answer.
    """
    try:
        if not account_name and account:
            account_name = await _name_of(platform, account)
        return await platform.db.read(passwords.find, account_name, user_name)
    except Invalid:
        return None  # a name that no database can hold is nobody's


async def seen(platform: Platform, actor: Principal) -> list[Password]:
    """The accounts that `actor` may see: admin all of them, others their own.

    Raises:
        Unavailable: the database does not answer.
    """
    found = await platform.db.read(passwords.accounts)
    if actor.admin:
        return found
    return [one for one in found if one.principal.account == actor.account]


async def user_of(platform: Platform, account: str, user: str) -> Principal | None:
    """The principal behind the uuids of an account and of a user; None when there is no such user.

    A user's uuid follows from its id and is stored nowhere, so users are gone through.

    Raises:
        Unavailable: the database does not answer.
    """
    if account != account_uuid(platform, platform.account):
        return None
    if user == account:
        return Principal(platform.account, platform.account)
    return await platform.db.read(_user_of, platform, user)


async def _name_of(platform: Platform, account: str) -> str:
    for one in await platform.db.read(passwords.accounts):
        if account_uuid(platform, one.principal.account) == account:
            return one.account_name
    return ""


def _user_of(tx: Connection, platform: Platform, uuid: str) -> Principal | None:
    for id_, name in users.names(tx):
        principal = Principal(platform.account, id_, USER, name)
        if user_uuid(platform, principal) == uuid:
            return principal
    return None


def _put_admin(tx: Connection, password: Password, changed: bool) -> None:
    passwords.put_account(tx, password)
    if changed:
        logins.remove_of(tx, password.principal)


def _fits(known: str, text: bytes) -> bool:
    try:
        return _HASHER.verify(known, text)
    except (VerificationError, InvalidHashError):
        return False


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
