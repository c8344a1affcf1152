"""A part of a service JSON that remembers which keys were taken, so that no key is ignored silently."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pierhead.core.errors import Invalid, Unsupported
from pierhead.core.events import Notice
from pierhead.dialects.eas.messages import without_effect

_ENDS = "it is not known; it is kept and shown"


@dataclass(slots=True)
class Part:
    """A JSON object at `path`; a key is taken, reported or refused, and `rest` reports what is left.

    Getters give None for an absent or null key and raise Invalid, naming the key, for a wrong type.
    """

    path: str
    entries: Mapping[str, Any]
    notices: list[Notice]
    _used: set[str] = field(default_factory=set[str])

    def name(self, key: str) -> str:
        """The full name of a key, e.g. `metadata.cpu`."""
        return f"{self.path}.{key}" if self.path else key

    def take(self, key: str) -> Any:
        """The value of a key, whatever it is."""
        self._used.add(key)
        return self.entries.get(key)

    def text(self, key: str) -> str:
        """A text; "" when absent."""
        value = self.take(key)
        if value is not None and not isinstance(value, str):
            raise Invalid(self.name(key), "it is not a text")
        return value or ""

    def number(self, key: str, low: float = 0.0) -> float | None:
        """A number, at least `low`."""
        value = self.take(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value < low:
            raise Invalid(self.name(key), f"[{_shown(value)}]", f"a number from {low:g}")
        return float(value)

    def integer(self, key: str, low: int = 0, high: int = 2**53) -> int | None:
        """A whole number from `low` to `high`."""
        value = self.number(key, low)
        if value is None:
            return None
        if not value.is_integer() or value > high:
            raise Invalid(self.name(key), f"[{value:g}]", f"a whole number from {low} to {high}")
        return int(value)

    def part(self, key: str) -> "Part":
        """An object; an empty one when absent."""
        value = self.take(key)
        return Part(self.name(key), _entries(value, self.name(key)), self.notices)

    def parts(self, key: str) -> list["Part"]:
        """A list of objects; empty when absent."""
        value = self.take(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise Invalid(self.name(key), "it is not a list")
        named = [(f"{self.name(key)}[{at}]", v) for at, v in enumerate(cast(list[Any], value))]
        return [Part(name, _entries(entry, name), self.notices) for name, entry in named]

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty when absent."""
        value = self.take(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise Invalid(self.name(key), "it is not a list of texts")
        texts = cast(list[Any], value)
        if not all(isinstance(text, str) for text in texts):
            raise Invalid(self.name(key), "it is not a list of texts")
        return tuple(texts)

    def has(self, key: str) -> bool:
        """Is there something under the key?"""
        return self.entries.get(key) not in (None, "", [], {})

    def report(self, why: str, *keys: str) -> None:
        """Say of each key that is there that it has no effect."""
        for key in keys:
            self._used.add(key)
            if self.has(key):
                self.notices.append(without_effect(self.name(key), why))

    def refuse(self, why: str, *keys: str) -> None:
        """Raise Unsupported if one of the keys is there."""
        for key in keys:
            self._used.add(key)
            if self.has(key):
                raise Unsupported(self.name(key), why)

    def rest(self) -> None:
        """Report every key that nobody took."""
        self.report(_ENDS, *(key for key in self.entries if key not in self._used))


def _entries(value: Any, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid(name, "it is not a JSON object")
    return cast(dict[str, Any], value)


def _shown(value: Any) -> str:
    return str(value)[:80]
