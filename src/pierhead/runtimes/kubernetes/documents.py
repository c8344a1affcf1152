"""Manifests as text for people and `kubectl apply`."""

import base64
import re
from collections.abc import Iterable
from typing import Any, cast

import yaml

from pierhead.core.secrecy import masked_command, without_passwords
from pierhead.runtimes.kubernetes import names
from pierhead.runtimes.kubernetes.objects import Manifest

#: What stands for a secret in manifests that are shown to somebody.
HIDDEN_TEXT = "REPLACE-ME"
#: What some parsers take for a number, a time, a truth or nothing.
_NO_TEXT = re.compile(r"[-+.]?[0-9.].*|y|n|yes|no|on|off|true|false|null|~|=", re.IGNORECASE)
#: What a reader may take for the end of a line, or for the mark at the start of a file: written as `\u2028`.
_UNSEEN = re.compile("[\x85\u2028\u2029\ufeff]")
#: Parts of a container that are what it executes.
_EXECUTED = frozenset({"command", "args"})
HIDDEN = base64.b64encode(HIDDEN_TEXT.encode()).decode()


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice: references between documents' parts are hard to read and edit."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(_dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """In quotes where not every parser reads that text in it: `1e-5`, `0o17`, `y`, a line's end of Unicode."""
    style = '"' if _NO_TEXT.fullmatch(text) or _UNSEEN.search(text) else None
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style=style)


_Plain.add_representer(str, _text)


def yaml_text(manifests: Iterable[Manifest]) -> str:
    """The manifests as one YAML text of several documents."""
    return yaml.dump_all(
        [*manifests],
        Dumper=_Plain,
        sort_keys=False,
        explicit_start=True,
        allow_unicode=True,
        width=100,
    )


def without_secrets(manifests: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """The manifests as they may be shown and kept.

    Replaced are every Secret's values, secrets in commands, and passwords of URLs in variables.
    """
    return tuple(_hidden(each) if each["kind"] == "Secret" else _shown(each) for each in manifests)


def _shown(found: Manifest) -> Manifest:
    masked = _masked(found)
    return found if masked == found else names.stamped(masked)


def _is_list(found: object) -> bool:
    return isinstance(found, list)


def _masked(found: Any, inside: str = "") -> Any:
    """The same with each container's command and variables as people may see them; `inside` = the part it is."""
    if _is_list(found):
        return [_masked(each, inside) for each in cast("list[Any]", found)]
    if not isinstance(found, dict):
        return found
    shown: dict[str, Any] = {}
    for key, each in cast("dict[str, Any]", found).items():
        if key in _EXECUTED and _is_list(each):
            shown[key] = list(masked_command(each, ()))
        elif inside == "env" and isinstance(each, str):
            shown[key] = without_passwords(each)
        else:
            shown[key] = _masked(each, key)
    return shown


def _hidden(secret: Manifest) -> Manifest:
    # A digest of the real values would be something to try guesses on.
    return names.stamped({**secret, "data": dict.fromkeys(secret["data"], HIDDEN)})
