"""The CLI's pure parts: words, durations, new log lines, and the plain form of the long verbs."""

import io
import json
import logging

import pytest
import structlog

from pierhead import telemetry
from pierhead.cli import processes
from pierhead.cli.reports import new_lines
from pierhead.cli.screen import coloured, emit, note, pairs, seconds_of, since, table
from pierhead.settings import BadSetting


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("1h30m", 5400), ("2d", 172800)]
)
def test_durations(text: str, seconds: float):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "1x", "-5s", "h", "1.5h"])
def test_no_durations(text: str):
    with pytest.raises(ValueError, match="no duration"):
        seconds_of(text)


def test_ages():
    noon = 1795262400.0  # 2026-11-21T12:00:00Z
    assert since("2026-11-21T11:59:18Z", noon) == "42s"
    assert since("2026-11-21T11:53:00Z", noon) == "7m"
    assert since("2026-11-21T09:00:00Z", noon) == "3h"
    assert since("2026-11-09T12:00:00Z", noon) == "12d"
    assert since("", noon) == "-"


#: What a tenant may have called something, and what an operator's terminal would have obeyed.
NASTY = "a\x1b[2J\x9b1m\r\n\x07\u202eb\u2028c\x00\x7f\ud800"


def test_law_nobodys_words_command_an_operators_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table(("NAME", "LABELS"), [(NASTY, NASTY)])
    pairs([("name", NASTY)])
    note(NASTY)
    emit({"name": NASTY})
    out, err = capsys.readouterr()
    assert (out + err).replace("\n", "").isprintable()
    assert "a\\u001b[2J" in out and len(out.splitlines()) == 2 + 1 + 3
    assert json.loads("{" + out.partition("{")[2])["name"] == NASTY


def test_a_log_keeps_its_colours_and_nothing_else() -> None:
    assert coloured("\x1b[1;32mok\x1b[0m\tdone") == "\x1b[1;32mok\x1b[0m\tdone"
    assert coloured("\x1b]52;c;eA==\x07\x1b[2J\r") == "\\u001b]52;c;eA==\\u0007\\u001b[2J\\u000d"


def test_a_table_without_a_terminal_is_plain(capsys: pytest.CaptureFixture[str]):
    table(("NAME", "STATUS"), [("a", "Running"), ("longer", "")])
    assert capsys.readouterr().out == "NAME    STATUS\na       Running\nlonger\n"


@pytest.mark.parametrize(
    ("old", "old_total", "now", "now_total", "new"),
    [
        (["a", "b"], 2, ["a", "b", "c"], 3, ["c"]),
        (["a", "b"], 2, ["a", "b"], 2, []),
        (["a", "a"], 2, ["a", "a", "a"], 3, ["a"]),  # repeated lines are not lost
        (["a", "b", "c"], 3, ["b", "c", "d"], 3, ["d"]),  # the log is full
        (["a", "b"], 9, ["x"], 1, ["x"]),  # it was rotated
        ([], 0, [], 0, []),
    ],
)
def test_following_shows_each_line_once(
    old: list[str], old_total: int, now: list[str], now_total: int, new: list[str]
):
    assert list(new_lines(old, old_total, now, now_total)) == new


def test_the_plain_form_of_the_long_verbs(monkeypatch: pytest.MonkeyPatch):
    seen: list[processes.Given] = []
    monkeypatch.setattr(processes, "VERBS", {"up": seen.append, "hub": seen.append})
    act = processes.plainly(
        ["hub", "--stop-replicas-on-exit", "--listen=:1", "--set", "a=b=c", "--die-with-parent=7"]
    )
    assert act is not None
    act()
    assert seen == [
        {"set_": ["a=b=c"], "stop_replicas_on_exit": True, "listen": ":1", "die_with_parent": "7"}
    ]
    assert processes.flags_of(seen[0]) == {
        "a": "b=c",
        "listen": ":1",
        "stop_replicas_on_exit": True,
    }


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["services", "list"],
        ["up", "--help"],
        ["up", "extra"],
        ["up", "--listen"],
        ["up", "--listen", "--region"],
        ["up", "--stop-replicas-on-exit"],
        ["hub", "--die-with-parent=x"],
        ["gateway", "--runtime=kubernetes"],
    ],
)
def test_whatever_is_not_plain_goes_to_the_library(arguments: list[str]):
    assert processes.plainly(arguments) is None


def test_set_needs_a_key_and_a_value():
    with pytest.raises(BadSetting, match="KEY=VALUE"):
        processes.flags_of({"set_": ["x"]})


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_never_reach_a_log_line(form: str):
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    out = io.StringIO()
    telemetry.configure("hub", "info", form, out)
    try:
        log = telemetry.logger("test")
        log.info("made", access_key_secret="S3CRETa", nested={"Authorization": "acs A:S3CRETb"})
        log.info("figures", completion_tokens=12, argv=["--token=S3CRETc"])
        logging.getLogger("uvicorn.error").warning("GET /?token=%s", "S3CRETd")
        logging.getLogger("aiohttp.client").info("postgres://u:S3CRETe@h/x Bearer S3CRETf")
        try:
            raise ValueError("password=S3CRETg")
        except ValueError:
            log.exception("failed")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.reset_defaults()
    text = out.getvalue()
    assert "S3CRET" not in text
    assert "completion_tokens" in text
    assert "12" in text
    assert "failed" in text
    if form == "json":
        lines = [json.loads(line) for line in text.splitlines()]
        assert [line["event"] for line in lines][:2] == ["made", "figures"]
        assert {line["process"] for line in lines} == {"hub"}


def test_bound_ids_are_in_every_line():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    out = io.StringIO()
    telemetry.configure("gateway", "info", "json", out)
    try:
        with structlog.contextvars.bound_contextvars(request_id="R-1", service="eas-m-1"):
            logging.getLogger("aiohttp").info("from a library")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.reset_defaults()
    line = json.loads(out.getvalue())
    assert (line["request_id"], line["service"], line["level"]) == ("R-1", "eas-m-1", "info")


def test_the_hubs_figures():
    figures = telemetry.HubFigures()
    figures.request("ListServices", "OK", 0.003)
    figures.reconciled(0.01)
    figures.reconciled(0.01, "Stale")
    figures.transaction("write", 0.001)
    figures.show({"Running": 2}, {"ready": 3})
    figures.show({"Failed": 1}, {})
    text = figures.exposition()[0].decode()
    assert 'pierhead_requests_total{code="OK",operation="ListServices"} 1.0' in text
    assert 'pierhead_reconcile_passes_total{outcome="Stale"} 1.0' in text
    assert 'pierhead_services{status="Failed"} 1.0' in text
    assert 'status="Running"' not in text
    assert "process_resident_memory_bytes" in text
