"""The registry through the ZStack door with 1,000 and with 10,000 templates: hub CPU per call.

Both hubs run at once and take turns within a round, so that the ratio is one of like and like. The
templates are put into the database before the hub starts; the client is logged in, so no call
pays for a signature.
"""

import hashlib
import http.client
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Connection

from bench.figures import Figure, figure
from bench.platforms import Running, hub
from bench.processes import MB, memory, spending, until
from bench.rounds import rounds
from pierhead.core.registry import ArchitectureImage, RegisteredTemplate, ResourceType, Tag
from pierhead.settings import Settings
from pierhead.store import db, tags, templates

FEW, MANY = 1_000, 10_000
PAGE = 50
#: As many templates have the tag that is asked for, however many there are in all.
TAGGED = 50
ROUNDS, SECONDS = 12, 40.0
ADDS, QUERIES = 25, 40  # calls per round
LEVEL = 1.2  #: how much dearer a call may be with ten times as many templates

CENTERS, TEMPLATES = "/v1/ai/model-centers", "/v1/ai/model-services"
YAML = "services:\n  - name: bench:1.0.0\n    ports: [3000]\n    livez: /health\n"


def measure(folder: Path) -> list[Figure]:
    """Both sizes, call by call, and how they compare."""
    with ExitStack() as stack:
        doors: dict[int, Door] = {}
        for count in (FEW, MANY):
            running = stack.enter_context(_filled(folder, count))
            doors[count] = stack.enter_context(Door(running))
        for door in doors.values():
            _quiet(door)
        spent: dict[tuple[str, int], list[float]] = {}
        for turn in rounds(ROUNDS + 1, SECONDS):
            for count, door in doors.items():
                for what, milliseconds in _round(door, count, turn).items():
                    if turn:  # the first one warms up
                        spent.setdefault((what, count), []).append(milliseconds)
        held = memory(doors[MANY].running.hub)
    return [
        *_figures(spent),
        figure(f"hub memory, {MANY:,} templates", "MB", [held.rss / MB]),
    ]


def _figures(spent: dict[tuple[str, int], list[float]]) -> list[Figure]:
    goals = {"add": 4.0, "page": 3.0}
    names = {
        "add": "AddModelService",
        "page": f"QueryModelService, {PAGE} rows",
        "middle": f"QueryModelService, {PAGE} rows from the middle of 1,000",
        "counted": f"QueryModelService, {PAGE} rows and the total",
        "name": "QueryModelService by name",
        "tag": f"QueryModelService by user tag, {PAGE} rows",
    }
    found: list[Figure] = []
    for what, name in names.items():
        few, many = spent[what, FEW], spent[what, MANY]
        ratios = [dear / cheap for dear, cheap in zip(many, few, strict=True)]
        level = LEVEL if what in goals else None
        found.append(figure(f"{name}; {FEW:,} templates", "ms", few, goals.get(what)))
        found.append(figure(f"{name}; {MANY:,} templates", "ms", many, goals.get(what)))
        found.append(
            figure(f"{name}; {MANY:,} to {FEW:,}", "times", ratios, level, note="by round")
        )
    return found


