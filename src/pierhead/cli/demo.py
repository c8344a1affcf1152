"""`pierhead demo`: the whole path for real, through the vendor's official SDK, timed phase by phase.

Start a platform of its own -> CreateAppService -> weights, schedule, load, ready -> ask through the
official OpenAI client -> compare with the bare engine -> stop in good order.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pierhead.cli.demo_bare import answers, bare_engine, event_times, median
from pierhead.core.errors import PierheadError
from pierhead.core.ids import engine_key

SERVICE = "demo"
SPEC = "smollm2_135m_q4"
QUESTION = "What is the capital of France? Answer briefly."
STORY = "Write two sentences about a lighthouse."
#: Calls per side when the gateway is compared with the bare engine.
ROUNDS, WARM_UP = 31, 3
#: The comparison ends after so many seconds with the rounds it has by then.
COMPARE_SECONDS = 5.0
START_SECONDS, READY_SECONDS = 30.0, 300.0


class DemoFailed(PierheadError):
    """A step of the demo did not come off; the message says which, and what to look at."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run the demo."""

    keep: bool = False
    data_dir: Path | None = None  #: None = a temporary folder, removed at the end


@dataclass(frozen=True, slots=True)
class Started:
    """A platform that runs."""

    process: subprocess.Popen[bytes]
    folder: Path
    credentials: dict[str, Any]
    seconds: float


def run(options: Options) -> None:
    """Run the demo and print what happens.

    Raises:
        DemoFailed: a step did not come off; everything that was started is stopped.
    """
    began = time.monotonic()
    print("Pierhead demo: a real model, served by Pierhead, called through the official SDKs\n")
    installed = _say_install()
    sdk, openai = _clients()
    with _folder(options) as folder:
        with _platform(folder, options) as platform:
            eas = _eas(sdk, platform.credentials)
            running = _create(eas, platform)
            endpoint = eas.describe_service_endpoints(platform.credentials["region"], SERVICE).body
            client = openai.OpenAI(
                base_url=f"{endpoint.endpoints[0].internet_endpoints[0]}/v1",
                api_key=endpoint.access_token,
            )
            _ask(client)
            _compare(client, _past_the_gateway(eas, client, platform), running, folder)
            if options.keep:
                _say_kept(platform, endpoint)
            else:
                _delete(eas, platform)
        _line("total", time.monotonic() - began + installed)
    if not options.keep:
        print("\nEverything was stopped and removed; the weights stay cached for the next time.")
        print("Leave it running and try more:  make demo ARGS=--keep")


