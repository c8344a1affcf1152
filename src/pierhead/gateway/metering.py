"""How many tokens a request took: read off its answer as the bytes pass. Pure; knows of no server.

An answer in one piece tells its `usage`, a stream in its last event. Where it was the gateway that
asked a stream for that event, the event is taken out again; every other byte goes on as it came.
"""

import json
import re
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

from pydantic_core import from_json

from pierhead.gateway.asking import Asked
from pierhead.gateway.figures import Tokens
from pierhead.gateway.prompt_size import about
from pierhead.gateway.usage_figures import Figures, figures_of, native_of

#: A JSON answer up to this size is read as a whole; of a larger one the two ends are looked at.
_WHOLE: Final = 256 * 1024
_END: Final = 64 * 1024
#: An event that is larger is not the one with the usage: it goes on in pieces.
_EVENT_LIMIT: Final = 64 * 1024
_EVENT: Final = re.compile(rb".*?\n\r?\n", re.DOTALL)
_USAGE: Final = re.compile(rb'"usage"\s*:\s*\{')
_NATIVE: Final = b'"tokens_evaluated"'
_MARKS: Final = (b"\n\n", b"\n\r\n")  #: the ends of events
_DONE: Final = re.compile(
    rb"(?:^|[\r\n])data: ?\[DONE\]"
)  # a line of its own: text may say the same
_DONE_WITHIN: Final = 32  #: bytes of the end
#: The key itself, not its name in a string's own text: there the quotes have a backslash before them.
_LOOSE: Final = re.compile(r'(?<!\\)"usage"\s*:\s*(?=\{)')
_DECODER: Final = json.JSONDecoder()


Counted = Tokens
NOTHING: Final = Counted()


class Count(Protocol):
    """Counts one answer, chunk by chunk."""

    strips: bool  #: what goes on may be less than what came

    @property
    def written(self) -> int:
        """Tokens that came so far, of a stream."""
        ...

    def passed(self, data: bytes, *, last: bool) -> bytes:
        """What of the answer goes on to the client."""
        ...

    @property
    def ended(self) -> bool:
        """Nothing that counts will come any more."""
        ...

    @property
    def counted(self) -> Counted:
        """By what came so far."""
        ...


def whole_of(asked: Asked, body: bytes) -> Counted:
    """What an answer in one piece took, all of which is there."""
    if not asked.is_plural and (told := _last_usage(body)) is not None:
        return told
    whole = Whole(asked)
    whole.passed(body, last=True)
    return whole.counted


def counting(asked: Asked, status: int, kind: bytes, *, coded: bool, told: bool) -> Count:
    """What counts an answer of this media type.

    `coded`: it is compressed; `told`: it was the gateway that asked for the usage.
    """
    if kind == b"text/event-stream" and not coded:
        return Events(asked, strips=told)
    if kind == b"application/json" and not coded:
        return Whole(asked)
    return Opaque(asked if asked.writes and status == HTTPStatus.OK else None)


class Awaited:
    """An answer whose client left before it began: its prompt was worked on all the same."""

    strips = False
    ended = False
    written = 0

    def __init__(self, asked: Asked) -> None:
        self.counted = Counted(asked.guess, guessed=True) if asked.writes else NOTHING

    def passed(self, data: bytes, *, last: bool) -> bytes:
        del last
        return data


class Opaque:
    """An answer that cannot be read: what an engine wrote is guessed by its size."""

    strips = False
    ended = False
    written = 0

    def __init__(self, asked: Asked | None) -> None:
        """`asked`: None if it is no answer that an engine made up."""
        self._asked, self._size = asked, 0

    def passed(self, data: bytes, *, last: bool) -> bytes:
        del last
        self._size += len(data)
        return data

    @property
    def counted(self) -> Counted:
        if self._asked is None:
            return NOTHING
        return Counted(self._asked.guess, about(self._size), guessed=True)


