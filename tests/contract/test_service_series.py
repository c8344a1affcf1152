"""Figures over time: files of fixed size that survive, what is written to them, and who may read them."""

import asyncio
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isnan
from pathlib import Path

import psutil
import pytest
from ram_world import KEY, World, as_key, serving

from builders import a_replica, a_service
from made_database import made_sqlite
from pierhead.cli.client import Access, HubRefused, Json
from pierhead.cli.ram_client import RamClient
from pierhead.core.principals import AccessKey
from pierhead.core.replicas import ReplicaState
from pierhead.core.series import NAMES, STEP
from pierhead.core.services import Seen, Service, Wanted
from pierhead.core.traffic import ServiceFigures, Traffic, step
from pierhead.operations.recording import Recording
from pierhead.runtimes.base import Footprint
from pierhead.runtimes.process.footprint import footprints
from pierhead.store import seen as seen_rows
from pierhead.store import services as rows
from pierhead.store.series import SeriesFiles

ONE, OTHER = "a" * 32, "b" * 32
T = 179_000_000  #: a tick of 2026
VALUES = tuple(float(number) for number in range(len(NAMES)))


def first(files: SeriesFiles, tick: int) -> list[float]:
    return [values[0] for _, values in files.read(ONE, tick, tick + 1)]


# ---- the files -----------------------------------------------------------------------------------


def test_a_day_of_a_service_takes_half_a_mebibyte_and_no_more(tmp_path: Path) -> None:
    files = SeriesFiles(tmp_path / "series", 24)
    for tick in range(T, T + 8640 + 50, 7):
        files.write(tick, {ONE: VALUES})
    (file,) = (tmp_path / "series").iterdir()
    assert file.stat().st_size == files.file_bytes == 8641 * 64
    assert file.stat().st_mode & 0o077 == 0
    found = list(files.read(ONE, T, T + 8640 + 50))
    assert found[0][0] >= T + 50 and tuple(found[-1][1]) == VALUES  # the oldest ones made room
    assert [tick for tick, _ in found] == sorted(tick for tick, _ in found)


def test_what_was_written_is_there_after_a_restart_and_gaps_are_gaps(tmp_path: Path) -> None:
    SeriesFiles(tmp_path, 1).write(T, {ONE: VALUES, OTHER: VALUES})
    again = SeriesFiles(tmp_path, 1)
    again.write(T + 2, {ONE: VALUES})
    assert [tick for tick, _ in again.read(ONE, T - 5, T + 5)] == [T, T + 2]
    assert list(again.read("c" * 32, T, T + 1)) == []
    # A whole round later the same place is of another time.
    assert list(again.read(ONE, T + 360, T + 365)) == []


@pytest.mark.parametrize(
    "damage", [b"", b"short", b"\0" * (361 * 64), b"PHRING00" + b"\1" * (361 * 64 - 8)]
)
def test_a_file_of_another_kind_gives_way(tmp_path: Path, damage: bytes) -> None:
    files = SeriesFiles(tmp_path, 1)
    (tmp_path / f"{ONE}.ring").write_bytes(damage)
    assert list(files.read(ONE, T, T + 1)) == []
    files.write(T, {ONE: VALUES})
    assert first(files, T) == [0.0]
    longer = SeriesFiles(tmp_path, 2)  # another length begins anew
    assert first(longer, T) == []
    longer.write(T + 1, {ONE: VALUES})
    assert first(longer, T + 1) == [0.0]


def test_files_go_with_their_service(tmp_path: Path) -> None:
    files = SeriesFiles(tmp_path / "series", 1)
    files.keep(())  # nothing is there yet
    files.write(T, {ONE: VALUES, OTHER: VALUES})
    (tmp_path / "series" / f"{OTHER}.part").touch()  # a crash left it
    (tmp_path / "series" / "lost+found").mkdir()  # a file system has it at its top
    files.keep({ONE})
    left = {file.name for file in (tmp_path / "series").iterdir()}
    assert left == {f"{ONE}.ring", "lost+found"}
    with pytest.raises(ValueError, match="no service's id"):
        files.write(T, {"../escape": VALUES})


