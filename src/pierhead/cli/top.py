"""`pierhead top`: what services are busy with, live."""

import signal
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from types import FrameType
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pierhead.cli.client import HubRefused, Json, NoAnswer
from pierhead.cli.options import AsJson, DataDir, Endpoint
from pierhead.cli.ram_client import RamClient, connect
from pierhead.cli.screen import STYLES, emit, note, plain, table

if TYPE_CHECKING:
    from rich.console import RenderableType


class Sort(StrEnum):
    """What the rows are sorted by."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    IN_FLIGHT = "in-flight"
    QUEUED = "queued"
    HELD = "held"
    TTFT = "ttft"
    ERRORS = "errors"
    NAME = "name"


#: The field of each; the largest stands first.
_FIELDS: Mapping[Sort, str] = {
    Sort.REQUESTS: "RequestsPerSecond",
    Sort.TOKENS: "TokensPerSecond",
    Sort.IN_FLIGHT: "InFlight",
    Sort.QUEUED: "Queued",
    Sort.HELD: "Held",
    Sort.TTFT: "TtftP95",
    Sort.ERRORS: "ErrorsPerSecond",
}
_COLUMNS = (
    "SERVICE", "STATUS", "READY", "REQ/S", "IN FLIGHT", "QUEUED", "HELD",
    "TTFT P50", "TTFT P95", "TOKENS/S", "ERRORS/S",
)  # fmt: skip
_WORDS = 3  #: columns of words; those after them are figures
_UNKNOWN = "-"
_OVERHEAD = 5  #: lines of a screen that are no rows
_NO_GATEWAY = "No gateway reports, so no figure is known: is `pierhead gateway` (or `up`) running?"


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two looks, and the clock and sleep to use."""

    seconds: float = 1.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class View:
    """What is shown: the last answer, and what is wrong with it."""

    answer: Json
    sort: Sort
    trouble: str = ""  #: "" = it is fresh

    @property
    def rows(self) -> list[list[str]]:
        """The table."""
        known = bool(self.answer["Gateways"])
        return [_row(one, known=known) for one in ordered(self.answer, self.sort)]

    @property
    def headline(self) -> str:
        """All services in one line, or why nothing is known of them."""
        if not self.answer["Gateways"]:
            return _NO_GATEWAY
        found = _services(self.answer)
        requests = sum(one["RequestsPerSecond"] for one in found)
        tokens = sum(one["TokensPerSecond"] for one in found)
        flight = sum(one["InFlight"] for one in found)
        return (
            f"{_many(len(found), 'service')}, {_many(self.answer['Gateways'], 'gateway')}: "
            f"{_rate(requests)} requests/s, {flight} in flight, {_rate(tokens)} tokens/s "
            f"(last {self.answer['Seconds']:g} s)"
        )


