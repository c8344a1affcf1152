"""Consoles in a browser: signed in, in a language and a theme, and watched for what no page may do."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Browser, BrowserContext, Page
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


@dataclass
class Watched:
    """A page, and what it did that it may not."""

    page: Page
    base: str
    strangers: list[str] = field(default_factory=list[str])  #: requests to other origins
    complaints: list[str] = field(default_factory=list[str])  #: errors in its console, and its own

    def __post_init__(self) -> None:
        """Listen from the first request on."""
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("console", lambda said: self._said(said.type, said.text, said.location["url"]))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asked(self, url: str) -> None:
        if not url.startswith((self.base, "data:", "blob:")):
            self.strangers.append(url)

    def _said(self, kind: str, text: str, where: str) -> None:
        if kind == "error":
            self.complaints.append(f"{text} {where}")

    def go(self, path: str) -> Page:
        """Open a path of the console and wait until its screen is there."""
        self.page.goto(f"{self.base}{path}")
        self.page.locator("main h1").first.wait_for()
        return self.page

    def settled(self) -> None:
        """Wait until nothing is loading any more."""
        self.page.wait_for_function(
            "() => !document.querySelector('.ant-skeleton, .ant-spin-spinning, [aria-busy=\"true\"]')"
        )

    def serious(self) -> list[str]:
        """What axe finds serious or critical."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate(
            "(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}})", WCAG
        )
        return [
            f"{one['id']}: {node['target']} {node['failureSummary'][:300]}"
            for one in found["violations"]
            if one["impact"] in {"serious", "critical"}
            for node in one["nodes"]
        ]


@dataclass
class Consoles:
    """Consoles of one platform."""

    platform: Platform
    browser: Browser
    #: What is expected to be said, such as the refusal that a test is about.
    forgiven: list[str] = field(default_factory=list[str])
    _open: list[tuple[BrowserContext, Watched]] = field(
        default_factory=list[tuple[BrowserContext, Watched]]
    )

    def open(
        self,
        *,
        language: str = "en",
        theme: str = "light",
        proof: dict[str, str] | None = None,
        host: str = "",
        **context: Any,
    ) -> Watched:
        """A console that is signed in, as the account unless `proof` says otherwise; `host`: by another name."""
        base = self.platform.eas
        if host:
            base = f"http://{host}:{urlsplit(base).port}"
        made = self.browser.new_context(
            reduced_motion="reduce",
            locale="en-GB",
            **{"viewport": {"width": 1280, "height": 800}, **context},
        )
        made.set_default_timeout(30_000)
        chosen = json.dumps({"language": language, "theme": theme, "zone": "utc"})
        # Only where nothing is kept: what the page chooses later has to survive a reload.
        made.add_init_script(
            f"localStorage.getItem('pierhead.preferences') ?? "
            f"localStorage.setItem('pierhead.preferences', {json.dumps(chosen)})"
        )
        made.add_cookies(self._cookies(base, proof or self.account))
        watched = Watched(made.new_page(), base)
        self._open.append((made, watched))
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
        for context, _ in self._open:
            context.close()
        strangers = [url for _, one in self._open for url in one.strangers]
        complaints = [
            text
            for _, one in self._open
            for text in one.complaints
            if not any(part in text for part in self.forgiven)
        ]
        assert not strangers, strangers
        assert not complaints, complaints
