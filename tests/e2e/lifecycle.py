"""A service as a client sees it, and the words of the tests about it: wait, expect, ask."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import openai
import pytest
from clients import Json, Refused, Sdk
from running_platform import until

from own_time import OwnTime

#: What may be seen on the way from each change to its end; the first look may already be further.
ON_THE_WAY = {"Creating", "Waiting", "Updating", "Scaling", "Starting", "Stopping"}
#: Seconds in which the look that follows a change is answered, but where a machine is very busy.
NEXT = 0.1


@dataclass(frozen=True, slots=True)
class Service:
    """One service, driven through one client."""

    sdk: Sdk
    name: str

    def describe(self) -> Json:
        return self.sdk("DescribeService", self.name)

    def until(self, status: str, seconds: float = 60.0) -> Json:
        """Wait for a status; Failed ends the wait unless it is what is waited for."""
        seen: list[str] = []

        def look() -> Json | None:
            shown = self.describe()
            seen.append(shown["Status"])
            assert shown["Status"] in {*ON_THE_WAY, status}, (
                seen,
                shown["Reason"],
                shown["Message"],
            )
            return shown if shown["Status"] == status else None

        return until(look, seconds, f"{self.name} is {status}")

    def change(self, operation: str, *expected: str, **parts: Any) -> Json:
        """Make a change; the very next look must show one of the `expected` transitional statuses."""
        answer = self.sdk(operation, self.name, **parts)
        answered = time.monotonic()
        try:
            shown = self.describe()
        except Refused as error:  # only who looked late may find that it is gone
            assert (operation, error.code) == ("DeleteService", "InvalidService.NotFound"), error
            assert time.monotonic() - answered > NEXT, "it went without a word"
            return answer
        # A look that came late may see the end; no change comes to its end within NEXT.
        ends = {"Running", "Stopped"} if time.monotonic() - answered > NEXT else set[str]()
        assert shown["Status"] in {*expected, *ends}, (operation, shown["Status"], shown["Message"])
        assert shown["Reason"] and shown["Message"]
        return answer

    def instances(self, **query: Any) -> list[Json]:
        return self.sdk("ListServiceInstances", self.name, query=query)["Instances"]

    def events(self, **query: Any) -> list[Json]:
        """All events, newest first."""
        return self.sdk("DescribeServiceEvent", self.name, query=query)["Events"]

    def warnings(self) -> dict[str, list[str]]:
        """Messages of the warnings by their reason."""
        found: dict[str, list[str]] = {}
        for event in self.events(EventType="Warning"):
            found.setdefault(event["Reason"], []).append(event["Message"])
        return found

    def gone(self, seconds: float = 15.0) -> None:
        """Wait until it does not exist any more, well within its stop grace of 30 s; Deleting until then."""

        def look() -> bool:
            try:
                shown = self.describe()
            except Refused as error:
                assert (error.code, error.status) == ("InvalidService.NotFound", 404)
                return True
            assert shown["Status"] == "Deleting", shown["Status"]
            return False

        until(look, seconds, f"{self.name} is gone")

    def delete(self) -> None:
        """Delete it and wait until it is gone."""
        self.sdk("DeleteService", self.name)
        self.gone()

    def openai(self) -> openai.OpenAI:
        """The official OpenAI client for it; whoever asks closes it."""
        shown = self.sdk("DescribeServiceEndpoints", self.name)
        url = shown["Endpoints"][0]["InternetEndpoints"][0]
        return openai.OpenAI(
            base_url=f"{url}/v1", api_key=shown["AccessToken"], max_retries=0, timeout=30
        )

    def answers_paris(self) -> None:
        """Its model knows the capital of France."""
        with self.openai() as client:
            assert "Paris" in capital(client, self.name)


def capital(client: openai.OpenAI, model: str) -> str:
    """The model's answer, always the same one."""
    question = "What is the capital of France? Answer briefly."
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        temperature=0,
        max_tokens=24,
    )
    return answer.choices[0].message.content or ""


def refused(call: Callable[[], Any], code: str, status: int, *words: str) -> Refused:
    """The refusal that a call must end in, within a second; `words` must stand in its message."""
    own = OwnTime()
    with pytest.raises(Refused) as caught:
        call()
    took = own.seconds()
    error = caught.value
    assert (error.code, error.status) == (code, status), error
    missing = [word for word in words if word not in error.message]
    assert not missing, (missing, error.message)
    assert took < 1.0, f"{took:.2f} s"
    return error


def config(shown: Json) -> Json:
    """ServiceConfig as JSON."""
    return json.loads(shown["ServiceConfig"])
