"""Many requests at once for a service that has no replica: held, one wake, and then answered."""

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path

from bench.figures import figure, percentile
from bench.gateway.outcome import Outcome
from bench.gateway.programs import Door
from bench.gateway.stage import SERVICE, Launch, Stage, route, stage

REQUESTS, STREAMS, LARGE = 200, 50, 3 * 2**20
LOAD_SECONDS = 1.5
_TOKENS, _GAP = 20, 0.005
_ADDED_MS = 300.0
_LIMIT = 30.0


@dataclass(frozen=True, slots=True)
class Held:
    """What became of a request."""

    kind: str
    status: int
    whole: bool
    first: float  #: monotonic; when its answer's content began
    heartbeats: int = 0


def measure(folder: Path, launch: Launch) -> Outcome:
    """All at once, against a replica that is there after `LOAD_SECONDS`."""
    with stage(folder, launch, 1, gap=_GAP) as made:
        return asyncio.run(_measure(made))


async def _measure(made: Stage) -> Outcome:
    asleep = route(SERVICE, (), wakes=True)
    made.show(asleep)
    ready: list[float] = []

    def come() -> None:
        made.hub.publish([route(SERVICE, made.replicas, wakes=True)])
        ready.append(time.monotonic())

    def wake(service: str) -> None:
        if service == asleep.service and len(made.hub.woken) == 1:
            made.hub.loop.call_later(LOAD_SECONDS, come)

    made.hub.on_wake = wake
    door = made.gateway.door()
    kinds = ["large"] + ["stream"] * STREAMS + ["plain"] * (REQUESTS - STREAMS - 1)
    asked = time.monotonic()
    held = await asyncio.gather(*(_ask(door, kind) for kind in kinds))
    return _judged(made, held, ready[0] if ready else asked)


async def _ask(door: Door, kind: str) -> Held:
    try:
        async with asyncio.timeout(_LIMIT):
            return await _answer(door, kind)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError, IndexError):
        return Held(kind, 0, whole=False, first=time.monotonic())


async def _answer(door: Door, kind: str) -> Held:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=2**20)
    try:
        writer.write(_request(door, kind))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = int(head.split(" ", 2)[1])
        if kind != "stream" or status != 200:
            size = int(head.lower().split("content-length:")[1].split("\r\n")[0])
            first = time.monotonic()
            return Held(kind, status, len(await reader.readexactly(size)) == size, first)
        return await _events(reader, status)
    finally:
        writer.close()


async def _events(reader: asyncio.StreamReader, status: int) -> Held:
    first, heartbeats, tokens, usage = 0.0, 0, 0, False
    while not (line := await reader.readline()).startswith(b"data: [DONE]"):
        if not line:
            return Held("stream", status, whole=False, first=first, heartbeats=heartbeats)
        heartbeats += line.startswith(b":")
        usage |= b'"usage"' in line
        if b"@" in line:
            tokens += 1
            first = first or time.monotonic()
    whole = tokens == _TOKENS and not usage
    return Held("stream", status, whole=whole, first=first, heartbeats=heartbeats)


def _request(door: Door, kind: str) -> bytes:
    text = "a" * LARGE if kind == "large" else "Hello."
    document = {
        "model": door.model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": _TOKENS,
        "stream": kind == "stream",
    }
    body = json.dumps(document).encode()
    head = (
        f"POST {door.base}/v1/chat/completions HTTP/1.1\r\nHost: bench\r\n"
        f"Authorization: Bearer {door.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _judged(made: Stage, held: list[Held], ready: float) -> Outcome:
    outcome = Outcome()
    wakes, counted = len(made.hub.woken), made.replicas[0].counted()
    bad = [each for each in held if each.status != 200 or not each.whole]
    if wakes != 1:
        outcome.faults.append(f"{wakes} calls to wake it")
    if bad:
        told = sorted({(each.kind, each.status) for each in bad})
        outcome.faults.append(f"{len(bad)} of {len(held)} went wrong, e.g. {told[:5]}")
    if counted["requests"] + counted["streams"] != len(held):
        outcome.faults.append(f"the replica got {counted['requests']} + {counted['streams']}")
    # A stream's first token is a gap after its beginning, which is not the gateway's doing.
    added = [
        (each.first - ready - (_GAP if each.kind == "stream" else 0.0)) * 1000
        for each in held
        if each not in bad
    ]
    beats = sum(each.heartbeats for each in held)
    if added:
        last = percentile(added, 1.0)
        outcome.figures = [
            figure("added after it is ready", "ms", added, _ADDED_MS, bar="p95"),
            figure("added to the last one", "ms", [last], _ADDED_MS),
        ]
    outcome.figures += [
        figure("calls to wake it", "", [float(wakes)], 1),
        figure("requests gone wrong", "", [float(len(bad))], 0, note=f"of {len(held)}"),
        figure("heartbeats", "", [float(beats)], note="to streams that waited"),
    ]
    outcome.numbers = {"added_ms": added, "wakes": wakes, "replica": counted}
    return outcome
