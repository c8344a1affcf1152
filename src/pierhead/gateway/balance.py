"""Which replica takes a request: the least busy one of those that work.

A replica that fails is put out of rotation for a pause. After that it gets one request as a trial;
its answer brings it back, its failure doubles the pause. Never more than half of a service's replicas
are out, and one stays in any case: where most of them fail, it is not they that are to blame.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from types import TracebackType
from typing import Final, Self

from pierhead.core.routes import Target

OUT_FIRST: Final = (
    2.0  #: seconds out of rotation after the first failure; doubles with each further one
)
OUT_LONGEST: Final = 30.0
ERRORS: Final = 5  #: requests in a row that met a fault of the engine, until it is put out
#: Answers by which an engine says that it is broken. 501 and 505 are about what was asked for.
FAULTS: Final = frozenset({500, 502, 503, 504})


class Failure(StrEnum):
    """What a replica did wrong, as it is told to the hub and counted; the hub has the words."""

    REFUSED = "refused"  #: it cannot be connected to
    CLOSED = "closed"  #: the connection ended before the answer began
    BROKEN = "broken"  #: its answer broke off, or is no HTTP
    SILENT = "silent"  #: a time-out, and no other sign of life meanwhile
    LATE = "late"  #: too many time-outs in a row, although it was alive meanwhile
    ERRORS = "errors"  #: too many answers in a row that tell of a fault


@dataclass(slots=True)
class _Record:
    """What a replica did wrong since it last answered as it should."""

    errors: int = 0  #: faults, and time-outs of a live one; in a row
    ejections: int = 0  #: in a row
    why: Failure | None = None  #: it is out of rotation for this; None = it is in
    since: float = 0.0  #: out since then; of requests that began before nothing is learnt
    until: float = 0.0  #: the moment of its trial
    trial: "Attempt | None" = None


class Attempt:
    """One request at one replica, from the connection to its last byte."""

    over = False
    refused = False  #: nobody listened: it cost next to nothing
    wakes = False  #: the trial of one that hung: is it alive at all?
    awake = False  #: it answered a knock while the request waited
    _well = False  # it is being answered by what is no fault

    def __init__(self, balance: "Balance", target: Target, begun: float) -> None:
        self.replica, self.begun, self._balance = target.replica, begun, balance

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """It is over; a second time is none."""
        self._balance.ended(self)

    def answered(self, status: int, targets: Iterable[Target]) -> bool:
        """The head of an answer came; whether the replica was put out for answers like this."""
        self._balance.alive(self.replica)
        self._well = status not in FAULTS
        if self._well:
            self._balance.no_fault(self.replica)
            return False
        return self._balance.fault(self, Failure.ERRORS, targets)

    def answers(self) -> None:
        """As `answered`, by what is no fault."""
        self._well = True
        if self._balance.has_records:
            self._balance.no_fault(self.replica)

    def answers_whole(self, now: float) -> None:
        """An answer came that is no fault, all of it at once."""
        self._balance.flows(self, now, well=False)
        if self._balance.has_records:
            self.answers()
            self.whole()

    def flows(self, now: float) -> None:
        """A piece of the answer's body came."""
        self._balance.flows(self, now, well=self._well)

    def whole(self) -> None:
        """The answer's last byte came."""
        if self._well and self._balance.has_records:
            self._balance.works(self, whole=True)

    def failed(self, why: Failure, targets: Iterable[Target]) -> bool:
        """It gave no whole answer; whether the replica was put out of rotation for it."""
        self.refused = why is Failure.REFUSED
        return self._balance.failed(self, why, targets)

    def timed_out(self, targets: Iterable[Target]) -> bool:
        """Its time is over. Of a replica that answers others meanwhile it says nothing.

        One that did no more than open when it was knocked at may be busy with this very request, or
        may never finish any: a single one does not tell.
        """
        if self.is_answering:
            return False
        if self.awake:
            return self._balance.fault(self, Failure.LATE, targets)
        return self.failed(Failure.SILENT, targets)

    @property
    def is_answering(self) -> bool:
        """Did its replica send anything since it began, to whomever?"""
        return self._balance.seen(self.replica) >= self.begun


