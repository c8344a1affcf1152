"""The playground: two services side by side, an answer that is stopped, and the call as code."""

import re
from collections.abc import Iterator

import pytest
from clients import PythonSdk
from console_pages import Consoles
from documents import app
from lifecycle import Service
from playwright.sync_api import Locator, Page

QUESTION = "What is the capital of France? Answer briefly."


@pytest.fixture(scope="module")
def other(sdk: PythonSdk) -> Iterator[str]:
    """The name of a second service, of the same model."""
    service = Service(sdk, "other")
    sdk("CreateAppService", body=app("other"))
    service.until("Running")
    yield "other"
    service.delete()


def ask(page: Page, question: str) -> None:
    page.get_by_role("textbox", name="Question").fill(question)
    page.get_by_role("button", name="Send").click()


def answers(page: Page, service: str) -> Locator:
    return page.get_by_role("article", name=f"Answer of {service}")


def test_two_services_are_compared_and_the_call_is_shown_as_code(
    consoles: Consoles, sdk: PythonSdk, chat: str, other: str
) -> None:
    """One question to both, with figures of each; the code has the question, and no token."""
    page = consoles.open().go(f"/playground?a={chat}")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("combobox", name="Second service").click()
    page.locator(".ant-select-item-option").filter(has_text=other).click()
    page.get_by_label("Temperature").fill("0")
    ask(page, QUESTION)
    for service in (chat, other):
        answer = answers(page, service)
        answer.filter(has_text="Total").wait_for()
        said = answer.inner_text()
        assert "Paris" in said
        assert re.search(r"TTFT\s+\S+.*tokens/s.*\d+ → \d+ tokens", said, re.DOTALL), said
    page.get_by_role("button", name="View code").click()
    shown = page.get_by_role("dialog", name="View code")
    for language, mark in {"Python": "OpenAI(", "TypeScript": "OpenAI(", "curl": "curl "}.items():
        shown.get_by_role("tab", name=language, exact=True).click()
        code = shown.get_by_role("region", name=f"Code in {language}", exact=True)
        code.wait_for()
        text = code.inner_text()
        assert mark in text, text
        assert QUESTION in text
        assert f"/api/predict/{chat}" in text
        assert "PIERHEAD_TOKEN" in text
    token = sdk("DescribeService", chat)["AccessToken"]
    assert token
    assert token not in page.content()


def test_a_stream_is_stopped(consoles: Consoles, chat: str) -> None:
    """What came until then stays, marked as stopped, and the next question is answered."""
    page = consoles.open().go(f"/playground?a={chat}")
    page.get_by_label("Temperature").fill("0")
    page.get_by_label("Most tokens").fill("4000")
    ask(page, "Write a very long story about the sea, in at least one thousand words.")
    answer = answers(page, chat)
    answer.locator(".said").filter(has_text=re.compile(r"\w+ \w+")).wait_for()
    page.get_by_role("button", name="Stop").click()
    answer.get_by_text("Stopped", exact=True).wait_for()
    assert answer.get_attribute("aria-busy") == "false"
    kept = answer.locator(".said").inner_text()
    assert kept.strip()
    page.get_by_role("button", name="New conversation").click()
    answer.wait_for(state="detached")
    page.get_by_label("Most tokens").fill("24")
    ask(page, QUESTION)
    answer.filter(has_text="Total").wait_for()
    assert "Paris" in answer.inner_text()
    assert answer.get_by_text("Stopped", exact=True).count() == 0
