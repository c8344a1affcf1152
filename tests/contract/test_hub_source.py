"""`hf://` and `modelscope://`: listings, downloads, redirects and refusals, against a double of both hubs."""

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hub_double import REPOSITORY, HubDouble, serving
from pierhead.core.connections import Account, Connection, Keys
from pierhead.core.errors import Invalid
from pierhead.core.mounts import HubSource
from pierhead.sources.addresses import Egress
from pierhead.sources.download import Options
from pierhead.sources.hub import HubFolder
from pierhead.sources.openers import opened
from pierhead.sources.remote import (
    Changed,
    Damaged,
    Denied,
    Flaky,
    Missing,
    Rejected,
    RemoteError,
)
from pierhead.sources.snapshots import Snapshot, Snapshots

TENSORS = random.Random(7).randbytes(300_000)
NEEDED = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": TENSORS,
    "sub/a b+c%20é.txt": b"odd",
    "empty.txt": b"",
}
FILES = {**NEEDED, ".gitattributes": b"*.bin lfs", "pytorch_model.bin": b"p" * 5000}
NEWER = {**FILES, "config.json": b'{"model_type": "qwen2"}', "model.safetensors": TENSORS[::-1]}
HF = HubSource("huggingface", REPOSITORY)
OPEN: list[HubFolder] = []  #: what a test opened
BOTH = pytest.mark.parametrize("source", [HF, HubSource("modelscope", REPOSITORY)], ids=str)


@pytest.fixture
def hub() -> Iterator[HubDouble]:
    with serving() as double:
        double.commit(FILES)
        yield double
        while OPEN:
            OPEN.pop().close()


def account(hub: HubDouble, source: HubSource = HF, token: str = "") -> Account:
    connection = Connection("hub", source.scheme, endpoint=hub.url, allow_private=True)  # pyright: ignore[reportArgumentType]
    return Account(connection, Keys(token=token))


def folder(hub: HubDouble, source: HubSource = HF, token: str = "") -> HubFolder:
    own = account(hub, source, token)
    found = opened(source, own, lambda _: own, time.time)
    assert isinstance(found, HubFolder)
    OPEN.append(found)
    return found


def fetched(found: HubFolder, tmp_path: Path, connections: int = 6) -> Snapshot:
    options = Options(connections, 64 * 1024, pause=0.001, headroom=0, tries=3)
    return Snapshots(tmp_path, time.time, options).fetch(found, lambda _: None, lambda: False)


def content(snapshot: Snapshot) -> dict[str, bytes]:
    return {
        str(path.relative_to(snapshot.files)): path.read_bytes()
        for path in snapshot.files.rglob("*")
        if path.is_file()
    }


# --- fetching -----------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("page", [1, 1000])
def test_what_a_model_needs_is_fetched_whatever_is_cut(
    hub: HubDouble, tmp_path: Path, source: HubSource, page: int
) -> None:
    hub.page, hub.cuts = page, [10, 20_000, 5]
    found = folder(hub, source)
    made = fetched(found, tmp_path)
    assert content(made) == NEEDED
    assert hub.cuts == [], "the connections were cut in the middle"
    sums = {entry.key: entry.check for entry in made.manifest.entries}
    assert sums["model.safetensors"] == f"sha256:{hashlib.sha256(TENSORS).hexdigest()}"
    before = len(hub.file_log)
    assert fetched(found, tmp_path).folder == made.folder
    assert len(hub.file_log) == before, "only listed: what is there is not fetched again"


@BOTH
def test_the_token_goes_to_the_hub_and_to_nobody_else(
    hub: HubDouble, tmp_path: Path, source: HubSource
) -> None:
    hub.token = "hf_secret"
    found = folder(hub, source, "hf_secret")
    assert content(fetched(found, tmp_path)) == NEEDED
    assert all(each.headers["authorization"] == "Bearer hf_secret" for each in hub.log)
    assert hub.file_log, "large files come from the other server"
    for each in hub.file_log:
        assert "hf_secret" not in f"{each.path} {each.headers}"
        assert not {"authorization", "cookie"} & set(each.headers)


def test_the_hub_is_asked_once_for_each_large_file(hub: HubDouble, tmp_path: Path) -> None:
    found = folder(hub)
    fetched(found, tmp_path, connections=1)
    asked = [each for each in hub.log if each.path.endswith("/model.safetensors")]
    parts = [each for each in hub.file_log if "model.safetensors" in each.path]
    assert len(parts) == 5
    assert len(asked) == 1, "the parts that follow go where the first was sent"


