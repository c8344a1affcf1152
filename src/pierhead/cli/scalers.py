"""`pierhead services autoscale|schedule show|set|remove`: counts that follow load and clock."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, cast

import typer

from pierhead.cli.client import Json
from pierhead.cli.options import AsJson, DataDir, Endpoint, Name, connect
from pierhead.cli.screen import emit, pairs, table
from pierhead.cli.services import app

auto = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The number of replicas by the load."
)
schedule = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The number of replicas by the clock."
)
app.add_typer(auto, name="autoscale")
app.add_typer(schedule, name="schedule")

_AUTO, _CRON = "/autoscaler", "/cronscaler"
Threshold = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        help="What one replica should have, METRIC=NUMBER: qps, concurrency, queue, tokens (per "
        "second), cpu or gpu[util] (percent); repeatable, the one that asks for most decides.",
    ),
]


@auto.command("set")
def set_auto(
    *,
    name: Name,
    low: Annotated[int, typer.Option("--min", min=0, help="Fewest replicas; 0 = it may sleep.")],
    high: Annotated[int, typer.Option("--max", min=1, help="Most replicas.")],
    target: Threshold = None,
    down_after: Annotated[
        int, typer.Option(min=0, help="Seconds of lower load until replicas go.")
    ] = 300,
    up_after: Annotated[
        int, typer.Option(min=0, help="Seconds of higher load until replicas come.")
    ] = 0,
    sleep_after: Annotated[
        int,
        typer.Option(min=0, help="Seconds without a request until the last one goes (--min 0)."),
    ] = 600,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Let the load decide on the number of replicas, within limits.

    \b
    Examples:
      pierhead services autoscale set my_llm --min 1 --max 4 --target concurrency=4
      pierhead services autoscale set my_llm --min 0 --max 2 --target qps=5 --sleep-after 900
    """
    if not target:
        raise typer.BadParameter("give at least one, such as qps=5", param_hint="--target")
    body = {
        "min": low,
        "max": high,
        "scaleStrategies": [_strategy(text) for text in target],
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": up_after},
            "scaleDown": {"stabilizationWindowSeconds": down_after},
            "onZero": {"scaleDownGracePeriodSeconds": sleep_after},
        },
    }
    client = connect(data_dir, endpoint)
    path = client.path(name, _AUTO)
    _report(client.call("CreateServiceAutoScaler", "POST", path, body=body), as_json=as_json)


def _strategy(text: str) -> Json:
    metric, equals, number = text.rpartition("=")
    try:
        threshold = float(number)
    except ValueError:
        equals = ""
        threshold = 0.0
    if not equals or not metric:
        raise typer.BadParameter(f"[{text}] is not METRIC=NUMBER", param_hint="--target")
    return {"metricName": metric, "threshold": threshold}


