"""A token's concurrency among several workers: whoever is beyond it waits for its turn, wherever it came."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from pierhead.gateway.bounds import Bounds, Rejection
from pierhead.gateway.fair_queue import LOOK, FairQueue, Place
from pierhead.gateway.shared import RECORDS, SharedUse

WORKERS, LIMIT = 2, 3
BOUNDS = Bounds(queue=50, seconds=60.0, concurrency=LIMIT)


class Queues:
    """The queue of each worker, and who is at work there."""

    def __init__(self, file: Path, workers: int = WORKERS) -> None:
        SharedUse.make(file, workers)
        self.uses = [SharedUse(file, workers, worker) for worker in range(workers)]
        self.now = 0.0
        self.queues = [
            FairQueue(lambda: self.now, partial(use.at_work, "echo")) for use in self.uses
        ]
        self.working: list[list[Place]] = [[] for _ in range(workers)]
        self.refused: list[Rejection] = []

    def enter(self, worker: int, token: str = "t", bounds: Bounds = BOUNDS) -> None:
        places: list[Place] = []
        go: Callable[[], None] = lambda: self.working[worker].append(places[0])  # noqa: E731
        place = self.queues[worker].enter(token, bounds, go, self.refused.append)
        assert isinstance(place, Place)
        places.append(place)
        if not place.waits:
            go()

    def leave(self, worker: int) -> None:
        if self.working[worker]:
            self.working[worker].pop(0).leave()

    def look(self, worker: int) -> None:
        self.queues[worker].look()

    @property
    def counts(self) -> list[tuple[int, int]]:
        """Of each worker: at work, and waiting."""
        pairs = zip(self.working, self.queues, strict=True)
        return [(len(working), queue.waiting) for working, queue in pairs]

    @property
    def at_work(self) -> int:
        return sum(map(len, self.working))

    def look_around(self) -> None:
        for queue in [*self.queues, *self.queues]:
            queue.look()

    def close(self) -> None:
        for use in self.uses:
            use.close()


def test_it_waits_for_what_is_at_work_elsewhere(tmp_path: Path) -> None:
    one = Queues(tmp_path / "limits")
    for _ in range(4):
        one.enter(0)
    assert one.counts == [(3, 1), (0, 0)], "nobody else wants any: all of them are its"
    one.enter(1)
    assert one.counts == [(3, 1), (0, 1)]
    assert one.queues[1].due == LOOK, "nobody tells it when one ends elsewhere"
    one.leave(0)
    assert one.counts == [(2, 1), (0, 1)], "the other one has fewer, and waits"
    one.queues[1].look()
    assert one.counts == [(2, 1), (1, 0)]
    one.leave(1)
    one.queues[0].look()
    assert one.counts == [(3, 0), (0, 0)]
    # The other worker dies with what it had: nothing of it is in the way of the next one.
    one.uses[1].reset(0)
    one.enter(1)
    assert one.counts[1] == (1, 0)
    assert one.refused == []
    one.close()


def test_what_is_gone_takes_no_room(tmp_path: Path) -> None:
    one = Queues(tmp_path / "limits")
    one.enter(0)
    one.enter(0, "other")
    queue = one.queues[0]
    before = sum(1 for place in range(RECORDS) if one.uses[0].cells[place * _size(one)] > 0)
    assert before == 2
    one.leave(0)
    queue.retain(frozenset({"other"}), frozenset())
    queue.release()
    one.leave(0)
    assert not any(one.uses[0].cells[place * _size(one)] > 0 for place in range(RECORDS))
    one.close()


def _size(queues: Queues) -> int:
    return len(queues.uses[0].cells) // RECORDS // WORKERS


def test_without_room_each_has_its_part(tmp_path: Path) -> None:
    one = Queues(tmp_path / "limits")
    for place in range(RECORDS):
        one.uses[0].cells[place * _size(one)] = 7  # another's
    for _ in range(3):
        one.enter(0)
    assert one.counts[0] == (1, 2)
    one.leave(0)
    assert one.counts[0] == (1, 1)
    one.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(("enter", "leave", "look")), st.integers(0, 1))))
def test_never_more_than_the_limit_and_none_is_forgotten(story: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as folder:
        one = Queues(Path(folder, "limits"))
        for what, worker in story:
            getattr(one, what)(worker)
            assert one.at_work <= LIMIT
        one.look_around()
        assert one.at_work == LIMIT or not any(waiting for _, waiting in one.counts)
        for turn in range(2 * len(story)):
            one.leave(turn % WORKERS)
            one.look_around()
        assert one.counts == [(0, 0), (0, 0)]
        assert one.refused == []
        one.close()
