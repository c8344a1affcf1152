"""About how many tokens a prompt has, by its text. For requests whose engine did not come to tell. Pure.

Only what engines put before the model counts: a body also has names, numbers and punctuation of its own.
Pictures and sounds count as nothing, since their bytes say nothing of their tokens.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

_BYTES_PER_TOKEN = 4  #: of ordinary text
_AROUND = 4  #: tokens that a chat template puts around a message
#: Where the protocols have text: OpenAI's three kinds of prompts, Anthropic's system, llama.cpp's infill.
_TEXTS = ("prompt", "input", "system", "instructions", "input_prefix", "input_suffix", "suffix")
#: Within messages and their parts.
_PARTS = ("content", "text", "arguments", "output", "name", "function", "tool_calls", "input")
_DEEPEST = 8  #: levels of parts within parts


def about(size: int) -> int:
    """About how many tokens so many bytes of text are; 1 at least."""
    return max(1, size // _BYTES_PER_TOKEN)


def prompt_tokens(document: Mapping[str, Any], size: int) -> int:
    """About how many tokens a request has; `size`: of its body in bytes, for what has no prompt."""
    tokens = sum(_tokens(document[key]) for key in _TEXTS if key in document)
    messages = document.get("messages")
    if isinstance(messages, list):
        listed = cast("list[object]", messages)
        tokens += _tokens(listed) + _AROUND * len(listed)
    if not tokens:
        return about(size)
    # A template writes the tools out much as they are.
    return tokens + _whole(document.get("tools")) // _BYTES_PER_TOKEN


def _tokens(prompt: object) -> int:
    """Of a text, of tokens as numbers, or of a list of either."""
    parts = cast("list[object]", prompt) if isinstance(prompt, list) else [prompt]
    numbers = sum(isinstance(each, int) for each in parts)
    size = sum(_text(each, _DEEPEST) for each in parts)
    return numbers + sum(map(_numbers, parts)) + (about(size) if size else 0)


def _numbers(prompt: object) -> int:
    """Tokens of a prompt that comes as numbers."""
    if not isinstance(prompt, list):
        return 0
    return sum(isinstance(each, int) for each in cast("list[object]", prompt))


def _text(part: object, levels: int) -> int:
    """Bytes of the text in a message or a part of one."""
    if isinstance(part, str):
        return _bytes(part)
    if not levels:
        return 0
    if isinstance(part, list):
        return sum(_text(each, levels - 1) for each in cast("list[object]", part))
    if isinstance(part, dict):
        held = cast("dict[str, object]", part)
        return sum(_text(held[key], levels - 1) for key in _PARTS if key in held)
    return 0


def _whole(part: object) -> int:
    """Bytes of all names and texts in something."""
    size, left = 0, [part]
    while left:
        one = left.pop()
        inner: Iterable[object] = ()
        if isinstance(one, str):
            size += _bytes(one)
        elif isinstance(one, list):
            inner = cast("list[object]", one)
        elif isinstance(one, dict):
            held = cast("dict[str, object]", one)
            inner = (*held.keys(), *held.values())
        left += inner
    return size


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
