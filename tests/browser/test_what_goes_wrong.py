"""What the console says when something is not as wanted: a service that fails, a right that is missing, no hub."""

import json
import os
import signal
import time
from contextlib import ExitStack
from typing import Any

import psutil
import pytest
from clients import PythonSdk
from console_pages import ROUTES, Consoles, Windows
from documents import document
from lifecycle import Service
from playwright.sync_api import expect
from running_platform import Platform, running
from tenants import PASSWORD, account_ram

SENTENCE = "the harbour master has gone home"
LOOKS = ["eas:List*", "eas:Describe*", "zstack:Query*", "zstack:Get*"]
LOOKS += ["pierhead:List*", "pierhead:Get*", "pierhead:Describe*"]


#: Every page, and each of its tabs that asks for something of its own, with a right that it needs.
NEEDED = {
    "/": "pierhead:GetOverview",
    "/services": "eas:ListServices",
    "/services/new": "zstack:QueryModelService",
    "/services/chat": "eas:DescribeService",
    "/registry": "zstack:QueryModelService",
    "/registry?tab=models": "zstack:QueryModel",
    "/registry?tab=centers": "zstack:QueryModelCenter",
    "/playground": "",
    "/explorer": "",
    "/access": "ram:ListUsers",
    "/access?tab=groups&name=g": "ram:ListGroups",
    "/access?tab=roles": "ram:ListRoles",
    "/access?tab=policies": "ram:ListPolicies",
    "/access?tab=workspaces": "pierhead:ListWorkspaces",
    "/access?tab=quotas": "pierhead:ListQuotas",
    "/access?tab=audit": "pierhead:ListAuditEntries",
    "/access?name=somebody": "ram:GetUser",
    "/infrastructure": "pierhead:ListNodes",
    "/infrastructure?tab=storage": "pierhead:ListStorageConnections",
    "/infrastructure?tab=cache": "pierhead:ListCacheEntries",
    "/settings": "pierhead:ListSettings",
    "/settings?tab=session": "",
}
TABS = ("replicas", "logs", "events", "metrics", "config", "scaling", "access")


def test_a_failed_service_says_why(consoles: Consoles, sdk: PythonSdk) -> None:
    """Cause, advice and its last line are on the first page about it, and the log is a click away (check 10)."""
    consoles.forgiven.append("status of 404")  # its log is still followed when it is deleted
    page = consoles.open().go("/services")
    sdk("CreateService", body=document("falls", script=f"sh -c 'echo {SENTENCE}; exit 7'"))
    page.get_by_role("link", name="falls", exact=True).click()
    why = page.get_by_role("alert", name="Why it is not running")
    why.wait_for(timeout=60_000)
    why.get_by_text("exit code 7").first.wait_for()
    why.get_by_text("Advice", exact=True).wait_for()
    assert why.locator("dd").last.inner_text().strip(), "an advice is more than its heading"
    expect(why.get_by_role("region", name="Last lines")).to_contain_text(SENTENCE)
    why.get_by_role("link", name="Whole log").click()
    page.get_by_role("log").get_by_text(SENTENCE).first.wait_for()
    Service(sdk, "falls").delete()


def a_user(platform: Platform, name: str, afterwards: ExitStack) -> dict[str, str]:
    """A RAM user with a password, who may do nothing yet."""
    ram = account_ram(platform)
    ram("CreateUser", UserName=name)
    afterwards.callback(ram, "DeleteUser", UserName=name)
    ram("CreateLoginProfile", UserName=name, Password=PASSWORD % name)
    return {"UserName": name, "Password": PASSWORD % name}


@pytest.fixture
def stranger(platform: Platform, afterwards: ExitStack) -> dict[str, str]:
    """A RAM user without any right."""
    return a_user(platform, "browser-stranger", afterwards)


@pytest.fixture
def onlooker(platform: Platform, afterwards: ExitStack) -> dict[str, str]:
    """A RAM user who may look at everything and make nothing."""
    name = "browser-onlooker"
    proof = a_user(platform, name, afterwards)
    attach(platform, name, name, {"Effect": "Allow", "Action": LOOKS}, afterwards)
    return proof


def attach(
    platform: Platform, user: str, name: str, statement: dict[str, Any], afterwards: ExitStack
) -> None:
    """A policy of one statement, on everything, for one user."""
    ram, policy = account_ram(platform), {"PolicyName": name, "PolicyType": "Custom"}
    text = json.dumps({"Version": "1", "Statement": [{**statement, "Resource": "*"}]})
    ram("CreatePolicy", PolicyName=name, PolicyDocument=text)
    afterwards.callback(ram, "DeletePolicy", PolicyName=name)
    ram("AttachPolicyToUser", UserName=user, **policy)
    afterwards.callback(ram, "DetachPolicyFromUser", UserName=user, **policy)


