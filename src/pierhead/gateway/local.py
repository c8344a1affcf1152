"""What the gateway answers about itself: health, metrics, and where it is to be reached."""

from datetime import UTC, datetime

from pierhead.gateway.answers import Answer, json_answer
from pierhead.gateway.exposition import Metrics
from pierhead.gateway.hub import Hub
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.table import LiveTable

_WEIGHT = 100  #: the vendor's weight of a full endpoint


class Local:
    """Open to everybody: nothing in here is secret."""

    def __init__(
        self, settings: GatewaySettings, live: LiveTable, hub: Hub, metrics: Metrics
    ) -> None:
        self._settings, self._live, self._hub, self._metrics = settings, live, hub, metrics

    def upstreams(self, reached: tuple[str, int]) -> Answer:
        """For DIRECT clients of `eas-prediction`: always this gateway, whatever name they ask for.

        `reached`: the address this request came to, told if none is set.
        """
        host, port = reached
        if self._settings.advertise:
            host, _, text = self._settings.advertise.rpartition(":")
            port = int(text)
        item = {"ip": host, "port": port, "weight": _WEIGHT}
        return json_answer(200, {"endpoints": {"items": [item]}})

    def health(self) -> Answer:
        """200 as long as requests are served, hub or no hub."""
        served = self._live.served
        document = {
            "status": "ok",
            "revision": self._live.revision,
            "services": len(served.services) if served else 0,
            "hub": self._hub_state(),
            "compiled": self._settings.compiled == "yes",
        }
        worker = self._settings.worker
        if worker is not None:
            document |= {"worker": worker.number, "workers": worker.count}
        return json_answer(200, document)

    def metrics(self, *, names: bool) -> Answer:
        """For Prometheus; without `names` all services and replicas are told as one."""
        self._metrics.revision.set(self._live.revision)
        self._metrics.hub.set(self._hub.unreachable_since is None)
        text = self._metrics.text(names=names)
        return Answer(200, text, b"text/plain; version=0.0.4; charset=utf-8")

    def _hub_state(self) -> str:
        since = self._hub.unreachable_since
        if since is None:
            return "connected"
        moment = datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")
        return f"unreachable since {moment}"
