"""What the console says of a cluster that is out of sight, and of a hub that stands by."""

import asyncio
import json
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from console_pages import Consoles, Watched, Windows
from playwright.sync_api import Locator, Page, Route, expect
from running_platform import Platform, running

from kube_double import KubeDouble

TEXTS = Path(__file__).parents[2] / "web/src/i18n"
WELL = {"facts_age_seconds": 0.0, "problem": ""}
#: Milliseconds: pages ask every five seconds, and share the machine with whatever else is tested.
SOON = 30_000


class Cluster:
    """An API server's double in a thread of its own: the browser's loop is busy with the browser."""

    def __init__(self, folder: Path) -> None:
        self._double = KubeDouble()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._double.__aenter__())
        self.kubeconfig = folder / "kubeconfig"
        cluster = {"server": f"http://127.0.0.1:{self._double.port}"}
        context = {"cluster": "c", "user": "u", "namespace": self._double.namespace}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": context}],
            "current-context": "x",
        }
        self.kubeconfig.write_text(json.dumps(content))

    def _run(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def away(self) -> None:
        """It answers no more."""
        self._run(self._double.kill())

    def back(self) -> None:
        """It answers again."""
        self._run(self._double.revive())

    def close(self) -> None:
        """End it."""
        self._run(self._double.__aexit__())
        self._run(_nothing_left())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def _nothing_left() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def on_cluster(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that was started while its cluster was away."""
    cluster.away()
    with running(
        tmp_path_factory.mktemp("platform"),
        PIERHEAD_RUNTIME="kubernetes",
        PIERHEAD_KUBERNETES_KUBECONFIG=str(cluster.kubeconfig),
        PIERHEAD_KUBERNETES_IMAGE="registry.example/pierhead:1",
    ) as platform:
        yield platform


@pytest.fixture
def consoles(on_cluster: Platform, windows: Windows) -> Iterator[Consoles]:
    made = Consoles(on_cluster, windows)
    yield made
    made.close()


def banner(page: Page, kind: str) -> Locator:
    return page.locator(f'[data-banner="{kind}"]')


def test_a_cluster_that_was_never_seen_is_told_until_it_answers(
    consoles: Consoles, cluster: Cluster, tmp_path: Path
) -> None:
    """Reads and pages work meanwhile; the banner says what is the matter, and goes by itself."""
    console = consoles.open()
    page = console.go("/services")
    expect(banner(page, "unseen")).to_contain_text(
        "has not been seen since this hub started", timeout=SOON
    )
    expect(banner(page, "unseen")).to_contain_text("The Kubernetes API is not available")
    expect(page.get_by_text("The platform does not answer")).to_have_count(0)
    console.settled()
    page.screenshot(path=tmp_path / "unseen.png")
    assert console.serious() == []
    console.go("/infrastructure")
    expect(banner(page, "unseen")).to_be_visible(timeout=SOON)
    console.go("/")
    expect(banner(page, "unseen")).to_be_visible(timeout=SOON)
    others = {language: consoles.open(language=language) for language in ("zh-CN", "zh-TW")}
    for language, other in others.items():
        texts = json.loads((TEXTS / language / "shell.json").read_text())["banner"]
        expect(banner(other.go("/services"), "unseen")).to_contain_text(
            texts["unseen"], timeout=SOON
        )
    cluster.back()
    for each in (console, *others.values()):
        expect(banner(each.page, "unseen")).to_have_count(0, timeout=SOON)


def tells(console: Watched, **health: Any) -> list[str]:
    """Let the hub say that of itself from now on; gives a list that grows with each question."""
    asked: list[str] = []

    def answer(route: Route) -> None:
        found: dict[str, Any] = route.fetch().json()
        route.fulfill(json=found | health)
        asked.append(route.request.url)

    console.page.unroute_all(behavior="wait")
    console.page.route("**/healthz", answer)
    return asked


def test_facts_that_are_old_and_a_hub_that_stands_by(consoles: Consoles, tmp_path: Path) -> None:
    """Above 60 s only, with the moment that they are from; a hub that stands by says who acts."""
    console = consoles.open()
    young = {"facts_age_seconds": 59.0, "problem": "it is away"}
    asked = tells(console, role="active", cluster=young)
    page = console.go("/services")
    give_up = time.monotonic() + SOON / 1000
    while len(asked) < 2:
        assert time.monotonic() < give_up, "nobody asks"
        page.wait_for_timeout(50)
    expect(page.locator("[data-banner]")).to_have_count(0)
    tells(console, role="active", cluster=young | {"facts_age_seconds": 75.0})
    old = banner(page, "old")
    expect(old).to_contain_text("Cluster facts are 1 min 15 s old, as of ", timeout=SOON)
    expect(old).to_contain_text("UTC")
    expect(old).to_contain_text("it is away")
    page.screenshot(path=tmp_path / "old.png")
    assert console.serious() == []
    tells(console, role="standby", cluster=WELL)
    expect(banner(page, "standby")).to_contain_text("another one acts", timeout=SOON)
    expect(old).to_have_count(0)
    page.screenshot(path=tmp_path / "standby.png")
    assert console.serious() == []
    tells(console, role="active", cluster=WELL)
    expect(page.locator("[data-banner]")).to_have_count(0, timeout=SOON)
    page.unroute_all(behavior="wait")
