"""The verbs on groups against a double of the EAS API: output, exit codes, what goes on the wire."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_stage import Cli, command_line, only_folder
from contract.eas_double import EasDouble


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EasDouble]:
    only_folder(monkeypatch, tmp_path)
    with EasDouble() as double:
        (tmp_path / "credentials.json").write_text(json.dumps(double.credentials()))
        yield double


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    return command_line(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (("--weight", "5"), {"Weight": 5}),
        (("--weight", "-1"), {"Weight": -1}),
        (("--traffic", "standalone"), {"TrafficState": "standalone"}),
        (("--weight", "0", "--traffic", "grouping"), {"Weight": 0, "TrafficState": "grouping"}),
    ],
)
def test_release_says_what_was_asked_and_nothing_else(
    hub: EasDouble, cli: Cli, words: tuple[str, ...], body: dict[str, object]
) -> None:
    hub.add("chat")
    said = cli("services", "release", "chat", *words)
    assert said.code == 0
    assert "release" in said.out
    method, path, _, document = hub.requests[-1]
    assert (method, path) == ("PUT", "/api/v2/services/local/chat/release")
    assert document == body


@pytest.mark.parametrize("words", [(), ("--weight", "1001"), ("--traffic", "both")])
def test_what_is_no_release_is_not_sent(hub: EasDouble, cli: Cli, words: tuple[str, ...]) -> None:
    hub.add("chat")
    assert cli("services", "release", "chat", *words).code == 2
    assert hub.requests == []


def test_groups_are_listed_with_their_members(hub: EasDouble, cli: Cli) -> None:
    hub.add("blue", ServiceGroup="team", Weight=95, TrafficState="grouping")
    hub.add("green", ServiceGroup="team", Weight=-1, TrafficState="standalone")
    hub.add("alone", ServiceGroup="")
    team = {"Name": "team", "TrafficMode": "customized"}
    hub.answers["GET groups"] = lambda _: {"Groups": [team], "TotalCount": 1}
    said = cli("services", "groups")
    assert said.code == 0
    heading, *rows = (line.split() for line in said.out.splitlines())
    assert heading == ["GROUP", "MODE", "SERVICE", "STATUS", "READY", "TRAFFIC", "WEIGHT"]
    assert rows == [
        ["team", "customized", "blue", "Running", "1/1", "grouping", "95"],
        ["team", "customized", "green", "Running", "1/1", "standalone", "by", "replicas"],
    ]
    (found,) = json.loads(cli("services", "groups", "--json").out)["Groups"]
    assert [one["ServiceName"] for one in found["Services"]] == ["blue", "green"]
