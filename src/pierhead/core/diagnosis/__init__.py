"""Diagnosis: facts -> rules -> error, causes, advices and evidence, in three languages. Pure.

crash, never_ready ...  the ends of a process, by exit code, signal and what it wrote (ends, patterns)
refined                 a finer word than the one on the wire, where the facts allow it (refining)
explained, sentence     the texts of a reason with its facts (texts, wording, evidence)
"""

from pierhead.core.causes import Cause, Facts
from pierhead.core.diagnosis.ends import crash, never_ready, not_alive, too_much_memory
from pierhead.core.diagnosis.explaining import Diagnosis, explained, proof, sentence, worded
from pierhead.core.diagnosis.refining import refined
from pierhead.core.diagnosis.replicas import UNTOLD, last_end, replica_cause

__all__ = [
    "UNTOLD",
    "Cause",
    "Diagnosis",
    "Facts",
    "crash",
    "explained",
    "last_end",
    "never_ready",
    "not_alive",
    "proof",
    "refined",
    "replica_cause",
    "sentence",
    "too_much_memory",
    "worded",
]
