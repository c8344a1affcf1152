"""Settings: which source wins, what is refused in which words, and what is shown."""

import dataclasses
from pathlib import Path

import pytest

from pierhead.setting_values import amount
from pierhead.settings import (
    BadSetting,
    Settings,
    environment_name,
    masked_url,
    split_address,
    url_of,
)


def load(folder: Path, toml: str = "", environ: dict[str, str] | None = None, **flags: object):
    (folder / "settings.toml").write_text(toml)
    return Settings.load({"data_dir": folder, **flags}, environ or {})


def test_each_source_beats_the_one_before(tmp_path: Path):
    toml = 'region = "file"\nlog_level = "error"\nevent_days = 3\n[eas.roa]\nenabled = false\n'
    environ = {"PIERHEAD_REGION": "env", "PIERHEAD_LOG_LEVEL": "DEBUG"}
    settings = load(tmp_path, toml, environ, region="flag")
    assert (settings.region, settings.log_level, settings.event_days) == ("flag", "debug", 3.0)
    assert settings.roa_enabled is False
    assert settings.body_limit == 1024 * 1024
    shown = {row.name: row for row in settings.explain()}
    assert shown["region"].source == "flag --region"
    assert shown["log_level"].source == "environment PIERHEAD_LOG_LEVEL"
    assert shown["eas.roa.enabled"] == (
        "eas.roa.enabled",
        "false",
        str(tmp_path / "settings.toml"),
        "accept the older signature form, HMAC-SHA1",
    )
    assert shown["body_limit"].source == "default"


def test_the_environment_names_the_folder_whose_file_is_read(tmp_path: Path):
    (tmp_path / "settings.toml").write_text('region = "there"')
    settings = Settings.load({}, {"PIERHEAD_DATA_DIR": str(tmp_path)})
    assert (settings.data_dir, settings.region) == (tmp_path, "there")
    assert settings.models_dir == tmp_path / "models"
    assert settings.cache_dir == tmp_path / "cache"
    assert settings.database == f"sqlite:///{tmp_path}/pierhead.db"


def test_default_folder_follows_xdg(tmp_path: Path):
    assert Settings.load({}, {"XDG_DATA_HOME": str(tmp_path)}).data_dir == tmp_path / "pierhead"


def test_nested_names_work_in_environment_and_as_set_flags(tmp_path: Path):
    environ = {"PIERHEAD_EAS_ROA_REQUIRE_NONCE": "yes"}
    settings = load(tmp_path, "", environ, **{"eas.roa.require_md5": "on"})
    assert (settings.roa_require_nonce, settings.roa_require_md5) == (True, True)
    sources = {row.name: row.source for row in settings.explain()}
    assert sources["eas.roa.require_md5"] == "flag --set eas.roa.require_md5"


def test_weights_by_name(tmp_path: Path):
    from_file = load(tmp_path, '[weights]\nllama_7b_fp16 = "/models/a.gguf"\n')
    assert dict(from_file.weights) == {"llama_7b_fp16": "/models/a.gguf"}
    from_env = load(tmp_path, "", {"PIERHEAD_WEIGHTS": "a=/x, b=/y"})
    assert dict(from_env.weights) == {"a": "/x", "b": "/y"}


def test_engines_and_which_of_them_serves_what(tmp_path: Path):
    toml = """
    [engines]
    vllm = "~/vllm/bin/vllm"
    [engines.choice]
    llama_7b_fp16 = "vllm"
    "my.model" = "transformers"
    """
    settings = load(tmp_path, toml, {"PIERHEAD_ENGINES_LLAMA_SERVER": "/opt/llama-server"})
    assert settings.engines_vllm == str(Path("~/vllm/bin/vllm").expanduser())
    assert settings.engines_llama_server == "/opt/llama-server"
    assert settings.engines_transformers == ""
    choice = {"llama_7b_fp16": "vllm", "my.model": "transformers"}
    assert dict(settings.engines_choice) == choice
    text = "llama_7b_fp16=vllm, my.model=transformers"
    from_env = load(tmp_path, "", {"PIERHEAD_ENGINES_CHOICE": text})
    assert dict(from_env.engines_choice) == choice


