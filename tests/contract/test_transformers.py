"""A real `transformers serve`, asked over HTTP as the gateway would. Only where one is named.

PIERHEAD_TEST_TRANSFORMERS=/path/to/venv/bin/transformers
PIERHEAD_TEST_SAFETENSORS=/path/to/folder    SmolLM2-135M-Instruct with config and tokenizer
"""

import json
import os
import subprocess
import time
from collections.abc import Generator
from http.client import HTTPConnection
from typing import Any

import pytest

from contract.test_llama_cpp import KEY, QUESTION, Replica, answers
from pierhead.core.launch import Files, Placement
from pierhead.core.templates import AUTO, Template
from pierhead.engines.transformers import MODEL, Transformers
from pierhead.gateway.naming import Restoring
from ports import free_port

PROGRAM = os.environ.get("PIERHEAD_TEST_TRANSFORMERS", "")
FOLDER = os.environ.get("PIERHEAD_TEST_SAFETENSORS", "")
PATIENCE = 120.0

pytestmark = pytest.mark.skipif(
    not (PROGRAM and FOLDER),
    reason="NO REAL transformers serve IS TESTED: PIERHEAD_TEST_TRANSFORMERS and "
    "PIERHEAD_TEST_SAFETENSORS name none",
)


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Generator[Replica]:
    """The engine's process, exactly as a runtime starts it: this argv, this environment, this folder."""
    log, port = tmp_path_factory.mktemp("transformers") / "log", free_port()
    launch = Transformers(PROGRAM).launch(
        Template(name="smollm2", engine=AUTO),
        Files(FOLDER, FOLDER, 0, "safetensors"),
        Placement("svc_one", "svc-one-a1", "127.0.0.1", port, KEY, threads=2),
    )
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with log.open("wb") as out:
        process = subprocess.Popen(
            launch.argv,
            env={**kept, **launch.env},
            cwd=launch.cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    found = Replica(process, port, log)
    try:
        give_up = time.monotonic() + PATIENCE
        while not answers(found):
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < give_up, log.read_text(errors="replace")
            time.sleep(0.1)
        yield found
    finally:
        process.kill()
        process.wait(30)


def asks(**more: Any) -> dict[str, Any]:
    chat = [{"role": "user", "content": QUESTION}]
    return {"model": MODEL, "messages": chat, "temperature": 0, "max_tokens": 24, **more}


def test_it_answers_sensibly_by_its_own_name_and_tells_no_path(replica: Replica) -> None:
    status, said = replica.ask("POST", "/v1/chat/completions", asks(), key=None)
    assert status == 200, said
    assert "Paris" in said["choices"][0]["message"]["content"]
    assert said["usage"]["prompt_tokens"] > 0
    assert said["model"] == MODEL
    assert FOLDER not in json.dumps(said)


def test_the_probe_is_understood(replica: Replica) -> None:
    body = {"model": MODEL, "prompt": "Hi", "max_tokens": 1}
    status, said = replica.ask("POST", "/v1/completions", body, key=None)
    assert (status, said["model"]) == (200, MODEL)
    assert len(said["choices"]) == 1


@pytest.mark.parametrize("name", ["svc_one", FOLDER, f"{FOLDER}@main"])
def test_it_knows_no_other_name_so_the_gateway_must_rewrite(replica: Replica, name: str) -> None:
    body = {"model": name, "prompt": "Hi", "max_tokens": 1}
    status, said = replica.ask("POST", "/v1/completions", body, key=None)
    assert status == 400
    assert MODEL in json.dumps(said)


def test_a_streams_names_are_where_the_gateway_looks_for_them(replica: Replica) -> None:
    connection = HTTPConnection("127.0.0.1", replica.port, timeout=PATIENCE)
    try:
        body = json.dumps(asks(stream=True))
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        assert (answer.getheader("Content-Type") or "").startswith("text/event-stream")
        data = answer.read()
    finally:
        connection.close()
    names = Restoring(MODEL, "svc_one")
    restored = names.passed(data, last=True)
    assert data.count(MODEL.encode()) > 3
    assert MODEL.encode() not in restored
    assert restored.count(b'"model":"svc_one"') == data.count(MODEL.encode())
