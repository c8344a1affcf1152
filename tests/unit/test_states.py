"""F10, statically: no state that is no end without an owner, a deadline and a diagnosis for its overrun."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pierhead
from builders import a_replica, a_service
from pierhead.core.deadlines import GOING_ON, PHASES, STATUSES, Stage, stage_of
from pierhead.core.diagnosis.texts import ENTRIES
from pierhead.core.replicas import STEPS
from pierhead.core.replicas import ReplicaState as S
from pierhead.core.resources import GIB
from pierhead.core.services import Change, Hold
from pierhead.core.status import UNDER_WAY, Status
from pierhead.core.templates import engine_deadline
from pierhead.core.why import why_replica

SOURCE, TESTS = Path(pierhead.__file__).parent, Path(__file__).parent.parent
ENDS = {Status.RUNNING, Status.STOPPED, Status.FAILED}
STAGES = {**STATUSES, **GOING_ON, **PHASES}

#: Step -> the test that has a real process take it.
WALKED = {
    (S.PENDING, S.STARTING): "test_start_three_then_scale_to_one_keeps_the_oldest",
    (S.PENDING, S.STOPPED): "test_a_folder_of_leases_that_others_may_write_is_refused",
    (S.STARTING, S.READY): "test_start_three_then_scale_to_one_keeps_the_oldest",
    (S.STARTING, S.CRASHED): "test_a_crash_loop_backs_off_and_says_why",
    (S.STARTING, S.STOPPING): "test_remove_from_any_state",
    (S.READY, S.UNREADY): "test_unready_and_ready_again",
    (S.READY, S.CRASHED): "test_a_killed_process_is_noticed_and_replaced",
    (S.READY, S.DRAINING): "test_rolling_update_serves_all_the_time",
    (S.READY, S.STOPPING): "test_remove_from_any_state",
    (S.UNREADY, S.READY): "test_unready_and_ready_again",
    (S.UNREADY, S.CRASHED): "test_a_failing_liveness_probe_restarts_with_a_reason",
    (S.UNREADY, S.DRAINING): "test_one_that_lost_its_readiness_drains_too",
    (S.UNREADY, S.STOPPING): "test_one_that_lost_its_readiness_is_removed_at_once",
    (S.CRASHED, S.STARTING): "test_the_first_and_the_last_crash_can_be_read",
    (S.CRASHED, S.STOPPED): "test_a_crash_loop_backs_off_and_says_why",
    (S.DRAINING, S.STOPPING): "test_rolling_update_serves_all_the_time",
    (S.DRAINING, S.STOPPED): "test_one_that_ends_while_it_drains_is_no_crash",
    (S.STOPPING, S.STOPPED): "test_start_three_then_scale_to_one_keeps_the_oldest",
}
#: Legal steps that the process runtime has no occasion to take; the table alone is tested.
NOT_TAKEN = {
    (S.PENDING, S.CRASHED),
    (S.PENDING, S.STOPPING),
    (S.STARTING, S.DRAINING),
    (S.CRASHED, S.STOPPING),
}


def test_each_status_and_each_state_of_a_replica_has_a_stage() -> None:
    """Law: every state that is no end has an owner, a deadline and a diagnosis (F10)."""
    assert set(STATUSES) == {str(status) for status in Status} - set(map(str, ENDS))
    assert set(PHASES) == set(S) - {S.READY, S.STOPPED}


@pytest.mark.parametrize("stage", STAGES.values(), ids=map(str, STAGES))
def test_each_stage_is_whole(stage: Stage) -> None:
    """Law: somebody moves it on, it has an end, and what is said then has its words (F10)."""
    assert stage.owner
    assert stage.limit(a_service()) > 0
    assert stage.overrun in ENTRIES


@pytest.mark.parametrize("name", ["FetchingWeights", "ConvertingWeights", S.STARTING])
def test_what_depends_on_bytes_gets_its_time_by_the_byte(name: str) -> None:
    """Law: a deadline scales with the weights' size (F10)."""
    few, many = (STAGES[name].limit(a_service(), count * GIB) for count in (1, 101))
    assert many - few == pytest.approx(100 * STAGES[name].per_gib)
    assert many > few + 1000


def test_the_time_that_a_start_may_take_is_shown() -> None:
    """Law: a slow load says how long it may take, which depends on its weights (F10)."""
    loading = a_replica(state=S.STARTING, ready_at=None, deadline=engine_deadline(100 * GIB))
    found = why_replica(a_service(), loading)
    assert found is not None
    assert "it may take 2300 s" in found.advices[0]


def test_each_change_has_a_status() -> None:
    assert set(UNDER_WAY) == set(Change)


def _holds() -> Iterator[tuple[str, ast.Call]]:
    for file in sorted(SOURCE.rglob("*.py")):
        text = file.read_text()
        for node in ast.walk(ast.parse(text)) if "Hold(" in text else ():
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Hold":
                yield file.name, node


def _says(call: ast.Call, name: str) -> bool:
    """Is the flag given, as True or as something that is only known then?"""
    given = next((each.value for each in call.keywords if each.arg == name), None)
    return given is not None and not (isinstance(given, ast.Constant) and not given.value)


def test_each_hold_that_goes_on_by_itself_has_a_stage_of_its_own() -> None:
    """Law: a new kind of preparation comes with its deadline (F10)."""
    found = list(_holds())
    assert len(found) > 25
    for file, call in found:
        goes_on = _says(call, "progressing") and not _says(call, "placement")
        if not goes_on or not call.args or not isinstance(call.args[0], ast.Constant):
            assert not goes_on or file == "service.py", (file, ast.unparse(call))
            continue
        assert call.args[0].value in GOING_ON, f"{file}: {call.args[0].value} has no stage"


@pytest.mark.parametrize(
    "hold",
    [
        Hold("AnythingNew", ""),
        Hold("AnythingNew", "", progressing=True),
        Hold("AnythingNew", "", placement=True),
        Hold("AnythingNew", "", permanent=True, placement=True),
    ],
)
def test_each_hold_that_can_end_by_itself_has_a_deadline(hold: Hold) -> None:
    assert stage_of(hold) is not None


def test_each_step_of_a_replica_is_taken_in_a_test() -> None:
    """Law: every transition of the table is covered by a test (F10)."""
    table = {(old, new) for old, after in STEPS.items() for new in after}
    assert table == WALKED.keys() | NOT_TAKEN
    assert not WALKED.keys() & NOT_TAKEN
    texts = [file.read_text() for file in TESTS.rglob("test_*.py")]
    there = {name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    assert set(WALKED.values()) <= there


def test_each_status_is_the_right_one_in_a_test() -> None:
    """Law: every status that can be shown is judged in a test (F10)."""
    text = ast.parse((TESTS / "unit" / "test_status.py").read_text())
    named = {
        node.attr
        for node in ast.walk(text)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in {"Status", "S"}
    }
    assert {status.name for status in Status} <= named