class Whole:
    """An answer in one piece."""

    strips = False
    ended = False
    written = 0

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._parts: list[bytes] = []
        self._size = 0  # of what is kept
        self._seen = 0
        self._head = b""  # of an answer that is too large to be kept
        self._whole = False

    def passed(self, data: bytes, *, last: bool) -> bytes:
        if data:
            self._parts.append(data)
        self._size += len(data)
        self._seen += len(data)
        self._whole |= last
        if self._size > _WHOLE:
            text = b"".join(self._parts)
            self._head = self._head or text[:_END]
            self._parts, self._size = [text[-_END:]], _END
        return data

    @property
    def counted(self) -> Counted:
        text = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        if self._whole and not self._head:
            if not self._asked.is_plural and (told := _last_usage(text)) is not None:
                return told
            return self._of(_parsed(text))
        found = _loose(self._head) or _loose(text)
        if found is not None:
            return Counted(found.prompt, found.completion)
        if not self._asked.writes:
            return NOTHING
        return Counted(self._asked.guess, about(self._seen), guessed=True)

    def _of(self, document: object) -> Counted:
        if isinstance(document, list):  # the native answers to several prompts
            parts = [native_of(part) for part in cast("list[object]", document)]
            told = [part for part in parts if part is not None]
            return Counted(sum(x.prompt for x in told), sum(x.completion for x in told))
        figures = figures_of(document) or native_of(document)
        if figures is None or not isinstance(document, dict):
            return NOTHING
        found = cast("dict[str, Any]", document)
        choices = found.get("choices")
        if "timings" in found and isinstance(choices, list) and len(cast("list[Any]", choices)) > 1:
            # llama.cpp tells the usage of the first one alone.
            many, prompts = len(cast("list[Any]", choices)), self._asked.prompts
            return Counted(figures.prompt * prompts, figures.completion * many, guessed=True)
        return Counted(figures.prompt, figures.completion)


class Events:
    """A stream of events."""

    def __init__(self, asked: Asked, *, strips: bool) -> None:
        self._asked, self.strips = asked, strips
        self._rest = b""  # of an event whose end did not come yet
        self.events = 0  #: that came so far
        self._told: Figures | None = None  # by events that tell all there is
        self._each: list[Figures] = []  # by events that each tell of one answer of several
        self._so_far = b""  # the last native event, which tells what there was until then
        self._final = False  # the usage is not only what there was until then
        self.ended = False

    def passed(self, data: bytes, *, last: bool) -> bytes:
        text = self._rest + data if self._rest else data
        end = len(text) if last else _events_end(text)
        if len(text) - end > _EVENT_LIMIT:
            end = len(text)
        whole, self._rest = text[:end], text[end:]
        kept = self._read(whole) if whole else whole
        return kept if self.strips else data

    @property
    def written(self) -> int:
        return self.events

    @property
    def is_between(self) -> bool:
        """Did all that came end with an event?"""
        return not self._rest

    @property
    def counted(self) -> Counted:
        if self._each:
            prompt = sum(each.prompt for each in self._each) // self._asked.copies
            completion = sum(each.completion for each in self._each)
            expected = self._asked.copies * self._asked.prompts
            return Counted(prompt, completion, guessed=len(self._each) < expected)
        if self._told is not None:
            told = self._told
            if self._final or self.ended:
                return Counted(told.prompt, told.completion)
            return Counted(told.prompt, max(told.completion, self.events), guessed=True)
        so_far = native_of(_document(self._so_far)) if self._so_far else None
        if so_far is not None:
            return Counted(so_far.prompt, so_far.completion, guessed=True)
        if not self._asked.writes:
            return NOTHING
        return Counted(self._asked.guess, self.events, guessed=True)

    def _read(self, whole: bytes) -> bytes:
        """Takes note of whole events; what of them goes on."""
        # With `in` Python 3.11 makes up an error first, and throws it away: hence `find`.
        self.events += whole.count(b"\n\n")
        if whole.find(b"\r") >= 0:
            self.events += whole.count(b"\n\r\n")
        tail = max(0, len(whole) - _DONE_WITHIN)
        if whole.find(b"[DONE]", tail) >= 0 and _DONE.search(whole, tail):
            self.events -= 1
            self.ended = True
        if whole.find(_NATIVE) >= 0:
            self._read_native(whole)
        at = whole.find(b'"usage"')
        if at < 0 or not _USAGE.search(whole, at):
            return whole
        events, left_over = _events(whole)
        kept = [event for event in events if not self._is_extra(event)]
        if left_over and not self._is_extra(left_over):
            kept.append(left_over)
        return b"".join(kept)

    def _is_extra(self, event: bytes) -> bool:
        """Takes note of the usage that it tells; whether it is there for nothing else."""
        at = event.find(b'"usage"')
        if at < 0 or not _USAGE.search(event, at):
            return False
        document = _document(event)
        figures = figures_of(document)
        if figures is None or not isinstance(document, dict):
            return False
        found = cast("dict[str, Any]", document)
        alone = found.get("choices") == []
        if "timings" in found and "choices" in found:
            self._each.append(figures)
        else:
            self._told = figures.after(self._told)
            self._final |= alone or found.get("type") in {"message_delta", "response.completed"}
        return self.strips and alone

    def _read_native(self, whole: bytes) -> None:
        for event in _events(whole)[0]:
            if event.find(_NATIVE) < 0:
                continue
            self._so_far = event
            if b'"stop":true' in event and (figures := native_of(_document(event))):
                self._each.append(figures)


