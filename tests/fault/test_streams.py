"""Streams that are open while replicas come and go, and clients that leave in the middle of one."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from stage import PATIENCE, Stage, get, until

import demo_weights
from pierhead.core.ids import engine_key

#: Seconds within which an engine learns that its client has left: the gateway's promise is 0.2 s.
LEARNT = 0.3 * PATIENCE


@dataclass(slots=True)
class Streams:
    """What a number of streaming clients met; each opens the next stream when one has ended."""

    whole: int = 0
    broken: list[str] = field(default_factory=list[str])
    versions: set[str] = field(default_factory=set[str])
    open: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """One streaming request."""

    address: str
    path: str
    token: str
    body: bytes | None = None
    timeout: float = 60.0


@contextmanager
def streaming(clients: int, ask: Ask) -> Iterator[Streams]:
    """So many clients beside the block; after it each ends the stream it has."""
    found, done, lock = Streams(), threading.Event(), threading.Lock()

    def client() -> None:
        while not done.is_set():
            with lock:
                found.open += 1
            problem, version = _stream(ask)
            with lock:
                found.open -= 1
                found.versions.add(version)
                if problem:
                    found.broken.append(problem)
                    return
                found.whole += 1

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        done.set()
        for thread in threads:
            thread.join(120)


def _stream(ask: Ask) -> tuple[str, str]:
    """("" or what was wrong with it, the version that answered)."""
    connection = http.client.HTTPConnection(ask.address, timeout=ask.timeout)
    try:
        method = "GET" if ask.body is None else "POST"
        headers = {"Authorization": ask.token, "Content-Type": "application/json"}
        connection.request(method, ask.path, ask.body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return repr(error), ""
    finally:
        connection.close()
    if answer.status != 200 or not text.rstrip().endswith("data: [DONE]"):
        return f"{answer.status}: {text[-200:]}", ""
    first = json.loads(text.partition("\n")[0].removeprefix("data: "))
    return "", str(first.get("version", ""))


@pytest.mark.parametrize("request_to_end", ["delete", "stop"])
def test_an_open_stream_ends_whole_when_its_service_goes(stage: Stage, request_to_end: str) -> None:
    """Law: stop and delete drain first; new requests are refused at once, open ones end."""
    stage.up()
    stage.create("svc", grace=30)
    stage.running("svc", 1)
    connection = http.client.HTTPConnection(stage.gateway_listen, timeout=30)
    token = stage.token("svc")
    path = "/api/predict/svc/stream?n=30&gap=0.1"
    connection.request("GET", path, headers={"Authorization": token})
    answer = connection.getresponse()
    first = answer.readline()
    {"delete": stage.delete, "stop": stage.stop}[request_to_end]("svc")
    refused = {"delete": 404, "stop": 503}[request_to_end]
    until(lambda: get(stage.gateway_listen, "/api/predict/svc/", token)[0] == refused)
    assert (first + answer.read()).decode().rstrip().endswith("data: [DONE]")
    connection.close()
    until(lambda: not stage.processes("engine"))


def test_a_stream_that_outlasts_the_drain_deadline_is_cut_then_and_not_before(
    stage: Stage,
) -> None:
    """Law: draining is bounded by its deadline (F12)."""
    stage.up()
    stage.create("svc", grace=1.0)
    stage.running("svc")
    ask = Ask(stage.gateway_listen, "/api/predict/svc/stream?n=600&gap=0.05", stage.token("svc"))
    with streaming(1, ask) as seen:
        until(lambda: seen.open == 1)
        (engine,) = stage.instances("svc")
        until(lambda: "/stream" in state(engine)["busy"])
        began = time.monotonic()
        stage.stop("svc")
        until(lambda: bool(seen.broken), "the stream was not cut")
        took = time.monotonic() - began
        stage.stopped("svc")
    assert 0.9 <= took <= 1.0 + 2.0 * PATIENCE


@pytest.mark.parametrize(
    "path", ["/hang", "/stream?n=600&gap=0.05"], ids=["before", "in-mid-stream"]
)
def test_a_client_that_leaves_frees_its_engine_at_once(stage: Stage, path: str) -> None:
    """Law: a client that is gone, before the first token too, aborts the engine's work (F23)."""
    stage.up()
    stage.create("svc")
    stage.running("svc")
    token = stage.token("svc")
    (engine,) = stage.instances("svc")
    for number in range(5):
        client = opened(stage.gateway_listen, f"/api/predict/svc{path}", token)
        until(lambda: state(engine)["busy"])
        client.close()
        gone = time.monotonic()
        until(lambda n=number: len(state(engine)["left"]) > n, "the engine was not told", 5)
        assert state(engine)["left"][-1] - gone <= LEARNT
        assert state(engine)["busy"] == []


