"""One count per request, and an access line for as many as are worth it. Never a token, a path, a prompt or a body."""

from collections.abc import Callable
from time import monotonic
from typing import Final

from structlog.typing import FilteringBoundLogger

from pierhead.core.redaction import masked_text
from pierhead.gateway.exchange import Exchange
from pierhead.gateway.exposition import Metrics

_FAULTS: Final = 500

#: Writes a line by its event and what it tells.
Writes = Callable[[str, dict[str, object]], None]


class Journal:
    """What is noted about requests. All values are ours or printable ASCII: no line can be forged.

    A line costs more than the request itself. So there are `lines` of them in a second at most, evenly
    over it, and as many again for requests that went wrong; each tells how many were left out before it.
    """

    def __init__(
        self,
        metrics: Metrics,
        log: FilteringBoundLogger,
        lines: float,
        writes: Writes | None = None,
    ) -> None:
        """`writes`: what writes a line for less than `log` does, if there is such a thing."""
        self._figures, self._log, self._writes = metrics.figures, log, writes
        self._good, self._bad = Sampling(lines), Sampling(lines)

    def note(self, exchange: Exchange) -> None:
        """Notes a request whose reply is over."""
        if not exchange.noted:
            return
        ended = monotonic()
        self._figures.ended(exchange, exchange.begun, ended)
        wrong = exchange.broken or exchange.status >= _FAULTS
        sampling = self._bad if wrong else self._good
        if sampling.takes(ended):
            self._write(exchange, ended, sampling.left_out())

    def fault(self, exchange: Exchange) -> None:
        """A mistake of ours, with its traceback."""
        self._log.exception("unforeseen fault", request_id=exchange.request_id.decode("latin-1"))

    def _write(self, exchange: Exchange, ended: float, left_out: int) -> None:
        begun, first, own = exchange.begun, exchange.first_byte, exchange.head.own_id
        request_id = exchange.request_id.decode("latin-1")
        fields: dict[str, object] = {
            # Whoever sends secrets as the ids of requests is not to find them in the log.
            "request_id": request_id if own is None else masked_text(request_id),
            "method": exchange.method,
            "service": exchange.service,
            "status": exchange.status,
            "ms": round((ended - begun) * 1000, 1),
            "ttft_ms": None if first is None else round((first - begun) * 1000, 1),
            "replica": exchange.replica,
        }
        if exchange.broken:
            fields["broken"] = True
        if left_out:
            fields["left_out"] = left_out
        if self._writes is not None:
            self._writes("request", fields)
        else:
            self._log.info("request", **fields)


class Sampling:
    """A bucket of lines: it fills at `rate` in a second, and holds those of one second."""

    def __init__(self, rate: float) -> None:
        self._rate, self._held = rate, max(rate, 1.0) if rate else 0.0
        self._at = 0.0
        self._missed = 0

    def takes(self, now: float) -> bool:
        """May one more be written?"""
        held = self._held
        if held < 1.0:
            held = min(max(self._rate, 1.0), held + (now - self._at) * self._rate)
            self._at = now
            if held < 1.0:
                self._held = held
                self._missed += 1
                return False
        self._held = held - 1.0
        return True

    def left_out(self) -> int:
        """How many were not, since this was last asked."""
        missed, self._missed = self._missed, 0
        return missed
