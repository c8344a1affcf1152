"""The embedded engine for real: one process with the demo weights, asked over HTTP as the gateway would."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from json import dumps, loads
from pathlib import Path
from typing import Any

import pytest

from demo_weights import Form, demo_model
from pierhead.core.diagnosis import crash
from pierhead.core.launch import Files, Placement
from pierhead.core.replicas import Exit
from pierhead.core.specs import BUILT_IN
from pierhead.engines.llama_cpp import LlamaCpp
from ports import free_port

SOURCE = Path(__file__).parent.parent.parent / "src"
PATIENCE = 60.0
KEY = "engine-key-for-tests"
TEMPLATE = replace(BUILT_IN["smollm2_135m_q4"], context=512, slots=2)
QUESTION = "What is the capital of France? Answer briefly."


@dataclass
class Replica:
    """A running engine."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def ask(
        self, method: str, path: str, body: object = None, key: str | None = KEY
    ) -> tuple[int, Any]:
        """Status and JSON of one request."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {key}"} if key else {}
        )
        try:
            connection.request(method, path, dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            return answer.status, loads(answer.read())
        finally:
            connection.close()

    def chat(self, **fields: Any) -> str:
        """The greedy answer to QUESTION."""
        body = {
            "model": "svc_one",
            "messages": [{"role": "user", "content": QUESTION}],
            "temperature": 0,
            "max_tokens": 24,
        }
        status, answer = self.ask("POST", "/v1/chat/completions", body | fields)
        assert status == 200, answer
        return str(answer["choices"][0]["message"]["content"])


def start(model: Path | str, port: int, log: Path, server: str = "") -> "subprocess.Popen[bytes]":
    """The engine's process, exactly as a runtime starts it: this argv, this environment."""
    # One thread: two wait for each other by spinning, beside other tests most of the time.
    placement = Placement("svc_one", "svc-one-a1", "127.0.0.1", port, KEY, threads=1)
    launch = LlamaCpp(sys.executable, server).launch(
        TEMPLATE, Files(str(Path(model).parent), str(model), 0), placement
    )
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ
    }
    with log.open("wb") as out:
        return subprocess.Popen(
            launch.argv,
            env={**kept, **launch.env, "PYTHONPATH": str(SOURCE)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def serving(model: Path, log: Path, server: str = "") -> Generator[Replica, None, None]:
    """A replica that answers; it is ended in any case."""
    port = free_port()
    process = start(model, port, log, server)
    replica = Replica(process, port, log)
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers(replica):
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.02)
        yield replica
    finally:
        process.kill()
        process.wait(PATIENCE)


def answers(replica: Replica) -> bool:
    try:
        return replica.ask("GET", "/health")[0] == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Generator[Replica, None, None]:
    with serving(demo_model(), tmp_path_factory.mktemp("llama") / "log") as found:
        yield found


@pytest.mark.parametrize("key", [None, "", "wrong", KEY + "x", KEY[:-1]])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/completion"])
def test_without_its_key_it_answers_nothing(replica: Replica, key: str | None, path: str) -> None:
    body = {"messages": [{"role": "user", "content": QUESTION}], "prompt": "x", "max_tokens": 1}
    status, answer = replica.ask("POST", path, body, key)
    assert status == 401
    assert "choices" not in answer


def test_its_greedy_answer_is_sensible_and_always_the_same(replica: Replica) -> None:
    first = replica.chat()
    assert "Paris" in first
    assert replica.chat() == first


def test_it_calls_itself_by_the_services_name(replica: Replica) -> None:
    _status, models = replica.ask("GET", "/v1/models")
    assert [model["id"] for model in models["data"]] == ["svc_one"]


def test_it_answers_to_any_name_so_the_gateway_must_check(replica: Replica) -> None:
    """The fact behind `Capabilities.checks_model_name`."""
    assert LlamaCpp("x").capabilities.checks_model_name is False
    assert "Paris" in replica.chat(model="no_such_model")


def test_the_probe_of_the_demo_specs_is_understood(replica: Replica) -> None:
    probe = TEMPLATE.readiness
    status, answer = replica.ask(
        "POST", probe.path, {"model": "svc_one", "prompt": "x", "max_tokens": 1}
    )
    assert (probe.kind, status) == ("completion", 200)
    assert answer["usage"]["completion_tokens"] == 1


def test_context_and_slots_are_those_of_the_template(replica: Replica) -> None:
    _status, slots = replica.ask("GET", "/slots")
    assert [slot["n_ctx"] for slot in slots] == [TEMPLATE.context] * TEMPLATE.slots


def test_nobody_who_lists_processes_sees_the_key(replica: Replica) -> None:
    argv = Path(f"/proc/{replica.process.pid}/cmdline").read_bytes()
    assert b"svc_one" in argv
    assert KEY.encode() not in argv
    assert KEY not in replica.log.read_text(errors="replace")


def test_it_listens_on_loopback_only(replica: Replica) -> None:
    lines = Path(f"/proc/{replica.process.pid}/net/tcp").read_text().splitlines()
    listening = [line.split()[1] for line in lines if line.split()[3] == "0A"]
    assert [address for address in listening if int(address.split(":")[1], 16) == replica.port] == [
        f"0100007F:{replica.port:04X}"
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_a_second_even_amid_an_answer(
    tmp_path: Path, number: signal.Signals
) -> None:
    with serving(demo_model(), tmp_path / "log") as replica:
        busy = HTTPConnection("127.0.0.1", replica.port, timeout=PATIENCE)
        body = dumps({"prompt": "Once upon a time", "n_predict": 400, "stream": True})
        try:
            busy.request("POST", "/completion", body, {"Authorization": f"Bearer {KEY}"})
            assert busy.getresponse().readline().startswith(b"data:")
            began = time.monotonic()
            replica.process.send_signal(number)
            assert replica.process.wait(PATIENCE) == -number
            assert time.monotonic() - began < 1.0
        finally:
            busy.close()


@pytest.mark.parametrize("form", ["q8_0", "f16"])
def test_a_converted_model_gives_the_same_answer(tmp_path: Path, form: Form) -> None:
    """About 4 s each, the conversion itself once per machine."""
    model = demo_model(form)
    assert model.stat().st_size > demo_model().stat().st_size
    with serving(model, tmp_path / "log") as replica:
        assert "Paris" in replica.chat()
        _status, models = replica.ask("GET", "/v1/models")
        assert models["data"][0]["meta"]["n_params"] == 134_515_008


def ends(model: Path | str, port: int, log: Path) -> tuple[Exit, tuple[str, ...]]:
    process = start(model, port, log)
    try:
        code = process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait(PATIENCE)
    end = Exit(at=0.0, code=code) if code >= 0 else Exit(at=0.0, signal=-code)
    return end, tuple(log.read_text(errors="replace").splitlines()[-50:])


def test_a_file_that_is_no_model_ends_it_with_a_cause_to_show(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"this is no GGUF file" * 100)
    end, lines = ends(broken, free_port(), tmp_path / "log")
    assert end.code != 0
    assert crash(end, lines).reason == "ModelFileBroken"


def test_a_cut_off_model_ends_it_with_a_cause_to_show(tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    with demo_model().open("rb") as whole:
        cut.write_bytes(whole.read(20_000_000))
    end, lines = ends(cut, free_port(), tmp_path / "log")
    assert end.code != 0
    assert crash(end, lines).reason == "ModelFileBroken"


def test_a_port_that_is_taken_ends_it_with_a_cause_to_show(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        end, lines = ends(demo_model(), int(taken.getsockname()[1]), tmp_path / "log")
    assert end.code != 0
    assert crash(end, lines).reason == "PortTaken"


# ---- a llama-server of the operator's own ----------------------------------------------------------

#: A double of the program: it takes llama-server's own arguments and runs the embedded engine.
LLAMA_SERVER = """#!{python}
import argparse, os, sys
parser = argparse.ArgumentParser(allow_abbrev=False)
for names in (["-m"], ["-a"], ["-c"], ["-np"], ["-t"], ["-ngl"], ["--cache-ram"], ["--host"], ["--port"]):
    parser.add_argument(*names, required=True)
for name in ("--metrics", "--slots", "--jinja"):
    parser.add_argument(name, action="store_true", required=True)
given = parser.parse_args()
os.execv(sys.executable, [
    sys.executable, "-m", "pierhead.engines.llama_cpp_server",
    "--model", given.m, "--alias", given.a, "--host", given.host, "--port", given.port,
    "--context", str(int(given.c) // int(given.np)), "--slots", given.np, "--threads", given.t,
    "--prompt-cache", given.cache_ram,
])
"""


def test_an_operators_llama_server_serves_the_same_model_in_the_same_way(tmp_path: Path) -> None:
    server = tmp_path / "llama-server"
    server.write_text(LLAMA_SERVER.format(python=sys.executable))
    server.chmod(0o755)
    with serving(demo_model(), tmp_path / "log", str(server)) as replica:
        assert "Paris" in replica.chat()
        _status, slots = replica.ask("GET", "/slots")
        assert [slot["n_ctx"] for slot in slots] == [TEMPLATE.context] * TEMPLATE.slots
        _status, models = replica.ask("GET", "/v1/models")
        assert [model["id"] for model in models["data"]] == ["svc_one"]
        assert replica.ask("GET", "/v1/models", key=None)[0] == 401
        argv = Path(f"/proc/{replica.process.pid}/cmdline").read_bytes()
        assert KEY.encode() not in argv
