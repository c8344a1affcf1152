"""What a registered template executes: argv where no shell is needed, a script where one is."""

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.registry import RegisteredTemplate
from pierhead.operations.commands import command, flags, split


def a_registered(**fields: Any) -> RegisteredTemplate:
    defaults: dict[str, Any] = {
        "uuid": "1" * 32,
        "name": "chat",
        "yaml": "",
        "request_cpu": 1,
        "request_memory": 1,
        "center": "2" * 32,
        "install_path": "",
        "start_command": "",
        "owner": "",
        "created": 0.0,
        "updated": 0.0,
    }
    return RegisteredTemplate(**defaults | fields)


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("python3 server.py --port {port}", ("python3", "server.py", "--port", "{port}")),
        ("  serve 'a b' \"c d\" e\\ f ", ("serve", "a b", "c d", "e f")),
        ("python -c 'import os; print(os.environ[\"PORT\"]) | $(x)'", None),
        ("echo 'a;b|c&d<e>f(g)$h`i*j?k~l'", ("echo", "a;b|c&d<e>f(g)$h`i*j?k~l")),
        ('echo "a;b|c&d<e>f(g)*?~"', ("echo", "a;b|c&d<e>f(g)*?~")),
        ("echo \\$HOME \\*", ("echo", "$HOME", "*")),
        ("echo a=b x#y {x} [y]", ("echo", "a=b", "x#y", "{x}", "[y]")),
    ],
)
def test_a_plain_command_line_is_run_without_a_shell(
    text: str, argv: tuple[str, ...] | None
) -> None:
    """Law: a plain command line never meets a shell (F34)."""
    assert split(text) == (argv or tuple(shlex.split(text)), "")


@pytest.mark.parametrize(
    "text",
    [
        "a | b",
        "a && b",
        "a; b",
        "a < b",
        "a > b",
        "(a)",
        "a $HOME",
        'a "$HOME"',
        "a `b`",
        'a "`b`"',
        "a *.py",
        "a b?",
        "a ~/x",
        "a\nb",
        "a # remark",
        "cd /srv",
        "exec a",
        "A=1 b",
        "a 'unclosed",
    ],
)
def test_what_only_a_shell_understands_goes_to_one_word_for_word(text: str) -> None:
    assert split(text) == ((), text)


@given(
    st.lists(st.text(st.characters(exclude_characters="\0"), max_size=8), min_size=1, max_size=5)
)
def test_a_quoted_list_of_words_is_always_itself(words: list[str]) -> None:
    line = shlex.join(["program", *words])
    assert split(line) == (("program", *words), "")


def test_flags_take_their_key_as_it_is_or_with_two_dashes() -> None:
    given = {"max-model-len": "4096", "-q": "", "--dtype": "a b", "quiet": ""}
    assert flags(given) == ("--max-model-len", "4096", "-q", "--dtype", "a b", "--quiet")


@pytest.mark.parametrize(
    ("fields", "argv", "script"),
    [
        ({"start_command": "run me", "container_command": "not me"}, ("run", "me"), ""),
        ({"container_command": "python -m app"}, ("python", "-m", "app"), ""),
        ({"container_command": "python", "container_args": "-m app"}, ("python", "-m", "app"), ""),
        (
            {"container_command": "sh", "container_args": '["-c", "echo $PORT; wait", 3]'},
            ("sh", "-c", "echo $PORT; wait", "3"),
            "",
        ),
        ({"container_command": '["a b", "c"]'}, ("a b", "c"), ""),
        ({"container_args": "serve"}, ("serve",), ""),
        ({"container_command": "a", "container_args": "b | c"}, (), "a b | c"),
        ({"container_command": "a | b", "container_args": '["c d"]'}, (), "a | b 'c d'"),
        ({"container_command": "a", "container_args": "[x"}, ("a", "[x"), ""),
        ({"framework": "Diffusers"}, (), ""),
        ({"start_command": "  "}, (), ""),
    ],
)
def test_which_command_is_run(fields: dict[str, Any], argv: tuple[str, ...], script: str) -> None:
    found = command(a_registered(**fields), "svc")
    assert (found.engine, found.argv, found.script) == ("custom", argv, script)


@pytest.mark.parametrize(
    ("fields", "program"),
    [
        ({"framework": "vLLM"}, "vllm"),
        ({"framework": "Transformers"}, "transformers"),
        ({"framework": "sentence_transformers"}, "infinity_emb"),
        ({"framework": "Ollama"}, "env"),
        ({"framework": "BentoML"}, "bentoml"),
        ({"source": "Bentoml"}, "bentoml"),
        ({"source": "HuggingFace"}, "transformers"),
        ({"framework": "vLLM", "source": "HuggingFace"}, "vllm"),
    ],
)
def test_without_a_command_the_framework_or_the_source_brings_one(
    fields: dict[str, Any], program: str
) -> None:
    found = command(a_registered(**fields), "my_service")
    assert found.argv[0] == program
    line = " ".join(found.argv)
    assert "{host}" in line
    assert "{port}" in line
    assert "{service}" not in line


def test_vllm_serves_the_model_under_the_services_name() -> None:
    found = command(a_registered(framework="vLLM"), "my_service")
    assert found.argv[:3] == ("vllm", "serve", "{model_dir}")
    assert found.argv[-2:] == ("--served-model-name", "my_service")
    assert found.readiness.path == "/health"


def test_llama_cpp_is_the_embedded_engine() -> None:
    found = command(a_registered(framework="llama.cpp"), "svc")
    assert (found.engine, found.argv) == ("llama_cpp", ())
    assert found.readiness.kind == "completion"


def test_a_program_of_ones_own_need_not_know_its_frameworks_health_page() -> None:
    found = command(a_registered(framework="vLLM", start_command="python app.py"), "svc")
    assert (found.readiness.kind, found.readiness.path) == ("auto", "/health")
