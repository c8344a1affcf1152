"""The console's sessions and credentials: who gets in, what it is worth, and when it ends."""

import hashlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest
from console_world import API, CONSOLE, KEY, PASSWORD, Browser, World, serving

from pierhead.core import tickets
from pierhead.operations.consoles import LONGEST, MOST_CREDENTIALS
from ram_clients import Keys, NewSdk, Refused

ADMIN = {"UserName": "admin", "Password": PASSWORD}
SERVICES = "/api/v2/services"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(World(tmp_path_factory.mktemp("console"))) as world:
        yield world


@pytest.fixture
def admin(world: World) -> Browser:
    world.clock.offset = 0.0
    return world.log_in(**ADMIN)


def name() -> str:
    return f"u{secrets.token_hex(4)}"


def ended(browser: Browser) -> bool:
    found = browser.get("/session")
    assert found.code == ("" if found.status == 200 else "InvalidSession")
    return found.status == 401


# ---- in and out ------------------------------------------------------------------------------------


def test_a_session_tells_who_is_there_and_its_cookie_tells_nothing(world: World) -> None:
    found = world.send("POST", f"{API}/login", ADMIN, CONSOLE)
    assert found.status == 200
    assert found.headers["cache-control"] == "no-store"
    (cookie,) = found.cookies
    shape = r"pierhead_session=[0-9a-f]{64}; Path=/console; HttpOnly; SameSite=Strict"
    assert re.fullmatch(shape, cookie)
    assert {part: found.body["Principal"][part] for part in ("Kind", "Name", "Admin")} == {
        "Kind": "account",
        "Name": "admin",
        "Admin": True,
    }
    assert {"Expires", "Csrf", "Region", "Version", "Gateway", "Endpoint"} <= set(found.body)
    assert found.body["Csrf"] not in cookie
    assert found.headers["x-acs-request-id"] == found.body["RequestId"]


def test_users_come_by_name_or_with_the_accounts_and_those_without_password_do_not(
    world: World,
) -> None:
    alice, bare = name(), name()
    world.user(alice)
    world.user(bare, password="")
    for who in (alice, f"{alice}@admin", f"{alice}@{world.platform.account}"):
        browser = world.log_in(UserName=who, Password=PASSWORD)
        assert browser.session["Principal"]["Name"] == alice
        assert not browser.session["Principal"]["Admin"]
    for who in (bare, f"{alice}@strangers", "nobody", "a\0b", "\ud800"):
        found = world.send("POST", f"{API}/login", {"UserName": who, "Password": PASSWORD}, CONSOLE)
        assert (found.status, found.code) == (401, "InvalidLogin")
    act, _, source = world.acts[-1]
    assert (act.door, act.action, act.code, act.denied) == (
        "console",
        "pierhead:LogIn",
        "InvalidLogin",
        True,
    )
    assert source.address == "127.0.0.1"
    assert PASSWORD not in repr([act for act, _, _ in world.acts if act.door == "console"])


def test_a_key_opens_a_session_that_ends_with_it(world: World, admin: Browser) -> None:
    who = name()
    world.user(who, password="")
    made = world.root("CreateAccessKey", UserName=who)["AccessKey"]
    pair = {"AccessKeyId": made["AccessKeyId"], "AccessKeySecret": made["AccessKeySecret"]}
    browser = world.log_in(**pair)
    assert browser.session["Principal"]["Name"] == who
    credential = browser.credential()
    assert world.signed(SERVICES, credential).code == "Forbidden.RAM"
    minted = {"AccessKeyId": credential.id, "AccessKeySecret": credential.secret}
    wrong = {**pair, "AccessKeySecret": "no"}
    for body in (minted, wrong, {**pair, "AccessKeyId": "LTAInobody"}):
        assert world.send("POST", f"{API}/login", body, CONSOLE).status == 401
    world.root(
        "UpdateAccessKey", UserName=who, UserAccessKeyId=pair["AccessKeyId"], Status="Inactive"
    )
    assert ended(browser)
    assert world.signed(SERVICES, credential).code == "InvalidAccessKeyId.NotFound"
    assert not ended(admin)


def test_a_ticket_opens_one_session(world: World) -> None:
    now = world.clock()
    text = tickets.make(KEY.id, KEY.secret, now, secrets.token_bytes)
    assert world.log_in(Ticket=text).session["Principal"]["Admin"]
    late = tickets.make(KEY.id, KEY.secret, now - tickets.LIFE - 1, secrets.token_bytes)
    early = tickets.make(KEY.id, KEY.secret, now + 3600, secrets.token_bytes)
    other = tickets.make(KEY.id, "another secret", now, secrets.token_bytes)
    fresh = tickets.make(KEY.id, KEY.secret, now, secrets.token_bytes)
    longer = fresh.replace(f".{int(now + tickets.LIFE)}.", f".{int(now + tickets.LIFE) + 9}.")
    for bad in (text, late, early, other, longer, "x", "." * 500):
        found = world.send("POST", f"{API}/login", {"Ticket": bad}, CONSOLE)
        assert (found.status, found.code) == (401, "InvalidLogin"), bad


