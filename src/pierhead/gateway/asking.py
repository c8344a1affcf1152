"""What a request asks an engine for, as far as its path and its body tell: model, stream, size. Pure."""

import json
import re
from functools import cached_property
from math import isfinite
from typing import Any, Final, cast

from pydantic_core import from_json

from pierhead.gateway.form_text import field
from pierhead.gateway.json_text import Member, members
from pierhead.gateway.prompt_size import prompt_tokens

#: Where OpenAI's streams are asked for: their last event tells the usage if one wants it.
_TELLING: Final = frozenset({b"/v1/chat/completions", b"/v1/completions", b"/chat/completions"})
#: Other paths below which engines write text.
_WRITING: Final = frozenset(
    {b"/v1/responses", b"/v1/messages", b"/completion", b"/completions", b"/infill"}
)
#: Paths that read and write nothing: their answers have no tokens.
_READING: Final = (b"embeddings", b"embedding", b"rerank", b"reranking", b"tokenize", b"detokenize")
#: How the protocols call the most tokens that an answer may have.
_MOST: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict")
_COPIES: Final = frozenset({"n", "best_of", "n_cmpl"})
#: Parts of a prompt whose tokens have nothing to do with their bytes: pictures, sounds, files.
_BULKY: Final = (
    b'"image',
    b'"input_image',
    b'"audio',
    b'"input_audio',
    b'"video',
    b'"file',
    b'"multimodal',
)
#: A letter written as a number: a way to name such a part without naming it.
_DISGUISED: Final = re.compile(rb"\\u00[4-7]")
_INCLUDED: Final = '"include_usage":true'
_ASKING: Final = b',"stream_options":{"include_usage":true}'
_WHITE: Final = b" \t\n\r"


