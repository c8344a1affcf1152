"""Two tenants of one platform that runs: neither sees, counts, changes, guesses or reaches what is the other's.

The laws are tested on the product's parts in `tests/contract/test_tenants_apart.py`; here the official
clients and plain HTTP meet the real ports, with engines that run. Each law holds both ways.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import signed_rpc
import tenants
from clients import PythonSdk
from documents import SCRIPT, app, document
from running_platform import Platform, running
from tenants import Tenant, blind, code_of
from zstack_client import GROUPS, ZRefused, ZStack, ZText

import ram_clients
from pierhead.dialects.eas.catalog import load as eas_catalog
from pierhead.dialects.zstack.catalog import load as zstack_catalog

NATIVE = "2026-11-01"
GROUP = "ModelServiceInstanceGroupVO"
Pair = tuple[Tenant, Tenant]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One that no other test leaves anything on."""
    settings = {"PIERHEAD_LOCKOUT_SIGNATURES": "100000", "PIERHEAD_LOCKOUT_LOGINS": "100000"}
    with running(tmp_path_factory.mktemp("tenants"), **settings) as platform:
        yield platform


@pytest.fixture(scope="module")
def both(platform: Platform) -> Iterator[Pair]:
    """Anna and Ben; each has a service through either door."""
    tenants.share(platform)
    admin = ZStack(platform).log_in()
    template = admin.add_template("shared", startCommand=SCRIPT, system=True)["uuid"]
    for bucket in ("bucket-of-anna", "bucket-of-ben", "nobodys-bucket"):
        weights = {"installPath": f"oss://{bucket}/weights/", "startCommand": SCRIPT}
        admin.add_template(bucket, system=True, **weights)
    found = (
        tenants.a_tenant(platform, "anna", "okapi", template),
        tenants.a_tenant(platform, "ben", "zebra", template),
    )
    for one in found:
        tenants.connect_bucket(platform, f"bucket-of-{one.name}", one.workspace)
    yield found
    for one in found:
        tenants.gone(one)


@pytest.fixture(params=["anna", "ben"])
def pair(request: pytest.FixtureRequest, both: Pair) -> Pair:
    """(who asks, whose things are asked for): both ways."""
    return both if request.param == "anna" else (both[1], both[0])


# ---- the EAS door --------------------------------------------------------------------------


def test_law_lists_and_counts_are_of_ones_own(pair: Pair) -> None:
    me, other = pair
    words, mine = other.words(), set(me.services)
    for query in (
        {},
        {"PageSize": 1},
        {"Sort": "ServiceName", "Order": "asc"},
        {"Filter": other.mark},
        {"Filter": "_"},
        {"ServiceName": other.services[0]},
        {"ServiceUid": other.shown[1]["ServiceId"]},
        {"WorkspaceId": other.workspace},
        {"WorkspaceId": "*"},
        {"GroupName": f"{other.mark}_family"},
        {"Label": {f"{other.mark}-key": f"{other.mark}-value"}},
        {"ServiceStatus": "Running"},
        {"ParentServiceUid": other.shown[0]["ServiceId"]},
    ):
        answer = me.eas("ListServices", query=query)
        listed = {item["ServiceName"] for item in answer["Services"]}
        assert listed <= mine and answer["TotalCount"] <= 2, query
        blind(json.dumps(answer), words)
    everything = me.eas("ListServices")
    assert (len(everything["Services"]), everything["TotalCount"]) == (2, 2)


def test_law_what_is_anothers_looks_like_what_is_not_there(pair: Pair) -> None:
    """Every operation of the catalog, by each of the other's names, and by names that nobody has."""
    me, other = pair
    before, words = other.state(), other.words()
    names = [name for one in other.shown for name in (one["ServiceName"], one["ServiceId"])]
    names += [other.group["uuid"], f"{other.mark}_family.{other.services[0]}"]
    for operation in eas_catalog().operations:
        if "{ServiceName}" not in operation.path:
            continue
        path = operation.path.replace("{ClusterId}", me.platform.region)
        path = path.replace("{InstanceName}", "i").replace("{FaultType}", "f")
        told: list[Any] = []
        for name in (*names, "nobody_has_this", "eas-m-000000000000000000"):
            body = {} if operation.method in {"POST", "PUT"} else None
            reply = me.ask(operation.method, path.replace("{ServiceName}", name), body)
            text = json.dumps(reply.document)
            blind(text, words, name)
            told.append((reply.status, _same(text, name)))
        assert {one[0] for one in told} == {403}, (operation.id, told)
        assert len({one[1] for one in told}) == 1, (operation.id, told)
    assert other.state() == before


