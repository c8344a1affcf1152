"""Which GPUs a replica gets: never another one's, never too much of one, always the same answer."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.devices import (
    Devices,
    Need,
    Taken,
    assign,
    crowding,
    environment,
    named,
)
from pierhead.core.placement import gpu_spec
from pierhead.core.replicas import Accelerator
from pierhead.core.resources import GIB, Resources
from pierhead.core.services import Hold
from pierhead.core.templates import Constraints

SIZES = {"T4": (16, "7.5"), "A100": (40, "8.0"), "H100": (80, "9.0")}


def gpu(at: int, kind: str = "H100", *, free: int | None = None, part: bool = False) -> Accelerator:
    size, level = SIZES[kind]
    return Accelerator(
        uuid=f"{at:032x}",
        spec=gpu_spec("NVIDIA", kind),
        vendor="NVIDIA",
        name=kind,
        memory=size * GIB,
        capability=level,
        id=f"{'MIG' if part else 'GPU'}-{at}",
        index=None if part else at,
        memory_free=None if free is None else free * GIB,
        part=part,
    )


def whole(count: int, **fields: object) -> Need:
    return Need(Resources(gpu=count), **fields)  # type: ignore[arg-type]


def part(size: float) -> Need:
    return Need(Resources(gpu_memory=int(size * GIB)))


def has(service: str, *ids: int, memory: int = 0) -> Taken:
    return Taken(service, Devices(tuple(f"GPU-{at}" for at in ids), memory * GIB))


def ids(found: Devices | Hold) -> tuple[str, ...]:
    assert isinstance(found, Devices), found
    return found.ids


FOUR = [gpu(at) for at in range(4)]


# ---- single decisions -------------------------------------------------------------------------


def test_a_replica_on_the_cpu_gets_none_and_shall_see_none() -> None:
    assert assign(whole(0), FOUR, {}) == Devices()
    assert environment(()) == {
        "CUDA_VISIBLE_DEVICES": "",
        "NVIDIA_VISIBLE_DEVICES": "",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }


def test_whole_devices_are_given_once() -> None:
    taken: dict[str, Taken] = {}
    for name, count in (("a", 2), ("b", 1), ("c", 1)):
        found = assign(whole(count), FOUR, taken)
        assert isinstance(found, Devices)
        taken[name] = Taken(name, found)
    assert [one.devices.ids for one in taken.values()] == [
        ("GPU-0", "GPU-1"),
        ("GPU-2",),
        ("GPU-3",),
    ]
    assert isinstance(assign(whole(1), FOUR, taken), Hold)


def test_who_waits_is_told_who_has_them() -> None:
    taken = {"a-1": has("svc-a", 0, 1), "b-1": has("svc-b", 2)}
    hold = assign(whole(2), FOUR, taken)
    assert isinstance(hold, Hold)
    assert hold.reason == "WaitingForGpu"
    assert (hold.permanent, hold.progressing, hold.placement) == (False, True, True)
    assert hold.message == (
        "2 GPU wanted, 1 of 4 is free; taken by [svc-a] (2), [svc-b] (1). "
        "It starts by itself as soon as enough is released."
    )


def test_who_waits_for_a_part_is_told_how_much_there_is() -> None:
    taken = {"a": has("whole", 0), "b": has("half", 1, memory=70), "c": has("half", 1, memory=5)}
    hold = assign(part(8), FOUR[:2], taken)
    assert isinstance(hold, Hold)
    assert "8.0 GiB of one GPU wanted, at most 5.0 GiB is free on one of 2" in hold.message
    assert "taken by [whole] (1), [half] (75.0 GiB)" in hold.message


def test_the_smallest_kind_that_holds_the_weights_is_taken() -> None:
    mixed = [gpu(0, "H100"), gpu(1, "T4"), gpu(2, "A100"), gpu(3, "A100")]
    assert ids(assign(whole(1), mixed, {})) == ("GPU-1",)
    assert ids(assign(whole(1, weights=20 * GIB), mixed, {})) == ("GPU-2",)
    assert ids(assign(whole(1, weights=40 * GIB), mixed, {})) == ("GPU-0",)
    assert ids(assign(whole(2, weights=40 * GIB), mixed, {})) == ("GPU-2", "GPU-3")
    # None holds them: it is not for this to say that it cannot run.
    assert ids(assign(whole(1, weights=900 * GIB), mixed, {})) == ("GPU-1",)


def test_it_waits_for_a_large_one_rather_than_fail_on_a_small_one() -> None:
    hold = assign(
        whole(1, weights=40 * GIB), [gpu(0, "T4"), gpu(1, "H100")], {"x": has("other", 1)}
    )
    assert isinstance(hold, Hold)
    assert "1 GPU wanted, 0 of 1 that would do is free; taken by [other] (1)" in hold.message


def test_several_are_of_one_kind_where_one_has_enough() -> None:
    mixed = [gpu(0, "T4"), gpu(1, "H100"), gpu(2, "H100")]
    assert ids(assign(whole(2), mixed, {})) == ("GPU-1", "GPU-2")
    assert ids(assign(whole(2), mixed[:2], {})) == ("GPU-0", "GPU-1")


def test_constraints_hold() -> None:
    mixed = [gpu(0, "T4"), gpu(1, "A100"), gpu(2, "H100")]
    above = whole(1, constraints=Constraints(gpu_capability="8.0"))
    assert ids(assign(above, mixed, {})) == ("GPU-1",)
    assert ids(assign(above, mixed, {"x": has("x", 1)})) == ("GPU-2",)
    kind = Constraints(gpu_specs={"NVIDIA": (gpu_spec("NVIDIA", "H100"),)})
    assert ids(assign(whole(1, constraints=kind), mixed, {})) == ("GPU-2",)
    hold = assign(whole(1, constraints=kind), mixed, {"x": has("x", 2)})
    assert isinstance(hold, Hold)


def test_devices_that_other_programs_use_are_taken_last() -> None:
    used = [gpu(0, free=10), gpu(1, free=79), gpu(2, free=80)]
    assert ids(assign(whole(1), used, {})) == ("GPU-2",)
    assert ids(assign(whole(3), used, {})) == ("GPU-0", "GPU-1", "GPU-2")
    assert ids(assign(part(8), used, {})) == ("GPU-1",)


def test_parts_fill_a_device_before_another_is_begun() -> None:
    taken = {"a": has("a", 2, memory=20), "b": has("b", 3, memory=60)}
    assert ids(assign(part(20), FOUR, taken)) == ("GPU-3",)
    assert ids(assign(part(21), FOUR, taken)) == ("GPU-2",)
    assert ids(assign(part(61), FOUR, taken)) == ("GPU-0",)
    found = assign(part(20), FOUR, taken)
    assert isinstance(found, Devices)
    assert found.share(FOUR) == 0.25


def test_whole_and_shared_never_meet() -> None:
    assert ids(assign(whole(3), FOUR, {"a": has("a", 0, memory=1)})) == ("GPU-1", "GPU-2", "GPU-3")
    assert ids(assign(part(1), FOUR, {"a": has("a", 0, 1, 2)})) == ("GPU-3",)
    assert isinstance(assign(part(1), FOUR, {"a": has("a", 0, 1, 2, 3)}), Hold)


def test_a_replica_keeps_what_it_had_while_that_is_free() -> None:
    kept = Devices(("GPU-3", "GPU-1"))
    assert ids(assign(whole(2), FOUR, {}, kept)) == ("GPU-3", "GPU-1")
    assert ids(assign(whole(2), FOUR, {"x": has("x", 3)}, kept)) == ("GPU-0", "GPU-1")
    assert ids(assign(whole(1), FOUR, {}, kept)) == ("GPU-0",), "it wants fewer now"
    assert ids(assign(part(10), FOUR, {}, Devices(("GPU-2",), GIB))) == ("GPU-2",)


def test_a_part_of_a_split_device_is_never_one_of_several() -> None:
    split = [gpu(0, part=True), gpu(1, part=True), gpu(2)]
    assert ids(assign(whole(1), split, {})) == ("MIG-0",)
    assert isinstance(assign(whole(2), split, {}), Hold)


def test_programs_are_told_places_or_names() -> None:
    assert named(Devices(("GPU-2", "GPU-0")), FOUR) == ("2", "0")
    split = [replace(gpu(0), index=None), gpu(1, part=True)]
    assert named(Devices(("GPU-0",)), split) == ("GPU-0",)
    assert named(Devices(("GPU-9",)), FOUR) == ("GPU-9",), "it went away since"
    assert environment(("2", "0"))["CUDA_VISIBLE_DEVICES"] == "2,0"


# ---- a new version beside an old one ----------------------------------------------------------


@pytest.mark.parametrize(
    ("need", "taken", "leaving", "older", "count"),
    [
        (whole(1), {"o": has("s", 0)}, [], ["o"], 0),  # there is room
        (whole(4), {"o": has("s", 0)}, [], ["o"], 1),
        (whole(4), {"o": has("s", 0), "p": has("s", 1)}, [], ["o", "p"], 2),
        (whole(3), {"o": has("s", 0), "p": has("s", 1)}, [], ["o", "p"], 1),
        (whole(4), {"o": has("s", 0)}, ["o"], [], 0),  # it leaves already
        (whole(4), {"o": has("s", 0), "p": has("s", 1)}, ["o"], ["p"], 1),
        (whole(4), {"o": has("s", 0), "x": has("other", 3)}, [], ["o"], 0),  # it would not help
        (part(70), {f"o{n}": has("s", n, memory=20) for n in range(4)}, [], ["o1", "o0"], 1),
    ],
)
def test_as_few_old_ones_leave_as_must(
    need: Need, taken: Mapping[str, Taken], leaving: list[str], older: list[str], count: int
) -> None:
    assert crowding(need, FOUR, taken, leaving, older) == count


# ---- random worlds ----------------------------------------------------------------------------

MACHINES = st.lists(
    st.tuples(st.sampled_from(sorted(SIZES)), st.none() | st.integers(0, 16), st.booleans()),
    min_size=1,
    max_size=6,
).map(
    lambda rows: [gpu(at, kind, free=free, part=cut) for at, (kind, free, cut) in enumerate(rows)]
)
LEVELS = st.sampled_from(["", "7.5", "8.0", "9.0"]).map(lambda at: Constraints(gpu_capability=at))
WHOLE = st.builds(
    lambda count, limits, weights: whole(count, constraints=limits, weights=weights * GIB),
    st.integers(1, 4),
    LEVELS,
    st.integers(0, 100),
)
PARTS = st.builds(
    lambda size, limits: replace(part(size), constraints=limits), st.integers(1, 80), LEVELS
)
#: Replicas come (with a need) and go (by number).
STORY = st.lists(WHOLE | PARTS | st.integers(0, 20), max_size=25)


@given(MACHINES, STORY)
def test_nobody_is_ever_given_what_another_one_has(
    machine: list[Accelerator], story: list[Need | int]
) -> None:
    taken: dict[str, Taken] = {}
    for at, step in enumerate(story):
        if isinstance(step, int):
            taken.pop(f"r{step}", None)
            continue
        found = assign(step, machine, taken)
        backwards = dict(reversed(taken.items()))
        assert assign(step, machine, backwards) == found, "the order of the others decides nothing"
        if isinstance(found, Hold):
            assert found.message.endswith(".")
            continue
        assert len(set(found.ids)) == len(found.ids) == step.count
        taken[f"r{at}"] = Taken("s", found)
        _check(machine, taken)
        _suits(machine, step, found)


def _check(machine: list[Accelerator], taken: Mapping[str, Taken]) -> None:
    for device in machine:
        holders = [one.devices for one in taken.values() if device.id in one.devices.ids]
        if any(not holder.memory for holder in holders):
            assert len(holders) == 1, "two have a whole device"
        assert sum(holder.memory for holder in holders) <= device.memory


def _suits(machine: list[Accelerator], need: Need, found: Devices) -> None:
    chosen = [device for device in machine if device.id in found.ids]
    least = need.constraints.gpu_capability
    assert all(not least or device.capability >= least for device in chosen)
    assert need.count == 1 or not any(device.part for device in chosen)


@given(MACHINES, WHOLE | PARTS)
def test_an_empty_machine_gives_whatever_it_has(machine: list[Accelerator], need: Need) -> None:
    able = [
        device
        for device in machine
        if (
            not need.constraints.gpu_capability
            or device.capability >= need.constraints.gpu_capability
        )
        and (need.count == 1 or not device.part)
        and device.memory >= (need.resources.gpu_memory or 0)
    ]
    assert isinstance(assign(need, machine, {}), Hold) == (len(able) < need.count)
