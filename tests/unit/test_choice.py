"""The choice of an engine: the first that can, and a sentence that says why, also of those that cannot."""

from dataclasses import replace

import pytest

from builders import a_template
from pierhead.core.choice import PICKLED, Choice, Offer, choose, precision_of
from pierhead.core.families import FAMILIES
from pierhead.core.resources import GIB, Resources
from pierhead.core.services import Hold
from pierhead.core.sizing import Shape
from pierhead.core.specs import BUILT_IN
from pierhead.core.templates import AUTO, Precision, Template
from pierhead.engines import offers, registry
from pierhead.engines.programs import NO_PROGRAMS, Programs

BARE = offers(registry("py"), NO_PROGRAMS, lambda _program: None)
#: As if the operator had installed everything.
ALL = {name: Offer(offer.capabilities) for name, offer in BARE.items()}
GPU = Resources(gpu=1)
ON_ITS_OWN = offers(registry("py", own := Programs(llama_server="/opt/x")), own, lambda name: name)


def spec(engine: str = AUTO, precision: Precision = "", **fields: object) -> Template:
    return a_template(**{"name": "spec", "engine": engine, "precision": precision} | fields)


def gguf(kind: str, architecture: str = "llama", **more: int) -> Shape:
    return Shape(architecture=architecture, format="gguf", weights={kind: 100, "F32": 1, **more})


def tensors(kind: str = "F16", architecture: str = "llama") -> Shape:
    return Shape(architecture=architecture, format="safetensors", weights={kind: 100})


def chosen(found: Choice | Hold) -> Choice:
    assert isinstance(found, Choice), found
    return found


def held(found: Choice | Hold) -> Hold:
    assert isinstance(found, Hold), found
    assert found.permanent
    assert found.message.endswith(".")
    return found


@pytest.mark.parametrize(
    ("template", "shape", "engine"),
    [
        (spec(), gguf("F16"), "llama_cpp"),
        (spec(), Shape(), "llama_cpp"),
        (spec(), tensors(), "transformers"),
        (spec(), tensors(architecture="chatglm"), "vllm"),
        (spec(precision="int8"), tensors(), "vllm"),  # transformers makes int8 on GPUs only
        (spec(precision="int8", resources=GPU), tensors(), "vllm"),
        (spec(resources=GPU), tensors(), "vllm"),
        (spec(resources=GPU), Shape(), "vllm"),
        (spec(resources=Resources(gpu_memory=GIB)), tensors(), "vllm"),
        (spec("vllm"), Shape(), "vllm"),
    ],
)
def test_the_first_that_can_serve_it(template: Template, shape: Shape, engine: str) -> None:
    assert chosen(choose(template, shape, ALL)).engine == engine


def test_those_that_were_passed_over_are_named_with_the_reason() -> None:
    found = chosen(choose(spec(), tensors(architecture="chatglm"), ALL))
    assert found.why == (
        "The engine is vllm: it serves safetensors weights of the architecture [chatglm]. Passed "
        "over: llama_cpp (it reads gguf, the weights are safetensors), transformers (it exists only "
        "as remote code, which was written for an older version)."
    )
    assert chosen(choose(spec(), gguf("F16"), ALL)).why == (
        "The engine is llama_cpp: it serves gguf weights of the architecture [llama]."
    )


def test_a_wish_goes_before_all_and_running_replicas_before_the_usual_order() -> None:
    both = tensors()
    assert chosen(choose(spec(), both, ALL, wish="vllm")).engine == "vllm"
    assert chosen(choose(spec("transformers"), both, ALL, wish="vllm")).engine == "vllm"
    assert chosen(choose(spec(), both, ALL, running="vllm")).engine == "vllm"
    assert chosen(choose(spec(), both, ALL, running="vllm", wish="transformers")).engine == (
        "transformers"
    )
    assert chosen(choose(spec("vllm"), both, ALL, running="transformers")).engine == "vllm"
    assert "setting names it" in chosen(choose(spec(), both, ALL, wish="vllm")).why
    hold = held(choose(spec(), gguf("F16"), ALL, wish="vllm"))
    assert "vllm (it reads safetensors, the weights are gguf)" in hold.message
    assert "llama_cpp" not in hold.message, "who names one gets no other"
    assert "there is no such engine" in held(choose(spec("nonsense"), both, ALL)).message


# ---- what cannot be served -----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [gguf("F16", "chatglm-v1"), tensors("F16", "chatglm-v1")])
@pytest.mark.parametrize("there", [BARE, ALL])
def test_the_first_chatglm_is_refused_in_one_sentence(
    shape: Shape, there: dict[str, Offer]
) -> None:
    for name in ("chatglm_6b_fp16", "chatglm_6b_int8"):
        hold = held(choose(BUILT_IN[name], shape, there))
        assert hold.reason == "ArchitectureNotSupported"
        assert "[chatglm-v1]" in hold.message
        assert all(
            f"{engine} (" in hold.message for engine in ("llama_cpp", "transformers", "vllm")
        )
        assert "chatglm2_6b_fp16" in hold.message
        assert "start command" in hold.message
        assert ". " not in hold.message


def test_pickles_are_refused_and_what_to_do_is_said() -> None:
    pickles = Shape(architecture="llama", weights={"float16": 100})
    hold = held(choose(spec(), pickles, ALL))
    assert hold.reason == "FormatNotSupported"
    assert PICKLED in hold.message
    first = replace(pickles, architecture="chatglm-v1")
    assert held(choose(spec(), first, ALL)).reason == "ArchitectureNotSupported", "no form helps"


