"""Tags as text: what is well formed, and what the platform's own `ai::` tags ask for. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pierhead.core.errors import Invalid
from pierhead.core.lifecycle import MAX_REPLICAS

LIMIT = 2048
MAX_GPUS = 64
RUNTIMES = ("process", "container", "kubernetes")
#: Runtime of a platform -> what may be asked of it; "" = nothing is said.
_SERVED: Mapping[str, frozenset[str]] = {
    "process": frozenset({"", "process"}),
    "kubernetes": frozenset({"", "container", "kubernetes"}),
}
#: Runtime of a platform -> what is said to those that ask for another.
_ELSEWHERE = {
    "process": "replicas are processes on this host",
    "kubernetes": "replicas are containers of a Kubernetes cluster",
}
#: An EAS label's key and value hold so much.
_LABEL_LIMIT = 255
_PLACE = re.compile(r"\{([^{}]+)\}")


class Kind(StrEnum):
    """System tags that act on a deployment; the values are the tags' first two parts."""

    REPLICAS = "ai::replicas"
    GPUS = "ai::gpus"
    RUNTIME = "ai::runtime"
    AUTH = "ai::auth"
    SERVICE_NAME = "ai::serviceName"  #: the platform's own: read-only


_KINDS: Mapping[str, Kind] = {str(kind): kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the acting tags of one deployment ask for; None = no tag says anything of it."""

    replicas: int | None = None
    gpus: int | None = None
    runtime: str | None = None
    open: bool | None = None  #: the endpoint asks for no token


def runtime_refused(asked: str, here: str) -> str:
    """Why a platform whose runtime is `here` does not serve who asks for another; "" = it does."""
    return "" if asked in _SERVED[here] else _ELSEWHERE[here]


def system_tag(text: str, field: str = "tag") -> str:
    """`text`, if it is a well-formed system tag: `name::token`, no control characters.

    Raises:
        Invalid: it is not; the message names `field`.
    """
    if "::" not in text:
        raise Invalid(field, f"[{text[:80]}] has no `::`", "name::token")
    return _plain(text, field)


def user_tag(text: str, field: str = "tag") -> str:
    """`text`, if it can be a user tag.

    Raises:
        Invalid: it is empty, too long or has control characters; the message names `field`.
    """
    return _plain(text, field)


def kind(text: str) -> Kind | None:
    """Which acting tag this is, or None: it is kept and does nothing."""
    name, _, _value = text.rpartition("::")
    return _KINDS.get(name)


def asked(texts: Iterable[str], field: str = "systemTags") -> Asked:
    """What the acting ones among `texts` ask of a deployment; all others are passed over.

    Raises:
        Invalid: a value is not legal, two tags say the same thing, or one is read-only.
    """
    values: dict[Kind, str] = {}
    for text in texts:
        which = kind(text)
        if which is None:
            continue
        if which is Kind.SERVICE_NAME:
            raise Invalid(field, f"[{text[:80]}] is set by the platform and read-only")
        if which in values:
            raise Invalid(field, f"[{text[:80]}] is the second {which} tag", "one of a kind")
        values[which] = text.rpartition("::")[2]
    return Asked(
        replicas=_count(values, Kind.REPLICAS, MAX_REPLICAS, field),
        gpus=_count(values, Kind.GPUS, MAX_GPUS, field),
        runtime=_choice(values, Kind.RUNTIME, RUNTIMES, field),
        open=None
        if (auth := _choice(values, Kind.AUTH, ("token", "none"), field)) is None
        else auth == "none",
    )


def label(text: str) -> tuple[str, str]:
    """A group's user tag as a label: `k=v` is key and value, anything else a key without a value.

    Raises:
        Invalid: no label can hold it.
    """
    key, _, value = text.partition("=")
    if not key or len(key) > _LABEL_LIMIT or len(value) > _LABEL_LIMIT:
        legal = f"`key=value`, at most {_LABEL_LIMIT} characters each"
        raise Invalid("tag", f"[{text[:80]}] cannot be a label", legal)
    return key, value


def texts(labels: Mapping[str, str]) -> Iterator[str]:
    """User tags that say the labels, those left out that no tag can say."""
    for key, value in labels.items():
        text = f"{key}={value}" if value else key
        try:
            if label(user_tag(text)) == (key, value):
                yield text
        except Invalid:
            continue


def without_label(labels: Mapping[str, str], gone: str, left: Iterable[str]) -> dict[str, str]:
    """`labels` after the user tag `gone` went; another tag of the same key, in `left`, shows again."""
    key, _value = label(gone)
    rest = {name: value for name, value in labels.items() if name != key}
    same = [label(text) for text in left if text.partition("=")[0] == key]
    return rest | dict(same)


def places(value: str) -> tuple[str, ...]:
    """Names of the `{token}` places in a pattern's value."""
    return tuple(dict.fromkeys(_PLACE.findall(value)))


def filled(value: str, tokens: Mapping[str, str]) -> str:
    """A pattern's value with its places filled.

    Raises:
        Invalid: a place has no token.
    """
    absent = [place for place in places(value) if place not in tokens]
    if absent:
        raise Invalid("tokens", f"nothing is given for {', '.join(absent)[:80]}")
    return _PLACE.sub(lambda place: tokens[place[1]], value)


def _plain(text: str, field: str) -> str:
    if not text or len(text) > LIMIT:
        raise Invalid(field, f"{len(text)} characters", f"1 to {LIMIT} characters")
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        raise Invalid(field, "it has control characters", "printable text")
    return text


def _count(values: Mapping[Kind, str], which: Kind, most: int, field: str) -> int | None:
    value = values.get(which)
    if value is None:
        return None
    # `isdecimal` alone would let in digits of other scripts.
    if not (value.isascii() and value.isdecimal() and len(value) <= 9 and int(value) <= most):
        legal = f"{which}::0 to {which}::{most}"
        raise Invalid(field, f"[{which}::{value[:80]}]", legal)
    return int(value)


def _choice(
    values: Mapping[Kind, str], which: Kind, legal: tuple[str, ...], field: str
) -> str | None:
    value = values.get(which)
    if value is not None and value not in legal:
        raise Invalid(
            field,
            f"[{which}::{value[:80]}]",
            " or ".join(f"{which}::{choice}" for choice in legal),
        )
    return value