def _events(whole: bytes) -> tuple[list[bytes], bytes]:
    """Each with its end, and what comes after the last one."""
    if whole.find(b"\r") >= 0:
        events: list[bytes] = _EVENT.findall(whole)
        return events, whole[sum(map(len, events)) :]
    parts = whole.split(b"\n\n")
    return [part + b"\n\n" for part in parts[:-1]], parts[-1]


def _events_end(text: bytes) -> int:
    """Where the last whole event ends."""
    if text.endswith(b"\n\n"):
        return len(text)
    ends = [at + len(mark) for mark in _MARKS if (at := text.rfind(mark)) >= 0]
    return max(ends, default=0)


_PLAIN: Final = re.compile(
    rb'"usage": ?\{(?:"prompt_tokens": ?(\d{1,12}), ?"completion_tokens": ?(\d{1,12})'
    rb'|"completion_tokens": ?(\d{1,12}), ?"prompt_tokens": ?(\d{1,12}))[,}]'
)


def _last_usage(text: bytes) -> Counted | None:
    """The usage of an answer where it stands as nearly all engines write it; None takes a closer look.

    In a string's own text the quotes would have a backslash before them.
    """
    at = text.rfind(b'"usage"')
    found = _PLAIN.match(text, at) if at >= 0 else None
    if found is None or text.rfind(b'"usage"', 0, at) >= 0 or text.find(b"_input_tokens", at) >= 0:
        return None
    read, written, first, last = found.groups()
    return Counted(int(read or last), int(written or first))


def _parsed(text: bytes) -> object:
    """A JSON document; None if it is none."""
    try:
        return from_json(text, cache_strings="keys")
    except ValueError:
        pass  # deep nesting, another coding: slower, and rare
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _document(event: bytes) -> object:
    """The JSON that an event carries; None if it carries none."""
    return _parsed(b"\n".join(line[5:] for line in event.splitlines() if line.startswith(b"data:")))


def _loose(text: bytes) -> Figures | None:
    """The last usage that a part of an answer tells."""
    readable = text.decode("utf-8", "replace")
    found: Figures | None = None
    for key in _LOOSE.finditer(readable):
        try:
            value, _ = _DECODER.raw_decode(readable, key.end())
        except (ValueError, RecursionError):
            continue
        found = figures_of({"usage": value}) or found
    return found
