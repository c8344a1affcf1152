"""The way into the console on a real platform, and what its pages sign with, through the official SDKs."""

import json
import subprocess
from collections.abc import Iterator

import pytest
import requests
from clients import PythonSdk, Refused
from running_platform import PIERHEAD, Platform

from ram_clients import Keys, NewSdk

USER, POLICY, PASSWORD = "e2e-console", "e2e-console-looks", "a password of the tests"


class Page:
    """A page of the console, as far as identity goes."""

    def __init__(self, platform: Platform, **body: str) -> None:
        self.http = requests.Session()
        self.base = f"{platform.eas}/console/api"
        told = self.http.post(
            f"{self.base}/login", json=body, headers={"X-Pierhead-Console": "1"}, timeout=30
        )
        assert told.status_code == 200, told.text
        self.session = told.json()
        self.http.headers["X-Pierhead-Csrf"] = self.session["Csrf"]

    def sdk(self, platform: Platform) -> PythonSdk:
        """The official EAS SDK, with a credential of this session."""
        made = self.http.post(f"{self.base}/credential", json={}, timeout=30).json()
        return PythonSdk(
            platform,
            access_key_id=made["AccessKeyId"],
            access_key_secret=made["AccessKeySecret"],
            security_token=made["SecurityToken"],
        )


@pytest.fixture
def user(platform: Platform) -> Iterator[str]:
    """A user who may look at services and no more."""
    given = platform.credentials
    root = NewSdk(platform.address, Keys(given["access_key_id"], given["access_key_secret"]))
    root("CreateUser", UserName=USER)
    root("CreateLoginProfile", UserName=USER, Password=PASSWORD)
    statement = {"Effect": "Allow", "Action": "eas:ListServices", "Resource": "*"}
    document = json.dumps({"Version": "1", "Statement": [statement]})
    root("CreatePolicy", PolicyName=POLICY, PolicyDocument=document)
    root("AttachPolicyToUser", UserName=USER, PolicyName=POLICY, PolicyType="Custom")
    yield USER
    root("DetachPolicyFromUser", UserName=USER, PolicyName=POLICY, PolicyType="Custom")
    root("DeletePolicy", PolicyName=POLICY)
    root("DeleteUser", UserName=USER)


def test_the_machines_ticket_opens_the_console_and_its_credential_the_api(
    platform: Platform,
) -> None:
    told = subprocess.run(
        (*PIERHEAD, "console", "--data-dir", str(platform.folder)),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.strip()
    base, _, ticket = told.partition("/login#ticket=")
    assert base == platform.eas
    assert f"  console        {platform.eas}" in platform.log
    page = Page(platform, Ticket=ticket)
    assert page.session["Principal"]["Admin"]
    sdk = page.sdk(platform)
    assert sdk("ListServices")["TotalCount"] >= 0
    page.http.post(f"{page.base}/logout", timeout=30)
    with pytest.raises(Refused) as refused:
        sdk("ListServices")
    assert refused.value.code == "InvalidAccessKeyId.NotFound"


def test_a_users_credential_has_that_users_rights(platform: Platform, user: str) -> None:
    page = Page(platform, UserName=user, Password=PASSWORD)
    assert page.session["Principal"]["Name"] == user
    sdk = page.sdk(platform)
    assert "Services" in sdk("ListServices")
    with pytest.raises(Refused) as refused:
        sdk("CreateService", body={"name": "never_made", "metadata": {"instance": 1}})
    assert refused.value.status == 403