def test_safetensors_without_an_engine_for_them() -> None:
    hold = held(choose(spec(), tensors(), BARE))
    assert hold.reason == "NoEngine"
    assert "vllm (it is not installed (the setting engines.vllm names its program))" in hold.message
    assert "mount a GGUF file of the model, or install vllm or transformers (" in hold.message
    hold = held(choose(spec(), tensors(architecture="baichuan"), ALL))
    assert hold.reason == "NoEngine", "another form of it is served"
    assert hold.message.endswith("what works: mount a GGUF file of the model.")
    hold = held(choose(spec(), tensors(architecture="chatglm"), BARE))
    assert hold.message.endswith("or install vllm (the setting engines.vllm).")


def test_a_gpu_is_not_taken_for_an_engine_that_does_not_use_it() -> None:
    gpu = spec(resources=GPU)
    hold = held(choose(gpu, gguf("F16"), ALL))
    assert "llama_cpp (it computes on the CPU, and a GPU is asked for)" in hold.message
    assert "ask for no GPU" in hold.message
    assert chosen(choose(gpu, gguf("F16"), ON_ITS_OWN)).engine == "llama_cpp"


# ---- precision -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "precision"),
    [
        (gguf("F16"), "fp16"),
        (gguf("BF16"), "fp16"),
        (gguf("Q8_0"), "int8"),
        (gguf("Q4_1"), "q4"),
        (gguf("Q5_K", Q6_K=50), "Q5_K"),
        (gguf("unknown"), ""),
        (tensors("BF16"), "fp16"),
        (tensors("float16"), "fp16"),
        (tensors("I8"), "int8"),
        (tensors("I32"), ""),  # packed, of whatever
        (FAMILIES["llama_7b"].shape, ""),
        (replace(gguf("Q4_K", F16=150), tables={"F16": 150}), "q4"),
    ],
)
def test_the_precision_is_that_of_most_matrices(shape: Shape, precision: str) -> None:
    assert precision_of(shape) == precision


@pytest.mark.parametrize(
    ("kind", "precision", "convert"),
    [
        ("F16", "fp16", ""),
        ("F16", "int8", "q8_0"),
        ("BF16", "int8", "q8_0"),
        ("BF16", "fp16", "f16"),
        ("Q4_K", "fp16", "f16"),
        ("Q5_K", "int8", "q8_0"),
        ("Q8_0", "fp16", "f16"),
        ("Q8_0", "int8", ""),
        ("Q4_0", "q4", ""),
        ("F16", "", ""),
        ("unknown", "int8", ""),
    ],
)
def test_gguf_weights_of_another_precision_are_converted(
    kind: str, precision: Precision, convert: str
) -> None:
    found = chosen(choose(spec(precision=precision), gguf(kind), BARE))
    assert found.convert == convert
    assert ("are converted to" in found.why) == bool(convert)


@pytest.mark.parametrize(
    ("shape", "precision", "said"),
    [
        (gguf("F16"), "q4", "it cannot make q4 of weights that are fp16"),
        (tensors("F16"), "q4", "it cannot make q4 of weights that are fp16"),
        (tensors("I8"), "fp16", "it cannot make fp16 of weights that are int8"),
    ],
)
def test_a_precision_that_nobody_makes_is_never_served_silently(
    shape: Shape, precision: Precision, said: str
) -> None:
    hold = held(choose(spec(precision=precision), shape, ALL))
    assert hold.reason == "NoEngine"
    assert said in hold.message
    assert f"mount weights that are {precision}" in hold.message


def test_an_engine_that_makes_the_precision_itself_gets_the_weights_as_they_lie() -> None:
    found = chosen(choose(spec(precision="int8", resources=GPU), tensors("F16"), ALL))
    assert (found.engine, found.convert) == ("vllm", "")
    assert "makes int8 of the weights, which are fp16" in found.why


@pytest.mark.parametrize("resources", [GPU, Resources(gpu_memory=GIB)])
def test_a_part_of_a_gpu_is_a_gpu_to_the_engine_that_makes_int8_there(resources: Resources) -> None:
    here = {"transformers": ALL["transformers"]}
    found = chosen(
        choose(spec(precision="int8", resources=resources), tensors("F16"), {**BARE, **here})
    )
    assert found.engine == "transformers"
    assert "makes int8 of the weights" in found.why


def test_what_an_older_release_stored_runs_on_as_it_did() -> None:
    """It named llama.cpp itself, converted nothing, and computed on the CPU whatever was asked for."""
    stored = spec("llama_cpp", "int8", resources=GPU)
    found = chosen(choose(stored, gguf("F16"), BARE))
    assert (found.engine, found.convert) == ("llama_cpp", "")
    assert chosen(choose(spec("llama_cpp", "q4"), gguf("F16"), BARE)).engine == "llama_cpp"


def test_a_setting_that_names_no_program_is_what_has_to_be_mended() -> None:
    programs = Programs(llama_server="/no/such")
    here = offers(registry("py", programs), programs, lambda _program: None)
    found = held(choose(spec(), gguf("F16"), here))
    assert found.message.endswith(
        "what works: correct the setting engines.llama_server, or leave it out for the embedded engine."
    )
