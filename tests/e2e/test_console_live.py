"""The console's live list and our own operations against a real platform: what is made shows by itself."""

import json
import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest
import requests
from clients import Json, PythonSdk
from documents import document
from running_platform import Platform
from signed_rpc import call

from ram_clients import Keys

SECONDS = 60.0


@pytest.fixture(scope="module")
def news(platform: Platform) -> Iterator["SimpleQueue[Json]"]:
    """What comes over the stream of somebody who logged in with the account's key."""
    key = {
        "AccessKeyId": platform.credentials["access_key_id"],
        "AccessKeySecret": platform.credentials["access_key_secret"],
    }
    found: SimpleQueue[Json] = SimpleQueue()
    with requests.Session() as browser:
        ready = browser.post(
            f"{platform.eas}/console/api/login", json=key, headers={"X-Pierhead-Console": "1"}
        )
        assert ready.status_code == 200, ready.text
        answer = browser.get(
            f"{platform.eas}/console/api/live", stream=True, timeout=(SECONDS, SECONDS)
        )
        assert answer.headers["content-type"].startswith("text/event-stream")

        def read() -> None:
            for line in answer.iter_lines():
                if line.startswith(b"data: "):
                    found.put(json.loads(line[6:]))

        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        yield found
        csrf = {"X-Pierhead-Csrf": ready.json()["Csrf"]}
        assert browser.post(f"{platform.eas}/console/api/logout", headers=csrf).ok
        reading.join(SECONDS)  # the stream ends with its session
        assert not reading.is_alive()


def test_a_service_shows_from_its_beginning_to_its_end(
    platform: Platform, eas: PythonSdk, news: "SimpleQueue[Json]"
) -> None:
    assert news.get(timeout=SECONDS)["All"] is True
    eas("CreateService", body=document("shown_live"))
    statuses: list[str] = []
    while "Running" not in statuses:
        event = news.get(timeout=SECONDS)
        assert event["All"] is False
        statuses += [r["Status"] for r in event["Rows"] if r["ServiceName"] == "shown_live"]
    keys = Keys(platform.credentials["access_key_id"], platform.credentials["access_key_secret"])
    overview = call(platform, keys, "GetOverview", Version="2026-11-01").json()
    assert overview["Gateways"] == 1 and overview["Capacity"]["Memory"] > 0
    eas("DeleteService", "shown_live")
    gone: list[str] = []
    while "shown_live" not in gone:
        gone += news.get(timeout=SECONDS)["Gone"]