def _round(door: "Door", count: int, turn: int) -> dict[str, float]:
    made: list[str] = []
    numbers = iter(range(ADDS))
    found = {"add": _per_call(door, ADDS, lambda: made.append(door.add(turn, next(numbers))))}
    for uuid in made:
        door.call("DELETE", f"{TEMPLATES}/{uuid}")
    asked: dict[str, tuple[int, dict[str, str]]] = {
        "page": (PAGE, {"limit": str(PAGE)}),
        "middle": (PAGE, {"limit": str(PAGE), "start": str(FEW // 2)}),
        "counted": (PAGE, {"limit": str(PAGE), "replyWithCount": "true"}),
        "name": (1, {"q": f"name={_name(count // 2)}"}),
        "tag": (TAGGED, {"q": "__userTag__=bench=tagged", "limit": str(PAGE)}),
    }
    for what, (rows, query) in asked.items():
        seen = door.query(query)
        if len(seen) != rows:
            raise RuntimeError(f"{what}: {len(seen)} rows, not {rows}")
        found[what] = _per_call(door, QUERIES, lambda query=query: door.query(query))
    return {what: seconds * 1000 for what, seconds in found.items()}


def _per_call(door: "Door", count: int, call: Callable[[], object]) -> float:
    with spending(door.running.hub) as spent:
        for _ in range(count):
            call()
    return spent.cpu / count


def _quiet(door: "Door") -> None:
    """Until the hub spends less than a twentieth of a core: it has looked at what it found."""

    def calm() -> bool:
        with spending(door.running.hub) as spent:
            time.sleep(0.25)
        return spent.cpu < 0.05 * spent.wall

    until(calm, 60, "the hub's rest", 0.0)


def _filled(folder: Path, count: int) -> AbstractContextManager[Running]:
    """A hub on a database of its own with `count` templates in it."""
    place = folder / f"registry-{count}"
    with hub(place) as first, Door(first) as door:
        # The hub itself makes the tables, the zone and the center.
        center = door.center
        owner = first.credentials["account_id"]
    engine = db.connect(Settings.load({"data_dir": place}, {}).database, writing=True)
    try:
        db.run(engine, _fill, count, center, owner)
    finally:
        engine.dispose()
    return hub(place)


def _fill(tx: Connection, count: int, center: str, owner: str) -> None:
    began = time.time() - count
    step = count // TAGGED
    for number in range(count):
        uuid, at = _uuid("template", number), began + number
        image = ArchitectureImage(
            _uuid("image", number), "X86_64", "registry/bench:1", None, at, at
        )
        templates.add(
            tx,
            RegisteredTemplate(
                uuid=uuid,
                name=_name(number),
                yaml=YAML,
                request_cpu=1,
                request_memory=1024,
                center=center,
                install_path="",
                start_command="python3 server.py",
                owner=owner,
                created=at,
                updated=at,
                description="One of many.",
                images=(image,),
                size_given=True,
                readme_given=True,
            ),
        )
        texts = ["bench=all", "bench=tagged"] if number % step == 0 else ["bench=all"]
        for text in texts:
            tag = _uuid(text, number)
            tags.add(
                tx,
                Tag(tag, uuid, ResourceType.TEMPLATE, text, system=False, created=at, updated=at),
            )


def _name(number: int) -> str:
    return f"bench_{number:05d}"


def _uuid(kind: str, number: int) -> str:
    return uuid5(NAMESPACE_URL, f"pierhead:bench:{kind}:{number}").hex


class Door:
    """A client over one kept-alive connection, logged in as the administrator."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self._connection = http.client.HTTPConnection(running.listen, timeout=30)
        self._used = time.monotonic()
        self._headers: dict[str, str] = {}
        login = running.credentials["zstack"]
        password = hashlib.sha512(login["password"].encode()).hexdigest()
        body = {"logInByAccount": {"accountName": login["account"], "password": password}}
        session = self.call("PUT", "/v1/accounts/login", body)["inventory"]["uuid"]
        self._headers = {"Authorization": f"OAuth {session}"}
        #: The hub's own model center.
        self.center: str = self.call("GET", CENTERS, {"limit": 1})["inventories"][0]["uuid"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add(self, turn: int, number: int) -> str:
        """AddModelService; gives the new uuid."""
        param = {
            "name": f"added_{turn}_{number}",
            "description": "One more.",
            "yaml": YAML,
            "requestCpu": 1,
            "requestMemory": 1024,
            "modelCenterUuid": self.center,
            "installPath": "",
            "startCommand": "python3 server.py",
            "architectureImages": [{"cpuArchitecture": "X86_64", "dockerImage": "registry/x:1"}],
            "userTags": ["bench=added"],
        }
        return self.call("POST", TEMPLATES, {"param": param})["inventory"]["uuid"]

    def query(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """QueryModelService."""
        return self.call("GET", TEMPLATES, query)["inventories"]

    def call(self, method: str, path: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call; `given` is the query of a GET and else the body."""
        target, content = f"/zstack{path}", None
        if given and method == "GET":
            target += f"?{urlencode(given)}"
        elif given:
            content = json.dumps(given).encode()
        self._revive()
        self._connection.request(method, target, content, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def _revive(self) -> None:
        """A connection that was idle is made anew: the hub closes such ones."""
        if time.monotonic() - self._used > 2.0:
            self._connection.close()
        self._used = time.monotonic()
