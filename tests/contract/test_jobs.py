"""Jobs: what a hub that is killed at any step leaves behind, and what the next one makes of it."""

from collections.abc import Mapping
from typing import Any

import pytest
from identity_stage import Stage, play
from sqlalchemy import Connection

from builders import ROOT, T0
from pierhead.core.errors import NotFound, PierheadError, Stale, Unavailable
from pierhead.core.jobs import ENDED, FOLLOWS, DuplicateJob, Job, JobState, before
from pierhead.operations import logins
from pierhead.operations.jobs import Jobs
from pierhead.store import facts
from pierhead.store import jobs as rows

J = "0123456789abcdefghijABCDEFGHIJ01"
KEEP = 10_800.0
ANSWER: dict[str, Any] = {"inventory": {"uuid": "a" * 32, "name": "对话 \ud800", "n": None}}


async def intent(stage: Stage, jobs: Jobs, job: str, uuid: str) -> None:
    """What an operation does: its own write and the job's step, in one transaction."""

    def write(tx: Connection) -> None:
        facts.put(tx, f"object:{uuid}", "there")
        jobs.commit(tx, job, uuid)

    await stage.db.write(write)


async def present(job: Job) -> Mapping[str, Any]:
    """The objects of a job, as the dialect would show them."""
    if "gone" in job.objects:
        raise NotFound("ModelServiceVO", "gone")
    return {"inventory": {"uuid": ",".join(job.objects), "api": job.api}}


def refuse(error: PierheadError) -> Mapping[str, Any]:
    return {"error": {"code": "SYS.X", "details": error.message}}


def test_the_table_of_steps_is_what_is_promised() -> None:
    assert {JobState.DONE, JobState.FAILED} == ENDED
    assert before(JobState.COMMITTED) == {JobState.ACCEPTED, JobState.COMMITTED}
    assert before(JobState.DONE) == before(JobState.FAILED) == before(JobState.COMMITTED)
    assert before(JobState.ACCEPTED) == frozenset()
    assert set(FOLLOWS) == set(JobState)


def test_a_job_goes_its_way_and_keeps_its_answer(url: str) -> None:
    async def act(stage: Stage) -> None:
        jobs = Jobs(stage.platform)
        assert await jobs.find(J) is None
        await jobs.begin(J, "AddModelService", ROOT)
        begun = await jobs.find(J)
        assert begun == Job(J, "AddModelService", ROOT.id, T0, T0 + KEEP)
        await intent(stage, jobs, J, "a" * 32)
        committed = await jobs.find(J)
        assert committed is not None
        assert (committed.state, committed.objects, committed.answer) == (
            JobState.COMMITTED,
            ("a" * 32,),
            None,
        )
        stage.clock.advance(5)
        await jobs.finish(J, JobState.DONE, ANSWER)
        for _ in range(2):
            done = await jobs.find(J)
            assert done is not None
            assert (done.state, done.answer, done.finished) == (JobState.DONE, ANSWER, T0 + 5)
        # The first answer stays.
        await jobs.finish(J, JobState.FAILED, {"error": {}})
        assert await jobs.find(J) == done

    play(url, act)


def test_a_call_without_effect_ends_without_a_commit(url: str) -> None:
    async def act(stage: Stage) -> None:
        jobs = Jobs(stage.platform)
        for job, state in (("1" * 32, JobState.DONE), ("2" * 32, JobState.FAILED)):
            await jobs.begin(job, "DeleteModel", ROOT)
            await jobs.finish(job, state, {})
            found = await jobs.find(job)
            assert found is not None
            assert (found.state, found.answer, found.objects) == (state, {}, ())

    play(url, act)


def test_an_id_is_used_once(url: str) -> None:
    async def act(stage: Stage) -> None:
        jobs = Jobs(stage.platform)
        await jobs.begin(J, "AddModel", ROOT)
        first = await jobs.find(J)
        for state in (None, JobState.DONE):
            if state:
                await jobs.finish(J, state, ANSWER)
                first = await jobs.find(J)
            with pytest.raises(DuplicateJob) as refusal:
                await jobs.begin(J, "DeleteModel", None)
            assert refusal.value.message == f"Duplicate job uuid[{J}]"
            assert await jobs.find(J) == first
        assert await jobs.find(J.lower()) is None, "ids differ in case"

    play(url, act)


def test_an_intent_whose_job_has_ended_or_never_began_does_not_happen(url: str) -> None:
    async def act(stage: Stage) -> None:
        jobs = Jobs(stage.platform)
        await jobs.begin(J, "AddModel", ROOT)
        await jobs.finish(J, JobState.FAILED, {"error": {}})
        for job in (J, "unknown"):
            with pytest.raises(Stale):
                await intent(stage, jobs, job, "x")
        assert await stage.db.read(facts.get, "object:x") is None

    play(url, act)


def test_a_batch_notes_each_object(url: str) -> None:
    async def act(stage: Stage) -> None:
        jobs = Jobs(stage.platform)
        await jobs.begin(J, "DeleteModels", ROOT)
        uuids = [f"{number:032}" for number in range(50)]
        for uuid in uuids:
            await intent(stage, jobs, J, uuid)
        found = await jobs.find(J)
        assert found is not None
        assert found.objects == tuple(uuids)

    play(url, act)


