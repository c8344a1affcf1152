"""A container's command and environment, and which of its values go by the Secret instead.

The kubelet replaces `$(NAME)` in commands and values, and makes one `$` of `$$`; what a template
says is written so that it comes out as it was, and our stand-ins become such references.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pierhead.core.errors import Unsupported
from pierhead.core.secrecy import secrets
from pierhead.runtimes.kubernetes.launching import ADDRESS, KEY, REPLICA

#: Key of the Secret -> what it holds.
ENGINE_KEY = "engine-key"
#: Bytes of all variables: a Secret takes no more than 1 MiB, and the whole object is sent in one piece.
_MOST = 512 * 1024
#: Variables that every container has: what the others refer to.
_FIELDS = {"POD_IP": "status.podIP", "POD_NAME": "metadata.name", "POD_UID": "metadata.uid"}
_REFERENCES = {ADDRESS: "$(POD_IP)", REPLICA: "$(POD_UID)"}
_STAND_IN = re.compile("|".join(map(re.escape, _REFERENCES)))
_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


@dataclass(frozen=True, slots=True)
class Variables:
    """The environment of one container."""

    entries: tuple[dict[str, Any], ...]
    #: What of it belongs into the Secret, by the Secret's keys.
    secret: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


def variables(values: Mapping[str, str], secret_name: str, engine_key: str = "") -> Variables:
    """The values as a container's `env`; those that are secret by their names come from the Secret.

    Raises:
        Unsupported: a cluster cannot have a variable of such a name, or so much of them.
    """
    size = sum(len(name) + len(value.encode()) for name, value in values.items())
    if size > _MOST:
        what = f"An environment of {size // 1024:,} KiB"
        raise Unsupported(what, f"on a cluster it may have {_MOST // 1024:,} KiB")
    entries = [_field(name, path) for name, path in _FIELDS.items()]
    kept: dict[str, str] = {}
    for name in sorted(values):
        if name in _FIELDS:
            raise Unsupported(f"The variable [{name}]", "on a cluster it tells what pod this is")
        if _NAME.fullmatch(name) is None:
            raise Unsupported(
                f"The variable [{name[:80]!a}]",
                "on a cluster a name has letters, digits, `_`, `-` and `.`, and no digit first",
            )
        value = values[name]
        if value == KEY:
            kept[ENGINE_KEY] = engine_key
            entries.append(from_secret(name, secret_name, ENGINE_KEY))
        elif secrets({name: value}):
            kept[f"env.{name}"] = value
            entries.append(from_secret(name, secret_name, f"env.{name}"))
        else:
            entries.append(plain(name, value))
    return Variables(tuple(entries), kept)


def _field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def plain(name: str, value: str) -> dict[str, Any]:
    """A variable whose value everybody may see; an empty one is not written, a server keeps none."""
    return {"name": name, "value": expanded(value)} if value else {"name": name}


def from_secret(name: str, secret: str, key: str) -> dict[str, Any]:
    """A variable whose value is in a Secret."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def expanded(text: str) -> str:
    """`text` as the kubelet must be given it to make the same text of it, with our stand-ins filled in."""
    found, end = "", 0
    for stand_in in _STAND_IN.finditer(text):
        # A `$` right before a reference would escape it.
        plain = text[end : stand_in.start()]
        bare = plain.rstrip("$")
        found += _escaped(bare) + "$$" * (len(plain) - len(bare)) + _REFERENCES[stand_in[0]]
        end = stand_in.end()
    return found + _escaped(text[end:])


def _escaped(text: str) -> str:
    return re.sub(r"\$+(?=\()|\${2,}", lambda found: found[0] * 2, text)


def command(argv: Iterable[str]) -> list[str]:
    """A command line as a container's `command`.

    Raises:
        Unsupported: the engine's key is in it, where everybody who may list pods reads it.
    """
    argv = [*argv]
    if any(KEY in argument for argument in argv):
        raise Unsupported(
            "An engine's key in its command line", "everybody who may list pods would read it"
        )
    return [expanded(argument) for argument in argv]


def concealed(secret: Mapping[str, Any]) -> tuple[str, ...]:
    """What of a service's Secret its pods may write, and nobody shall read there; the longest first.

    Damaged values are passed over: they are no value of ours.
    """
    found: dict[str, str] = {}
    for key, text in secret.get("data", {}).items():
        with suppress(ValueError):
            found[f"{key}_KEY"] = base64.b64decode(text, validate=True).decode()
    return secrets(found)


def encoded(values: Mapping[str, str]) -> dict[str, str]:
    """A Secret's `data`."""
    return {key: base64.b64encode(values[key].encode()).decode() for key in sorted(values)}
