"""What is told of a service that is not as wanted: the deepest cause first, nothing of one that is."""

from dataclasses import replace

import pytest

from builders import T0, a_replica, a_service, a_template, a_version
from pierhead.core import deadlines, lifecycle
from pierhead.core.diagnosis import crash
from pierhead.core.languages import Language
from pierhead.core.replicas import Exit, ReplicaState, ReplicaStatus
from pierhead.core.resources import GIB
from pierhead.core.services import Hold, Seen, Service, Wanted
from pierhead.core.status import Status, verdict
from pierhead.core.why import deepest, message, replica_message, why, why_replica

NEW = a_service()
TOOK = Seen(revision=NEW.revision, since=T0)
LINES = ("loading", "ModuleNotFoundError: No module named 'torch'")


def crashed(failures: int = 1, state: ReplicaState = ReplicaState.CRASHED) -> ReplicaStatus:
    end = Exit(T0, code=1)
    told = crash(end, LINES)
    return a_replica(
        state=state,
        failures=failures,
        reason=told.reason if state is ReplicaState.CRASHED else "NotReadyYet",
        message=told.message if state is ReplicaState.CRASHED else "nothing listens yet",
        last_exit=end,
        last_lines=LINES,
        ready_at=None,
    )


def reasons(service: Service, seen: Seen, now: float = T0 + 1) -> list[str]:
    return [diagnosis.reason for diagnosis in why(service, seen, now)]


def test_nothing_is_told_of_one_that_runs_as_wanted() -> None:
    seen = replace(TOOK, settled=NEW.revision, replicas=(a_replica(),))
    assert why(NEW, seen, T0) == ()
    assert why_replica(NEW, a_replica()) is None
    assert replica_message(a_replica(), Language.ZH_CN) == ""


@pytest.mark.parametrize("failures", [1, 2, 3, 9])
@pytest.mark.parametrize("state", [ReplicaState.CRASHED, ReplicaState.STARTING])
def test_why_it_crashed_is_told_also_while_it_is_tried_again(
    failures: int, state: ReplicaState
) -> None:
    seen = replace(TOOK, replicas=(crashed(failures, state),))
    first = why(NEW, seen, T0 + 1)[0]
    assert first.reason == "ModuleMissing"
    assert "[torch]" in first.error
    assert any("exit code 1" in line for line in first.evidence)


def test_how_far_it_is_comes_last() -> None:
    seen = replace(TOOK, replicas=(crashed(2),))
    assert reasons(replace(NEW, replicas=2), seen) == ["ModuleMissing", "Waiting"]


def test_each_reason_is_told_once() -> None:
    seen = replace(TOOK, replicas=(crashed(3), crashed(4), crashed(5)))
    assert reasons(replace(NEW, replicas=3), seen).count("ModuleMissing") == 1


def test_a_hold_is_told_under_its_finer_word() -> None:
    facts = {"problem": "the store refuses it (403 SecurityTokenExpired)", "source": "oss://b/"}
    hold = Hold("StorageDenied", "oss://b/ is not available.", permanent=True, facts=facts)
    assert reasons(NEW, replace(TOOK, hold=hold))[0] == "CredentialsExpired"
    assert verdict(NEW, replace(TOOK, hold=hold), T0).reason == "StorageDenied"


def test_a_hold_without_facts_shows_its_message() -> None:
    hold = Hold("WeightsUnavailable", "the cat sat on the cable.", permanent=True)
    first = why(NEW, replace(TOOK, hold=hold), T0, Language.ZH_CN)[0]
    assert any("the cat sat on the cable" in cause for cause in first.causes)


def test_values_of_the_environment_that_are_secret_do_not_appear() -> None:
    version = a_version(template=a_template(env={"HF_TOKEN": "hf_abcdefgh", "X": "visible"}))
    service = replace(NEW, current=version)
    replica = replace(crashed(3), last_lines=("boom hf_abcdefgh visible",), reason="Crashed")
    for language in Language:
        told = str(why(service, replace(TOOK, replicas=(replica,)), T0, language))
        assert "hf_abcdefgh" not in told
        assert "visible" in told
        assert "hf_abcdefgh" not in str(why_replica(service, replica, language))


def test_messages_come_in_each_language() -> None:
    seen = replace(TOOK, replicas=(crashed(3),))
    judged = verdict(NEW, seen, T0)
    assert judged.status is Status.FAILED
    english, simplified, traditional = (message(judged, language) for language in Language)
    assert english == judged.message
    assert "没有安装" in simplified
    assert "沒有安裝" in traditional
    assert "自动重试" in simplified


def test_a_message_in_another_language_says_what_lies_under_it() -> None:
    seen = replace(TOOK, settled=NEW.revision, replicas=(a_replica(), crashed(2)))
    judged = verdict(replace(NEW, replicas=2), seen, T0)
    assert judged.reason == "PartlyReady"
    said = message(judged, Language.ZH_CN)
    assert "共 2 个" in said or "2 个副本" in said
    assert "torch" in said


# ---- what lasts too long ---------------------------------------------------------------------------


def test_every_status_that_is_no_end_has_an_owner_and_a_deadline() -> None:
    """Law: no non-terminal state without an owner, a deadline and a diagnosis for its overrun (F10)."""
    ends = {Status.RUNNING, Status.STOPPED, Status.FAILED}
    assert set(deadlines.STATUSES) == {str(status) for status in Status} - set(map(str, ends))
    for stage in deadlines.STATUSES.values():
        assert stage.owner
        assert stage.limit(NEW) > 0