def _same(text: str, name: str) -> str:
    """An answer without what differs in any two answers."""
    text = text.replace(name, "NAME")
    return re.sub(r'"RequestId": "[^"]*"', "", text)


def test_law_a_name_that_is_taken_is_all_that_a_creation_tells(pair: Pair) -> None:
    me, other = pair
    before = other.state()
    body = document(other.services[0])
    for workspace, code in ((me.workspace, 409), (other.workspace, 403), ("", 403)):
        query = {"WorkspaceId": workspace} if workspace else {}
        status, _, message = code_of(lambda q=query: me.eas("CreateService", query=q, body=body))
        assert status == code, message
        blind(message, other.words(), other.services[0])
    mine = document(f"{me.mark}_second", group=f"{other.mark}_family")
    status, code, _ = code_of(
        lambda: me.eas("CreateService", query={"WorkspaceId": me.workspace}, body=mine)
    )
    assert (status, code) == (403, "Forbidden.RAM"), "nobody joins a group of strangers"
    moved = {"metadata": {"workspace_id": other.workspace}}
    for act in (
        lambda: me.eas("UpdateService", me.services[0], body=moved),
        lambda: me.eas(
            "UpdateAppService", me.services[0], query={"WorkspaceId": other.workspace}, body={}
        ),
    ):
        assert code_of(act)[0] in {403, 400}, "it moved into the other's workspace"
    assert me.eas("DescribeService", me.services[0])["WorkspaceId"] == me.workspace
    assert other.state() == before


# ---- the ZStack door -----------------------------------------------------------------------


def test_law_no_question_of_zstack_finds_what_is_anothers(pair: Pair) -> None:
    """Every query API: plain, counted, grouped, sorted, by nested fields, tags and others' values."""
    me, other = pair
    words, group = other.words(), other.group
    values = (
        ("uuid", group["uuid"]),
        ("name", f"{other.mark} group"),
        ("tag", f"{other.mark}=tag"),
        ("resourceUuid", group["uuid"]),
        ("serviceName", other.services[1]),
        ("accessToken", other.shown[1]["AccessToken"]),
        ("instances.uuid", group["instances"][0]["uuid"]),
        ("instances.url", "%"),
        ("__userTag__", f"{other.mark}=tag"),
        ("__systemTag__", f"{other.mark}::tag"),
    )
    asked = 0
    for api in zstack_catalog().apis.values():
        if not api.query or api.tier == 3:
            continue
        path = api.path.removeprefix("/zstack/v1")
        questions: list[dict[str, Any]] = [{}, {"groupBy": "uuid"}, {"sort": "-uuid"}]
        questions += [{"q": f"{name}{op}{value}"} for name, value in values for op in ("=", "~=")]
        for question in questions:
            for more in ({}, {"count": "true"}, {"replyWithCount": "true", "limit": "0"}):
                answer = me.zstack.raw("GET", path, **question, **more)
                assert answer.status_code in {200, 503}, (api.name, answer.text)
                blind(answer.text, words, question.get("q", "\0"))
                asked += answer.status_code == 200
        for uuid in (group["uuid"], other.shown[0]["ServiceId"].removeprefix("eas-m-")):
            item = me.zstack.raw("GET", f"{path}/{uuid}")
            none = me.zstack.raw("GET", f"{path}/{'0' * 32}")
            assert (item.status_code, item.text.replace(uuid, "0" * 32)) == (
                none.status_code,
                none.text,
            )
    assert asked > 200, "the questions are understood"
    counted = me.zstack.call("GET", GROUPS, count="true")
    assert counted["total"] == len(me.zstack.query(GROUPS)) == 2
    blind(json.dumps(me.zstack.raw("GET", "/maas/usage").text), words)
    named = me.zstack.raw("GET", "/resources/names", uuids=group["uuid"])
    blind(named.text, words, group["uuid"])


