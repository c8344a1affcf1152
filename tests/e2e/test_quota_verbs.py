"""Quotas and workspaces from the command line, against a running platform."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from running_platform import Platform, running, until

from commands import pierhead

SPEC = "smollm2_135m_q4"


def verb(
    platform: Platform, *words: str, code: int = 0, **env: str
) -> subprocess.CompletedProcess[str]:
    folder = ("--data-dir", str(platform.folder))
    done = pierhead(*words, *folder, timeout=120, env={**os.environ, **env})
    assert done.returncode == code, (words, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def told(platform: Platform, *words: str, **env: str) -> Any:
    return json.loads(verb(platform, *words, "--json", code=0, **env).stdout)


def test_a_quota_from_its_beginning_to_its_end(platform: Platform) -> None:
    limits = ("--cpu", "1.5", "--memory", "8Gi", "--gpus", "2", "--replicas", "3")
    said = verb(platform, "quota", "create", "verb-a", *limits)
    assert said.stderr == (
        "The quota [verb-a] was created: 1.5 CPU, 8.0 GiB memory, 2 GPU, 3 replica(s).\n"
    )
    assert "exists already" in verb(platform, "quota", "create", "verb-a", code=1).stderr
    shown = verb(platform, "quota", "show", "verb-a").stdout
    assert "0 B of 8.0 GiB used" in shown
    assert "0 of 3 used" in shown
    verb(platform, "quota", "update", "verb-a", "--memory", "none", "--replicas", "0")
    found = told(platform, "quota", "show", "verb-a")
    assert found["Limit"] == {"Cpu": 1.5, "Gpus": 2, "Replicas": 0}
    row = verb(platform, "quota", "list").stdout.splitlines()
    assert row[0].split() == ["ID", "CPU", "MEMORY", "GPUS", "REPLICAS", "SERVICES"]
    assert "verb-a  0 of 1.5  0 B     0 of 2  0 of 0" in row[1]
    verb(platform, "workspace", "create", "verb-w", "--name", "Team W", "--quota", "verb-a")
    assert "verb-w" in verb(platform, "quota", "delete", "verb-a", code=1).stderr
    verb(platform, "quota", "delete", "verb-a", "--force")
    assert told(platform, "workspace", "show", "verb-w")["QuotaId"] == ""
    verb(platform, "workspace", "delete", "verb-w")
    assert told(platform, "quota", "list") == {"Quotas": []}


def test_a_workspace_from_its_beginning_to_its_end(platform: Platform) -> None:
    verb(platform, "quota", "create", "verb-q")
    verb(platform, "workspace", "create", "verb-w")
    verb(platform, "workspace", "update", "verb-w", "--name", "搜索", "--quota", "verb-q")
    shown = told(platform, "workspace", "show", "verb-w")
    assert (shown["Name"], shown["QuotaId"], shown["Services"]) == ("搜索", "verb-q", 0)
    assert re.search(r"^verb-w +搜索 ", verb(platform, "workspace", "list").stdout, re.M)
    verb(platform, "workspace", "update", "verb-w", "--no-quota")
    assert told(platform, "workspace", "show", "verb-w")["QuotaId"] == ""
    verb(platform, "workspace", "delete", "verb-w")
    assert "verb-w" in verb(platform, "workspace", "show", "verb-w", code=1).stderr
    verb(platform, "quota", "delete", "verb-q")


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (("quota", "show", "nobody"), 1, "nobody"),
        (("quota", "create", "a b"), 1, "QuotaId"),
        (("quota", "create", "x", "--cpu", "many"), 2, "many"),
        (("quota", "create", "x", "--memory", "8Xi"), 2, "8Xi"),
        (("quota", "create", "x", "--replicas", "1.5"), 2, "1.5"),
        (("quota", "update", "x"), 2, "--cpu"),
        (("quota", "update", "x", "--cpu", "1"), 1, "x"),
        (("workspace", "create", "x", "--quota", "nope"), 1, "nope"),
        (("workspace", "update", "x"), 2, "--name"),
        (("workspace", "update", "x", "--quota", "a", "--no-quota"), 2, "--no-quota"),
        (("workspace", "delete", "x"), 1, "x"),
    ],
)
def test_mistakes_are_one_sentence(
    platform: Platform, words: tuple[str, ...], code: int, problem: str
) -> None:
    said = verb(platform, *words, code=code)
    assert problem in said.stderr
    assert len(said.stderr.strip().splitlines()) <= 4


def test_what_runs_in_a_workspace_counts_against_its_quota(platform: Platform) -> None:
    verb(platform, "quota", "create", "verb-run", "--replicas", "1")
    verb(platform, "workspace", "create", "verb-room", "--quota", "verb-run")
    made = ("services", "create", "verb_counted", "--spec", SPEC, "--workspace", "verb-room")
    verb(platform, *made, "--wait")
    shown = told(platform, "quota", "show", "verb-run")
    assert shown["Used"]["Replicas"] == shown["Wanted"]["Replicas"] == shown["Services"] == 1
    assert shown["Used"]["Memory"] > 0
    assert "verb_counted" in verb(platform, "workspace", "delete", "verb-room", code=1).stderr
    verb(platform, "services", "delete", "verb_counted", "--yes")
    until(
        lambda: told(platform, "workspace", "show", "verb-room")["Services"] == 0,
        60,
        "the service is gone",
    )
    assert told(platform, "quota", "show", "verb-run")["Used"]["Replicas"] == 0
    verb(platform, "workspace", "delete", "verb-room")
    verb(platform, "quota", "delete", "verb-run")


def test_a_user_of_one_workspace_sees_that_one(platform: Platform) -> None:
    key = told(platform, "users", "create", "verb.una", "--with-key")["AccessKey"]
    una = {
        "PIERHEAD_ACCESS_KEY_ID": key["AccessKeyId"],
        "PIERHEAD_ACCESS_KEY_SECRET": key["AccessKeySecret"],
    }
    verb(platform, "quota", "create", "verb-mine", "--replicas", "1")
    verb(platform, "workspace", "create", "verb-here", "--quota", "verb-mine")
    verb(platform, "workspace", "create", "verb-there")
    read = "PierheadQuotaReadOnlyAccess"
    verb(platform, "policies", "attach", read, "--user", "verb.una", "--workspace", "verb-here")
    listed = told(platform, "workspace", "list", **una)["Workspaces"]
    assert [one["WorkspaceId"] for one in listed] == ["verb-here"]
    assert [one["QuotaId"] for one in told(platform, "quota", "list", **una)["Quotas"]] == [
        "verb-mine"
    ]
    assert "NoPermission" in verb(platform, "workspace", "show", "verb-there", code=1, **una).stderr
    refused = verb(platform, "quota", "update", "verb-mine", "--replicas", "9", code=1, **una)
    assert "NoPermission" in refused.stderr
    verb(platform, "users", "delete", "verb.una", "--force")
    for workspace in ("verb-here", "verb-there"):
        verb(platform, "workspace", "delete", workspace)
    verb(platform, "quota", "delete", "verb-mine")


def test_strict_ids(tmp_path: Path) -> None:
    """Law: under strict_ids nothing runs under an id that nobody made."""
    with running(tmp_path / "strict", PIERHEAD_STRICT_IDS="true") as platform:
        create = ("services", "create", "verb_strict", "--spec", SPEC)
        said = verb(platform, *create, "--workspace", "nope", code=1)
        assert "InvalidWorkspace.NotFound" in said.stderr
        assert "InvalidQuota.NotFound" in verb(platform, *create, "--quota", "nope", code=1).stderr
        assert told(platform, "services", "list")["Services"] == []
        assert told(platform, "workspace", "list") == {"Workspaces": []}
        verb(platform, "workspace", "create", "nope")
        verb(platform, *create, "--workspace", "nope")
        listed = told(platform, "services", "list", "--workspace", "nope")["Services"]
        assert [one["ServiceName"] for one in listed] == ["verb_strict"]
