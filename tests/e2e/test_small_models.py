"""What the demo model cannot do, by models made for it, and two programs that measure whole endpoints.

The models are real files for the real engine: one with random weights that gives vectors, and two that
say the same words to everything. All lie in a bucket.
"""

import base64
import http.server
import json
import os
import struct
import subprocess
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
from clients import NODE, PythonSdk
from documents import app
from lifecycle import Service
from running_platform import Platform, running, until
from storage_stage import BUCKET, KEY, SECRET, bucket_words, connected
from test_endpoint_tokens import client as account

from oss_double import OssDouble
from parrot_gguf import write_parrot
from tiny_gguf import write_tiny_gguf

SPEC, WIDTH = "llama_7b_fp16", 64  #: what it is taken for; numbers in a vector of the miniature
TOOL = "compatcanary_echo"  #: the name that the scanner gives its tool
ARGUMENTS = '{"value": "CANARY_OK"}'
#: A call of that tool as models write it, in the parrot's own tokens.
CALL = ["<tool_call>\n", '{"name": "', TOOL, '", "arguments": ', ARGUMENTS, "}\n", "</tool_call>"]
#: What can be measured while it comes: more than a client reads at a time (256 KiB), in long tokens.
SPEECH = [f"{number:4}" + " blah" * 1000 for number in range(64)]
ROOT = Path(__file__).parent.parent.parent
BENCHY = ROOT / ".cache" / "benchy" / "bin" / "llama-benchy"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with a cache of its own: what is fetched here must not stay on the machine."""
    folder = tmp_path_factory.mktemp("platform")
    with running(folder, PIERHEAD_CACHE_DIR=str(folder / "cache")) as platform:
        yield platform


@pytest.fixture(scope="module")
def bucket(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The models in a bucket that the platform may read."""
    root = tmp_path_factory.mktemp("oss")
    for name in ("vectors", "parrot", "speaker"):
        (root / BUCKET / name).mkdir(parents=True)
    write_tiny_gguf(root / BUCKET / "vectors" / "model.gguf", SPEC, embeds=True)
    write_parrot(root / BUCKET / "parrot" / "model.gguf", CALL)
    write_parrot(root / BUCKET / "speaker" / "model.gguf", SPEECH)
    with (
        OssDouble(root, "--ak", KEY, "--sk", SECRET) as double,
        connected(platform, "oss", "models", *bucket_words(double, root)),
    ):
        yield


def deployed(eas: PythonSdk, name: str) -> Service:
    mount = {"ModelStorage": "oss", "OssPath": f"oss://{BUCKET}/{name}/"}
    eas("CreateAppService", body=app(name, SPEC, Config=mount))
    service = Service(eas, name)
    service.until("Running")
    return service


@pytest.fixture(scope="module")
def vectors(eas: PythonSdk, bucket: None) -> Service:
    """An embedding model."""
    return deployed(eas, "vectors")


@pytest.fixture(scope="module")
def parrot(eas: PythonSdk, bucket: None) -> Service:
    """A model that always calls the scanner's tool."""
    return deployed(eas, "parrot")


@pytest.fixture(scope="module")
def speaker(eas: PythonSdk, bucket: None) -> Service:
    """A model whose answers are long."""
    return deployed(eas, "speaker")


# ---- embeddings ------------------------------------------------------------------------------


@pytest.fixture(params=["shared", "own"])
def embedder(
    request: pytest.FixtureRequest, platform: Platform, vectors: Service
) -> Iterator[openai.OpenAI]:
    with vectors.openai() as client:
        shared = client.with_options(base_url=f"{platform.gateway}/v1")
        yield client if request.param == "own" else shared