def test_a_missing_right_is_named(consoles: Consoles, chat: str, onlooker: dict[str, str]) -> None:
    """Who may not make a thing sees the button off, and which action is missing (check 20)."""
    console = consoles.open(proof=onlooker)
    buttons = {
        "/services": ("Create a service", "eas:CreateService"),
        "/registry": ("Register a model service", "zstack:AddModelService"),
        "/infrastructure?tab=storage": ("Add a connection", "pierhead:CreateStorageConnection"),
    }
    for path, (name, action) in buttons.items():
        page = console.go(path)
        button = page.get_by_role("button", name=name)
        expect(button).to_have_attribute("data-missing", action, timeout=30_000)
        assert button.get_attribute("aria-disabled") == "true"
        button.focus()  # the reason is there for the keyboard, too
        page.get_by_role("tooltip").filter(has_text=f"{action} on").wait_for()
        page.keyboard.press("Enter")
        assert path in page.url
        assert page.get_by_role("dialog").count() == 0
    page = console.go(f"/services/{chat}")  # what may be looked at is there
    page.get_by_role("heading", name=chat).wait_for()
    expect(page.get_by_role("button", name="Delete", exact=True)).to_have_attribute(
        "data-missing", "eas:DeleteService", timeout=30_000
    )


def test_without_rights_every_page_names_the_one_it_needs(
    consoles: Consoles, chat: str, stranger: dict[str, str]
) -> None:
    """What may not be seen is not even asked for: no page makes the browser complain of a refusal."""
    console = consoles.open(proof=stranger)
    assert set(ROUTES) <= {path.partition("?")[0] for path in NEEDED}
    for path, action in NEEDED.items():
        page = console.go(path)
        if action:
            page.locator(f"[role=note][data-missing='{action}']").first.wait_for()
        console.settled()
        assert page.get_by_role("alert").count() == 0, path
    assert page.locator(".banner").count() == 0, "the platform is there, it only says no"


def test_of_a_service_what_may_be_seen_is_shown(
    consoles: Consoles,
    platform: Platform,
    chat: str,
    onlooker: dict[str, str],
    afterwards: ExitStack,
) -> None:
    """Who sees the service, but none of its sides, is told which right each of them needs."""
    sides = ["DescribeServiceL*", "DescribeServiceE*", "DescribeServiceAuto*", "ListServiceI*"]
    sides += ["DescribeServiceCron*", "ListServiceV*"]
    denied = [f"eas:{side}" for side in sides]
    denied += [
        "pierhead:GetServiceSeries",
        "pierhead:ListServiceTokens",
        "pierhead:GetServiceUsage",
    ]
    statement = {"Effect": "Deny", "Action": denied}
    attach(platform, onlooker["UserName"], "browser-blinkered", statement, afterwards)
    console = consoles.open(proof=onlooker)
    for tab in TABS:
        page = console.go(f"/services/{chat}?tab={tab}")
        page.locator("[role=note][data-missing]").first.wait_for()
        console.settled()


def test_what_is_not_there_is_no_error(
    consoles: Consoles, platform: Platform, sdk: PythonSdk, chat: str
) -> None:
    """No scalers, no password, no such service: the page says so, and nobody is asked for them."""
    console = consoles.open()
    page = console.go(f"/services/{chat}?tab=scaling")
    page.get_by_role("button", name="Scale by load").wait_for()
    page.get_by_role("button", name="Scale by the clock").wait_for()
    ram = account_ram(platform)
    ram("CreateUser", UserName="browser-silent")
    page = console.go("/access?name=browser-silent")
    login = page.get_by_role("region", name="Console sign-in")
    login.get_by_role("button").wait_for()
    console.settled()
    ram("DeleteUser", UserName="browser-silent")
    page = console.go("/services/never_there?tab=logs")
    page.get_by_role("heading", name="There is no such service").wait_for()
    sdk("CreateService", body=document("leaves"))
    Service(sdk, "leaves").until("Running")
    page = console.go("/services/leaves?tab=config")
    page.get_by_role("region", name="Labels").wait_for()
    console.settled()
    Service(sdk, "leaves").delete()
    page.get_by_role("heading", name="There is no such service").wait_for()


def test_a_killed_hub_is_told_and_waited_for(
    tmp_path_factory: pytest.TempPathFactory, windows: Windows
) -> None:
    """A banner within five seconds; when the hub is back the page goes on by itself (check 23)."""
    with running(tmp_path_factory.mktemp("killed")) as own:
        consoles = Consoles(own, windows)
        consoles.forgiven.append("net::ERR_")  # nobody answered, which is what the banner says
        page = consoles.open().go("/services")
        page.get_by_role("button", name="Create the demo service").wait_for()
        page.evaluate("window.stayed = true")
        banner = page.get_by_text("The platform does not answer")
        assert banner.count() == 0
        # The supervisor would start another one at once: it has to hold its breath.
        os.kill(own.process.pid, signal.SIGSTOP)
        try:
            hub_of(own).kill()
            killed = time.monotonic()
            banner.wait_for(timeout=20_000)
            took = time.monotonic() - killed
        finally:
            os.kill(own.process.pid, signal.SIGCONT)
        assert took <= 5.0
        banner.wait_for(state="hidden", timeout=60_000)
        PythonSdk(own)("CreateService", body=document("after_all"))
        page.get_by_role("link", name="after_all", exact=True).wait_for()
        assert page.evaluate("window.stayed"), "the page was loaded anew on the way"
        Service(PythonSdk(own), "after_all").delete()
        consoles.close()


def hub_of(platform: Platform) -> psutil.Process:
    """The process of the hub."""
    (hub,) = [
        child
        for child in psutil.Process(platform.process.pid).children()
        if "hub" in child.cmdline()
    ]
    return hub
