"""From a file or folder on this machine to the model in it, or the sentence that says why there is none."""

import re
from collections.abc import Sequence
from pathlib import Path

from pierhead.core.choice import PICKLED
from pierhead.core.launch import Files, Format
from pierhead.core.services import Hold
from pierhead.sources.header_window import shown

#: The names of the parts of a split model.
_SPLIT = re.compile(r"-(?P<number>\d{5})-of-(?P<count>\d{5})\.(?:gguf|safetensors)$")
_MOST = 10_000  #: parts in one folder, which is what a store may have objects
_NAMED = 5  #: files in a message
_PICKLES = (".bin", ".pt", ".pth")
_CONFIG = "config.json"


def lying(path: Path, *, any_content: bool) -> Files | Hold:
    """A model file, or the one model in a folder; `any_content`: a command reads what it likes. It blocks."""
    try:
        if path.is_file():
            return _in_file(path, any_content=any_content)
        if not path.is_dir():
            return _hold(
                "WeightsMissing",
                f"{path} does not exist. Put the weights there; the service goes on by itself then.",
                place=str(path),
            )
        return _in_folder(path, any_content=any_content)
    except OSError as error:
        return _hold(
            "WeightsUnreadable",
            f"{str(path)[:255]} cannot be read: {error.strerror}. The service goes on by itself once it can.",
            place=str(path)[:255],
            problem=str(error.strerror),
        )


def _in_file(path: Path, *, any_content: bool) -> Files | Hold:
    """A GGUF file may be called as it likes: its header tells what it is."""
    suffix = path.suffix.lower()
    if any_content or suffix not in {".safetensors", *_PICKLES}:
        return _model([path], path, "gguf" if suffix == ".gguf" or not any_content else "")
    if suffix in _PICKLES:
        return _hold("FormatNotSupported", f"{path} cannot be served: {PICKLED}", place=str(path))
    return _hold(
        "WeightsIncomplete",
        f"{path} lacks its {_CONFIG}: name the folder that holds both, not the safetensors file.",
        place=str(path),
    )


def _in_folder(path: Path, *, any_content: bool) -> Files | Hold:
    files = sorted(file for file in path.iterdir() if file.is_file())
    ggufs = [file for file in files if file.suffix == ".gguf"]
    firsts = [
        file
        for file in ggufs
        if (part := _SPLIT.search(file.name)) is None or int(part["number"]) == 1
    ]
    # A GGUF file goes before safetensors beside it: the embedded engine, which is always there,
    # reads it, and who wants the others served can mount them without it.
    if len(firsts) == 1:
        return _model(firsts, firsts[0], "gguf")
    tensors = [file for file in files if file.suffix.lower() == ".safetensors"]
    whole = bool(tensors) and (path / _CONFIG).is_file()
    if any_content:
        size = sum(file.stat().st_size for file in files)
        return Files(str(path), str(path), size, format="safetensors" if whole else "")
    if firsts:
        names = ", ".join(shown(file.name, 80) for file in firsts[:_NAMED])
        more = f" and {len(firsts) - _NAMED} more" if len(firsts) > _NAMED else ""
        text = f"{path} holds {len(firsts)} GGUF models ({names}{more}); exactly one is needed."
        found = {"place": str(path), "count": str(len(firsts)), "models": f"{names}{more}"}
        return _hold("WeightsAmbiguous", text, **found)
    return _model(tensors, path, "safetensors") if whole else _none(path, files, tensors)


def _none(path: Path, files: Sequence[Path], tensors: Sequence[Path]) -> Hold:
    """What of a model is missing in a folder."""
    if tensors:
        text = f"{path} holds safetensors, and no {_CONFIG} beside them, which says what model they are."
        return _hold("WeightsIncomplete", text, place=str(path))
    if any(file.suffix.lower() in _PICKLES for file in files):
        return _hold("FormatNotSupported", f"{path} cannot be served: {PICKLED}", place=str(path))
    return _hold(
        "WeightsMissing",
        f"{path} holds no GGUF model, and no {_CONFIG} with safetensors; one of them is needed.",
        place=str(path),
    )


def _model(files: Sequence[Path], model: Path, form: Format) -> Files | Hold:
    """These files with all parts of those that are split; `model` is what an engine is told."""
    folder = model if model.is_dir() else model.parent
    try:
        str(model).encode()
    except UnicodeEncodeError:  # no event and no record could name it
        text = f"{folder} holds a model whose name is no text: {shown(model.name, 200)}. Rename it."
        return _hold("WeightsUnreadable", text)
    told = {_SPLIT.sub("", file.name): len(_numbers(file)) for file in files}
    if sum(told.values()) > _MOST:  # names alone could keep us busy for hours
        text = f"{folder} holds parts of models of {sum(told.values())} parts: that is no model."
        return _hold("WeightsIncomplete", text)
    named = {part: None for file in files for part in parts_of(file)}
    absent = [shown(part.name, 200) for part in named if not part.is_file()]
    if absent:
        return _hold(
            "WeightsIncomplete",
            f"{folder} lacks {len(absent)} of {len(named)} parts of the model: {', '.join(absent[:3])}.",
            place=str(folder),
            problem=f"{len(absent)} / {len(named)}: {', '.join(absent[:3])}",
        )
    return Files(str(folder), str(model), sum(part.stat().st_size for part in named), format=form)


def parts_of(file: Path) -> list[Path]:
    """All parts of the split model that a file is one of; else the file."""
    split = _SPLIT.search(file.name)
    if split is None:
        return [file]
    stem, count = file.name[: split.start()], split["count"]
    return [
        file.with_name(f"{stem}-{number:05d}-of-{count}{file.suffix}") for number in _numbers(file)
    ]


def _numbers(file: Path) -> range:
    """Of the parts of the split model that a file is one of."""
    split = _SPLIT.search(file.name)
    return range(1, int(split["count"]) + 1 if split is not None else 2)


def _hold(reason: str, text: str, **facts: str) -> Hold:
    return Hold(reason, text, permanent=True, facts=facts)