def test_embeddings_as_numbers_and_as_base64(embedder: openai.OpenAI) -> None:
    texts = ["one", "two words", "one"]
    # The client itself asks for base64 unless a format is named.
    numbers = embedder.embeddings.create(model="vectors", input=texts, encoding_format="float")
    packed = embedder.embeddings.create(model="vectors", input=texts)
    for answer in (numbers, packed):
        assert (answer.object, answer.model) == ("list", "vectors")
        assert [each.index for each in answer.data] == [0, 1, 2]
        assert {len(each.embedding) for each in answer.data} == {WIDTH}
        assert answer.usage.prompt_tokens == answer.usage.total_tokens == len("".join(texts))
    for one, other in zip(numbers.data, packed.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-5)
    first, second, again = (each.embedding for each in numbers.data)
    assert first == pytest.approx(again, abs=1e-5)
    assert first != pytest.approx(second, abs=1e-2)


def test_embeddings_travel_as_base64_where_that_is_asked_for(embedder: openai.OpenAI) -> None:
    raw = embedder.embeddings.with_raw_response.create(
        model="vectors", input="x", encoding_format="base64"
    )
    text = json.loads(raw.text)["data"][0]["embedding"]
    assert len(struct.unpack(f"<{WIDTH}f", base64.b64decode(text))) == WIDTH


def test_long_texts_are_embedded_and_what_is_too_long_is_told(embedder: openai.OpenAI) -> None:
    answer = embedder.embeddings.create(model="vectors", input="word " * 100)
    assert answer.usage.prompt_tokens == 500
    with pytest.raises(openai.APIStatusError) as long:
        embedder.embeddings.create(model="vectors", input="word " * 3000)
    assert "15000" in long.value.message
    assert embedder.embeddings.create(model="vectors", input="again").data


def test_embeddings_are_counted(platform: Platform, embedder: openai.OpenAI) -> None:
    name = f"count-{len(str(embedder.base_url))}"
    counted = embedder.with_options(api_key=new_token(platform, "vectors", name))
    for text in ("four", ["five5", "six666"]):
        counted.embeddings.create(model="vectors", input=text)
    told = {"PromptTokens": 15, "CompletionTokens": 0, "Requests": 2, "EstimatedRequests": 0}
    until(lambda: usage(platform, "vectors", name) == told, 10, f"{told} are on the account")


def new_token(platform: Platform, service: str, name: str) -> str:
    """A further token of a service, whose use is counted by itself; it opens by now."""
    root = account(platform, platform.credentials)
    made = root.own("AddServiceToken", ServiceName=service, TokenName=name)["Token"]["AccessToken"]

    def opens() -> bool:
        headers = {"Authorization": f"Bearer {made}"}
        return requests.get(f"{platform.gateway}/v1/models", headers=headers, timeout=10).ok

    until(opens, 5, "the new token opens")
    return made


def usage(platform: Platform, service: str, token: str) -> dict[str, int]:
    """What the account says of a token, month and names left out."""
    root = account(platform, platform.credentials)
    usages: list[Any] = root.own("GetServiceUsage", ServiceName=service)["Usages"]["Usage"]
    found: dict[str, Any] = next((one for one in usages if one["TokenName"] == token), {})
    return {name: value for name, value in found.items() if isinstance(value, int)}


# ---- tools -----------------------------------------------------------------------------------


def test_a_tool_is_called_whole_and_streamed(parrot: Service) -> None:
    function = {
        "name": TOOL,
        "parameters": {"type": "object", "properties": {"value": {"type": "string"}}},
    }
    asked: Any = {
        "model": "parrot",
        "messages": [{"role": "user", "content": "Call it."}],
        "tools": [{"type": "function", "function": function}],
    }
    with parrot.openai() as client:
        answer = client.chat.completions.create(**asked).choices[0]
        assert answer.finish_reason == "tool_calls"
        ((call),) = answer.message.tool_calls or []
        assert call.type == "function"
        assert (call.function.name, json.loads(call.function.arguments)) == (
            TOOL,
            json.loads(ARGUMENTS),
        )
        with client.chat.completions.stream(**asked) as stream:
            final = stream.get_final_completion().choices[0].message
        ((streamed),) = final.tool_calls or []
        assert streamed.function.name == TOOL
        assert json.loads(streamed.function.arguments) == json.loads(ARGUMENTS)