# ---- what is written, and who reads it -------------------------------------------------------------


@dataclass
class Hub:
    """A platform behind a port that keeps figures."""

    world: World
    folder: Path
    taken: dict[int, Footprint] = field(default_factory=dict[int, Footprint])
    traffic: Traffic = field(default_factory=lambda: Traffic(1))

    def __post_init__(self) -> None:
        self.files = SeriesFiles(self.folder, 1)
        self.world.platform = replace(
            self.world.platform, series=self.files, traffic=lambda: self.traffic
        )
        self.now = float(T * STEP + 3)
        platform = replace(self.world.platform, clock=lambda: self.now)
        self.recording = Recording(platform, self.files, self.footprints)

    def footprints(self, pids: Collection[int]) -> Mapping[int, Footprint]:
        return {pid: one for pid, one in self.taken.items() if pid in pids}

    def service(self, name: str, *pids: int, wanted: Wanted = Wanted.RUNNING) -> Service:
        made = a_service(name=name, wanted=wanted, replicas=2)
        replicas = tuple(
            a_replica(id=f"{name}-{pid}", service=made.id, state=ReplicaState.READY, pid=pid)
            for pid in pids
        )
        asyncio.run(self.world.db.write(rows.add, made))
        asyncio.run(self.world.db.write(seen_rows.save, made.id, Seen(replicas=replicas)))
        return made

    def sample(self) -> None:
        asyncio.run(self.recording.sample())
        self.now += STEP

    def told(self, service: Service) -> list[dict[str, float]]:
        return [
            dict(zip(NAMES, values, strict=True))
            for _, values in self.files.read(service.id, T, T + 100)
        ]

    def client(self, key: AccessKey = KEY) -> RamClient:
        return RamClient(Access(f"http://{self.world.address}", "local", key))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    url = made_sqlite(tmp_path / "pierhead.db")
    found = Hub(World(url), tmp_path / "series")
    with serving(found.world):
        yield found


def test_a_sample_has_what_gateways_and_the_machine_tell(hub: Hub) -> None:
    busy, idle = hub.service("busy", 11, 12), hub.service("idle")
    stopped = hub.service("stopped", wanted=Wanted.STOPPED)
    hub.traffic = Traffic(
        1,
        {
            busy.id: ServiceFigures(
                requests=2.5, errors=0.5, tokens=40.0, in_flight=3, queued=1, held=2,
                ttft={step(0.1): 9}, seconds={step(2.0): 9}, gaps={2: 5},
            )
        },
    )  # fmt: skip
    for seconds in (100.0, 115.0):
        hub.taken = {11: Footprint(seconds, 1000), 12: Footprint(seconds, 500)}
        hub.sample()
    unknown, known = hub.told(busy)
    assert isnan(unknown["CpuCores"]) and unknown["MemoryBytes"] == 1500
    assert known["CpuCores"] == pytest.approx(3.0)
    exact = {"Qps": 2.5, "ErrorsPerSecond": 0.5, "TokensPerSecond": 40.0, "InFlight": 3}
    exact |= {"Queued": 1, "Held": 2, "Ready": 2, "Wanted": 2}
    assert {name: known[name] for name in exact} == exact
    assert 0.08 < known["TtftP50"] <= known["TtftP95"] <= 0.1 + 1e-6
    assert 1.5 < known["P50"] <= known["P95"] <= 2.0 + 1e-6
    assert 0.0025 < known["InterTokenP50"] <= 0.005 + 1e-6
    calm = hub.told(idle)[0]
    assert (calm["Qps"], calm["Ready"], calm["MemoryBytes"]) == (0.0, 0.0, 0.0)
    assert isnan(calm["P95"])
    assert hub.told(stopped) == []
    hub.traffic = Traffic()
    hub.sample()
    assert isnan(hub.told(busy)[-1]["Qps"]), "without a gateway nobody knows"
    asyncio.run(hub.world.db.write(rows.remove, idle.id, idle.revision))
    hub.sample()
    assert [file.stem for file in hub.folder.iterdir()] == [busy.id]