def opened(address: str, path: str, token: str, body: bytes = b"") -> socket.socket:
    """A connection on which a request was sent, and nothing is read."""
    host, _, port = address.rpartition(":")
    client = socket.create_connection((host, int(port)), 5.0)
    method = "POST" if body else "GET"
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    client.sendall(head.encode() + body)
    return client


def state(instance: dict[str, object]) -> dict[str, list[object]]:
    """What a replica says of itself, asked directly."""
    address = f"{instance['InnerIP']}:{instance['InstancePort']}"
    return json.loads(get(address, "/state")[1])


# ---- with the real engine -----------------------------------------------------------------


@pytest.fixture
def llama(stage: Stage) -> Stage:
    """A stage with one replica of the demo model."""
    stage.up(PIERHEAD_CACHE_DIR=str(demo_weights.demo_cache()))
    body = {
        "AppType": "LLM",
        "AppVersion": "v1",
        "ServiceName": "llm",
        "ServiceSpec": "smollm2_135m_q4",
        "Replicas": 1,
    }
    stage.client.call("CreateAppService", "POST", "/api/v2/app_services", body=body)
    stage.running("llm", within=120)
    return stage


def completion(tokens: int) -> bytes:
    facts = {"model": "llm", "prompt": "Once upon a time", "max_tokens": tokens, "stream": True}
    return json.dumps(facts | {"ignore_eos": True}).encode()


def test_streams_of_a_real_engine_survive_its_replacement(llama: Stage) -> None:
    """Law: 0 truncated streams, 0 5xx while the only replica is replaced (F12)."""
    path = "/api/predict/llm/v1/completions"
    ask = Ask(llama.gateway_listen, path, llama.token("llm"), completion(24))
    (old,) = llama.replicas("llm").values()
    with streaming(6, ask) as seen:
        until(lambda: seen.whole >= 6, within=60)
        llama.client.change("RestartService", "llm", "/restart")
        until(lambda: not old.alive, "the old replica does not leave", within=90)
        whole = seen.whole
        until(lambda: seen.whole >= whole + 6, within=60)
    assert seen.broken == []
    llama.running("llm")


def test_a_client_that_leaves_frees_a_slot_of_the_real_engine(llama: Stage) -> None:
    """Law: the slot is free within 0.3 s after the client has gone (F23)."""
    (instance,) = llama.instances("llm")
    secret = (llama.folder / "run" / "engine.key").read_bytes()
    key = engine_key(secret, instance["InstanceName"])
    address = f"{instance['InnerIP']}:{instance['InstancePort']}"

    def busy() -> int:
        slots = json.loads(get(address, "/slots", f"Bearer {key}")[1])
        return sum(slot["is_processing"] for slot in slots)

    path = "/api/predict/llm/v1/completions"
    client = opened(llama.gateway_listen, path, llama.token("llm"), completion(1500))
    until(lambda: busy() == 1, within=10)
    client.close()
    gone = time.monotonic()
    until(lambda: busy() == 0, within=30)
    assert time.monotonic() - gone <= LEARNT
