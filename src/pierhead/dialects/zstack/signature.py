"""Access keys on this wire: `Authorization: ZStack ID:signature` and a `Date`, signed as it is written.

The signature is base64 of HMAC-SHA1 over method, date and path; query and body are not covered, so a
request can be repeated with other contents within the quarter of an hour: TLS belongs before it.
"""

import base64
import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from urllib.parse import unquote_to_bytes
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pierhead.core.errors import WrongLogin
from pierhead.core.ids import Clock
from pierhead.core.principals import AccessKey, Principal
from pierhead.dialects.zstack.calls import Signed
from pierhead.dialects.zstack.errors import TextRefusal

SCHEME = "ZStack"
#: Seconds that a request's date may be from ours, either way.
WINDOW = 900.0
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RFC1123 = re.compile(
    r"(?:[A-Za-z]{3}, *)?(?P<day>\d{1,2}) (?P<month>[A-Za-z]{3}) (?P<year>\d{4}) "
    r"(?P<time>\d\d:\d\d:\d\d)(?: (?P<zone>\S.{0,63}))?",
    re.ASCII,
)
_OFFSET = re.compile(
    r"(?:GMT|UTC)?(?P<sign>[+-])(?P<hours>\d{1,2}):?(?P<minutes>[0-5]\d)?", re.ASCII
)
_UTC = frozenset({"GMT", "UTC", "UT", "Z"})


@dataclass(frozen=True, slots=True)
class Claim:
    """What the header says: this key signed this, like so."""

    key: str
    signature: str


@dataclass(frozen=True, slots=True)
class Judge:
    """Says whose request it is; `Doors.judge_signature` of a platform."""

    find_key: Callable[[str], Awaitable[AccessKey | None]]
    clock: Clock
    used: Callable[[str], None] = lambda _key: None  #: takes the id of a key that signed something

    async def __call__(self, signed: Signed) -> Principal:
        """The principal whose key signed the request.

        Raises:
            TextRefusal: the date is missing, unreadable or too far from now.
            WrongLogin: the key is unknown, off, expired or temporary, or did not sign this.
            Unavailable: the database does not answer.
        """
        now = self.clock()
        check_date(signed.headers.get("date", ""), now)
        claim = read(signed.headers.get("authorization", ""))
        principal = verify(signed, claim, await self.find_key(claim.key), now)
        self.used(claim.key)
        return principal


def read(authorization: str) -> Claim:
    """Take the header apart.

    Raises:
        WrongLogin: it is not `ZStack ID:signature`.
    """
    key, colon, signature = authorization.strip().removeprefix(SCHEME).strip().partition(":")
    if not colon or not key:
        raise WrongLogin("wrong accessKey signature: the header is not `ZStack ID:signature`")
    return Claim(key, signature.strip())


def verify(signed: Signed, claim: Claim, key: AccessKey | None, now: float) -> Principal:
    """The key's owner, if the key is good and signed this.

    Raises:
        WrongLogin: the key is unknown, off, expired or temporary, or did not sign this.
    """
    if key is None or not key.active or (key.expires is not None and key.expires <= now):
        raise WrongLogin(f"access key id [{claim.key[:128]}] is unknown here, or not enabled")
    if key.session_token:
        raise WrongLogin(
            f"access key id [{claim.key[:128]}] is a temporary one; use a permanent one"
        )
    given = claim.signature.encode(errors="replace")
    if not any([hmac.compare_digest(given, sign(key.secret, text)) for text in strings(signed)]):
        raise WrongLogin(
            "wrong accessKey signature: it has to be over the method, the Date header as it is sent, "
            "and the path after /zstack without its query"
        )
    return key.principal


def strings(signed: Signed) -> list[bytes]:
    """What a client may have signed: with the path as it is sent, and decoded."""
    raw = signed.raw_path.encode("latin-1", "replace")
    head = f"{signed.method}\n{signed.headers.get('date', '')}\n".encode("latin-1", "replace")
    return [head + path for path in dict.fromkeys((raw, unquote_to_bytes(raw)))]


def sign(secret: str, text: bytes) -> bytes:
    """The signature of a text, base64."""
    return base64.b64encode(hmac.digest(secret.encode(), text, "sha1"))


def check_date(text: str, now: float) -> None:
    """Demand that the request was dated just now.

    Clients write zones that others do not know, or the right zone with another one's time. So it is
    enough that either reading fits: with the zone as it is written, or as our own local time.

    Raises:
        TextRefusal: the date is missing, unreadable or too far from now.
    """
    if not text.strip():
        raise TextRefusal(400, "missing header 'Date'")
    found = _rfc1123(text.strip()) or _iso(text.strip())
    if found is None:
        raise TextRefusal(400, f"the header 'Date' cannot be read: [{text[:80]}]")
    wall, zone = found
    here = datetime.fromtimestamp(now, UTC).astimezone().replace(tzinfo=None)
    readings = [abs((wall - here).total_seconds())]
    if zone is not None:
        there = datetime.fromtimestamp(now, UTC).astimezone(zone).replace(tzinfo=None)
        readings.append(abs((wall - there).total_seconds()))
    if min(readings) > WINDOW:
        raise TextRefusal(403, "requestTimeTooSkewed")


def _rfc1123(text: str) -> tuple[datetime, tzinfo | None] | None:
    """The time on the clock, and its zone where it is one that we know."""
    shape = _RFC1123.fullmatch(text)
    if shape is None or shape["month"].title() not in _MONTHS:
        return None
    month = _MONTHS.index(shape["month"].title()) + 1
    try:
        wall = datetime.fromisoformat(
            f"{shape['year']}-{month:02}-{int(shape['day']):02}T{shape['time']}"
        )
    except ValueError:
        return None
    return wall, _zone(shape["zone"] or "")


def _iso(text: str) -> tuple[datetime, tzinfo | None] | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=None), moment.tzinfo


def _zone(name: str) -> tzinfo | None:
    if name.upper() in _UTC:
        return UTC
    offset = _OFFSET.fullmatch(name)
    if offset is not None and int(offset["hours"]) < 24:
        ahead = timedelta(hours=int(offset["hours"]), minutes=int(offset["minutes"] or 0))
        return timezone(ahead if offset["sign"] == "+" else -ahead)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None  # `CST` is three zones at once
