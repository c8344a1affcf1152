"""What the names in a remote folder tell before a byte of it is fetched: is there one model right in it?"""

import re
from collections.abc import Sequence

from pierhead.core.choice import PICKLED
from pierhead.core.errors import PierheadError
from pierhead.core.services import Hold
from pierhead.sources.header_window import shown

_GGUF = ".gguf"
#: The name of a part of a split model that is not the first one.
_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$")
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
_PICKLES = (".bin", ".pt", ".pth")
_NAMES = 5  #: in a message


class NoModel(PierheadError):
    """A remote folder holds no model, or several, whatever is in its files."""

    def __init__(self, hold: Hold) -> None:
        super().__init__(hold.message)
        self.hold = hold


def refused(names: Sequence[str], place: str) -> Hold | None:
    """Why the files of these names are not one model; None when they may be.

    `place` is the folder as people write it. The rules are those of `model_files`, which looks at what
    was fetched: nothing is refused here that would be served there.
    """
    here = [name for name in names if "/" not in name]
    models = [name for name in here if name.endswith(_GGUF) and not _LATER_PART.search(name)]
    if len(models) == 1:
        return None
    tensors = any(name.lower().endswith(".safetensors") for name in here)
    if models:
        found = {"place": place, "count": str(len(models)), "models": _listed(models)}
        return _hold("WeightsAmbiguous", _several(models, place), **found)
    if tensors:
        why = "holds safetensors, and no config.json beside them, which says what model they are."
        known = "config.json" in here
        return None if known else _hold("WeightsIncomplete", f"{place} {why}", place=place)
    if any(name.lower().endswith(_PICKLES) for name in here):
        return _hold("FormatNotSupported", f"{place} cannot be served: {PICKLED}", place=place)
    return _hold("WeightsMissing", _none(names, place), place=place)


def _several(models: Sequence[str], place: str) -> str:
    text = f"{place} holds {len(models)} GGUF models ({_listed(models)}); exactly one is needed."
    single = next((name for name in models if not _SPLIT.search(name)), None)
    return f"{text} Name one, such as {_below(place, single)}." if single is not None else text


def _none(names: Sequence[str], place: str) -> str:
    text = (
        f"{place} holds no GGUF model, and no config.json with safetensors; one of them is needed."
    )
    folders = sorted({name.rpartition("/")[0] for name in names if _is_model(name) and "/" in name})
    if not folders:
        return text
    them = _listed([f"{folder}/" for folder in folders])
    return f"{text} There are models in {them}: name one of these folders, such as {_below(place, folders[0])}/."


def _is_model(name: str) -> bool:
    return name.lower().endswith((_GGUF, ".safetensors"))


def _below(place: str, name: str) -> str:
    return f"{place.rstrip('/')}/{shown(name, 200)}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMES
    return ", ".join(shown(name, 80) for name in names[:_NAMES]) + (
        f" and {more} more" if more > 0 else ""
    )


def _hold(reason: str, text: str, **facts: str) -> Hold:
    return Hold(reason, text, permanent=True, facts=facts)
