"""What a text names: stores, file systems, hubs; hostile texts name nothing. And what of a hub is needed."""

import pytest

from pierhead.core.connections import Connection, check, named, serving, source_of
from pierhead.core.errors import Invalid, Missing
from pierhead.core.hub_files import HubFile, needed
from pierhead.core.mounts import (
    FolderSource,
    HubSource,
    NasSource,
    OssSource,
    S3Source,
    Source,
    parse_source,
    remote_source,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("/srv/models/a.gguf", FolderSource("/srv/models/a.gguf")),
        ("/srv//models/", FolderSource("/srv/models")),
        ("file:///srv/my%20models", FolderSource("/srv/my models")),
        ("oss://my-models", OssSource("my-models", "")),
        ("oss://my-models/llama/7b/", OssSource("my-models", "llama/7b/")),
        ("oss://my-models.oss-cn-shanghai.aliyuncs.com/a", OssSource("my-models", "a", "oss-cn-shanghai.aliyuncs.com")),
        ("s3://my.models/llama/", S3Source("my.models", "llama/")),
        ("nas://317d1.cn-shanghai.nas.example.com/share/a", NasSource("317d1.cn-shanghai.nas.example.com", "/share/a")),
        ("hf://Qwen/Qwen2.5-0.5B", HubSource("huggingface", "Qwen/Qwen2.5-0.5B")),
        ("hf://a/b@v1.0", HubSource("huggingface", "a/b", "v1.0")),
        (f"hf://a/b@{COMMIT}/x.gguf", HubSource("huggingface", "a/b", COMMIT, "x.gguf")),
        ("hf://a/b@refs%2Fpr%2F1/sub/", HubSource("huggingface", "a/b", "refs/pr/1", "sub")),
        ("hf://a/b/*Q4_K_M*", HubSource("huggingface", "a/b", "", "*Q4_K_M*")),
        ("modelscope://qwen/Qwen-7B@master", HubSource("modelscope", "qwen/Qwen-7B", "master")),
    ],
)  # fmt: skip
def test_a_text_names_one_source(text: str, source: Source) -> None:
    found = parse_source(text)
    assert found == source
    if not getattr(source, "endpoint", ""):  # which the storage connection says
        assert parse_source(str(found)) == source, "it is written as it is read"


