"""Consoles in a browser: signed in, in a language and a theme, and watched for what no page may do."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request
from running_platform import Platform

AXE = Path(__file__).parent.parent / "contract/node/node_modules/axe-core/axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
ROUTES = (
    "/",
    "/services",
    "/services/new",
    "/registry",
    "/playground",
    "/explorer",
    "/access",
    "/infrastructure",
    "/settings",
)


#: What the hub gives out of the console without running any of it.
STILL = "/pierhead.svg"


@dataclass
class Windows:
    """Windows of one browser, each with cookies and storage of its own; one that was left is used again.

    Whoever gets it finds nothing of who had it before. What the browser has parsed and compiled of the
    console it keeps, though, and that is most of the work of opening a console.
    """

    browser: Browser
    _left: list[Page] = field(default_factory=list[Page])

    def new(self, chosen: str, **context: Any) -> Page:
        """A window that never showed anything; `chosen`: preferences to begin with, as JSON."""
        page = self._made(**context)
        # Only where nothing is kept: what the page chooses later has to survive a reload.
        page.context.add_init_script(
            f"localStorage.getItem('pierhead.preferences') ?? "
            f"localStorage.setItem('pierhead.preferences', {json.dumps(chosen)})"
        )
        return page

    def any(self, chosen: str, base: str) -> Page:
        """A window, used or new, at a place below `base` where nothing runs."""
        page = self._left.pop() if self._left else self._made()
        page.goto(f"{base}{STILL}")
        page.evaluate("chosen => localStorage.setItem('pierhead.preferences', chosen)", chosen)
        return page

    def _made(self, **context: Any) -> Page:
        usual = {"viewport": {"width": 1280, "height": 800}}
        made = self.browser.new_context(
            reduced_motion="reduce", locale="en-GB", **{**usual, **context}
        )
        made.set_default_timeout(30_000)
        return made.new_page()

    def leave(self, page: Page, base: str) -> None:
        """Forget whose it was, and all that it was told to do; only of those that `any` gave."""
        page.unroute_all(behavior="ignoreErrors")
        page.goto(f"{base}{STILL}")
        page.evaluate("() => { localStorage.clear(); sessionStorage.clear() }")
        page.context.clear_cookies()
        self._left.append(page)


@dataclass
class Watched:
    """A page, and what it did that it may not."""

    page: Page
    base: str
    strangers: list[str] = field(default_factory=list[str])  #: requests to other origins
    complaints: list[str] = field(default_factory=list[str])  #: errors in its console, and its own

    def __post_init__(self) -> None:
        """Listen from the first request on."""
        self.page.on("request", self._asked)
        self.page.on("console", self._said)
        self.page.on("pageerror", self._failed)

    def unwatched(self) -> None:
        """Listen no more: what the page does from now on it does for others."""
        self.page.remove_listener("request", self._asked)
        self.page.remove_listener("console", self._said)
        self.page.remove_listener("pageerror", self._failed)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.strangers.append(request.url)

    def _said(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.complaints.append(f"{said.text} {said.location['url']}")

    def _failed(self, error: Error) -> None:
        self.complaints.append(str(error))

    def go(self, path: str) -> Page:
        """Open a path of the console and wait until its screen is there."""
        self.page.goto(f"{self.base}{path}")
        self.page.locator("main h1").first.wait_for()
        return self.page

    def follow(self, path: str) -> Page:
        """Go to another screen, not from `/` to itself, as a link leads there: the page is not loaded anew."""
        same = urlsplit(self.page.url).path == urlsplit(path).path
        for screen in ("/", path) if same else (path,):
            self.page.evaluate(
                "path => { for (const h1 of document.querySelectorAll('main h1')) h1.dataset.left = '';"
                " history.pushState({}, '', path) }",
                screen,
            )
            self.page.locator("main h1:not([data-left])").first.wait_for()
        return self.page

    def settled(self) -> None:
        """Wait until nothing is loading any more."""
        self.page.wait_for_function(
            "() => !document.querySelector('.ant-skeleton, .ant-spin-spinning, [aria-busy=\"true\"]')"
        )

    def serious(self) -> list[str]:
        """What axe finds serious or critical."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text())
        # Every rule is asked; what was found in order is not described element by element.
        found = self.page.evaluate(
            "(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})"
            ".then(found => found.violations)",
            WCAG,
        )
        return [
            f"{one['id']}: {node['target']} {node['failureSummary'][:300]}"
            for one in found
            if one["impact"] in {"serious", "critical"}
            for node in one["nodes"]
        ]


@dataclass
class Consoles:
    """Consoles of one platform."""

    platform: Platform
    windows: Windows
    #: What is expected to be said, such as the refusal that a test is about.
    forgiven: list[str] = field(default_factory=list[str])
    _open: list[tuple[bool, Watched]] = field(default_factory=list[tuple[bool, Watched]])

    def open(
        self,
        *,
        language: str = "en",
        theme: str = "light",
        proof: dict[str, str] | None = None,
        host: str = "",
        new: bool = False,
        **context: Any,
    ) -> Watched:
        """A console that is signed in, as the account unless `proof` says otherwise; `host`: by another name.

        Its window was used before, unless it has to be `new`, has wishes of its own, or such a name.
        """
        base = self.platform.eas
        if host:
            base = f"http://{host}:{urlsplit(base).port}"
        chosen = json.dumps({"language": language, "theme": theme, "zone": "utc"})
        alone = new or bool(host or context)
        windows = self.windows
        page = windows.new(chosen, **context) if alone else windows.any(chosen, base)
        page.context.add_cookies(self._cookies(base, proof or self.account))
        watched = Watched(page, base)
        self._open.append((alone, watched))
        return watched

    @property
    def account(self) -> dict[str, str]:
        """The account's own name and password."""
        login = self.platform.credentials["zstack"]
        return {"UserName": login["account"], "Password": login["password"]}

    def _cookies(self, base: str, proof: dict[str, str]) -> list[Any]:
        answer = requests.post(
            f"{self.platform.eas}/console/api/login",
            json=proof,
            headers={"X-Pierhead-Console": "1"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        host = urlsplit(base).hostname
        return [
            {
                "name": cookie.name,
                "value": cookie.value or "",
                "domain": host,
                "path": cookie.path,
                "httpOnly": True,
                "sameSite": "Strict",
            }
            for cookie in answer.cookies
        ]

    def close(self) -> None:
        """Law: no page asks another origin or complains, whatever a test did with it."""
        for alone, one in self._open:
            if alone:
                one.page.context.close()
            else:
                one.unwatched()
                self.windows.leave(one.page, one.base)
        strangers = [url for _, one in self._open for url in one.strangers]
        complaints = [
            text
            for _, one in self._open
            for text in one.complaints
            if not any(part in text for part in self.forgiven)
        ]
        assert not strangers, strangers
        assert not complaints, complaints
