"""The model's name on both sides: its engine's own goes into requests, the service's into answers.

Only the name changes: every other byte of a body stays as it was sent. An engine's own name may
be a path of this machine, which no client is to see.
"""

import json
import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final

from pierhead.core.routes import Route, Target
from pierhead.gateway.form_text import field
from pierhead.gateway.json_text import members

_KEY: Final = b'"model"'
_WHITE: Final = b" \t\n\r"
#: Bytes of a chunk's end that are looked at for the beginning of a name, beside the name's length.
_REACH: Final = 64
#: Kinds of answers that name a model.
_NAMING: Final = (b"application/json", b"text/event-stream")


def renamed(body: bytes, known: Collection[str], name: str) -> bytes:
    """`body` with `name` as its `model` if it is a JSON object that asks for a `known` one, else itself."""
    if body[:64].lstrip()[:1] != b"{":
        return body
    try:
        coding = json.detect_encoding(body)
        text = body.decode(coding, "surrogatepass")
        found = [span for span in _models(text) if span[0] in known and span[0] != name]
    except (ValueError, RecursionError, IndexError):
        return body  # what is wrong with it is the engine's to say
    for _asked, start, end in reversed(found):
        text = text[:start] + json.dumps(name) + text[end:]
    return text.encode(coding, "surrogatepass") if found else body


def renamed_form(body: bytes, form: bytes, known: Collection[str], name: str) -> bytes:
    """The same for a form; `form`: what parts it."""
    found = field(body, form, b"model")
    if found is None or found.text(body) not in known:
        return body
    return body[: found.start] + name.encode() + body[found.end :]


def _models(text: str) -> list[tuple[str, int, int]]:
    """The `model` of a JSON object, should it be there twice both: value, and where its text lies."""
    return [
        (each.value, each.start, each.end)
        for each in members(text)
        if each.key == "model" and isinstance(each.value, str)
    ]


def needs_own_name(target: Target, route: Route) -> bool:
    """Does the engine tell a name in its answers that is not the service's?"""
    return bool(target.model) and target.model != route.name


def known_names(route: Route) -> frozenset[str]:
    """Every name that clients may call the service's model."""
    own = (route.name, *route.aliases, *route.models)
    return frozenset((*own, route.group) if route.group else own)


class Restoring:
    """Puts the service's name in place of the engine's own, however an answer is cut into chunks."""

    def __init__(self, own: str, name: str) -> None:
        self._forms, self._pattern = _own_forms(own)
        self._reach = _REACH + max(map(len, self._forms))
        self._name = json.dumps(name).encode()
        self._held = b""

    def passed(self, data: bytes, *, last: bool) -> bytes:
        """What can go to the client by now; the rest is the beginning of a name, or of none."""
        data = self._pattern.sub(self._put, self._held + data)
        held = 0 if last else self._begun(data)
        self._held = data[len(data) - held :]
        return data[: len(data) - held]

    def _put(self, found: "re.Match[bytes]") -> bytes:
        return found[1] + self._name

    def _begun(self, data: bytes) -> int:
        """How many bytes of the end may belong to a name that goes on in the next chunk."""
        at = data.find(b'"', max(0, len(data) - self._reach))
        while at >= 0:
            if self._begins(data[at:]):
                return len(data) - at
            at = data.find(b'"', at + 1)
        return 0

    def _begins(self, end: bytes) -> bool:
        if len(end) <= len(_KEY):
            return _KEY.startswith(end)
        value = end.removeprefix(_KEY).lstrip(_WHITE)
        if not end.startswith(_KEY) or value[:1] not in {b"", b":"}:
            return False
        value = value[1:].lstrip(_WHITE)
        return any(form.startswith(value) for form in self._forms)


@lru_cache(maxsize=256)
def _own_forms(own: str) -> tuple[tuple[bytes, ...], "re.Pattern[bytes]"]:
    """The ways in which JSON may write a name, and what finds them as the value of `model`.

    In a string's own text the quotes would have a backslash before them: only a real key is found.
    """
    plain = (json.dumps(own), json.dumps(own, ensure_ascii=False))
    both = (*plain, *(form.replace("/", "\\/") for form in plain))
    forms = tuple(dict.fromkeys(form.encode("utf-8", "surrogatepass") for form in both))
    values = b"|".join(map(re.escape, forms))
    return forms, re.compile(rb'("model"[ \t\n\r]*:[ \t\n\r]*)(?:' + values + rb")")


def restoring(
    target: Target, route: Route, method: str, kind: bytes, *, coded: bool
) -> Restoring | None:
    """What an answer of this media type must go through; None = it goes on as it is."""
    if not needs_own_name(target, route) or method == "HEAD":
        return None
    return None if coded or kind not in _NAMING else Restoring(target.model, route.name)
