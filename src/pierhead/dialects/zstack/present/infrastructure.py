"""Zones, GPUs and names as inventories."""

from typing import Any

from pierhead.core.ids import fixed_id
from pierhead.core.registry import Zone
from pierhead.core.replicas import Accelerator, Node
from pierhead.core.resources import MIB
from pierhead.dialects.zstack.times import time_text

_GPU = "GPU_3D_Controller"


def zone(item: Zone) -> dict[str, Any]:
    """A ZoneInventory."""
    return {
        "uuid": item.uuid,
        "name": item.name,
        "description": item.description,
        "state": "Enabled",
        "type": "zstack",
        "isDefault": item.default,
        "createDate": time_text(item.created),
        "lastOpDate": time_text(item.updated),
    }


def gpu_spec(item: Accelerator) -> dict[str, Any]:
    """A PciDeviceSpecInventory of one kind of GPU; what only a hypervisor knows is null."""
    return {
        "uuid": item.spec,
        "name": item.name,
        "description": _capability(item),
        "vendorId": None,
        "vendor": item.vendor,
        "deviceId": None,
        "device": item.name,
        "subvendorId": None,
        "subdeviceId": None,
        "ramSize": f"{item.memory // MIB} MB",
        "maxPartNum": None,
        "type": _GPU,
        "state": "Enabled",
        "isVirtual": False,
        "romVersion": None,
        "romMd5sum": None,
        "createDate": None,  # a device was not created by anybody
        "lastOpDate": None,
        "memory": item.memory,
        "isolated": False,
    }


def gpu_device(item: Accelerator, node: Node, *, taken: bool = False) -> dict[str, Any]:
    """A GpuDeviceInventory; what only a hypervisor knows is null. `taken`: a replica has it, or a part."""
    return {
        "uuid": item.uuid,
        "name": item.name,
        "description": _capability(item),
        "hostUuid": fixed_id("node", node.name),
        "parentUuid": None,
        "vmInstanceUuid": None,
        "pciSpecUuid": item.spec,
        "type": _GPU,
        "state": "Enabled",
        "status": "Attached" if taken else "Active",
        "virtStatus": None,
        "chooser": None,
        "vendorId": None,
        "vendor": item.vendor,
        "deviceId": None,
        "device": item.name,
        "subvendorId": None,
        "subdeviceId": None,
        "pciDeviceAddress": item.address or None,
        "iommuGroup": None,
        "metaData": None,
        "rev": None,
        "createDate": None,  # a device was not created by anybody
        "lastOpDate": None,
        "matchedPciDeviceOfferingRef": [],
        "mdevSpecRefs": [],
        "serialNumber": item.serial or None,
        "memory": item.memory,
        "power": None,
        # It is listed because its driver answered.
        "isDriverLoaded": True,
    }


def resource(uuid: str, name: str, kind: str) -> dict[str, Any]:
    """A ResourceInventory."""
    return {
        "uuid": uuid,
        "resourceName": name,
        "resourceType": kind,
        "concreteResourceType": kind,
    }


def usage(name: str, value: int) -> dict[str, Any]:
    """A MaaSUsage."""
    return {"name": name, "value": value}


def _capability(item: Accelerator) -> str | None:
    return f"CUDA compute capability {item.capability}" if item.capability else None
