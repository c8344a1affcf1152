"""`pierhead top`: what it shows, in which order, over a pipe and on a terminal, and how it ends."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from cli_stage import Cli, command_line, only_folder
from contract.eas_double import EasDouble
from pierhead.cli import top as verb
from pierhead.cli.client import NoAnswer
from pierhead.cli.ram_client import RamClient


def service(name: str, requests: float = 0.0, **fields: Any) -> dict[str, Any]:
    return {
        "ServiceName": name,
        "WorkspaceId": "",
        "Status": "Running",
        "ReadyInstance": 1,
        "TotalInstance": 2,
        "RequestsPerSecond": requests,
        "ErrorsPerSecond": 0.0,
        "InFlight": 0,
        "Queued": 0,
        "Held": 0,
        "PromptTokensPerSecond": 0.0,
        "TokensPerSecond": 0.0,
        **fields,
    }


BUSY = service(
    "busy",
    1234.4,
    InFlight=5,
    Queued=3,
    Held=1,
    TtftP50=0.0082,
    TtftP95=1.24,
    TokensPerSecond=88.25,
)
SLOW = service("slow", 0.31, TtftP95=30.0, ErrorsPerSecond=2.0, Status="Failed")
IDLE = service("aaa")


def answer(*services: Any, gateways: int = 1) -> dict[str, Any]:
    return {"Gateways": gateways, "Seconds": 10.0, "Services": {"Service": list(services)}}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EasDouble]:
    only_folder(monkeypatch, tmp_path)
    with EasDouble() as double:
        (tmp_path / "credentials.json").write_text(json.dumps(double.credentials()))
        double.answers["ListServiceTraffic"] = lambda _: answer(IDLE, BUSY, SLOW)
        yield double


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    return command_line(monkeypatch, capsys)


def cells(line: str) -> list[str]:
    return re.split(r"  +", line.strip())


def test_once_prints_one_plain_table(hub: EasDouble, cli: Cli) -> None:
    said = cli("top", "--once")
    assert (said.code, said.err) == (0, "")
    head, *lines = said.out.splitlines()
    assert cells(head) == [
        "SERVICE", "STATUS", "READY", "REQ/S", "IN FLIGHT", "QUEUED", "HELD",
        "TTFT P50", "TTFT P95", "TOKENS/S", "ERRORS/S",
    ]  # fmt: skip
    assert [cells(line) for line in lines] == [
        ["busy", "Running", "1/2", "1,234", "5", "3", "1", "8 ms", "1.2 s", "88.2", "0"],
        ["slow", "Failed", "1/2", "0.3", "0", "0", "0", "-", "30.0 s", "0", "2.0"],
        ["aaa", "Running", "1/2", "0", "0", "0", "0", "-", "-", "0", "0"],
    ]
    assert "\x1b" not in said.out


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("requests", ["busy", "slow", "aaa"]),
        ("errors", ["slow", "aaa", "busy"]),
        ("ttft", ["slow", "busy", "aaa"]),
        ("name", ["aaa", "busy", "slow"]),
    ],
)
def test_it_sorts(hub: EasDouble, cli: Cli, sort: str, order: list[str]) -> None:
    said = cli("top", "--once", "--sort", sort)
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == order
    found = json.loads(cli("top", "--json", "--sort", sort).out)
    assert [one["ServiceName"] for one in found["Services"]["Service"]] == order


def test_json_is_the_hubs_answer(hub: EasDouble, cli: Cli) -> None:
    found = json.loads(cli("top", "--json").out)
    assert found["Gateways"] == 1
    assert found["Services"]["Service"][0] == BUSY


def test_without_a_gateway_no_figure_is_made_up(hub: EasDouble, cli: Cli) -> None:
    hub.answers["ListServiceTraffic"] = lambda _: answer(IDLE, gateways=0)
    said = cli("top", "--once")
    assert said.code == 0
    assert "No gateway reports" in said.err and "pierhead gateway" in said.err
    assert cells(said.out.splitlines()[1]) == ["aaa", "Running", "1/2", *["-"] * 8]


def test_a_hub_that_does_not_answer_or_is_older_is_named(
    hub: EasDouble, cli: Cli, tmp_path: Path
) -> None:
    del hub.answers["ListServiceTraffic"]
    said = cli("top")
    assert (said.code, said.out) == (1, "")
    assert "older than `pierhead top`" in said.err
    gone = json.loads((tmp_path / "credentials.json").read_text())
    gone["endpoints"]["eas"] = "http://127.0.0.1:9"
    (tmp_path / "credentials.json").write_text(json.dumps(gone))
    said = cli("top", "--once")
    assert (said.code, said.out) == (1, "")
    assert "No hub answers at http://127.0.0.1:9" in said.err


@pytest.mark.parametrize("arguments", [["--sort", "colour"], ["--interval", "0"], ["more"]])
def test_bad_usage_is_2(hub: EasDouble, cli: Cli, arguments: list[str]) -> None:
    assert cli("top", *arguments).code == 2
    assert hub.requests == []


def test_names_command_no_terminal(hub: EasDouble, cli: Cli) -> None:
    hub.answers["ListServiceTraffic"] = lambda _: answer(service("a\x1b[2Jb"))
    said = cli("top", "--once")
    assert "\x1b" not in said.out and "a\\u001b[2Jb" in said.out


class Answers:
    """A double of the hub's client: answers and failures, one after the other, then Ctrl-C."""

    def __init__(self, *coming: Any) -> None:
        self.coming = list(coming)

    def own(self, action: str) -> Any:
        assert action == "ListServiceTraffic"
        if not self.coming:
            raise KeyboardInterrupt
        found = self.coming.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


