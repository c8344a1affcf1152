"""The API explorer by hand: what it signs, what it writes, what it shows and what it keeps to itself."""

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests
from console_pages import Consoles
from explorer_page import MOCK, REAL, ExplorerPage
from playwright.sync_api import Page, Request, Route
from running_platform import Platform, until

from ram_clients import Keys, NewSdk, Refused

#: All that encoders get wrong: a blank, a star, a tilde, a slash, a letter of three bytes.
ODD = "a b*c~/中"
PASSWORD = "a password of the tests"
LOOKER, LOOKS = "browser-looker", "browser-looks"
MADE = "browser-made"
DOCUMENTS = ("eas", "zstack", "openai", "pierhead", "ram", "sts")
MARKS = {
    "Python": "alibabacloud_eas20210701",
    "TypeScript": "@alicloud/openapi-client",
    "Java": "com.aliyun",
    "Go": "github.com/alibabacloud-go",
    "C#": "AlibabaCloud.",
    "PHP": "<?php",
    "curl": "openssl",
}


@pytest.fixture(scope="module")
def root(platform: Platform) -> NewSdk:
    """RAM, as the account."""
    given = platform.credentials
    return NewSdk(platform.address, Keys(given["access_key_id"], given["access_key_secret"]))


@pytest.fixture
def looker(root: NewSdk, afterwards: ExitStack) -> dict[str, str]:
    """Name and password of somebody who may list services, and no more."""
    statement = {"Effect": "Allow", "Action": "eas:ListServices", "Resource": "*"}
    document = json.dumps({"Version": "1", "Statement": [statement]})
    policy = {"PolicyName": LOOKS, "PolicyType": "Custom"}
    root("CreateUser", UserName=LOOKER)
    afterwards.callback(root, "DeleteUser", UserName=LOOKER)
    root("CreateLoginProfile", UserName=LOOKER, Password=PASSWORD)
    root("CreatePolicy", PolicyName=LOOKS, PolicyDocument=document)
    afterwards.callback(root, "DeletePolicy", PolicyName=LOOKS)
    root("AttachPolicyToUser", UserName=LOOKER, **policy)
    afterwards.callback(root, "DetachPolicyFromUser", UserName=LOOKER, **policy)
    return {"UserName": LOOKER, "Password": PASSWORD}


@pytest.fixture
def made(root: NewSdk) -> Iterator[str]:
    """The name of a user that the test makes."""
    yield MADE
    with suppress(Refused):  # where the test never came to that
        root("DeleteUser", UserName=MADE)


def rows(platform: Platform) -> dict[str, int]:
    """How many rows each table has, but for what may still come in of earlier deeds and of services."""
    with _database(platform) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            for (name,) in names
            if name not in {"audit", "events"}
        }


def trail(platform: Platform, word: str) -> list[str]:
    """Outcomes of what the trail tells of something."""
    with _database(platform) as database:
        found = database.execute(
            "SELECT outcome FROM audit WHERE resource LIKE ? OR detail LIKE ?", (f"%{word}%",) * 2
        )
        return [outcome for (outcome,) in found]


def _database(platform: Platform) -> "closing[sqlite3.Connection]":
    file = platform.folder / "pierhead.db"
    return closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10))


def test_the_browser_signs_whatever_a_value_holds(consoles: Consoles) -> None:
    """A query of odd letters passes, on a page by a name that is not localhost (checks 11 and 12)."""
    explorer = ExplorerPage(consoles.open(host="console.test"))
    explorer.open("eas", "ListServices")
    assert explorer.page.evaluate("crypto.subtle === undefined")
    explorer.field("Filter").fill(ODD)
    assert explorer.call(REAL) == "200"
    explorer.tab("Signature")
    signed = explorer.page.get_by_role("region", name="Canonical request").inner_text()
    assert "Filter=a%20b%2Ac~%2F%E4%B8%AD" in signed