class Balance:
    """Requests in flight and failures, per replica id; both outlive any one route table."""

    def __init__(self, now: Callable[[], float], rng: Random, idle: Callable[[str], None]) -> None:
        """`now` is a monotonic clock; `idle` is called with each replica that became idle."""
        self._now, self._rng, self._idle = now, rng, idle
        self._busy: dict[str, int] = {}
        self._records: dict[str, _Record] = {}
        #: When a stream of a replica last flowed: nobody notes that for each token.
        self.lately: Callable[[str], float] = lambda _replica: float("-inf")
        self._signs: dict[str, float] = {}  #: when a replica last sent anything
        self._gone: set[str] = set()  #: replicas that are forgotten once their last request ended

    @property
    def has_records(self) -> bool:
        """Did any replica do anything wrong that is not forgotten?"""
        return bool(self._records)

    @property
    def outstanding(self) -> Mapping[str, int]:
        """Requests in flight per replica, zero left out."""
        return self._busy

    @property
    def ejected(self) -> Mapping[str, Failure]:
        """Replicas out of rotation, and why; one stays so until an answer brings it back."""
        records = self._records.items()
        return {replica: record.why for replica, record in records if record.why is not None}

    def pick(self, targets: Sequence[Target], tried: Collection[str] = ()) -> Target | None:
        """The least busy target in rotation; if none is left, one that is out.

        One whose pause is over goes first: it needs a trial. A request that met a failure is none.
        """
        best: Target | None = None
        least, ties, busy = 0, 0, self._busy
        for target in targets if not (tried or self._records) else self.among(targets, tried):
            outstanding = busy.get(target.replica, 0)
            if best is None or outstanding < least:
                best, least, ties = target, outstanding, 1
            elif outstanding == least:
                ties += 1
                if self._rng.random() * ties < 1:  # each of the ties with the same chance
                    best = target
        return best

    def among(self, targets: Sequence[Target], tried: Collection[str] = ()) -> Sequence[Target]:
        """Those that a request may go to now."""
        if not tried and not self._records:
            return targets
        left = [target for target in targets if target.replica not in tried]
        trials = [] if tried else [one for one in left if self._needs_trial(one.replica)]
        return trials or [one for one in left if not self._is_out(one.replica)] or left

    def attempt(self, target: Target) -> Attempt:
        """Counts one request from here to its `end`; the trial of a replica whose pause is over."""
        replica = target.replica
        attempt = Attempt(self, target, self._now())
        if self._records and self._needs_trial(replica):
            record = self._records[replica]
            record.trial, attempt.wakes = attempt, record.why is Failure.SILENT
        self._busy[replica] = self._busy.get(replica, 0) + 1
        return attempt

    def ended(self, attempt: Attempt) -> None:
        """See `Attempt.end`."""
        if attempt.over:
            return
        attempt.over, replica = True, attempt.replica
        if self._records:
            self._end_trial(attempt)
        busy = self._busy[replica] - 1
        if busy:
            self._busy[replica] = busy
        else:
            del self._busy[replica]
            if self._gone and replica in self._gone:
                self.forget((replica,))
            self._idle(replica)

    def forget(self, replicas: Iterable[str]) -> None:
        """The failures of replicas that are gone, or that the hub found unready itself.

        One that still works on requests is forgotten once more after the last of them.
        """
        for replica in replicas:
            self._records.pop(replica, None)
            self._signs.pop(replica, None)
            if replica in self._busy:
                self._gone.add(replica)
            else:
                self._gone.discard(replica)

    # ---- what attempts tell ----------------------------------------------------------------

    def alive(self, replica: str) -> None:
        """It sent something."""
        self._signs[replica] = self._now()

    def flows(self, attempt: Attempt, now: float, *, well: bool) -> None:
        """See `Attempt.flows`: this is called for each token, so it does next to nothing."""
        self._signs[attempt.replica] = now
        if well and self._records:
            self.works(attempt)

    def seen(self, replica: str) -> float:
        """When it last sent something; the beginning of time if it never did."""
        return max(self._signs.get(replica, float("-inf")), self.lately(replica))

    def no_fault(self, replica: str) -> None:
        """It gave an answer that tells of no fault."""
        record = self._records.get(replica)
        if record is not None:
            record.errors = 0

    def works(self, attempt: Attempt, *, whole: bool = False) -> None:
        """An answer goes well: it is back in rotation, and once one was `whole` all is forgotten."""
        record = self._records.get(attempt.replica)
        if record is None or self._is_old(attempt, record):
            return
        record.why = record.trial = None
        if whole:
            del self._records[attempt.replica]

    def fault(self, attempt: Attempt, why: Failure, targets: Iterable[Target]) -> bool:
        """It answered that it is broken, or not in time; whether it was put out for that.

        Not where the others do the same: then it is the request, the model, or the load.
        """
        targets = tuple(targets)
        record = self._records.setdefault(attempt.replica, _Record())
        record.errors += 1
        if record.why is None:
            others = [one.replica for one in targets if one.replica != attempt.replica]
            better = any(not self._is_out(one) and not self._errors(one) for one in others)
            if record.errors < ERRORS or not better:
                return False
        return self.failed(attempt, why, targets)

    def failed(self, attempt: Attempt, why: Failure, targets: Iterable[Target]) -> bool:
        """Puts a replica out of rotation, or its next trial off; whether it did."""
        replica, now = attempt.replica, self._now()
        record = self._records.get(replica) or _Record()
        if record.why is not None and (now < record.until or self._is_old(attempt, record)):
            return False
        if record.why is None and not self._may_go(replica, targets):
            return False
        self._records[replica] = record
        record.why, record.since, record.trial, record.errors = why, now, None, 0
        record.until = now + min(OUT_FIRST * 2**record.ejections, OUT_LONGEST)
        record.ejections = min(record.ejections + 1, 10)
        return True

    def _may_go(self, replica: str, targets: Iterable[Target]) -> bool:
        replicas = {target.replica for target in targets}
        out = sum(self._is_out(other) for other in replicas - {replica})
        return replica in replicas and (out + 1) * 2 <= len(replicas)

    def _end_trial(self, attempt: Attempt) -> None:
        """One that ended without a word on the replica, as its client left, makes room for the next."""
        record = self._records.get(attempt.replica)
        if record is not None and record.trial is attempt:
            record.trial = None

    def _needs_trial(self, replica: str) -> bool:
        record = self._records.get(replica)
        if record is None or record.why is None or record.trial is not None:
            return False
        return self._now() >= record.until

    def _is_out(self, replica: str) -> bool:
        record = self._records.get(replica)
        return record is not None and record.why is not None

    def _errors(self, replica: str) -> int:
        record = self._records.get(replica)
        return record.errors if record is not None else 0

    @staticmethod
    def _is_old(attempt: Attempt, record: _Record) -> bool:
        """Did it begin before the replica was put out? Then it does not know how that is now."""
        return record.why is not None and attempt.begun < record.since
