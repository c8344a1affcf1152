"""What this machine has: its architecture and its GPUs.

The GPUs are asked for in a process of its own (nvml.py), and for a bounded time: a broken driver may
hang or crash whoever asks it. Machine names are as `uname -m` prints them.
"""

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from uuid import NAMESPACE_URL, uuid5

from pierhead.core.placement import ARCHITECTURES, gpu_spec
from pierhead.core.replicas import Accelerator

_ASK = Path(__file__).with_name("nvml.py")
_VISIBLE = "CUDA_VISIBLE_DEVICES"
PATIENCE = 20.0  #: seconds; a driver that wakes up its devices takes a while
_HEX = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Found:
    """The GPUs that can be used, and why others cannot: a clause, "" = nothing is wrong."""

    accelerators: tuple[Accelerator, ...] = ()
    problem: str = ""


def architecture() -> str:
    """`X86_64` or `AARCH64`; any other machine by its own name in capitals."""
    machine = os.uname().machine
    return ARCHITECTURES.get(machine.lower(), machine.upper())


def look(patience: float = PATIENCE) -> Found:
    """The GPUs that the driver tells of within `patience` seconds; none where there is no driver. Blocks."""
    argv = (sys.executable, "-I", str(_ASK))
    try:
        with _Child(argv) as child:
            told, complaint = child.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        return Found(problem=f"the driver did not answer within {patience:g} s")
    except OSError as error:
        return Found(problem=str(error))
    if child.returncode != 0:
        lines = complaint.decode("utf-8", "replace").strip().splitlines()
        return Found(problem=f"asking the driver failed ({child.returncode}) {''.join(lines[-1:])}")
    found = parse(told)
    return replace(found, accelerators=_ours(found.accelerators, os.environ.get(_VISIBLE)))


def _ours(gpus: tuple[Accelerator, ...], visible: str | None) -> tuple[Accelerator, ...]:
    """Those that whoever started the platform left to it: all, or as CUDA_VISIBLE_DEVICES lists them."""
    if visible is None:
        return gpus
    named = [entry.strip() for entry in visible.split(",")]
    return tuple(
        gpu
        for gpu in gpus
        if any(entry == str(gpu.index) or (entry and gpu.id.startswith(entry)) for entry in named)
    )


class _Child(subprocess.Popen[bytes]):
    """A child that is killed, and not waited for without end: the kernel may hold it in the driver."""

    def __init__(self, argv: tuple[str, ...]) -> None:
        super().__init__(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def __exit__(self, *_problem: object) -> None:
        for pipe in (self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            self.wait(1.0)


def parse(told: bytes) -> Found:
    """What nvml.py said."""
    try:
        answer: Any = json.loads(told)
        devices = cast("list[dict[str, Any]]", answer["devices"])
        return Found(tuple(map(_accelerator, devices)), str(answer["problem"]))
    except (ValueError, KeyError, TypeError) as error:
        return Found(problem=f"the driver's answer cannot be read: {error!r}")


def _accelerator(device: dict[str, Any]) -> Accelerator:
    return Accelerator(
        uuid=_uuid(device["id"]),
        spec=gpu_spec("NVIDIA", device["name"]),
        vendor="NVIDIA",
        name=device["name"],
        memory=device["memory"],
        capability=device["capability"],
        address=device["address"],
        serial=device["serial"],
        id=device["id"],
        index=device["index"],
        memory_free=device["free"],
        part=device["part"],
    )


def _uuid(id: str) -> str:
    """32 hex digits: the device's own ones; older drivers name parts by their place."""
    digits = id.partition("-")[2].replace("-", "").lower()
    return digits if _HEX.fullmatch(digits) else uuid5(NAMESPACE_URL, f"pierhead:gpu:{id}").hex
