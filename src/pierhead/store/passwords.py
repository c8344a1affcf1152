"""Accounts and their users, as those who log in: by names, with the hash of a password."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from pierhead.core.errors import NotFound, Taken
from pierhead.core.principals import Password, Principal
from pierhead.store import tables

_P = tables.passwords
#: Kind of the principal that a user is; an account's is that of `Principal` itself.
USER = "user"


def add(tx: Connection, password: Password) -> None:
    """Store a new user of an account.

    Raises:
        Taken: the account has one of that name.
    """
    try:
        tx.execute(insert(_P).values(_row(password)))
    except IntegrityError as error:
        name = f"{password.account_name}/{password.user_name}"
        raise Taken("UserVO", name, "exists already") from error


def put_account(tx: Connection, password: Password) -> None:
    """Store an account's own password, in place of what it had; its users follow it under a new name."""
    account = password.principal.account
    former = (_P.c.account == account) & (_P.c.user_name == "")
    same = (_P.c.account_name == password.account_name) & (_P.c.user_name == "")
    tx.execute(delete(_P).where(or_(former, same)))
    tx.execute(insert(_P).values(_row(password)))
    users = (_P.c.account == account) & (_P.c.user_name != "")
    tx.execute(update(_P).where(users).values(account_name=password.account_name))


def find(tx: Connection, account_name: str, user_name: str = "") -> Password | None:
    """Who logs in under these names; without a user's name the account itself."""
    found = select(_P).where(_P.c.account_name == account_name, _P.c.user_name == user_name)
    row = tx.execute(found).mappings().first()
    return None if row is None else _password(row)


def of_principal(tx: Connection, principal: Principal) -> Password | None:
    """What an account or user logs in with."""
    row = tx.execute(select(_P).where(_own(principal))).mappings().first()
    return None if row is None else _password(row)


def account_name(tx: Connection, account: str) -> str:
    """Under which name an account (16 digits) logs in.

    Raises:
        NotFound: it has no password yet: no hub has started on this database.
    """
    wanted = select(_P.c.account_name).where(_P.c.account == account, _P.c.user_name == "")
    found = tx.execute(wanted).scalar()
    if found is None:
        raise NotFound("Account", account)
    return found


def change(tx: Connection, password: Password) -> None:
    """Give who has a password another one."""
    tx.execute(update(_P).where(_own(password.principal)).values(hash=password.hash))


def rename(tx: Connection, principal: Principal, name: str) -> None:
    """Let a user log in under another name."""
    tx.execute(update(_P).where(_own(principal)).values(user_name=name))


def remove_of(tx: Connection, principal: Principal) -> bool:
    """Forget a user's password; False when it had none."""
    return bool(tx.execute(delete(_P).where(_own(principal))).rowcount)


def of_account(tx: Connection, account: str) -> list[Password]:
    """An account and its users, the account first."""
    found = select(_P).where(_P.c.account == account).order_by(_P.c.user_name)
    return [_password(row) for row in tx.execute(found).mappings()]


def accounts(tx: Connection) -> list[Password]:
    """All accounts, oldest first."""
    found = select(_P).where(_P.c.user_name == "").order_by(_P.c.created, _P.c.account_name)
    return [_password(row) for row in tx.execute(found).mappings()]


def _own(principal: Principal) -> ColumnElement[bool]:
    return (_P.c.account == principal.account) & (_P.c.principal == principal.id)


def _row(password: Password) -> dict[str, Any]:
    return {
        "account_name": password.account_name,
        "user_name": password.user_name,
        "account": password.principal.account,
        "user": password.user,
        "principal": password.principal.id,
        "hash": password.hash,
        "created": password.created,
    }


def _password(row: RowMapping) -> Password:
    kind = USER if row["user_name"] else "account"
    return Password(
        account_name=row["account_name"],
        user_name=row["user_name"],
        principal=Principal(
            account=row["account"], id=row["principal"], kind=kind, name=row["user_name"]
        ),
        user=row["user"],
        hash=row["hash"],
        created=row["created"],
    )
