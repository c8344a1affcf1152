"""What the platform finds out about GPUs: the real bindings, on the double of the driver's library."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nvml_double import build
from pierhead.core.placement import gpu_spec
from pierhead.core.replicas import Accelerator
from pierhead.core.resources import GIB
from pierhead.runtimes.process import hardware
from pierhead.runtimes.process.hardware import Found

Play = Callable[[str], None]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def playing(driver: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    def play(what: str) -> None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setenv("LD_LIBRARY_PATH", str(driver))
        monkeypatch.setenv("NVML_DOUBLE", what)

    return play


def test_every_gpu_is_described(playing: Play) -> None:
    playing("gpus=2")
    found = hardware.look()
    assert found.problem == ""
    assert [gpu.index for gpu in found.accelerators] == [0, 1]
    assert found.accelerators[1] == Accelerator(
        uuid="00000000000040008000000000000001",
        spec=gpu_spec("NVIDIA", "NVIDIA Double 80GB"),
        vendor="NVIDIA",
        name="NVIDIA Double 80GB",
        memory=80 * GIB,
        capability="9.0",
        address="00000000:10:00.0",
        serial="",
        id="GPU-00000000-0000-4000-8000-000000000001",
        index=1,
        memory_free=79 * GIB,
    )


@pytest.mark.parametrize(
    ("visible", "indexes"),
    [
        ("1,2", [1, 2]),
        ("", []),
        ("GPU-00000000-0000-4000-8000-000000000003", [3]),
        ("NoDevFiles", []),
    ],
)
def test_what_the_platform_itself_may_not_see_is_given_to_nobody(
    playing: Play, monkeypatch: pytest.MonkeyPatch, visible: str, indexes: list[int]
) -> None:
    playing("gpus=4")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpu.index for gpu in hardware.look().accelerators] == indexes


def test_a_split_gpu_is_its_parts_and_then_all_go_by_their_names(playing: Play) -> None:
    playing("gpus=2,split=0")
    first, second, whole = hardware.look().accelerators
    assert (first.id, second.id) == (
        "MIG-00000000-0000-4000-8000-000000000000",
        "MIG-00000000-0000-4000-8000-000000000002",
    )
    assert first.uuid != second.uuid
    assert (first.memory, first.capability, first.part) == (40 * GIB, "9.0", True)
    assert first.name == "NVIDIA Double 80GB MIG 3g.40gb"
    assert (whole.id, whole.part) == ("GPU-00000000-0000-4000-8000-000000000001", False)
    assert {gpu.index for gpu in (first, second, whole)} == {None}


def test_one_that_is_lost_is_left_out_and_told_of(playing: Play) -> None:
    playing("gpus=3,lost=1")
    found = hardware.look()
    assert [gpu.id[-1] for gpu in found.accelerators] == ["0", "2"]
    assert {gpu.index for gpu in found.accelerators} == {None}
    assert found.problem == "GPU 1: GPU is lost"


@pytest.mark.parametrize(
    ("what", "problem"),
    [("no_driver", "Driver Not Loaded"), ("crashes", "asking the driver failed (-6)")],
)
def test_a_broken_driver_is_told_of_in_a_clause(playing: Play, what: str, problem: str) -> None:
    playing(what)
    found = hardware.look()
    assert found.accelerators == ()
    assert problem in found.problem
    assert "\n" not in found.problem


def test_a_driver_that_hangs_is_given_up(playing: Play) -> None:
    playing("hangs")
    began = time.monotonic()
    assert hardware.look(2.0) == Found(problem="the driver did not answer within 2 s")
    assert time.monotonic() - began < 5


def test_a_machine_without_a_driver_has_no_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text("this is no library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert hardware.look() == Found()


@pytest.mark.parametrize("told", [b"", b"[]", b'{"devices": [{}], "problem": ""}', b"\xff"])
def test_an_answer_that_is_none_is_no_crash(told: bytes) -> None:
    assert "cannot be read" in hardware.parse(told).problem
