"""The GPUs that the driver's own library (NVML) tells of, as one line of JSON.

Run as a program, never imported: a library that hangs or crashes takes this process with it, not the hub.

    {"problem": "", "devices": [{"id", "name", "memory", "free", "capability", "address", "serial", "index", "part"}]}

Wire facts: NVML's reference; `nvmlDeviceGetMigDeviceHandleByIndex` for the parts of a split device.
"""

import importlib
import json
from collections.abc import Callable
from typing import Any


def look() -> dict[str, Any]:
    """Every device that programs can compute on; why some are missing, in a clause."""
    # No stubs are published for it.
    nvml: Any = importlib.import_module("pynvml")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError_LibraryNotFound:
        return {
            "problem": "",
            "devices": [],
        }  # no driver: no GPU of this vendor, or none to be used
    except nvml.NVMLError as error:
        return {"problem": _text(error), "devices": []}
    problems: list[str] = []
    devices: list[dict[str, Any]] = []
    count = nvml.nvmlDeviceGetCount()
    for index in range(count):
        try:
            devices += _addressable(nvml, nvml.nvmlDeviceGetHandleByIndex(index), index)
        except nvml.NVMLError as error:
            problems.append(f"GPU {index}: {_text(error)}")
    if len(devices) != count or any(device["part"] for device in devices):
        # Programs count places otherwise than the driver then; names hold always.
        devices = [{**device, "index": None} for device in devices]
    return {"problem": "; ".join(problems), "devices": devices}


def _addressable(nvml: Any, handle: Any, index: int) -> list[dict[str, Any]]:
    """The device itself; its parts when it is split, for then it cannot be used whole."""
    whole = _device(nvml, handle, index)
    mode = _told(nvml, lambda: nvml.nvmlDeviceGetMigMode(handle)[0], 0)
    if mode != nvml.NVML_DEVICE_MIG_ENABLE:
        return [whole]
    found: list[dict[str, Any]] = []
    for number in range(_told(nvml, lambda: nvml.nvmlDeviceGetMaxMigDeviceCount(handle), 0)):
        part = _told(
            nvml, lambda at=number: nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, at), None
        )
        if part is not None:
            found.append({**_device(nvml, part, None), **_of_whole(whole), "part": True})
    return found


def _of_whole(whole: dict[str, Any]) -> dict[str, Any]:
    return {key: whole[key] for key in ("capability", "address", "serial")}


def _device(nvml: Any, handle: Any, index: int | None) -> dict[str, Any]:
    memory = _told(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle), None)
    level = _told(nvml, lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle), None)
    pci = _told(nvml, lambda: nvml.nvmlDeviceGetPciInfo(handle).busId, "")
    return {
        "id": _text(nvml.nvmlDeviceGetUUID(handle)),
        "name": _text(nvml.nvmlDeviceGetName(handle)),
        "memory": memory.total if memory is not None else 0,
        "free": memory.free if memory is not None else None,
        "capability": f"{level[0]}.{level[1]}" if level else "",
        "address": _text(pci),
        "serial": _text(_told(nvml, lambda: nvml.nvmlDeviceGetSerial(handle), "")),
        "index": index,
        "part": False,
    }


def _told(nvml: Any, ask: Callable[[], Any], else_: Any) -> Any:
    """What the library says; not every device, and not every driver, knows everything."""
    try:
        return ask()
    except nvml.NVMLError:
        return else_


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    print(json.dumps(look()), flush=True)  # noqa: T201 - this is its answer