@pytest.mark.parametrize(
    "text",
    [
        "", "models/a", "~/a", "http://host/a", "HF://a/b", "package://a==1",
        "/srv/../etc", "file:///srv/%2e%2e/etc", "file://host/a", "file:relative", "/a\0b", "/a\nb",
        "/a\\b", "/\ud800", "/" + "x" * 1100,
        "oss://UPPER/a", "oss://a", "oss://my-models:99999/a", "oss://user:pw@my-models/a",
        "oss://my-models//a", "oss://my-models/../a", "oss:///a", "oss://my-models.%2f/a",
        "s3://a..b/c", "s3://user@bucket/a", "s3://bucket:80/a",
        "nas://target", "nas://-o/a", "nas://target:2049/a", "nas://u@target/a", "nas://t//a",
        "hf://a", "hf://a/", "hf://a/b@", "hf://a/b@..", "hf://a/b@x%2F..%2Fy", "hf://a/b/../c",
        "hf://a/b/%2e%2e/c", "hf://a/b//c", "hf://a@v/b", "hf://user:pw@a/b", "hf://a:80/b",
        "hf://a/b?x=y", "hf://a/b#c", "hf://a/b c", "hf://./b", "hf://a/..", "hf://a/b/c%00d",
        "modelscope://a/b@-x", f"hf://{'a' * 97}/b",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_what_is_legal(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_source(text, "installPath")
    assert caught.value.field == "installPath"
    assert "hf://ORG/NAME" in str(caught.value)


def test_a_field_of_paths_takes_uris_of_stores_and_hubs_only() -> None:
    for path in ("models/a", "/srv/a", "file:///srv/a", "http://host/a", "", "../a", "a://b"):
        assert remote_source(path) is None, path
    assert remote_source("s3://bucket/a") == S3Source("bucket", "a")
    with pytest.raises(Invalid):
        remote_source("hf://only-one")


def test_a_hub_is_served_as_a_whole() -> None:
    hub = HubSource("huggingface", "a/b", "v1", "x.gguf")
    other = HubSource("modelscope", "a/b")
    connection = Connection("hub", "hf", endpoint="https://huggingface.co")
    check(connection)
    assert (connection.serves, named(hub)) == ("hf://", "hf://")
    assert serving(hub, (connection,)) == connection
    assert serving(other, (connection,)) is None
    assert source_of(str(hub)) == hub


@pytest.mark.parametrize(
    ("endpoint", "legal"),
    [
        ("https://huggingface.co", True),
        ("http://10.0.0.9:8090/api/huggingface", True),
        ("https://[::1]:8443/hub", True),
        ("https://user:pw@host", False),
        ("https://host/a/../b", False),
        ("https://host/a?b", False),
        ("https://host:123456", False),
        ("ftp://host", False),
        ("host", False),
    ],
)
def test_a_mirror_may_lie_below_a_path(endpoint: str, legal: bool) -> None:
    connection = Connection("hub", "hf", endpoint=endpoint)
    if legal:
        check(connection)
        return
    with pytest.raises(Invalid, match="endpoint"):
        check(connection)


def test_a_hub_connection_has_an_endpoint_and_no_access_key() -> None:
    with pytest.raises(Missing, match="endpoint"):
        check(Connection("hub", "modelscope"))
    with pytest.raises(Invalid, match="access-key-id"):
        check(Connection("hub", "hf", endpoint="https://h.example", access_key_id="AK"))


# --- what of a repository is needed -------------------------------------------------------------------------


def keys(wanted: str, *paths: str) -> list[str]:
    files = [HubFile(path, 1000) for path in paths]
    return [each.key for each in needed(files, wanted, f"hf://a/b/{wanted}".rstrip("/"))]


def test_other_formats_pictures_and_gits_own_files_are_left_out() -> None:
    assert keys(
        "",
        ".gitattributes", ".cache/x", "README.md", "config.json", "logo.PNG", "tokenizer.model",
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
        "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
        "tf_model.h5", "flax_model.msgpack", "onnx/model.onnx", "original/consolidated.00.pth",
        "consolidated.safetensors",
    ) == [
        "README.md", "config.json", "tokenizer.model", "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors", "model.safetensors.index.json",
    ]  # fmt: skip
    assert keys("", "config.json", "pytorch_model.bin") == ["config.json", "pytorch_model.bin"]


def test_one_of_several_gguf_models_must_be_named() -> None:
    paths = ("a-Q4.gguf", "a-Q8.gguf", "big-00001-of-00002.gguf", "big-00002-of-00002.gguf")
    with pytest.raises(Invalid) as caught:
        keys("", "README.md", *paths)
    text = str(caught.value)
    assert "3 GGUF models" in text and "a-Q4.gguf (1000 B)" in text and "(2.0 KiB)" in text
    assert "hf://a/b/a-Q4.gguf" in text
    assert keys("a-Q8.gguf", *paths) == ["a-Q8.gguf"]
    assert keys("*Q4*", *paths) == ["a-Q4.gguf"]
    assert keys("big-00002-of-00002.gguf", *paths) == list(paths[2:])
    assert keys("", "only.gguf", "README.md", "x.bin") == ["only.gguf", "README.md"]
    with pytest.raises(Invalid, match="2 GGUF models"):
        keys("a-*", *paths)


def test_keys_begin_below_what_was_named() -> None:
    paths = ("sub/q4/m-00001-of-00002.gguf", "sub/q4/m-00002-of-00002.gguf", "sub/q8/m.gguf", "x")
    assert keys("sub/q4", *paths) == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    assert keys("*/q4/*", *paths) == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    assert keys("sub/q8/m.gguf", *paths) == ["m.gguf"]
    with pytest.raises(Invalid, match="nothing there is called sub/q5"):
        keys("sub/q5", *paths)
    with pytest.raises(Invalid, match=r"nothing there is called \*\.safetensors"):
        keys("*.safetensors", *paths)