def test_a_login_takes_no_cookie_from_before_and_ends_that_session(
    world: World, admin: Browser
) -> None:
    planted = f"pierhead_session={'a' * 64}"
    for cookie in (planted, admin.cookie):
        found = world.send("POST", f"{API}/login", ADMIN, {**CONSOLE, "Cookie": cookie})
        assert found.cookies[0].partition(";")[0] != cookie
    assert ended(admin)
    assert ended(replace(admin, cookie=planted))


def test_logout_ends_the_session_its_credentials_and_its_zstack_session(
    world: World, admin: Browser
) -> None:
    made = admin.post("/credential", {}).body
    key = replace(
        KEY,
        id=made["AccessKeyId"],
        secret=made["AccessKeySecret"],
        session_token=made["SecurityToken"],
    )
    zstack = {"Authorization": f"OAuth {made['ZStackSession']}"}
    assert world.signed(SERVICES, key).status == 200
    assert world.send("GET", "/zstack/v1/zones", None, zstack).status == 200
    other = world.log_in(**ADMIN)
    found = admin.post("/logout")
    assert found.status == 200
    assert found.cookies[0].startswith("pierhead_session=; ")
    assert found.cookies[0].endswith("Max-Age=0")
    assert ended(admin)
    assert world.signed(SERVICES, key).code == "InvalidAccessKeyId.NotFound"
    assert world.send("GET", "/zstack/v1/zones", None, zstack).status != 200
    assert not ended(other)


def test_logging_out_everywhere_ends_all_of_ones_own_sessions_and_no_others(world: World) -> None:
    who, other = name(), name()
    for user in (who, other):
        world.user(user, "eas:ListServices")
    here, there = (world.log_in(UserName=who, Password=PASSWORD) for _ in range(2))
    stranger = world.log_in(UserName=other, Password=PASSWORD)
    made = there.post("/credential", {}).body
    page = {"Authorization": f"OAuth {made['ZStackSession']}"}
    keys = [here.credential(), there.credential(), stranger.credential()]
    uuid = zstack_login(world, who)
    assert [world.signed(SERVICES, key).status for key in keys] == [200, 200, 200]
    for bad in ({"Everywhere": "yes"}, {"Everywhere": 1}, {"Here": True}):
        assert here.post("/logout", bad).code == "InvalidParameter", bad
    found = here.post("/logout", {"Everywhere": True})
    assert (found.status, found.body["Ended"]) == (200, 2)
    assert found.cookies[0].endswith("Max-Age=0")
    assert [ended(one) for one in (here, there, stranger)] == [True, True, False]
    codes = [world.signed(SERVICES, key).code for key in keys]
    assert codes == ["InvalidAccessKeyId.NotFound", "InvalidAccessKeyId.NotFound", ""]
    valid = "/zstack/v1/accounts/sessions/{}/valid"
    page_uuid = page["Authorization"].split()[1]
    assert world.send("GET", valid.format(page_uuid)).body["valid"] is False
    # A program's login at the ZStack door is no session of the console.
    assert world.send("GET", valid.format(uuid)).body["valid"] is True
    told = [act.detail for act, _, _ in world.acts if act.action == "pierhead:LogOut"]
    assert told[-1] == {"Everywhere": True, "Sessions": 2}


def zstack_login(world: World, user: str) -> str:
    """The uuid of a login that a program of this user opened at the ZStack door."""
    secret = hashlib.sha512(PASSWORD.encode()).hexdigest()
    body = {"logInByUser": {"userName": user, "accountName": "admin", "password": secret}}
    found = world.send("PUT", "/zstack/v1/accounts/users/login", body)
    assert found.status == 200, found
    return found.body["inventory"]["uuid"]


@pytest.mark.parametrize("action", ["password", "profile", "user"])
def test_what_ends_a_users_logins_ends_sessions_and_credentials(world: World, action: str) -> None:
    who = name()
    world.user(who, "eas:ListServices")
    browser = world.log_in(UserName=who, Password=PASSWORD)
    key = browser.credential()
    assert world.signed(SERVICES, key).status == 200
    if action == "password":
        world.root("UpdateLoginProfile", UserName=who, Password="another password")
    elif action == "profile":
        world.root("DeleteLoginProfile", UserName=who)
    else:
        world.root(
            "DetachPolicyFromUser", UserName=who, PolicyName=f"of-{who}", PolicyType="Custom"
        )
        world.root("DeleteUser", UserName=who)
    assert ended(browser)
    assert world.signed(SERVICES, key).code == "InvalidAccessKeyId.NotFound"


