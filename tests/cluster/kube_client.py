"""The Kubernetes API as a test asks it: plain JSON over one connection per call."""

import http.client
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml

Json = dict[str, Any]
T = TypeVar("T")
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class KubeRefusedError(Exception):
    """The API server said no."""

    def __init__(self, status: int, answer: Json) -> None:
        super().__init__(f"{status}: {answer.get('message', answer)}")
        self.status, self.answer = status, answer


@dataclass(frozen=True, slots=True)
class KubeClient:
    """One API server, as its kubeconfig names it."""

    kubeconfig: Path

    def __call__(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        kind: str = "application/json",
    ) -> Json:
        """One request.

        Raises:
            KubeRefusedError: it was answered with an error.
            OSError: nobody answered.
        """
        status, text = self.text(method, path, body, kind)
        answer = json.loads(text)
        if status >= 300:
            raise KubeRefusedError(status, answer)
        return answer

    def text(
        self, method: str, path: str, body: Json | None = None, kind: str = "application/json"
    ) -> tuple[int, str]:
        """One request; status and text."""
        document = yaml.safe_load(self.kubeconfig.read_text())
        url = urlsplit(document["clusters"][0]["cluster"]["server"])
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            str(url.hostname), url.port, timeout=30, context=context
        )
        headers = {
            "Authorization": f"Bearer {document['users'][0]['user']['token']}",
            "Content-Type": kind,
        }
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def apply(self, path: str, body: Json) -> Json:
        """Server-side apply, as the field manager `test`."""
        return self("PATCH", f"{path}?fieldManager=test", body, APPLY)

    def pods(self, namespace: str, selector: str = "") -> list[Json]:
        return self("GET", f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")["items"]

    def ready(self, namespace: str, selector: str = "") -> list[Json]:
        """Pods that are Ready and not on their way out."""
        return [pod for pod in self.pods(namespace, selector) if is_ready(pod)]


def is_ready(pod: Json) -> bool:
    """Ready, and not on its way out."""
    conditions = pod.get("status", {}).get("conditions", ())
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def until(look: Callable[[], T], why: str | Callable[[], object], within: float = 60.0) -> T:
    """The first true value that `look` gives; asked every 50 ms, fails after so many seconds."""
    give_up = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() >= give_up:
            told = why if isinstance(why, str) else why()
            raise AssertionError(f"not within {within:g} s: {told}")
        time.sleep(0.05)
