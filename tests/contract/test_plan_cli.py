"""`pierhead plan`: fits or not, with both numbers, before anything exists or is fetched."""

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from registry_world import World

from commands import pierhead
from pierhead.core.registry import RegisteredTemplate
from pierhead.core.resources import GIB
from pierhead.store.db import sqlite_url
from tiny_gguf import write_tiny_chatglm_v1, write_tiny_gguf


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.out)


def plan(data_dir: Path, document: object, *flags: str) -> Said:
    text = document if isinstance(document, str) else json.dumps(document)
    kept = ("PATH", "HOME", "PYTHONPATH", "LANG")
    environment: Mapping[str, str] = {key: os.environ[key] for key in kept if key in os.environ}
    done = pierhead("plan", "-", "--data-dir", str(data_dir), *flags, given=text, env=environment)
    return Said(done.returncode, done.stdout, done.stderr)


def app(spec: str, **more: Any) -> dict[str, Any]:
    return {"ServiceName": "chat", "AppType": "LLM", "ServiceSpec": spec, "Replicas": 2, **more}


def operators(data_dir: Path, spec: str, made_of: str) -> Path:
    """The operator's own weights of a spec."""
    folder = data_dir / "models" / spec
    folder.mkdir(parents=True)
    write_tiny_gguf(folder / "model.gguf", made_of)
    return folder


def test_a_demo_service_fits_and_nothing_is_made(tmp_path: Path) -> None:
    data = tmp_path / "data"
    said = plan(data, app("smollm2_135m_q4"), "--json")
    assert (said.code, said.err) == (0, "")
    found = said.document
    assert (found["fits"], found["reason"]) == (True, "")
    sizes = found["bytes"]
    assert sizes["total"] == sum(
        sizes[part] for part in ("weights", "kvCache", "compute", "overhead")
    )
    assert found["memoryLimit"] == GIB
    assert found["replicasThatFitNow"] >= 1
    assert not data.exists(), "asking makes nothing"


def test_what_cannot_fit_is_said_with_both_numbers_and_exit_code_1(tmp_path: Path) -> None:
    document = {
        "metadata": {"name": "chat", "instance": 1, "cpu": 2, "memory": 200},
        "containers": [{"image": "pierhead/smollm2_135m_fp16"}],
    }
    said = plan(tmp_path, document, "--json")
    assert said.code == 1
    found = said.document
    assert (found["fits"], found["reason"]) == (False, "ModelDoesNotFit")
    assert "its memory limit is 200.0 MiB" in found["message"]
    assert found["bytes"]["total"] > 200 * 1024**2


def test_a_model_larger_than_this_machine(tmp_path: Path) -> None:
    needed = 24 * GIB  # of weights alone
    said = plan(tmp_path, app("llama_13b_fp16"))
    small = psutil.virtual_memory().total < needed
    assert said.code == int(small)
    assert ("ModelDoesNotFit: One replica needs about" in said.out) == small
    assert "24.2 GiB" in said.out


def test_mounted_weights_of_another_family_are_a_mismatch(tmp_path: Path) -> None:
    operators(tmp_path, "llama_7b_fp16", "baichuan_7b_fp16")
    said = plan(tmp_path, app("llama_7b_fp16"))
    assert said.code == 1
    assert "WeightsMismatch: The spec serves the family [llama_7b]" in said.out
    assert "baichuan, 32 layers" in said.out


def test_the_operators_own_weights_are_what_counts(tmp_path: Path) -> None:
    operators(tmp_path, "llama_7b_fp16", "llama_7b_fp16")
    found = plan(tmp_path, app("llama_7b_fp16"), "--json").document
    assert found["fits"]
    assert found["bytes"]["weights"] < 1024**2


def test_the_engine_and_why_are_told(tmp_path: Path) -> None:
    operators(tmp_path, "llama_7b_fp16", "llama_7b_fp16")
    found = plan(tmp_path, app("llama_7b_fp16"), "--json").document
    assert found["engine"] == "llama_cpp"
    assert "it serves gguf weights of the architecture [llama]" in found["why"]
    assert found["precision"] == {"wanted": "fp16", "found": "fp16"}
    assert found["conversion"] == ""


def test_a_conversion_is_told_with_both_precisions(tmp_path: Path) -> None:
    operators(tmp_path, "llama_7b_int8", "llama_7b_fp16")
    said = plan(tmp_path, app("llama_7b_int8"))
    assert said.code == 0
    assert "int8 wanted, the weights are fp16" in said.out
    assert "to q8_0, once, on this machine" in said.out
    small = plan(tmp_path, app("llama_7b_int8"), "--json").document["bytes"]["weights"]
    operators(tmp_path, "llama_7b_fp16", "llama_7b_fp16")
    large = plan(tmp_path, app("llama_7b_fp16"), "--json").document["bytes"]["weights"]
    assert small < 0.6 * large, "what the replica will load"


