"""What is said in Chinese is Chinese: every form of every text, and the clauses that the platform makes."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from builders import a_template
from pierhead.core import diagnosis, ejections
from pierhead.core.causes import Cause
from pierhead.core.choice import Offer, choose
from pierhead.core.devices import Devices, Need, Taken, assign
from pierhead.core.diagnosis import explained
from pierhead.core.diagnosis.texts import ENTRIES
from pierhead.core.diagnosis.wording import Entry
from pierhead.core.languages import Language
from pierhead.core.placement import unplaceable
from pierhead.core.replicas import Accelerator, Node, ReplicaState, ReplicaStatus
from pierhead.core.resources import GIB, Resources
from pierhead.core.services import Hold
from pierhead.core.sizing import Shape
from pierhead.core.templates import Constraints
from pierhead.engines import offers, registry
from pierhead.engines.programs import NO_PROGRAMS
from pierhead.sources.progress import Phase, Progress

CHINESE = (Language.ZH_CN, Language.ZH_TW)
_HAN = re.compile(r"[\u4e00-\u9fff]")
#: Three words of English in a row are a clause; names of programs, files and settings are not.
_CLAUSE = re.compile(r"(?<![\w./-])(?:[a-z]{2,}['s]{0,2} ){2,}[a-z]{2,}")
_GPU = Accelerator("T4", "a" * 32, "NVIDIA", "T4", 16 * GIB, "7.5", id="GPU-1")
_PLAIN = Node("plain", cpu=8, memory=16 * GIB, memory_free=8 * GIB, architecture="X86_64")
_WITH_GPU = replace(_PLAIN, name="with-gpu", gpus=1, accelerators=(_GPU,))


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
def test_every_form_of_every_text_is_in_its_language(entry: Entry) -> None:
    for language in CHINESE:
        for form in entry.text(language).sentences():
            assert _HAN.search(form), (language, form)


def clauses() -> Iterator[Hold | Cause]:
    """What the platform's own code says of what it met, of each kind."""
    wanted = Resources(memory=64 * GIB, cpu=32)
    for resources, nodes, constraints in (
        (wanted, [_PLAIN], Constraints()),
        (wanted, [], Constraints()),
        (Resources(gpu=1), [_PLAIN], Constraints()),
        (Resources(gpu=1), [_PLAIN], Constraints(architectures=("AARCH64",))),
        (Resources(gpu=1), [_WITH_GPU], Constraints(gpu_capability="9.0")),
        (Resources(gpu=1), [_WITH_GPU], Constraints(gpu_specs={"AMD": ()})),
        (Resources(gpu_memory=32 * GIB), [_WITH_GPU], Constraints()),
    ):
        hold = unplaceable(resources, nodes, constraints)
        assert hold is not None
        yield hold
    taken = {"r": Taken("other", Devices(("GPU-1",)))}
    for resources in (Resources(gpu=1), Resources(gpu_memory=GIB)):
        held = assign(Need(resources), (_GPU,), taken)
        assert isinstance(held, Hold)
        yield held
    yield from _engines()
    yield from _ejected()
    for phase in Phase:
        for progress in (Progress(phase), Progress(phase, 12, 93, 8.0, 10.0, "model.gguf")):
            yield Cause("FetchingWeights", "", {"progress": str(progress), "source": "hub"})


def _engines() -> Iterator[Hold]:
    bare = offers(registry("py"), NO_PROGRAMS, lambda _program: None)
    every = {name: Offer(offer.capabilities) for name, offer in bare.items()}
    known = {name for offer in every.values() for name in offer.capabilities.refuses}
    for resources in (Resources(), Resources(gpu=1)):
        template = a_template(name="spec", engine="auto", resources=resources)
        for kind in ("gguf", "safetensors"):
            for architecture in ("llama", *sorted(known)):
                shape = Shape(architecture=architecture, format=kind, weights={"F16": 100})
                for there in (bare, every):
                    found = choose(template, shape, there)
                    if isinstance(found, Hold):
                        yield found
        other = choose(
            replace(template, precision="int4"),
            Shape(architecture="llama", format="safetensors", weights={"F16": 100}),
            every,
        )
        if isinstance(other, Hold):
            yield other


def _ejected() -> Iterator[Cause]:
    replica = ReplicaStatus("r", "s", "1", ReplicaState.READY, 0.0)
    for word in ejections._MET:  # pyright: ignore[reportPrivateUsage]
        (marked,) = ejections.marked((replica,), {"r": word})
        cause = diagnosis.replica_cause(marked)
        assert cause is not None
        yield cause


def test_the_platforms_own_clauses_are_told_anew() -> None:
    seen: set[str] = set()
    for told in clauses():
        seen.add(told.reason)
        for language in CHINESE:
            found = explained(Cause(told.reason, told.message, told.facts), language)
            for text in (found.error, *found.causes, *found.advices, *found.evidence):
                assert _HAN.search(text), text
                assert not _CLAUSE.search(text), (told.reason, text)
    assert {"InsufficientResources", "Unschedulable", "WaitingForGpu", "NoEngine"} <= seen


def test_what_others_wrote_stays_as_it_is() -> None:
    line = "error: this is what the program said of itself"
    found = explained(Cause("ProgramError", "", {"log_line": line}), Language.ZH_CN)
    assert any(line in text for text in (found.error, *found.causes, *found.evidence))