def cache_dir() -> Path:
    """Where the demo keeps its weights between runs: `$XDG_CACHE_HOME/pierhead`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pierhead"


def _clients() -> tuple[Any, Any]:
    """The official SDKs, loaded by name: both are optional and one carries no types."""
    try:
        return import_module("alibabacloud_eas20210701.client"), import_module("openai")
    except ImportError as error:
        raise DemoFailed(
            f"The demo calls through the official SDKs, and {error.name} is not installed: pip install 'pierhead[demo]'."
        ) from error


def _say_install() -> float:
    """The seconds that `make install` took before us; it tells when it began."""
    since = os.environ.get("PIERHEAD_DEMO_SINCE", "")
    if not since:
        return 0.0
    seconds = max(0.0, time.time() - float(since))
    _line("install", seconds, "make install")
    return seconds


@contextmanager
def _folder(options: Options) -> Generator[Path, None, None]:
    if options.data_dir is not None:
        options.data_dir.mkdir(parents=True, exist_ok=True)
        yield options.data_dir.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="pierhead-demo-"))
    yield folder
    if not options.keep:
        shutil.rmtree(folder)


@contextmanager
def _platform(folder: Path, options: Options) -> Generator[Started, None, None]:
    """`pierhead up` on free ports; stopped in good order unless it is to be kept."""
    began = time.monotonic()
    log = (folder / "up.log").open("wb")
    command = [
        sys.executable,
        "-m",
        "pierhead",
        "up",
        "--data-dir",
        str(folder),
        "--listen",
        "127.0.0.1:0",
        "--gateway-listen",
        "127.0.0.1:0",
    ]
    environment = {**os.environ, "PIERHEAD_CACHE_DIR": str(cache_dir())}
    process = subprocess.Popen(
        command,
        stdout=log,
        stderr=log,
        stdin=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    log.close()
    kept = False
    try:
        started = _wait_started(process, folder, began)
        _line(
            "platform",
            started.seconds,
            f"{started.credentials['endpoints']['eas']}, gateway {started.credentials['endpoints']['gateway']}",
        )
        yield started
        kept = options.keep
    finally:
        if not kept:
            _stop(process)


def _wait_started(process: "subprocess.Popen[bytes]", folder: Path, began: float) -> Started:
    file = folder / "credentials.json"
    while time.monotonic() - began < START_SECONDS:
        if process.poll() is not None:
            raise DemoFailed(f"The platform ended at its start:\n{_tail(folder)}")
        if file.exists():
            credentials = json.loads(file.read_text())
            endpoints = credentials["endpoints"]
            if answers(endpoints["eas"] + "/healthz") and answers(
                endpoints["gateway"] + "/healthz"
            ):
                return Started(process, folder, credentials, time.monotonic() - began)
        time.sleep(0.05)
    raise DemoFailed(f"The platform was not ready within {START_SECONDS:g} s:\n{_tail(folder)}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    began = time.monotonic()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _line("stop", time.monotonic() - began, "gateway, replicas, hub")


def _eas(sdk: Any, credentials: dict[str, Any]) -> Any:
    config = import_module("alibabacloud_tea_openapi.models").Config(
        access_key_id=credentials["access_key_id"],
        access_key_secret=credentials["access_key_secret"],
        endpoint=credentials["endpoints"]["eas"].removeprefix("http://"),
        protocol="HTTP",
    )
    return sdk.Client(config)


def _create(eas: Any, platform: Started) -> float:
    """CreateAppService, then watch it come up; seconds until it runs."""
    models = _models()
    region = platform.credentials["region"]
    began = time.monotonic()
    request = models.CreateAppServiceRequest(
        service_name=SERVICE, app_type="LLM", app_version="v1", service_spec=SPEC, replicas=1
    )
    created = eas.create_app_service(request).body
    _line(
        "create",
        time.monotonic() - began,
        f"CreateAppService -> {created.service_id} {created.status}",
    )
    running = _watch(eas, region, began)
    events = eas.describe_service_event(
        region, SERVICE, models.DescribeServiceEventRequest()
    ).body.events
    _say_phases(platform, [event.reason for event in events], running)
    return running


def _models() -> Any:
    return import_module("alibabacloud_eas20210701.models")


def _watch(eas: Any, region: str, began: float) -> float:
    """Poll until Running; prints each new phase once, and the seconds so far on a terminal."""
    shown = ""
    while time.monotonic() - began < READY_SECONDS:
        service = eas.describe_service(region, SERVICE).body
        elapsed = time.monotonic() - began
        if service.status == "Running":
            _clear()
            return elapsed
        if service.status == "Failed":
            raise DemoFailed(f"The service failed: {service.reason}: {service.message}")
        phase = f"{service.status} ({service.reason})"
        if sys.stdout.isatty():
            print(
                f"\r\033[K  ... {elapsed:5.1f} s  {phase}: {service.message[:90]}",
                end="",
                flush=True,
            )
        elif phase != shown:
            print(f"  ... {elapsed:5.1f} s  {phase}", flush=True)
        shown = phase
        time.sleep(0.1)
    raise DemoFailed(f"The service was not Running within {READY_SECONDS:g} s; last: {shown}")


def _say_phases(platform: Started, reasons: list[str], running: float) -> None:
    """weights, schedule, load, ready: from the platform's own events, which carry fractions of seconds."""
    at = event_times(platform.folder / "pierhead.db", SERVICE)
    start = at["ServiceCreated"]
    fetched = at.get("HoldEnded", start)
    launched, ready = at.get("ReplicaStarting", fetched), at.get("ReplicaReady", start + running)
    _line(
        "weights",
        fetched - start,
        "fetched, sha256 checked" if "FetchingWeights" in reasons else "cached",
    )
    _line("schedule", launched - fetched, "port, limits, process")
    _line("load", ready - launched, f"engine starts, {SPEC} is loaded, answers its first token")
    _line("ready", at.get("Running", ready) - ready, "routed and Running")


def _ask(client: Any) -> None:
    print(f"\n> {QUESTION}")
    began = time.monotonic()
    answer = client.chat.completions.create(
        model=SERVICE,
        messages=[{"role": "user", "content": QUESTION}],
        temperature=0,
        max_tokens=32,
    )
    seconds = time.monotonic() - began
    print(f"  {answer.choices[0].message.content.strip()}")
    print(f"  [{answer.usage.completion_tokens} tokens in {seconds:.2f} s]")
    print(f"\n> {STORY}   (streamed)\n  ", end="", flush=True)
    _stream(client)