@auto.command("show")
def show_auto(
    name: Name,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Show a service's auto-scaler, and what was measured last.

    \b
    Examples:
      pierhead services autoscale show my_llm
    """
    found = connect(data_dir, endpoint).of("DescribeServiceAutoScaler", name, _AUTO)
    if as_json:
        emit(found)
        return
    behavior = cast("dict[str, dict[str, Any]]", found["Behavior"])
    down, up = (behavior[key]["stabilizationWindowSeconds"] for key in ("scaleDown", "scaleUp"))
    rows = [
        ("Replicas", f"{found['MinReplica']} to {found['MaxReplica']}"),
        ("More after", f"{up} s"),
        ("Fewer after", f"{down} s"),
    ]
    if not found["MinReplica"]:
        rows.append(("None after", f"{behavior['onZero']['scaleDownGracePeriodSeconds']} s"))
    pairs(rows)
    print()
    table(("METRIC", "OF", "TARGET", "NOW"), [_row(one, found) for one in found["ScaleStrategies"]])


def _row(strategy: Json, found: Json) -> tuple[str, ...]:
    same = strategy["metricName"], strategy["service"]
    values = (
        one["value"]
        for one in found["CurrentMetrics"]
        if (one["metricName"], one["service"]) == same
    )
    value = next(values, None)
    return (*same, f"{strategy['threshold']:g}", "-" if value is None else f"{value:g}")


@auto.command("remove")
def remove_auto(
    name: Name,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Take the auto-scaler away; the number of replicas stays as it is, or becomes one if it was none.

    \b
    Examples:
      pierhead services autoscale remove my_llm
    """
    client = connect(data_dir, endpoint)
    answer = client.call("DeleteServiceAutoScaler", "DELETE", client.path(name, _AUTO))
    _report(answer, as_json=as_json)


@schedule.command("set")
def set_schedule(
    *,
    name: Name,
    at: Annotated[
        list[str],
        typer.Option(
            help="When, and how many replicas: 'SECOND MINUTE HOUR DAY MONTH WEEKDAY = COUNT', with "
            "'NAME: ' before it if you like; repeatable."
        ),
    ],
    zone: Annotated[
        str, typer.Option(help="Time zone, such as Asia/Shanghai; else the platform's.")
    ] = "",
    exclude: Annotated[
        list[str] | None,
        typer.Option(help="Moments that do not count, as six fields; repeatable."),
    ] = None,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Set the number of replicas at given times.

    \b
    Examples:
      pierhead services schedule set my_llm --at '0 0 8 * * MON-FRI = 3' --at '0 0 19 * * * = 0'
      pierhead services schedule set my_llm --at 'open: 0 30 8 * * * = 2' --zone Asia/Shanghai
    """
    body = {"ScaleJobs": [_job(text, zone) for text in at], "ExcludeDates": exclude or []}
    client = connect(data_dir, endpoint)
    path = client.path(name, _CRON)
    _report(client.call("CreateServiceCronScaler", "POST", path, body=body), as_json=as_json)


def _job(text: str, zone: str) -> Json:
    rest, _, count = text.rpartition("=")
    named, _, expression = rest.rpartition(":")
    if not expression.strip() or not count.strip().isdecimal():
        raise typer.BadParameter(f"[{text}] is not 'SIX FIELDS = COUNT'", param_hint="--at")
    job: Json = {"Schedule": expression.strip(), "TargetSize": int(count)}
    for key, value in (("Name", named.strip()), ("TimeZone", zone)):
        if value:
            job[key] = value
    return job


@schedule.command("show")
def show_schedule(
    name: Name,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Show a service's jobs: when each comes next, where its time zone is known, and how the last went.

    \b
    Examples:
      pierhead services schedule show my_llm
    """
    found = connect(data_dir, endpoint).of("DescribeServiceCronScaler", name, _CRON)
    if as_json:
        emit(found)
        return
    excluded = cast("list[str]", found["ExcludeDates"])
    rows = [_job_row(job, excluded, time.time()) for job in found["ScaleJobs"]]
    table(("NAME", "SCHEDULE", "REPLICAS", "ZONE", "NEXT (UTC)", "STATE", "MESSAGE"), rows)
    for text in excluded:
        print(f"not at: {text}")


def _job_row(job: Json, excluded: Sequence[str], now: float) -> tuple[str, ...]:
    zone = str(job.get("TimeZone", ""))
    return (
        job["Name"],
        job["Schedule"],
        str(job["TargetSize"]),
        zone or "-",
        _next(job["Schedule"], zone, excluded, now) if zone else "-",
        job["State"],
        job["Message"],
    )


def _next(expression: str, zone: str, excluded: Sequence[str], now: float) -> str:
    """Its next moment within a year; the platform's own zone is not told on the wire."""
    from zoneinfo import ZoneInfo  # only this verb pays for both

    from pierhead.core import schedule as moments

    but = tuple(moments.read(text) for text in excluded)
    end = now + 366 * 86400
    found = moments.first(moments.read(expression), ZoneInfo(zone), now, end, but)
    return "-" if found is None else f"{datetime.fromtimestamp(found, UTC):%Y-%m-%d %H:%M:%S}"


@schedule.command("remove")
def remove_schedule(
    name: Name,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Take all jobs away; the number of replicas stays as it is.

    \b
    Examples:
      pierhead services schedule remove my_llm
    """
    client = connect(data_dir, endpoint)
    answer = client.call("DeleteServiceCronScaler", "DELETE", client.path(name, _CRON))
    _report(answer, as_json=as_json)


def _report(answer: Json, *, as_json: bool) -> None:
    if as_json:
        emit(answer)
    else:
        print(answer["Message"])
