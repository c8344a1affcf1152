"""Which engine serves a model: the first that reads its files, knows its architecture and is here.

A template names its engine, or leaves it to the platform (`AUTO`); an operator's wish goes before both.
The answer says why, also of those that were passed over: it becomes an event of the service.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pierhead.core.launch import Capabilities
from pierhead.core.services import Hold
from pierhead.core.sizing import Shape
from pierhead.core.templates import AUTO, Precision, Template

#: In what order engines are tried, by what replicas compute on. Embedded first, where it is as good.
ON_CPU = ("llama_cpp", "transformers", "vllm")
ON_GPU = ("vllm", "llama_cpp", "transformers")
#: GGUF tensor type and safetensors type -> precision.
_PRECISIONS: Mapping[str, Precision] = {
    "F32": "fp16", "F16": "fp16", "BF16": "fp16", "float32": "fp16", "float16": "fp16",
    "bfloat16": "fp16", "Q8_0": "int8", "I8": "int8", "Q4_0": "q4", "Q4_1": "q4", "Q4_K": "q4",
}  # fmt: skip
#: Precision -> what a conversion on this host makes of GGUF files for it.
_CONVERSIONS: Mapping[Precision, "Conversion"] = {"fp16": "f16", "int8": "q8_0"}

Conversion = Literal["", "f16", "q8_0"]


@dataclass(frozen=True, slots=True)
class Offer:
    """An engine, as far as it is here."""

    capabilities: Capabilities
    missing: str = ""  #: why it cannot be used on this machine, in a clause; "" = it can


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine that serves a model."""

    engine: str
    convert: Conversion = ""  #: what its files are turned into first
    why: str = ""  #: a sentence or two, for the service's events


def choose(
    template: Template,
    shape: Shape,
    offers: Mapping[str, Offer],
    *,
    wish: str = "",
    running: str = "",
) -> Choice | Hold:
    """The engine for `template` and weights of `shape` (empty where nothing is known of them yet).

    `wish`: what the operator set for this spec; `running`: the engine of replicas that serve the same
    rollout already, which all others join.
    """
    gpu = template.resources.gpu > 0
    named = wish or (template.engine if template.engine != AUTO else running)
    order = (named,) if named else ON_GPU if gpu else ON_CPU
    passed: list[str] = []
    for engine in order:
        problem = _problem(template, shape, offers.get(engine), gpu=gpu)
        if not problem:
            by = _named_by(wish, template)
            return Choice(
                engine,
                _conversion(template, shape, offers[engine]),
                _why(engine, shape, by, passed),
            )
        passed.append(f"{engine}: {problem}")
    return _none(template, shape, passed)


def precision_of(shape: Shape) -> Precision:
    """The precision that most of the weights have; "" when their types are not known."""
    matrices = {kind: size - shape.tables.get(kind, 0) for kind, size in shape.weights.items()}
    most = max(matrices, key=lambda kind: matrices[kind], default="")
    return _PRECISIONS.get(most, "")


def _problem(template: Template, shape: Shape, offer: Offer | None, *, gpu: bool) -> str:
    """Why an engine cannot serve this, in a clause; "" when it can."""
    if offer is None:
        return "there is no such engine"
    able = offer.capabilities
    why = able.refuses.get(shape.architecture, "")
    if why:
        return f"the architecture [{shape.architecture}] is not supported: {why}"
    if able.formats and shape.format and shape.format not in able.formats:
        return f"it reads {_listed(able.formats)}, the weights are {shape.format}"
    if gpu and not able.on_gpu:
        return "it computes on the CPU, and a GPU is asked for"
    if not gpu and not able.on_cpu:
        return "it needs a GPU, and none is asked for"
    return offer.missing or _precision_problem(template, shape, able)


def _precision_problem(template: Template, shape: Shape, able: Capabilities) -> str:
    found = precision_of(shape)
    if not template.precision or not found or found == template.precision:
        return ""
    if shape.format == "gguf" and template.precision in _CONVERSIONS:
        return ""
    if found == "fp16" and template.precision in able.makes:
        return ""
    return f"it cannot make {template.precision} of weights that are {found}"


def _conversion(template: Template, shape: Shape, offer: Offer) -> Conversion:
    """Only what is not served as it lies is converted."""
    if shape.format != "gguf" or not offer.capabilities.formats or not template.precision:
        return ""
    wanted = _CONVERSIONS.get(template.precision, "")
    kinds = {kind for kind, size in shape.weights.items() if size - shape.tables.get(kind, 0) > 0}
    found = precision_of(shape)
    if not wanted or not found or (found == template.precision and not kinds & {"BF16"}):
        return ""
    return wanted


def _named_by(wish: str, template: Template) -> str:
    if wish:
        return "the operator's setting names it"
    return "" if template.engine == AUTO else "the template names it"


def _why(engine: str, shape: Shape, by: str, passed: Sequence[str]) -> str:
    reads = " ".join(filter(None, (shape.format, shape.architecture)))
    reason = by or (
        f"it serves {reads}" if reads else "it serves whatever a folder of weights holds"
    )
    tail = f" Passed over: {'; '.join(passed)}." if passed else ""
    return f"The engine is {engine}: {reason}.{tail}"


def _none(template: Template, shape: Shape, passed: Sequence[str]) -> Hold:
    refused = [text for text in passed if "is not supported" in text]
    what = " ".join(filter(None, (shape.format, shape.architecture))) or "these weights"
    return Hold(
        "ArchitectureNotSupported" if refused else "NoEngine",
        f"No engine here serves {what} for the spec [{template.name}]. Tried {'; '.join(passed)}. "
        + _advice(template, shape, passed),
        permanent=True,
    )


def _advice(template: Template, shape: Shape, passed: Sequence[str]) -> str:
    if shape.architecture == "chatglm-v1":
        return "What works: mount ChatGLM2-6B (spec chatglm2_6b_fp16), or register a template with a start command of your own."
    if shape.format == "safetensors" and any("llama_cpp" in text for text in passed):
        return "Mount a GGUF file of the model, or install vLLM or transformers and name it in the settings (engines.vllm, engines.transformers)."
    return "Mount other weights, change the template's engine, or register a template with a start command."


def _listed(names: Iterable[str]) -> str:
    return " and ".join(sorted(names))
