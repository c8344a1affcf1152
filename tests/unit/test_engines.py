"""Engines decide without acting: the same question gives the same command line, and secrets stay out of it."""

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import a_template
from pierhead.core.launch import Files, Placement, no_files
from pierhead.core.resources import Resources
from pierhead.core.specs import BUILT_IN
from pierhead.core.templates import Environment, Link, Probe
from pierhead.engines import registry
from pierhead.engines.custom import Custom
from pierhead.engines.llama_cpp import LlamaCpp

FILES = Files(folder="/models/x", model="/models/x/model.gguf", bytes=7)
PLACE = Placement(
    service="svc_one",
    replica="svc-one-a1",
    host="127.0.0.1",
    port=40123,
    key="S3cretKey",
    threads=2,
)
LLAMA = BUILT_IN["smollm2_135m_q4"]
NASTY = "a b'\"; $(touch /tmp/pwned) `id` && * \\ \n ünï|>x"


def option(argv: tuple[str, ...], name: str) -> str:
    return argv[argv.index(name) + 1]


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_built_in_spec_has_an_engine_that_launches_it(name: str) -> None:
    template = BUILT_IN[name]
    engine = registry("/usr/bin/python3")[template.engine]
    launch = engine.launch(template, FILES, PLACE)
    assert launch == engine.launch(template, FILES, PLACE), (
        "pure: the same question, the same answer"
    )
    assert launch.readiness is template.readiness
    assert (launch.api, launch.keyed) == (engine.capabilities.api, engine.capabilities.keyed)


def test_llama_cpp_gets_model_name_address_and_limits_as_arguments() -> None:
    argv = LlamaCpp("/opt/py").launch(replace(LLAMA, context=512, slots=3), FILES, PLACE).argv
    assert argv[:3] == ("/opt/py", "-m", "pierhead.engines.llama_cpp_server")
    assert option(argv, "--model") == FILES.model
    assert option(argv, "--alias") == "svc_one"
    assert (option(argv, "--host"), option(argv, "--port")) == ("127.0.0.1", "40123")
    assert (option(argv, "--context"), option(argv, "--slots")) == ("512", "3")
    assert option(argv, "--threads") == "2"


def test_llama_cpps_key_goes_by_the_environment_never_by_the_command_line() -> None:
    launch = LlamaCpp(sys.executable).launch(LLAMA, FILES, PLACE)
    assert not any(PLACE.key in argument for argument in launch.argv)
    assert launch.env["LLAMA_API_KEY"] == PLACE.key


def test_a_template_cannot_choose_the_engines_key() -> None:
    template = replace(LLAMA, env={"LLAMA_API_KEY": "mine", "COLOUR": "red"})
    env = LlamaCpp(sys.executable).launch(template, FILES, PLACE).env
    assert (env["LLAMA_API_KEY"], env["COLOUR"]) == (PLACE.key, "red")


