"""The same comparison through the whole platform: hub, reconciler and gateway of `pierhead up`.

The stub is a service's own command, of which the platform knows no protocol: nothing is asked of it
that the client did not ask, so no usage event is put in or taken out. Of that the gateway alone is told.
"""

import shlex
from pathlib import Path

from bench.client import Client
from bench.gateway.compare import OURS, Asked, compared
from bench.gateway.cost import Contender
from bench.gateway.outcome import Outcome
from bench.gateway.programs import Door, Programs, Stub, build
from bench.gateway.stage import SERVICE
from bench.platforms import Running, up
from bench.processes import until

_REPLICAS = 2
_READY = 60.0


def measure(folder: Path, asked: Asked) -> Outcome:
    """Deploys the stub, waits for its replicas, and compares."""
    programs = build(folder)
    with up(folder / "platform") as running, Client(running) as client:
        replicas = _deployed(client, programs)
        token = client.describe(SERVICE)["AccessToken"]
        ours = Contender(OURS, _door(running, token), running.gateway)
        return compared(folder, asked, programs, replicas, ours)


def _deployed(client: Client, programs: Programs) -> list[Stub]:
    command = f"{shlex.quote(str(programs.stub))} -p {{port}} -n replica"
    client.create_own(SERVICE, command, _REPLICAS)

    def ready() -> bool:
        return client.describe(SERVICE)["Status"] == "Running"

    until(ready, _READY, "the service", 0.1)
    found = client.instances(SERVICE)
    return [Stub(f"r{at}", each["InstancePort"]) for at, each in enumerate(found)]


def _door(running: Running, token: str) -> Door:
    port = int(running.gateway_listen.rpartition(":")[2])
    return Door(port, f"/api/predict/{SERVICE}", token, SERVICE)
