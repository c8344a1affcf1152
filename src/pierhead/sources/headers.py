"""What the headers of a model's files say of it: config.json, safetensors, GGUF. No weights are read.

Every file comes from somebody else: sizes are bounded before anything is read or allocated, and a
file that is not what its name says tells nothing. It blocks: run it in a thread of its own.
"""

import hashlib
import json
import os
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from pierhead.sources import regular
from pierhead.sources.gguf_header import gguf_header
from pierhead.sources.header_window import shown
from pierhead.sources.measure import ENTRIES, README_BYTES, measure, readme

JSON_BYTES = 4 * 1024 * 1024
SAFETENSORS_HEADER_BYTES = 16 * 1024 * 1024  #: many times what the largest models have
_PARTS = 200_000  #: objects and lists of a JSON text
#: A larger model gets no checksum: it would take longer than anybody waits.
CHECKSUM_BYTES = 256 * 1024**3
#: Share of memory beside the weights: cache, activations.
_BESIDES = 1.2
_MIB = 1024 * 1024
_CHUNK = 4 * _MIB

#: End of a transformers class name -> the hub's name of the task.
_TASKS = {
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "fill-mask",
    "ForImageClassification": "image-classification",
    "ForObjectDetection": "object-detection",
    "ForSpeechSeq2Seq": "automatic-speech-recognition",
    "ForCTC": "automatic-speech-recognition",
}
#: GGUF architectures that generate no text.
_GGUF_EMBEDDING = ("bert", "nomic-bert", "jina-bert-v2", "t5encoder")
#: Quantized forms that have kernels for GPUs only.
_GPU_ONLY = {"gptq", "awq", "fp8", "bitsandbytes", "compressed-tensors", "marlin", "aqlm", "hqq"}
_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---", re.DOTALL)
_PIPELINE = re.compile(r"^pipeline_tag:\s*[\"']?([a-z0-9-]{1,64})", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of a model; None = its files do not say."""

    size: int = 0  #: bytes of all files
    architecture: str | None = None  #: e.g. `LlamaForCausalLM`, `llama`
    pipeline_tag: str | None = None  #: e.g. `text-generation`
    framework_version: str | None = None  #: e.g. `transformers 4.41.0`, `GGUF 3`
    accelerator: str | None = None  #: `GPU` when it cannot run without one
    min_gpu_memory: int | None = None  #: bytes
    checksum: str | None = None  #: `sha256:<hex>` of its one file, or over all of its files


def describe(path: Path, stopped: Callable[[], bool] = lambda: False) -> Described | None:
    """Read the headers of a model file or of the files in a folder; None when there is nothing."""
    found = measure(path, stopped)
    if not found.there:
        return None
    files = sorted(_files(path))
    weights = [file for file in files if file.suffix in {".gguf", ".safetensors", ".bin", ".pt"}]
    # The later one knows better.
    facts = _safetensors(weights) | _gguf(weights) | _config(path) | _card(path)
    held = sum(map(_held, weights))
    return Described(
        size=found.size,
        architecture=facts.get("architecture"),
        pipeline_tag=facts.get("task"),
        framework_version=facts.get("framework"),
        accelerator=facts.get("accelerator"),
        min_gpu_memory=_rounded(held * _BESIDES) if held else None,
        checksum=_checksum(path, files, stopped) if found.size <= CHECKSUM_BYTES else None,
    )


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or those in a folder that are not hidden; what cannot be looked at is left out."""
    if path.is_file():
        yield path
    else:
        yield from filter(_regular, islice(_visible(path), ENTRIES))


def _visible(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in names if not name.startswith("."))


def _regular(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # nobody may look, or a link to what no file can be called
        return False


def _held(file: Path) -> int:
    """Its bytes; none when it went away since it was found."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _config(path: Path) -> dict[str, str]:
    """Facts of `config.json`, or of `model_index.json` of a pipeline of models."""
    folder = path if path.is_dir() else path.parent
    config = _json(folder / "config.json") if path.is_dir() else {}
    if not config:
        pipeline = _json(folder / "model_index.json") if path.is_dir() else {}
        return _present(
            architecture=_text(pipeline, "_class_name"),
            framework=_versioned("diffusers", _text(pipeline, "_diffusers_version")),
            task="text-to-image" if pipeline else None,
        )
    classes: object = config.get("architectures")
    named = cast("list[object]", classes)[0] if isinstance(classes, list) and classes else None
    first = _words(named)
    quantized: object = config.get("quantization_config")
    method = (
        _text(cast("Mapping[str, Any]", quantized), "quant_method")
        if isinstance(quantized, dict)
        else None
    )
    return _present(
        architecture=first or _text(config, "model_type"),
        framework=_versioned("transformers", _text(config, "transformers_version")),
        task=_task(first or ""),
        accelerator="GPU" if method in _GPU_ONLY else None,
    )


def _safetensors(weights: list[Path]) -> dict[str, str]:
    """The `format` that a safetensors file names, when nothing better is known."""
    for file in weights:
        if file.suffix == ".safetensors":
            metadata = safetensors_header(file).get("__metadata__")
            if isinstance(metadata, dict):
                given = _text(cast("Mapping[str, Any]", metadata), "modelspec.architecture")
                return _present(architecture=given)
            return {}
    return {}


def safetensors_header(file: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file, empty when it is none: 8 bytes length, then the text."""
    try:
        with regular.opened(file) as stream:
            head = stream.read(8)
            if len(head) < 8:
                return {}
            (length,) = struct.unpack("<Q", head)
            if not 2 <= length <= min(SAFETENSORS_HEADER_BYTES, file.stat().st_size - 8):
                return {}
            return _object(stream.read(length))
    except OSError:
        return {}


def _gguf(weights: list[Path]) -> dict[str, str]:
    for file in weights:
        if file.suffix == ".gguf":
            facts = gguf_header(file)
            architecture = _text(facts, "general.architecture")
            if architecture is None:
                return {}
            embeds = architecture in _GGUF_EMBEDDING
            return _present(
                architecture=architecture,
                framework=f"GGUF {facts['GGUF.version']}",
                task="feature-extraction" if embeds else "text-generation",
            )
    return {}


def _card(path: Path) -> dict[str, str]:
    """The task that the model card names goes before what the files let guess."""
    card = readme(path) if path.is_dir() else None
    front = _FRONT_MATTER.search((card or "")[:README_BYTES])
    named = _PIPELINE.search(front[1]) if front else None
    return _present(task=named[1] if named else None)


def _checksum(path: Path, files: list[Path], stopped: Callable[[], bool]) -> str | None:
    """SHA-256 of a single file; of a folder, over the path, size and SHA-256 of each file."""
    try:
        if path.is_file():
            return f"sha256:{_sha256(path, stopped)}"
        whole = hashlib.sha256()
        for file in files:
            digest = _sha256(file, stopped)
            line = f"{digest}  {file.stat().st_size}  {file.relative_to(path).as_posix()}\n"
            whole.update(line.encode("utf-8", "surrogateescape"))
    except (OSError, InterruptedError):
        return None
    return f"sha256:{whole.hexdigest()}" if files else None


def _sha256(file: Path, stopped: Callable[[], bool]) -> str:
    digest = hashlib.sha256()
    with regular.opened(file) as stream:
        while piece := stream.read(_CHUNK):
            if stopped():
                raise InterruptedError(str(file))
            digest.update(piece)
    return digest.hexdigest()


def _json(file: Path) -> dict[str, Any]:
    try:
        with regular.opened(file) as stream:
            text = stream.read(JSON_BYTES + 1)
            return _object(text) if len(text) <= JSON_BYTES else {}
    except OSError:
        return {}


def _object(text: bytes) -> dict[str, Any]:
    # Counted before it is built: in memory a list takes fifty times its text.
    if text.count(b"{") + text.count(b"[") > _PARTS or text.count(b",") > 8 * _PARTS:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _text(facts: Mapping[str, Any], key: str) -> str | None:
    return _words(facts.get(key))


def _words(value: object) -> str | None:
    return shown(value, 255) if isinstance(value, str) and value else None


def _task(class_name: str) -> str | None:
    return next((task for end, task in _TASKS.items() if class_name.endswith(end)), None)


def _versioned(framework: str, version: str | None) -> str | None:
    return f"{framework} {version}" if version else None


def _present(**facts: str | None) -> dict[str, str]:
    return {key: value for key, value in facts.items() if value}


def _rounded(size: float) -> int:
    """Bytes, rounded up to whole MiB."""
    return -(-int(size) // _MIB) * _MIB
