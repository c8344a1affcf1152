"""The catalogs as the explorer reads them, with a session, in three languages, kept by browsers."""

import re
from collections.abc import Iterator

import pytest
from console_world import API, PASSWORD, Browser, World, serving

from pierhead import __version__
from pierhead.bootstrap.samples import operations
from pierhead.core import history
from pierhead.dialects.ram import explained
from pierhead.web import explorer


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(World(tmp_path_factory.mktemp("explorer"))) as world:
        yield world


@pytest.fixture(scope="module")
def admin(world: World) -> Browser:
    return world.log_in(UserName="admin", Password=PASSWORD)


def test_the_list_names_every_operation_of_every_product(admin: Browser) -> None:
    found = admin.get("/catalog?lang=en")
    assert found.status == 200
    counts = {one["Product"]: len(one["Operations"]) for one in found.body["Products"]}
    assert counts["eas"] == 108
    assert counts["zstack"] == 74
    assert set(counts) == {"eas", "zstack", "openai", "pierhead", "ram", "sts"}
    first = found.body["Products"][0]["Operations"][0]
    keys = {"Id", "Group", "Title", "Method", "Path", "Style", "Access", "Supported", "Deprecated"}
    assert keys <= set(first)
    # Once per release and language; until then the browser asks, and mostly nothing is sent.
    assert found.headers["cache-control"] == "private, no-cache"
    kept = admin.get(f"/catalog?lang=en&v={__version__}")
    assert kept.headers["cache-control"] == "private, max-age=31536000, immutable"
    tag = {"If-None-Match": found.headers["etag"]}
    world = admin.world
    again = world.send("GET", f"{API}/catalog?lang=en", headers={"Cookie": admin.cookie, **tag})
    assert (again.status, again.headers["etag"]) == (304, found.headers["etag"])
    other = admin.get("/catalog?lang=zh-TW")
    assert other.headers["etag"] != found.headers["etag"]
    assert "模型服務" in other.body["Products"][0]["Title"]


def test_an_operation_is_told_whole(admin: Browser) -> None:
    found = admin.get("/catalog/eas/DescribeService?lang=zh-CN").body
    assert (found["Id"], found["Method"], found["Style"]) == ("DescribeService", "GET", "roa")
    assert found["Authorization"]["Action"] == "eas:DescribeService"
    assert "acs:ResourceTag/<key>" in found["Authorization"]["Conditions"]
    assert found["Example"] == {"ClusterId": "local", "ServiceName": "foo"}
    assert {"Code": "InvalidService.NotFound", "Status": 404}.items() <= next(
        one for one in found["ErrorCodes"] if one["Code"] == "InvalidService.NotFound"
    ).items()
    assert {one["Name"] for one in found["Parameters"]} == {"ClusterId", "ServiceName"}
    labels = next(one for one in found["Response"] if one["Name"] == "Labels")
    assert {one["Name"] for one in labels["Items"]["Fields"]} == {"LabelKey", "LabelValue"}
    for product, name in (
        ("zstack", "AddModelService"),
        ("openai", "CreateChatCompletion"),
        ("pierhead", "ListAuditEntries"),
        ("ram", "BindMFADevice"),
        ("sts", "AssumeRole"),
    ):
        assert admin.get(f"/catalog/{product}/{name}").body["Id"] == name


def test_bad_questions_are_answered(admin: Browser, world: World) -> None:
    assert admin.get("/catalog?lang=tlh").code == "InvalidParameter"
    for path in ("/catalog/none/CreateUser", "/catalog/eas/CreateUser", "/catalog/eas/%00"):
        assert admin.get(path).status == 404, path
    assert world.send("GET", f"{API}/catalog").status == 401


def test_what_is_missing_in_a_language_is_told_in_english_then_not_at_all() -> None:
    own = {"operations": {"X": {"title": "建"}}, "parameters": {"X.A.B": "内"}}
    english = {
        "operations": {"X": {"title": "Make", "description": "Makes it."}},
        "parameters": {"B": "inner", "C": "third"},
        "fields": {"D": "fourth"},
    }
    operation = explained.operations()[0]
    speech = explorer.Speech(
        {**own, "operations": {operation.id: own["operations"]["X"]}},
        {**english, "operations": {operation.id: english["operations"]["X"]}},
    )
    assert speech.title(operation) == "建"
    assert speech.description(operation) == "Makes it."
    assert speech.field("parameters", operation, "A.B") == "inner"
    assert speech.field("fields", operation, "C") == "third"
    assert speech.field("fields", operation, "D") == "fourth"
    assert speech.field("fields", operation, "E") == ""
    assert speech.group("User") == "User"


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def test_the_history_tells_what_is_known_and_nothing_else(admin: Browser) -> None:
    """Every operation that is real has the release since when, in the languages of the pages."""
    told: dict[tuple[str, str], list[str]] = {}
    for release, products in history.REAL_SINCE.items():
        assert numbers(release) <= numbers(__version__)
        for product, names in products.items():
            for name in names.split():
                told.setdefault((product, name), []).append(release)
    real = [one for one in operations() if not one.unsupported]
    assert set(told) == {(one.product, one.id) for one in real}
    assert [one.id for one in real if not one.changes] == []
    assert [name for name, releases in told.items() if len(releases) > 1] == []
    texts = {
        language: admin.get(f"/catalog/eas/ListGroups?lang={language}").body["Changes"]
        for language in ("en", "zh-CN", "zh-TW")
    }
    kinds = [(one["Version"], one["Kind"]) for one in texts["en"]]
    assert kinds == [("0.1.0", "added"), ("SDK > 7.0.0", "changed")]
    assert all("`TrafficMode`" in changes[1]["Text"] for changes in texts.values())
    assert len({changes[0]["Text"] for changes in texts.values()}) == 3
    assert admin.get("/catalog/eas/CreateGateway").body["Changes"] == []  # it is not real