def test_a_change_that_nobody_takes_up_is_told() -> None:
    changed = lifecycle.scale(NEW, 3, T0)
    assert changed is not None
    assert reasons(changed, TOOK, T0 + 29) == ["Scaling"]
    late = verdict(changed, TOOK, T0 + 45)
    assert (late.status, late.reason) == (Status.SCALING, "NotTakenUp")
    assert "45 s ago" in late.message


def test_a_fetch_has_the_time_of_its_bytes() -> None:
    hold = Hold("FetchingWeights", "12 %", progressing=True, since=T0, facts={"progress": "12 %"})
    small, large = replace(hold, bytes=GIB), replace(hold, bytes=100 * GIB)
    assert reasons(NEW, replace(TOOK, hold=small), T0 + 719) == ["FetchingWeights"]
    assert reasons(NEW, replace(TOOK, hold=small), T0 + 730) == ["FetchingWeights", "FetchOverdue"]
    assert reasons(NEW, replace(TOOK, hold=large), T0 + 12_000) == ["FetchingWeights"]
    assert reasons(NEW, replace(TOOK, hold=large), T0 + 13_000)[1] == "FetchOverdue"


@pytest.mark.parametrize(
    ("hold", "overrun"),
    [
        (Hold("ConvertingWeights", "", progressing=True), "ConversionOverdue"),
        (Hold("InstallingEnvironment", "", progressing=True), "EnvironmentOverdue"),
        (Hold("ReadingHeaders", "", progressing=True), "HeadersOverdue"),
        (Hold("WaitingForGpu", "", progressing=True, placement=True), "WaitOverdue"),
        (Hold("InsufficientResources", "", permanent=True, placement=True), "WaitOverdue"),
        (Hold("DependencyNotRunning", ""), "RetryOverdue"),
        (Hold("WeightsUnavailable", ""), "RetryOverdue"),
    ],
)
def test_every_hold_that_ends_by_itself_has_a_deadline(hold: Hold, overrun: str) -> None:
    held = replace(hold, since=T0)
    assert deadlines.overrun(NEW, replace(TOOK, hold=held), T0 + 1) is None
    late = deadlines.overrun(NEW, replace(TOOK, hold=held), T0 + 10_000)
    assert late is not None
    assert late.reason == overrun


def test_what_only_its_owner_can_end_is_never_late() -> None:
    hold = Hold("WeightsMissing", "", permanent=True, since=T0)
    assert deadlines.overrun(NEW, replace(TOOK, hold=hold), T0 + 10**7) is None


def test_replicas_that_do_not_end_are_told() -> None:
    grace = NEW.current.template.stop_grace
    stopped = lifecycle.stop(NEW, T0)
    assert stopped is not None
    seen = Seen(revision=stopped.revision, since=T0, replicas=(a_replica(),))
    limit = 2 * grace + 30
    assert verdict(stopped, seen, T0 + limit - 1).reason == "Stopping"
    late = verdict(stopped, seen, T0 + limit + 7)
    assert (late.status, late.reason) == (Status.STOPPING, "StopOverdue")
    assert "1 replica(s) should have stopped 7 s ago" in late.message
    gone = replace(stopped, wanted=Wanted.DELETED)
    assert verdict(gone, seen, T0 + limit + 7).reason == "DeleteOverdue"
    assert verdict(stopped, replace(seen, replicas=()), T0 + 10**6).status is Status.STOPPED


def test_an_engine_that_loads_much_has_its_own_time() -> None:
    """Law: a deadline scales with the weights."""
    loading = a_replica(state=ReplicaState.STARTING, ready_at=None, created=T0, deadline=2300.0)
    seen = replace(TOOK, replicas=(loading,))
    patience = NEW.current.template.start_deadline
    assert verdict(NEW, seen, T0 + patience + 1).status is Status.WAITING
    assert verdict(NEW, seen, T0 + 2301).reason == "StartDeadlineExceeded"
    plain = replace(seen, replicas=(replace(loading, deadline=None),))
    assert verdict(NEW, plain, T0 + patience + 1).reason == "StartDeadlineExceeded"


@pytest.mark.parametrize(
    "replicas",
    [
        (),
        (crashed(),),
        (crashed(3, ReplicaState.STARTING),),
        (a_replica(),),
        (a_replica(), crashed(2)),
    ],
)
def test_what_figures_count_is_what_is_told_first(replicas: tuple[ReplicaStatus, ...]) -> None:
    seen = replace(TOOK, replicas=replicas)
    told = why(NEW, seen, T0 + 9)
    assert deepest(NEW, seen, T0 + 9) == (told[0].reason if told else "")


def test_who_sleeps_is_told_of_and_counts_as_wanted() -> None:
    asleep = replace(NEW, replicas=0)
    seen = replace(TOOK, replicas=())
    assert [one.reason for one in why(asleep, seen, T0 + 9)] == ["ScaledToZero"]
    assert deepest(asleep, seen, T0 + 9) == ""
    judged = verdict(asleep, seen, T0 + 9)
    assert message(judged, Language.ZH_CN).startswith("服务处于休眠状态")
    assert message(judged, Language.ZH_TW).startswith("服務處於休眠狀態")