class Time:
    """Passes when somebody sleeps."""

    now = 0.0

    def pace(self) -> verb.Pace:
        return verb.Pace(1.0, lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_over_a_pipe_it_prints_a_table_each_time_until_ctrl_c(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub = Answers(answer(service("a", 1.0)), answer(service("a", 2.0)))
    view = verb.View(answer(service("a")), verb.Sort.REQUESTS)
    verb.follow(cast("RamClient", hub), view, Time().pace())
    said = capsys.readouterr()
    tables = said.out.strip().split("\n\n")
    assert [cells(table.splitlines()[2])[3] for table in tables] == ["0", "1.0", "2.0"]
    assert tables[1].startswith("1 service, 1 gateway: 1.0 requests/s, 0 in flight, 0 tokens/s")
    assert "\x1b" not in said.out and said.err == ""


def test_a_hub_that_goes_away_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    away = NoAnswer("No hub answers at X.")
    hub = Answers(away, away, away, answer(service("a", 2.0)))
    view = verb.View(answer(service("a", 1.0)), verb.Sort.REQUESTS)
    verb.follow(cast("RamClient", hub), view, Time().pace())
    said = capsys.readouterr()
    assert said.out.count("SERVICE") == 2
    assert said.err.splitlines() == [
        "No hub answers at X. These figures are 1 s old.",
        "No hub answers at X. These figures are 2 s old.",
        "No hub answers at X. These figures are 3 s old.",
    ]


def pierhead(tmp_path: Path, *arguments: str) -> tuple[str, ...]:
    return (
        sys.executable,
        "-W",
        "error",
        "-m",
        "pierhead",
        *arguments,
        "--data-dir",
        str(tmp_path),
    )


def test_ctrl_c_and_a_reader_that_has_seen_enough_end_it_with_0(
    hub: EasDouble, tmp_path: Path
) -> None:
    def begin() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            pierhead(tmp_path, "top", "--interval", "0.2"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    for end in ("signal", "close"):
        process = begin()
        assert process.stdout is not None
        assert "3 services" in process.stdout.readline()
        if end == "signal":
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
        else:
            process.stdout.close()
            assert process.stderr is not None
            err = process.stderr.read()
            process.stderr.close()
            process.wait(30)
        assert (process.returncode, err) == (0, ""), end


def test_on_a_terminal_it_draws_in_place_and_leaves_it_as_it_was(
    hub: EasDouble, tmp_path: Path
) -> None:
    many = [service(f"s{number:03}") for number in range(60)]
    hub.answers["ListServiceTraffic"] = lambda _: answer(BUSY, *many)
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "140", "LINES": "20"}
    process = subprocess.Popen(
        pierhead(tmp_path, "top", "--interval", "0.2"),
        stdin=slave, stdout=slave, stderr=slave, env=environment,
    )  # fmt: skip
    os.close(slave)
    seen = b""
    try:
        deadline = time.monotonic() + 30
        while seen.count(b"busy") < 2:
            assert time.monotonic() < deadline, seen
            seen += _more(master)
        process.send_signal(signal.SIGINT)
        while chunk := _more(master):
            assert time.monotonic() < deadline + 30, "it does not end"
            seen += chunk
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    text = seen.decode()
    assert "and 46 more services" in text and "s013" in text and "s014" not in text
    assert text.count("\x1b[?1049h") == text.count("\x1b[?1049l") == 1, (
        "the screen before it is back"
    )
    assert "\x1b[?25h" in text, "and its cursor"


def _more(master: int) -> bytes:
    """What a terminal is sent next; b"" once nobody sends any more."""
    if not select.select([master], [], [], 5)[0]:
        return b""
    try:
        return os.read(master, 65536)
    except OSError:
        return b""