def test_an_address_that_is_no_good_any_more_is_asked_for_anew(hub: HubDouble) -> None:
    found = folder(hub)
    entry = next(e for e in found.listing().entries if e.key == "model.safetensors")
    assert b"".join(found.read(entry, 0, 10)) == TENSORS[:10]
    hub.signature += 1
    assert b"".join(found.read(entry, 10, 10)) == TENSORS[10:20]
    hub.signature += 1
    hub.instead = [("/resolve/", 302, {"Location": f"{hub.files_url}/x?signature=old"})]
    with pytest.raises(Flaky, match=r"127\.0\.0\.1 answers 403"):
        list(found.read(entry, 20, 10))


def test_a_branch_that_moves_meanwhile_mixes_nothing(hub: HubDouble, tmp_path: Path) -> None:
    def move(path: str) -> None:
        if "/resolve/" in path:
            hub.commit(NEWER)

    hub.before = move
    found = folder(hub)
    assert content(fetched(found, tmp_path)) == NEEDED, "all of it is of the commit that was listed"
    newer = content(fetched(found, tmp_path))
    assert newer["config.json"] == NEWER["config.json"]
    assert newer["model.safetensors"] == NEWER["model.safetensors"]


@pytest.mark.parametrize("announces", [True, False])
@pytest.mark.parametrize("more", [b"longer", b""])
def test_a_moving_branch_of_modelscope_is_listed_again(
    hub: HubDouble, tmp_path: Path, announces: bool, more: bytes
) -> None:
    """It has no commits to read from: what has another sum than was listed is not taken.

    Where no size differs, the sum alone tells that a file is another one, and not a damaged one.
    """
    hub.announces = announces
    changed = {**NEWER, "model.safetensors": NEWER["model.safetensors"] + more}
    sizes = [{key: len(value) for key, value in each.items()} for each in (FILES, changed)]
    assert (sizes[0] == sizes[1]) == (not more)

    def move(path: str) -> None:
        if "FilePath=" in path:
            hub.commit(changed)

    hub.before = move
    found = folder(hub, HubSource("modelscope", REPOSITORY))
    made = content(fetched(found, tmp_path))
    assert made == {key: changed[key] for key in NEEDED}


def test_a_mirror_that_answers_with_another_commit_is_not_believed(hub: HubDouble) -> None:
    found = folder(hub)
    entry = next(e for e in found.listing().entries if e.key == "config.json")
    hub.instead = [("/resolve/", 200, {"X-Repo-Commit": "f" * 40})]
    with pytest.raises(Changed, match=r"config\.json changed"):
        list(found.read(entry, 0, 5))


@BOTH
@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_what_arrives_with_another_sum_is_never_there(
    hub: HubDouble, tmp_path: Path, source: HubSource, path: str
) -> None:
    hub.wrong = {path}
    found = folder(hub, source)
    with pytest.raises(Damaged, match=r"another (\w+ )?sum than the store tells"):
        fetched(found, tmp_path)
    assert not list(tmp_path.rglob(f"files/{path}"))
    assert not list(tmp_path.rglob("READY"))
    hub.wrong = set()
    assert content(fetched(found, tmp_path)) == NEEDED, "the next fetch mends it"


def test_small_files_may_come_whole_and_large_ones_may_not(hub: HubDouble) -> None:
    found = folder(hub)
    entries = {entry.key: entry for entry in found.listing().entries}
    hub.serves_ranges = False
    assert b"".join(found.read(entries["config.json"], 5, 4)) == NEEDED["config.json"][5:9]
    hub.commit({"big.safetensors": b"x" * (17 << 20)})
    (entry,) = found.listing().entries
    with pytest.raises(Rejected, match="another range"):
        list(found.read(entry, 1 << 20, 10))
    assert b"".join(found.read(entry, 0, 3)) == b"xxx"


@pytest.mark.parametrize("size", ["²", "9" * 5000])
def test_a_length_that_is_no_number_of_ours_is_not_read(hub: HubDouble, size: str) -> None:
    found = folder(hub)
    entries = {entry.key: entry for entry in found.listing().entries}
    hub.instead.append(("config.json", 200, {"Content-Length": size, "Connection": "close"}))
    try:
        got = b"".join(found.read(entries["config.json"], 0, 4))
    except RemoteError:
        return  # whatever it is called, it is a fault of the hub's
    assert got == b"", "no content came"


