"""One access line and one count per request. Never a token, a path, a prompt or a body."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from structlog.typing import FilteringBoundLogger

from pierhead.gateway.exchange import Exchange
from pierhead.gateway.metrics import Metrics


class Journal:
    """What is noted about requests. All values are ours or printable ASCII: no line can be forged."""

    def __init__(
        self, metrics: Metrics, log: FilteringBoundLogger, now: Callable[[], float]
    ) -> None:
        self._metrics, self._log, self._now = metrics, log, now

    @contextmanager
    def noting(self, exchange: Exchange) -> Generator[None]:
        """Notes the request when the block ends, however it does."""
        begun = self._now()
        try:
            yield
        finally:
            if exchange.noted:
                self._note(exchange, begun)

    def fault(self, exchange: Exchange) -> None:
        """A mistake of ours, with its traceback."""
        self._log.exception("unforeseen fault", request_id=exchange.request_id)

    def _note(self, exchange: Exchange, begun: float) -> None:
        ended = self._now()
        self._metrics.request(exchange, begun, ended)
        first = exchange.first_byte
        self._log.info(
            "request",
            request_id=exchange.request_id,
            method=exchange.method,
            service=exchange.service,
            status=exchange.status,
            ms=round((ended - begun) * 1000, 1),
            ttft_ms=None if first is None else round((first - begun) * 1000, 1),
            replica=exchange.replica,
            **({"broken": True} if exchange.broken else {}),
        )