def test_law_no_change_of_zstack_reaches_what_is_anothers(pair: Pair) -> None:
    """Every API that takes a uuid, sent the other's and one that nobody has: the same, and nothing changes."""
    me, other = pair
    before, words = other.state(), other.words()
    (tag,) = other.zstack.query("/user-tags", f"tag={other.mark}=tag")
    targets = (other.group["uuid"], tag["uuid"])
    for api in zstack_catalog().apis.values():
        if api.tier == 3 or api.method == "GET" or not api.authenticated or api.query:
            continue
        for uuid in targets:
            told = [
                _done(me, api, one) for one in (uuid, "1" * 12 + "4" + "1" * 3 + "8" + "1" * 15)
            ]
            for text in told:
                blind(text, words, uuid)
            if "{" in api.path and api.name != "CreateAccessKey":
                assert told[0] == told[1], api.name
    assert other.state() == before


def _done(me: Tenant, api: Any, uuid: str) -> str:
    """What became of an API that is sent a uuid in every place where one fits; the uuid taken out."""
    path = re.sub(r"\{[^}]*\}", uuid, api.path.removeprefix("/zstack/v1"))
    known = {param.name for param in api.params if param.place == "body"}
    fields: dict[str, Any] = {
        **dict.fromkeys(("uuid", "modelUuid", "modelServiceUuid", "resourceUuid"), uuid),
        **{name: [uuid] for name in ("uuids", "resourceUuids", "modelUuids", "datasetUuids")},
        **{"resourceType": GROUP, "tag": "x::y", "name": "taken over", "description": "x"},
    }
    if api.name.startswith(("Add", "Create", "Clone")) and not api.name.endswith("Tag"):
        del fields["resourceUuid"]  # the uuid that is wished for
    body = {api.wrapper: {k: v for k, v in fields.items() if k in known}} if api.wrapper else None
    query = {"uuids": uuid, "resourceUuids": uuid} if api.method == "DELETE" else {}
    try:
        answer = me.zstack.call(api.method, path, body, **query)
        return re.sub(uuid, "UUID", json.dumps(answer, sort_keys=True))
    except ZRefused as error:
        return f"{error.code}: {error.details}".replace(uuid, "UUID")
    except ZText as error:
        return f"{error}".replace(uuid, "UUID")


def test_law_nobody_goes_out_by_the_door_of_another_account_or_project(pair: Pair) -> None:
    me, other = pair
    before = other.state()
    deploy = {"name": "x", "type": "Container", "zoneUuid": me.zstack.zone}
    template = me.zstack.query("/ai/model-services", "name=shared")[0]["uuid"]
    for project in (other.workspace, ""):
        body = {"deployModelService": {**deploy, **({"projectUuid": project} if project else {})}}
        answer = me.zstack.raw("PUT", f"/ai/model-services/{template}", body)
        with pytest.raises(ZRefused) as caught:
            me.zstack.final(answer)
        assert caught.value.code == "ID.1002"
    told = []
    for needed in (other.group["uuid"], "0" * 32):
        wish = {**deploy, "projectUuid": me.workspace, "modelServiceGroupUuids": [needed]}
        body = {"deployModelService": wish}
        with pytest.raises(ZRefused) as caught:
            me.zstack.final(me.zstack.raw("PUT", f"/ai/model-services/{template}", body))
        told.append(f"{caught.value.code} {caught.value.details}".replace(needed, "UUID"))
    assert told[0] == told[1], "nobody waits for, or finds, what is anothers"
    assert other.state() == before


# ---- logs, events, endpoints ---------------------------------------------------------------


