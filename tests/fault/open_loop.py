"""A client in a process of its own that never waits for an answer before it asks again, and counts all.

Plain requests go out at a fixed rate, each on a connection of its own, and their time runs from the
moment they were due; so many streams beside them are open all the time. When its standard input ends
it sends nothing new, waits for what is open, and writes down each request: none is left uncounted.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import cycle
from pathlib import Path

#: Seconds after which a request has failed.
TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a gateway."""

    address: str
    targets: tuple[tuple[str, str], ...]  #: services with their tokens, asked in turn
    rate: float = 0.0  #: plain requests per second
    streams: int = 0  #: clients that have a stream open all the time
    events: int = 20  #: of a stream
    gap: float = 0.2  #: seconds between two of them
    once: bool = False  #: each of these clients asks for one stream, all at the same time


@dataclass(frozen=True, slots=True)
class Asked:
    """One request; times are of the machine's monotonic clock."""

    due: float
    ended: float
    stream: bool
    status: int  #: 0 = none came
    whole: bool  #: all of it came: the length that was told, or the stream's last chunk
    replica: str = ""
    version: str = ""
    problem: str = ""

    @property
    def seconds(self) -> float:
        """From when it was due."""
        return self.ended - self.due


@dataclass(slots=True)
class Account:
    """Every request that was sent."""

    sent: int = 0
    asked: list[Asked] = field(default_factory=list[Asked])

    @property
    def plain(self) -> list[Asked]:
        return [one for one in self.asked if not one.stream]

    @property
    def streams(self) -> list[Asked]:
        return [one for one in self.asked if one.stream]

    @property
    def failed(self) -> list[Asked]:
        """Not answered with 200."""
        return [one for one in self.asked if one.status != 200]

    @property
    def truncated(self) -> list[Asked]:
        """Begun well, and not whole."""
        return [one for one in self.asked if one.status == 200 and not one.whole]

    def crossing(self, at: float) -> list[Asked]:
        """Streams that were open at that time."""
        return [one for one in self.streams if one.due < at < one.ended]


def percentile(asked: Sequence[Asked], share: float) -> float:
    """Seconds that so many of them took at most."""
    times = sorted(one.seconds for one in asked)
    return times[min(len(times) - 1, int(share * len(times)))]


def spotless(account: Account) -> None:
    """Every request that was sent was answered with 200, and wholly."""
    assert account.sent == len(account.asked), f"{account.sent} sent, {len(account.asked)} noted"
    for what, found in (("failed", account.failed), ("truncated", account.truncated)):
        assert not found, f"{len(found)} of {account.sent} {what}, first: {found[:3]}"


@contextmanager
def calling(folder: Path, load: Load) -> Generator[Callable[[], Account]]:
    """The client beside the block; call what is given once, to end it and have the account."""
    out = folder.with_name(f"{folder.name}.{load.targets[0][0]}.account")
    client = subprocess.Popen(
        [sys.executable, __file__, json.dumps(asdict(load)), str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert client.stdin is not None
    assert client.stdout is not None

    def finish() -> Account:
        client.communicate(timeout=2 * TIMEOUT)
        assert client.returncode == 0, "the client failed"
        found = json.loads(out.read_text())
        return Account(found["sent"], [Asked(**one) for one in found["asked"]])

    try:
        assert client.stdout.readline() == b"begun\n", "the client got no answer"
        yield finish
    finally:
        if client.poll() is None:
            client.kill()
        client.stdin.close()
        client.stdout.close()
        client.wait()


# ---- the process itself -------------------------------------------------------------------


class _Client:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._targets = cycle(load.targets)
        self._open: set[asyncio.Task[None]] = set()
        self._begun, self._ended = asyncio.Event(), asyncio.Event()
        self._answered = {True: 0, False: 0}  #: heads of streams, and of plain answers
        self.account = Account()

    async def run(self) -> None:
        load = self._load
        whole = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        work = [asyncio.create_task(self._stream_on(n)) for n in range(load.streams)]
        work += [asyncio.create_task(self._at_rate())] if load.rate else []
        await self._begun.wait()
        print("begun", flush=True)
        await whole
        self._ended.set()
        await asyncio.gather(*work)
        await asyncio.gather(*self._open)

    async def _at_rate(self) -> None:
        due = time.monotonic()
        while not self._ended.is_set():
            task = asyncio.create_task(self._ask("/", due, stream=False))
            self._open.add(task)
            task.add_done_callback(self._open.discard)
            due += 1 / self._load.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _stream_on(self, number: int) -> None:
        load = self._load
        # Not all at the same moment: then they would end at the same moment too.
        await asyncio.sleep(0 if load.once else load.gap * load.events * number / load.streams)
        path = f"/stream?n={load.events}&gap={load.gap}"
        await self._ask(path, time.monotonic(), stream=True)
        while not (load.once or self._ended.is_set()):
            await self._ask(path, time.monotonic(), stream=True)

    async def _ask(self, path: str, due: float, *, stream: bool) -> None:
        self.account.sent += 1
        status, body, problem = 0, b"", ""
        try:
            async with asyncio.timeout(TIMEOUT):
                head, body, whole = await self._exchange(path, stream=stream)
            status = int(head.split()[1])
        except (OSError, EOFError, TimeoutError, ValueError, IndexError) as error:
            whole, problem = False, repr(error)
        if stream:
            whole = whole and body.endswith(b"data: [DONE]\n\n")
        if status != 200 and not problem:
            problem = body[-200:].decode(errors="replace")
        self.account.asked.append(
            Asked(due, time.monotonic(), stream, status, whole, **_told(body), problem=problem)
        )

    async def _exchange(self, path: str, *, stream: bool) -> tuple[bytes, bytes, bool]:
        """Head, body, and whether all of it came."""
        load = self._load
        service, token = next(self._targets)
        host, _, port = load.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(
                f"GET /api/predict/{service}{path} HTTP/1.1\r\nHost: {load.address}\r\n"
                f"Authorization: {token}\r\nConnection: close\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            self._answered[stream] += 1
            if self._answered[True] >= load.streams and (self._answered[False] or not load.rate):
                self._begun.set()
            rest = await reader.read()
        finally:
            writer.close()
        return head, *_body(head.lower(), rest)


def _body(head: bytes, rest: bytes) -> tuple[bytes, bool]:
    if b"transfer-encoding: chunked" not in head:
        length = int(head.partition(b"content-length:")[2].split()[0])
        return rest, len(rest) == length
    parts: list[bytes] = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            return b"".join(parts), rest.endswith(b"\r\n")
        parts.append(rest[:count])
        rest = rest[count + 2 :]
    return b"".join(parts), False


def _told(body: bytes) -> dict[str, str]:
    """Who answered, as the first line tells."""
    try:
        found = json.loads(body.partition(b"\n")[0].removeprefix(b"data: "))
    except ValueError:
        return {}
    return {key: str(found[key]) for key in ("replica", "version") if key in found}


def main(load: Load, out: Path) -> None:
    client = _Client(load)
    asyncio.run(client.run())
    out.write_text(json.dumps(asdict(client.account)))


if __name__ == "__main__":
    main(Load(**json.loads(sys.argv[1])), Path(sys.argv[2]))
