"""Jobs: calls that are answered before they are done, or that a client gave an id of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pierhead.core.errors import Taken


class JobState(StrEnum):
    """How far a job is."""

    ACCEPTED = "accepted"  #: nothing was done yet
    COMMITTED = "committed"  #: what was asked for is written down; its answer is not
    DONE = "done"
    FAILED = "failed"


#: What may follow. A batch commits once per object, a call without effect never.
FOLLOWS: Mapping[JobState, frozenset[JobState]] = {
    JobState.ACCEPTED: frozenset({JobState.COMMITTED, JobState.DONE, JobState.FAILED}),
    JobState.COMMITTED: frozenset({JobState.COMMITTED, JobState.DONE, JobState.FAILED}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset(),
}
#: The states in which a job has its answer.
ENDED = frozenset(state for state, following in FOLLOWS.items() if not following)


def before(state: JobState) -> frozenset[JobState]:
    """The states that `state` may follow."""
    return frozenset(earlier for earlier, following in FOLLOWS.items() if state in following)


@dataclass(frozen=True, slots=True)
class Job:
    """One job. Times are epoch seconds."""

    id: str  #: 32 letters and digits, the client's or ours
    api: str
    principal: str  #: id of who asked
    created: float
    expires: float  #: when it is forgotten, once it has ended
    state: JobState = JobState.ACCEPTED
    objects: tuple[str, ...] = ()  #: uuids of what it made or changed, in that order
    #: The dialect's answer: `{"inventory": ...}`, `{"results": [...]}`, `{}`, `{"error": {...}}`.
    answer: Mapping[str, Any] | None = None
    finished: float | None = None
    webhook: str = ""  #: URL that is still to be told of the end

    @property
    def ended(self) -> bool:
        """It has its answer."""
        return self.state in ENDED


class DuplicateJob(Taken):
    """The job's id was used before; nothing was done."""

    def __init__(self, job: str) -> None:
        super().__init__("job", job, "exists already")
        self.args = (f"Duplicate job uuid[{job}]",)