def test_law_logs_and_events_are_read_by_their_owner(pair: Pair) -> None:
    me, other = pair
    other.predict(other.services[0])
    for operation in ("DescribeServiceLog", "DescribeServiceEvent", "ListServiceInstances"):
        for name in other.services:
            assert code_of(lambda o=operation, n=name: me.eas(o, n))[0] == 403
        for name in me.services:
            blind(json.dumps(me.eas(operation, name)), other.words())
    for path in ("/audit", "/audit?Limit=1000", f"/audit?Resource=*{other.mark}*"):
        reply = me.ask("GET", path)
        blind(json.dumps(reply.document), other.words(), other.mark if "Resource" in path else "\0")


def test_law_a_token_opens_its_own_service_and_no_other(pair: Pair) -> None:
    me, other = pair
    tokens = [one["AccessToken"] for one in me.shown]
    for token in tokens:
        listed = requests.get(
            f"{me.platform.gateway}/v1/models",
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
        )
        own = {*me.services, f"{me.mark}_family", "shared"}
        assert {one["id"] for one in listed.json()["data"]} < own
        family = f"{other.mark}_family"
        for name in (*other.services, family, f"{family}.{other.services[0]}"):
            assert me.predict(name, token).status_code == 401
            assert me.predict(name, f"Bearer {token}").status_code == 401
            told = [_chat(me, token, model) for model in (name, "nobody_has_this")]
            assert told[0] == told[1] and told[0][0] == 404
        headers = {"Authorization": f"Bearer {token}"}
        for name in other.services:
            one = requests.get(
                f"{me.platform.gateway}/v1/models/{name}", headers=headers, timeout=10
            )
            assert one.status_code == 404
    assert me.predict(me.services[0]).status_code == 200
    assert other.predict(other.services[0]).status_code == 200


def _chat(me: Tenant, token: str, model: str) -> tuple[int, str]:
    answer = requests.post(
        f"{me.platform.gateway}/v1/chat/completions",
        json={"model": model, "messages": []},
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )
    text = re.sub(r'"request_id": ?"[^"]*"', "", answer.text)
    return answer.status_code, text.replace(model, "MODEL")


def test_law_a_stranger_learns_no_name_at_either_port(both: Pair) -> None:
    words = both[0].words() + both[1].words()
    platform = both[0].platform
    for base in (platform.eas, platform.gateway):
        for path in ("/healthz", "/metrics", "/v1/models", "/openapi/eas.json", "/", "/nothing"):
            blind(requests.get(f"{base}{path}", timeout=20).text, words)
    discovery = "/api/v1/servicediscovery/upstreams/"
    told = [
        requests.get(f"{platform.gateway}{discovery}{name}", timeout=10).text.replace(name, "X")
        for name in (both[0].services[0], "nobody_has_this")
    ]
    assert told[0] == told[1]
    for path in ("/internal/report", "/internal/routes", "/internal/wake", "/internal/live"):
        for base in (platform.eas, platform.gateway):
            for method in ("GET", "POST"):
                answer = requests.request(method, f"{base}{path}", timeout=10)
                assert answer.status_code in {400, 401, 403, 404, 405}, path
                blind(answer.text, words)


def test_law_identities_and_storage_of_others_are_not_told(pair: Pair) -> None:
    """A policy that is bounded to a workspace says nothing of what is in none: users, keys, policies."""
    me, other = pair
    ram = ram_clients.NewSdk(me.platform.address, me.keys)
    for action, parameters in (
        ("ListUsers", {}),
        ("GetUser", {"UserName": other.name}),
        ("ListAccessKeys", {"UserName": other.name}),
        ("ListPoliciesForUser", {"UserName": other.name}),
        ("CreateAccessKey", {"UserName": other.name}),
        ("DeleteUser", {"UserName": other.name}),
        ("UpdateLoginProfile", {"UserName": other.name, "Password": "Taken-Over-1-xyz"}),
        ("AttachPolicyToUser", {"UserName": me.name, **tenants.FULL}),
    ):
        with pytest.raises(ram_clients.Refused) as caught:
            ram(action, **parameters)
        assert caught.value.status == 403, (action, caught.value)
    assert other.zstack.raw("GET", "/zones").status_code == 200
    keys = me.zstack.query("/accesskeys")
    assert {one["AccessKeyID"] for one in keys} == {me.keys.id}
    seen = json.dumps(me.zstack.call("GET", "/accounts"))
    blind(seen, [other.keys.id, other.name, *other.words()])


