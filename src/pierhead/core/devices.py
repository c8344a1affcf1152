"""Which accelerators a replica computes on. Pure: from what is wanted, there and taken to devices.

A replica has whole devices, which are nobody else's, or bytes of one device, which others share as
long as the sum fits. Nobody is ever given what another one has; who finds too little waits.

Choice, so that the same world always gives the same answer:
  1. Those it had before, when all of them are free again.
  2. Whole devices: those that hold the weights; the kind that leaves the larger ones free; all of one kind
     where one has enough; those that other programs use least.
  3. A part: a device that is shared already, the one that it fills most; else as whole ones.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pierhead.core.placement import ANYTHING, fitting
from pierhead.core.replicas import Accelerator
from pierhead.core.resources import Resources, human_bytes
from pierhead.core.services import Hold
from pierhead.core.templates import Constraints

#: Variables by which a program finds its devices; the platform sets them for every replica.
VARIABLES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
WAITING = "WaitingForGpu"

#: Memory beside the weights, as a share of them: cache and activations. A planning figure.
_BESIDES = 1.2
#: Share of a device's memory in use from which on another program is taken to compute on it.
_BUSY = 0.1


@dataclass(frozen=True, slots=True)
class Need:
    """What one replica asks for."""

    resources: Resources
    constraints: Constraints = ANYTHING
    weights: int = 0  #: bytes that its devices must hold together; 0 = not known

    @property
    def count(self) -> int:
        """How many devices."""
        return self.resources.devices


@dataclass(frozen=True, slots=True)
class Devices:
    """What one replica has; none = it computes on the CPU."""

    ids: tuple[str, ...] = ()  #: `Accelerator.id`
    memory: int = 0  #: bytes of the one device; 0 = all of each

    def share(self, accelerators: Iterable[Accelerator]) -> float:
        """Part of the one device's memory, 0 to 1; 0 = all of each."""
        whole = next((gpu.memory for gpu in accelerators if gpu.id in self.ids), 0)
        return min(1.0, self.memory / whole) if self.memory and whole else 0.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What a replica has, and whose replica it is."""

    service: str  #: the service's name
    devices: Devices


def assign(
    need: Need,
    accelerators: Sequence[Accelerator],
    taken: Mapping[str, Taken],
    kept: Devices | None = None,
) -> Devices | Hold:
    """Devices for one more replica, or the hold that says who has them.

    `taken`: what other replicas have, by replica; `kept`: what this one had in its last run.
    """
    if need.count <= 0:
        return Devices()
    able = _able(need, accelerators)
    free = [gpu for gpu in able if _free(gpu, need, taken)]
    if len(free) < need.count:
        return _waiting(need, accelerators, taken)
    memory = need.resources.gpu_memory or 0
    if kept is not None and len(kept.ids) == need.count and {*kept.ids} <= {gpu.id for gpu in free}:
        return Devices(kept.ids, memory)
    chosen = _shared(free, taken) if memory else _whole(free, need.count)
    return Devices(tuple(gpu.id for gpu in chosen), memory)


def crowding(
    need: Need,
    accelerators: Sequence[Accelerator],
    taken: Mapping[str, Taken],
    leaving: Collection[str],
    older: Sequence[str],
) -> int:
    """How many replicas of older versions must leave before one of the new version finds devices.

    0 = none: there is room, or room comes with those that leave already (`leaving`), or even with all
    of `older` gone there would be none. `older`: in the order in which they leave.
    """
    for count in range(len(older) + 1):
        gone = {*leaving, *older[:count]}
        rest = {name: one for name, one in taken.items() if name not in gone}
        if not isinstance(assign(need, accelerators, rest), Hold):
            return count
    return 0


def named(devices: Devices, accelerators: Iterable[Accelerator]) -> tuple[str, ...]:
    """The devices as CUDA_VISIBLE_DEVICES names them, with CUDA_DEVICE_ORDER=PCI_BUS_ID.

    By their place where there is one: engines are about that take nothing else. Parts of a device
    have none, and beside them nothing has.
    """
    places = {gpu.id: gpu.index for gpu in accelerators}
    numbers = [places.get(id) for id in devices.ids]
    if any(number is None for number in numbers):
        return devices.ids
    return tuple(str(number) for number in numbers)


def environment(names: Sequence[str]) -> dict[str, str]:
    """The variables of a replica that has these devices; without any it shall see none."""
    listed = ",".join(names)
    return dict(zip(VARIABLES, (listed, listed, "PCI_BUS_ID"), strict=True))


# ---- which would do, and what is left of them --------------------------------------------------


def _able(need: Need, accelerators: Sequence[Accelerator]) -> list[Accelerator]:
    """Devices that would do if nobody had them."""
    fit = fitting(accelerators, need.constraints)
    part, count = need.resources.gpu_memory, need.count
    if part is not None:
        return [gpu for gpu in fit if gpu.memory >= part]
    if count > 1:  # one program computes on one part of a split device at most
        fit = [gpu for gpu in fit if not gpu.part]
    large = [gpu for gpu in fit if gpu.memory * count >= need.weights * _BESIDES]
    # Where none is large enough, it is not for this to say that it cannot run.
    return large if len(large) >= count else fit


def _free(gpu: Accelerator, need: Need, taken: Mapping[str, Taken]) -> bool:
    part = need.resources.gpu_memory
    if part is None:
        return not any(gpu.id in one.devices.ids for one in taken.values())
    return _rest(gpu, taken) >= part


def _rest(gpu: Accelerator, taken: Mapping[str, Taken]) -> int:
    """Bytes that no replica has; none of a device that is one replica's own."""
    holders = [one.devices.memory for one in taken.values() if gpu.id in one.devices.ids]
    return gpu.memory - sum(holders) if all(holders) else 0


