"""The whole platform ends, by force or in good order, and the next start goes on where it was."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from observer import watching
from stage import PATIENCE, RECOVERY, Stage, healthy, until


def test_up_is_killed_hub_and_gateway_end_replicas_stay_and_the_next_up_adopts_them(
    stage: Stage,
) -> None:
    """Law: replicas outlive everything; adoption is by pid, start time and replica id (design 2)."""
    up = stage.up()
    stage.create("svc", replicas=2)
    stage.running("svc", 2)
    before = stage.processes("keeper", "engine")
    token = stage.token("svc")
    with watching(stage.folder, "svc") as finish:
        up.kill()
        up.wait()
        until(lambda: not stage.processes("hub", "gateway"), "they outlive their supervisor")
        assert stage.processes("keeper", "engine") == before
        began = time.monotonic()
        stage.up()
        stage.running("svc", 2)
        back = time.monotonic() - began
        until(lambda: stage.call("svc", token)[0] == 200)
        record = finish()
    assert back <= RECOVERY
    assert stage.processes("keeper", "engine") == before
    assert record.most("svc-", "engine") == 2


def test_every_process_is_killed_what_ran_runs_again_and_what_was_stopped_stays_so(
    stage: Stage,
) -> None:
    """Law: wanted state alone decides what runs after a crash of everything (F03)."""
    stage.up()
    stage.create("runs", replicas=2)
    stage.create("rests")
    stage.running("runs", 2)
    stage.running("rests")
    stage.stop("rests")
    stage.stopped("rests")
    token = stage.token("runs")
    before = stage.processes()
    stage.end()
    began = time.monotonic()
    stage.up()
    stage.running("runs", 2)
    assert time.monotonic() - began <= 2 * RECOVERY
    assert stage.describe("rests")["Status"] == "Stopped"  # pyright: ignore[reportOptionalSubscript]
    assert stage.token("runs") == token
    assert stage.call("runs", token)[0] == 200
    assert not set(before) & set(stage.processes())
    assert len(stage.processes("engine")) == 2


def test_told_to_end_everything_ends_in_order_and_comes_back_with_name_and_token(
    stage: Stage,
) -> None:
    """Law: `up` leaves no process behind when told to end; wanted state is kept (design 2)."""
    up = stage.up()
    stage.create("svc", replicas=2)
    stage.running("svc", 2)
    service, token = stage.client.describe("svc"), stage.token("svc")
    began = time.monotonic()
    up.send_signal(signal.SIGTERM)
    assert up.wait(30) == 0
    assert time.monotonic() - began <= 5.0 * PATIENCE
    assert stage.processes() == []
    said = stage.log.read_text()
    assert (
        said.index("stopping the gateway") < said.index("stopping the hub") < said.index("stopped.")
    )

    stage.up()
    stage.running("svc", 2)
    again = stage.client.describe("svc")
    for field in ("ServiceId", "ServiceName", "AccessToken", "CurrentVersion", "CreateTime"):
        assert again[field] == service[field]
    assert stage.call("svc", token)[0] == 200
    reasons = [event["Reason"] for event in stage.events("svc")]
    assert "Crashed" not in reasons
    assert {item["RestartCount"] for item in stage.instances("svc")} == {1}


def test_a_request_in_flight_ends_before_the_platform_does(stage: Stage) -> None:
    """Law: told to end, the gateway lets open requests end first (design 2)."""
    up = stage.up()
    stage.create("svc")
    stage.running("svc")
    token = stage.token("svc")
    command = ["curl", "-sN", "-H", f"Authorization: {token}"]
    url = f"http://{stage.gateway_listen}/api/predict/svc/stream?n=10&gap=0.1"
    with subprocess.Popen([*command, url], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        client.stdout.readline()
        up.send_signal(signal.SIGTERM)
        rest = client.stdout.read().decode()
    assert rest.endswith("data: [DONE]\n\n")
    assert up.wait(30) == 0


def test_the_hub_is_killed_while_it_stops_its_replicas_and_the_next_one_starts_them(
    stage: Stage,
) -> None:
    """Law: a mark is written before the step: an end with the platform is no crash (F01)."""
    hub = stage.start(
        "hub", "--stop-replicas-on-exit", PIERHEAD_FAILPOINT="process.pause.after_mark:kill"
    )
    stage.answering(stage.listen)
    stage.create("svc", replicas=2)
    stage.running("svc", 2)
    hub.terminate()
    assert hub.wait(30) == -signal.SIGKILL
    assert len(stage.processes("engine")) == 2
    stage.start("hub")
    stage.answering(stage.listen)
    stage.running("svc", 2)
    assert len(stage.processes("engine")) == len(stage.processes("keeper")) == 2


# ---- starts that are refused --------------------------------------------------------------


def refused(stage: Stage, *flags: str) -> str:
    """What `up` says when it will not start; nothing of it may stay."""
    before = stage.processes()
    second = stage.start("up", *flags)
    assert second.wait(20) == 1
    assert stage.processes() == before
    return stage.tail(3)


def test_a_second_up_on_the_same_folder_is_refused_and_harms_nobody(stage: Stage) -> None:
    """Law: one platform per data folder (design 2)."""
    up = stage.up()
    stage.create("svc")
    stage.running("svc")
    said = refused(stage, "--listen=127.0.0.1:0", "--gateway-listen=127.0.0.1:0")
    assert f"already runs on {stage.folder} (process {up.pid})" in said
    assert stage.call("svc", stage.token("svc"))[0] == 200


@pytest.mark.parametrize("flag", ["--listen", "--gateway-listen"])
def test_a_port_that_is_taken_is_named_with_the_flag_that_changes_it(
    stage: Stage, flag: str
) -> None:
    """Law: a start that cannot succeed says what to do (design 1)."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(stage, f"{flag}=127.0.0.1:{port}")
    assert f"Port {port} is already in use" in said
    assert flag in said


def test_a_second_hub_on_the_same_folder_does_not_touch_the_first_ones_replicas(
    stage: Stage,
) -> None:
    """Law: no duplicate, ever: a hub by hand on a folder that is served must not adopt (F01)."""
    stage.up()
    stage.create("svc")
    stage.running("svc")
    before = stage.processes()
    second = stage.start("hub")
    assert second.wait(20) == 1  # the port is taken before anything is read
    assert stage.processes() == before


def test_a_folder_that_cannot_be_made_is_named(stage: Stage, tmp_path: Path) -> None:
    """Law: a typed error names the path (F14)."""
    (tmp_path / "file").write_text("")
    stage.folder = tmp_path / "file" / "data"  # below a file, where not even root can make one
    assert_names_the_folder(stage)


@pytest.mark.skipif(
    os.geteuid() == 0, reason="root may write into a read-only folder: run as another user"
)
def test_a_folder_that_cannot_be_written_is_named(stage: Stage) -> None:
    """Law: a typed error names the path (F14)."""
    stage.folder.mkdir(mode=0o500)
    assert_names_the_folder(stage)


def assert_names_the_folder(stage: Stage) -> None:
    said = refused(stage)
    assert str(stage.folder) in said
    assert "--data-dir" in said
    assert "Traceback" not in said


def test_a_database_that_cannot_be_written_is_one_sentence(stage: Stage) -> None:
    """Law: a start that cannot succeed says why, once, and ends (F15)."""
    stage.folder.mkdir()
    (stage.folder / "pierhead.db").mkdir()
    process = stage.start("up")
    assert process.wait(30) == 1
    said = stage.log.read_text()
    assert "Traceback" not in said
    assert "database" in said.lower()
    assert not healthy(stage.listen)
    until(lambda: not stage.processes())
