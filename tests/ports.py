"""Ports for programs under test that are told where to listen, and listen there a moment later.

A free one from the kernel may be anybody's by then. These lie below the kernel's own and those of replicas,
and each process that plays tests side by side has some of its own, which it gives out in turn.
"""

import itertools
import os
import random
import socket

FIRST, LAST = 12000, 19999
#: Of one process; more of them than are ever in use at the same time.
EACH = 500


def _own() -> range:
    """The ports of this process: by its number among those side by side, and anywhere when it is alone."""
    number = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    shares = (LAST + 1 - FIRST) // EACH
    share = int(number) % shares if number.isdigit() else random.randrange(shares)
    return range(FIRST + share * EACH, FIRST + (share + 1) * EACH)


def _in_turn() -> "itertools.cycle[int]":
    own = _own()
    # Not always the same first: what another run left may still be there.
    first = random.randrange(len(own))
    return itertools.cycle([*own[first:], *own[:first]])


_TURN = _in_turn()


def free_ports(count: int) -> list[int]:
    """So many different ports of 127.0.0.1 at which nobody listens; none comes again soon."""
    found: list[int] = []
    while len(found) < count:
        port = next(_TURN)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]
