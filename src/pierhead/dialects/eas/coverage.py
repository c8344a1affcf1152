"""The coverage page: every operation of the catalog, what becomes of it here, and why."""

from collections.abc import Collection

from pierhead.dialects.eas.catalog import Catalog, Operation

_TIERS = {
    "1": "life cycle of services",
    "2": "expected by users",
    "2b": "bounded load tests",
    "3": "cloud only",
}


def markdown(catalog: Catalog, handled: Collection[str]) -> str:
    """The page, in Markdown; `handled` are the ids of operations that have a handler."""
    served = sum(operation.id in handled for operation in catalog.operations)
    lines = [
        "# EAS operations\n",
        f"{served} of {len(catalog.operations)} operations of PAI-EAS 2021-07-01 are served. Each of "
        "the others is authenticated, authorized and answered with 400 `UnsupportedOperation` and "
        "the reason below; those that are not cloud only have their values checked, too.\n",
        "| operation | request | tier | state | reason, and what to use |",
        "|---|---|---|---|---|",
    ]
    ordered = sorted(catalog.operations, key=lambda one: (one.tier, one.id))
    return "\n".join([*lines, *(_row(operation, handled) for operation in ordered), ""])


def _row(operation: Operation, handled: Collection[str]) -> str:
    served = operation.id in handled
    marks = [text for on, text in _marks(operation) if on]
    cells = (
        operation.id + (f" ({', '.join(marks)})" if marks else ""),
        f"`{operation.method} {operation.path}`",
        f"{operation.tier}: {_TIERS[operation.tier]}",
        "served" if served else "unsupported",
        "" if served else operation.unsupported,
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _marks(operation: Operation) -> tuple[tuple[bool, str], ...]:
    return ((operation.newer, "newer clients"), (operation.deprecated, "deprecated"))
