"""The door at which gateways wake services: who may, what is read, and what is answered."""

import json
from typing import Any

import pytest
from front_door import an_inside
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pierhead.core.errors import Conflict, NotFound, PierheadError, Unavailable
from pierhead.core.waking import Phase, Waking
from pierhead.web.app import FrontDoor

KEY = {"authorization": "Bearer internal"}
ASKED = json.dumps({"service": "s1"})


class Stage:
    """The front door of a hub that answers what a test says."""

    def __init__(self, answer: Waking | PierheadError) -> None:
        self.asked: list[str] = []
        self._answer = answer
        inside = an_inside(wake=self._wake)
        nobody = Starlette()
        self.door = TestClient(FrontDoor(inside, nobody, nobody, nobody))

    async def _wake(self, service: str) -> Waking:
        self.asked.append(service)
        if isinstance(self._answer, PierheadError):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            Waking(Phase.FETCHING, 42, 12.5, 1),
            {"phase": "fetching", "percent": 42, "seconds": 12.5, "replicas": 1},
        ),
        (
            Waking(Phase.STARTING, None, None, 2),
            {"phase": "starting", "percent": None, "seconds": None, "replicas": 2},
        ),
    ],
)
def test_it_tells_how_far_the_service_is(found: Waking, told: dict[str, Any]) -> None:
    stage = Stage(found)
    for body in (ASKED, json.dumps({"service": "s1", "of": "a newer gateway"})):
        answer = stage.door.post("/internal/wake", content=body, headers=KEY)
        assert (answer.status_code, answer.json()) == (200, told)
    assert stage.asked == ["s1", "s1"]


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (NotFound("service", "s1"), 404),
        (Conflict("service", "foo", "is stopped"), 409),
        (Unavailable("The database", "disk full"), 503),
    ],
)
def test_why_not_is_told(problem: PierheadError, status: int) -> None:
    answer = Stage(problem).door.post("/internal/wake", content=ASKED, headers=KEY)
    assert (answer.status_code, answer.json()) == (status, {"error": str(problem)})


def test_who_has_no_key_wakes_nobody() -> None:
    stage = Stage(Waking(Phase.READY, None, 0.0, 1))
    for headers in ({}, {"authorization": "Bearer wrong"}):
        answer = stage.door.post("/internal/wake", content=ASKED, headers=headers)
        assert answer.status_code == 403
    assert stage.asked == []


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"service": 7}', '{"service": null}', "\xff"])
def test_what_names_no_service_is_refused(body: str) -> None:
    stage = Stage(Waking(Phase.READY, None, 0.0, 1))
    answer = stage.door.post("/internal/wake", content=body, headers=KEY)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert stage.asked == []


def test_only_a_post_wakes() -> None:
    stage = Stage(Waking(Phase.READY, None, 0.0, 1))
    assert stage.door.get("/internal/wake", headers=KEY).status_code == 404
    assert stage.asked == []
