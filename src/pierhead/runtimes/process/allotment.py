"""Who has which GPU of this machine: no book is kept, what lives has what its run's record says.

So there is nothing to go wrong: a record is written before its process starts, a hub that takes up
living replicas knows what they have, and what has ended has nothing.
"""

import asyncio
from collections.abc import Callable, Iterable

from pierhead.core import devices
from pierhead.core.devices import Devices, Need, Taken
from pierhead.core.errors import Occupied
from pierhead.core.ids import Clock
from pierhead.core.replicas import LEAVING, Accelerator, ReplicaState
from pierhead.core.services import Hold
from pierhead.core.workloads import Workload
from pierhead.runtimes.process.ground import Grant
from pierhead.runtimes.process.hardware import Found
from pierhead.runtimes.process.replica import Replica

#: Seconds that what the driver told counts, where something is to be started.
FRESH = 15.0
IN_PLACE = "RollingInPlace"
_IN_PLACE = (
    "No GPU is free for the new version beside the old one, so old replicas leave first, as few at a "
    "time as must: fewer serve until the new ones are ready."
)


class Allotment:
    """Gives devices to replicas that are about to start, and remembers which services wait for some."""

    def __init__(
        self, look: Callable[[], Found], clock: Clock, hint: Callable[[str], None]
    ) -> None:
        self._look, self._clock, self._hint = look, clock, hint
        self._found = Found()
        self._looked: float | None = None
        self._turn = asyncio.Lock()
        self._waiting: dict[str, None] = {}  #: service ids, in the order in which they began to

    @property
    def accelerators(self) -> tuple[Accelerator, ...]:
        """As they were when they were last looked at."""
        return self._found.accelerators

    async def look(self, fresh: float = 0.0) -> Found:
        """What is there; what was found in the last `fresh` seconds is not asked for again."""
        async with self._turn:
            now = self._clock()
            if self._looked is None or not 0.0 <= now - self._looked < fresh:
                self._found = await asyncio.to_thread(self._look)
                # Now, not before: a driver that hangs would be asked anew by all who waited.
                self._looked = self._clock()
            return self._found

    async def get_ready(self, workload: Workload) -> None:
        """Before something of it may start: know the machine."""
        if workload.template.resources.devices > 0 and workload.replicas and not workload.held:
            await self.look(FRESH)

    def give(self, workload: Workload, everyone: Iterable[Replica], asking: str = "") -> Devices:
        """Devices for one more replica, or for the replica `asking`, which ran before.

        Raises:
            Occupied: too few are free now; who waits is hinted when some are released.
        """
        if workload.template.resources.devices <= 0:
            return Devices()
        replicas = list(everyone)
        kept = next((one.last_devices for one in replicas if one.intent.id == asking), None)
        taken = {name: one for name, one in _taken(replicas).items() if name != asking}
        found = devices.assign(_need(workload), self.accelerators, taken, kept)
        if not isinstance(found, Hold):
            return found
        self._waiting.setdefault(workload.service)
        older = {one.intent.id for one in replicas if _older(one, workload)}
        rest = {name: one for name, one in taken.items() if name not in older}
        if not isinstance(devices.assign(_need(workload), self.accelerators, rest), Hold):
            raise Occupied(IN_PLACE, _IN_PLACE)
        raise Occupied(found.reason, found.message, placement=found.placement, facts=found.facts)

    def crowding(self, workload: Workload, everyone: Iterable[Replica]) -> int:
        """How many older replicas of the service must leave before one of the new version finds devices."""
        if workload.held or workload.template.resources.devices <= 0:
            return 0
        replicas = list(everyone)
        taken = _taken(replicas)
        older = [one for one in replicas if _older(one, workload) and one.state not in LEAVING]
        # The order in which the planner lets them go.
        older.sort(key=lambda one: (one.state is ReplicaState.READY, one.intent.created))
        return devices.crowding(
            _need(workload),
            self.accelerators,
            taken,
            [one.intent.id for one in replicas if one.state in LEAVING],
            [one.intent.id for one in older if one.intent.id in taken],
        )

    def grant(self, threads: int, has: Devices) -> Grant:
        """What a run gets of the machine, with the devices as its program is told of them."""
        gpus = self.accelerators
        return Grant(threads, has, devices.named(has, gpus), has.share(gpus))

    def served(self, service: str) -> None:
        """It does not wait, or asks anew."""
        self._waiting.pop(service, None)

    def released(self) -> None:
        """Some are free again: whoever waits looks at once, in the order in which they came."""
        for service in list(self._waiting):
            self._hint(service)


def _need(workload: Workload) -> Need:
    template = workload.template
    return Need(template.resources, template.constraints, workload.files.bytes)


def _taken(replicas: Iterable[Replica]) -> dict[str, Taken]:
    return {
        one.intent.id: Taken(one.intent.workload.name, one.devices)
        for one in replicas
        if one.devices.ids
    }


def _older(one: Replica, workload: Workload) -> bool:
    own = one.intent.workload
    return own.service == workload.service and own.rollout != workload.rollout
