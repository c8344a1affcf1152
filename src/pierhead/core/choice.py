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
    "bfloat16": "fp16", "Q8_0": "int8", "Q8_K": "int8", "I8": "int8", "Q4_0": "q4", "Q4_1": "q4",
    "Q4_K": "q4", "IQ4_NL": "q4", "IQ4_XS": "q4", "MXFP4": "q4", "NVFP4": "q4",
}  # fmt: skip
#: Precision -> what a conversion on this host makes of GGUF files for it.
_CONVERSIONS: Mapping[Precision, "Conversion"] = {"fp16": "f16", "int8": "q8_0"}

Conversion = Literal["", "f16", "q8_0"]
#: Reason of a hold: there is no engine here for the model's architecture, whatever is mounted.
UNSERVED = "ArchitectureNotSupported"

#: What is said of weights that are Python pickles.
PICKLED = (
    "the weights are pickled (.bin, .pt), which no engine here reads, since loading a pickle runs "
    "whatever code is in it; convert them to safetensors (save_pretrained of transformers writes "
    "those), or mount a GGUF file of the model."
)


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


@dataclass(frozen=True, slots=True)
class _Passed:
    """An engine that does not serve it."""

    engine: str
    why: str  #: a clause
    architecture: bool = False  #: is it the model's architecture that it cannot run?
    missing: bool = False  #: is it the engine alone that is missing?

    def __str__(self) -> str:
        return f"{self.engine} ({self.why})"


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
    rollout already, which all others join. A template that names its engine is served by that one as
    its weights lie and on what it computes on: so services of releases without a choice run on.
    """
    named = wish or (template.engine if template.engine != AUTO else running)
    usual = ON_GPU if _on_gpu(template) else ON_CPU
    passed: list[_Passed] = []
    for engine in (named,) if named else usual:
        offer = offers.get(engine)
        if offer is None:
            passed.append(_Passed(engine, "there is no such engine"))
            continue
        problem = _problem(template, shape, engine, offer, named=bool(named))
        if problem is None:
            convert = _conversion(template, shape, offer)
            why = _reason(shape, wish, template) + _passed_over(passed)
            made = _made(template, shape, convert, offer)
            return Choice(engine, convert, f"The engine is {engine}: {why}{made}")
        passed.append(problem)
    return _none(template, shape, passed)


def precision_of(shape: Shape) -> str:
    """The precision that most of the weights have: `fp16`, else the type's own name; "" = not known."""
    matrices = {kind: size - shape.tables.get(kind, 0) for kind, size in shape.weights.items()}
    most = max(matrices, key=lambda kind: matrices[kind], default="")
    # Types of GGUF mean one thing each; what integers of safetensors are packed from is not said.
    own = most if shape.format == "gguf" and most != "unknown" else ""
    return _PRECISIONS.get(most, own)


def differs(template: Template, shape: Shape) -> bool:
    """Do the weights have another precision than the template says, as far as both are known?"""
    found = precision_of(shape)
    return bool(template.precision and found) and found != template.precision


def pickled(shape: Shape) -> bool:
    """Are there weights, and none that an engine of ours reads?"""
    return not shape.format and shape.weight_bytes > 0


def _on_gpu(template: Template) -> bool:
    return template.resources.devices > 0


# ---- why not -----------------------------------------------------------------------------------


def _problem(
    template: Template, shape: Shape, engine: str, offer: Offer, *, named: bool
) -> _Passed | None:
    """Why an engine cannot serve this; None when it can. What no setting can mend comes first."""
    able = offer.capabilities
    refused = able.refuses.get(shape.architecture, "")
    if refused:
        return _Passed(engine, refused, architecture=True)
    why = _format_problem(shape, able) or _device_problem(template, able, named=named)
    if template.nodes > 1 and not able.spans:
        why = "it computes on one node only"
    # Replicas over several nodes run in images, and a template's own is taken to have its engine.
    brings = template.nodes > 1 and bool(template.images)
    if not why and offer.missing and not brings:
        return _Passed(engine, offer.missing, missing=True)
    why = why or _precision_problem(template, shape, able)
    return _Passed(engine, why) if why else None


def _format_problem(shape: Shape, able: Capabilities) -> str:
    found = "pickled" if pickled(shape) else shape.format
    if not able.formats or not found or found in able.formats:
        return ""
    return f"it reads {_listed(able.formats)}, the weights are {found}"


