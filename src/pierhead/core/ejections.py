"""A replica that answers its probe and fails at its work: gateways leave it out, and people are told."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from pierhead.core.replicas import ReplicaState, ReplicaStatus

EJECTED = "ReplicaEjected"  #: the reason of one that is ready and gets no requests

#: What a gateway met, by the word that it reports; of a newer gateway there may be others.
_MET: Mapping[str, str] = {
    "refused": "it could not be connected to",
    "closed": "it closed the connection before its answer began",
    "broken": "it broke off its answer",
    "silent": "it gave no sign of life before a request's time was over",
    "late": "several requests in a row ran out of time at it, although it was alive",
    "errors": "it answered several requests in a row with 500, 502, 503 or 504",
}


def known(
    ejected: Mapping[str, str], before: Iterable[ReplicaStatus], *, told: bool
) -> Mapping[str, str]:
    """Replica id -> why it gets no requests, by what gateways say now and what was seen `before`.

    `told`: they speak. While they do not, nobody knows of any that it is back.
    """
    if told:
        return ejected
    kept = {replica.id: replica.message for replica in before if is_ejected(replica)}
    return {**kept, **ejected}


def marked(
    replicas: Iterable[ReplicaStatus], ejected: Mapping[str, str]
) -> Iterator[ReplicaStatus]:
    """The replicas; ready ones that gateways eject say so. `ejected`: replica id -> a gateway's word."""
    for replica in replicas:
        if replica.id in ejected and replica.state is ReplicaState.READY:
            word = ejected[replica.id]
            yield replace(replica, reason=EJECTED, message=_MET.get(word, word))
        else:
            yield replica


def is_ejected(replica: ReplicaStatus | None) -> bool:
    """Is it ready, and gets no requests all the same?"""
    return replica is not None and replica.state is ReplicaState.READY and replica.reason == EJECTED
