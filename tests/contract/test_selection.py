"""The engine of a service: chosen before anything is fetched, chosen again, told once, joined by all."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from reconciler_world import World, fresh_database, tell

from pierhead.core.families import FAMILIES
from pierhead.core.replicas import Exit
from pierhead.core.resources import GIB
from pierhead.core.services import Hold
from pierhead.core.sizing import Shape
from pierhead.core.status import Status
from pierhead.core.templates import AUTO
from pierhead.core.workloads import Workload
from pierhead.store.db import Database

SMALL = FAMILIES["smollm2_135m"].shape
FP16 = replace(SMALL, format="gguf", weights={"F16": 269_000_000})
INT8 = replace(SMALL, format="gguf", weights={"Q8_0": 143_000_000})
FIRST_GLM = replace(FAMILIES["chatglm_6b"].shape, format="safetensors")
CONVERTING = Hold("ConvertingWeights", "q8_0: 12 of 290 tensors.", progressing=True)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    yield from fresh_database(tmp_path_factory.mktemp("selection"))


def applied(its: World) -> list[Workload]:
    """Every workload from now on of which something may be started."""
    noted: list[Workload] = []
    apply = its.runtime.apply

    async def noting(workload: Workload) -> None:
        if not workload.held:
            noted.append(workload)
        await apply(workload)

    its.runtime.apply = noting  # type: ignore[method-assign]
    return noted


def test_the_engine_is_told_once_and_its_replicas_run_it(db: Database) -> None:
    async def story(its: World) -> None:
        noted = applied(its)
        its.shapes.fetched = FP16
        service = await its.create("svc", replicas=2, name="small", engine=AUTO, precision="fp16")
        await its.settled("svc")
        assert {workload.template.engine for workload in noted} == {"llama_cpp"}
        assert {replica.engine for replica in its.ready(service)} == {"llama_cpp"}
        assert {workload.files.precision for workload in noted} == {"fp16"}
        await its.scale("svc", 3)
        await its.settled("svc")
        assert (await its.reasons(service.id)).count("EngineChosen") == 1
        (told,) = [
            event for event in await its.events(service.id) if event.reason == "EngineChosen"
        ]
        assert told.type == "Normal"
        assert "The engine is llama_cpp: it serves gguf weights" in told.message
        await its.restart("svc")
        await its.settled("svc")
        assert (await its.reasons(service.id)).count("EngineChosen") == 2, "once per rollout"
        assert its.conversions.asked == []

    tell(db, story)


def test_what_no_engine_serves_is_held_before_anything_is_fetched(db: Database) -> None:
    async def story(its: World) -> None:
        its.shapes.models["glm"] = FIRST_GLM
        service = await its.create("svc", name="glm", engine=AUTO, family="chatglm_6b")
        await asyncio.sleep(1)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.FAILED, "ArchitectureNotSupported")
        assert "chatglm2_6b_fp16" in found.message
        await asyncio.sleep(120)
        assert its.weights.asked == []
        assert its.runtime.observe(service.id) == []
        its.shapes.models["glm"] = replace(FIRST_GLM, architecture="chatglm", format="gguf")
        await its.update("svc", family="chatglm2_6b")
        await its.settled("svc")

    tell(db, story)


def test_the_family_is_looked_at_before_the_engine(db: Database) -> None:
    async def story(its: World) -> None:
        its.shapes.models["llama"] = replace(
            FAMILIES["baichuan_7b"].shape, format="safetensors", weights={"F16": 10}
        )
        await its.create("svc", name="llama", engine=AUTO, family="llama_7b")
        await asyncio.sleep(1)
        assert (await its.verdict("svc")).reason == "WeightsMismatch", "no engine would mend it"

    tell(db, story)


def test_other_weights_are_converted_first_and_that_is_told(db: Database) -> None:
    async def story(its: World) -> None:
        noted = applied(its)
        its.shapes.fetched, its.shapes.files = FP16, {"/cache/q8_0.gguf": INT8}
        its.conversions.hold = CONVERTING
        service = await its.create(
            "svc", name="small", engine=AUTO, precision="int8", start_deadline=30.0
        )
        await asyncio.sleep(300)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.CREATING, "ConvertingWeights")
        assert set(its.conversions.asked) == {("/weights/model.gguf", "q8_0")}
        its.conversions.hold = None
        its.reconciler.hasten()
        await its.settled("svc", within=5)
        files = noted[0].files
        assert (files.model, files.precision) == ("/cache/q8_0.gguf", "int8")
        (told,) = [e for e in await its.events(service.id) if e.reason == "WeightsConverted"]
        assert "from fp16 to int8 (q8_0): /cache/q8_0.gguf" in told.message
        assert told.type == "Normal"

    tell(db, story)


def test_what_the_converted_file_needs_is_what_counts(db: Database) -> None:
    async def story(its: World) -> None:
        large = replace(SMALL, format="gguf", weights={"Q8_0": 2000 * GIB})
        its.shapes.fetched, its.shapes.files = FP16, {"/cache/q8_0.gguf": large}
        await its.create("svc", name="small", engine=AUTO, precision="int8")
        await asyncio.sleep(1)
        assert (await its.verdict("svc")).reason == "ModelDoesNotFit"

    tell(db, story)


def test_a_precision_that_nobody_makes_is_held(db: Database) -> None:
    async def story(its: World) -> None:
        its.shapes.fetched = FP16
        service = await its.create("svc", name="small", engine=AUTO, precision="q4")
        await asyncio.sleep(1)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.FAILED, "NoEngine")
        assert "it cannot make q4 of weights that are fp16" in found.message
        assert its.runtime.observe(service.id) == []

    tell(db, story)


def test_a_template_that_names_its_engine_is_served_as_its_weights_lie_and_that_is_told(
    db: Database,
) -> None:
    """So services that an older release stored run on."""

    async def story(its: World) -> None:
        noted = applied(its)
        its.shapes.fetched = FP16
        service = await its.create("svc", name="small", engine="llama_cpp", precision="int8")
        await its.settled("svc")
        assert its.conversions.asked == []
        assert noted[0].files.model == "/weights/model.gguf"
        (told,) = [e for e in await its.events(service.id) if e.reason == "PrecisionDiffers"]
        assert "are fp16, the template [small] says int8" in told.message
        assert told.type == "Warning"

    tell(db, story)


def test_all_replicas_of_a_rollout_run_the_engine_of_those_that_run(db: Database) -> None:
    """An engine that was installed later is for the next rollout: answers stay what they are."""

    async def story(its: World) -> None:
        its.shapes.fetched = replace(SMALL, format="safetensors", weights={"F16": 10})
        its.offer("vllm")
        service = await its.create("svc", name="small", engine=AUTO)
        await its.settled("svc")
        its.offer("transformers")
        await its.scale("svc", 2)
        await its.settled("svc")
        first, *_ = its.ready(service)
        its.runtime.crash(first.id, Exit(at=first.ready_at or 0.0, code=1))
        await its.settled("svc")
        assert {replica.engine for replica in its.ready(service)} == {"vllm"}
        await its.restart("svc")
        await its.settled("svc")
        assert {replica.engine for replica in its.ready(service)} == {"transformers"}

    tell(db, story)


def test_the_operators_wish_counts(db: Database) -> None:
    async def story(its: World) -> None:
        its.shapes.fetched = replace(SMALL, format="safetensors", weights={"F16": 10})
        its.offer("vllm")
        its.offer("transformers")
        its.wishes["small"] = "vllm"
        service = await its.create("svc", name="small", engine=AUTO)
        await its.settled("svc")
        assert {replica.engine for replica in its.ready(service)} == {"vllm"}
        its.wishes["echo"] = "vllm"
        own = await its.create("own")
        await its.settled("own")
        assert {r.engine for r in its.ready(own)} == {"custom"}, "a command of one's own stays that"

    tell(db, story)


def test_weights_of_which_nothing_is_known_are_the_embedded_engines(db: Database) -> None:
    async def story(its: World) -> None:
        its.shapes.fetched = Shape()
        service = await its.create("svc", name="unseen", engine=AUTO, precision="int8")
        await its.settled("svc")
        assert {replica.engine for replica in its.ready(service)} == {"llama_cpp"}
        assert its.conversions.asked == []

    tell(db, story)