def test_a_session_slides_and_ends_after_a_day_all_the_same(world: World, admin: Browser) -> None:
    timeout = world.settings.zstack_session_timeout
    step, passed = timeout - 1, 0.0
    while passed + step < LONGEST:
        passed += step
        world.clock.offset = passed
        assert not ended(admin)
    world.clock.offset = LONGEST + 1
    assert ended(admin)
    silent = world.log_in(**ADMIN)
    world.clock.offset += timeout + 1
    assert ended(silent)


# ---- credentials -----------------------------------------------------------------------------------


def test_a_credential_has_its_users_rights_and_expires(world: World, admin: Browser) -> None:
    who = name()
    world.user(who, "eas:ListServices")
    browser = world.log_in(UserName=who, Password=PASSWORD)
    key = browser.credential()
    sdk = NewSdk(world.address, Keys(key.id, key.secret, key.session_token))
    identity = sdk("GetCallerIdentity")
    assert identity["Arn"].endswith(f":user/{who}")
    with pytest.raises(Refused) as refused:
        sdk("CreateUser", UserName=name())
    assert refused.value.status == 403
    assert world.signed(SERVICES, key).status == 200
    assert world.signed(SERVICES, replace(key, session_token="")).code == "MissingSecurityToken"
    world.clock.offset = -901  # those who judge signatures have a clock of their own
    browser = world.log_in(UserName=who, Password=PASSWORD)
    late = browser.credential()
    assert world.signed(SERVICES, late).code == "InvalidSecurityToken.Expired"
    world.clock.offset = 0.0
    assert world.signed(SERVICES, browser.credential()).status == 200


def test_a_zstack_session_of_a_page_does_not_slide(world: World, admin: Browser) -> None:
    made = admin.post("/credential", {}).body["ZStackSession"]
    path = f"/zstack/v1/accounts/sessions/{made}/valid"
    header = {"Authorization": f"OAuth {made}"}
    for moment in (0.0, 600.0, 899.0):
        world.clock.offset = moment
        assert world.send("GET", "/zstack/v1/zones", None, header).status == 200
        assert world.send("GET", path).body["valid"] is True
    renewal = {"renewSession": {"duration": 3600}}
    renewed = world.send("PUT", f"/zstack/v1/accounts/sessions/{made}/renew", renewal, header)
    assert "ends with the one it was made for" in str(renewed.body)
    world.clock.offset = 901.0
    assert world.send("GET", "/zstack/v1/zones", None, header).status != 200
    assert world.send("GET", path).body["valid"] is False


def test_a_session_has_a_few_credentials_at_a_time(world: World, admin: Browser) -> None:
    made = [admin.credential() for _ in range(MOST_CREDENTIALS + 1)]
    statuses = [world.signed(SERVICES, key).status for key in made]
    assert statuses[1:] == [200] * MOST_CREDENTIALS
    assert statuses[0] != 200


def test_a_wrong_signature_of_a_consoles_key_shows_what_the_server_signed(
    world: World, admin: Browser
) -> None:
    key = admin.credential()
    found = world.signed(f"{SERVICES}?PageSize=10", key, secret="not it")
    assert (found.status, found.code) == (400, "SignatureDoesNotMatch")
    lines = found.body["CanonicalRequest"].split("\n")
    assert lines[:3] == ["GET", SERVICES, "PageSize=10"]
    assert f"host:{world.address}" in lines
    assert found.body["StringToSign"].startswith("ACS3-HMAC-SHA256\n")
    assert key.secret not in str(found.body)
    plain = world.signed(SERVICES, KEY, secret="not it")
    assert plain.code == "SignatureDoesNotMatch"
    assert "CanonicalRequest" not in plain.body


# ---- what is allowed -------------------------------------------------------------------------------


def test_pages_learn_what_policies_allow_and_why_not(world: World, admin: Browser) -> None:
    who = name()
    world.user(who, "eas:ListServices", "eas:StopService")
    browser = world.log_in(UserName=who, Password=PASSWORD)
    asked = [
        {"Action": "eas:CreateService", "Resource": "*"},
        {"Action": "eas:StopService", "Resource": "acs:eas:local:1:service/chat"},
    ]
    for person, answers in ((browser, [False, True]), (admin, [True, True])):
        found = person.post("/allowed", {"Asked": asked})
        assert [one["Allowed"] for one in found.body["Answers"]] == answers
        assert [one["Action"] for one in found.body["Answers"]] == [a["Action"] for a in asked]
    refused = browser.post("/allowed", {"Asked": asked}).body["Answers"][0]
    assert refused["Reason"] == "No policy allows eas:CreateService."
    assert admin.post("/allowed", {"Asked": asked * 100}).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Asked": {}},
        {"Asked": [1]},
        {"Asked": [{"Action": "eas:StopService"}]},
        {"Asked": [{"Action": "eas:*", "Resource": "*"}]},
        {"Asked": [{"Action": "\ud800:x", "Resource": "a:b"}]},
        {"Asked": [{"Action": "eas:StopService", "Resource": "*", "More": 1}]},
        {"Asked": [{"Action": "eas:StopService", "Resource": "*"}] * 201},
    ],
)
def test_a_question_that_is_none_is_refused(admin: Browser, body: object) -> None:
    found = admin.post("/allowed", body)
    assert found.status == 400
    assert found.body["Message"]


