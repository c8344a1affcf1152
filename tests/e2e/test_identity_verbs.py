"""Users, keys, policies and roles from the command line, against a running platform."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from running_platform import Platform

from commands import pierhead

ALL_BUT = {
    "Version": "1",
    "Statement": [
        {"Effect": "Allow", "Action": "eas:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "eas:DeleteService", "Resource": "*"},
    ],
}


def verb(
    platform: Platform, *words: str, code: int = 0, given: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    folder = ("--data-dir", str(platform.folder))
    done = pierhead(*words, *folder, given=given, env={**os.environ, **env})
    assert done.returncode == code, (words, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def test_a_user_from_nothing_to_its_end(platform: Platform, tmp_path: Path) -> None:
    made = json.loads(verb(platform, "users", "create", "cli.alice", "--with-key", "--json").stdout)
    key = made["AccessKey"]
    alice = {
        "PIERHEAD_ACCESS_KEY_ID": key["AccessKeyId"],
        "PIERHEAD_ACCESS_KEY_SECRET": key["AccessKeySecret"],
    }
    refused = verb(platform, "services", "list", code=1, **alice)
    assert "Forbidden.RAM" in refused.stderr
    document = tmp_path / "policy.json"
    document.write_text(json.dumps(ALL_BUT))
    verb(platform, "policies", "create", "all-but-delete", str(document))
    verb(platform, "policies", "attach", "all-but-delete", "--user", "cli.alice")
    verb(platform, "services", "list", **alice)
    asked = ("policy", "simulate", "--principal", "user/cli.alice", "--resource", "service/x")
    said = verb(platform, *asked, "--action", "eas:CreateService")
    assert said.stdout == "allowed: policy all-but-delete, statement 1\n"
    said = verb(platform, *asked, "--action", "eas:DeleteService", code=1)
    assert said.stdout == "denied: policy all-but-delete, statement 2\n"
    said = verb(platform, *asked, "--action", "ram:CreateUser", code=1)
    assert said.stdout == "denied: no policy speaks of it\n"
    shown = verb(platform, "users", "show", "cli.alice").stdout
    assert "all-but-delete" in shown
    assert key["AccessKeyId"] in shown
    assert key["AccessKeySecret"] not in shown
    verb(platform, "keys", "disable", key["AccessKeyId"], "--user", "cli.alice")
    assert "Inactive" in verb(platform, "services", "list", code=1, **alice).stderr
    verb(platform, "users", "delete", "cli.alice", code=1)
    verb(platform, "users", "delete", "cli.alice", "--force")
    verb(platform, "policies", "delete", "all-but-delete")
    assert "cli.alice" not in verb(platform, "users", "list").stdout


def test_a_role_is_assumed_by_a_user(platform: Platform) -> None:
    made = json.loads(verb(platform, "users", "create", "cli.bob", "--with-key", "--json").stdout)
    bob = {
        "PIERHEAD_ACCESS_KEY_ID": made["AccessKey"]["AccessKeyId"],
        "PIERHEAD_ACCESS_KEY_SECRET": made["AccessKey"]["AccessKeySecret"],
    }
    verb(platform, "policies", "attach", "AliyunSTSAssumeRoleAccess", "--user", "cli.bob")
    verb(platform, "roles", "create", "cli-reader", "--trust", "user/cli.bob")
    verb(platform, "policies", "attach", "AliyunPAIEASReadOnlyAccess", "--role", "cli-reader")
    verb(platform, "services", "list", code=1, **bob)
    given = json.loads(verb(platform, "roles", "assume", "cli-reader", "--json", **bob).stdout)
    keys = given["Credentials"]
    reader = {
        "PIERHEAD_ACCESS_KEY_ID": keys["AccessKeyId"],
        "PIERHEAD_ACCESS_KEY_SECRET": keys["AccessKeySecret"],
        "PIERHEAD_SECURITY_TOKEN": keys["SecurityToken"],
    }
    verb(platform, "services", "list", **reader)
    verb(platform, "services", "stop", "nothing", code=1, **reader)
    verb(platform, "policies", "detach", "AliyunPAIEASReadOnlyAccess", "--role", "cli-reader")
    verb(platform, "services", "list", code=1, **reader)
    verb(platform, "roles", "delete", "cli-reader")
    verb(platform, "users", "delete", "cli.bob", "--force")


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (("users", "show", "nobody"), 1, "nobody"),
        (("users", "create", "bad name"), 1, "UserName"),
        (("policies", "attach", "Nope", "--user", "nobody"), 1, "n"),
        (("policies", "attach", "AliyunPAIEASFullAccess"), 2, "--user"),
        (("policies", "create", "x", "/does/not/exist"), 2, "/does/not/exist"),
        (("policy", "simulate", "--principal", "nobody", "--action", "eas:X"), 1, "nobody"),
        (("keys", "delete", "LTAInothing"), 1, "LTAInothing"),
    ],
)
def test_mistakes_are_one_sentence(
    platform: Platform, words: tuple[str, ...], code: int, problem: str
) -> None:
    said = verb(platform, *words, code=code)
    assert problem in said.stderr
    assert len(said.stderr.strip().splitlines()) <= 4


def test_a_password_comes_from_a_file_and_goes_nowhere(platform: Platform) -> None:
    verb(platform, "users", "create", "cli.carol")
    verb(platform, "users", "password", "cli.carol", "--file", "-", given="Corr3ct-Horse-9\n")
    verb(platform, "users", "password", "cli.carol", "--file", "-", given="An0ther-Horse-9\n")
    verb(platform, "users", "password", "cli.carol", "--remove")
    verb(platform, "users", "delete", "cli.carol", "--force")
