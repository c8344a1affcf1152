"""Mock calls through the real apps: judged as real ones, answered with the documented example."""

import hmac
import json
from base64 import b64encode
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from mock_house import MOCK, House, Sent, play

from pierhead.core import examples
from pierhead.core.principals import AccessKey
from pierhead.core.reference import Operation, Style
from pierhead.dialects.eas import explained as eas
from pierhead.dialects.ram import explained as ram
from pierhead.dialects.zstack import explained as zstack
from pierhead.store.tried_nonces import TriedNonces

ALL: tuple[Operation, ...] = (*eas.operations(), *ram.operations(), *zstack.operations())
REAL = tuple(one for one in ALL if not one.unsupported)


def by_id(name: str, product: str) -> Operation:
    return next(one for one in ALL if (one.id, one.product) == (name, product))


def misfits(operation: Operation, answer: dict[str, Any]) -> list[str]:
    known = {one.name: one for one in operation.response}
    strangers = [name for name in answer if name not in known]
    return strangers + [
        problem for name in known if (problem := examples.fits(known[name], answer.get(name)))
    ]


def test_every_example_of_every_operation_passes_and_writes_nothing(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        before, wrong = await house.rows(), list[str]()
        for one in REAL:
            said = await house.call(one)
            if said.status != 200 or said.headers.get("x-pierhead-mock") != "true":
                wrong.append(f"{one.product}:{one.id} {said.status} {said.text[:200]}")
            elif problems := misfits(one, said.json):
                wrong.append(f"{one.product}:{one.id} {problems}")
        assert not wrong, "\n".join(wrong)
        assert await house.rows() == before

    play(tmp_path, scene)


def test_a_mock_call_is_judged_as_a_real_one(tmp_path: Path) -> None:
    create, app = by_id("CreateService", "eas"), by_id("CreateAppService", "eas")
    user, policy = by_id("CreateUser", "ram"), by_id("CreatePolicy", "ram")
    template, models = by_id("AddModelService", "zstack"), by_id("QueryModel", "zstack")

    async def scene(house: House) -> None:
        # Nobody's policies allow it; nobody knows the key; another has signed it.
        for one in (create, user):
            said = await house.call(one, key=house.stranger)
            assert said.status == 403, said
        assert (await house.call(create, key=replace(house.root, id="LTAI5tUnknown"))).status == 404
        forged = replace(house.root, secret="another")
        assert (await house.call(create, key=forged)).code == "SignatureDoesNotMatch"
        known, house.login = house.login, "0" * 32
        assert "ID.1001" in (await house.call(template)).text
        house.login = known
        # Values: what the catalog forbids, and what handlers find.
        refused: list[tuple[Operation, dict[str, Any], int]] = [
            (app, {"ServiceName": ""}, 400),
            (app, {"ServiceSpec": "no_such_spec"}, 400),
            (app, {"Replicas": "many"}, 400),
            (create, {"metadata": {"name": "foo", "instance": "two"}}, 400),
            (create, {"processor": "pmml"}, 400),
            (by_id("CreateServiceAutoScaler", "eas"), {"min": 5, "max": 1}, 400),
            (by_id("CreateServiceCronScaler", "eas"), {"ScaleJobs": [{"Name": "a"}]}, 400),
            (user, {"UserName": "a b"}, 400),
            (policy, {"PolicyDocument": '{"Version":"1"}'}, 400),
            (by_id("CreateLoginProfile", "ram"), {"Password": "short"}, 400),
            (template, {"requestCpu": 0}, 503),
            (template, {"requestCpu": "four"}, 400),
            (models, {"q": ["nosuch=1"]}, 503),
            (by_id("ListAuditEntries", "pierhead"), {"Since": "yesterday"}, 400),
        ]
        for one, changed, status in refused:
            said = await house.call(one, {**one.example, **changed})
            assert said.status == status, (one.id, changed, said)
            assert said.headers["x-pierhead-mock"] == "true"
        without = {name: value for name, value in template.example.items() if name != "yaml"}
        assert "SYS.1007" in (await house.call(template, without)).text
        # What is not here is not here.
        for one in ALL:
            if one.unsupported and one.style is not Style.OPENAI:
                said = await house.call(one)
                assert said.status in {400, 404}, (one.id, said)

    play(tmp_path, scene)


def test_the_header_says_yes_or_is_left_out(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        before = await house.rows()
        for one in (by_id(*name) for name in _ONE_OF_EACH):
            for word in ("false", "yes", "", "2"):
                said = await house.call(one, headers={"x-pierhead-mock": word})
                assert (said.status, "X-Pierhead-Mock" in said.text) == (400, True), said
            assert (await house.call(one, headers={"x-pierhead-mock": "1"})).status == 200
        assert sum((await house.rows()).values()) >= sum(before.values())

    play(tmp_path, scene)


_ONE_OF_EACH = (("StopService", "eas"), ("DeleteUser", "ram"), ("DeleteModel", "zstack"))


def test_an_overheard_mock_call_cannot_be_sent_as_a_real_one(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        app, key = house.apps.eas, house.root
        call = Sent("DELETE", "/api/v2/services/local/foo", version="2021-07-01")
        nonce = "n" * 32
        assert (await house.signed(app, call, MOCK, key, nonce)).status == 200
        for headers in (dict[str, str](), MOCK):
            again = await house.signed(app, call, headers, key, nonce)
            assert again.code == "SignatureNonceUsed", again
        # Nor when the hub was killed meanwhile, and the file's last line is cut off.
        file = tmp_path / "run/tried_nonces"
        with file.open("ab") as torn:
            torn.write(b"\n0123")
        assert (await house.signed(app, call, MOCK, key, "m" * 32)).status == 200
        async with house.next_hub() as later:
            for old in (nonce, "m" * 32):
                again = await house.signed(later.eas, call, {}, key, old)
                assert again.code == "SignatureNonceUsed", again
            fresh = await house.signed(later.eas, call, {}, key)
            assert fresh.code == "InvalidService.NotFound", fresh
        # What has no nonce could be repeated as a real call: it is not tried out.
        said = await house.send(app, call, {**bare_roa(call, key), **MOCK})
        assert (said.code, "nonce" in said.text) == ("IncompleteSignature", True), said

    play(tmp_path, scene)


def bare_roa(call: Sent, key: AccessKey) -> dict[str, str]:
    """Signed the older way, without a nonce."""
    date, version = formatdate(usegmt=True), f"x-acs-version:{call.version}"
    text = f"{call.method}\n\n\n\n{date}\n{version}\n{call.path}"
    made = b64encode(hmac.digest(key.secret.encode(), text.encode(), "sha1")).decode()
    return {
        "date": date,
        "x-acs-version": call.version,
        "authorization": f"acs {key.id}:{made}",
    }


def test_the_file_of_tried_nonces_keeps_what_counts_only(tmp_path: Path) -> None:
    file = TriedNonces(tmp_path / "run/tried")
    assert file.load(0.0) == {}
    old, new = "0" * 32, "1" * 32
    file.add(old, 10.0)
    file.add(new, 20.5)
    assert set(file.load(10.9)) == {old, new}
    assert file.load(15.0) == {new: 21.0}
    assert old not in (tmp_path / "run/tried").read_text()
    (tmp_path / "run/full").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space"):
        TriedNonces(tmp_path / "run/full").add(new, 1.0)


def test_answers_carry_the_names_that_were_sent_and_a_fresh_request_id(tmp_path: Path) -> None:
    app, template = by_id("CreateAppService", "eas"), by_id("AddModelService", "zstack")

    async def scene(house: House) -> None:
        shown = (await house.call(app)).json
        assert {**shown, "RequestId": app.answer["RequestId"]} == dict(app.answer)
        again = (await house.call(app)).json
        assert len({shown["RequestId"], again["RequestId"], app.answer["RequestId"]}) == 3
        named = await house.call(app, {**app.example, "ServiceName": "chat_2"})
        assert named.json["ServiceName"] == "chat_2"
        user = by_id("CreateUser", "ram")
        made = await house.call(user, {**user.example, "UserName": "bob"})
        assert made.json["User"]["UserName"] == "bob"
        # Both forms of a body, as the page has them and without a wrapper.
        for flat in (False, True):
            for one in (template, by_id("DeployModelService", "zstack")):
                said = await house.call(one, flat=flat)
                assert said.status == 200 and said.json["inventory"]["uuid"], said
        inventory = (await house.call(template)).json["inventory"]
        assert inventory["description"] == template.example["description"]
        # The other door of the dialect.
        params = {**template.example, "session": {"uuid": house.login}}
        message = json.dumps({"org.zstack.ai.message.APIAddModelServiceMsg": params}).encode()
        rpc = Sent("POST", "/zstack/api", content=message)
        done = await house.send(house.apps.zstack, rpc, MOCK)
        assert '\\"inventory\\"' in done.text, done
        models = by_id("QueryModel", "zstack")
        assert (await house.call(models, headers={})).json["inventories"] == []

    play(tmp_path, scene)
