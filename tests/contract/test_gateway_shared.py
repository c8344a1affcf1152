"""Limits of tokens hold across the workers of one gateway, whoever of them lives, dies or comes again."""

import os
import stat
import subprocess
import sys
from collections import deque
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pierhead.core.endpoint_tokens import Limits
from pierhead.gateway import shared
from pierhead.gateway.allowance import Denied, Stay
from pierhead.gateway.shared import SharedUse

PROGRAM = Path(__file__).parent / "shared_worker.py"
WORKERS = 4
HALF = 0.5  #: seconds: what is told is too much for so long at most
BEGIN = 1000.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "limits"
    SharedUse.make(made, WORKERS)
    return made


@contextmanager
def uses(file: Path, workers: int = WORKERS) -> Generator[list[SharedUse]]:
    """Of each worker, in one process."""
    made = [SharedUse(file, workers, worker) for worker in range(workers)]
    yield made
    for use in made:
        use.close()


Worker = subprocess.Popen[str]


@contextmanager
def processes(file: Path, rpm: int = 0, concurrency: int = 0) -> Generator[list[Worker]]:
    """Workers of a gateway that do nothing but let requests in."""
    source = os.pathsep.join(path for path in sys.path if path)
    with ExitStack() as stack:
        started: list[Worker] = []
        for worker in range(WORKERS):
            numbers = map(str, (WORKERS, worker, rpm, concurrency))
            process = subprocess.Popen(
                [sys.executable, str(PROGRAM), str(file), *numbers],
                env={**os.environ, "PYTHONPATH": source},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            started.append(process)
        for process in started:
            assert told(process) == "ready"
        yield started


def told(process: Worker) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def ask(process: Worker, requests: int) -> None:
    assert process.stdin
    process.stdin.write(f"{requests}\n")
    process.stdin.flush()


def let_in(all_: list[Worker], requests: int) -> int:
    """How many of so many requests to each of them, all at once."""
    for process in all_:
        ask(process, requests)
    return sum(int(told(process)) for process in all_)


def test_a_limit_by_the_minute_holds_across_processes(file: Path) -> None:
    """Law: a limit is exceeded by one request per worker at most."""
    with processes(file, rpm=100) as started:
        assert 100 <= let_in(started, 100) <= 100 + WORKERS
        assert let_in(started, 100) == 0


def test_requests_at_the_same_time_are_bounded_across_processes(file: Path) -> None:
    with processes(file, concurrency=10) as started:
        assert 10 <= let_in(started, 50) <= 10 + WORKERS
        assert let_in(started, 50) == 0


def test_tokens_of_all_workers_count(file: Path) -> None:
    limits = Limits(tpm=100)
    with uses(file) as (first, second, *_):
        one, other = first.allowance("s", "t"), second.allowance("s", "t")
        stay = one.enter(limits, 60, 0, BEGIN)
        assert isinstance(stay, Stay)
        assert isinstance(other.enter(limits, 60, 0, BEGIN), Denied), "so much is reserved"
        assert isinstance(other.enter(limits, None, 0, BEGIN), Denied), "it is not alone"
        one.leave(stay, 90, BEGIN + 1)
        assert isinstance(other.enter(limits, 60, 0, BEGIN + 1), Stay), "alone it is let in"
        assert isinstance(one.enter(limits, 5, 0, BEGIN + 2), Denied)


def test_what_a_killed_worker_had_in_flight_is_given_back_and_what_it_used_is_not(
    file: Path,
) -> None:
    parent = SharedUse(file, WORKERS)
    with processes(file, rpm=15, concurrency=10) as started:
        assert let_in(started[:1], 10) == 10
        assert let_in(started[1:], 1) == 0
        started[0].kill()
        started[0].wait()
        assert let_in(started[1:], 1) == 0, "nobody knows yet"
        parent.reset(0)
        assert let_in(started[1:2], 10) == 5
    parent.close()


def test_one_that_dies_while_it_writes_stops_nobody(file: Path) -> None:
    with uses(file) as (first, second, *_):
        one, other = first.allowance("s", "t"), second.allowance("s", "t")
        limits = Limits(rpm=2, concurrency=2)
        assert isinstance(one.enter(limits, 0, 0, BEGIN), Stay)
        place = first.find(0, shared.key_of("s", "t"))
        first.cells[place + shared.VERSION] |= 1
        assert isinstance(other.enter(limits, 0, 0, BEGIN), Stay)
        assert isinstance(other.enter(limits, 0, 0, BEGIN), Denied)
        second.reset(0)
        assert first.cells[place + shared.VERSION] % 2 == 0


def test_the_file_is_for_its_owner_and_takes_no_room_until_it_is_used(file: Path) -> None:
    found = file.stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_blocks * 512 < found.st_size / 100


def test_what_was_used_long_ago_counts_neither_for_nor_against(file: Path) -> None:
    with uses(file) as (first, second, *_):
        here, there = first.allowance("s", "t"), second.allowance("s", "t")
        assert isinstance(here.enter(Limits(rpm=9), 0, 0, BEGIN), Stay)
        for after in (70.0, 119.0, 200.0):
            came = [there.enter(Limits(rpm=2), 0, 0, BEGIN + after) for _ in range(4)]
            if after != 119.0:  # what came at 70 counts there
                assert [isinstance(one, Stay) for one in came] == [True, True, False, False]
            else:
                assert not any(isinstance(one, Stay) for one in came)


def test_tokens_are_apart(file: Path) -> None:
    with uses(file) as (first, second, *_):
        limits = Limits(rpm=1)
        for number in range(100):
            here, there = (use.allowance("s", f"t{number}") for use in (first, second))
            assert isinstance(here.enter(limits, 0, 0, BEGIN), Stay)
            assert isinstance(there.enter(limits, 0, 0, BEGIN), Denied)


def test_without_room_a_worker_keeps_to_its_share(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "_PROBES", 0)
    with uses(file) as all_:
        limits = Limits(rpm=9)
        allowances = [use.allowance("s", "t") for use in all_]
        came = [one.enter(limits, 0, 0, BEGIN) for one in allowances for _ in range(9)]
        assert sum(isinstance(one, Stay) for one in came) == 4 * 2


def test_a_token_that_is_gone_makes_room(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "_PROBES", 1)

    def key(_service: str, token: str) -> int:
        return int(token)

    monkeypatch.setattr(shared, "key_of", key)
    limits = Limits(rpm=1, concurrency=1)
    with uses(file) as (first, second, *_):
        stay = first.allowance("s", "7").enter(limits, 0, 0, BEGIN)
        assert isinstance(stay, Stay)
        first.forget("s", "7")
        assert isinstance(second.allowance("s", "7").enter(limits, 0, 0, BEGIN), Denied)
        first.allowance("s", "7").leave(stay, 0, BEGIN)
        first.forget("s", "7")
        other = str(7 + shared.RECORDS)  # at the same place
        assert isinstance(first.allowance("s", other).enter(limits, 0, 0, BEGIN), Stay)
        assert isinstance(second.allowance("s", "7").enter(limits, 0, 0, BEGIN), Stay)


steps = st.tuples(
    st.integers(0, WORKERS - 1),
    st.sampled_from([0.0, 0.1, 0.4, 1.0, 20.0, 70.0]) | st.floats(0, 5),
    st.sampled_from([0.0, 1.0, 30.0]),
)


@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(steps, max_size=60), st.integers(1, 5), st.integers(1, 4))
def test_all_workers_together_are_as_one(
    tmp_path: Path, story: list[tuple[int, float, float]], rpm: int, concurrency: int
) -> None:
    """Law: in any 60 seconds no more begin than the limit says, and nobody is refused without a reason."""
    file = tmp_path / "limits"
    SharedUse.make(file, WORKERS)
    limits = Limits(rpm=rpm, concurrency=concurrency)
    now, begun, flying = BEGIN, deque[float](), list[tuple[float, int, Stay]]()
    with uses(file) as all_:
        allowances = [use.allowance("s", "t") for use in all_]
        for worker, after, lasts in story:
            now += after
            for ended in [one for one in flying if one[0] <= now]:
                flying.remove(ended)
                allowances[ended[1]].leave(ended[2], 0, now)
            answer = allowances[worker].enter(limits, 0, 0, now)
            if isinstance(answer, Stay):
                begun.append(now)
                flying.append((now + lasts, worker, answer))
                assert sum(one > now - 60 for one in begun) <= rpm
                assert len(flying) <= concurrency
            elif answer.limit == "rpm":
                assert sum(one > now - 60 - HALF - 1e-6 for one in begun) >= rpm
                assert answer.wait is not None
                check = allowances[(worker + 1) % WORKERS].requests.until(now, rpm - 1)
                assert check == answer.wait
                assert 0 < answer.wait <= 60 + HALF
            else:
                assert len(flying) >= concurrency


def test_a_number_beyond_all_measure_breaks_no_record(file: Path) -> None:
    """JSON has numbers of any size: who asks for 1e300 tokens is let in alone, as who tells none."""
    huge, limits = int(1e300), Limits(tpm=1000)
    with uses(file, 2) as (one, other):
        first, second = (use.allowance("s", "t") for use in (one, other))
        stay = first.enter(limits, huge, 0, BEGIN)
        assert isinstance(stay, Stay)
        assert isinstance(second.enter(limits, huge, 0, BEGIN), Denied)
        first.leave(stay, 5, BEGIN + 1)
        assert isinstance(second.enter(limits, 990, 0, BEGIN + 1), Stay), "nothing stays reserved"
        first.leave(Stay(BEGIN, 0), huge, BEGIN + 2)
        assert isinstance(second.enter(limits, 1, 0, BEGIN + 3), Denied)
