"""The registry by hand, and a page that outlives its release or its session."""

from collections.abc import Iterator

import pytest
from clients import PythonSdk
from console_pages import Consoles
from lifecycle import Service
from playwright.sync_api import Page, Route, expect

PATIENCE = 60_000.0  #: milliseconds
TEMPLATE, DEPLOYED = "smollm2_135m_q4", "by_registry"


@pytest.fixture
def deployed(sdk: PythonSdk) -> Iterator[Service]:
    """The service that the test deploys."""
    service = Service(sdk, DEPLOYED)
    yield service
    service.delete()


def opened(page: Page, name: str) -> None:
    """Open the row of something that was registered."""
    page.get_by_role("row").filter(has_text=name).first.click()
    page.get_by_role("dialog", name=name).wait_for()


def test_a_center_is_edited(consoles: Consoles) -> None:
    """What is written in the form is what the list and the form show afterwards."""
    words = "Weights of the whole house"
    page = consoles.open().go("/registry?tab=centers")
    opened(page, "default")
    page.get_by_role("button", name="Edit", exact=True).click()
    form = page.get_by_role("dialog").filter(has=page.get_by_role("button", name="Save"))
    form.get_by_label("Description").fill(words)
    form.get_by_role("button", name="Save").click()
    form.wait_for(state="hidden")
    expect(page.get_by_role("dialog", name="default")).to_contain_text(words)
    page.reload()
    page.get_by_role("row").filter(has_text=words).first.wait_for()


def test_a_registered_model_is_deployed(consoles: Consoles, deployed: Service) -> None:
    """From the registry's template to a service that runs, and answers."""
    page = consoles.open().go(f"/registry?q={TEMPLATE}")
    page.get_by_role("button", name=f"Deploy {TEMPLATE}", exact=True).click()
    form = page.get_by_role("dialog", name=f"Deploy {TEMPLATE}")
    form.get_by_label("Name of the service").fill(DEPLOYED)
    form.get_by_text("It fits", exact=True).wait_for()
    form.get_by_role("button", name="Deploy", exact=False).click()
    page.get_by_role("heading", name=DEPLOYED).wait_for()
    page.locator(".page-head [data-status=Running]").wait_for(timeout=PATIENCE)
    deployed.answers_paris()


def test_a_new_release_loads_the_page_anew_once(consoles: Consoles) -> None:
    """A part of the page that is gone from the hub: the page comes again, and says why."""
    # The part is refused on purpose, and the router misses it until the page goes.
    consoles.forgiven += ["status of 404", "dynamically imported module", "reading 'default'"]
    page = consoles.open().go("/services")
    gone: list[str] = []
    loads: list[str] = []

    def refuse(route: Route) -> None:
        if loads:  # of the new release everything is there
            return route.continue_()
        gone.append(route.request.url)
        return route.fulfill(status=404, body="")

    page.on("domcontentloaded", lambda loaded: loads.append(loaded.url))
    page.route("**/assets/settings-*.js", refuse)
    page.evaluate("window.before = true")
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_text("the page was loaded anew").wait_for()
    assert gone, "nothing was refused"
    assert page.evaluate("window.before === undefined")
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_role("heading", name="Settings").wait_for()


def test_sign_out_everywhere_ends_the_other_browser_too(consoles: Consoles) -> None:
    """Both pages are led to where one signs in."""
    first, second = consoles.open(), consoles.open()
    consoles.forgiven.append("status of 401")  # it was signed out behind its back
    second.go("/settings?tab=look")
    page = first.go("/settings?tab=session")
    page.get_by_role("button", name="Sign out everywhere").click()
    asked = page.get_by_role("dialog")
    asked.get_by_role("button", name="Sign out everywhere").click()
    page.wait_for_url("**/login*")
    second.page.wait_for_url("**/login*", timeout=PATIENCE)
