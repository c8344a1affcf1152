"""Jobs: what was asked for, how far it is, and its answer until that is forgotten."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pierhead.core.errors import Stale
from pierhead.core.jobs import ENDED, DuplicateJob, Job, JobState, before
from pierhead.store import sealing, tables

_J = tables.api_jobs
# Made once: every call with a job takes each of them.
_NEW = insert(_J)
_BY_ID = select(_J).where(_J.c.id == bindparam("id"))
_EXPIRED = delete(_J).where(
    _J.c.expires <= bindparam("now"), _J.c.state.in_(sorted(ENDED)), _J.c.webhook == ""
)
_EXPIRED_ONE = _EXPIRED.where(_J.c.id == bindparam("id"))
_OBJECT = select(_J.c.object).where(_J.c.id == bindparam("job"))
_WEBHOOK = select(_J.c.webhook).where(_J.c.id == bindparam("job"))
_STEP = {
    state: update(_J).where(_J.c.id == bindparam("job"), _J.c.state.in_(sorted(before(state))))
    for state in JobState
}


@dataclass(frozen=True, slots=True)
class Ending:
    """What becomes of a job."""

    state: JobState
    answer: Mapping[str, Any]
    finished: float
    expires: float


def add(tx: Connection, job: Job) -> None:
    """Store a new job. An expired one of the same id makes room.

    Raises:
        DuplicateJob: the id is in use.
    """
    tx.execute(_EXPIRED_ONE, {"now": job.created, "id": job.id})
    try:
        tx.execute(_NEW, _row(tx, job))
    except IntegrityError as error:
        raise DuplicateJob(job.id) from error


def load(tx: Connection, job: str) -> Job | None:
    """A job by its id."""
    row = tx.execute(_BY_ID, {"id": job}).mappings().first()
    return None if row is None else _job(tx, row)


def commit(tx: Connection, job: str, uuid: str) -> None:
    """Note in the transaction that does it that something was done, and to which object.

    Raises:
        Stale: the job is unknown, or has ended: what goes with it must not happen.
    """
    present = tx.execute(_OBJECT, {"job": job}).scalar()
    objects = ",".join(filter(None, (present, uuid)))
    step = _STEP[JobState.COMMITTED].values(state=JobState.COMMITTED, object=objects)
    if not tx.execute(step, {"job": job}).rowcount:
        raise Stale(f"The job {job} has ended already.")


def end(tx: Connection, job: str, ending: Ending) -> str | None:
    """Write a job's answer; gives the webhook to tell, "" for none, None when the job had ended."""
    step = _STEP[ending.state].values(
        state=ending.state,
        answer=_text(tx, job, ending.answer),
        finished=ending.finished,
        expires=ending.expires,
    )
    if not tx.execute(step, {"job": job}).rowcount:
        return None
    return tx.execute(_WEBHOOK, {"job": job}).scalar_one()


def unfinished(tx: Connection) -> list[Job]:
    """All jobs without an answer, oldest first."""
    found = select(_J).where(_J.c.state.not_in(sorted(ENDED))).order_by(_J.c.created, _J.c.id)
    return [_job(tx, row) for row in tx.execute(found).mappings()]


def unheard(tx: Connection) -> list[str]:
    """Ids of the jobs that have ended and whose webhook was not told, oldest first."""
    found = select(_J.c.id).where(_J.c.state.in_(sorted(ENDED)), _J.c.webhook != "")
    return list(tx.execute(found.order_by(_J.c.finished, _J.c.id)).scalars())


def heard(tx: Connection, job: str) -> None:
    """Note that a job's webhook needs no more telling."""
    tx.execute(update(_J).where(_J.c.id == job).values(webhook=""))


def sweep(tx: Connection, now: float) -> int:
    """Forget expired jobs; gives how many. One without an answer, or with a webhook to tell, stays."""
    return tx.execute(_EXPIRED, {"now": now}).rowcount


def _row(tx: Connection, job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "api": job.api,
        "principal": job.principal,
        "state": job.state,
        "object": ",".join(job.objects),
        "answer": _text(tx, job.id, job.answer),
        "created": job.created,
        "finished": job.finished,
        "expires": job.expires,
        "webhook": job.webhook,
    }


def _job(tx: Connection, row: RowMapping) -> Job:
    answer = sealing.unseal(sealing.box_of(tx), _answer_of(row["id"]), row["answer"])
    return Job(
        id=row["id"],
        api=row["api"],
        principal=row["principal"],
        created=row["created"],
        expires=row["expires"],
        state=JobState(row["state"]),
        objects=tuple(filter(None, row["object"].split(","))),
        answer=json.loads(answer) if answer else None,
        finished=row["finished"],
        webhook=row["webhook"],
    )


def _answer_of(job: str) -> str:
    """What an answer is sealed as; some hold tokens and keys."""
    return f"answer of the job:{job}"


def _text(tx: Connection, job: str, answer: Mapping[str, Any] | None) -> str:
    # ASCII: half a surrogate pair in a client's text must not cost it the answer.
    text = "" if answer is None else json.dumps(answer, separators=(",", ":"))
    return sealing.seal(sealing.box_of(tx), _answer_of(job), text)


def forget_unreadable(tx: Connection) -> int:
    """Remove the jobs whose answer cannot be opened; gives how many."""
    box = sealing.box_of(tx)
    found = tx.execute(select(_J.c.id, _J.c.answer).where(_J.c.answer != "")).all()
    gone = [id_ for id_, text in found if not sealing.unseal_or_none(box, _answer_of(id_), text)]
    for id_ in gone:
        tx.execute(delete(_J).where(_J.c.id == id_))
    return len(gone)


def seal_plain(tx: Connection) -> int:
    """Seal answers that an older release stored in plain, all of them; gives how many there are."""
    box = sealing.box_of(tx)
    found = tx.execute(select(_J.c.id, _J.c.answer).where(_J.c.answer != "")).all()
    for id_, text in found:
        sealed = sealing.seal_once(box, _answer_of(id_), text)
        tx.execute(update(_J).where(_J.c.id == id_).values(answer=sealed))
    return len(found)
