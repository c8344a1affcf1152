"""Doubles of machines with GPUs: nothing here has one. The replicas on them are real processes."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from pierhead.core.replicas import Accelerator
from pierhead.core.resources import GIB
from pierhead.core.workloads import Workload
from pierhead.runtimes.process.hardware import Found
from replica_servers import ready, runtime, settle, workload


def double_gpu(at: int) -> Accelerator:
    """A GPU that is not there."""
    return Accelerator(
        uuid=f"{at:032x}",
        spec="5" * 32,
        vendor="NVIDIA",
        name="Double 80GB",
        memory=80 * GIB,
        capability="9.0",
        id=f"GPU-{at}",
        index=at,
        memory_free=80 * GIB,
    )


def double_machine(count: int = 4) -> Found:
    """A machine with so many GPUs."""
    return Found(tuple(map(double_gpu, range(count))))


def named(work: Workload, name: str) -> Workload:
    """The same as a service of another name."""
    return replace(work, name=name, service=name.encode().hex().ljust(32, "0"))


async def _as_hub(folder: Path, replicas: int, gpus: int) -> None:
    """A hub that starts a service, says so, and is killed."""
    made = runtime(folder, accelerators=double_machine)
    await made.adopt()
    wanted = workload(replicas)
    resources = replace(wanted.template.resources, gpu=gpus)
    wanted = replace(wanted, template=replace(wanted.template, resources=resources))
    await settle(made, wanted, ready(replicas))
    print("ready", flush=True)
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(_as_hub(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