def test_law_workspaces_and_tokens_of_others_are_not_told(pair: Pair) -> None:
    """The platform's own operations: a workspace by its id, what opens a service, what was used of it."""
    me, other = pair
    before = other.state()

    def ask(action: str, **given: str) -> requests.Response:
        return signed_rpc.call(me.platform, me.keys, action, Version=NATIVE, **given)

    listed = ask("ListWorkspaces")
    assert listed.status_code == 200 and me.workspace in listed.text
    blind(listed.text, [other.workspace, *other.words()])
    for action, given in (
        ("GetWorkspace", {"WorkspaceId": other.workspace}),
        ("UpdateWorkspace", {"WorkspaceId": other.workspace, "Name": "taken"}),
        ("DeleteWorkspace", {"WorkspaceId": other.workspace}),
        ("CreateQuota", {"QuotaId": "more-for-me", "Replicas": "100"}),
        ("ListServiceTokens", {"ServiceName": other.services[0]}),
        ("ListServiceAttempts", {"ServiceName": other.services[0], "Lines": "50"}),
        ("RotateServiceToken", {"ServiceName": other.services[0]}),
        ("AddServiceToken", {"ServiceName": other.services[0], "TokenName": "mine"}),
        ("GetServiceUsage", {"ServiceName": other.services[0]}),
    ):
        answer = ask(action, **given)
        assert answer.status_code == 403, (action, answer.text)
        blind(answer.text, other.words(), *given.values())
    assert other.state() == before


def test_law_storage_that_is_kept_for_one_is_not_there_for_the_other(pair: Pair) -> None:
    """Through both doors, at creation and update: as a bucket that nobody ever connected."""
    me, other = pair
    told: dict[str, set[str]] = {"eas": set(), "zstack": set()}
    for bucket in (f"bucket-of-{other.name}", "nobodys-bucket"):
        path = f"oss://{bucket}/weights/"
        mounted = {"storage": [{"mount_path": "/m", "oss": {"path": path, "readOnly": True}}]}
        query = {"WorkspaceId": me.workspace}
        wish = app(f"{me.mark}_app", Config={"ModelStorage": "oss", "OssPath": path})
        for act in (
            lambda q=query, b=wish: me.eas("CreateAppService", query=q, body=b),
            lambda q=query, b=mounted: me.eas(
                "CreateService", query=q, body={**document(f"{me.mark}_mount"), **b}
            ),
            lambda b=mounted: me.eas("UpdateService", me.services[0], body=b),
        ):
            status, code, message = code_of(act)
            assert (status, code) == (400, "InvalidParameter"), message
            told["eas"].add(message.replace(bucket, "BUCKET"))
        (template,) = me.zstack.query("/ai/model-services", f"name={bucket}")
        with pytest.raises(ZRefused) as caught:
            me.zstack.deploy(template["uuid"], "stolen", projectUuid=me.workspace)
        assert caught.value.code == "SYS.1007"
        told["zstack"].add(caught.value.details.replace(bucket, "BUCKET"))
    assert {door: len(texts) for door, texts in told.items()} == {"eas": 1, "zstack": 1}, told
    (template,) = me.zstack.query("/ai/model-services", f"name=bucket-of-{me.name}")
    mine = me.zstack.deploy(template["uuid"], "my own", projectUuid=me.workspace)
    me.zstack.delete_group(mine["uuid"])


def test_law_the_account_sees_both(both: Pair) -> None:
    """So that blindness is not because there is nothing to see."""
    sdk = PythonSdk(both[0].platform)
    listed = json.dumps(sdk("ListServices"))
    assert both[0].mark in listed and both[1].mark in listed
    text = json.dumps([one.state() for one in both])
    assert both[0].mark in text and both[1].mark in text
