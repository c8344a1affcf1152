"""The explorer as those who use it see it: an operation is chosen, filled in and called."""

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from console_pages import Watched
from playwright.sync_api import Locator, Page

MOCK, REAL = "Mock call", "Real call"


@dataclass(frozen=True, slots=True)
class ExplorerPage:
    """The explorer in one console, in English unless texts are what a test is about."""

    console: Watched

    @property
    def page(self) -> Page:
        return self.console.page

    @property
    def answer(self) -> Locator:
        """What came back of the last call."""
        return self.page.get_by_test_id("answer")

    @property
    def credential(self) -> str:
        """The id of what signs now."""
        shown = self.page.get_by_test_id("credential").locator("[title^='STS.']")
        return shown.get_attribute("title") or ""

    def open(self, product: str, operation: str, values: Any = None, **search: str) -> None:
        """Load the page of an operation, by its link."""
        linked = {} if values is None else {"p": json.dumps(values)}
        query = urlencode({"product": product, "op": operation, **linked, **search})
        self.console.go(f"/explorer?{query}")
        self.named(operation)

    def choose(self, operation: str) -> None:
        """Go to an operation without loading the page anew: what it keeps in memory stays."""
        self.page.get_by_role("textbox", name="Find an operation").fill(operation)
        self.page.get_by_role("link", name=re.compile(rf"^{operation}\b")).click()
        self.named(operation)

    def named(self, operation: str) -> None:
        """Wait for the form of an operation."""
        self.page.locator(".form-pane").get_by_role(
            "heading", name=operation, exact=True
        ).wait_for()

    def field(self, name: str) -> Locator:
        return self.page.locator(".form-pane").get_by_label(name, exact=True)

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()

    def call(self, word: str = MOCK) -> str:
        """Make the call; the HTTP status that is shown of its answer."""
        self.page.get_by_role("button", name=word).click()
        return self.status()

    def status(self) -> str:
        """The HTTP status that is shown, as soon as there is an answer."""
        return self.answer.locator("[data-status]").first.get_attribute("data-status") or ""