def test_lists_are_lists_in_the_file_and_commas_elsewhere(tmp_path: Path):
    places = ("https://hooks.example/a", "http://10.1.2.3:8080/")
    from_file = load(tmp_path, f"[zstack]\nwebhooks = {list(places)}\nasync = 'ALWAYS'\n")
    assert (from_file.zstack_webhooks, from_file.zstack_async) == (places, "always")
    from_env = load(tmp_path, "", {"PIERHEAD_ZSTACK_WEBHOOKS": ", ".join(places)})
    assert from_env.zstack_webhooks == places
    shown = {row.name: row.value for row in from_env.explain()}
    assert shown["zstack.webhooks"] == ",".join(places)
    assert shown["zstack.job_seconds"] == "10800"


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("regoin = 'x'", ["no setting regoin", "did you mean region?", "settings.toml"]),
        ("[eas.roa]\nenable = true", ["eas.roa.enable", "did you mean eas.roa.enabled?"]),
        ("data_dir = '/x'", ["data_dir cannot be set here", "--data-dir"]),
        ("body_limit = true", ["body_limit", "whole number"]),
        ("body_limit = 5", ["body_limit", "at least 1024"]),
        ("listen = '8080'", ["listen", "127.0.0.1:8080"]),
        ("listen = 'a:70000'", ["listen", "host:port"]),
        ("region = 'No Such'", ["region", "lower-case"]),
        ("log_format = 'xml'", ["log_format", "auto, json, console"]),
        ("port_range = '5-9'", ["port_range", "1024-65535"]),
        ("advertise = 'ftp://x'", ["advertise", "http://"]),
        ("nonce_minutes = 1", ["nonce_minutes", "at least 30"]),
        ("[engines.choice]\na = 'vlm'", ["engines.choice", "llama_cpp, vllm", "[vlm]"]),
        ("engines.choice = 'vllm'", ["engines.choice", "name=value"]),
        ("[engines]\nvlm = '/x'", ["engines.vlm", "did you mean engines.vllm?"]),
        ("weights = 'x'", ["weights", "name=value"]),
        ("roa_enabled = true", ["roa_enabled", "eas.roa.enabled"]),
        ("[zstack]\nasync = 'sometimes'", ["zstack.async", "auto, always, never"]),
        ("[zstack]\nsession_timeout = 0", ["zstack.session_timeout", "at least 1"]),
        ("[zstack]\nwebhooks = [1]", ["zstack.webhooks", "list of texts"]),
        ("[zstack]\nwebhooks = ['ftp://x/']", ["zstack.webhooks", "http://", "ftp://x/"]),
        ("[zstack]\nwebhooks = 'http://a@b/'", ["zstack.webhooks", "a@b"]),
        ("[zstack]\nversion = 'new'", ["zstack.version", "5.5.28"]),
        ("this is no toml", ["cannot be read", "line 1"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, toml: str, words: list[str]):
    with pytest.raises(BadSetting) as caught:
        load(tmp_path, toml)
    for word in words:
        assert word in caught.value.message


def test_an_illegal_value_names_its_source(tmp_path: Path):
    with pytest.raises(BadSetting, match="from environment PIERHEAD_RESYNC_SECONDS"):
        load(tmp_path, "", {"PIERHEAD_RESYNC_SECONDS": "soon"})
    with pytest.raises(BadSetting, match="from flag --listen"):
        load(tmp_path, listen="nowhere")


def test_a_password_is_shown_nowhere(tmp_path: Path):
    url = "postgresql+psycopg://pier:hunter22@db:5432/pier"
    settings = load(tmp_path, f"database_url = '{url}'")
    assert settings.database == url
    assert "hunter22" not in repr(settings)
    assert "hunter22" not in str(settings.explain())
    assert {row.name: row.value for row in settings.explain()}["database_url"] == (
        "postgresql+psycopg://pier:***@db:5432/pier"
    )
    told = masked_url("postgresql://db/pier?user=pier&password=hunter22&sslmode=require")
    assert told == "postgresql://db/pier?user=pier&password=***&sslmode=require"


def test_every_setting_is_explained_and_reachable(tmp_path: Path):
    rows = load(tmp_path).explain()
    assert len(rows) == len(dataclasses.fields(Settings)) - 1
    assert all(len(row.meaning) > 10 for row in rows)
    assert len({environment_name(row.name) for row in rows}) == len(rows)


def test_immutable(tmp_path: Path):
    with pytest.raises(dataclasses.FrozenInstanceError):
        load(tmp_path).region = "other"  # pyright: ignore[reportAttributeAccessIssue]


def test_addresses():
    assert split_address("[::1]:80") == ("::1", 80)
    assert url_of("0.0.0.0:8080") == "http://127.0.0.1:8080"
    assert url_of("[::]:8080") == "http://[::1]:8080"
    settings = Settings(gateway_listen="0.0.0.0:1", advertise="https://llm.example.com/")
    assert settings.gateway_endpoint == "https://llm.example.com"
    assert (settings.ports.start, settings.ports[-1]) == (21000, 28999)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("200GiB", 200 << 30),
        ("1.5Ti", 3 << 39),
        ("500M", 500 << 20),
        ("20 gb", 20 << 30),
        ("1000000", 1000000),
        ("0", 0),
    ],
)
def test_amounts_are_written_as_people_do(tmp_path: Path, text: str, count: int):
    settings = load(tmp_path, f'[cache]\nlimit = "{text}"\n')
    assert settings.cache_limit == count
    shown = {row.name: row.value for row in settings.explain()}
    assert amount(shown["cache.limit"]) == count


