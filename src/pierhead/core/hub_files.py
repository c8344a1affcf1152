"""Which files of a hub's repository a model needs: one format of its weights, and what belongs to them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from pierhead.core.errors import Invalid
from pierhead.core.resources import human_bytes

_SHOWN = 30  #: names in a message
_PATTERN = re.compile(r"[*?\[]")
_SPLIT = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf$)", re.IGNORECASE)
_GGUF, _SAFETENSORS = ".gguf", ".safetensors"
#: The same weights for other programs; several of them can run code when they are loaded.
_OTHER_FORMATS = (
    ".bin", ".pt", ".pth", ".pkl", ".ckpt", ".h5", ".ot", ".onnx", ".onnx_data", ".msgpack",
    ".tflite", ".mlmodel", ".npz",
)  # fmt: skip
#: Indexes of files that are left out.
_OTHER_INDEXES = (".bin.index.json", ".h5.index.json", ".msgpack.index.json")
#: Where one of these is, `consolidated.safetensors` holds the same once more.
_WHOLE = frozenset({"model.safetensors", "model.safetensors.index.json"})
_PICTURES = (
    ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".ico", ".mp4", ".webm", ".mp3", ".wav",
    ".pdf",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as a hub lists it."""

    path: str  #: in the repository
    size: int  #: bytes
    id: str = ""  #: of its content, as the hub tells it
    check: str = ""  #: what the content must have, as `Entry.check`
    key: str = ""  #: path below the folder that it is fetched into


def needed(files: Iterable[HubFile], wanted: str, name: str) -> tuple[HubFile, ...]:
    """What of a repository is fetched, each with its key. `wanted`: as `HubSource.path`.

    Raises:
        Invalid: nothing is called so, or there are several models and none is named; the message
            lists them, and says how one is named in `name`, the source as it is written.
    """
    present = [each for each in files if not _beside(each.path)]
    kept, base = _named(present, wanted, name)
    kept = _one_format(kept)
    if not _is_file(kept, wanted):
        _refuse_several(kept, wanted, name)
    return tuple(replace(each, key=each.path[len(base) :]) for each in kept)


def _named(files: Sequence[HubFile], wanted: str, name: str) -> tuple[list[HubFile], str]:
    """(what is wanted, the folder that keys begin below)."""
    if not wanted:
        return list(files), ""
    if _PATTERN.search(wanted):
        found = [each for each in files if fnmatchcase(each.path, wanted)]
        return _existing(found, files, wanted, name), _common_folder(found)
    own = next((each for each in files if each.path == wanted), None)
    if own is not None:
        folder, _, _ = wanted.rpartition("/")
        stem = _model_of(wanted)
        found = [each for each in files if each == own or (stem and _model_of(each.path) == stem)]
        return found, f"{folder}/" if folder else ""
    found = [each for each in files if each.path.startswith(f"{wanted}/")]
    return _existing(found, files, wanted, name), f"{wanted}/"


def _existing(
    found: list[HubFile], files: Sequence[HubFile], wanted: str, name: str
) -> list[HubFile]:
    if found:
        return found
    shown = _listed(files) or "nothing"
    raise Invalid("source", f"{name}: nothing there is called {wanted[:200]}. It has: {shown}")


def _one_format(files: list[HubFile]) -> list[HubFile]:
    """Without the same weights in other formats, where there are some that need no code to be read."""
    names = [each.path.lower() for each in files]
    if not any(name.endswith((_GGUF, _SAFETENSORS)) for name in names):
        return files
    left_out = (*_OTHER_FORMATS, *_OTHER_INDEXES)
    twice = not _WHOLE.isdisjoint(names)
    return [
        each
        for each, name in zip(files, names, strict=True)
        if not name.endswith(left_out) and not (twice and name.startswith("consolidated."))
    ]


def _refuse_several(files: Sequence[HubFile], wanted: str, name: str) -> None:
    models = _models(files)
    if len(models) < 2:
        return
    above = name.removesuffix(f"/{wanted}") if wanted else name
    raise Invalid(
        "source",
        f"{name} holds {len(models)} GGUF models: {_listed(models)}",
        f"one of them by its name, such as {above}/{models[0].path}",
    )


def _models(files: Iterable[HubFile]) -> list[HubFile]:
    """The first file of each GGUF model, with the size of all its parts."""
    found: dict[str, HubFile] = {}
    for each in sorted(files, key=lambda file: file.path):
        stem = _model_of(each.path)
        if stem:
            known = found.get(stem)
            found[stem] = replace(known, size=known.size + each.size) if known else each
    return list(found.values())


def _model_of(path: str) -> str:
    """What all parts of a GGUF model have in common; "" for other files."""
    return _SPLIT.sub("", path) if path.lower().endswith(_GGUF) else ""


def _is_file(files: Sequence[HubFile], wanted: str) -> bool:
    return any(each.path == wanted for each in files)


def _beside(path: str) -> bool:
    """Is it nothing that a model needs: of git, or to be looked at?"""
    hidden = any(part.startswith(".") for part in path.split("/"))
    return hidden or path.lower().endswith(_PICTURES)


def _common_folder(files: Sequence[HubFile]) -> str:
    """The folder that all lie in, with a slash; "" = the repository itself."""
    folders = [each.path.split("/")[:-1] for each in files]
    common: list[str] = []
    for names in zip(*folders, strict=False):
        if len(set(names)) > 1:
            break
        common.append(names[0])
    return "".join(f"{name}/" for name in common)


def _listed(files: Sequence[HubFile]) -> str:
    shown = [f"{ascii(each.path)[1:-1]} ({human_bytes(each.size)})" for each in files[:_SHOWN]]
    more = len(files) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
