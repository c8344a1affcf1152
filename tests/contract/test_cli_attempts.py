"""`pierhead logs --attempt` and `pierhead why`: which lines are shown, and that no text commands a terminal."""

from typing import Any, cast

import pytest

from pierhead.cli import attempts
from pierhead.cli import why as verb
from pierhead.cli.ram_client import RamClient

NASTY = "a\x1b[2J\x9b1m\r\x07\u202eb"


class HubDouble:
    """A double of the hub's answers: the last lines of one run, as many as are asked for."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.asked = 0

    def own(self, action: str, **parameters: str) -> Any:
        """`ListServiceAttempts`."""
        assert action == "ListServiceAttempts"
        self.asked = int(parameters["Lines"])
        shown = self.lines[max(0, len(self.lines) - self.asked) :]
        return {"Attempts": {"Attempt": [{"Lines": {"Line": shown}}]}}


def told(double: HubDouble, **given: Any) -> list[str]:
    found = attempts.attempts(cast("RamClient", double), "svc", **given)
    return found[0]["Lines"]["Line"]


def test_lines_with_a_word_are_looked_for_before_they_are_counted() -> None:
    hub = HubDouble(["error 1", "error 2", "error 3", *["well"] * 300])
    assert told(hub, lines=2, keyword="error") == ["error 2", "error 3"]
    assert hub.asked == attempts.MOST
    assert told(hub, lines=2) == ["well", "well"] and hub.asked == 2
    assert told(hub, lines=5000) == hub.lines and hub.asked == attempts.MOST
    assert told(hub) == [] and told(hub, keyword="error") == []


class EasHubDouble:
    """A double of the hub's answers about one service whose texts mean ill."""

    def describe(self, name: str) -> dict[str, str]:
        return {"ServiceName": name, "Status": "Failed", "Reason": NASTY, "Message": ""}

    def of(self, *_: str) -> dict[str, Any]:
        return {"DiagnosisList": [{"Error": NASTY, "Causes": [NASTY], "Advices": [NASTY]}]}


def test_law_why_prints_nothing_that_a_terminal_obeys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verb, "connect", lambda *_: EasHubDouble())
    monkeypatch.setattr(verb, "find_access", lambda *_: None)
    monkeypatch.setattr(verb, "RamClient", lambda _: HubDouble([]))
    monkeypatch.setattr(verb, "attempts", lambda *_, **__: [])
    verb.why(name="svc")
    out = capsys.readouterr().out
    assert out.count("\\u001b[2J") == 4
    assert all(line.isprintable() for line in out.split("\n"))
