"""`python -m pierhead`: the same as the command `pierhead`."""

import sys

from pierhead.cli import processes


def run() -> None:
    """Exit code 0, 1 when something failed, 2 for bad usage."""
    plain = processes.plainly(sys.argv[1:])
    if plain is not None:
        processes.guarded(plain)
        return
    # Only now: long-lived processes do without the command-line library (see processes.py).
    from pierhead.cli.main import run as run_verb

    run_verb()


if __name__ == "__main__":
    run()
