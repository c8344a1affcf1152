"""What a case of the smuggling corpus is, and which outcomes RFC 9110 and RFC 9112 leave open for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from contract.wire import AUTH, HOST, Message

#: Follows each case in the same packet. It may reach the engine as itself, or not at all.
CANARY = b"GET /api/predict/foo/canary HTTP/1.1\r\n" + HOST + AUTH + b"Connection: close\r\n\r\n"
#: Hidden in the bodies of cases. It may reach the engine within a body only.
SMUGGLED = b"GET /api/predict/foo/smuggled HTTP/1.1\r\n" + HOST + AUTH + b"\r\n"


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a case."""

    statuses: Sequence[int]  #: of the whole answers, in order
    messages: Sequence[Message]  #: that reached the engine, the canary's left out
    canary: bool  #: the canary reached the engine
    ended: str  #: `closed`, `reset`, or `waits`


@dataclass(frozen=True, slots=True)
class Refused:
    """The message's end is not known: one answer, nothing reaches the engine, the connection ends."""

    statuses: tuple[int, ...] = (400,)
    large: bool = False  #: a reset may destroy the answer: the client was still sending
    stays: bool = False  #: the connection may stay open while what was announced is thrown away

    def wrong(self, seen: Seen) -> str:
        """Why this is not what came; empty if it is."""
        if seen.messages or seen.canary:
            return "something reached the engine"
        if self.large and seen.ended == "reset" and not seen.statuses:
            return ""
        if len(seen.statuses) != 1 or seen.statuses[0] not in self.statuses:
            return f"answers {list(seen.statuses)}, not one of {self.statuses}"
        return "the connection stays" if seen.ended == "waits" and not self.stays else ""


@dataclass(frozen=True, slots=True)
class Answered:
    """The gateway answers it by itself; what follows may be served, for where it begins is known."""

    statuses: tuple[int, ...]

    def wrong(self, seen: Seen) -> str:
        if seen.messages:
            return "it reached the engine"
        if not seen.statuses or seen.statuses[0] not in self.statuses:
            return f"answers {list(seen.statuses)}, not one of {self.statuses}"
        if len(seen.statuses) > 1 + seen.canary:
            return f"too many answers: {list(seen.statuses)}"
        return "the connection stays" if seen.ended == "waits" else ""


@dataclass(frozen=True, slots=True)
class Served:
    """Exactly one request reaches the engine, with this in it; the canary after it, or not at all."""

    target: str = "/x"
    method: str = "POST"
    body: bytes = b""
    lacks: tuple[str, ...] = ()  #: headers that may not be there
    has: tuple[tuple[str, str], ...] = ()  #: headers with the one value that each has
    then: str = "canary"  #: `canary`: it is served, too; `closed`: it may not be; `any`

    def wrong(self, seen: Seen) -> str:
        if len(seen.messages) != 1:
            return f"{len(seen.messages)} requests reached the engine"
        if other := self._other(seen.messages[0]):
            return f"the engine got {other}"
        if seen.statuses[:1] != [200]:
            return f"answers {list(seen.statuses)}"
        if self.then != "any" and seen.canary != (self.then == "canary"):
            return f"the canary was{'' if seen.canary else ' not'} served"
        return "the connection stays" if seen.ended == "waits" else ""

    def _other(self, message: Message) -> list[str]:
        got = (message.method, message.target, message.body)
        other = [] if got == (self.method, self.target, self.body) else [repr(got)]
        other += [f"a header {name}" for name in self.lacks if message.has(name)]
        return other + [
            f"not {name}: {one}" for name, one in self.has if message.has(name) != [one]
        ]


@dataclass(frozen=True, slots=True)
class Waits:
    """It is not whole: no answer, and nothing whole reaches the engine."""

    def wrong(self, seen: Seen) -> str:
        if seen.messages or seen.canary or seen.statuses:
            return f"answers {list(seen.statuses)}, or something reached the engine"
        return "" if seen.ended == "waits" else f"the connection was {seen.ended}"


Outcome = Refused | Answered | Served | Waits


@dataclass(frozen=True, slots=True)
class Case:
    """One request, or what looks like one, and each outcome that is right."""

    name: str
    sent: bytes
    right: tuple[Outcome, ...]

    @property
    def may_wait(self) -> bool:
        """No answer is right."""
        return any(isinstance(each, Waits) for each in self.right)

    @property
    def may_stay(self) -> bool:
        """An answer after which the connection stays is right."""
        return any(isinstance(each, Refused) and each.stays for each in self.right)


def case(name: str, sent: bytes, *right: Outcome) -> Case:
    return Case(name, sent, right or (Refused(),))


def head(first: str, *lines: bytes, host: bytes = HOST, auth: bytes = AUTH) -> bytes:
    """A request's head of this first line; `lines` stand between the host and the token."""
    return (
        first.encode("latin-1")
        + b"\r\n"
        + host
        + b"".join(x + b"\r\n" for x in lines)
        + auth
        + b"\r\n"
    )


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """A POST to `foo/x` with these lines, and these bytes after it."""
    return head("POST /api/predict/foo/x HTTP/1.1", *lines) + body


def get(target: str = "/api/predict/foo/x", *lines: bytes) -> bytes:
    """A GET of this target with these lines."""
    return head(f"GET {target} HTTP/1.1", *lines)


def raw_target(target: bytes) -> bytes:
    """A GET of a target that may not be text."""
    return b"GET " + target + b" HTTP/1.1\r\n" + HOST + AUTH + b"\r\n"
