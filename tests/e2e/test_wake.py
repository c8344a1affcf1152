"""Scale to zero and back, for real: a model nobody uses goes, and whoever asks for it next is answered."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import openai
import pytest
import requests
from clients import PythonSdk
from documents import app
from lifecycle import Service, capital
from running_platform import Platform, running, until

from pierhead.bootstrap.secret_files import metrics_token

MODEL = "sleepy_llm"
IDLE = 3  #: seconds without a request after which it goes
BEAT = 0.5  #: seconds between two heartbeats
#: Status and reason while a model is loaded.
ON_THE_WAY_UP = {("Scaling", "Scaling"), ("Waiting", "Waiting")}
SAID = "The capital of France is Paris."
QUESTION: Any = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "What is the capital of France? Answer briefly."}],
    "temperature": 0,
    "max_tokens": 24,
}
ZERO = {
    "min": 0,
    "max": 1,
    "scaleStrategies": [{"metricName": "concurrency", "threshold": 8}],
    "behavior": {"onZero": {"scaleDownGracePeriodSeconds": IDLE}},
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that looks at the load each second, and whose heartbeats come as often as they can."""
    folder = tmp_path_factory.mktemp("platform")
    quick = {"PIERHEAD_SCALING_SECONDS": "1", "PIERHEAD_HOLD_HEARTBEAT_SECONDS": str(BEAT)}
    with running(folder, **quick) as platform:
        yield platform


@pytest.fixture(scope="module")
def model(eas: PythonSdk) -> Service:
    """The demo model, with an auto-scaler that takes its last replica."""
    eas("CreateAppService", body=app(MODEL))
    service = Service(eas, MODEL)
    service.until("Running")
    eas("CreateServiceAutoScaler", MODEL, body=ZERO)
    return service


def asleep(service: Service) -> None:
    """Waits until it sleeps: it is well, and has no replica."""

    def sleeps() -> bool:
        shown = service.describe()
        return shown["Reason"] == "ScaledToZero" and not service.instances()

    until(sleeps, 90, f"{service.name} sleeps")
    shown = service.describe()
    assert (shown["Status"], shown["TotalInstance"]) == ("Running", 0)
    assert shown["RunningInstance"] == 0
    assert len(told(service, "ScaledToZero")) == len(told(service, "ServiceWoken")) + 1


def told(service: Service, reason: str) -> list[str]:
    """Messages of its events of one kind, newest first."""
    return [event["Message"] for event in service.events() if event["Reason"] == reason]


@contextmanager
def one_load(service: Service) -> Generator[None]:
    """It sleeps at first; what comes inside wakes it, and one model is loaded for all of that."""
    asleep(service)
    before = {reason: len(told(service, reason)) for reason in ("ServiceWoken", "ReplicaStarting")}
    yield
    for reason, count in before.items():
        assert len(told(service, reason)) == count + 1, (reason, service.events())


@contextmanager
def watched(service: Service) -> Generator[set[tuple[str, str]]]:
    """What DescribeService says meanwhile, status and reason."""
    seen: set[tuple[str, str]] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            shown = service.describe()
            seen.add((shown["Status"], shown["Reason"]))

    with ThreadPoolExecutor(1) as watching:
        looked = watching.submit(look)
        try:
            yield seen
        finally:
            over.set()
        looked.result()


@pytest.fixture(scope="module")
def clients(platform: Platform, model: Service) -> Iterator[list[openai.OpenAI]]:
    """Official clients for the gateway's shared address and the model's own, made before the clock runs."""
    token = model.describe()["AccessToken"]
    shared = f"{platform.gateway}/v1"
    with (
        openai.OpenAI(base_url=shared, api_key=token, max_retries=0, timeout=120) as one,
        model.openai() as other,
    ):
        yield [one, other.with_options(timeout=120)]


def whole(client: openai.OpenAI) -> str:
    """The model's answer in one piece."""
    return capital(client, MODEL)


def streamed(client: openai.OpenAI) -> str:
    """The same as a stream."""
    with client.chat.completions.create(**QUESTION, stream=True) as stream:
        return "".join(part.choices[0].delta.content or "" for part in stream if part.choices)


def held(platform: Platform) -> int:
    """Requests that waited for a first replica so far, as the gateway tells."""
    token = metrics_token(platform.folder)
    headers = {"Authorization": f"Bearer {token}"}
    text = requests.get(f"{platform.gateway}/metrics", headers=headers, timeout=10).text
    name = f'pierhead_gateway_held_seconds_count{{service="{MODEL}"}}'
    return sum(int(float(line.split()[-1])) for line in text.splitlines() if line.startswith(name))


def test_an_idle_model_goes_and_its_next_request_wakes_it(
    model: Service, clients: list[openai.OpenAI]
) -> None:
    with one_load(model), watched(model) as seen:
        (slept,) = told(model, "ScaledToZero")
        assert f"from 1 to 0 replicas, there was no request for {IDLE} s" in slept
        assert whole(clients[0]) == SAID
        model.until("Running")
    (woken,) = told(model, "ServiceWoken")
    assert "request" in woken
    assert seen <= {("Running", "ScaledToZero"), *ON_THE_WAY_UP, ("Running", "Running")}, seen
    assert model.describe()["RunningInstance"] == 1


def test_a_stream_hears_how_far_the_start_is(platform: Platform, model: Service) -> None:
    with one_load(model):
        url, token = f"{platform.gateway}/v1/chat/completions", model.describe()["AccessToken"]
        began, lines = time.monotonic(), list[tuple[float, str]]()
        with requests.post(
            url,
            json={**QUESTION, "stream": True},
            headers={"Authorization": f"Bearer {token}"},
            stream=True,
            timeout=120,
        ) as reply:
            assert reply.status_code == 200
            assert reply.headers["Content-Type"].startswith("text/event-stream")
            for line in reply.iter_lines(chunk_size=1):
                lines.append((time.monotonic() - began, line.decode()))
    texts = [line for _, line in lines if line]
    beats = [line for line in texts if line.startswith(":")]
    first = next(when for when, line in lines if line.startswith("data:"))
    assert texts[: len(beats)] == beats, "comments come before the first event alone"
    assert beats, f"the first event came after {first:.2f} s, a heartbeat is due each {BEAT} s"
    assert {word for beat in beats for word in beat.split()} & {"starting", "loading"}
    assert texts[-1] == "data: [DONE]"


def test_twenty_at_once_wait_for_one_start(
    platform: Platform, model: Service, clients: list[openai.OpenAI]
) -> None:
    asks: list[Callable[[openai.OpenAI], str]] = [whole, streamed]
    before, together = held(platform), threading.Barrier(20)

    def asked(ask: Callable[[openai.OpenAI], str], client: openai.OpenAI) -> str:
        together.wait(60)
        return ask(client)

    with one_load(model), ThreadPoolExecutor(20) as many:
        waiting = [many.submit(asked, ask, one) for ask in asks for one in clients * 5]
        assert [one.result() for one in waiting] == [SAID] * 20
    assert held(platform) == before + 20