def test_a_mock_call_writes_nothing_and_a_real_one_asks_first(
    platform: Platform, consoles: Consoles, made: str
) -> None:
    """Row counts stay; the question before the real one names the object (check 13)."""
    explorer = ExplorerPage(consoles.open())
    page = explorer.page
    explorer.open("ram", "CreateUser")
    assert explorer.credential  # a row of its own, which is there now
    before = rows(platform)
    explorer.field("UserName").fill(made)
    assert explorer.call() == "200"
    assert explorer.answer.get_by_text("Mock", exact=True).is_visible()
    assert made in explorer.answer.inner_text()
    assert {name: many for name, many in rows(platform).items() if many > before[name]} == {}

    sent: list[str] = []
    page.on("request", lambda asked: "Action=CreateUser" in asked.url and sent.append(asked.url))
    explorer.field("UserName").fill(made)
    page.get_by_role("button", name=REAL).click()
    question = page.get_by_role("dialog", name="Really call CreateUser?")
    assert question.get_by_text(f"UserName {made}", exact=True).is_visible()
    assert not sent
    question.get_by_role("button", name="Send the real call").click()
    question.wait_for(state="hidden")
    assert explorer.status() == "200"
    assert len(sent) == 1
    after = rows(platform)
    assert after["users"] == before["users"] + 1
    assert until(lambda: trail(platform, made), 30, "the trail tells of it") == ["Success"]


def test_a_mock_call_is_judged_as_a_real_one(consoles: Consoles, looker: dict[str, str]) -> None:
    """A wrong value is told; who has no right is refused, and told which one is missing (check 13)."""
    consoles.forgiven += ["status of 400", "status of 403"]
    explorer = ExplorerPage(consoles.open())
    explorer.open("ram", "CreateUser", {"UserName": "no name!"})
    assert explorer.call() == "400"
    refused = explorer.answer.get_by_role("alert").inner_text()
    assert "InvalidParameter" in refused
    assert "UserName" in refused

    explorer = ExplorerPage(consoles.open(proof=looker))
    explorer.open("ram", "CreateUser", {"UserName": MADE})
    assert explorer.call() == "403"
    assert "ram:CreateUser" in explorer.answer.get_by_role("alert").inner_text()
    real = explorer.page.locator("[data-missing='ram:CreateUser']")
    real.wait_for()
    assert REAL in real.inner_text()


def test_a_credential_at_its_end_is_renewed_and_the_form_stays(consoles: Consoles) -> None:
    """The first answer says that it has expired; the call passes all the same (check 16)."""
    consoles.forgiven.append("status of 400")
    explorer = ExplorerPage(consoles.open())
    page = explorer.page
    explorer.open("ram", "CreateLoginProfile")
    secret = page.locator(".form-pane input[type=password]")
    explorer.field("UserName").fill(LOOKER)
    secret.fill(PASSWORD)
    keys: list[str] = []

    def expired(route: Route) -> None:
        keys.append(route.request.headers["authorization"])
        if len(keys) > 1:
            return route.continue_()
        told = {"Code": "InvalidSecurityToken.Expired", "Message": "Too old.", "RequestId": "R"}
        return route.fulfill(status=400, json=told)

    page.route(re.compile(r"/\?Action=CreateLoginProfile"), expired)
    before = explorer.credential
    assert explorer.call() == "200"
    assert len(keys) == 2
    assert before in keys[0]
    assert before not in keys[1]
    assert explorer.credential != before
    assert (explorer.field("UserName").input_value(), secret.input_value()) == (LOOKER, PASSWORD)
    page.wait_for_url(re.compile(LOOKER))
    assert "password" not in unquote(page.url).replace("+", " ")
    page.reload()
    explorer.named("CreateLoginProfile")
    assert (explorer.field("UserName").input_value(), secret.input_value()) == (LOOKER, "")


