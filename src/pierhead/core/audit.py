"""The audit trail: who did what to which object from where, with what outcome.

Entries are numbered without a gap, and each carries a digest over itself and the digest of the one
before, made with a key that does not lie in the database: an entry that is changed, taken out or put
in afterwards breaks the chain.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pierhead.core.principals import Principal
from pierhead.core.redaction import one_line, redacted

Outcome = Literal["Success", "Denied", "Failed"]
#: What an entry may have come by: the dialects, the console's logins, verbs that work on the database,
#: and the platform itself.
DOORS = ("eas", "zstack", "ram", "sts", "console", "cli", "pierhead")
#: Digest before the first entry.
BEGIN = ""
#: Characters of a detail; what is longer is cut to its names.
LONGEST_DETAIL = 4000


@dataclass(frozen=True, slots=True)
class Source:
    """Where a call came from."""

    address: str = ""
    agent: str = ""  #: as the client says
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One deed. All texts are one line each and hold no secrets."""

    at: float  #: epoch seconds
    actor: str  #: principal id; "" = nobody known
    actor_arn: str
    door: str  #: one of DOORS
    action: str  #: `eas:CreateService`, `zstack:LogInByAccount`
    resource: str  #: an ARN or `<type>/<uuid>`; of several the first, then how many more
    outcome: Outcome
    code: str = ""  #: `OK`, or the wire's error code
    request_id: str = ""
    source_ip: str = ""
    user_agent: str = ""
    detail: str = ""  #: JSON object: what was asked for, redacted; "" = nothing
    number: int = 0  #: 1, 2, ... given by the store, like the digest
    digest: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Act:
    """What happened, as a door tells it."""

    door: str
    action: str
    resources: tuple[str, ...]
    code: str  #: `OK`, or the wire's error code
    denied: bool = False  #: it was refused for want of identity or permission
    detail: object = None  #: a JSON value; is redacted


#: What answers of the platform's own doings carry instead of a principal.
PLATFORM = "pierhead"


def entry(act: Act, who: Principal | None, source: Source, now: float) -> Entry:
    """The entry about a deed, safe to be written down."""
    outcome: Outcome = "Success" if act.code == "OK" else "Denied" if act.denied else "Failed"
    known = who is not None and bool(who.id)
    return Entry(
        at=now,
        actor=one_line(who.id, 128) if who is not None else "",
        actor_arn=one_line(who.arn, 256) if who is not None and known else "",
        door=act.door,
        action=one_line(act.action, 128),
        resource=_resource(act.resources),
        outcome=outcome,
        code=one_line(act.code, 64),
        request_id=one_line(source.request_id, 64),
        source_ip=one_line(source.address, 64),
        user_agent=one_line(source.agent, 200),
        detail=detail_text(act.detail),
    )


def detail_text(value: object) -> str:
    """A JSON value as the text of a detail, redacted and bounded."""
    shown = redacted(value) if value else ""
    if not shown or shown == {"AccessKeyId": ""}:
        return ""
    text = _json(shown)
    if len(text) <= LONGEST_DETAIL:
        return text
    names = [str(name) for name in shown][:50] if isinstance(shown, dict) else []  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
    return _json({"cut": True, "names": names})


def _resource(resources: tuple[str, ...]) -> str:
    if not resources:
        return ""
    first = one_line(resources[0], 400)
    return f"{first} (+{len(resources) - 1})" if len(resources) > 1 else first


def document(one: Entry) -> dict[str, Any]:
    """An entry as it is told: JSON with ASCII only, so that a line stays a line anywhere."""
    return {
        "Number": one.number,
        "Time": one.at,
        "Actor": one.actor,
        "ActorArn": one.actor_arn,
        "Door": one.door,
        "Action": one.action,
        "Resource": one.resource,
        "Outcome": one.outcome,
        "Code": one.code,
        "RequestId": one.request_id,
        "SourceIp": one.source_ip,
        "UserAgent": one.user_agent,
        "Detail": json.loads(one.detail) if one.detail else {},
        "Digest": one.digest,
    }


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


# ---- the chain


def chained(key: bytes, number: int, digest: str, entries: Iterable[Entry]) -> list[Entry]:
    """`entries` numbered on after `number`, each with its digest; `digest` is that of `number`."""
    found: list[Entry] = []
    for one in entries:
        number += 1
        digest = digest_of(key, digest, replace(one, number=number))
        found.append(replace(one, number=number, digest=digest))
    return found


def digest_of(key: bytes, before: str, one: Entry) -> str:
    """The digest of an entry that follows the one with the digest `before`; hex."""
    parts = [
        before,
        one.number,
        one.at,
        one.actor,
        one.actor_arn,
        one.door,
        one.action,
        one.resource,
        one.outcome,
        one.code,
        one.request_id,
        one.source_ip,
        one.user_agent,
        one.detail,
    ]
    return hmac.digest(key, _json(parts).encode(), "sha256").hex()


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the chain: the entry of this number has this digest."""

    number: int
    digest: str

    def text(self, key: bytes) -> str:
        """As it is kept outside the chain, signed."""
        return f"{self.number}:{self.digest}:{self._seal(key)}"

    def _seal(self, key: bytes) -> str:
        return hmac.digest(key, f"mark:{self.number}:{self.digest}".encode(), "sha256").hex()

    @classmethod
    def read(cls, key: bytes, text: str) -> "Mark | None":
        """What `text` wrote; None if it is not what this key signed."""
        number, _, rest = text.partition(":")
        digest, _, seal = rest.partition(":")
        if not (number.isascii() and number.isdigit()):
            return None
        mark = cls(int(number), digest)
        return mark if hmac.compare_digest(seal.encode(), mark._seal(key).encode()) else None


START = Mark(0, BEGIN)


def broken(key: bytes, after: Mark, entries: Iterable[Entry]) -> tuple[Mark, str]:
    """Follows the chain from `after` on: how far it holds, and what is wrong there ("" = nothing)."""
    here = after
    for one in entries:
        if one.number != here.number + 1:
            missing = f"{here.number + 1} to {one.number - 1}"
            return here, f"entries {missing} are missing"
        right = digest_of(key, here.digest, one)
        if not hmac.compare_digest(one.digest.encode("utf-8", "replace"), right.encode()):
            return here, f"entry {one.number} is not what was written, or not in its place"
        here = Mark(one.number, one.digest)
    return here, ""


def same_key(seed: bytes) -> bytes:
    """The chain's key, from the secret that lies beside the database."""
    return hashlib.blake2b(b"pierhead audit", key=seed[:64]).digest()
