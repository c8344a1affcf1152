"""The hub dies by SIGKILL while it fetches a service's weights: the next one goes on, and nobody notices."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from broken_things import KEY, SECRET, verb
from lone_hub import Hub, exactly
from observer import watching
from stage import Count, Stage, document, until

from oss_double import OssDouble
from pierhead.failpoint import POINTS

MIB = 1 << 20
SIZE = 3 * MIB + 17
#: Passed on the way from a bucket to a service's folder; weights that go are test_download_faults' matter.
STEPS = sorted(
    {p for p in POINTS if p.startswith(("snapshot.", "download."))} - {"snapshot.after_set_aside"}
)


@pytest.fixture
def double(tmp_path: Path) -> Iterator[OssDouble]:
    (tmp_path / "store").mkdir()
    with OssDouble(tmp_path / "store") as made:
        yield made


def connect(stage: Stage, double: OssDouble, folder: Path) -> None:
    secret = folder / "secret"
    secret.write_text(SECRET)
    where = ("--bucket", "weights", "--endpoint", double.url, "--region", "cn-shanghai")
    keys = ("--access-key-id", KEY, "--access-key-secret-file", str(secret), "--allow-private")
    verb(stage, "storage", "add", "oss", "weights", *where, *keys)


def create(stage: Stage, name: str, prefix: str) -> None:
    """A service that mounts what lies under a prefix of the bucket."""
    body = document(name, mark=stage.folder)
    body["storage"] = [{"oss": {"path": f"oss://weights/{prefix}/"}, "mount_path": "/model"}]
    stage.client.call("CreateService", "POST", "/api/v2/services", body=body)


def test_cut_off_at_every_step_of_a_fetch_the_weights_come_whole(
    stage: Stage, double: OssDouble, tmp_path: Path, record_property: Count
) -> None:
    """Law: a hub that dies while weights come leaves nothing wrong, and the next one fetches what is missing;
    others serve on (F01, F18)."""
    hub = Hub(stage, f"--set=cache_dir={cache_of(stage)}")
    stage.start("gateway")
    stage.ready()
    connect(stage, double, tmp_path)
    stage.create("steady")
    stage.running("steady")
    before = stage.replicas("steady")
    with watching(stage.folder, "steady") as finish:
        for number, point in enumerate(STEPS):
            one_fetch(hub, double, f"svc{number}", point)
        record = finish()
    assert record.failed("steady") == []
    assert stage.replicas("steady") == before
    record_property("kills", len(STEPS))


def one_fetch(hub: Hub, double: OssDouble, name: str, point: str) -> None:
    """Fetch something new, and die at the point; in the end it is there once, and goes."""
    stage = hub.stage
    content = random.Random(point).randbytes(SIZE)
    double.put(f"weights/{name}/model.bin", content)
    double.forget()
    hub.arm(f"{point}:kill")
    create(stage, name, name)
    hub.died()
    hub.start()
    stage.running(name)
    cached = [file.read_bytes() for file in cache_of(stage).rglob("model.bin") if file.is_file()]
    assert cached.count(content) == 1, f"{point}: {[len(each) for each in cached]}"
    assert double.sent() <= SIZE + MIB, f"{point}: {double.sent() - SIZE} bytes were fetched twice"
    stage.delete(name)
    until(lambda: stage.is_gone(name) and exactly(stage, name, 0), f"{point}: {name} is left")


def cache_of(stage: Stage) -> Path:
    """Where weights are kept."""
    return stage.folder / "cache"
