"""A service as people meet it in the console: made, asked, changed and deleted, by mouse and by keyboard alone."""

import json
import re
from collections.abc import Iterator

import pytest
import requests
from clients import PythonSdk
from console_pages import Consoles
from documents import SCRIPT, document
from lifecycle import Service, config
from playwright.sync_api import Locator, Page, expect
from running_platform import Platform, until

SPEC = "smollm2_135m_q4"
QUESTION = "Name twenty cities of France."
LINES = 100_000
PATIENCE = 60_000.0  #: milliseconds
#: Lengths that an answer had while it came.
WATCH = """() => {
  window.lengths = new Set();
  new MutationObserver(() => {
    const said = document.querySelector("article .said");
    if (said) window.lengths.add(said.textContent.length);
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


@pytest.fixture(scope="module")
def echo(sdk: PythonSdk) -> Iterator[Service]:
    """A service that answers with what it was asked, and with its environment."""
    sdk("CreateService", body=document("by_hand"))
    service = Service(sdk, "by_hand")
    service.until("Running")
    yield service
    service.delete()


def is_in(page: Page, status: str) -> None:
    """Wait until the page says that its service is in this state."""
    page.locator(f".page-head [data-status={status}]").wait_for(timeout=PATIENCE)


def answered(page: Page) -> str:
    """The answer of a model, once it is whole; it came in pieces."""
    answer = page.locator("article.talk-answer[aria-busy=false]")
    answer.wait_for(timeout=PATIENCE)
    assert page.evaluate("lengths.size") > 3, "it came at once"
    return answer.locator(".said").first.inner_text()


def confirmed(page: Page, change: str) -> None:
    """Press a button of the service, and the same word in the question that follows."""
    page.get_by_role("button", name=change, exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=change, exact=True).click()
    dialog.wait_for(state="hidden")


def test_from_nothing_to_gone_by_clicks(consoles: Consoles) -> None:
    """Create, see it run without a reload, ask its model, stop it, delete it (check 8)."""
    consoles.forgiven.append("status of 404")  # what is deleted is not found any more
    page = consoles.open().go("/services")
    page.evaluate(f"({WATCH})(); window.stayed = true")
    page.get_by_role("button", name="Create a service").click()
    page.get_by_role("radio", name=SPEC).check()
    page.get_by_role("textbox", name="Name of the service").fill("by_clicks")
    page.get_by_text("It fits", exact=True).wait_for()
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_role("heading", name="by_clicks").wait_for()
    is_in(page, "Running")
    page.get_by_text("1 of 1 replicas ready").wait_for()

    page.get_by_role("button", name="Chat").click()
    page.get_by_role("spinbutton", name="Temperature").fill("0")  # a drawn answer may be one word
    page.get_by_role("spinbutton", name="Most tokens").fill("40")
    page.get_by_role("textbox", name="Question").fill(QUESTION)
    page.get_by_role("button", name="Send").click()
    assert len(answered(page)) > 10
    assert page.locator("article.talk-answer").get_attribute("aria-label") == "Answer of by_clicks"

    page.get_by_role("link", name="Services", exact=True).click()
    page.get_by_role("link", name="by_clicks", exact=True).click()
    confirmed(page, "Stop")
    is_in(page, "Stopped")
    confirmed(page, "Delete")
    page.get_by_role("heading", name="There is no such service").wait_for(timeout=PATIENCE)
    assert page.evaluate("window.stayed"), "the page was loaded anew on the way"


def tabbed(page: Page, target: Locator) -> None:
    """Go to it with Tab alone."""
    target.wait_for()
    for _ in range(150):
        if target.evaluate(
            "e => e === document.activeElement || e.contains(document.activeElement)"
        ):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {target}")


def pressed(page: Page, target: Locator) -> None:
    """Go to a button with Tab, and press Enter."""
    tabbed(page, target)
    page.keyboard.press("Enter")


def agreed(page: Page, word: str) -> None:
    """Answer the question that came up, by keyboard."""
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    page.wait_for_function(
        "() => document.querySelector('[role=dialog]')?.contains(document.activeElement)"
    )
    pressed(page, dialog.get_by_role("button", name=word, exact=True))
    dialog.wait_for(state="hidden")


def commanded(page: Page, words: str, whole: str) -> None:
    """Run something by its name."""
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Type a place")).to_be_focused(timeout=PATIENCE)
    page.keyboard.type(words)
    page.get_by_role("option", name=whole, exact=True, selected=True).wait_for()
    page.keyboard.press("Enter")


def test_from_nothing_to_gone_by_keyboard_alone(  # noqa: PLR0915 - one story, told in order
    consoles: Consoles,
) -> None:
    """The same, its log and a second replica, and never the mouse (check 21)."""
    consoles.forgiven.append("status of 404")
    page = consoles.open().go("/services")
    page.evaluate(f"({WATCH})()")
    page.keyboard.press("c")
    tabbed(page, page.get_by_role("textbox", name="Find a template"))
    page.keyboard.type(SPEC)
    tabbed(page, page.get_by_role("radiogroup", name="Template"))
    page.keyboard.press("Space")
    expect(page.get_by_role("radio", name=SPEC)).to_be_checked()
    tabbed(page, page.get_by_role("textbox", name="Name of the service"))
    page.keyboard.press("Control+a")
    page.keyboard.type("by_keys")
    page.get_by_text("It fits", exact=True).wait_for()
    pressed(page, page.get_by_role("button", name="Create", exact=True))
    page.get_by_role("heading", name="by_keys").wait_for()
    is_in(page, "Running")

    pressed(page, page.get_by_role("button", name="Chat"))
    tabbed(page, page.get_by_role("spinbutton", name="Temperature"))
    page.keyboard.type("0")
    tabbed(page, page.get_by_role("spinbutton", name="Most tokens"))
    page.keyboard.type("40")
    tabbed(page, page.get_by_role("textbox", name="Question"))
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    assert len(answered(page)) > 10

    commanded(page, "service by_keys", "Service by_keys")
    tabbed(page, page.get_by_role("tab", name="Overview"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("log", name="Log of by_keys")).not_to_be_empty()

    commanded(page, "scale by_keys", "Scale by_keys")
    tabbed(page, page.get_by_role("spinbutton", name="Replicas"))
    page.keyboard.press("Control+a")
    page.keyboard.type("2")
    agreed(page, "Scale")
    page.get_by_text("2 of 2 replicas ready").wait_for(timeout=PATIENCE)
    pressed(page, page.get_by_role("button", name="Stop", exact=True))
    agreed(page, "Stop")
    is_in(page, "Stopped")
    pressed(page, page.get_by_role("button", name="Delete", exact=True))
    agreed(page, "Delete")
    page.get_by_role("heading", name="There is no such service").wait_for(timeout=PATIENCE)


def test_what_does_not_fit_is_not_made(consoles: Consoles, sdk: PythonSdk) -> None:
    """The button is off and says both numbers, and no key goes round it; with more room it is on (check 9)."""
    page = consoles.open().go(f"/services/new?spec={SPEC}")
    page.get_by_role("textbox", name="Name of the service").fill("too_large")
    page.get_by_role("radio", name="My own numbers").check()
    memory = page.get_by_role("spinbutton", name="Memory")
    memory.fill("0.1")
    memory.press("Tab")
    fit = page.get_by_role("region", name="Does it fit?")
    fit.get_by_text("It does not fit", exact=True).wait_for()
    told = page.get_by_text(re.compile(r"^It does not fit: one replica needs")).inner_text()
    numbers = re.search(r"needs ([\d.]+) GiB, there are ([\d.]+) GiB", told)
    assert numbers, told
    need, has = map(float, numbers.groups())
    assert need > has == 0.1
    create = page.get_by_role("button", name="Create", exact=True)
    assert create.get_attribute("aria-disabled") == "true"
    create.click(force=True)
    page.keyboard.press("Control+Enter")
    memory.fill("2")
    memory.press("Tab")
    fit.get_by_text("It fits", exact=True).wait_for()
    expect(create).not_to_have_attribute("aria-disabled", "true")
    assert "/services/new" in page.url
    assert "too_large" not in {one["ServiceName"] for one in sdk("ListServices")["Services"]}


def test_a_rotated_token_ends_the_old_one(
    consoles: Consoles, platform: Platform, echo: Service
) -> None:
    """The page shows the new secret; with the old one the gateway answers 401 (check 17)."""

    def asked(token: str) -> int:
        url = f"{platform.gateway}/api/predict/{echo.name}/x"
        return requests.get(url, headers={"Authorization": token}, timeout=30).status_code

    old = echo.sdk("DescribeServiceEndpoints", echo.name)["AccessToken"]
    assert asked(old) == 200
    page = consoles.open().go(f"/services/{echo.name}?tab=access")
    page.get_by_role("button", name="Rotate default").click()
    page.get_by_role("dialog").get_by_role("button", name="Rotate", exact=True).click()
    new = page.get_by_role("alert").filter(has_text="The secret of default").locator(".value")
    secret = new.inner_text()
    assert secret and secret != old
    until(lambda: asked(secret) == 200 and asked(old) == 401, 30, "the old token is refused")


def test_a_version_is_compared_and_taken_back(
    consoles: Consoles, platform: Platform, echo: Service
) -> None:
    """What was edited shows as the difference and in the replica, and is gone after the way back (check 19)."""

    def greeting() -> str:
        token = echo.sdk("DescribeServiceEndpoints", echo.name)["AccessToken"]
        url = f"{platform.gateway}/api/predict/{echo.name}/x"
        answer = requests.get(url, headers={"Authorization": token}, timeout=30)
        return answer.json()["env"].get("GREETING", "") if answer.ok else "?"

    first = echo.describe()
    body = document(echo.name)
    body["containers"][0]["env"] = [{"name": "GREETING", "value": "everybody"}]
    page = consoles.open().go(f"/services/{echo.name}?tab=config")
    page.get_by_role("button", name="Edit", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Service JSON").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(json.dumps(body))
    dialog.get_by_role("button", name="Save as a new version").click()
    dialog.wait_for(state="hidden")
    page.locator("td.new", has_text="everybody").wait_for()
    assert page.locator("td.gone", has_text="everybody").count() == 0
    until(lambda: greeting() == "everybody", 60, "the replica has the new environment")

    version = first["CurrentVersion"]
    page.get_by_role("button", name=f"Roll back to version {version}").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back", exact=True).click()
    until(lambda: greeting() == "", 60, "the replica has the old environment")
    assert config(echo.until("Running")) == config(first)
    # What was edited is the current one no more: now one could go back to it.
    page.get_by_role("button", name=f"Roll back to version {version + 1}").wait_for()


def test_a_long_log_is_read_in_few_rows(consoles: Consoles, sdk: PythonSdk) -> None:
    """Of 100,000 lines few are in the document at a time, and each can be scrolled to (check 18)."""
    consoles.forgiven.append("status of 404")  # its log is still followed when it is deleted
    talker = document("talker", script=f"seq -f 'line %.0f' {LINES}; exec {SCRIPT}")
    sdk("CreateService", body=talker)
    Service(sdk, "talker").until("Running")
    page = consoles.open().go("/services/talker?tab=logs")
    log = page.get_by_role("log", name="Log of talker")

    def shows(line: int) -> None:
        log.get_by_text(re.compile(rf" line {line}$")).wait_for()
        assert 10 < log.locator(".log-line").count() < 200

    shows(LINES)
    page.get_by_role("button", name="Load all").click()
    page.get_by_text("lines came before").wait_for(state="hidden", timeout=4 * PATIENCE)
    follow = page.get_by_role("checkbox", name="Follow")
    expect(follow).to_be_checked()
    log.press("Home")
    shows(1)
    expect(follow).not_to_be_checked()  # else the next line would lead away again
    log.evaluate("log => log.scrollTo(0, log.scrollHeight / 2)")
    shows(LINES // 2 + 10)
    log.press("End")
    shows(LINES)
    Service(sdk, "talker").delete()