def test_answers_are_forgotten_in_time_and_only_then(url: str) -> None:
    async def act(stage: Stage) -> None:
        jobs = Jobs(stage.platform)
        running, hooked = "r" * 32, "h" * 32
        await jobs.begin(J, "AddModel", ROOT)
        await jobs.begin(running, "AddModel", ROOT)
        await jobs.begin(hooked, "AddModel", ROOT, webhook="http://127.0.0.1:1/")
        stage.clock.advance(KEEP - 1)
        for job in (J, hooked):
            await jobs.finish(job, JobState.DONE, ANSWER)
        stage.clock.advance(KEEP - 1)
        await logins.purge(stage.platform)
        assert await jobs.find(J), "it is kept from its end on"
        stage.clock.advance(1)
        assert await jobs.find(J) is None
        assert await stage.db.read(rows.load, J), "not swept yet"
        await logins.purge(stage.platform)
        assert await stage.db.read(rows.load, J) is None
        assert await jobs.find(running), "one without an answer is not forgotten"
        assert await stage.db.read(rows.load, hooked), "its webhook was not told yet"

    play(url, act)


def test_the_id_of_an_expired_job_can_be_used_again_before_it_is_swept(url: str) -> None:
    async def act(stage: Stage) -> None:
        jobs = Jobs(stage.platform, keep=60.0)
        await jobs.begin(J, "AddModel", ROOT)
        await jobs.finish(J, JobState.DONE, ANSWER)
        stage.clock.advance(60)
        await jobs.begin(J, "DeleteModel", ROOT)
        found = await jobs.find(J)
        assert found is not None
        assert (found.api, found.state) == ("DeleteModel", JobState.ACCEPTED)

    play(url, act)


async def left_behind(stage: Stage, killed_after: str) -> Job:
    """A job of a hub that is killed after one of the steps."""
    jobs = Jobs(stage.platform)
    await jobs.begin(J, "AddModelService", ROOT)
    if killed_after != "begin":
        await intent(stage, jobs, J, "b" * 32)
    if killed_after == "finish":
        await jobs.finish(J, JobState.DONE, ANSWER)
    found = await jobs.find(J)
    assert found is not None
    stage.clock.advance(3)
    return found


async def recovered(stage: Stage, count: int) -> Job:
    """The job after the next hub's start on the same database."""
    successor = stage.again()
    try:
        heir = Jobs(successor.platform)
        assert await heir.recover(present, refuse) == count
        assert await heir.recover(present, refuse) == 0
        found = await heir.find(J)
        assert found is not None
        return found
    finally:
        successor.close()


# Law of the next three: a job never runs for ever, and is done exactly when its intent was written.


def test_a_hub_killed_before_the_intent_leaves_a_failed_job(url: str) -> None:
    async def act(stage: Stage) -> None:
        await left_behind(stage, "begin")
        found = await recovered(stage, 1)
        assert found.state is JobState.FAILED
        assert found.answer is not None
        text = found.answer["error"]["details"]
        assert "restarted before anything was done" in text
        assert not {"session", "token", "401", "403"} & set(text.lower().split())
        with pytest.raises(Stale):  # a late write of the dead hub
            await intent(stage, Jobs(stage.platform), J, "b" * 32)
        assert await stage.db.read(facts.get, "object:" + "b" * 32) is None

    play(url, act)


def test_a_hub_killed_between_intent_and_answer_leaves_a_job_that_is_done(url: str) -> None:
    async def act(stage: Stage) -> None:
        await left_behind(stage, "commit")
        found = await recovered(stage, 1)
        assert found.state is JobState.DONE
        assert found.answer == {"inventory": {"uuid": "b" * 32, "api": "AddModelService"}}
        assert (found.finished, found.expires) == (T0 + 3, T0 + 3 + KEEP)

    play(url, act)


def test_a_hub_killed_after_the_answer_leaves_that_answer(url: str) -> None:
    async def act(stage: Stage) -> None:
        found = await left_behind(stage, "finish")
        assert await recovered(stage, 0) == found

    play(url, act)


def test_a_committed_job_whose_object_has_gone_since_is_done(url: str) -> None:
    async def act(stage: Stage) -> None:
        jobs = Jobs(stage.platform)
        await jobs.begin(J, "AddModel", ROOT)
        await intent(stage, jobs, J, "gone")
        await jobs.recover(present, refuse)
        found = await jobs.find(J)
        assert found is not None
        assert (found.state, found.answer) == (JobState.DONE, {})

    play(url, act)


def test_recovery_that_cannot_look_says_so_and_leaves_the_job(url: str) -> None:
    async def act(stage: Stage) -> None:
        async def blind(_job: Job) -> Mapping[str, Any]:
            raise Unavailable("The database", "gone away")

        jobs = Jobs(stage.platform)
        await jobs.begin(J, "AddModel", ROOT)
        await intent(stage, jobs, J, "b")
        with pytest.raises(Unavailable):
            await jobs.recover(blind, refuse)
        found = await jobs.find(J)
        assert found is not None
        assert found.state is JobState.COMMITTED

    play(url, act)


def test_the_end_of_a_job_with_a_webhook_is_told_once(url: str) -> None:
    async def act(stage: Stage) -> None:
        told: list[str] = []
        jobs = Jobs(stage.platform, ended=told.append)
        await jobs.begin(J, "AddModel", ROOT, webhook="http://127.0.0.1:1/")
        await jobs.begin("2" * 32, "AddModel", ROOT)
        for job in (J, J, "2" * 32, "unknown"):
            await jobs.finish(job, JobState.DONE, ANSWER)
        assert told == [J]

    play(url, act)