@BOTH
def test_a_file_a_folder_and_a_pattern(hub: HubDouble, source: HubSource) -> None:
    hub.commit(
        {"q4/m-00001-of-00002.gguf": b"1", "q4/m-00002-of-00002.gguf": b"2", "q8.gguf": b"8"}
    )
    with pytest.raises(Invalid, match="holds 2 GGUF models"):
        folder(hub, source).listing()
    for path, wanted in (
        ("q8.gguf", {"q8.gguf": b"8"}),
        ("q4", {"m-00001-of-00002.gguf": b"1", "m-00002-of-00002.gguf": b"2"}),
        ("*q4/*", {"m-00001-of-00002.gguf": b"1", "m-00002-of-00002.gguf": b"2"}),
    ):
        found = folder(hub, replace(source, path=path))
        entries = found.listing().entries
        got = {each.key: b"".join(found.read(each, 0, each.size)) for each in entries}
        assert got == wanted


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "error", "word"),
    [
        (401, {"X-Error-Code": "GatedRepo"}, Denied, r"accept its licence at \S+/org/model, .*`pierhead storage add hf hub --replace --token-stdin`"),
        (403, {"X-Error-Code": "GatedRepo"}, Denied, "accept its licence"),
        (401, {"X-Error-Code": "RepoNotFound"}, Denied, "no such repository, or it is not for everybody"),
        (404, {"X-Error-Code": "RevisionNotFound"}, Missing, "404 RevisionNotFound"),
        (404, {}, Missing, "no such repository"),
        (429, {"Retry-After": "3"}, Flaky, "429"),
        (503, {}, Flaky, "503"),
        (400, {"X-Error-Code": "<b>evil</b> text"}, Rejected, r"\(400\)"),
        (304, {}, Rejected, "304"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_to_do(
    hub: HubDouble, status: int, headers: dict[str, str], error: type[RemoteError], word: str
) -> None:
    hub.instead = [("/api/", status, headers)]
    found = folder(hub)
    with pytest.raises(error, match=word) as caught:
        found.listing()
    assert "evil" not in str(caught.value)
    if status == 429:
        assert isinstance(caught.value, Flaky) and caught.value.wait == 3.0


def test_a_token_that_may_not_read_it_is_told_by_its_connection(hub: HubDouble) -> None:
    hub.token, hub.gated = "right", True
    found = folder(hub, token="wrong")
    with pytest.raises(Denied, match=r"the token of the storage connection \[hub\]") as caught:
        found.listing()
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    "told",
    [b"<html>", b"[" * 100_000, b'{"sha": "../../x"}', b'{"sha": 3}', b"[]", b"null", b"\xff"],
)
def test_an_answer_that_is_no_hubs_is_one_sentence(hub: HubDouble, told: bytes) -> None:
    hub.nonsense = told
    found = folder(hub)
    with pytest.raises(Rejected, match="is this the address of such a hub") as caught:
        found.listing()
    assert len(str(caught.value)) < 200


def test_a_revision_that_modelscope_does_not_know_and_an_empty_repository(hub: HubDouble) -> None:
    source = HubSource("modelscope", REPOSITORY, "nothing")
    with pytest.raises(Missing, match="10010205001"):
        folder(hub, source).listing()
    hub.commit({".gitattributes": b"x"})
    with pytest.raises(Missing, match="no files of a model"):
        folder(hub, replace(source, revision="")).listing()


def test_a_listing_that_modelscope_cuts_short_is_not_taken_for_the_whole(hub: HubDouble) -> None:
    hub.commit({f"f{number}": b"x" for number in range(3000)})
    with pytest.raises(Rejected, match="more files than the hub lists"):
        folder(hub, HubSource("modelscope", REPOSITORY)).listing()


# --- redirects ----------------------------------------------------------------------------------------------


def inside(host: str, _port: int) -> list[str]:
    """What names of this test lead to: the hub is permitted by its address, nothing else is."""
    return {"127.0.0.1": ["127.0.0.1"], "inner.example": ["10.0.0.7"]}.get(host, [host])


GUARDED = Egress(allowed=("127.0.0.1/32",), resolve=inside)


@pytest.mark.parametrize(
    ("location", "error", "word"),
    [
        ("http://169.254.169.254/latest/meta-data/", Denied, "metadata services"),
        ("http://100.100.100.200/latest/meta-data/", Denied, "metadata services"),
        ("http://[::ffff:127.0.0.2]:1/", Denied, "loopback"),
        ("http://127.0.0.2:1/", Denied, "loopback"),
        ("http://[::1]:1/", Denied, "loopback"),
        ("http://inner.example/", Denied, "private"),
        ("//10.0.0.7/", Denied, "private"),
        ("file:///etc/passwd", Rejected, "no address of the web"),
        ("gopher://127.0.0.1/", Rejected, "no address of the web"),
        ("ftp://127.0.0.1/", Rejected, "no address of the web"),
        ("http://user:pw@127.0.0.1/", Rejected, "no address of the web"),
        ("http://127.0.0.1:99999/", Rejected, "no address of the web"),
        ("http://[::1/", Rejected, "no address of the web"),
        ("", Rejected, "no address of the web"),
        ("http://127.0.0.1/a b", Rejected, "no address of the web"),
        ("http://127.0.0.1/" + "x" * 9000, Rejected, "no address of the web"),
    ],
)
def test_a_redirect_leads_nowhere_that_a_user_may_not_go(
    hub: HubDouble, location: str, error: type[RemoteError], word: str
) -> None:
    """Law: a model hub's redirect leads only where its user might go (F30)."""
    own = account(hub, token="hf_secret")
    found = HubFolder(HF, own, lambda: own, GUARDED)
    OPEN.append(found)
    entry = next(e for e in found.listing().entries if e.key == "model.safetensors")
    hub.instead = [("/resolve/", 302, {"Location": location})]
    with pytest.raises(error, match=word) as caught:
        list(found.read(entry, 0, 10))
    if "inner" in location:
        assert "10.0.0.7" not in str(caught.value), "where a name leads is not told"
    assert hub.file_log == []
    assert b"".join(found.read(entry, 0, 10)) == TENSORS[:10], "what it said is not remembered"


def test_a_redirect_that_goes_round_ends(hub: HubDouble) -> None:
    found = folder(hub)
    found.listing()
    asked = len(hub.log)
    hub.instead = [("", 307, {"Location": f"{hub.url}/round/{n}"}) for n in range(50)]
    with pytest.raises(Rejected, match="redirects more than 6 times"):
        found.listing()
    assert len(hub.log) == asked + 7


def test_the_token_is_not_sent_after_the_hub_was_left(hub: HubDouble) -> None:
    """Another server may send back, to have us say who asks."""
    found = folder(hub, token="hf_secret")
    entry = next(e for e in found.listing().entries if e.key == "model.safetensors")
    other = hub.url.replace("127.0.0.1", "localhost")
    hub.instead = [
        ("/resolve/", 302, {"Location": f"{other}/away"}),
        ("/away", 302, {"Location": f"{hub.url}/back"}),
    ]
    with pytest.raises(Flaky, match="404"):
        list(found.read(entry, 0, 10))
    said = {each.path: each.headers.get("authorization") for each in hub.log[-3:]}
    assert said.pop("/away") is None
    assert said.pop("/back") is None
    assert list(said.values()) == ["Bearer hf_secret"]


def test_encryption_is_not_left(hub: HubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    from pierhead.sources.addresses import Http
    from pierhead.sources.redirects import Follower

    class Sent:
        status, headers = 302, {"location": "http://cdn.example/x"}

        def close(self) -> None:
            pass

    asked: list[str] = []

    def send(_self: Http, _method: str, url: str, _headers: object) -> Sent:
        asked.append(url)
        return Sent()

    monkeypatch.setattr(Http, "send", send)
    with pytest.raises(Rejected, match=r"cdn\.example without encryption"):
        Follower(Http(Egress()), "hf://a/b").get("https://hub.example/x", {}, {})
    assert asked == ["https://hub.example/x"]


def test_a_hub_in_a_private_network_needs_permission(hub: HubDouble) -> None:
    own = account(hub)
    closed = Account(replace(own.connection, allow_private=False), own.keys)
    found = opened(HF, closed, lambda _: closed, time.time)
    with pytest.raises(Denied, match="loopback"):
        found.listing()
    assert hub.log == []


def test_a_renewed_token_is_used_at_once(hub: HubDouble) -> None:
    tokens = ["first"]
    current: Callable[[], Account] = lambda: account(hub, token=tokens[-1])  # noqa: E731
    hub.token = "second"
    found = HubFolder(HF, current(), current, Egress(private=True))
    OPEN.append(found)
    with pytest.raises(Denied):
        found.listing()
    tokens.append("second")
    assert found.listing().entries