def test_code_in_seven_languages_holds_no_secret_and_a_link_brings_it_back(
    platform: Platform, consoles: Consoles
) -> None:
    """Neither samples nor anything else that a page shows or keeps is a key to anything (check 15)."""
    explorer = ExplorerPage(consoles.open())
    page = explorer.page
    with page.expect_response("**/console/api/credential") as asked:
        explorer.open("eas", "ListServices")
    credential: dict[str, str] = asked.value.json()
    own = platform.credentials
    secrets = [own["zstack"]["password"], own["access_key_secret"]]
    secrets += [credential[name] for name in ("AccessKeySecret", "SecurityToken", "ZStackSession")]
    assert all(secrets)

    def look() -> str:
        whole = _all_of(page)
        assert credential["AccessKeyId"] in whole, "without one, a page keeps nothing to itself"
        assert [secret for secret in secrets if secret in whole] == []
        return whole

    explorer.field("Filter").fill(ODD)
    page.wait_for_url(re.compile("Filter"))
    for language, mark in MARKS.items():
        explorer.tab(language)
        code = page.get_by_role("region", name=f"ListServices in {language}", exact=True)
        code.filter(has_text=mark).wait_for()
        look()
    assert explorer.call() == "200"
    explorer.answer.get_by_text("What was sent").click()
    look()
    explorer.tab("Signature")
    assert "x-acs-security-token:" in look()
    explorer.tab("Code")
    page.reload()
    code.filter(has_text=MARKS["curl"]).wait_for()
    assert explorer.field("Filter").input_value() == ODD


def _all_of(page: Page) -> str:
    """All that a page shows and keeps."""
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    return "\n".join((page.content(), kept, page.url))


def test_the_explorer_has_what_the_documents_have(platform: Platform, consoles: Consoles) -> None:
    """Each operation here is there, with since, action and example, and the other way (check 24)."""
    explorer = ExplorerPage(consoles.open())
    explorer.open("eas", "ListServices", all="1")
    listed = explorer.page.get_by_role("navigation", name="Operations")
    listed.get_by_role("link", name="CreateAppService").wait_for()
    closed = listed.get_by_role("button", expanded=False)
    while closed.count():
        closed.first.click()
    links: list[str] = listed.get_by_role("link").evaluate_all("all => all.map(a => a.href)")
    found = [
        {name: told for name, (told,) in parse_qs(urlsplit(one).query).items()} for one in links
    ]
    shown = [(one["product"], one["op"]) for one in found]
    documented = [(name, id_) for name in DOCUMENTS for id_ in _documented(platform, name)]
    assert sorted(shown) == sorted(documented)
    assert len(shown) > 250


def _documented(platform: Platform, name: str) -> list[str]:
    """Ids of a document. ZStack's tells apart what shares a path, and has doors besides."""
    document: Any = requests.get(f"{platform.eas}/openapi/{name}.json", timeout=30).json()
    told: dict[str, Any] = {}
    for path in document["paths"].values():
        for operation in path.values():
            alone = {operation["operationId"]: operation} if "x-since" in operation else {}
            told |= operation.get("x-pierhead-apis") or alone
    needed = {"x-since", "x-ram-action", "x-example"}
    assert all(needed <= set(one) for one in told.values())
    return list(told)


def test_a_login_of_ones_own_at_the_zstack_door(platform: Platform, consoles: Consoles) -> None:
    """Log in, call with a body of either form, log out; there is no crypto.subtle here (check 25)."""
    explorer = ExplorerPage(consoles.open(host="console.test"))
    page = explorer.page
    explorer.open("zstack", "QueryModel")
    authorization = _logged_in(explorer, consoles.account)
    assert _sent(explorer, REAL).headers["authorization"] == authorization
    explorer.choose("CreateDataset")
    page.get_by_text("Own login").click()
    page.get_by_role("button", name="Example", exact=True).click()
    wrapped = _sent(explorer, MOCK)
    page.get_by_text("Flat body").click()
    flat = _sent(explorer, MOCK)
    assert {one.headers["authorization"] for one in (wrapped, flat)} == {authorization}
    assert set(wrapped.post_data_json) == {"params"}
    assert wrapped.post_data_json["params"] == flat.post_data_json

    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Log in", exact=True).wait_for()
    assert page.get_by_role("button", name=MOCK).is_disabled()
    url = f"{platform.eas}/zstack/v1/ai/models"
    ended = requests.get(url, headers={"Authorization": authorization}, timeout=30)
    assert ended.status_code == 503
    assert ended.json()["error"]["code"] == "ID.1001"


