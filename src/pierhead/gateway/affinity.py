"""Which replica has a prompt's beginning in its cache: like prompts go to the same one. Pure.

An engine keeps what it computed for a prompt; the next prompt that begins the same way is spared that
part. So the gateway remembers, for each service, where the beginnings of prompts went: as hashes of
growing beginnings, one per block of text, of which the longest that is known wins. What a client names
as a session goes before that.

A favoured replica is taken only while it is little busier than the least busy one: a cache is worth
less than a queue.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, cast

from pierhead.core.routes import Target
from pierhead.gateway.served import Change

BLOCK: Final = 256  #: bytes of text that one hash stands for: about 64 tokens
MOST_TEXT: Final = 8192  #: bytes of a prompt that are looked at
REMEMBERED: Final = 4096  #: beginnings per service; the least recently used ones go first
HOLDERS: Final = 8  #: replicas that are remembered of one beginning
SLACK: Final = (
    2  #: requests by which a replica that has the prompt may be busier than the least busy one
)
SESSION_SLACK: Final = 16  #: the same for one that a session went to: that was asked for
_TOOLS: Final = 16  #: tools whose names count; they stand at the beginning of the prompt
_LEAST: Final = 8  #: what a message costs of MOST_TEXT at least, so that empty ones have an end
#: Where protocols have their prompts, in the order in which engines put them together.
_PROMPTS: Final = ("system", "instructions", "prompt", "messages", "input")


@dataclass(frozen=True, slots=True)
class Material:
    """What of a request tells where it belongs."""

    blocks: tuple[int, ...] = ()  #: hashes of the prompt's first block, first two blocks, ...
    session: bytes = b""  #: what the client asked to be kept together by; b"" = nothing
    asked: bool = False  #: the session is a wish (`X-Session-Id`), not a hint


NOTHING: Final = Material()


def material(document: Mapping[str, Any] | None, session: str = "") -> Material:
    """What a request tells; `document` is its JSON body, `session` its `X-Session-Id`.

    The hashes are this process's own: another one makes others of the same text.
    """
    if document is None:
        return Material((), _session(session), bool(session)) if session else NOTHING
    hint = document.get("prompt_cache_key")
    key = session or (hint if isinstance(hint, str) else "")
    return Material(_chain(_text(document)), _session(key), bool(session))


@dataclass(slots=True)
class _Entry:
    """A beginning: who had it, the latest last, and whether a whole prompt once ended with it."""

    holders: tuple[str, ...]
    ends: bool = False


class Affinity:
    """What is remembered of one service."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._entries: OrderedDict[int | bytes, _Entry] = OrderedDict()
        self._replicas: set[str] = set()  # all that may be in there

    def __len__(self) -> int:
        """How many beginnings and sessions are remembered."""
        return len(self._entries)

    def choose(
        self, sought: Material, targets: Sequence[Target], outstanding: Mapping[str, int]
    ) -> Target | None:
        """The target that has most of the prompt, unless it is too busy; None = any will do.

        `targets`: those in rotation; `outstanding`: requests in flight per replica, zero left out.
        """
        if len(targets) < 2 or not (sought.blocks or sought.session):
            return None
        least = min(outstanding.get(target.replica, 0) for target in targets)
        if sought.session:
            slack = SESSION_SLACK if sought.asked else SLACK
            held = self._of_session(sought.session, targets)
            if held and outstanding.get(held.replica, 0) <= least + slack:
                return held
            if sought.asked:
                return None
        holders = self._longest(sought.blocks)
        able = [one for one in targets if one.replica in holders]
        if not able:
            return None
        best = min(able, key=lambda one: outstanding.get(one.replica, 0))
        return best if outstanding.get(best.replica, 0) <= least + SLACK else None

    def went(self, sought: Material, replica: str) -> None:
        """A request with this material went to a replica, which has its prompt from now on."""
        self._replicas.add(replica)
        if sought.session:
            self._keep(sought.session, _Entry((replica,)))
        for at, block in enumerate(sought.blocks, 1):
            known = self._entries.get(block)
            ends = at == len(sought.blocks)
            if known is None:
                self._keep(block, _Entry((replica,), ends))
                continue
            known.ends = known.ends or ends
            if known.holders[-1] != replica:
                others = tuple(one for one in known.holders if one != replica)
                known.holders = (*others[1 - HOLDERS :], replica)
            self._entries.move_to_end(block)

    def retain(self, replicas: Collection[str]) -> None:
        """Forget all others: they are gone, and their caches with them."""
        if self._replicas.issubset(replicas):
            return
        self._replicas.intersection_update(replicas)
        for key, entry in list(self._entries.items()):
            if any(one not in replicas for one in entry.holders):
                entry.holders = tuple(one for one in entry.holders if one in replicas)
                if not entry.holders:
                    del self._entries[key]

    def _keep(self, key: int | bytes, entry: _Entry) -> None:
        self._entries[key] = entry
        self._entries.move_to_end(key)
        if len(self._entries) > self._remembered:
            self._entries.popitem(last=False)

    def _of_session(self, session: bytes, targets: Sequence[Target]) -> Target | None:
        """Where it went last, else where every gateway process would send it at first."""
        known = self._entries.get(session)
        for target in targets:
            if known is not None and target.replica in known.holders:
                return target
        return max(
            targets, key=lambda one: blake2b(session, key=one.replica.encode()[:64]).digest()
        )

    def _longest(self, blocks: tuple[int, ...]) -> tuple[str, ...]:
        """Who had the longest known beginning, if it is worth following.

        It is if the prompt goes on where an earlier one ended, or if it is at least half known. Else it
        is new work after a common preamble, which is better shared out than piled up.
        """
        for at in range(len(blocks), 0, -1):
            entry = self._entries.get(blocks[at - 1])
            if entry is not None:
                return entry.holders if entry.ends or at * 2 >= len(blocks) else ()
        return ()


