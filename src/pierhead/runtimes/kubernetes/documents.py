"""Manifests as text for people and `kubectl apply`."""

import base64
from collections.abc import Iterable
from typing import Any

import yaml

from pierhead.runtimes.kubernetes import names
from pierhead.runtimes.kubernetes.objects import Manifest

#: What stands for a secret in manifests that are shown to somebody.
HIDDEN_TEXT = "REPLACE-ME"
HIDDEN = base64.b64encode(HIDDEN_TEXT.encode()).decode()


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice: references between documents' parts are hard to read and edit."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


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
    """The manifests with every Secret's values replaced, so that they may be shown and kept."""
    return tuple(_hidden(each) if each["kind"] == "Secret" else each for each in manifests)


def _hidden(secret: Manifest) -> Manifest:
    # A digest of the real values would be something to try guesses on.
    return names.stamped({**secret, "data": dict.fromkeys(secret["data"], HIDDEN)})
