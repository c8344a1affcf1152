"""What the workers of one gateway used of each token, in memory that all of them read.

Each worker writes its own area alone, so no lock is needed; what stands against a request is judged by the
sum of all areas. Two workers that look in the same moment let in one request each: a limit is exceeded
by one request per worker at most. A worker's areas outlast it: what it used in the last minute counts.
"""

import mmap
import os
from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b
from math import floor
from pathlib import Path

from pierhead.core.endpoint_tokens import Limits
from pierhead.gateway.allowance import Allowance, Denied, InFlight, Stay
from pierhead.gateway.windows import SPAN

_PER_SECOND = 2
_RING = int(SPAN) * _PER_SECOND + 1  #: half seconds, with the one that has only begun
_WINDOW = 2 + _RING  #: newest, used, ring
#: Of a token, in numbers of 8 bytes: its key, a version that is odd while it is written, four counts.
_KEY, VERSION, _FLYING, _WEIGHING, _BOUNDLESS, _RESERVED, _REQUESTS = range(7)
_TOKENS = _REQUESTS + _WINDOW
_RECORD = _TOKENS + _WINDOW
RECORDS = 4096  #: tokens with limits that a worker knows at once, some 2 kB each once they are used
_NONE, _GONE = 0, -1  #: keys of a record that was never used, and of one that is used no more
_PROBES = 64  #: places that are looked at for one token
_AT_WORK = "\n"  #: after a token's name, which has none of it, names those that are at work
_TRIES = 200  #: readings of what is just written; who died over it is read as it is


