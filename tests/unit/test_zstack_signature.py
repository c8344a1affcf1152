"""Access keys on the ZStack wire: what real clients signed is accepted, and nothing near it."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.errors import WrongLogin
from pierhead.core.principals import AccessKey, Principal
from pierhead.dialects.zstack import signature
from pierhead.dialects.zstack.calls import Signed
from pierhead.dialects.zstack.errors import TextRefusal

FILE = json.loads((Path(__file__).parent / "zstack_signatures.json").read_text())
OWNER = Principal("1000000000000001", "1000000000000001")
KEY = AccessKey(FILE["access_key_id"], FILE["access_key_secret"], OWNER)
#: Sat, 21 Nov 2026 19:35:07 UTC
NOW = 1_795_289_707.0
DATE = "Sat, 21 Nov 2026 19:35:07 Etc/UTC"


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hub's own zone; the tests that are about it set another one."""
    yield from zone(monkeypatch, "UTC")


def zone(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


def signed(
    raw_path: str = "/v1/ai/model-services",
    *,
    method: str = "GET",
    date: str = DATE,
    over: str | None = None,
    secret: str = KEY.secret,
    key: str = KEY.id,
) -> Signed:
    """A request, signed over `over` in place of its path if given."""
    text = f"{method}\n{date}\n{raw_path if over is None else over}".encode()
    made = base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha1).digest()).decode()
    headers = {"authorization": f"ZStack {key}:{made}", "date": date}
    return Signed(method, raw_path, raw_path, headers)


def judged(request: Signed, key: AccessKey | None = KEY, now: float = NOW) -> Principal:
    async def find(name: str) -> AccessKey | None:
        return key if key is not None and key.id == name else None

    return asyncio.run(signature.Judge(find, lambda: now)(request))


@pytest.mark.parametrize("request_", FILE["requests"], ids=lambda request_: request_["id"])
def test_what_a_real_client_signed(request_: dict[str, Any]) -> None:
    headers = {"authorization": request_["authorization"], "date": request_["date"]}
    path = request_["target"].removeprefix("/zstack")
    request = Signed(request_["method"], path, path, headers)
    assert signature.strings(request) == [request_["string_to_sign"].encode()]
    assert judged(request) == OWNER


@pytest.mark.parametrize(
    ("sent", "over"),
    [
        ("/v1/ai/model-services/", "/v1/ai/model-services/"),
        ("/v1//x/", "/v1//x/"),
        ("/v1/a%20b", "/v1/a%20b"),
        ("/v1/a%20b", "/v1/a b"),
        ("/v1/%E5%AF%B9", "/v1/对"),
        ("/v1/a%2Fb", "/v1/a/b"),
    ],
)
def test_the_path_counts_as_it_is_sent_and_as_decoded(sent: str, over: str) -> None:
    assert judged(signed(sent, over=over)) == OWNER


@pytest.mark.parametrize(
    ("sent", "over"),
    [
        ("/v1/x", "/v1/x/"),
        ("/v1/x/", "/v1/x"),
        ("/v1/x", "/zstack/v1/x"),
        ("/v1/x", "/x"),
        ("/v1/x", "/v1/x?limit=1"),
        ("/v1/x", "/v1/X"),
    ],
)
def test_another_path_is_another_request(sent: str, over: str) -> None:
    with pytest.raises(WrongLogin, match="wrong accessKey signature"):
        judged(signed(sent, over=over))


def test_every_part_is_signed() -> None:
    good = signed()
    assert judged(good) == OWNER
    other_method = replace(good, method="DELETE")
    other_date = replace(good, headers={**good.headers, "date": DATE.replace("07", "08")})
    other_secret = signed(secret="testAccessKeySecret0002")
    for request in (other_method, other_date, other_secret):
        with pytest.raises(WrongLogin, match="wrong accessKey signature"):
            judged(request)


@given(st.text(max_size=60))
def test_no_header_opens_but_the_right_one(text: str) -> None:
    good = signed()
    for authorization in (text, f"ZStack {text}", f"ZStack {KEY.id}:{text}"):
        with pytest.raises(WrongLogin):
            judged(replace(good, headers={**good.headers, "authorization": authorization}))