def _device_problem(template: Template, able: Capabilities, *, named: bool) -> str:
    gpu = _on_gpu(template)
    # Who names an engine that computes on the CPU gets it, whatever else is asked for.
    if gpu and not able.on_gpu and not named:
        return "it computes on the CPU, and a GPU is asked for"
    if not gpu and not able.on_cpu:
        return "it needs a GPU, and none is asked for"
    return ""


def _precision_problem(template: Template, shape: Shape, able: Capabilities) -> str:
    found = precision_of(shape)
    if template.engine != AUTO or not differs(template, shape):
        return ""
    if shape.format == "gguf" and template.precision in _CONVERSIONS:
        return ""
    if found == "fp16" and template.precision in able.made(gpu=_on_gpu(template)):
        return ""
    return f"it cannot make {template.precision} of weights that are {found}"


def _none(template: Template, shape: Shape, passed: Sequence[_Passed]) -> Hold:
    tried = ", ".join(map(str, passed))
    if all(each.architecture for each in passed):
        reason = UNSERVED
        what = f"the architecture [{shape.architecture}]"
    elif pickled(shape):
        text = f"The spec [{template.name}] cannot be served: {PICKLED}"
        facts = {"place": template.name}
        return Hold("FormatNotSupported", text, permanent=True, facts=facts)
    else:
        reason, what = "NoEngine", _described(shape) or "these weights"
    advice = _advice(template, shape, passed)
    facts = {"spec": template.name, "weights": what, "tried": tried, "advice": advice}
    return Hold(
        reason,
        f"No engine here serves {what} for the spec [{template.name}], tried {tried}; what works: "
        f"{advice}.",
        permanent=True,
        facts=facts | {"architecture": shape.architecture},
    )


def _advice(template: Template, shape: Shape, passed: Sequence[_Passed]) -> str:
    tried = {each.engine: each for each in passed}
    own = "register a template with a start command of your own"
    if shape.architecture == "chatglm-v1":
        return f"mount ChatGLM2-6B and use the spec chatglm2_6b_fp16, or {own}"
    if differs(template, shape):
        return f"mount weights that are {template.precision}, or use a spec of their precision"
    embedded = tried.get("llama_cpp")
    if embedded is not None and shape.format == "safetensors" and not embedded.architecture:
        others = [name for name in ("vllm", "transformers") if _would_do(tried.get(name))]
        settings = " or ".join(f"engines.{name}" for name in others)
        install = f", or install {' or '.join(others)} (the setting {settings})"
        return f"mount a GGUF file of the model{install if others else ''}"
    if embedded is not None and embedded.missing:
        return "correct the setting engines.llama_server, or leave it out for the embedded engine"
    if embedded is not None and _on_gpu(template):
        return "ask for no GPU, or name a llama-server for GPUs (the setting engines.llama_server)"
    return f"mount other weights, or {own}"


def _would_do(passed: _Passed | None) -> bool:
    return passed is not None and not passed.architecture


# ---- why ---------------------------------------------------------------------------------------


def _conversion(template: Template, shape: Shape, offer: Offer) -> Conversion:
    """Only what is not served as it lies is converted."""
    if shape.format != "gguf" or template.engine != AUTO or not offer.capabilities.formats:
        return ""
    wanted = _CONVERSIONS.get(template.precision, "")
    matrices = {kind for kind, size in shape.weights.items() if size > shape.tables.get(kind, 0)}
    other = differs(template, shape) or (wanted == "f16" and "BF16" in matrices)
    return wanted if other else ""


def _reason(shape: Shape, wish: str, template: Template) -> str:
    if wish:
        return "the operator's setting names it."
    if template.engine != AUTO:
        return "the template names it."
    return f"it serves {_described(shape) or 'whatever a folder of weights holds'}."


def _passed_over(passed: Sequence[_Passed]) -> str:
    return f" Passed over: {', '.join(map(str, passed))}." if passed else ""


def _made(template: Template, shape: Shape, convert: Conversion, offer: Offer) -> str:
    found = precision_of(shape)
    if convert:
        return (
            f" The weights are {found} and are converted to {template.precision} ({convert}) first."
        )
    makes = offer.capabilities.made(gpu=_on_gpu(template))
    if template.engine == AUTO and differs(template, shape) and makes:
        return (
            f" It makes {template.precision} of the weights, which are {found}, as it loads them."
        )
    return ""


def _described(shape: Shape) -> str:
    """`gguf weights of the architecture [llama]`."""
    architecture = f"of the architecture [{shape.architecture}]" if shape.architecture else ""
    weights = f"{shape.format} weights".strip() if shape.format or architecture else ""
    return " ".join(filter(None, (weights, architecture)))


def _listed(names: Iterable[str]) -> str:
    return " and ".join(sorted(names))