class SharedUse:
    """The areas of all workers, as one of them has them, or their parent."""

    def __init__(self, path: Path, workers: int, worker: int = -1) -> None:
        """`worker`: whose area may be written, from 0; -1 = nobody's. The file must be there: `make`.

        Raises:
            OSError: it is not there, or cannot be read and written.
        """
        self.workers, self.worker = workers, worker
        size = 8 * _RECORD * RECORDS * workers
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            self._map = mmap.mmap(handle, size)
        finally:
            os.close(handle)
        self.cells = memoryview(self._map).cast("q")
        if worker >= 0:
            self.reset(worker)

    @staticmethod
    def make(path: Path, workers: int) -> None:
        """A file of areas in which nothing was used. Untouched parts of it take no room.

        Raises:
            OSError: it cannot be written.
        """
        path.unlink(missing_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        handle = os.open(path, flags, 0o600)
        try:
            os.ftruncate(handle, 8 * _RECORD * RECORDS * workers)
        finally:
            os.close(handle)

    def close(self) -> None:
        """No allowance of it may be used any more."""
        self.cells.release()
        self._map.close()

    def reset(self, worker: int) -> None:
        """Of a worker that died nothing is in flight; what it used in the last minute stays."""
        for place in self._places(worker, range(RECORDS)):
            if self.cells[place]:
                for field in (_FLYING, _WEIGHING, _BOUNDLESS, _RESERVED):
                    self.cells[place + field] = 0
                self.cells[place + VERSION] += self.cells[place + VERSION] % 2

    def allowance(self, service: str, token: str, *, queued: bool = False) -> Allowance:
        """The use of one token by all workers; should there be no room, a fair share of it by this one.

        `queued`: see `Allowance`.
        """
        key = key_of(service, token)
        place = self._own(key)
        if place is None:
            return _Share(self.workers, queued=queued)
        record = _Record(self, key, place)
        requests, tokens = _SharedWindow(record, _REQUESTS), _SharedWindow(record, _TOKENS)
        return Allowance(requests, tokens, _SharedFlight(record), queued=queued)

    def at_work(self, service: str, token: str) -> "AtWork":
        """Those of one token that are at work at a service, and those that wait for it."""
        name = f"{token}{_AT_WORK}"
        place = self._own(key_of(service, name))
        record = None if place is None else _Record(self, key_of(service, name), place)
        return AtWork(self, (service, name), record)

    def burst(self, service: str, name: str) -> "Burst | None":
        """What all workers began in the last second, under a name that no token has; None = no room."""
        key = key_of(service, name)
        place = self._own(key)
        return None if place is None else Burst(_Record(self, key, place))

    def forget(self, service: str, token: str) -> None:
        """Makes room: an idle allowance is used no more."""
        place = self.find(self.worker, key_of(service, token))
        if place >= 0 and not self.cells[place + _FLYING]:
            self.cells[place] = _GONE

    def find(self, worker: int, key: int) -> int:
        """Where a worker's record of a token is; -1 if it has none."""
        for place in self._places(worker, self._probed(key)):
            there = self.cells[place]
            if there == key:
                return place
            if there == _NONE:
                break
        return -1

    def _own(self, key: int) -> int | None:
        found = self.find(self.worker, key)
        if found >= 0:
            return found
        for place in self._places(self.worker, self._probed(key)):
            if self.cells[place] in {_NONE, _GONE}:
                self.cells[place : place + _RECORD] = memoryview(bytes(8 * _RECORD)).cast("q")
                self.cells[place] = key
                return place
        return None

    def _probed(self, key: int) -> Iterator[int]:
        return ((key + step) % RECORDS for step in range(_PROBES))

    def _places(self, worker: int, numbers: Iterator[int] | range) -> Iterator[int]:
        return ((worker * RECORDS + number) * _RECORD for number in numbers)


def key_of(service: str, token: str) -> int:
    """What a record of a token is found by."""
    digest = blake2b(f"{service}/{token}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 1) | 1  # positive, and never 0


class _Record:
    """One token in all areas: where this worker writes, and where the others' are read."""

    def __init__(self, use: SharedUse, key: int, own: int) -> None:
        self.cells, self.own = use.cells, own
        self._use, self._key = use, key
        self._others = {worker: -1 for worker in range(use.workers) if worker != use.worker}

    def places(self) -> list[int]:
        """Of all workers that know the token; its own first. Others may come to know it, or forget it."""
        cells, key, found = self.cells, self._key, [self.own]
        for worker, place in self._others.items():
            known = place
            if known < 0 or cells[known] != key:
                known = self._others[worker] = self._use.find(worker, key)
            if known >= 0:
                found.append(known)
        return found

    def begin(self) -> None:
        """What follows is not to be read before `end`."""
        self.cells[self.own + VERSION] |= 1

    def end(self) -> None:
        """It may be read."""
        self.cells[self.own + VERSION] += 1


class _SharedFlight:
    """What is in flight, here and elsewhere."""

    def __init__(self, record: _Record) -> None:
        self._record = record

    def change(self, by: int, most: int | None) -> None:
        """One more (1) or one less (-1), which may take `most` tokens."""
        cells, own = self._record.cells, self._record.own
        self._record.begin()
        cells[own + _FLYING] += by
        if most != 0:
            cells[own + _WEIGHING] += by
        if most is None:
            cells[own + _BOUNDLESS] += by
        else:
            cells[own + _RESERVED] += by * most
        self._record.end()

    def total(self) -> InFlight:
        """Of all workers."""
        cells, sums = self._record.cells, [0, 0, 0, 0]
        for place in self._record.places():
            read = [0, 0, 0, 0]
            for _ in range(_TRIES):
                version = cells[place + VERSION]
                read = cells[place + _FLYING : place + _REQUESTS].tolist()
                if version == cells[place + VERSION] and not version % 2:
                    break
            sums = [one + other for one, other in zip(sums, read, strict=True)]
        return InFlight(*sums)


class _SharedWindow:
    """How much came in any 60 seconds, here and elsewhere; too much for 0.5 s at most."""

    def __init__(self, record: _Record, field: int) -> None:
        self._record, self._field = record, field
        self.used = 0  #: as of the last `turn`

    def turn(self, now: float) -> None:
        """Sums what is left of the last 60 seconds."""
        slot = floor(now * _PER_SECOND)
        self.used = sum(self._left(place, slot) for place in self._record.places())

    def add(self, now: float, amount: int) -> None:
        """So much came now, and here."""
        cells, at = self._record.cells, self._record.own + self._field
        slot = max(floor(now * _PER_SECOND), cells[at])
        ring = at + 2
        self._record.begin()
        if slot - cells[at] >= _RING:
            cells[ring : ring + _RING] = memoryview(bytes(8 * _RING)).cast("q")
            cells[at + 1] = 0
        else:
            for old in range(cells[at] + 1, slot + 1):
                cells[at + 1] -= cells[ring + old % _RING]
                cells[ring + old % _RING] = 0
        cells[at] = slot
        cells[ring + slot % _RING] += amount
        cells[at + 1] += amount
        self._record.end()
        self.used += amount

    def until(self, now: float, most: int) -> float:
        """Seconds until no more than `most` are left, should nothing come meanwhile."""
        slot = floor(now * _PER_SECOND)
        rings = [self._ring(place) for place in self._record.places()]
        left = sum(amount for ring in rings for at, amount in ring if at > slot - _RING)
        if left <= most:
            return 0.0
        for old in range(slot - _RING + 1, slot + 1):
            left -= sum(amount for ring in rings for at, amount in ring if at == old)
            if left <= most:
                return max(0.0, (old + _RING) / _PER_SECOND - now)
        return SPAN  # nothing would do: the limit is nothing

    def _left(self, place: int, slot: int) -> int:
        """What counts of one worker's; read again as long as it is being written."""
        cells, at = self._record.cells, place + self._field
        left = 0
        for _ in range(_TRIES):
            version, newest, left = cells[place + VERSION], cells[at], cells[at + 1]
            if slot - newest >= _RING:
                left = 0
            for old in range(newest - _RING + 1, slot - _RING + 1) if left else ():
                left -= cells[at + 2 + old % _RING]
            if version == cells[place + VERSION] and not version % 2:
                break
        return left

    def _ring(self, place: int) -> list[tuple[int, int]]:
        """(slot, amount) of what one worker has."""
        cells, at = self._record.cells, place + self._field
        newest, ring = cells[at], cells[at + 2 : at + 2 + _RING].tolist()
        slots = range(newest - _RING + 1, newest + 1)
        return [(slot, ring[slot % _RING]) for slot in slots if ring[slot % _RING]]


class Burst(_SharedWindow):
    """What began in this half second and in the one before, here and elsewhere."""

    def __init__(self, record: _Record) -> None:
        super().__init__(record, _REQUESTS)

    def admit(self, most: int, now: float) -> float:
        """0.0 = one more may begin, and is counted; else the seconds until one may."""
        slot = floor(now * _PER_SECOND)
        here, before = (self._at(each) for each in (slot, slot - 1))
        if here + before < most:
            self.add(now, 1)
            return 0.0
        # What began in this half second counts until the next but one.
        return (slot + (1 if here < most else 2)) / _PER_SECOND - now

    def _at(self, slot: int) -> int:
        cells, found = self._record.cells, 0
        for place in self._record.places():
            at = place + self._field
            if 0 <= cells[at] - slot < _RING:
                found += cells[at + 2 + slot % _RING]
        return found


class AtWork:
    """How many of one token are at work, here and elsewhere; without a record, this worker's part of them."""

    def __init__(self, use: SharedUse, name: tuple[str, str], record: _Record | None) -> None:
        self._use, self._name, self._record = use, name, record

    def has_room(self, working: int, limit: int) -> bool:
        """May one more be at work, where `working` of this worker's are?

        Not as long as some wait at another one that has fewer.
        """
        if self._record is None:
            return working < max(1, limit // self._use.workers)
        cells, total = self._record.cells, working
        for place in self._record.places()[1:]:
            there = cells[place + _FLYING]
            if there < working and cells[place + _WEIGHING]:
                return False
            total += there
        return total < limit

    def tell(self, working: int, waiting: int) -> None:
        """So many of this worker's are at work, and wait."""
        if self._record is not None:
            cells, own = self._record.cells, self._record.own
            cells[own + _FLYING], cells[own + _WEIGHING] = working, waiting

    def forget(self) -> None:
        """None is at work, and none will be."""
        self._record = None
        self._use.forget(*self._name)


class _Share(Allowance):
    """One worker's share of the limits, each at least 1."""

    def __init__(self, workers: int, *, queued: bool = False) -> None:
        super().__init__(queued=queued)
        self._workers = workers

    def enter(self, limits: Limits, most: int | None, spent: int, now: float) -> Stay | Denied:
        """As of a token that may use so much less."""
        return super().enter(_divided(limits, self._workers), most, spent, now)


def _divided(limits: Limits, by: int) -> Limits:
    def part(limit: int | None) -> int | None:
        return limit if limit is None else max(1, limit // by)

    return replace(
        limits, rpm=part(limits.rpm), tpm=part(limits.tpm), concurrency=part(limits.concurrency)
    )