# ---- programs that look at a whole endpoint --------------------------------------------------


@pytest.mark.parametrize("address", ["shared", "own"])
def test_compatcanary_finds_nothing_amiss(
    platform: Platform, parrot: Service, address: str
) -> None:
    """npm `compatcanary`: models, chat, streams, tools, strict JSON, responses and their streams."""
    program = NODE / "node_modules" / "compatcanary" / "src" / "cli.js"
    assert program.is_file(), f"compatcanary is not installed: run `npm ci` in {NODE}"
    own = f"{platform.gateway}/api/predict/parrot/v1"
    base = own if address == "own" else f"{platform.gateway}/v1"
    done = subprocess.run(
        (
            *("node", str(program), "scan", "--base-url", base, "--model", "parrot"),
            *("--format", "json", "--fail-on", "any", "--timeout", "60"),
        ),
        env={**os.environ, "OPENAI_API_KEY": parrot.describe()["AccessToken"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert (report["compatible"], report["score"]) == (True, 100), done.stdout


@contextmanager
def book() -> Generator[str]:
    """A text on a web server, and its address."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = b"It was the best of times, it was the worst of times. " * 400
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/book.txt"
        finally:
            server.shutdown()
            thread.join()


def write_byte_tokenizer(path: Path) -> None:
    """A tokenizer of which every byte is a token, as the parrot's is."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    letters = [chr(byte if byte in plain else next(spare)) for byte in range(256)]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    document = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {**level, "use_regex": False},
        "decoder": {**level, "use_regex": False},
        "model": {"type": "BPE", "vocab": {x: i for i, x in enumerate(letters)}, "merges": []},
    }
    path.write_text(json.dumps(document))


def test_llama_benchy_measures_through_the_gateway(
    platform: Platform, speaker: Service, tmp_path: Path
) -> None:
    """PyPI `llama-benchy`: prompts and streams of set lengths, one and four at a time."""
    assert BENCHY.is_file(), "llama-benchy is not installed: run `make test-deps`"
    write_byte_tokenizer(tmp_path / "tokenizer.json")
    token = new_token(platform, "speaker", "benchy")
    with book() as url:
        done = subprocess.run(
            (
                *(str(BENCHY), "--base-url", f"{platform.gateway}/v1", "--model", "speaker"),
                *("--api-key", token, "--book-url", url),
                *("--tokenizer", str(tmp_path / "tokenizer.json"), "--skip-coherence"),
                *("--pp", "256", "--tg", str(len(SPEECH)), "--runs", "2"),
                *("--concurrency", "1", "4"),
                *("--no-cache", "--exit-on-first-fail", "--format", "json"),
                *("--save-result", str(tmp_path / "result.json"), "--emit-progress", "-"),
            ),
            env={**os.environ, "HOME": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    ended = [line for line in lines if line.get("event", line.get("type")) == "request_end"]
    assert len(ended) == 2 * (1 + 4), done.stdout
    said = (len(SPEECH), "")
    assert [(one["total_tokens"], one["error"]) for one in ended] == [said] * len(ended)
    assert all(abs(one["prompt_tokens"] - 256) < 64 for one in ended)
    result = json.loads((tmp_path / "result.json").read_text())
    assert [one["concurrency"] for one in result["benchmarks"]] == [1, 4]
    assert all(one["tg_throughput"]["mean"] > 0 for one in result["benchmarks"])

    def counted() -> bool:
        now = usage(platform, "speaker", "benchy")
        if now.get("Requests", 0) < len(ended):
            return False
        # Beside the streams that it reports it warms up, with one token at a time or with all.
        wrote = now["CompletionTokens"] - sum(one["total_tokens"] for one in ended)
        assert 0 <= wrote <= len(SPEECH) * (now["Requests"] - len(ended))
        return now["EstimatedRequests"] == 0

    until(counted, 10, "what it was told is on the account")
