"""The token figures of one JSON document, in the words of each protocol. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

_READ = ("prompt_tokens", "input_tokens")
_WRITTEN = ("completion_tokens", "output_tokens")
#: Anthropic's protocol tells apart what was read anew and what was remembered.
_REMEMBERED = ("cache_read_input_tokens", "cache_creation_input_tokens")
_MOST = 2**40  #: a larger figure is no count of tokens


class Figures(NamedTuple):
    """What a document tells; `has_prompt`: it does speak of what was read."""

    prompt: int
    completion: int
    has_prompt: bool = True

    def after(self, earlier: "Figures | None") -> "Figures":
        """Together with what an earlier event of the same answer told."""
        if self.has_prompt or earlier is None:
            return self
        return Figures(earlier.prompt, self.completion)


def figures_of(document: object) -> Figures | None:
    """The `usage` of a document, or of the message or response in it."""
    if not isinstance(document, dict):
        return None
    found = cast("dict[str, Any]", document)
    usage = found.get("usage")
    if isinstance(usage, dict):
        return _usage(cast("dict[str, Any]", usage))
    for holder in (found.get("message"), found.get("response")):
        usage = cast("dict[str, Any]", holder).get("usage") if isinstance(holder, dict) else None
        if isinstance(usage, dict):
            return _usage(cast("dict[str, Any]", usage))
    return None


def native_of(document: object) -> Figures | None:
    """What llama.cpp's own protocol tells."""
    if not isinstance(document, dict):
        return None
    found = cast("dict[str, Any]", document)
    read, written = _count(found, "tokens_evaluated"), _count(found, "tokens_predicted")
    return None if read is None or written is None else Figures(read, written)


def _usage(usage: Mapping[str, Any]) -> Figures | None:
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(read) is int and type(written) is int and 0 <= read <= _MOST and 0 <= written <= _MOST:
        return Figures(read + _remembered(usage), written)
    written = _first(usage, _WRITTEN)
    read = _first(usage, _READ)
    if read is None and written is None:
        read = _count(usage, "total_tokens")  # rerankers tell no more
    if read is None and written is None:
        return None
    return Figures((read or 0) + _remembered(usage), written or 0, read is not None)


def _remembered(usage: Mapping[str, Any]) -> int:
    return sum(_count(usage, name) or 0 for name in _REMEMBERED if name in usage)


def _first(usage: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((found for name in names if (found := _count(usage, name)) is not None), None)


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST
    return value if is_count else None
