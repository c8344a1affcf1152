"""What is told of a remote folder by its names alone, before anything of it is fetched, and who stops fetching."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders import FakeClock
from oss_double import OssDouble
from pierhead.core.connections import Account, Connection, Keys
from pierhead.core.mounts import OssSource
from pierhead.core.services import Hold
from pierhead.core.specs import BUILT_IN
from pierhead.sources.connected import Connected, Ways
from pierhead.sources.listings import NoModel, refused
from pierhead.sources.model_shapes import ModelShapes, connected_place
from pierhead.sources.snapshots import Snapshots
from pierhead.sources.weights import Places
from store_world import KIB, content, options
from tiny_gguf import write_tiny_gguf

PLACE = "oss://models/"
SPEC = BUILT_IN["llama_7b_fp16"]
PATIENCE = 20.0


@pytest.mark.parametrize(
    ("names", "reason", "words"),
    [
        (["llm/a.gguf", "big/b.gguf"], "WeightsMissing", "models in big/, llm/: name one of these"),
        (["llm/a.gguf", "big/b.gguf"], "WeightsMissing", "such as oss://models/big/."),
        (["README.md"], "WeightsMissing", "holds no GGUF model"),
        (["config.json"], "WeightsMissing", "holds no GGUF model"),
        (["a.gguf", "b.gguf"], "WeightsAmbiguous", "(a.gguf, b.gguf); exactly one is needed."),
        (["a.gguf", "b.gguf"], "WeightsAmbiguous", "Name one, such as oss://models/a.gguf."),
        (["a-00001-of-00002.gguf", "b.gguf"], "WeightsAmbiguous", "such as oss://models/b.gguf."),
        ([f"{letter}.gguf" for letter in "abcdefg"], "WeightsAmbiguous", "e.gguf and 2 more)"),
        (["x.safetensors", "sub/config.json"], "WeightsIncomplete", "no config.json beside them"),
        (["config.json", "pytorch_model.bin"], "FormatNotSupported", "pickled"),
    ],
)
def test_names_that_are_not_one_model_are_told(names: list[str], reason: str, words: str) -> None:
    hold = refused(names, PLACE)
    assert hold is not None
    assert (hold.reason, hold.permanent) == (reason, True)
    assert hold.message.startswith(PLACE)
    assert words in hold.message


@pytest.mark.parametrize(
    "names",
    [
        ["a.gguf"],
        ["a.gguf", "other/b.gguf", "config.json", "x.safetensors"],
        ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"],
        ["config.json", "model-00001-of-00002.safetensors", "tokenizer.json"],
        ["a.gguf", "pytorch_model.bin"],
    ],
)
def test_names_that_may_be_one_model_pass(names: list[str]) -> None:
    assert refused(names, PLACE) is None


# ---- over a store ---------------------------------------------------------------------------------------


@pytest.fixture
def double(tmp_path: Path) -> Iterator[OssDouble]:
    (tmp_path / "store" / "models").mkdir(parents=True)
    with OssDouble(tmp_path / "store") as made:
        yield made


def account(double: OssDouble) -> Account:
    made = Connection(
        "models", "oss", bucket="models", endpoint=double.url, region="cn-shanghai",
        access_key_id="AKTEST", allow_private=True,
    )  # fmt: skip
    return Account(made, Keys("SKTEST"))


def test_a_bucket_of_models_is_told_from_its_listing(double: OssDouble, tmp_path: Path) -> None:
    """Law: what is no model is not fetched to find that out."""
    for name in ("llm", "big"):
        double.put(f"models/{name}/m.gguf", content(64 * KIB))
    places = Places(tmp_path / "cache", tmp_path / "models", {})
    found = account(double)
    shapes = ModelShapes(connected_place(places, lambda _: found, time.time))
    double.forget()
    with pytest.raises(NoModel, match=r"There are models in big/, llm/") as told:
        shapes.shape(SPEC, OssSource("models", ""))
    assert told.value.hold.reason == "WeightsMissing"
    assert {row["key"] for row in double.log()} == {""}, "only its listing was asked for"


def test_what_lies_below_a_model_does_not_hide_it(double: OssDouble, tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "m.gguf", SPEC.name)
    double.put("models/m.gguf", (tmp_path / "m.gguf").read_bytes())
    double.put("models/old/m.gguf", content(64 * KIB))
    places = Places(tmp_path / "cache", tmp_path / "models", {})
    found = account(double)
    shapes = ModelShapes(connected_place(places, lambda _: found, time.time))
    shape = shapes.shape(SPEC, OssSource("models", ""))
    assert shape is not None
    assert (shape.architecture, shape.layers) == ("llama", 2)


def test_what_nobody_waits_for_is_fetched_no_further(double: OssDouble, tmp_path: Path) -> None:
    """Law: a service that is deleted ends its download; the next one goes on where it was."""
    raw, source = double.put("models/m.gguf", content(2048 * KIB)), OssSource("models", "")

    async def story() -> Path:
        its = Fetching(tmp_path, account(double))
        double.faults({"kind": "slow", "value": 128 * KIB, "times": 1000, "min_size": 32 * KIB})
        assert isinstance(its.remote.ensure(source), Hold)
        async with asyncio.timeout(PATIENCE):
            await its.moving.wait()
        its.clock.advance(30.0)
        its.remote.ensure(source)  # as the reconciler asks of what it holds
        its.clock.advance(50.0)
        assert its.remote.running(), "somebody asked a moment ago"
        its.clock.advance(11.0)
        await its.wake()
        assert its.remote.running() == []
        double.faults()
        double.forget()
        assert isinstance(its.remote.ensure(source), Hold)
        await its.wake()
        found = its.remote.ensure(source)
        assert not isinstance(found, Hold), found
        return found

    folder = asyncio.run(story())
    assert (folder / "m.gguf").read_bytes() == raw
    assert double.sent() < len(raw), "what was there was kept"


class Fetching:
    """Sources behind one connection, with a clock of their own; it hears when the first bytes come."""

    def __init__(self, folder: Path, found: Account) -> None:
        self.clock, self.woken, self.moving = FakeClock(), asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        snapshots = Snapshots(folder / "cache", self.clock, options())
        mounts = folder / "mounts"
        ways = Ways(lambda _: found, snapshots, snapshots, mounts, heard=self)
        self.remote = Connected(ways, self.clock, self.woken.set)

    def fetching(self, kind: str, count: int) -> None:
        """In the fetch's thread."""
        del kind, count
        self._loop.call_soon_threadsafe(self.moving.set)

    def fetched(self, kind: str, seconds: float, *, failed: bool) -> None:
        """It ended."""

    async def wake(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.woken.wait()
        self.woken.clear()