@pytest.mark.parametrize("engine", [LlamaCpp(sys.executable), Custom()])
def test_the_environment_holds_the_templates_and_the_engines_words_only(
    engine: LlamaCpp | Custom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIERHEAD_ACCESS_KEY_SECRET", "platform secret")
    env = engine.launch(a_template(env={"COLOUR": "red"}), FILES, PLACE).env
    assert "platform secret" not in env.values()
    own = {
        "LLAMA_API_KEY",
        "HF_HUB_OFFLINE",
        "PORT",
        "HOST",
        "MODEL_DIR",
        "SERVICE_NAME",
        "REPLICA_ID",
    }
    assert set(env) <= own | {"COLOUR"}


def test_a_custom_command_is_told_where_it_runs_in_both_ways() -> None:
    template = a_template(command=("serve", "--at={host}:{port}", "{model_dir}/weights", "{other}"))
    launch = Custom().launch(template, FILES, PLACE)
    assert launch.argv == ("serve", "--at=127.0.0.1:40123", "/models/x/weights", "{other}")
    assert launch.env == {
        "PORT": "40123",
        "HOST": "127.0.0.1",
        "MODEL_DIR": "/models/x",
        "SERVICE_NAME": "svc_one",
        "REPLICA_ID": "svc-one-a1",
    }
    assert launch.cwd == "/models/x"
    assert not launch.keyed


def test_a_custom_command_without_weights_gets_an_empty_model_folder() -> None:
    launch = Custom().launch(a_template(command=("x", "{model_dir}")), no_files(), PLACE)
    assert launch.argv == ("x", "")
    assert (launch.env["MODEL_DIR"], launch.cwd) == ("", "")


def test_a_template_cannot_lie_about_where_it_runs() -> None:
    env = Custom().launch(a_template(env={"PORT": "1", "REPLICA_ID": "x"}), FILES, PLACE).env
    assert (env["PORT"], env["REPLICA_ID"]) == ("40123", "svc-one-a1")


def test_probes_are_handed_on() -> None:
    live = Probe(kind="http", path="/livez")
    template = a_template(liveness=live)
    launch = Custom().launch(template, FILES, PLACE)
    assert launch.readiness is template.readiness
    assert launch.liveness is live


def test_whatever_a_path_holds_stays_inside_its_argument() -> None:
    """Run for real: the child prints the arguments it got."""
    show = "import sys; print(repr(sys.argv[1:]))"
    template = a_template(
        command=(sys.executable, "-c", show, "--dir={model_dir}", "{model_dir}", "end")
    )
    launch = Custom().launch(template, replace(FILES, folder=NASTY), PLACE)
    done = subprocess.run(launch.argv, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == f"{[f'--dir={NASTY}', NASTY, 'end']!r}\n"
    assert shlex.split(shlex.join(launch.argv)) == list(launch.argv)


@given(st.lists(st.text(), min_size=1, max_size=5), st.text(), st.integers(1, 65535))
def test_filling_in_never_adds_or_removes_an_argument(
    command: list[str], folder: str, port: int
) -> None:
    launch = Custom().launch(
        a_template(command=tuple(command)), replace(FILES, folder=folder), replace(PLACE, port=port)
    )
    assert len(launch.argv) == len(command)
    for given_argument, filled in zip(command, launch.argv, strict=True):
        if "{" not in given_argument:
            assert filled == given_argument


def test_a_placeholder_inside_a_value_is_a_value() -> None:
    files = replace(FILES, folder="/m/{port}/{host}")
    launch = Custom().launch(a_template(command=("{model_dir}",)), files, PLACE)
    assert launch.argv == ("/m/{port}/{host}",)


# ---- a user's own command: scripts, flags, environments -------------------------------------------


def test_flags_follow_the_command_and_the_scripts_text_without_meeting_a_shell() -> None:
    flags = ("--name", "a b; touch x", "--port={port}")
    argv = Custom().launch(a_template(command=("serve",), flags=flags), FILES, PLACE).argv
    assert argv == ("serve", "--name", "a b; touch x", "--port=40123")
    argv = (
        Custom()
        .launch(a_template(command=(), script="serve | cat\n", flags=flags), FILES, PLACE)
        .argv
    )
    assert argv == (
        *("/bin/sh", "-c", 'serve | cat "$@"', "sh"),
        *("--name", "a b; touch x", "--port=40123"),
    )


def test_a_script_without_flags_may_end_in_any_word() -> None:
    script = "for i in 1 2; do echo $i; done"
    launch = Custom().launch(a_template(command=(), script=script), FILES, PLACE)
    done = subprocess.run(launch.argv, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "1\n2\n"


def test_whatever_a_value_holds_a_script_sees_it_as_one_word(tmp_path: Path) -> None:
    """Run for real: neither the folder's name nor a flag is read by the shell."""
    show = tmp_path / "show.py"
    show.write_text("import sys; print(repr(sys.argv[1:]))")
    script = f"cd / && {shlex.quote(sys.executable)} {shlex.quote(str(show))} {{model_dir}} {{port}} {{host}}"
    template = a_template(command=(), script=script, flags=(NASTY, "--x={model_dir}"))
    launch = Custom().launch(template, replace(FILES, folder=NASTY), PLACE)
    done = subprocess.run(launch.argv, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == f"{[NASTY, '40123', '127.0.0.1', NASTY, f'--x={NASTY}']!r}\n"
    assert not Path("/tmp/pwned").exists()


def test_an_environment_goes_first_in_path_and_the_working_folder_is_the_templates() -> None:
    files = replace(FILES, environment="/envs/1", env={"DEP_A_URL": "http://gw/a", "PORT": "7"})
    template = a_template(workdir="/work", env={"DEP_A_URL": "mine", "VIRTUAL_ENV": "mine"})
    launch = Custom().launch(template, files, PLACE)
    assert launch.path_first == ("/envs/1/bin",)
    assert launch.env["VIRTUAL_ENV"] == "/envs/1"
    assert launch.env["DEP_A_URL"] == "http://gw/a"
    assert launch.env["PORT"] == "40123"
    assert launch.cwd == "/work"
    assert "CONDA_PREFIX" not in launch.env
    conda = a_template(environment=Environment(conda="24.1"))
    assert Custom().launch(conda, files, PLACE).env["CONDA_PREFIX"] == "/envs/1"


def test_threads_follow_the_cpu_limit_unless_the_template_says_otherwise() -> None:
    limited = a_template(resources=Resources(cpu=2.5))
    assert Custom().launch(limited, FILES, PLACE).env["OMP_NUM_THREADS"] == "3"
    own = replace(limited, env={"OMP_NUM_THREADS": "9"})
    assert Custom().launch(own, FILES, PLACE).env["OMP_NUM_THREADS"] == "9"
    assert "OMP_NUM_THREADS" not in Custom().launch(a_template(), FILES, PLACE).env


def test_datasets_are_below_the_replicas_own_folder_and_time_is_limited() -> None:
    template = a_template(links=(Link("corpus", "/nas/corpus"),), start_deadline=12.0)
    launch = Custom().launch(template, FILES, replace(PLACE, folder="/replicas/r1"))
    assert launch.env["DATASETS_DIR"] == "/replicas/r1/datasets"
    assert launch.deadline == 12.0
    assert LlamaCpp(sys.executable).launch(LLAMA, FILES, PLACE).deadline is None