class Affinities:
    """What is remembered of all services, by id."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        """`remembered`: beginnings per service."""
        self._remembered = remembered
        self._services: dict[str, Affinity] = {}

    def of(self, service: str) -> Affinity:
        """Of one service, which has none to begin with."""
        found = self._services.get(service)
        if found is None:
            found = self._services[service] = Affinity(self._remembered)
        return found

    def after(self, change: Change) -> None:
        """Forget services and replicas that a change of the route table took away."""
        for service in change.services.intersection(self._services):
            gate = change.after.get(service)
            if gate is None:
                del self._services[service]
            else:
                self._services[service].retain({one.replica for one in gate.route.targets})


def _session(key: str) -> bytes:
    """A digest, so that a long key costs no memory; what is remembered of prompts is no bytes."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest() if key else b""


def _chain(text: str) -> tuple[int, ...]:
    """A hash of each growing beginning in whole blocks; what is left of a block does not count."""
    content = text.encode("utf-8", "surrogatepass")[:MOST_TEXT]
    found: list[int] = []
    before = 0
    for at in range(BLOCK, len(content) + 1, BLOCK):
        before = hash((before, content[at - BLOCK : at]))
        found.append(before)
    return tuple(found)


def _text(document: Mapping[str, Any]) -> str:
    """The prompt as one text, as far as it is looked at: what engines put first comes first."""
    model = document.get("model")
    parts = [model] if isinstance(model, str) else []
    tools = document.get("tools")
    if isinstance(tools, list):
        parts.extend(map(_tool, cast("list[Any]", tools)[:_TOOLS]))
    left = MOST_TEXT
    for name in _PROMPTS:
        value = document.get(name)
        if isinstance(value, str):
            parts.append(value[:left])
            left -= len(value)
        elif isinstance(value, list):
            left = _messages(cast("list[Any]", value), parts, left)
        if left <= 0:
            break
    return "\x00".join(parts)


def _tool(tool: Any) -> str:
    if not isinstance(tool, dict):
        return ""
    entry = cast("dict[str, Any]", tool)
    inner = entry.get("function")
    name = cast("dict[str, Any]", inner if isinstance(inner, dict) else entry).get("name")
    return name if isinstance(name, str) else ""


def _messages(entries: list[Any], parts: list[str], left: int) -> int:
    """Adds texts, messages, and the texts in messages, nothing deeper; gives how much is left to look at."""
    for entry in entries:
        if left <= 0:
            break
        content: Any = entry
        if isinstance(entry, dict):
            message = cast("dict[str, Any]", entry)
            role = message.get("role")
            if isinstance(role, str):
                parts.append(role[:_LEAST])
            content = message.get("content") or message.get("text")
            if isinstance(content, list):
                texts = map(_inner, cast("list[Any]", content)[:left])
                left = _messages([text for text in texts if isinstance(text, str)], parts, left)
        if isinstance(content, str):
            parts.append(content[:left])
            left -= len(content)
        left -= _LEAST
    return left


def _inner(part: Any) -> Any:
    """The text of a part of a message; of a picture there is none."""
    return cast("dict[str, Any]", part).get("text") if isinstance(part, dict) else part
