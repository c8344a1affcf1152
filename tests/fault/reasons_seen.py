"""Looks at every service through both doors, all the time: what is on its way must say why."""

import hashlib
import json
import re
import urllib.request
from threading import Event, Thread
from typing import Any

from stage import Stage

from pierhead.cli.client import EasClient, HubRefused, NoAnswer, find_access

#: Statuses that need no reason: what was wanted is so.
AT_REST = frozenset({"Running", "Stopped"})
_PERIOD = 0.2
#: A place without its fact; `{port}` is what a command line may say.
_LEFT_OPEN = re.compile(r"\{(?!port\})\w+\}")


class ReasonsSeen(Thread):
    """Polls ListServices, DescribeService and QueryModelServiceInstanceGroup until it is ended."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(name="reasons seen", daemon=True)
        self._stage = stage
        self._eas = EasClient(find_access(stage.folder, None, {}))
        self._session = _login(stage)
        self._over = Event()
        self.looks = 0  #: at one service, through one door
        self.silent: set[tuple[str, ...]] = set()  #: (door, service, status, reason, message)

    def end(self) -> None:
        """Look no more."""
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.wait(_PERIOD):
            try:
                for item in self._eas.pages("ListServices", "/api/v2/services", "Services", {}):
                    self._looked("ListServices", item)
                    self._looked("DescribeService", self._eas.describe(item["ServiceName"]))
                for group in self._groups():
                    said = {"ServiceName": group["serviceName"], "Reason": group["status"]}
                    shown = {"Status": group["status"], "Message": group["message"], **said}
                    self._looked("QueryModelServiceInstanceGroup", shown)
            except (HubRefused, NoAnswer):  # it went between two looks
                continue

    def _looked(self, door: str, item: dict[str, Any]) -> None:
        self.looks += 1
        reason, message = str(item["Reason"] or ""), str(item["Message"] or "")
        told = reason and message and not _LEFT_OPEN.search(message)
        if item["Status"] not in AT_REST and not told:
            self.silent.add((door, item["ServiceName"], item["Status"], reason, message))

    def _groups(self) -> list[dict[str, Any]]:
        url = f"http://{self._stage.listen}/zstack/v1/ai/model-services/instances/groups"
        asked = urllib.request.Request(url, headers={"Authorization": f"OAuth {self._session}"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return json.load(answer)["inventories"]


def _login(stage: Stage) -> str:
    credentials = json.loads((stage.folder / "credentials.json").read_text())["zstack"]
    password = hashlib.sha512(credentials["password"].encode()).hexdigest()
    body = {"logInByAccount": {"accountName": credentials["account"], "password": password}}
    asked = urllib.request.Request(
        f"http://{stage.listen}/zstack/v1/accounts/login",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method="PUT",
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return str(json.load(answer)["inventory"]["uuid"])
