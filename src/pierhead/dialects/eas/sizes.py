"""Machine sizes: what DescribeMachineSpec lists, and what a service JSON means by one's name. Pure.

Nothing is rented here: a size is a share of this host, and its name says all of it, as in
`pierhead.c4.m8.g1`: 4 cores, 8 GB of memory, 1 GPU.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pierhead.core.replicas import Accelerator, Node
from pierhead.core.resources import GIB

_NAME = re.compile(r"pierhead\.c([1-9]\d{0,3})\.m([1-9]\d{0,4})(?:\.g([1-9]\d{0,2}))?")
#: Gigabytes for each core, as the choices are.
_RATIOS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Size:
    """What one replica may use."""

    cpu: int  #: cores
    memory: int  #: GB
    gpu: int = 0  #: whole devices

    @property
    def name(self) -> str:
        """As cloud.computing.instance_type names it."""
        return f"pierhead.c{self.cpu}.m{self.memory}" + (f".g{self.gpu}" if self.gpu else "")


def named(name: str) -> Size | None:
    """The size of this name, whether or not this host has so much."""
    found = _NAME.fullmatch(name)
    return Size(int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def fitting(nodes: Sequence[Node]) -> list[Size]:
    """The sizes that are offered: each fits on a node with nothing else on it, smallest first."""
    found = {size for node in nodes for size in _of(node)}
    return sorted(found, key=lambda size: (size.gpu, size.cpu, size.memory))


def _of(node: Node) -> Iterator[Size]:
    whole = node.memory // GIB
    for cpu in _steps(node.cpu):
        for memory in {min(cpu * ratio, whole) for ratio in _RATIOS} - {0}:
            yield from (Size(cpu, memory, gpu) for gpu in (0, *_steps(node.gpus)))


def _steps(most: int) -> list[int]:
    """1, 2, 4, 8... and all there are."""
    return sorted({2**power for power in range(most.bit_length())} | ({most} if most else set()))


def described(size: Size, nodes: Sequence[Node], *, free: bool) -> dict[str, Any]:
    """One size as DescribeMachineSpec tells it; `free`: there is room for it now."""
    device = _device(size, nodes)
    return {
        "CPU": size.cpu,
        "GPU": device.name if device else "",
        "GPUAmount": size.gpu,
        "GPUMemory": round(device.memory / GIB, 2) if device else 0,
        "InstanceType": size.name,
        "IsAvailable": True,
        "Memory": size.memory,
        "StockStatus": "WithStock" if free else "NoStock",
        "Vendor": "BareMetal",
    }


def _device(size: Size, nodes: Sequence[Node]) -> Accelerator | None:
    """The kind of the first device where it fits."""
    if not size.gpu:
        return None
    having = (node for node in nodes if node.gpus >= size.gpu)
    return next((one for node in having for one in node.accelerators), None)


def choices(sizes: Sequence[Size]) -> list[Mapping[str, Any]]:
    """The memory choices of each number of cores."""
    cores = sorted({size.cpu for size in sizes})
    return [
        {"CPU": cpu, "Memory": sorted({size.memory for size in sizes if size.cpu == cpu})}
        for cpu in cores
    ]