def _stream(client: Any) -> None:
    began = time.monotonic()
    first = tokens = 0
    stream = client.chat.completions.create(
        model=SERVICE,
        messages=[{"role": "user", "content": STORY}],
        temperature=0,
        max_tokens=80,
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        text = chunk.choices[0].delta.content if chunk.choices else None
        if text:
            first = first or time.monotonic()
            print(text.replace("\n", "\n  "), end="", flush=True)
        tokens = chunk.usage.completion_tokens if chunk.usage else tokens
    ended = time.monotonic()
    rate = (tokens - 1) / (ended - first) if tokens > 1 and ended > first else 0.0
    print(f"\n  [{tokens} tokens, first after {first - began:.2f} s, then {rate:.0f} tokens/s]\n")


def _compare(client: Any, direct: Any, running: float, folder: Path) -> None:
    """A start of the same program without Pierhead, and requests to the replica past the gateway."""
    with bare_engine(SPEC, cache_dir(), folder) as bare:
        started = bare.ready
    ours, theirs = (median(list(side)) for side in zip(*_rounds(client, direct), strict=True))
    print("Over the bare engine (same program, same weights; medians of alternating requests):")
    print(
        f"  start    {running - started:+7.2f} s    {running:.2f} s from create to Running, bare {started:.2f} s"
    )
    print(
        f"  request  {(ours - theirs) * 1000:+7.2f} ms   {ours * 1000:.2f} ms through the gateway, {theirs * 1000:.2f} ms past it"
    )
    print()


def _past_the_gateway(eas: Any, client: Any, platform: Started) -> Any:
    """A client of the replica itself, with the key that only gateway and engine know."""
    instance = eas.list_service_instances(
        platform.credentials["region"], SERVICE, _models().ListServiceInstancesRequest()
    ).body.instances[0]
    secret = (platform.folder / "run" / "engine.key").read_bytes()
    key = engine_key(secret, instance.instance_name)
    return client.with_options(
        base_url=f"http://{instance.inner_ip}:{instance.instance_port}/v1", api_key=key
    )


def _rounds(client: Any, direct: Any) -> Iterator[tuple[float, float]]:
    """(through the gateway, past it) in seconds; alternating, so that a noisy machine is noisy for both."""
    end = time.monotonic() + COMPARE_SECONDS
    for number in range(WARM_UP + ROUNDS):
        ours, theirs = (_timed(each, number) for each in (client, direct))
        if number >= WARM_UP:
            yield ours, theirs
        if number > WARM_UP and time.monotonic() > end:
            return


def _timed(client: Any, number: int) -> float:
    began = time.perf_counter()
    client.completions.create(
        model=SERVICE,
        prompt=f"{number}: one, two,",
        temperature=0,
        max_tokens=1,
        extra_body={"cache_prompt": False},  # else whoever asks second finds the work done
    )
    return time.perf_counter() - began


def _delete(eas: Any, platform: Started) -> None:
    began = time.monotonic()
    region = platform.credentials["region"]
    eas.delete_service(region, SERVICE)
    while time.monotonic() - began < 60:
        try:
            eas.describe_service(region, SERVICE)
        except Exception as error:  # the SDK's classes depend on its version; its code decides
            if getattr(error, "code", "") != "InvalidService.NotFound":
                raise DemoFailed(
                    f"The service could not be described while it was deleted: {error}"
                ) from error
            _line("delete", time.monotonic() - began, "DeleteService, until it was gone")
            return
        time.sleep(0.1)
    raise DemoFailed("The service was not gone within 60 s.")


def _say_kept(platform: Started, endpoint: Any) -> None:
    url, token = endpoint.endpoints[0].internet_endpoints[0], endpoint.access_token
    folder = platform.folder
    print(f"""
The platform runs on (process {platform.process.pid}). Try:
  .venv/bin/pierhead services list --data-dir {folder}
  .venv/bin/pierhead services scale {SERVICE} 2 --data-dir {folder}
  .venv/bin/pierhead events {SERVICE} --data-dir {folder}
  curl {url}/v1/chat/completions -H 'Authorization: Bearer {token}' \\
    -d '{{"model": "{SERVICE}", "max_tokens": 64, "messages": [{{"role": "user", "content": "Hello"}}]}}'
  kill {platform.process.pid}      # stops everything in good order""")


def _line(phase: str, seconds: float, note: str = "") -> None:
    print(f"{phase:<10}{seconds:7.2f} s   {note}".rstrip(), flush=True)


def _clear() -> None:
    if sys.stdout.isatty():
        print("\r\033[K", end="")


def _tail(folder: Path) -> str:
    return "\n".join((folder / "up.log").read_text(errors="replace").splitlines()[-15:])
