"""What stays of a service's objects because its pods need it, though the settings ask for something else. Pure.

A rollout keeps its pods' template (`owners.settled`): what such a pod mounts, and the keys that it is made
with, stay as they were made until the next rollout. Else a pod that is replaced could not start.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from pierhead.runtimes.kubernetes import fields
from pierhead.runtimes.kubernetes.api import CLAIM, SECRET, VOLUME, Manifest, kind_of
from pierhead.runtimes.kubernetes.belongings import Key

#: Kinds of what is there before the pods that need it.
_NEEDED = frozenset({SECRET, CLAIM, VOLUME})


def staying(
    there: Mapping[Key, str], wanted: Sequence[Manifest], owner: Manifest | None
) -> frozenset[Key]:
    """Of what is there (object -> its mark) what is neither sent nor deleted while `owner` is as it is."""
    needs = frozenset(_needs(owner))
    if needs <= frozenset(part for each in wanted for part in _gives(each)):
        return frozenset()
    return frozenset(key for key, marked in there.items() if marked and key[0] in _NEEDED)


def mounts(owner: Manifest | None) -> bool:
    """Do its pods mount a volume of the cluster?"""
    return any(kind == CLAIM.name for kind, _, _ in _needs(owner))


def _needs(found: object) -> Iterator[tuple[str, str, str]]:
    """(kind, name, key in it) of what the pods' template refers to."""
    if isinstance(found, list):
        for each in cast("list[Any]", found):
            yield from _needs(each)
    if not isinstance(found, dict):
        return
    for name, each in cast("dict[str, Any]", found).items():
        if name == "secretKeyRef":
            yield SECRET.name, fields.text(each, "name"), fields.text(each, "key")
        elif name == "claimName":
            yield CLAIM.name, str(each), ""
        else:
            yield from _needs(each)


def _gives(wanted: Manifest) -> Iterator[tuple[str, str, str]]:
    kind, name = kind_of(wanted).name, fields.text(wanted, "metadata", "name")
    yield kind, name, ""
    for key in fields.mapping(wanted, "data"):
        yield kind, name, key
