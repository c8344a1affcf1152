"""What the platform says about itself: structured log lines without secrets, and figures.

`configure` is called once per process, by bootstrap. Log lines carry what is bound with
`structlog.contextvars` (request_id, service); figures live in a registry of their own per process.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO, cast

from pierhead.core.ids import Clock
from pierhead.core.redaction import MASK, SECRET_NAME, masked_text, one_line
from pierhead.optional import hidden

# structlog would load rich: 0.1 s and 4 MB per process, for tracebacks with local variables in them,
# which are secrets as often as not. prometheus_client would load snappy: 1.6 MB, to push figures.
with hidden("rich", "snappy"):
    import structlog
    from prometheus_client import (
        CollectorRegistry,
        Counter,
        Gauge,
        Histogram,
        disable_created_metrics,
    )
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
    from prometheus_client.process_collector import ProcessCollector
    from structlog.typing import EventDict, Processor

    from pierhead.token_figures import TokenFigures
    from pierhead.turn_figures import TurnFigures
    from pierhead.weight_figures import WeightFigures

#: Keys whose values are of several lines by nature.
_LINES = frozenset({"exception", "stack"})
_encoded = json.JSONEncoder(ensure_ascii=False, default=str).encode
_LOUD = (
    "uvicorn.access",
    "aiohttp.access",
    "asyncio",
    "alembic",
    "sqlalchemy.engine",
    "httpx2",
)


def _masked(key: str, value: object) -> object:
    """Numbers stay: `completion_tokens=12` is a figure, not a secret."""
    if isinstance(value, Mapping):
        inner = cast("Mapping[object, object]", value)
        return {name: _masked(str(name), part) for name, part in inner.items()}
    secret = SECRET_NAME.search(key) is not None
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(key, part) for part in cast("Iterable[object]", value)]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        # Tracebacks have lines of their own; nothing else may look like another line of the log.
        shown = MASK if secret and value else masked_text(value)
        lines = shown.split("\n") if key in _LINES else [shown]
        return "\n".join(map(one_line, lines))
    return value


def mask_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The processor that keeps secrets out of every line, whoever wrote it."""
    return {
        key: value if key.startswith("_") else _masked(key, value) for key, value in event.items()
    }


def configure(process: str, level: str, form: str, stream: TextIO | None = None) -> None:
    """Route all logging of this process (structlog, stdlib, uvicorn, aiohttp) to `stream`.

    `form` is `json`, `console`, or `auto`: console on a terminal, JSON lines elsewhere. The stream
    is standard error unless told otherwise. Run uvicorn with `log_config=None`.
    """
    out = stream if stream is not None else sys.stderr
    console = form == "console" or (form == "auto" and out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out) if console else _Lines(out, process)
    handler.setFormatter(_formatter(process, shared, out, console=console))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    _quieten(level)


