"""The maths before the download: what can never run is held before a byte of it is fetched."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from threading import Event

import pytest
from reconciler_world import World, fresh_database, tell

from builders import FakeClock, a_template, a_version
from pierhead.core.errors import Unavailable
from pierhead.core.families import FAMILIES
from pierhead.core.replicas import Accelerator, Node
from pierhead.core.resources import GIB, MIB, Resources
from pierhead.core.services import Hold
from pierhead.core.sizing import Shape
from pierhead.core.status import Status
from pierhead.core.templates import AUTO, Template
from pierhead.engines import offers, registry
from pierhead.engines.llama_cpp import CAPABILITIES
from pierhead.engines.programs import NO_PROGRAMS
from pierhead.reconciler.preflight import Preflight, as_served, judge
from pierhead.reconciler.selection import loaded_shape
from pierhead.sources.header_window import BadHeader
from pierhead.sources.listings import NoModel
from pierhead.store.db import Database

LLAMA_7B = FAMILIES["llama_7b"].shape
NODE = Node("n1", cpu=8, memory=16 * GIB, memory_free=10 * GIB)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    yield from fresh_database(tmp_path_factory.mktemp("preflight"))


def llama(**fields: object) -> Template:
    return a_template(
        **{"name": "llama_7b_fp16", "engine": "llama_cpp", "precision": "fp16"} | fields
    )


LARGE = replace(LLAMA_7B, layers=3200, parameters=700 * 10**9)  #: 1.3 TiB, and the world has 1 TiB


def test_what_fits_nowhere_is_held_before_anything_is_fetched(db: Database) -> None:
    """Law: a model that cannot fit is refused within a second, with both numbers."""

    async def story(its: World) -> None:
        its.shapes.models["large"] = LARGE
        service = await its.create("svc", name="large", engine="llama_cpp", precision="fp16")
        await asyncio.sleep(1)
        found = await its.verdict("svc")
        assert found.reason == "ModelDoesNotFit"
        assert "One replica needs about 1" in found.message
        assert "the largest node [fake] has 1024.0 GiB" in found.message
        assert its.weights.asked == []
        await asyncio.sleep(600)
        assert its.weights.asked == []
        assert its.runtime.observe(service.id) == []
        assert (await its.reasons(service.id)).count("ModelDoesNotFit") == 1, "told once"

    tell(db, story)


def test_it_goes_on_with_a_load_that_fits(db: Database) -> None:
    async def story(its: World) -> None:
        its.shapes.models["long"] = LLAMA_7B
        await its.create("svc", name="long", engine="llama_cpp", context=1 << 20, slots=4)
        await asyncio.sleep(1)
        found = await its.verdict("svc")
        assert found.reason == "ModelDoesNotFit"
        assert "What fits: " in found.message
        await its.update("svc", context=2048)
        await its.settled("svc", within=10)

    tell(db, story)


def test_an_update_that_cannot_fit_leaves_the_old_version_serving(db: Database) -> None:
    """Law: what serves is never taken down for what a new start would need."""

    async def story(its: World) -> None:
        service = await its.create("svc", name="good", engine="llama_cpp")
        await its.settled("svc")
        (before,) = its.ready(service)
        its.shapes.models["large"] = LARGE
        await its.update("svc", name="large", precision="fp16")
        await asyncio.sleep(120)
        assert [replica.id for replica in its.ready(service)] == [before.id]
        assert "ModelDoesNotFit" in await its.reasons(service.id)

    tell(db, story)


def test_other_weights_than_the_spec_names_are_told_in_one_sentence(db: Database) -> None:
    async def story(its: World) -> None:
        its.shapes.models["spec"] = FAMILIES["baichuan_7b"].shape
        await its.create("svc", name="spec", engine="llama_cpp", family="llama_7b")
        await asyncio.sleep(1)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.FAILED, "WeightsMismatch")
        assert "[llama_7b]" in found.message
        assert "baichuan, 32 layers" in found.message
        assert its.weights.asked == []

    tell(db, story)


def test_a_header_that_cannot_be_true_is_told_and_a_good_one_is_taken_up(db: Database) -> None:
    async def story(its: World) -> None:
        its.shapes.models["spec"] = BadHeader("The header of m.gguf cannot be true: it lies.")
        await its.create("svc", name="spec", engine="llama_cpp")
        await asyncio.sleep(1)
        found = await its.verdict("svc")
        assert found.reason == "ModelFileBroken"
        assert "it lies. Fetch or mount" in found.message
        del its.shapes.models["spec"]
        await its.settled("svc", within=90)

    tell(db, story)


def test_a_folder_without_a_model_is_told_before_anything_is_fetched(db: Database) -> None:
    async def story(its: World) -> None:
        hold = Hold("WeightsAmbiguous", "oss://b/ holds 2 GGUF models.", permanent=True)
        its.shapes.models["spec"] = NoModel(hold)
        await its.create("svc", name="spec", engine="llama_cpp")
        await asyncio.sleep(1)
        found = await its.verdict("svc")
        assert (found.reason, found.message) == (hold.reason, hold.message)
        assert its.weights.asked == []
        del its.shapes.models["spec"]
        await its.settled("svc", within=90)

    tell(db, story)


@pytest.mark.parametrize("family", ["chatglm_6b", "chatglm2_6b"])
def test_a_family_that_no_engine_serves_is_told_before_its_weights_are_there(
    db: Database, family: str
) -> None:
    """Law: nobody is sent for weights that cannot be served once they are there."""

    async def story(its: World) -> None:
        hopeless = family == "chatglm_6b"
        its.offers.clear()
        its.offers.update(offers(registry("py"), NO_PROGRAMS, lambda _program: None))
        await its.create("svc", name="spec", engine=AUTO, family=family)
        await asyncio.sleep(1)
        found = await its.verdict("svc")
        assert (found.reason == "ArchitectureNotSupported") == hopeless
        assert ("chatglm2_6b_fp16" in found.message) == hopeless
        assert (its.weights.asked == []) == hopeless

    tell(db, story)


def test_what_cannot_be_read_now_is_left_to_those_who_fetch_it(db: Database) -> None:
    async def story(its: World) -> None:
        its.shapes.models["a"] = Unavailable("The store", "it is away")
        its.shapes.models["b"] = OSError("gone")
        for name in ("a", "b"):
            await its.create(f"svc_{name}", name=name, engine="llama_cpp")
            await its.settled(f"svc_{name}", within=10)

    tell(db, story)


def test_what_could_not_be_seen_before_is_judged_once_it_is_there(db: Database) -> None:
    async def story(its: World) -> None:
        its.shapes.fetched = LARGE
        service = await its.create("svc", name="unseen", engine="llama_cpp", precision="fp16")
        await asyncio.sleep(1)
        assert (await its.verdict("svc")).reason == "ModelDoesNotFit"
        assert its.weights.asked[:1] == ["unseen"]
        assert its.runtime.observe(service.id) == []

    tell(db, story)


def test_a_users_own_command_is_not_judged(db: Database) -> None:
    async def story(its: World) -> None:
        its.shapes.models["echo"] = LARGE
        await its.create("svc")
        await its.settled("svc", within=10)

    tell(db, story)


# ---- the judgement -------------------------------------------------------------------------------


def test_the_limit_counts_and_what_would_fit_is_said() -> None:
    small = FAMILIES["smollm2_135m"].shape
    template = llama(precision="q4", context=8192, slots=8, resources=Resources(memory=512 * MIB))
    hold = judge(small, template, [NODE])
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.permanent, hold.placement) == ("ModelDoesNotFit", True, True)
    assert "its memory limit is 512.0 MiB" in hold.message
    assert "raise the limit to" in hold.message
    advised = re.search(r"What fits: 8 x \d+ tokens or (\d+) x 8192 tokens", hold.message)
    assert advised is not None, hold.message
    slots = int(advised[1])
    assert judge(small, replace(template, slots=slots), [NODE]) == ()
    assert judge(small, replace(template, slots=slots + 1), [NODE]) != ()


def test_advice_that_is_followed_fits() -> None:
    small = FAMILIES["smollm2_135m"].shape
    template = llama(precision="q4", context=8192, slots=8, resources=Resources(memory=512 * MIB))
    hold = judge(small, template, [NODE])
    assert isinstance(hold, Hold)
    advised = hold.message.split("What fits: ")[1]
    context = int(advised.split("8 x ")[1].split(" tokens")[0])
    assert judge(small, replace(template, context=context), [NODE]) == ()
    assert judge(small, replace(template, context=context + 256), [NODE]) != ()


def test_a_limit_below_the_mapped_weights_is_told_and_tried() -> None:
    """Mapped weights can be taken back by the system: it may run, slowly."""
    shape = replace(FAMILIES["smollm2_135m"].shape, weights={"F16": 300 * MIB})
    template = llama(context=1024, slots=1, resources=Resources(memory=350 * MIB))
    told = judge(shape, template, [NODE])
    assert isinstance(told, tuple)
    assert [notice.reason for notice in told] == ["MemoryLimitTight"]
    hold = judge(shape, replace(template, resources=Resources(memory=90 * MIB)), [NODE])
    assert isinstance(hold, Hold)


def test_on_gpus_their_memory_counts() -> None:
    gpu = Accelerator("u", "s", "NVIDIA", "L4", memory=24 * GIB)
    node = replace(NODE, gpus=2, accelerators=(gpu, gpu))
    template = llama(engine="vllm", context=2048, slots=8, resources=Resources(gpu=1))
    assert judge(LLAMA_7B, template, [node]) == ()
    thirteen = judge(FAMILIES["llama_13b"].shape, template, [node])
    assert isinstance(thirteen, Hold)
    assert "has 24.0 GiB" in thirteen.message
    two = replace(template, resources=Resources(gpu=2))
    assert judge(FAMILIES["llama_13b"].shape, two, [node]) == ()
    silent = replace(node, accelerators=(replace(gpu, memory=0),), gpus=1)
    assert judge(FAMILIES["llama_13b"].shape, template, [silent]) == (), "nobody knows"


def test_int8_of_fp16_weights_is_what_they_become() -> None:
    shape = replace(LLAMA_7B, weights={"F16": 2 * LLAMA_7B.parameters})
    fp16 = llama(context=2048, slots=1)
    small = replace(NODE, memory=10 * GIB)
    assert isinstance(judge(loaded_shape(shape, fp16), fp16, [small]), Hold)
    int8 = replace(fp16, engine=AUTO, precision="int8")
    made = as_served(int8, "llama_cpp", CAPABILITIES)
    assert judge(loaded_shape(shape, int8), made, [small]) == ()
    far = replace(shape, parameters=0, weights={"float16": 2 * LLAMA_7B.parameters})
    assert judge(loaded_shape(far, int8), made, [small]) == (), "nobody counted its parameters"
    named = replace(int8, engine="llama_cpp")
    assert isinstance(judge(loaded_shape(shape, named), named, [small]), Hold), "served as it lies"


# ---- reading -------------------------------------------------------------------------------------


class CountedShapes:
    """Answers slowly when told to, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_go = Event()

    def shape(self, template: Template, source: object) -> Shape | None:
        del template, source
        self.asked += 1
        assert self.may_go.wait(10)
        return LARGE

    def at(self, path: str) -> Shape | None:
        raise AssertionError(path)


def test_a_slow_store_is_waited_for_and_asked_once() -> None:
    async def go() -> None:
        shapes, clock = CountedShapes(), FakeClock()
        preflight = Preflight(shapes, clock, patience=0.01)
        version = a_version(template=llama())
        first: Shape | Hold = Shape()
        for _ in range(3):
            first = await preflight.look(version, fresh=True)
            assert isinstance(first, Hold)
            assert (first.reason, first.progressing) == ("ReadingHeaders", True)
        shapes.may_go.set()
        async with asyncio.timeout(10):
            while (found := await preflight.look(version, fresh=False)) == first:  # noqa: ASYNC110 - a thread ends it
                await asyncio.sleep(0.01)
        assert found == LARGE
        assert shapes.asked == 1
        await preflight.look(version, fresh=False)
        assert shapes.asked == 1, "what was read counts for a while"
        clock.advance(31)
        await preflight.look(version, fresh=False)
        assert shapes.asked == 2

    asyncio.run(go())
