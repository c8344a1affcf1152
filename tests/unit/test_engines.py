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
from pierhead.core.errors import Unsupported
from pierhead.core.launch import Files, Placement, no_files
from pierhead.core.resources import GIB, Resources
from pierhead.core.specs import BUILT_IN
from pierhead.core.templates import AUTO, Environment, Link, Precision, Probe, Template
from pierhead.engines import offers, registry
from pierhead.engines.base import Engine
from pierhead.engines.custom import Custom
from pierhead.engines.llama_cpp import LlamaCpp
from pierhead.engines.programs import Programs
from pierhead.engines.transformers import Transformers
from pierhead.engines.vllm import Vllm

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
    chosen = "llama_cpp" if template.engine == AUTO else template.engine
    engine = registry("/usr/bin/python3")[chosen]
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
    """Law: placeholders expand inside one argument (F34)."""
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


# ---- engines that an operator installed ------------------------------------------------------------

FOLDER = Files(folder="/models/x", model="/models/x", bytes=269_060_280, format="safetensors")
HOME = Template(
    name="llama", engine=AUTO, context=1024, slots=3, env={"COLOUR": "red", "VLLM_API_KEY": "mine"}
)
ON_TWO = replace(PLACE, devices=("0", "3"), device_share=0.45678)


def test_vllm_on_a_cpu_exactly() -> None:
    launch = Vllm("/opt/vllm/bin/vllm").launch(HOME, FOLDER, PLACE)
    assert launch.argv == (
        *("/opt/vllm/bin/vllm", "serve", "/models/x", "--host", "127.0.0.1", "--port", "40123"),
        *("--served-model-name", "svc_one", "--dtype", "half", "--max-model-len", "1024"),
        *("--max-num-seqs", "3", "--enforce-eager"),
    )
    assert launch.env == {
        "VLLM_API_KEY": PLACE.key,
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": "2",
        "COLOUR": "red",
    }
    assert (launch.api, launch.keyed, launch.model, launch.cwd) == ("openai", True, "", "")
    assert launch.path_first == ("/opt/vllm/bin",)


def test_vllm_on_gpus_exactly() -> None:
    flags = ("--max-model-len", "512")
    launch = Vllm("vllm").launch(replace(HOME, flags=flags), FOLDER, ON_TWO)
    assert launch.argv == (
        *("vllm", "serve", "/models/x", "--host", "127.0.0.1", "--port", "40123"),
        *("--served-model-name", "svc_one", "--dtype", "half", "--max-model-len", "1024"),
        *("--max-num-seqs", "3", "--tensor-parallel-size", "2"),
        *("--gpu-memory-utilization", "0.456", "--max-model-len", "512"),
    )
    assert not {name for name in launch.env if "CPU" in name or "OMP" in name}
    assert launch.path_first == ()
    whole = Vllm("vllm").launch(HOME, FOLDER, replace(ON_TWO, device_share=0.0)).argv
    assert "--gpu-memory-utilization" not in whole


