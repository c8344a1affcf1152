"""What this machine has: its architecture and its GPUs.

Wire facts: `nvidia-smi --help-query-gpu`; machine names as `uname -m` prints them.
"""

import csv
import io
import os
import shutil
import subprocess
from pathlib import Path

from pierhead.core.placement import ARCHITECTURES, gpu_spec
from pierhead.core.replicas import Accelerator
from pierhead.core.resources import MIB

_FIELDS = ("uuid", "name", "memory.total", "compute_cap", "pci.bus_id", "serial")
_PATIENCE = 20.0  #: seconds; a driver that wakes up its devices takes a while
_UNKNOWN = frozenset({"[N/A]", "N/A", "[Not Supported]", "[Unknown Error]"})


def architecture() -> str:
    """`X86_64` or `AARCH64`; any other machine by its own name in capitals."""
    machine = os.uname().machine
    return ARCHITECTURES.get(machine.lower(), machine.upper())


def accelerators() -> tuple[Accelerator, ...]:
    """The GPUs that nvidia-smi tells of; none where there is no such program, or no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    argv = (program, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits")
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse(done.stdout.decode("utf-8", "replace"))


def parse(table: str) -> tuple[Accelerator, ...]:
    """The GPUs of nvidia-smi's table; a row that is not one is left out."""
    rows = csv.reader(io.StringIO(table), skipinitialspace=True)
    return tuple(_accelerator(row) for row in rows if len(row) == len(_FIELDS))


def count(found: tuple[Accelerator, ...]) -> int:
    """How many GPUs there are, also when nobody can say which."""
    return len(found) or len(list(Path("/dev").glob("nvidia[0-9]*")))


def _accelerator(row: list[str]) -> Accelerator:
    uuid, name, memory, capability, address, serial = (
        "" if (text := cell.strip()) in _UNKNOWN else text for cell in row
    )
    return Accelerator(
        uuid=uuid.removeprefix("GPU-").replace("-", "").lower(),
        spec=gpu_spec("NVIDIA", name),
        vendor="NVIDIA",
        name=name,
        memory=int(memory) * MIB if memory.isdigit() else 0,
        capability=capability,
        address=address,
        serial=serial,
    )
