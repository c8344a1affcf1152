"""Takes the documentation's pictures of the console: a platform of its own, Debian's chromium.

usage: .venv/bin/python scripts/screenshots.py [FOLDER]    (docs/images unless named)
Needs what the tests need: sh scripts/install-test-deps.sh
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))
sys.path.append(str(Path(__file__).parent.parent / "tests" / "e2e"))
sys.path.append(str(Path(__file__).parent.parent / "tests" / "browser"))

from clients import PythonSdk
from console_pages import Consoles
from documents import app, document
from lifecycle import Service
from playwright.sync_api import Browser, sync_playwright
from running_platform import Platform, running

ROOT = Path(__file__).parent.parent
#: File -> path, theme, language, width.
PICTURES = {
    "home-light-en": ("/", "light", "en", 1280),
    "services-dark-en": ("/services", "dark", "en", 1280),
    "service-light-en": ("/services/chat", "light", "en", 1280),
    "create-light-zh-cn": ("/services/new", "light", "zh-CN", 1280),
    "explorer-light-en": ("/explorer?product=eas&op=CreateAppService", "light", "en", 1280),
    "explorer-dark-zh-tw": (
        "/explorer?product=eas&op=CreateAppService&tab=docs",
        "dark",
        "zh-TW",
        1280,
    ),
    "services-narrow-light-en": ("/services", "light", "en", 480),
}


@contextmanager
def browser() -> Iterator[Browser]:
    """Without a window."""
    with sync_playwright() as playwright:
        program = shutil.which("chromium")
        yield playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])


def furnish(platform: Platform) -> None:
    """A model that runs, a program that runs, and one that does not."""
    sdk = PythonSdk(platform)
    sdk("CreateAppService", body=app("chat"))
    sdk("CreateService", body=document("echo"))
    failing = "python3 -c 'raise SystemExit(\"the licence file is missing\")'"
    sdk("CreateService", body=document("report", script=failing))
    Service(sdk, "chat").until("Running")
    Service(sdk, "echo").until("Running")


def main(folder: Path) -> None:
    """Take all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with running(Path(tempfile.mkdtemp())) as platform, browser() as chromium:
        furnish(platform)
        consoles = Consoles(platform, chromium)
        for name, (path, theme, language, width) in PICTURES.items():
            view = {"width": width, "height": 800}
            console = consoles.open(theme=theme, language=language, viewport=view)
            console.go(path)
            console.settled()
            console.page.screenshot(path=folder / f"{name}.png")
            print(folder / f"{name}.png")
        consoles.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