def _logged_in(explorer: ExplorerPage, account: dict[str, str]) -> str:
    """Log in, on the page; the header that is sent from then on."""
    page = explorer.page
    page.get_by_text("Own login").click()
    page.get_by_label("Account", exact=True).fill(account["UserName"])
    page.get_by_label("Password", exact=True).fill(account["Password"])
    assert page.get_by_role("button", name=MOCK).is_disabled()
    with page.expect_response("**/zstack/v1/accounts/login") as asked:
        page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_text(f"Logged in as {account['UserName']}.").wait_for()
    sent = asked.value.request.post_data_json["logInByAccount"]
    assert sent["password"] == hashlib.sha512(account["Password"].encode()).hexdigest()
    return f"OAuth {asked.value.json()['inventory']['uuid']}"


def _sent(explorer: ExplorerPage, word: str) -> Request:
    """Call, successfully; what went out."""
    with explorer.page.expect_request("**/zstack/v1/ai/**") as asked:
        assert explorer.call(word) == "200"
    return asked.value


def test_the_first_line_that_differs_is_marked(consoles: Consoles) -> None:
    """Something on the way changes a header; the page tells which (signature pane)."""
    consoles.forgiven += ["status of 400", "status of 403"]
    explorer = ExplorerPage(consoles.open())
    page = explorer.page
    explorer.open("eas", "DescribeService", {"ClusterId": "local", "ServiceName": "foo"})

    def changed(route: Route) -> None:
        route.continue_(headers={**route.request.headers, "x-acs-signature-nonce": "0" * 32})

    page.route("**/api/v2/**", changed)
    assert explorer.call() in {"400", "403"}
    assert "SignatureDoesNotMatch" in explorer.answer.get_by_role("alert").inner_text()
    explorer.tab("Signature")
    ours = page.get_by_role("region", name="Canonical request", exact=True)
    theirs = page.get_by_role("region", name="Canonical request: Made of it by the platform")
    lines = [one.inner_text().split("\n") for one in (ours, theirs)]
    first = next(number for number, (a, b) in enumerate(zip(*lines, strict=False), 1) if a != b)
    assert page.get_by_test_id("first-difference").first.inner_text().startswith(f"Line {first} ")
    assert ours.locator(".line-bad").inner_text().startswith("x-acs-signature-nonce:")
    assert theirs.locator(".line-bad").inner_text().strip() == f"x-acs-signature-nonce:{'0' * 32}"


def test_the_reference_speaks_three_languages(consoles: Consoles) -> None:
    """Texts of one operation, changed from the menu; the page stays, and so does its form."""
    explorer = ExplorerPage(consoles.open())
    page = explorer.page
    explorer.open("eas", "CreateAppService", tab="docs")
    page.get_by_role("heading", name="Create an app service").wait_for()
    explorer.field("ServiceName").fill(MADE)
    page.evaluate("window.stays = true")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Language").click()
    page.get_by_role("menuitem", name="简体中文").click()
    page.get_by_role("heading", name="创建应用服务").wait_for()
    page.get_by_role("button", name="语言").click()
    page.get_by_role("menuitem", name="繁體中文").click()
    page.get_by_role("heading", name="創建應用服務").wait_for()
    for words in ("請求參數", "返回參數"):
        page.get_by_role("heading", name=words, exact=True).wait_for()
    page.get_by_role("tab", name="代碼示例").wait_for()
    assert page.evaluate("document.documentElement.lang") == "zh-TW"
    assert page.evaluate("window.stays") is True
    assert explorer.field("ServiceName").input_value() == MADE
