"""Why a service or a replica is not as wanted: the diagnoses, what lies deepest first. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pierhead.core.deadlines import overrun
from pierhead.core.diagnosis import Cause, Diagnosis, explained, refined, replica_cause, sentence
from pierhead.core.languages import Language
from pierhead.core.replicas import LEAVING, ReplicaStatus
from pierhead.core.secrecy import masked, secrets
from pierhead.core.services import Seen, Service
from pierhead.core.status import ASLEEP, Status, Verdict, verdict

#: What is said of one that is tried again, beside why it failed.
_AGAIN = {
    Language.ZH_CN: "会自动重试，间隔逐次加长。",
    Language.ZH_TW: "會自動重試，間隔逐次加長。",
}
#: Reasons that only say how far it is: what else is known goes before them.
_ON_THE_WAY = frozenset({*map(str, Status), "NotReadyYet", "ReplicaPending", "PartlyReady"})
#: Of these, what does not go on by itself.
_BAD = frozenset({str(Status.FAILED), str(Status.DELETE_FAILED), "PartlyReady"})


def why(
    service: Service, seen: Seen, now: float, language: Language = Language.EN
) -> tuple[Diagnosis, ...]:
    """All that is not as wanted, each reason once; empty when the service runs as wanted."""
    explanations: dict[str, Diagnosis] = {}
    for cause in _causes(service, seen, now):
        diagnosis = explained(cause, language)
        explanations.setdefault(diagnosis.reason, diagnosis)
    return tuple(_without_secrets(service, explanations.values()))


def deepest(service: Service, seen: Seen, now: float) -> str:
    """The reason of what `why` tells first; "" when the service runs as wanted, or sleeps as it may."""
    found = (refined(cause).reason for cause in _causes(service, seen, now))
    return next((reason for reason in found if reason != ASLEEP), "")


def attention(
    service: Service, seen: Seen, now: float, language: Language = Language.EN
) -> Diagnosis | None:
    """What somebody should look at, if anything: not what goes on at its own pace, nor what sleeps."""
    going_on = seen.hold is not None and seen.hold.progressing
    for found in why(service, seen, now, language):
        if found.reason == ASLEEP or (found.reason in _ON_THE_WAY and found.reason not in _BAD):
            continue
        if not (going_on and seen.hold is not None and found.reason == seen.hold.reason):
            return found
    return None


def _causes(service: Service, seen: Seen, now: float) -> list[Cause]:
    """All that is not as wanted, what lies deepest first."""
    found = [*_told(verdict(service, seen, now)), *_unwell(seen)]
    late = overrun(service, seen, now)
    if late is not None:
        found.append(late)
    found.sort(key=lambda cause: cause.reason in _ON_THE_WAY)  # stable: the rest keeps its order
    return found


def why_replica(
    service: Service, replica: ReplicaStatus, language: Language = Language.EN
) -> Diagnosis | None:
    """Why a replica is not ready; None when it is."""
    cause = replica_cause(replica)
    if cause is None:
        return None
    return next(_without_secrets(service, [explained(cause, language)]))


def message(judged: Verdict, language: Language) -> str:
    """A verdict's message in a language."""
    if language is Language.EN:
        return judged.message
    own = Cause(judged.reason, judged.message, judged.facts)
    said = [sentence(own, language)]
    if judged.because is not None:
        said.append(sentence(judged.because, language))
    elif judged.status is Status.FAILED and judged.facts.keys() & {"code", "signal", "oom"}:
        said.append(_AGAIN[language])
    return "".join(said)


def replica_message(replica: ReplicaStatus, language: Language) -> str:
    """Why a replica is not ready, as one text; "" when it is."""
    cause = replica_cause(replica)
    if language is Language.EN:
        return replica.message or replica.reason
    return "" if cause is None else sentence(cause, language)


def _told(judged: Verdict) -> Iterator[Cause]:
    if judged.because is not None:
        yield judged.because
    if judged.reason not in {Status.RUNNING, ""}:
        yield Cause(judged.reason, judged.message, judged.facts)


def _unwell(seen: Seen) -> Iterator[Cause]:
    """Of replicas that should serve, those that crashed most often first."""
    staying = [replica for replica in seen.replicas if replica.state not in LEAVING]
    for replica in sorted(staying, key=lambda one: -one.failures):
        cause = replica_cause(replica)
        if cause is not None:
            yield cause


def _without_secrets(service: Service, found: Iterable[Diagnosis]) -> Iterator[Diagnosis]:
    """Values of the template's environment may stand in what a program wrote."""
    hidden = secrets(service.current.template.env)
    for each in found:
        if not hidden:
            yield each
            continue
        yield replace(
            each,
            error=masked(each.error, hidden),
            causes=tuple(masked(text, hidden) for text in each.causes),
            advices=tuple(masked(text, hidden) for text in each.advices),
            evidence=tuple(masked(text, hidden) for text in each.evidence),
        )
