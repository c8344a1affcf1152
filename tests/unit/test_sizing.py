"""The maths before the download, for every shape and load that can be thought of."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.families import FAMILIES, mismatch, served
from pierhead.core.replicas import Accelerator, Node
from pierhead.core.resources import GIB, MIB
from pierhead.core.sizing import (
    ENGINES,
    LONGEST,
    Load,
    Room,
    Shape,
    estimate,
    fits,
    refusal,
    rooms,
)

LLAMA_7B = FAMILIES["llama_7b"].shape
LOAD = Load("llama_cpp", context=2048, slots=4, precision="fp16")

heads = st.integers(1, 128)
shapes = st.builds(
    Shape,
    layers=st.integers(1, 200),
    heads=heads,
    kv_heads=st.tuples(heads),
    key_size=st.sampled_from([32, 64, 128, 256]),
    value_size=st.sampled_from([32, 64, 128, 256]),
    embedding=st.integers(64, 16384),
    feed_forward=st.integers(0, 65536),
    vocabulary=st.integers(0, 300_000),
    context=st.integers(0, 1 << 20),
    parameters=st.integers(10**6, 10**12),
)
loads = st.builds(
    Load,
    engine=st.sampled_from(sorted(ENGINES)),
    context=st.integers(1, 1 << 18),
    slots=st.integers(1, 256),
    precision=st.sampled_from(["fp16", "int8", "q4", ""]),
    on_cpu=st.booleans(),
)
places = st.lists(
    st.builds(
        lambda most, share: Room("n", most, int(most * share)),
        st.integers(0, 4096 * GIB),
        st.floats(0, 1),
    ),
    max_size=4,
)


def total(shape: Shape, load: Load) -> int:
    found = estimate(shape, load)
    assert found is not None
    return found.total


# ---- the estimate --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "precision", "gib"),
    [
        ("llama_7b", "fp16", 16.5),
        ("llama_7b", "int8", 10.7),
        ("llama_13b", "fp16", 30.5),
        ("chatglm2_6b", "fp16", 11.9),
        ("baichuan_13b", "int8", 19.4),
    ],
)
def test_the_vendors_families_at_four_times_2048_tokens(
    family: str, precision: str, gib: float
) -> None:
    """Weights, and 1 GiB (7B), 1.56 GiB (13B) or 0.055 GiB (ChatGLM2) of cache per 2048 tokens."""
    load = replace(LOAD, precision=precision)  # type: ignore[arg-type]
    assert total(FAMILIES[family].shape, load) / GIB == pytest.approx(gib, rel=0.02)


def test_the_cache_is_exact() -> None:
    found = estimate(LLAMA_7B, Load("llama_cpp", 2048, 1))
    assert found is not None
    assert found.kv_cache == GIB
    uneven = replace(LLAMA_7B, layers=3, kv_heads=(4, 0, 8))
    found = estimate(uneven, Load("llama_cpp", 256, 2))
    assert found is not None
    assert found.kv_cache == 2 * 256 * 2 * 12 * 256


@pytest.mark.parametrize(
    ("shape", "factor"),
    [
        (LLAMA_7B, 2),
        (replace(LLAMA_7B, weights={"BF16": 13 * GIB}), 2),
        (replace(LLAMA_7B, weights={"F32": 26 * GIB}), 1),
        (replace(LLAMA_7B, weights={"I8": 7 * GIB}), 1),
    ],
)
def test_on_a_cpu_transformers_widens_what_has_two_bytes(shape: Shape, factor: int) -> None:
    load = replace(LOAD, engine="transformers")
    there, here = estimate(shape, load), estimate(shape, replace(load, on_cpu=True))
    assert there is not None
    assert here is not None
    assert (here.weights, here.kv_cache) == (there.weights * factor, there.kv_cache * 2)
    for engine in ("llama_cpp", "vllm"):
        load = replace(LOAD, engine=engine)
        assert estimate(shape, replace(load, on_cpu=True)) == estimate(shape, load)


@given(shapes, loads, st.integers(1, 1 << 18), st.integers(1, 64))
def test_more_of_anything_never_needs_less(
    shape: Shape, load: Load, tokens: int, more: int
) -> None:
    least = total(shape, load)
    assert total(shape, replace(load, context=load.context + tokens)) >= least
    assert total(shape, replace(load, slots=load.slots + more)) > least
    assert total(replace(shape, layers=shape.layers + more), load) > least
    assert total(replace(shape, parameters=shape.parameters + 10**6), load) > least
    assert total(replace(shape, vocabulary=shape.vocabulary + 1000), load) >= least


@given(shapes, loads)
def test_no_part_is_negative_and_the_shared_one_is_within_the_weights(
    shape: Shape, load: Load
) -> None:
    found = estimate(shape, load)
    assert found is not None
    assert min(found.weights, found.kv_cache, found.compute, found.overhead) >= 0
    assert 0 <= found.shared <= found.weights <= found.total <= found.resident


def test_copied_tensors_show_in_the_process_but_need_no_memory_of_their_own() -> None:
    shape = replace(LLAMA_7B, weights={"Q4_K": 3 * GIB, "Q6_K": GIB}, tables={"Q4_K": GIB})
    found = estimate(shape, LOAD)
    assert found is not None
    assert (found.yielding, found.shared) == (2 * GIB, 2 * GIB)
    assert found.resident - found.total == 2 * GIB


@pytest.mark.parametrize("shape", [Shape(), Shape(layers=32, heads=32, key_size=128)])
def test_without_weights_nothing_is_claimed(shape: Shape) -> None:
    assert estimate(shape, LOAD) is None
    assert fits(shape, LOAD, [Room("n", GIB, GIB)]) is None


def test_an_engine_that_is_not_known_is_not_estimated() -> None:
    assert estimate(LLAMA_7B, replace(LOAD, engine="custom")) is None


def test_absurd_numbers_are_numbers() -> None:
    huge = Shape(layers=10**6, heads=10**6, kv_heads=(10**6,), key_size=10**6, parameters=10**30)
    found = fits(huge, Load("llama_cpp", 10**12, 10**6), [Room("n", GIB, GIB)])
    assert found is not None
    assert (found.fits, found.context, found.slots, found.replicas) == (False, 0, 0, 0)


# ---- does it fit ---------------------------------------------------------------------------------


@given(shapes, loads, places, st.none() | st.integers(0, 64 * GIB))
def test_what_is_said_to_fit_fits_and_one_step_more_does_not(
    shape: Shape, load: Load, found_places: list[Room], limit: int | None
) -> None:
    fit = fits(shape, load, found_places, limit)
    assert fit is not None
    has = max((place.most for place in found_places), default=0)
    has = has if limit is None else min(has, limit)
    assert fit.fits == (bool(found_places) and fit.estimate.total <= has)
    if fit.context:
        assert total(shape, replace(load, context=fit.context)) <= has
    if fit.context < min(shape.context or LONGEST, LONGEST) // 256 * 256:
        assert total(shape, replace(load, context=fit.context + 256)) > has
    if fit.slots:
        assert total(shape, replace(load, slots=fit.slots)) <= has
    if fit.slots < 1024:
        assert total(shape, replace(load, slots=fit.slots + 1)) > has
    assert (fit.replicas > 0) <= fit.fits


@given(shapes, loads, places)
def test_more_memory_never_makes_it_worse(
    shape: Shape, load: Load, found_places: list[Room]
) -> None:
    larger = [Room(place.node, place.most + GIB, place.free + GIB) for place in found_places]
    before, after = fits(shape, load, found_places), fits(shape, load, larger)
    assert before is not None
    assert after is not None
    assert (after.fits, after.context, after.slots) >= (before.fits, before.context, before.slots)
    assert after.replicas >= before.replicas


def test_replicas_on_one_machine_share_mapped_weights() -> None:
    one = total(LLAMA_7B, LOAD)
    own = one - estimate(LLAMA_7B, LOAD).weights  # type: ignore[union-attr]
    fit = fits(LLAMA_7B, LOAD, [Room("n", 64 * GIB, one + 2 * own)])
    assert fit is not None
    assert fit.replicas == 3
    vllm = fits(LLAMA_7B, replace(LOAD, engine="vllm"), [Room("n", 64 * GIB, one + 2 * own)])
    assert vllm is not None
    assert vllm.replicas == 1


def test_gpus_count_where_they_are_asked_for() -> None:
    gpus = tuple(
        Accelerator(str(size), "s", "NVIDIA", "X", memory=size * GIB) for size in (8, 24, 16)
    )
    node = Node("n", 8, 64 * GIB, 60 * GIB, gpus=3, accelerators=gpus)
    assert rooms([node], 0) == (Room("n", 64 * GIB, 60 * GIB),)
    assert rooms([node], 2) == (Room("n", 40 * GIB, 40 * GIB),)
    assert rooms([node], 4) == ()
    used = replace(node, accelerators=(replace(gpus[1], memory_free=3 * GIB), *gpus[::2]))
    assert rooms([used], 1) == (Room("n", 24 * GIB, 3 * GIB),)
    assert rooms([used], 0, part=8 * GIB) == (Room("n", 8 * GIB, 8 * GIB),)
    assert rooms([used], 0, part=20 * GIB) == (Room("n", 20 * GIB, 3 * GIB),)
    assert rooms([used], 0, part=25 * GIB) == ()


def test_a_refusal_has_both_numbers_and_what_would_fit() -> None:
    fit = fits(LLAMA_7B, LOAD, [Room("n1", 14 * GIB, GIB), Room("n0", GIB, GIB)])
    assert fit is not None
    said = refusal(fit, LOAD)
    assert "needs about 16.7 GiB" in said
    assert "the largest node [n1] has 14.0 GiB" in said
    assert f"What fits: 4 x {fit.context} tokens or 1 x 2048 tokens" in said
    nothing = fits(LLAMA_7B, LOAD, [])
    assert nothing is not None
    assert "no node has any" in refusal(nothing, LOAD)
    tiny = fits(LLAMA_7B, LOAD, [Room("n1", 64 * GIB, GIB)], limit=100 * MIB)
    assert tiny is not None
    assert "its memory limit is 100.0 MiB" in refusal(tiny, LOAD)
    assert "raise the limit to 16.8 GiB" in refusal(tiny, LOAD)


# ---- families ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_is_itself(family: str) -> None:
    assert mismatch(family, FAMILIES[family].shape) == ""


PAIRS = [
    (one, other)
    for one in FAMILIES
    for other in FAMILIES
    if one != other and "smollm2" not in other
]


@pytest.mark.parametrize(("family", "weights"), PAIRS)
def test_no_family_is_taken_for_another(family: str, weights: str) -> None:
    said = mismatch(family, FAMILIES[weights].shape)
    assert f"[{family}]" in said
    assert FAMILIES[weights].shape.architecture in said
    assert said.count(". ") == 0, "one sentence"


def test_smaller_weights_of_the_architecture_pass_and_larger_ones_do_not() -> None:
    assert mismatch("llama_7b", FAMILIES["smollm2_135m"].shape) == ""
    assert mismatch("smollm2_135m", LLAMA_7B) != ""
    assert mismatch("llama_7b", replace(LLAMA_7B, layers=80, embedding=8192, parameters=0)) != ""
    tiny = Shape(architecture="baichuan", layers=32, embedding=64, parameters=10**6)
    assert mismatch("baichuan_7b", tiny) == ""
    assert mismatch("baichuan_13b", tiny) != "", "its positions would be computed wrongly"


def test_of_what_says_nothing_nothing_is_said() -> None:
    assert mismatch("llama_7b", Shape()) == ""
    assert mismatch("", LLAMA_7B) == ""
    assert mismatch("my_own", LLAMA_7B) == ""


def test_other_weights_are_made_to_have_the_precision_of_the_spec() -> None:
    whole = replace(LLAMA_7B, weights={"F16": 13 * GIB, "F32": MIB})
    assert served(whole, "int8").weights == {}
    assert served(whole, "fp16") is whole
    small = replace(LLAMA_7B, weights={"Q4_K": 4 * GIB, "F32": MIB})
    assert served(small, "q4") is small
    assert served(small, "int8").weights == {}
    assert served(replace(LLAMA_7B, weights={"unknown": 9}), "int8").weights == {"unknown": 9}
    far = replace(LLAMA_7B, parameters=0, weights={"float16": 13 * 10**9})
    assert served(far, "int8").parameters == 65 * 10**8
