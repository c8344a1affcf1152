"""What is said of each reason, as data: error, causes and advices in three languages."""

from collections.abc import Mapping

from pierhead.core.diagnosis.texts import (
    answers,
    clusters,
    commands,
    endings,
    ends,
    engines,
    environments,
    files,
    gpus,
    keys,
    limits,
    machines,
    misfits,
    models,
    needs,
    overruns,
    probes,
    programs,
    quotas,
    replicas,
    statuses,
    stores,
    weights,
)
from pierhead.core.diagnosis.wording import Entry

#: Title of a section in the reference, and its entries.
SECTIONS: tuple[tuple[str, Mapping[str, Entry]], ...] = (
    ("How a process ended", ends.ENTRIES),
    ("Commands", commands.ENTRIES),
    ("Files and rights", files.ENTRIES),
    ("Limits", limits.ENTRIES),
    ("What a program needs", needs.ENTRIES),
    ("Programs that are not ready", probes.ENTRIES),
    ("Answers and interpreters that are wrong", answers.ENTRIES),
    ("Errors of a program's own", programs.ENTRIES),
    ("Models that an engine does not load", models.ENTRIES),
    ("Things that are not what they should be", misfits.ENTRIES),
    ("Accelerators", gpus.ENTRIES),
    ("Engines for weights", engines.ENTRIES),
    ("Weights", weights.ENTRIES),
    ("Stores and file systems", stores.ENTRIES),
    ("Connections and keys", keys.ENTRIES),
    ("Machines", machines.ENTRIES),
    ("Clusters", clusters.ENTRIES),
    ("Quotas", quotas.ENTRIES),
    ("What has to be there before a start", environments.ENTRIES),
    ("Statuses", statuses.ENTRIES),
    ("Statuses of a service that ends", endings.ENTRIES),
    ("States of a replica", replicas.ENTRIES),
    ("What lasts too long", overruns.ENTRIES),
)
#: Reason -> what is said of it.
ENTRIES: Mapping[str, Entry] = {
    reason: entry for _, entries in SECTIONS for reason, entry in entries.items()
}
