"""The vendor's nine specs, end to end: seven serve a miniature of their architecture, two say why they cannot.

The weights are noise, so an answer is judged by its usage alone; that real ones answer sensibly in
each precision is seen in tests/contract/test_llama_cpp.py.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import PythonSdk
from documents import app
from lifecycle import Service
from running_platform import PIERHEAD, Platform, running

from pierhead.core.specs import BUILT_IN
from tiny_gguf import write_tiny_chatglm_v1, write_tiny_gguf

REFUSED = ("chatglm_6b_fp16", "chatglm_6b_int8")
SERVED = tuple(name for name, spec in BUILT_IN.items() if not spec.source and name not in REFUSED)
#: Specs whose weights have another precision, and must be converted: spec -> what is mounted.
CONVERTED = {"llama_7b_int8": "llama_7b_fp16", "baichuan_13b_fp16": "baichuan_13b_int8"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform whose operator has weights of every spec."""
    folder, weights = tmp_path_factory.mktemp("specs"), tmp_path_factory.mktemp("weights")
    for name in SERVED:
        write_tiny_gguf(weights / f"{name}.gguf", CONVERTED.get(name, name))
    for name in REFUSED:
        write_tiny_chatglm_v1(weights / name)
    named = [f"{name}={weights}/{name}.gguf" for name in SERVED]
    named += [f"{name}={weights}/{name}" for name in REFUSED]
    environment = {"PIERHEAD_WEIGHTS": ",".join(named), "PIERHEAD_CACHE_DIR": str(folder / "cache")}
    with running(folder, **environment) as platform:
        yield platform


@pytest.fixture(scope="module")
def services(eas: PythonSdk) -> dict[str, Service]:
    """A service of each of the nine: they come up side by side."""
    made = {name: Service(eas, f"svc_{name}") for name in (*SERVED, *REFUSED)}
    for name, service in made.items():
        eas("CreateAppService", body=app(service.name, name))
    return made


def test_there_are_nine() -> None:
    assert len(SERVED) + len(REFUSED) == 9


@pytest.mark.parametrize("spec", SERVED)
def test_a_spec_serves_its_architecture(services: dict[str, Service], spec: str) -> None:
    service = services[spec]
    service.until("Running")
    with service.openai() as client:
        answer = client.completions.create(model=service.name, prompt="Once", max_tokens=8)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.completion_tokens > 0
    events = {event["Reason"]: event for event in service.events()}
    assert "The engine is llama_cpp: it serves gguf weights" in events["EngineChosen"]["Message"]
    assert events["EngineChosen"]["Type"] == "Normal"
    assert ("WeightsConverted" in events) == (spec in CONVERTED)


@pytest.mark.parametrize("spec", CONVERTED)
def test_a_conversion_says_what_became_of_the_weights(
    services: dict[str, Service], spec: str
) -> None:
    service = services[spec]
    service.until("Running")
    told = {event["Reason"]: event["Message"] for event in service.events()}["WeightsConverted"]
    found, wanted = CONVERTED[spec].rpartition("_")[2], spec.rpartition("_")[2]
    assert f"converted from {found} to {wanted}" in told


@pytest.mark.parametrize("spec", REFUSED)
def test_the_first_chatglm_is_refused_in_one_sentence(
    services: dict[str, Service], platform: Platform, tmp_path: Path, spec: str
) -> None:
    shown = services[spec].until("Failed")
    assert shown["Reason"] == "ArchitectureNotSupported"
    assert all(
        f"{engine} (" in shown["Message"] for engine in ("llama_cpp", "transformers", "vllm")
    )
    assert "mount ChatGLM2-6B and use the spec chatglm2_6b_fp16" in shown["Message"]
    assert services[spec].instances() == []
    weights = platform.folder / "models" / spec  # where a plan by hand finds them
    write_tiny_chatglm_v1(weights)
    document = tmp_path / "service.json"
    document.write_text(json.dumps(app("planned", spec)))
    planned = subprocess.run(
        (*PIERHEAD, "plan", str(document), "--data-dir", str(platform.folder)),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert planned.returncode == 1
    assert shown["Message"] in planned.stdout