def top(
    *,
    once: Annotated[bool, typer.Option("--once", help="Print one table and end.")] = False,
    sort: Annotated[
        Sort, typer.Option(help="Figure to sort by, the largest first, or name.")
    ] = Sort.REQUESTS,
    interval: Annotated[
        float, typer.Option(min=0.2, max=3600, help="Seconds between two looks.")
    ] = 1.0,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Show what services are busy with, live: requests, waiting ones, first tokens, tokens, errors.

    \b
    REQ/S      requests that ended per second, over the last 10 seconds
    IN FLIGHT  requests that replicas work on now
    QUEUED     requests that wait for a slot of a busy replica
    HELD       requests that wait for a service at zero replicas to wake
    TTFT       time to the first byte of an answer: half of them, 95 % of them
    TOKENS/S   tokens that were written per second
    ERRORS/S   answers of 5xx, and those that broke off

    \b
    Examples:
      pierhead top
      pierhead top --sort ttft
      pierhead top --once | grep my_llm
      pierhead top --json

    Ends with Ctrl-C. Elsewhere than on a terminal it prints a table each time, without colours.

    \b
    Exit codes: 0 also after Ctrl-C; 1 no hub answers, or it refuses; 2 the
    command line is wrong.
    """
    client = connect(data_dir, endpoint)
    first = View(look(client), sort)
    if as_json:
        emit({**first.answer, "Services": {"Service": ordered(first.answer, sort)}})
    elif once:
        _print(first)
    else:
        follow(client, first, Pace(interval))


def look(client: RamClient) -> Json:
    """What the hub knows now.

    Raises:
        NoAnswer: no hub answers.
        HubRefused: it refuses, or is older than this command.
    """
    try:
        return client.own("ListServiceTraffic")
    except HubRefused as refusal:
        if refusal.code != "InvalidAction.NotFound":
            raise
        why = "This hub is older than `pierhead top`: upgrade it."
        raise HubRefused(HTTPStatus.NOT_FOUND, refusal.code, why, refusal.request_id) from refusal


def follow(client: RamClient, view: View, pace: Pace) -> None:
    """Look again and again, until Ctrl-C or until nobody reads. A hub that is away is waited for."""
    try:
        with _interrupts() as ended, _shown() as show:
            fresh = pace.clock()
            while not ended():
                show(view)
                pace.sleep(pace.seconds)
                try:
                    view, fresh = View(look(client), view.sort), pace.clock()
                except NoAnswer as problem:
                    old = f"These figures are {pace.clock() - fresh:.0f} s old."
                    view = View(view.answer, view.sort, f"{problem.message} {old}")
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        # Whoever read has seen enough. What is still buffered must not complain at the exit.
        sys.stdout = None  # type: ignore[assignment]


@contextmanager
def _interrupts() -> Generator[Callable[[], bool]]:
    """Whether Ctrl-C came. Python alone forgets one that comes while it clears away an object."""
    came = False

    def told(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, told)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, before)


def ordered(answer: Json, sort: Sort) -> list[Json]:
    """The services, the largest figure first, the same ones by name."""
    name = _FIELDS.get(sort)
    if name is None:
        return sorted(_services(answer), key=lambda one: str(one["ServiceName"]))
    return sorted(
        _services(answer), key=lambda one: (-float(one.get(name, 0)), str(one["ServiceName"]))
    )


@contextmanager
def _shown() -> Generator[Callable[[View], None]]:
    """What shows a view: in place on a terminal, else one table after the other."""
    if not sys.stdout.isatty():
        yield _print_again
        return
    # Only a terminal pays for it.
    from rich.console import Console
    from rich.live import Live

    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        yield lambda view: live.update(_drawn(view, console.height), refresh=True)


def _print(view: View) -> None:
    if not view.answer["Gateways"]:
        note(view.headline)
    table(_COLUMNS, view.rows)


def _print_again(view: View) -> None:
    if view.trouble:
        note(view.trouble)
        return
    print(plain(view.headline))
    table(_COLUMNS, view.rows)
    print(flush=True)


def _drawn(view: View, height: int) -> "RenderableType":
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    most = max(1, height - _OVERHEAD)
    rows = view.rows
    shown = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for number, column in enumerate(_COLUMNS):
        justify = "left" if number < _WORDS else "right"
        shown.add_column(column, justify=justify, no_wrap=True)
    for row in rows[:most]:
        cells = (plain(cell) for cell in row)
        shown.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in cells))
    rest = len(rows) - most
    below = (
        f"and {_many(rest, 'more service')}; --sort decides which stand first" if rest > 0 else ""
    )
    style = "red" if view.trouble else "yellow" if not view.answer["Gateways"] else ""
    head = Text(plain(view.trouble or view.headline), style=style)
    return Group(head, Text(""), shown, Text(below, style="dim"))


def _row(one: Json, *, known: bool) -> list[str]:
    ready = f"{one['ReadyInstance']}/{one['TotalInstance']}"
    words = [str(one["ServiceName"]), str(one["Status"]), ready]
    if not known:
        return [*words, *[_UNKNOWN] * (len(_COLUMNS) - _WORDS)]
    return [
        *words,
        _rate(one["RequestsPerSecond"]),
        *(str(one[name]) for name in ("InFlight", "Queued", "Held")),
        *(_seconds(one.get(name)) for name in ("TtftP50", "TtftP95")),
        _rate(one["TokensPerSecond"]),
        _rate(one["ErrorsPerSecond"]),
    ]


def _rate(value: float) -> str:
    """`0`, `0.3`, `12.4`, `1,204`."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _seconds(value: float | None) -> str:
    """`-`, `8 ms`, `1.2 s`."""
    if value is None:
        return _UNKNOWN
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _services(answer: Json) -> list[Json]:
    return cast("list[Json]", answer["Services"]["Service"])


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