def _formatter(
    process: str, shared: list[Processor], out: TextIO, *, console: bool
) -> logging.Formatter:
    def name_process(_logger: object, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        event.pop("color_message", None)  # uvicorn's second copy of its own line
        return event

    # Plain tracebacks: the pretty ones would print local variables, and with them secrets.
    last: list[Processor]
    if console:
        last = [
            structlog.dev.ConsoleRenderer(
                colors=out.isatty(),
                timestamp_key="at",
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    else:
        last = [structlog.processors.JSONRenderer(ensure_ascii=False, default=str)]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            name_process,
            structlog.processors.format_exc_info,
            mask_secrets,
            *last,
        ],
    )


def _quieten(level: str) -> None:
    """Libraries pass on through the root; those that speak per request only do so under debug."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "aiohttp.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    if level == "debug":  # statements; below that it shows rows, which hold secrets
        logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)


class _Lines(logging.StreamHandler[TextIO]):
    """Writes JSON lines of one process."""

    def __init__(self, stream: TextIO, process: str) -> None:
        super().__init__(stream)
        self._process = process

    def writer(self, name: str, clock: Clock) -> Callable[[str, dict[str, object]], None]:
        """See `quick_lines`."""
        about = {"logger": name, "level": "info"}

        def write(event: str, fields: dict[str, object]) -> None:
            at = datetime.fromtimestamp(clock(), UTC).replace(tzinfo=None).isoformat() + "Z"
            whole = {**fields, "event": event, **about, "at": at, "process": self._process}
            self.stream.write(_encoded(whole) + "\n")  # in one piece: threads write lines, too
            self.stream.flush()

        return write


def quick_lines(name: str, clock: Clock) -> Callable[[str, dict[str, object]], None] | None:
    """What writes a line under `info` by its event and fields, at a twentieth of what a logger takes.

    The line is a logger's, but its fields are not looked through for secrets, which are not to be
    among them. None: lines of that kind are not wanted, or are no JSON; then a logger is to be asked.
    """
    lines = [each for each in logging.getLogger().handlers if isinstance(each, _Lines)]
    wanted = logging.getLogger(name).isEnabledFor(logging.INFO)
    return lines[0].writer(name, clock) if lines and wanted else None


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; call it with an event name and key=value pairs."""
    return structlog.stdlib.get_logger(name)


def new_registry() -> CollectorRegistry:
    """A registry that already tells this process's memory, CPU time and open files."""
    disable_created_metrics()
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def exposition(registry: CollectorRegistry) -> tuple[bytes, str]:
    """The body of `GET /metrics` and its content type."""
    return generate_latest(registry), CONTENT_TYPE_LATEST


class HubFigures:
    """The hub's figures. Durations are seconds."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else new_registry()
        made: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter(
            "pierhead_requests_total", "API requests", ["operation", "code"], **made
        )
        self._request_seconds = Histogram(
            "pierhead_request_seconds",
            "Time to answer an API request",
            ["operation"],
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
            **made,
        )
        self._passes = Counter(
            "pierhead_reconcile_passes_total", "Looks at one service", ["outcome"], **made
        )
        self._pass_seconds = Histogram(
            "pierhead_reconcile_seconds",
            "Time of one look at one service",
            buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10),
            **made,
        )
        self._services = Gauge("pierhead_services", "Services by status", ["status"], **made)
        self._replicas = Gauge("pierhead_replicas", "Replicas by state", ["state"], **made)
        self._holds = Gauge(
            "pierhead_service_hold",
            "Services that are not as wanted, by the reason that lies deepest",
            ["reason"],
            **made,
        )
        self._transactions = Histogram(
            "pierhead_database_transaction_seconds",
            "Time of one database transaction",
            ["kind"],
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.02, 0.1, 0.5, 2),
            **made,
        )
        self._read_only = Gauge(
            "pierhead_database_read_only", "1 while the database takes no writes", **made
        )
        self._refused = Counter(
            "pierhead_database_refused_writes_total",
            "Writes that the database did not take",
            **made,
        )
        self._refused_before = 0
        self.weights = WeightFigures(self.registry)
        self.tokens = TokenFigures(self.registry)
        self.turn = TurnFigures(self.registry)

    def request(self, operation: str, code: str, seconds: float) -> None:
        """One API request was answered; `code` is `OK` or the error's code."""
        self._requests.labels(operation, code).inc()
        self._request_seconds.labels(operation).observe(seconds)

    def reconciled(self, seconds: float, error: str = "") -> None:
        """One pass over one service ended; `error` names what it raised, if anything."""
        self._passes.labels(error or "ok").inc()
        self._pass_seconds.observe(seconds)

    def transaction(self, kind: str, seconds: float) -> None:
        """One database transaction ended; `kind` is `read` or `write`."""
        self._transactions.labels(kind).observe(seconds)

    def writes(self, *, refusing: bool, refused: int) -> None:
        """Does the database refuse writes now, and how many has it refused since the start?"""
        self._read_only.set(refusing)
        self._refused.inc(refused - self._refused_before)
        self._refused_before = refused

    def show(
        self,
        services: Mapping[str, int],
        replicas: Mapping[str, int],
        holds: Mapping[str, int] | None = None,
    ) -> None:
        """How many services and replicas there are now, and why not all are as wanted.

        What is not named is gone.
        """
        shown = (self._services, services), (self._replicas, replicas), (self._holds, holds or {})
        for gauge, counts in shown:
            gauge.clear()
            for name, count in counts.items():
                gauge.labels(name).set(count)

    def exposition(self) -> tuple[bytes, str]:
        """The body of `GET /metrics` and its content type."""
        return exposition(self.registry)