def test_a_disk_that_refuses_stops_nothing(hub: Hub) -> None:
    busy = hub.service("busy")
    hub.folder.write_text("in the way")
    hub.sample()
    hub.folder.unlink()
    hub.sample()
    assert len(hub.told(busy)) == 1


def test_a_replica_counts_with_all_that_it_started() -> None:
    """The child takes a round of CPU and 30 MB; who asks about the parent is told of both."""
    work = "x = bytearray(30_000_000); sum(range(3_000_000)); print(flush=True); input()"
    start = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    argv = (sys.executable, "-c", start, work)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        found = footprints({parent.pid, 2**22 + 1})
        alone = psutil.Process(parent.pid).memory_info().rss
        parent.communicate(b"\n", timeout=60)
    assert found.keys() == {parent.pid}
    assert found[parent.pid].memory > alone + 30_000_000
    assert found[parent.pid].cpu_seconds >= 0.02
    assert footprints({parent.pid}) == {}


def test_whoever_may_see_a_service_reads_its_series(hub: Hub) -> None:
    service = hub.service("busy")
    now = hub.now = hub.world.clock() // STEP * STEP - 30
    hub.traffic = Traffic(1, {service.id: ServiceFigures(requests=1.5)})
    for _ in range(3):
        hub.sample()

    def asked(client: RamClient, **more: str) -> Json:
        return client.own("GetServiceSeries", ServiceName="busy", **more)

    root = hub.client()
    found = asked(root, Metrics="Qps,P95")
    assert (found["Step"], found["Series"].keys()) == (10, {"Qps", "P95"})
    at = int(now - found["Start"]) // 10
    assert found["Series"]["Qps"][at : at + 3] == [1.5, 1.5, 1.5]
    assert found["Series"]["Qps"][0] is None and set(found["Series"]["P95"]) == {None}
    assert asked(root).get("Series", {}).keys() == set(NAMES)
    since = str(int(now) - 600)
    coarse = asked(root, Since=since, Until=str(int(now) + 60), Step="60", Metrics="Qps")
    assert coarse["Step"] == 60 and 1.5 in coarse["Series"]["Qps"]
    iso = asked(root, Since="2026-01-01T00:00:00Z", Until="2026-01-02T00:00:00Z", Metrics="Qps")
    assert (iso["Start"], iso["Step"], len(iso["Series"]["Qps"])) == (1767225600, 120, 720)
    month = asked(root, Metrics="Qps", Step="2678400")  # a point that goes on for weeks
    assert month["Series"]["Qps"][-1] == 1.5

    statement = {"Effect": "Allow", "Action": ["eas:DescribeService"], "Resource": "*"}
    looks = hub.client(as_key(hub.world.user("looks", statement)))
    assert asked(looks, Metrics="Qps")["Step"] == 10
    nobody = hub.client(as_key(hub.world.user("nobody")))
    for client, given, code in (
        (nobody, {}, "NoPermission"),
        (root, {"Metrics": "Nope"}, "InvalidParameter"),
        (root, {"Since": "yesterday"}, "InvalidParameter"),
        (root, {"Since": "9999999999", "Until": "1"}, "InvalidParameter"),
        (root, {"Since": "1", "Step": "10"}, "InvalidParameter.Step"),
        (root, {"Step": "ten"}, "InvalidParameter.Step"),
    ):
        with pytest.raises(HubRefused) as caught:
            asked(client, **given)
        assert caught.value.code == code, given
    with pytest.raises(HubRefused) as caught:
        root.own("GetServiceSeries", ServiceName="none_such")
    assert caught.value.code == "EntityNotExist.Service"
