"""What people are told of a replica that is ready and gets no requests."""

from builders import T0, a_replica, a_service
from pierhead.core.ejections import EJECTED, known, marked
from pierhead.core.languages import Language
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.services import Seen
from pierhead.core.status import Status, verdict
from pierhead.core.why import replica_message, why, why_replica
from pierhead.gateway.balance import Failure
from pierhead.reconciler.changes import events

ONE, TWO = a_replica(), a_replica(id="svc-one-bbbbbbbb")


def seen(*words: str) -> Seen:
    """Two ready replicas, the first one ejected for these."""
    return Seen(
        revision=1,
        settled=1,
        replicas=tuple(marked((ONE, TWO), dict.fromkeys([ONE.id][: len(words)], "".join(words)))),
    )


def test_it_runs_and_says_why_it_gets_none_in_each_language() -> None:
    found = seen("silent")
    assert verdict(a_service(), found, T0).status is Status.RUNNING
    (told,) = why(a_service(), found, T0)
    assert told.reason == EJECTED
    assert "no sign of life" in told.causes[0]
    for language in Language:
        assert why(a_service(), found, T0, language)[0].reason == EJECTED
        assert replica_message(found.replicas[0], language)
    assert why_replica(a_service(), found.replicas[0]) == told
    assert why_replica(a_service(), found.replicas[1]) is None
    assert why(a_service(), seen(), T0) == ()


def test_a_word_of_a_newer_gateway_is_shown_as_it_is() -> None:
    assert "odd-new-word" in why(a_service(), seen("odd-new-word"), T0)[0].causes[0]


def test_one_that_is_not_ready_has_reasons_of_its_own() -> None:
    unready = a_replica(state=ReplicaState.UNREADY, reason="ProbeFailed")
    assert tuple(marked((unready,), {unready.id: "silent"})) == (unready,)


def test_each_change_is_an_event_and_staying_so_is_none() -> None:
    def told(before: Seen, after: Seen) -> list[str]:
        return [event.reason for event in events(a_service(), before, after, T0)]

    assert told(seen(), seen("errors")) == [EJECTED]
    assert told(seen("errors"), seen("errors")) == []
    assert told(seen("errors"), seen()) == ["ReplicaReturned"]


def test_a_mark_stays_until_gateways_that_speak_take_it_back() -> None:
    """Law: nobody is told that it answers again because nobody says that it does not."""
    before = seen("silent").replicas

    def after(ejected: dict[str, str], *, told: bool) -> tuple[ReplicaStatus, ...]:
        return tuple(marked((ONE, TWO), known(ejected, before, told=told)))

    assert after({}, told=False) == before
    assert after({}, told=True) == (ONE, TWO)
    both = after({TWO.id: "errors"}, told=False)
    assert both[0] == before[0]
    assert "500" in both[1].message


def test_every_word_of_a_gateway_is_put_into_a_sentence() -> None:
    for word in Failure:
        (one,) = marked((ONE,), {ONE.id: str(word)})
        assert one.message != str(word)