@pytest.mark.parametrize(
    "key",
    [
        None,
        replace(KEY, active=False),
        replace(KEY, expires=NOW),
        replace(KEY, session_token="token", expires=NOW + 100),
    ],
)
def test_a_key_that_is_no_good_is_told_by_its_id(key: AccessKey | None) -> None:
    with pytest.raises(WrongLogin, match="access key id") as refusal:
        judged(signed(), key)
    words = refusal.value.message.lower()
    assert not any(word in words for word in ("session", "token", "401", "403"))


# --- the date -------------------------------------------------------------------------------------

AT_19_35_07 = [
    "Sat, 21 Nov 2026 19:35:07 Etc/UTC",
    "Sat, 21 Nov 2026 19:35:07 GMT",
    "Sat, 21 Nov 2026 19:35:07 UTC",
    "Sat, 21 Nov 2026 19:35:07 Z",
    "Sat, 21 Nov 2026 19:35:07",
    "21 Nov 2026 19:35:07 GMT",
    "sat, 21 nov 2026 19:35:07 GMT",
    "Sun, 22 Nov 2026 03:35:07 +0800",
    "Sun, 22 Nov 2026 03:35:07 GMT+08:00",
    "Sun, 22 Nov 2026 03:35:07 GMT+8",
    "Sun, 22 Nov 2026 03:35:07 Asia/Shanghai",
    "Sat, 21 Nov 2026 14:35:07 -0500",
    "Sat, 21 Nov 2026 14:35:07 America/New_York",
    "2026-11-21T19:35:07Z",
    "2026-11-21T19:35:07.123Z",
    "2026-11-21 19:35:07",
    "2026-11-22T03:35:07+08:00",
    # The clock's time is ours, whatever the zone is said to be.
    "Sat, 21 Nov 2026 19:35:07 CST",
    "Sat, 21 Nov 2026 19:35:07 Asia/Shanghai",
    "Sat, 21 Nov 2026 19:35:07 No/Such_Zone",
    "Sat, 21 Nov 2026 19:35:07 ../../etc/passwd",
    "Sat, 21 Nov 2026 19:35:07 America",
    "Sat, 21 Nov 2026 19:35:07 +9999",
    "2026-11-21T19:35:07+08:00",
]


@pytest.mark.parametrize("date", AT_19_35_07)
def test_a_date_passes_in_every_form_for_a_quarter_of_an_hour(date: str) -> None:
    for off in (0, 900, -899):
        signature.check_date(date, NOW + off)
    for off in (901.5, -901):
        with pytest.raises(TextRefusal) as refusal:
            signature.check_date(date, NOW + off)
        assert (refusal.value.status, refusal.value.text) == (403, "requestTimeTooSkewed")


@pytest.mark.parametrize(
    "date", ["Sat, 21 Nov 2026 19:35:07 CST", "Sun, 22 Nov 2026 03:35:07 +0800"]
)
def test_the_local_reading_is_that_of_our_own_zone(
    monkeypatch: pytest.MonkeyPatch, date: str
) -> None:
    for _ in zone(monkeypatch, "America/Chicago"):
        local = date.endswith("CST")  # 19:35 there is another moment than 19:35 in UTC
        signature.check_date(date, NOW + 6 * 3600 if local else NOW)
        with pytest.raises(TextRefusal):
            signature.check_date(date, NOW if local else NOW + 6 * 3600)


@pytest.mark.parametrize(
    "date",
    [
        "",
        " ",
        "now",
        "Sat, 31 Feb 2026 19:35:07 GMT",
        "Sat, 21 Foo 2026 19:35:07 GMT",
        "Sat, 21 Nov 2026 25:35:07 GMT",
        "Sat, 21 Nov 0000 19:35:07 GMT",
        "1795289707",
        "Sat, 21 Nov 2026 19:35:07 " + "x" * 100,
        "对",
    ],
)
def test_no_date_and_no_readable_one_is_told_in_plain_text(date: str) -> None:
    with pytest.raises(TextRefusal) as refusal:
        judged(signed(date=date))
    assert refusal.value.status == 400
    assert "Date" in refusal.value.text


@given(st.text(max_size=50), st.floats(0, 4e9))
def test_any_text_as_a_date_is_judged_or_refused(text: str, now: float) -> None:
    for date in (text, f"Sat, 21 Nov 2026 19:35:07 {text}"):
        try:
            signature.check_date(date, now)
        except TextRefusal as refusal:
            assert refusal.status in (400, 403)
