"""How many requests a replica is given at once: only what is known for certain bounds anybody."""

from dataclasses import replace

import pytest

from builders import a_template, a_version
from pierhead.core.launch import Capabilities, Files, Placement
from pierhead.core.services import Intake
from pierhead.core.slots import WAITING_AT_HAND, slots_of
from pierhead.engines import registry
from pierhead.engines.llama_cpp import OWN_BUILD, LlamaCpp
from pierhead.engines.vllm import Vllm

CAPABILITIES = {name: engine.capabilities for name, engine in registry("python").items()}
LLAMA, VLLM = CAPABILITIES["llama_cpp"], CAPABILITIES["vllm"]
TRANSFORMERS, CUSTOM = CAPABILITIES["transformers"], CAPABILITIES["custom"]


@pytest.mark.parametrize(
    ("engines", "flags", "expected"),
    [
        ([LLAMA], (), 3 + WAITING_AT_HAND),
        ([LLAMA, LLAMA], (), 3 + WAITING_AT_HAND),
        ([OWN_BUILD], (), 3 + WAITING_AT_HAND),
        ([VLLM], (), 3 + WAITING_AT_HAND),
        ([TRANSFORMERS], (), 0),
        ([CUSTOM], (), 0),
        ([LLAMA, TRANSFORMERS], (), 0),
        ([], (), 0),
        ([OWN_BUILD], ("--temp", "0"), 3 + WAITING_AT_HAND),
        ([OWN_BUILD], ("-np", "9"), 0),
        ([OWN_BUILD], ("--parallel", "9"), 0),
        ([VLLM], ("--max-num-seqs=256",), 0),
        ([VLLM], ("--max_num_seqs", "256"), 0),
        ([LLAMA], ("--parallel", "9"), 3 + WAITING_AT_HAND),
    ],
)
def test_slots_of_engines(
    engines: list[Capabilities], flags: tuple[str, ...], expected: int
) -> None:
    """The embedded engine is given no flags; the others' flags come last, and may say another number."""
    version = a_version(template=a_template(engine="auto", slots=3, flags=flags))
    assert slots_of(version, engines) == expected


def test_of_a_program_of_ones_own_its_owner_says_it() -> None:
    told = a_version(intake=Intake(workers=5))
    assert slots_of(told, [CUSTOM]) == 5 + WAITING_AT_HAND
    assert slots_of(told, [TRANSFORMERS]) == 0, "an engine's number is its own"


@pytest.mark.parametrize(
    "engine", [LlamaCpp("python"), LlamaCpp("python", "llama-server"), Vllm("vllm")]
)
def test_engines_that_tell_are_started_with_just_so_many(engine: LlamaCpp | Vllm) -> None:
    """What `Capabilities.slot_options` promises: the template's number is in the command line."""
    assert engine.capabilities.slot_options is not None
    template = replace(a_template(), slots=17)
    place = Placement("svc_one", "r", "127.0.0.1", 40123, "key", 2)
    argv = engine.launch(template, Files("/m", "/m/x", 7), place).argv
    names = engine.capabilities.slot_options or {"--slots"}
    assert [argv[at + 1] for at, word in enumerate(argv[:-1]) if word in names] == ["17"]
