"""Where a replica can run: room first, then the kind of machine; what is missing is named."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.placement import capability, gpu_spec, unplaceable
from pierhead.core.replicas import Accelerator, Node
from pierhead.core.resources import GIB, Resources
from pierhead.core.templates import Constraints

T4 = gpu_spec("NVIDIA", "Tesla T4")
H100 = gpu_spec("NVIDIA", "NVIDIA H100 80GB HBM3")


def gpu(name: str, level: str, vendor: str = "NVIDIA") -> Accelerator:
    return Accelerator(name, gpu_spec(vendor, name), vendor, name, 16 * GIB, level)


def node(name: str = "n1", *gpus: Accelerator, **fields: object) -> Node:
    facts = {"cpu": 8, "memory": 16 * GIB, "memory_free": 8 * GIB, "architecture": "X86_64"}
    return Node(name, gpus=len(gpus), accelerators=gpus, **(facts | fields))  # type: ignore[arg-type]


PLAIN = node("plain")
SMALL = node("small", gpu("Tesla T4", "7.5"), gpu("Tesla T4", "7.5"))
LARGE = node("large", gpu("NVIDIA H100 80GB HBM3", "9.0"))
ONE = Resources(gpu=1)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("7.5", (7, 5)),
        (" 9.0 ", (9, 0)),
        ("sm_75", (7, 5)),
        ("SM_90a", (9, 0)),
        ("compute_120", (12, 0)),
        ("12.1", (12, 1)),
        ("", None),
        ("high", None),
        ("7", None),
        ("7.5.1", None),
    ],
)
def test_capabilities_are_read_in_both_spellings(text: str, meant: tuple[int, int] | None) -> None:
    assert capability(text) == meant


FITTING = [
    (Resources(), Constraints(), PLAIN),
    (ONE, Constraints(), SMALL),
    (ONE, Constraints(gpu_capability="7.5"), SMALL),
    (ONE, Constraints(gpu_capability="sm_80"), LARGE),
    (ONE, Constraints(gpu_capability="odd"), SMALL),
    (Resources(gpu=2), Constraints(gpu_specs={"nvidia": (T4,)}), SMALL),
    (ONE, Constraints(gpu_specs={"NVIDIA": ()}), LARGE),
    (ONE, Constraints(gpu_specs={"AMD": (), "NVIDIA": (H100,)}), LARGE),
    (Resources(), Constraints(gpu_capability="9.0", gpu_specs={"NVIDIA": (H100,)}), PLAIN),
    (Resources(), Constraints(architectures=("AARCH64", "X86_64")), PLAIN),
    (Resources(memory=32 * GIB, memory_request=GIB), Constraints(), PLAIN),
    (Resources(cpu=16, cpu_request=2), Constraints(), PLAIN),
]


@pytest.mark.parametrize(("resources", "constraints", "there"), FITTING)
def test_what_fits(resources: Resources, constraints: Constraints, there: Node) -> None:
    assert unplaceable(resources, [there], constraints) is None
    small = node("tiny", cpu=0, memory=0)
    assert unplaceable(resources, [small, there], constraints) is None, "one node is enough"


UNMET = [
    (ONE, Constraints(), PLAIN, "1 GPU wanted, plain has 0"),
    (Resources(gpu=3), Constraints(), SMALL, "3 GPU wanted, small has 2"),
    (ONE, Constraints(gpu_capability="8.0"), SMALL, "capability 8.0 or more wanted, small has"),
    (Resources(gpu=2), Constraints(gpu_specs={"NVIDIA": (H100,)}), SMALL, H100),
    (ONE, Constraints(gpu_specs={"Huawei": ()}), LARGE, "Huawei (any)"),
    (
        ONE,
        Constraints(gpu_capability="8.0", gpu_specs={"NVIDIA": (T4,)}),
        LARGE,
        "NVIDIA NVIDIA H100 80GB HBM3 (9.0)",
    ),
    (
        Resources(),
        Constraints(architectures=("AARCH64",)),
        PLAIN,
        "AARCH64 wanted, plain is X86_64",
    ),
    (
        Resources(),
        Constraints(architectures=("X86_64",)),
        node("odd", architecture=""),
        "odd is of an unknown one",
    ),
    (
        ONE,
        Constraints(gpu_specs={"NVIDIA": ()}),
        Node("blind", 8, GIB, GIB, gpus=1, architecture="X86_64"),
        "1 GPU of unknown kind",
    ),
]


@pytest.mark.parametrize(("resources", "constraints", "there", "named"), UNMET)
def test_the_wrong_kind_of_machine_is_named_and_waited_for(
    resources: Resources, constraints: Constraints, there: Node, named: str
) -> None:
    hold = unplaceable(resources, [there], constraints)
    assert hold is not None
    assert (hold.reason, hold.permanent, hold.progressing) == ("Unschedulable", False, True)
    assert hold.placement
    assert named in hold.message


def test_too_little_room_is_told_with_both_numbers_before_anything_else() -> None:
    wanted = Resources(cpu=64, memory=2048 * GIB)
    hold = unplaceable(wanted, [PLAIN], Constraints(architectures=("AARCH64",)))
    assert hold is not None
    assert (hold.reason, hold.permanent) == ("InsufficientResources", True)
    assert "2048.0 GiB memory wanted, plain has 16.0 GiB" in hold.message
    assert "64 cores wanted, plain has 8" in hold.message
    nothing = unplaceable(wanted, [])
    assert nothing is not None
    assert "there is no node" in nothing.message


def test_of_several_nodes_the_nearest_one_is_told_of() -> None:
    wanted = Constraints(architectures=("AARCH64",), gpu_capability="8.0")
    hold = unplaceable(ONE, [PLAIN, LARGE], wanted)
    assert hold is not None
    assert "large is X86_64" in hold.message
    assert "plain" not in hold.message


@given(st.integers(0, 4), st.integers(0, 4), st.sampled_from(["", "7.0", "8.0", "9.9"]))
def test_fewer_gpus_or_a_lower_level_never_make_it_harder(have: int, want: int, level: str) -> None:
    there = node("n", *[gpu("X", "8.0")] * have)
    if unplaceable(Resources(gpu=want), [there], Constraints(gpu_capability=level)) is None:
        fewer = Resources(gpu=max(0, want - 1))
        assert unplaceable(fewer, [there], Constraints(gpu_capability=level)) is None
        assert unplaceable(Resources(gpu=want), [there], Constraints()) is None


def test_a_kind_of_gpu_has_one_uuid_everywhere() -> None:
    assert gpu_spec("NVIDIA", "Tesla T4") == T4
    assert len({T4, H100, gpu_spec("AMD", "Tesla T4")}) == 3
    assert len(T4) == 32
    assert T4.lower() == T4


def test_a_part_of_one_gpu_is_asked_of_the_largest_that_will_do() -> None:
    part = Resources(gpu_memory=12 * GIB)
    assert unplaceable(part, [SMALL]) is None
    assert unplaceable(part, [LARGE], Constraints(gpu_capability="8.0")) is None
    missing = unplaceable(Resources(gpu_memory=17 * GIB), [SMALL])
    assert missing is not None
    assert "17.0 GiB of one GPU wanted, the largest one of small has 16.0 GiB" in missing.message
    assert missing.progressing
    none = unplaceable(part, [PLAIN])
    assert none is not None
    assert "1 GPU wanted, plain has 0" in none.message


def test_parts_of_split_gpus_are_not_taken_together() -> None:
    parts = [replace(gpu("H100 MIG 3g.40gb", "9.0"), part=True)] * 2
    assert unplaceable(ONE, [node("split", *parts)]) is None
    hold = unplaceable(Resources(gpu=2), [node("split", *parts)])
    assert hold is not None
    assert "2 undivided GPU wanted, split has 0" in hold.message
