"""What one replica may use of a machine."""

from dataclasses import dataclass

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Resources:
    """Per replica; None means no limit was asked for."""

    cpu: float | None = None  #: cores
    memory: int | None = None  #: bytes
    gpu: int = 0  #: devices
    gpu_memory: int | None = None  #: bytes of one device, which others may share; None = whole ones
    #: What admission counts when it is less than the limit; None = the limit.
    cpu_request: float | None = None
    memory_request: int | None = None
    #: Bytes that its processes may share in /dev/shm, where that is its own; None = as usual.
    shm: int | None = None

    @property
    def devices(self) -> int:
        """How many GPUs it computes on: whole ones, or the one that it has a part of."""
        return self.gpu if self.gpu_memory is None else 1


def human_bytes(count: float) -> str:
    """`98362432` -> `93.8 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")
