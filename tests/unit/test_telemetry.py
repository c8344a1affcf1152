"""Log lines: one event is one line whatever is in it, and no secret is in any."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from pierhead import telemetry

NASTY = "a\r\nforged line \x1b[31mred\x9b2J\u2028\u202e"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(form: str, **fields: object) -> list[str]:
    out = io.StringIO()
    telemetry.configure("test", "info", form, out)
    telemetry.logger("test").info("call", **fields)
    logging.getLogger("other").warning("said %s", fields.get("text", ""))
    return out.getvalue().split("\n")[:-1]


@pytest.mark.parametrize("form", ["json", "console"])
def test_law_no_name_forges_a_line_or_drives_a_terminal(form: str) -> None:
    found = lines(form, text=NASTY, inner={"agent": NASTY}, several=[NASTY])
    assert len(found) == 2
    assert len("\n".join(found).splitlines()) == 2
    assert not any(character in line for line in found for character in "\x1b\x9b\u2028\u202e\r")


@pytest.mark.parametrize("form", ["json", "console"])
def test_law_no_secret_is_logged(form: str) -> None:
    secret = "s3cr3t-Value-90210"
    found = "\n".join(
        lines(
            form,
            password=secret,
            AccessKeySecret=secret,
            headers={"Authorization": f"Bearer {secret}", "x-acs-security-token": secret},
            text=f"Bearer {secret} acs AK:{secret} OAuth {secret} --api-key {secret}",
            url=f"https://u:{secret}@h/?token={secret}",
        )
    )
    assert secret not in found
    assert "call" in found


def test_a_traceback_keeps_its_lines_but_no_controls() -> None:
    out = io.StringIO()
    telemetry.configure("test", "info", "console", out)
    try:
        raise ValueError("password=hunter2hunter \x1b[2J")
    except ValueError:
        telemetry.logger("test").exception("failed")
    text = out.getvalue()
    assert "hunter2hunter" not in text and "\x1b" not in text and text.count("\n") > 3


def test_figures_stay() -> None:
    (line, _) = lines("json", completion_tokens=12, tokens=[1, 2])
    assert json.loads(line)["completion_tokens"] == 12
