"""What a request and a streamed token cost in the gateway, against the same stub called directly."""

import http.client
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.client import Client
from bench.figures import Figure, figure
from bench.platforms import Running, up
from bench.processes import spending, until
from bench.rounds import rounds

ROUNDS, SECONDS = 12, 25.0
REQUESTS, TOKENS = 100, 200  # per round
_SERVICE = "stub"


@dataclass(frozen=True, slots=True)
class Door:
    """One way to the stub, over one kept-alive connection."""

    connection: http.client.HTTPConnection
    path: str
    headers: dict[str, str]

    def ask(self, tokens: int = 0) -> tuple[float, float]:
        """One call: milliseconds to its first and to its last byte of content."""
        asked = {"prompt": "word", "max_tokens": tokens or 40, "stream": bool(tokens)}
        began = time.perf_counter()
        self.connection.request("POST", self.path, json.dumps(asked), self.headers)
        answer = self.connection.getresponse()
        first = answer.read(1)
        came = time.perf_counter()
        rest = answer.read()
        ended = time.perf_counter()
        if answer.status != 200 or (tokens and not rest.endswith(b"[DONE]\n\n")):
            raise RuntimeError(f"{answer.status} {first + rest[-200:]!r}")
        return (came - began) * 1000, (ended - began) * 1000


def measure(folder: Path) -> list[Figure]:
    """Requests and streams, through the gateway and directly, in turns."""
    with up(folder / "data_plane") as running, Client(running) as client:
        root = Path(__file__).parent.parent
        command = f"env PYTHONPATH={root} {sys.executable} -m bench.stub --port {{port}}"
        client.create_own(_SERVICE, command)
        until(lambda: client.describe(_SERVICE)["Status"] == "Running", 60, "the stub")
        through, direct = _through(running, client), _direct(client)
        try:
            return _rounds(running, through, direct)
        finally:
            through.connection.close()
            direct.connection.close()


def _through(running: Running, client: Client) -> Door:
    token = client.describe(_SERVICE)["AccessToken"]
    return _door(running.gateway_listen, f"/api/predict/{_SERVICE}/v1/completions", token)


def _direct(client: Client) -> Door:
    found = client.instances(_SERVICE)[0]
    return _door(f"{found['InnerIP']}:{found['InstancePort']}", "/v1/completions", "")


def _door(address: str, path: str, token: str) -> Door:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return Door(http.client.HTTPConnection(address, timeout=30), path, headers)


def _rounds(running: Running, through: Door, direct: Door) -> list[Figure]:
    each: dict[str, list[float]] = {
        name: [] for name in ("request", "token", "added", "first", "direct")
    }
    for turn in rounds(ROUNDS + 1, SECONDS):
        with spending(running.gateway) as requests:
            ours = [through.ask()[1] for _ in range(REQUESTS)]
        its = [direct.ask()[1] for _ in range(REQUESTS)]
        with spending(running.gateway) as stream:
            our_first = through.ask(TOKENS)[0]
        if not turn:  # warms up
            continue
        each["request"].append(requests.cpu / REQUESTS * 1000)
        each["token"].append(stream.cpu / TOKENS * 1e6)
        each["added"].append(statistics.median(ours) - statistics.median(its))
        each["direct"].append(statistics.median(its))
        each["first"].append(our_first - direct.ask(TOKENS)[0])
    return [
        figure("gateway CPU per request", "ms", each["request"], note="1 kept-alive client"),
        figure(
            "gateway CPU per streamed token", "µs", each["token"], note="one at a time, 2 ms apart"
        ),
        figure("gateway, added time of a request", "ms", each["added"], note="wall"),
        figure("gateway, added time to the first token", "ms", each["first"], note="wall"),
        figure("the stub, called directly", "ms", each["direct"], note="wall, for comparison"),
    ]