class Asked:
    """One request. Its body is read once, and only if somebody wants to know."""

    def __init__(self, method: str, path: bytes, body: bytes, form: bytes = b"") -> None:
        """`path`: as the engine gets it; `form`: what parts the body if it is a form."""
        self.method, self.path, self.body, self.form = method, path, body, form
        self._read: dict[str, Any] | None = None

    @property
    def model(self) -> str | None:
        """The `model` that it names; None if it is no JSON object or form that names one."""
        if self.form:
            found = field(self.body, self.form, b"model")
            return found.text(self.body) if found is not None else None
        model = self.document.get("model")
        return model if isinstance(model, str) else None

    @property
    def streams(self) -> bool:
        """Does it want its answer bit by bit?"""
        return self.document.get("stream") is True

    @property
    def document(self) -> dict[str, Any]:
        """The body, if it is a JSON object; of a key that is there twice the last, as most parsers take it."""
        if self._read is None:
            self._read = self._parsed()
        return self._read

    @property
    def is_plural(self) -> bool:
        """Does it ask for more than one answer, or might it?"""
        document = self.document
        return not _COPIES.isdisjoint(document) or isinstance(document.get("prompt"), list)

    @property
    def writes(self) -> bool:
        """Is it answered by text that an engine makes up?"""
        return self.method == "POST" and (self.path in _TELLING or self.path in _WRITING)

    @property
    def tells(self) -> bool:
        """Is it asked where streams tell their usage in an event of its own, and nothing before?"""
        return self.path in _TELLING

    @property
    def kind(self) -> bytes:
        """What it is one of: a path that engines know by this name, else nothing."""
        last = self.path.rsplit(b"/", 1)[-1]
        return self.path if self.writes else last if last in _READING else b""

    @property
    def idle(self) -> bool:
        """Does it ask for nothing that is counted in tokens?"""
        return self.method in {"GET", "HEAD", "OPTIONS"}

    @cached_property
    def copies(self) -> int:
        """How many answers each prompt is to have."""
        numbers = [_number(each.value) or 1 for each in self._members if each.key in _COPIES]
        return max([1, *numbers])

    @cached_property
    def prompts(self) -> int:
        """How many prompts it has: `/v1/completions` takes a list of them."""
        prompt = self.document.get("prompt")
        if not isinstance(prompt, list):
            return 1
        parts = cast("list[object]", prompt)
        apart = any(isinstance(part, str | list | dict) for part in parts)
        return max(1, len(parts)) if apart else 1

    @property
    def guess(self) -> int:
        """About how many tokens it has itself."""
        return prompt_tokens(self.document, len(self.body))

    def bound(self, excess: int) -> int | None:
        """The most tokens that it and its answer may have; None = nobody can tell.

        A token of text has a byte at least. `excess`: tokens that the engine puts around a prompt.
        """
        if self.method != "POST" or self._is_bulky:
            return None
        if self.path.rsplit(b"/", 1)[-1] in _READING:
            return len(self.body) + excess * max(1, self._inputs)
        most = [_number(each.value) for each in self._members if each.key in _MOST]
        if not self.writes or not most or None in most:
            return None
        longest = max(1, *(number for number in most if number is not None))
        return len(self.body) + (excess + longest * self.copies) * self.prompts

    @property
    def _is_bulky(self) -> bool:
        """May its tokens be more than its bytes?"""
        if _DISGUISED.search(self.body) or any(part in self.body for part in _BULKY):
            return True
        return not self._coding.startswith("utf-8")

    def telling(self) -> bytes | None:
        """The body with `stream_options.include_usage` put in; None if that is of no use.

        It is of none where nothing streams, where it is asked for already, and elsewhere than at OpenAI's paths.
        """
        if self.path not in _TELLING or self.method != "POST" or not self.streams:
            return None
        if "stream_options" not in self.document and b"\0" not in self.body[:4]:
            return _ending_with(self.body, _ASKING)
        try:
            text = self._text
            changed = _including(text, self._members)
            return None if changed is None else changed.encode(self._coding, "surrogatepass")
        except (ValueError, RecursionError, IndexError):
            return None

    @property
    def _inputs(self) -> int:
        given = self.document.get("input")
        given = self.document.get("documents") if given is None else given
        return len(cast("list[object]", given)) if isinstance(given, list) else 1

    def _parsed(self) -> dict[str, Any]:
        if self.method != "POST" or self.body[:64].lstrip()[:1] != b"{":
            return {}
        try:
            found: Any = from_json(self.body)
        except ValueError:
            found = _strange(self.body)
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

    @cached_property
    def _coding(self) -> str:
        return json.detect_encoding(self.body)

    @cached_property
    def _text(self) -> str:
        return self.body.decode(self._coding, "surrogatepass")

    @cached_property
    def _members(self) -> list[Member]:
        if self.method != "POST" or self.body[:64].lstrip()[:1] != b"{":
            return []
        try:
            return members(self._text)
        except (ValueError, RecursionError, IndexError):
            return []  # what is wrong with it is the engine's to say


def _strange(body: bytes) -> object:
    """What only the standard library's reader takes: other codings, lone surrogates, deep nesting."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None  # what is wrong with it is the engine's to say


def _ending_with(body: bytes, member: bytes) -> bytes:
    """An object that is not empty, with one member more."""
    end = len(body.rstrip(_WHITE)) - 1
    last = end
    while body[last - 1] in _WHITE:
        last -= 1
    return body[:last] + member + body[last:]


def _number(value: object) -> int | None:
    """A count that engines take as one; None if it means no bound, or is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return int(value) if value >= 0 and value == int(value) else None


def _including(text: str, found: list[Member]) -> str | None:
    """`text` with the usage asked for; None if it is already, or if its options are nonsense."""
    options = next((each for each in reversed(found) if each.key == "stream_options"), None)
    if options is None:
        end = found[-1].end
        return f'{text[:end]},"stream_options":{{{_INCLUDED}}}{text[end:]}'
    if options.value is None:
        inside: str | None = f"{{{_INCLUDED}}}"
    elif isinstance(options.value, dict):
        inside = _option(text[options.start : options.end])
    else:
        return None
    return None if inside is None else text[: options.start] + inside + text[options.end :]


def _option(text: str) -> str | None:
    found = members(text)
    wish = next((each for each in reversed(found) if each.key == "include_usage"), None)
    if wish is not None:
        return None if wish.value is True else f"{text[: wish.start]}true{text[wish.end :]}"
    if not found:
        return f"{{{_INCLUDED}}}"
    return f"{text[: found[-1].end]},{_INCLUDED}{text[found[-1].end :]}"