def test_an_amount_may_be_a_number_and_nothing_else(tmp_path: Path):
    assert load(tmp_path, "[cache]\nkeep_free = 4096\n").cache_keep_free == 4096
    assert {row.name: row.value for row in load(tmp_path).explain()}["cache.keep_free"] == "10GiB"
    for wrong in ('"much"', '"-1"', "true"):
        with pytest.raises(BadSetting, match="amount such as 200GiB"):
            load(tmp_path, f"[cache]\nlimit = {wrong}\n")


def test_a_cluster_is_described_in_a_section_of_its_own(tmp_path: Path):
    toml = """
    runtime = "kubernetes"
    [kubernetes]
    image = "registry.example:5000/pierhead:1"
    image_pull_policy = "IfNotPresent"
    host_folders = ["/data/models", "/opt"]
    [kubernetes.gpu_resources]
    NVIDIA = "nvidia.com/gpu.shared"
    [kubernetes.fetch_variables]
    HTTPS_PROXY = "http://me:word@proxy.example:3128"
    """
    settings = load(tmp_path, toml, {"PIERHEAD_KUBERNETES_GPU_LABELS": "NVIDIA=example/gpu=a10"})
    assert settings.runtime == "kubernetes"
    assert settings.kubernetes_image_pull_policy == "ifnotpresent"
    assert settings.kubernetes_host_folders == ("/data/models", "/opt")
    assert dict(settings.kubernetes_gpu_resources) == {"NVIDIA": "nvidia.com/gpu.shared"}
    assert dict(settings.kubernetes_gpu_labels) == {"NVIDIA": "example/gpu=a10"}
    assert "word" not in str(settings.explain()) + repr(settings)
    assert load(tmp_path).runtime == "process"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("runtime", "docker"),
        ("kubernetes.namespace", "Not_One"),
        ("kubernetes.image", "two words"),
        ("kubernetes.cache_path", "relative"),
        ("kubernetes.host_folders", "/a,b"),
        ("kubernetes.host_folders", "/"),
        ("kubernetes.weights", "copy"),
        ("kubernetes.engine_images", "sglang=image"),
        ("kubernetes.gpu_resources", "NVIDIA=gpu"),
        ("kubernetes.gpu_labels", "NVIDIA=label"),
        ("kubernetes.node_labels", "a b=c"),
        ("kubernetes.run_as_user", "-1"),
        ("kubernetes.toleration_seconds", "soon"),
        ("kubernetes.fetch_variables", "a-b=c"),
        ("kubernetes.prometheus", "prometheus:9090"),
    ],
)
def test_what_no_cluster_can_have_is_refused_by_name(tmp_path: Path, key: str, value: str):
    with pytest.raises(BadSetting, match=key.replace(".", r"\.")):
        load(tmp_path, "", None, **{key: value})
