"""The account's first key pair, and temporary credentials.

`DIR/credentials.json` (0600) is written once, at the first start, before any port opens, and is the
truth ever after: its key pair is put into the database again at each start.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pierhead.bootstrap.audit import by_operator
from pierhead.bootstrap.secret_files import (
    engine_secret,
    internal_key,
    storage_key,
    write_private,
)
from pierhead.core.errors import PierheadError
from pierhead.core.ids import ALPHABET
from pierhead.core.principals import AccessKey, BearerToken, Principal
from pierhead.operations.secret_box import SecretBox
from pierhead.settings import Settings
from pierhead.store import db, keys

#: Longest life of a temporary credential, in seconds.
LONGEST = 12 * 3600.0
SHORTEST = 60.0


class BadCredentials(PierheadError):
    """The credentials file is damaged, or a wish about credentials is not legal."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the credentials file holds, and the internal secrets beside it."""

    account: str
    key: AccessKey
    internal_key: str  #: between hub and gateway
    engine_secret: bytes  #: engines' own keys are derived from it
    zstack_account: str  #: name of the account in the ZStack dialect
    zstack_password: str = field(repr=False)


def load_or_create(settings: Settings) -> Credentials:
    """Read the credentials, or make them at the first start; endpoints are brought up to date.

    Raises:
        BadCredentials: the file is there but cannot be used.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    document = (
        _read(settings.credentials_file) if settings.credentials_file.exists() else _new(settings)
    )
    wanted = document | {"region": settings.region, "endpoints": _endpoints(settings)}
    wanted.setdefault("zstack", _zstack())
    wanted.pop("certificate", None)
    if settings.tls:
        wanted["certificate"] = str(settings.tls_certificate)
    if not settings.credentials_file.exists() or wanted != document:
        write_private(settings.credentials_file, json.dumps(wanted, indent=2).encode() + b"\n")
    return _credentials(settings, wanted)


def key_id(settings: Settings) -> str | None:
    """Id of the folder's key pair; None before the first start.

    Raises:
        BadCredentials: the file is there but cannot be used.
    """
    if not settings.credentials_file.exists():
        return None
    return str(_read(settings.credentials_file)["access_key_id"])


def of_account(settings: Settings, account: str) -> bytes:
    """The credentials file of a platform that is to be `account`; its key pair stays, or is a new one.

    Raises:
        BadCredentials: the file is there but cannot be used.
    """
    there = settings.credentials_file.exists()
    document = _read(settings.credentials_file) if there else _new(settings)
    return json.dumps(document | {"account_id": account}, indent=2).encode() + b"\n"


def issue_sts(settings: Settings, duration: float) -> AccessKey:
    """A temporary key pair with a session token, valid for `duration` seconds.

    Raises:
        BadCredentials: the duration is not between one minute and twelve hours.
        Unavailable: the database does not answer.
    """
    account = _existing(settings)["account_id"]
    key = AccessKey(
        id="STS." + _text(24),
        secret=_text(40),
        principal=Principal(account=account, id=account, kind="account"),
        session_token=secrets.token_urlsafe(96),
        expires=_expiry(duration),
        created=time.time(),
    )
    box = SecretBox(storage_key(settings.data_dir))
    told = by_operator(
        settings, "pierhead:IssueTemporaryKey", f"AccessKeyVO/{key.id}", {"Seconds": duration}
    )
    _write(settings, lambda connection: (keys.put(connection, box, key), told(connection)))
    return key


def issue_bearer(settings: Settings, duration: float) -> str:
    """A bearer token for API calls, valid for `duration` seconds; only its digest is kept.

    Raises:
        BadCredentials: the duration is not between one minute and twelve hours.
        Unavailable: the database does not answer.
    """
    account = _existing(settings)["account_id"]
    token = secrets.token_urlsafe(48)
    digest = hashlib.sha256(token.encode()).hexdigest()
    bearer = BearerToken(
        digest=digest, principal=Principal(account=account, id=account), expires=_expiry(duration)
    )
    told = by_operator(
        settings, "pierhead:IssueBearerToken", f"BearerToken/{digest[:12]}", {"Seconds": duration}
    )
    _write(settings, lambda connection: (keys.put_bearer(connection, bearer), told(connection)))
    return token


def _existing(settings: Settings) -> dict[str, Any]:
    if not settings.credentials_file.exists():
        raise BadCredentials(
            f"{settings.credentials_file} does not exist: start the platform once (`pierhead up`)."
        )
    return _read(settings.credentials_file)


def _expiry(duration: float) -> float:
    if not SHORTEST <= duration <= LONGEST:
        raise BadCredentials(
            f"A duration of {duration:g} s is not legal: from {SHORTEST:g} s to {LONGEST:g} s."
        )
    return time.time() + duration


def _write(settings: Settings, fn: "Callable[[db.Connection], object]") -> None:
    engine = db.connect(settings.database, writing=True)
    try:
        db.run(engine, fn)
    finally:
        engine.dispose()


def _new(settings: Settings) -> dict[str, Any]:
    return {
        "region": settings.region,
        "account_id": "".join(secrets.choice("0123456789") for _ in range(15)).rjust(16, "1"),
        "access_key_id": "LTAI5t" + _text(18),
        "access_key_secret": _text(30),
        "zstack": _zstack(),
        "endpoints": _endpoints(settings),
    }


def _zstack() -> dict[str, str]:
    return {"account": "admin", "password": _text(20)}


def _endpoints(settings: Settings) -> dict[str, str]:
    hub = settings.hub_endpoint
    return {"eas": hub, "zstack": f"{hub}/zstack", "gateway": settings.gateway_endpoint}


def _credentials(settings: Settings, document: dict[str, Any]) -> Credentials:
    account = document["account_id"]
    key = AccessKey(
        id=document["access_key_id"],
        secret=document["access_key_secret"],
        principal=Principal(account=account, id=account),
    )
    return Credentials(
        account=account,
        key=key,
        internal_key=internal_key(settings.data_dir),
        engine_secret=engine_secret(settings.data_dir),
        zstack_account=document["zstack"]["account"],
        zstack_password=document["zstack"]["password"],
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
        texts = [document[name] for name in ("account_id", "access_key_id", "access_key_secret")]
        login = document.get("zstack", _zstack())
        texts += [login["account"], login["password"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadCredentials(
            f"{path} cannot be used ({error!r}): restore it from a backup, or move it away to get a new key pair at the next start."
        ) from error
    if not all(isinstance(text, str) and text for text in texts):
        raise BadCredentials(f"{path} lacks a key pair, an account id, or an account's password.")
    return document


def _text(length: int) -> str:
    letters = ALPHABET + ALPHABET[:26].upper()
    return "".join(secrets.choice(letters) for _ in range(length))
