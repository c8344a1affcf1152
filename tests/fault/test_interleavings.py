"""Operations and faults in any order, none waited for: in the end there is what was asked for last.

They come by both doors, on the same services: a service that was made by the one is a group to the other.
`PIERHEAD_INTERLEAVINGS` says how many are played; each ten have a seed, which a failure names.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from lone_hub import Hub, exactly
from observer import watching
from stage import Count, Stage, document, healthy, until

from pierhead.cli.client import HubRefused, NoAnswer
from pierhead.cli.zstack_client import Json
from pierhead.failpoint import POINTS

PLAYED = int(os.environ.get("PIERHEAD_INTERLEAVINGS", "10"))
FIRST = int(os.environ.get("PIERHEAD_INTERLEAVINGS_FIRST", "0"))
EACH = 10  #: of one seed
#: Seeds that found something once.
KEPT: tuple[int, ...] = ()
DEEDS = sorted(p for p in POINTS if p.startswith(("database.", "service.", "routes.", "process.")))
GROUPS = "ai/model-services/instances/groups"
KIND = "ModelServiceInstanceGroupVO"
SERVICES = 2  #: at one time
DEATHS = 2  #: of the hub in one interleaving
KILLS = 3  #: of replicas in one interleaving: each makes the pause before the next run longer
PATIENCE = 60.0
#: What was done by this process.
TALLY = {"played": 0, "operations": 0, "by ZStack": 0, "hub killed": 0, "replica killed": 0}


@dataclass
class Asked:
    """What was asked for last."""

    replicas: int = 1
    version: int = 0
    runs: bool = True


class Interleaving(RuleBasedStateMachine):
    """One platform for all; services of its own for each interleaving."""

    hub: Hub  #: of the stage, for all that a seed plays

    def __init__(self) -> None:
        super().__init__()
        self.stage = self.hub.stage
        self.asked: dict[str, Asked] = {}
        self.gone: list[str] = []
        self.kills = self.deaths = 0

    # ---- operations -----------------------------------------------------------------------

    @precondition(lambda self: len(self.asked) < SERVICES)
    @rule(replicas=st.integers(1, 2))
    def create(self, replicas: int) -> None:
        TALLY["played"] += not self.asked and not self.gone
        name = f"s{TALLY['played']}x{len(self.asked) + len(self.gone)}"
        self.ask(lambda: self.stage.create(name, replicas, env={"VERSION": "0"}, grace=3.0))
        self.asked[name] = Asked(replicas)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 7), replicas=st.integers(1, 3))
    def scale(self, which: int, replicas: int) -> None:
        name = self.one(which)
        self.ask(lambda: self.stage.scale(name, replicas))
        self.asked[name].replicas = replicas

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 7))
    def update(self, which: int) -> None:
        name = self.one(which)
        wanted = self.asked[name]
        body = document(
            name,
            wanted.replicas,
            mark=self.stage.folder,
            env={"VERSION": str(wanted.version + 1)},
            grace=3.0,
        )
        self.ask(lambda: self.stage.update(name, body))
        wanted.version += 1

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 7))
    def restart(self, which: int) -> None:
        name = self.one(which)
        self.ask(lambda: self.stage.client.change("RestartService", name, "/restart"))

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 7))
    def stop(self, which: int) -> None:
        name = self.one(which)
        self.ask(lambda: self.stage.stop(name))
        self.asked[name].runs = False

    @precondition(lambda self: self.asked)
    @rule(which=st.integers(0, 7))
    def start(self, which: int) -> None:
        name = sorted(self.asked)[which % len(self.asked)]
        self.ask(lambda: self.stage.start_service(name))
        self.asked[name].runs = True

    @precondition(lambda self: self.asked)
    @rule(which=st.integers(0, 7))
    def delete(self, which: int) -> None:
        name = sorted(self.asked)[which % len(self.asked)]
        self.ask(lambda: self.stage.delete(name))
        del self.asked[name]
        self.gone.append(name)

    # ---- the same by the other door -------------------------------------------------------

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 7), replicas=st.integers(0, 3))
    def scale_by_tag(self, which: int, replicas: int) -> None:
        name = self.one(which)
        self.ask(lambda: self.tag(name, replicas), by_zstack=True)
        self.asked[name].runs = replicas > 0
        self.asked[name].replicas = replicas or self.asked[name].replicas

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 7))
    def update_by_zstack(self, which: int) -> None:
        name = self.one(which)
        wanted = self.asked[name]
        change = {"environmentVariables": {"VERSION": str(wanted.version + 1)}}

        def put() -> None:
            path = f"model-service-instance-groups/{self.group(name)}"
            self.hub.zstack.put(path, "updateModelServiceInstanceGroup", change)

        self.ask(put, by_zstack=True)
        wanted.version += 1

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 7))
    def restart_by_zstack(self, which: int) -> None:
        name = self.one(which)
        path = "model-service-instance-groups"

        def put() -> None:
            self.hub.zstack.put(path, "restartModelServiceGroups", {"uuids": [self.group(name)]})

        self.ask(put, by_zstack=True)

    @precondition(lambda self: self.asked)
    @rule(which=st.integers(0, 7), mode=st.sampled_from(("Permissive", "Enforcing")))
    def delete_by_zstack(self, which: int, mode: str) -> None:
        name = sorted(self.asked)[which % len(self.asked)]

        def delete() -> None:
            for group in self.groups(name):
                self.hub.zstack.delete(f"{GROUPS}/{group['uuid']}", {"deleteMode": mode})

        self.ask(delete, by_zstack=True)
        del self.asked[name]
        self.gone.append(name)

    def tag(self, name: str, replicas: int) -> None:
        """Say by a group's tag how many replicas it has; the first time the tag is made."""
        uuid, tag = self.group(name), f"ai::replicas::{replicas}"
        tags = self.hub.zstack.page("system-tags", [f"resourceUuid={uuid}"])
        found = [each for each in tags if str(each["tag"]).startswith("ai::replicas::")]
        if found:
            path = f"system-tags/{found[0]['uuid']}/actions"
            self.hub.zstack.put(path, "updateSystemTag", {"tag": tag})
        else:
            body = {"resourceType": KIND, "resourceUuid": uuid, "tag": tag}
            self.hub.zstack.post("system-tags", "params", body)

    def group(self, name: str) -> str:
        """What the other door calls a service."""
        return str(self.groups(name)[0]["uuid"])

    def groups(self, name: str) -> list[Json]:
        return self.hub.zstack.page(GROUPS, [f"name={name}"])

    # ---- neither --------------------------------------------------------------------------

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 7))
    def wait(self, which: int) -> None:
        """Not everything happens at once: one of them comes to its end first."""
        self.settled(self.one(which))

    # ---- faults ---------------------------------------------------------------------------

    @precondition(lambda self: self.asked and self.deaths < DEATHS)
    @rule()
    def kill_hub(self) -> None:
        self.deaths += 1
        self.hub.process.kill()
        self.hub.process.wait()
        self.revive()

    @precondition(lambda self: self.asked and self.deaths < DEATHS)
    @rule(point=st.sampled_from(DEEDS), nth=st.integers(1, 3))
    def cut_off(self, point: str, nth: int) -> None:
        """The hub dies there if it comes by; the next call, or the end, starts another one."""
        self.deaths += 1
        self.hub.arm(f"{point}:kill:nth={nth}")

    @precondition(lambda self: self.running and self.kills < KILLS)
    @rule(which=st.integers(0, 7), keeper=st.booleans())
    def kill_replica(self, which: int, keeper: bool) -> None:
        name = self.one(which)
        role = "keeper" if keeper else "engine"
        found = [p for p in self.stage.processes(role) if p.replica.startswith(f"{name}-")]
        self.kills += 1
        if found:
            found[which % len(found)].kill()
            TALLY["replica killed"] += 1

    # ---- the end --------------------------------------------------------------------------

    def teardown(self) -> None:
        """What was asked for last is there, and nothing else; then all of it goes."""
        self.hub.arm("")
        for name in self.asked:
            self.settled(name)
        for name in self.gone:
            self.until(lambda name=name: self.absent(name), f"{name} is not gone")
        for name in self.asked:
            self.ask(lambda name=name: self.stage.delete(name))
        for name in self.asked:
            self.until(lambda name=name: self.absent(name), f"{name} is not gone at the end")
        self.asked.clear()

    def absent(self, name: str) -> bool:
        return self.stage.is_gone(name) and exactly(self.stage, f"{name}-", 0)

    def settled(self, name: str) -> None:
        wanted = self.asked[name]

        def there() -> bool:
            if not wanted.runs:
                return bool(self.stage.is_stopped(name)) and exactly(self.stage, f"{name}-", 0)
            if not self.stage.is_running(name, wanted.replicas):
                return False
            told = self.stage.call(name, self.stage.token(name))[1]
            whole = exactly(self.stage, f"{name}-", wanted.replicas)
            return whole and f'"version": "{wanted.version}"' in told

        self.until(there, f"{name} is not as was asked for: {wanted}")

    # ---- small parts ----------------------------------------------------------------------

    @property
    def running(self) -> list[str]:
        return sorted(name for name, asked in self.asked.items() if asked.runs)

    def one(self, which: int) -> str:
        return self.running[which % len(self.running)]

    def ask(self, act: Callable[[], object], *, by_zstack: bool = False) -> None:
        """As a client that asks again until it has an answer."""
        TALLY["operations"] += 1
        TALLY["by ZStack"] += by_zstack
        for attempt in range(10):
            self.revive()
            try:
                act()
            except NoAnswer:
                # One that was killed takes a moment to be seen as dead.
                until(lambda: self.hub.ended or healthy(self.stage.listen))
                continue
            except HubRefused:
                if not attempt:
                    raise
                return  # it was done, and only the answer was lost
            return
        pytest.fail("the hub gives no answer")

    def until(self, done: Callable[[], bool], why: str) -> None:
        def look() -> bool:
            self.revive()
            try:
                return done()
            except NoAnswer:
                return False

        try:
            until(look, why, PATIENCE)
        except AssertionError:
            names = [*self.asked, *self.gone]
            seen = {name: self.stage.describe(name) for name in names}
            shown = {
                name: {key: each[key] for key in ("Status", "Reason", "Message")} if each else None
                for name, each in seen.items()
            }
            print(shown, self.stage.processes(), self.stage.folders(), sep="\n")
            raise

    def revive(self) -> None:
        if self.hub.ended:
            TALLY["hub killed"] += 1
            self.hub.start()


@pytest.mark.parametrize("number", [*KEPT, *range(FIRST, FIRST + PLAYED // EACH)])
def test_whatever_is_done_in_whatever_order_the_end_is_what_was_asked_for(
    stage: Stage, number: int, record_property: Count
) -> None:
    """Law: wanted state converges; no replica is lost, doubled or left; a bystander notices nothing (F05, F09)."""
    hub = Hub(stage)
    stage.start("gateway")
    stage.ready()
    stage.create("steady")
    stage.running("steady")
    before = stage.replicas("steady")
    before_this = dict(TALLY)
    chosen = settings(
        max_examples=EACH,
        stateful_step_count=10,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        print_blob=True,
    )
    machine = seed(number)(type("Interleaving", (Interleaving,), {"hub": hub}))
    with watching(stage.folder, "steady") as finish:
        run_state_machine_as_test(machine, settings=chosen)
        record = finish()
    print(TALLY)
    for what in TALLY:
        record_property(what, TALLY[what] - before_this[what])
    assert record.failed("steady") == []
    assert stage.replicas("steady") == before
    assert record.most("steady-") == 1