def test_the_first_chatglm_is_refused_with_what_would_work(tmp_path: Path) -> None:
    write_tiny_chatglm_v1(tmp_path / "models" / "chatglm_6b_int8")
    said = plan(tmp_path, app("chatglm_6b_int8"))
    assert said.code == 1
    assert (
        "ArchitectureNotSupported: No engine here serves the architecture [chatglm-v1]" in said.out
    )
    assert "chatglm2_6b_fp16" in said.out
    document = plan(tmp_path, app("chatglm_6b_int8"), "--json").document
    assert (document["fits"], document["engine"]) == (False, "")


def test_pickled_weights_are_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "llama_7b_fp16"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama", "num_hidden_layers": 2}')
    (folder / "pytorch_model.bin").write_bytes(b"x" * 100)
    said = plan(tmp_path, app("llama_7b_fp16"))
    assert said.code == 1
    assert "FormatNotSupported" in said.out
    assert "convert them to safetensors" in said.out


def test_without_the_weights_it_says_whose_figures_these_are(tmp_path: Path) -> None:
    said = plan(tmp_path, app("llama_7b_int8"))
    assert "int8 wanted, the weights are not seen yet" in said.out
    assert "so these are the figures of the family [llama_7b]" in said.out
    operators(tmp_path, "llama_7b_int8", "llama_7b_int8")
    said = plan(tmp_path, app("llama_7b_int8"))
    assert "figures of the family" not in said.out
    assert not plan(tmp_path, app("llama_7b_int8"), "--json").document["guessed"]


@pytest.mark.parametrize("metadata", [{"gpu": 99}, {"memory": 999_999_999}])
def test_what_no_machine_has_is_said_with_exit_code_1(
    tmp_path: Path, metadata: dict[str, int]
) -> None:
    """Law: what would be held as a service is held here."""
    document = {
        "metadata": {"name": "chat", "instance": 1, "cpu": 1, "memory": 100, **metadata},
        "containers": [{"script": "python -m http.server"}],
    }
    said = plan(tmp_path, document)
    assert said.code == 1
    reason = "Unschedulable" if "gpu" in metadata else "InsufficientResources"
    assert f"{reason}: No node" in said.out
    assert "wanted, " in said.out


# ---- registered templates ------------------------------------------------------------------------


def registered(data_dir: Path) -> RegisteredTemplate:
    """A template of the operator's own, in the database of a data folder."""
    world = World(sqlite_url(data_dir / "pierhead.db"), data_dir)

    async def register() -> RegisteredTemplate:
        await world.begin()
        return await world.template(name="my_llama", framework="llama.cpp", start_command="")

    try:
        return asyncio.run(register())
    finally:
        world.db.close()


@pytest.mark.parametrize("by", ["name", "uuid"])
def test_a_registered_template_is_found_by_name_and_by_uuid(tmp_path: Path, by: str) -> None:
    template = registered(tmp_path)
    before = (tmp_path / "pierhead.db").read_bytes()
    found = plan(tmp_path, app(getattr(template, by)), "--json").document
    assert (found["template"], found["engine"]) == ("my_llama", "llama_cpp")
    assert found["why"] == "The engine is llama_cpp: the template names it."
    document = {
        "metadata": {"name": "chat", "instance": 1},
        "containers": [{"image": f"pierhead/{getattr(template, by)}"}],
    }
    assert plan(tmp_path, document, "--json").document["template"] == "my_llama"
    said = plan(tmp_path, app("not_registered"))
    assert "not_registered" in said.err
    assert (tmp_path / "pierhead.db").read_bytes() == before, "nothing was written"


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    folder = operators(tmp_path, "llama_7b_fp16", "llama_7b_fp16")
    (folder / "model.gguf").write_bytes(b"GGUF" + b"\xff" * 100)
    said = plan(tmp_path, app("llama_7b_fp16"))
    assert said.code == 1
    assert "ModelFileBroken: The header of model.gguf cannot be true" in said.out


def test_a_command_of_ones_own_is_not_judged(tmp_path: Path) -> None:
    document = {
        "metadata": {"name": "chat", "instance": 1},
        "containers": [{"script": "python -m http.server"}],
    }
    said = plan(tmp_path, document, "--json")
    assert (said.code, said.document["fits"]) == (0, None)


@pytest.mark.parametrize(
    ("document", "code", "problem"),
    [
        ("{nonsense", 2, "body"),
        ("[" * 100_000, 2, "body"),
        ([], 2, "JSON object"),
        ({}, 1, "required"),
        (app("no_such_spec"), 1, "no_such_spec"),
        (app("llama_7b_fp16", Config={"ModelStorage": "oss"}), 1, "OssPath"),
        ({"ServiceSpec": 3}, 2, "ServiceSpec"),
        ({"ServiceSpec": "llama_7b_fp16", "Replicas": "many"}, 2, "Replicas"),
        ({"ServiceSpec": "llama_7b_fp16", "Config": []}, 2, "Config"),
    ],
)
def test_what_is_no_service_is_one_sentence(
    tmp_path: Path, document: object, code: int, problem: str
) -> None:
    said = plan(tmp_path, document)
    assert (said.code, said.out) == (code, "")
    assert problem in said.err
    assert "Traceback" not in said.err