def test_vllm_gets_a_cache_for_every_slot_of_a_large_model_unless_the_template_says_otherwise() -> (
    None
):
    """A 7B model without grouped heads needs 1 GiB per 2048 tokens."""
    seven = replace(FOLDER, bytes=13_476_839_424)
    template = replace(HOME, context=2048, slots=4)
    assert int(Vllm("vllm").launch(template, seven, PLACE).env["VLLM_CPU_KVCACHE_SPACE"]) == 5
    own = replace(template, env={"VLLM_CPU_KVCACHE_SPACE": "2"})
    assert Vllm("vllm").launch(own, seven, PLACE).env["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert seven.bytes > 12 * GIB


def test_transformers_on_a_cpu_exactly() -> None:
    launch = Transformers("/opt/t/bin/transformers").launch(HOME, FOLDER, PLACE)
    assert launch.argv == (
        *("/opt/t/bin/transformers", "serve", ".@main", "--host", "127.0.0.1", "--port", "40123"),
        *("--device", "cpu", "--dtype", "float32"),
    )
    assert launch.env == {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "2",
        **HOME.env,
    }
    assert PLACE.key not in launch.env.values(), "it could not check it"
    assert (launch.api, launch.keyed) == ("openai", False)
    assert (launch.model, launch.cwd) == (".@main", "/models/x"), "no path is in what it tells"


def test_transformers_on_gpus() -> None:
    engine, one = Transformers("transformers"), replace(PLACE, devices=("1",))
    assert engine.launch(HOME, FOLDER, one).argv[-4:] == (
        *("--device", "cuda", "--dtype", "float16"),
    )
    assert option(engine.launch(HOME, FOLDER, ON_TWO).argv, "--device") == "auto"


@pytest.mark.parametrize(
    ("asked", "found", "made"),
    [
        ("int8", "fp16", True),
        ("int8", "", True),
        ("int8", "int8", False),
        ("fp16", "fp16", False),
        ("", "fp16", False),
    ],
)
def test_int8_is_made_of_weights_that_are_not_int8(
    asked: Precision, found: str, made: bool
) -> None:
    template, files = replace(HOME, precision=asked), replace(FOLDER, precision=found)
    one = replace(PLACE, devices=("0",))
    for place in (PLACE, one):
        argv = Vllm("vllm").launch(template, files, place).argv
        assert ("--quantization" in argv) is made
        if made:
            assert option(argv, "--quantization") == "int8_per_channel_weight_only"
    argv = Transformers("transformers").launch(template, files, one).argv
    assert ("--quantization" in argv) is made
    if made:
        assert option(argv, "--quantization") == "bnb-8bit"
        with pytest.raises(Unsupported, match="GPU only"):
            Transformers("transformers").launch(template, files, PLACE)


def test_what_an_engine_makes_depends_on_what_it_computes_on() -> None:
    engines = registry("python")
    made = {
        (name, gpu): engine.capabilities.made(gpu=gpu)
        for name, engine in engines.items()
        for gpu in (False, True)
    }
    assert {key for key, found in made.items() if found} == {
        ("vllm", False),
        ("vllm", True),
        ("transformers", True),
    }


@pytest.mark.parametrize(
    "named",
    ["/models/x", "/models/x/model-00001-of-2.safetensors", "/models/x/config.json", ""],
)
def test_engines_of_folders_get_the_folder_whatever_was_named_in_it(named: str) -> None:
    files = replace(FOLDER, model=named)
    assert Vllm("vllm").launch(HOME, files, PLACE).argv[2] == "/models/x"
    assert Transformers("transformers").launch(HOME, files, PLACE).cwd == "/models/x"


def test_an_operators_llama_server_exactly() -> None:
    engine = LlamaCpp("/opt/py", "/opt/llama/llama-server")
    template = replace(LLAMA, context=512, slots=3, flags=("--flash-attn", "on"))
    launch = engine.launch(template, FILES, PLACE)
    assert launch.argv == (
        *("/opt/llama/llama-server", "-m", "/models/x/model.gguf", "-a", "svc_one"),
        *("--host", "127.0.0.1", "--port", "40123", "-c", "1536", "-np", "3", "-t", "2"),
        *("--metrics", "--slots", "--jinja", "--cache-ram", "0", "-ngl", "0"),
        *("--flash-attn", "on"),
    )
    assert launch.env["LLAMA_API_KEY"] == PLACE.key
    assert (launch.api, launch.keyed, launch.model) == ("openai", True, "")
    assert option(engine.launch(LLAMA, FILES, ON_TWO).argv, "-ngl") == "999"


def test_the_embedded_engine_computes_on_the_cpu_and_an_operators_on_both() -> None:
    embedded, own = LlamaCpp("py").capabilities, LlamaCpp("py", "/l").capabilities
    assert (embedded.on_cpu, embedded.on_gpu) == (True, False)
    # Only its own build is given the template's flags, so only there they may say another number.
    assert own == replace(embedded, on_gpu=True, slot_options=own.slot_options)


@pytest.mark.parametrize("engine", [LlamaCpp("py", "/l"), Vllm("vllm"), Transformers("t")])
def test_no_key_is_on_a_command_line_and_no_template_chooses_one_or_goes_online(
    engine: Engine,
) -> None:
    lies = {"LLAMA_API_KEY": "mine", "VLLM_API_KEY": "mine", "HF_HUB_OFFLINE": "0"}
    launch = engine.launch(replace(HOME, env=lies), FOLDER, PLACE)
    assert not any(PLACE.key in argument for argument in launch.argv)
    assert launch.env["HF_HUB_OFFLINE"] == "1"
    assert launch.keyed is engine.capabilities.keyed
    if launch.keyed:
        assert PLACE.key in launch.env.values()


def test_which_architectures_are_refused_is_said_with_a_reason() -> None:
    refuses = {name: engine.capabilities.refuses for name, engine in registry("py").items()}
    assert {name: set(found) for name, found in refuses.items()} == {
        "llama_cpp": {"chatglm-v1"},
        "vllm": {"baichuan", "chatglm-v1"},
        "transformers": {"baichuan", "chatglm", "chatglm-v1"},
        "custom": set(),
    }
    assert "0.23.0" in refuses["vllm"]["baichuan"]
    assert "remote code" in refuses["transformers"]["baichuan"]


def test_an_offer_says_which_program_is_missing_and_which_setting_names_it() -> None:
    def offered(programs: Programs, *there: str) -> dict[str, str]:
        found = offers(
            registry("py", programs), programs, lambda name: name if name in there else None
        )
        return {name: offer.missing for name, offer in found.items()}

    nothing = offered(Programs())
    assert nothing["llama_cpp"] == nothing["custom"] == ""
    assert nothing["vllm"] == "it is not installed (the setting engines.vllm names its program)"
    assert "engines.transformers" in nothing["transformers"]
    assert not any(offered(Programs(), "vllm", "transformers").values())
    wrong = offered(Programs(llama_server="/no/llama-server", vllm="/no/vllm"), "vllm")
    assert wrong["llama_cpp"] == (
        "there is no program [/no/llama-server], which the setting engines.llama_server names"
    )
    assert "[/no/vllm]" in wrong["vllm"]


def test_programs_that_are_set_are_what_is_run() -> None:
    engines = registry("py", Programs(llama_server="/a/l", vllm="/a/v", transformers="/a/t"))
    first = {
        name: engine.launch(HOME, FOLDER, PLACE).argv[0]
        for name, engine in engines.items()
        if name != "custom"
    }
    assert first == {"llama_cpp": "/a/l", "vllm": "/a/v", "transformers": "/a/t"}
    usual = registry("py")
    assert usual["vllm"].launch(HOME, FOLDER, PLACE).argv[0] == "vllm"
    assert usual["llama_cpp"].launch(HOME, FOLDER, PLACE).argv[0] == "py"