# ---- strangers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Pierhead_Csrf": ""},
        {"X_Pierhead_Csrf": "0" * 48},
        {"X_Pierhead_Csrf": "\xe9"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_write_that_a_strange_page_may_have_sent_is_refused(
    admin: Browser, headers: dict[str, str]
) -> None:
    for path in ("/credential", "/logout", "/allowed"):
        found = admin.post(path, {}, **headers)
        assert (found.status, found.code) == (403, "ForgedRequest")
    assert not ended(admin)


def test_another_sessions_csrf_token_is_none(world: World, admin: Browser) -> None:
    other = world.log_in(**ADMIN)
    assert admin.post("/credential", {}, X_Pierhead_Csrf=other.csrf).code == "ForgedRequest"
    assert admin.post("/credential", {}, Origin=f"http://{world.address}").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Pierhead-Console": "0"},
        {**CONSOLE, "Origin": "http://evil.example"},
        {**CONSOLE, "Origin": "null", "Host": ""},
    ],
)
def test_a_login_that_a_strange_page_may_have_sent_is_refused(
    world: World, headers: dict[str, str]
) -> None:
    found = world.send("POST", f"{API}/login", ADMIN, headers)
    assert (found.status, found.code, found.cookies) == (403, "ForgedRequest", ())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "InvalidParameter"),
        (b"[]", "InvalidParameter"),
        (b"\xff", "InvalidParameter"),
        (b'{"UserName":"a","UserName":"b"}', "InvalidParameter"),
        (b'{"x":' * 5000 + b"1" + b"}" * 5000, "InvalidParameter"),
        (b" " * 100_000, "InvalidParameter"),
        ({}, "MissingParameter"),
        ({"UserName": "admin"}, "MissingParameter"),
        ({"UserName": "admin", "Password": 1}, "InvalidParameter"),
        ({"UserName": "admin", "Password": "x" * 1025}, "InvalidParameter"),
        ({**ADMIN, "Remember": True}, "InvalidParameter"),
        ({**ADMIN, "Ticket": "x"}, "InvalidParameter"),
    ],
)
def test_a_login_that_makes_no_sense_is_refused(world: World, body: object, code: str) -> None:
    found = world.send("POST", f"{API}/login", body, CONSOLE)
    assert (found.status, found.code) == (400, code)


@pytest.mark.parametrize(
    "cookie", ["", "pierhead_session=", "pierhead_session=x", f"pierhead_session={'f' * 64}", "=;;"]
)
def test_without_a_session_there_is_nothing(world: World, cookie: str) -> None:
    for method, path in (("GET", "/session"), ("POST", "/credential"), ("POST", "/logout")):
        found = world.send(method, API + path, None, {"Cookie": cookie})
        assert (found.status, found.code) == (401, "InvalidSession")
    made = {"Cookie": f"{cookie}\t; a=b"}
    assert world.send("GET", f"{API}/session", None, made).status == 401


def test_other_paths_and_methods_are_named(world: World) -> None:
    for path in ("", "/", "/nothing", "/session/more", "/%2e%2e/session", "/%ff"):
        found = world.send("GET", API + path)
        assert (found.status, found.code) == (404, "NotFound")
    found = world.send("DELETE", f"{API}/session")
    assert (found.status, found.headers["allow"]) == (405, "GET")


def test_whoever_guesses_is_slowed_down(world: World) -> None:
    who = name()
    world.user(who)
    wrong = {"UserName": who, "Password": "guess"}
    statuses = [world.send("POST", f"{API}/login", wrong, CONSOLE).status for _ in range(4)]
    assert statuses == [401, 401, 401, 429]
    right = {"UserName": who, "Password": PASSWORD}
    found = world.send("POST", f"{API}/login", right, CONSOLE)
    assert (found.status, found.code) == (429, "Throttling")
    assert 1 <= int(found.headers["retry-after"]) <= 30
    assert world.acts[-1][0].code == "Throttling"
    # The ZStack door counts with it: one may not guess on there.
    zstack = {"logInByUser": {"accountName": "admin", "userName": who, "password": "x" * 128}}
    found = world.send("PUT", "/zstack/v1/accounts/users/login", zstack)
    assert found.status == 429