def _whole(free: Sequence[Accelerator], count: int) -> Sequence[Accelerator]:
    kinds: dict[str, list[Accelerator]] = {}
    for gpu in sorted(free, key=_used):  # a stable sort: among equals the first
        kinds.setdefault(gpu.spec, []).append(gpu)
    of_a_kind = [gpus[:count] for gpus in kinds.values() if len(gpus) >= count]
    mixed = sorted(free, key=lambda gpu: (_busy(gpu), gpu.memory, _used(gpu)))[:count]
    place = {gpu.id: at for at, gpu in enumerate(free)}

    def fit(gpus: Sequence[Accelerator]) -> tuple[int, int, int]:
        return sum(map(_busy, gpus)), gpus[0].memory, min(place[gpu.id] for gpu in gpus)

    chosen = min(of_a_kind, key=fit, default=mixed)
    return sorted(chosen, key=lambda gpu: place[gpu.id])


def _shared(free: Sequence[Accelerator], taken: Mapping[str, Taken]) -> Sequence[Accelerator]:
    begun = {id for one in taken.values() for id in one.devices.ids}

    def fit(gpu: Accelerator) -> tuple[bool, bool, int]:
        fresh = gpu.id not in begun
        return fresh, fresh and _busy(gpu), _rest(gpu, taken)

    return [min(free, key=fit)]


def _used(gpu: Accelerator) -> int:
    """Bytes in use, by whomever; asked of devices that no replica has, so by other programs."""
    return 0 if gpu.memory_free is None else max(0, gpu.memory - gpu.memory_free)


def _busy(gpu: Accelerator) -> bool:
    return _used(gpu) > _BUSY * gpu.memory


# ---- why it waits ------------------------------------------------------------------------------


def _waiting(need: Need, accelerators: Sequence[Accelerator], taken: Mapping[str, Taken]) -> Hold:
    able = _able(need, accelerators)
    limited = " that would do" if len(able) < len(accelerators) else ""
    part = need.resources.gpu_memory
    numbers: dict[str, str] = {}
    if part is None:
        free = sum(_free(gpu, need, taken) for gpu in able)
        state = f"{need.count} GPU wanted, {free} of {len(able)}{limited} is free"
        numbers = {"gpus": str(need.count), "free": str(free), "fitting": str(len(able))}
    else:
        most = max((_rest(gpu, taken) for gpu in able), default=0)
        state = (
            f"{human_bytes(part)} of one GPU wanted, at most {human_bytes(most)} "
            f"is free on one of {len(able)}{limited}"
        )
    holders = ", ".join(_holders({gpu.id for gpu in able}, taken))
    who = f"; taken by {holders}" if holders else ""
    text = f"{state}{who}. It starts by itself as soon as enough is released."
    facts = {"missing": state, "holders": holders, **numbers}
    return Hold(WAITING, text, progressing=True, placement=True, facts=facts)


def _holders(ids: set[str], taken: Mapping[str, Taken]) -> Iterable[str]:
    """Who has how much of these devices, those with most first."""
    whole: dict[str, int] = {}
    parts: dict[str, int] = {}
    for one in taken.values():
        count = len(ids.intersection(one.devices.ids))
        if not count:
            continue
        if one.devices.memory:
            parts[one.service] = parts.get(one.service, 0) + one.devices.memory
        else:
            whole[one.service] = whole.get(one.service, 0) + count
    order = sorted({*whole, *parts}, key=lambda name: (-whole.get(name, 0), name))
    for name in order:
        told = [
            *([str(whole[name])] if name in whole else []),
            *([human_bytes(parts[name])] if name in parts else []),
        ]
        yield f"[{name}] ({' and '.join(told)})"
