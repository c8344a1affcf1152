"""What one run of a replica is started with: its place, its facts, and what its keeper is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pierhead.core.launch import Launch, Placement
from pierhead.core.secrecy import masked_command
from pierhead.core.workloads import Workload
from pierhead.failpoint import failpoint
from pierhead.runtimes.process.ground import Grant, Ground
from pierhead.runtimes.process.mounting import on_host
from pierhead.runtimes.process.records import ReplicaFolder, RunFacts, RunFolder
from pierhead.runtimes.process.spawn import engine_environment


@dataclass(frozen=True, slots=True)
class Start:
    """How a replica's runs begin; what one run is granted comes in."""

    ground: Ground
    folder: ReplicaFolder
    id: str  #: of the replica
    hidden: tuple[str, ...]  #: secrets of its environment

    def placement(self, workload: Workload, grant: Grant, port: int) -> Placement:
        """Where it runs, and with how much of the machine."""
        return Placement(
            service=workload.name,
            replica=self.id,
            host=self.ground.settings.host,
            port=port,
            key=self.ground.engine_key(self.id),
            threads=grant.threads,
            folder=str(self.folder.path),
            devices=grant.names,
            device_share=grant.share,
        )

    def facts(
        self, workload: Workload, placement: Placement, launch: Launch, failures: int
    ) -> RunFacts:
        """What is written down of a run before it begins; `failures` were before it, in a row."""
        bounds = self.ground.limits.bounds(self.id, workload.template.resources)
        last = self.folder.last_run()
        return RunFacts(
            number=last.number + 1 if last else 1,
            started=self.ground.clock(),
            host=placement.host,
            port=placement.port,
            readiness=launch.readiness,
            liveness=launch.liveness,
            api=launch.api,
            keyed=launch.keyed,
            cwd=self._cwd(workload, launch),
            grace=workload.template.stop_grace,
            limits=bounds.text,
            cgroups=bounds.cgroups,
            failures=failures,
            ports=workload.template.ports,
            deadline=launch.deadline,
            watched=bounds.data_bytes,
            command=masked_command(launch.argv, self.hidden),
            engine=workload.template.engine,
            model=launch.model,
            shown=bool(launch.binds),
        )

    def _cwd(self, workload: Workload, launch: Launch) -> str:
        """Where it runs; a template's folder that is not there is made up for by an empty one."""
        optional = launch.cwd == workload.template.workdir
        there = Path(on_host(launch.cwd, launch.binds))
        own = not launch.cwd or (optional and not there.is_dir())
        return str(self.folder.path / "work") if own else launch.cwd

    def spec(self, workload: Workload, launch: Launch, facts: RunFacts) -> dict[str, Any]:
        """What its keeper is told."""
        bounds = self.ground.limits.bounds(self.id, workload.template.resources)
        return {
            "argv": launch.argv,
            "env": engine_environment(launch.env, launch.path_first),
            "cwd": facts.cwd,
            "grace": facts.grace,
            "log_bytes": self.ground.settings.log_bytes,
            "cgroups": bounds.cgroups,
            "oom_file": bounds.oom_file,
            "data_bytes": bounds.data_bytes,
            "nice": bounds.nice,
            "open_files": self.ground.settings.open_files,
            "binds": [(bind.source, bind.target) for bind in launch.binds],
            "own_users": self.ground.mounts.means == "user",
            "closed": self.ground.mounts.closed,
        }

    def record(self, workload: Workload, facts: RunFacts) -> RunFolder:
        """Write it down; blocks.

        Raises:
            OSError: the disk refuses.
        """
        failpoint("process.start.after_intent")
        self.folder.show(workload.template.links)
        self.ground.limits.prepare(self.id, workload.template.resources)
        folder = self.folder.new_run(facts)
        failpoint("process.run.after_record")
        return folder
