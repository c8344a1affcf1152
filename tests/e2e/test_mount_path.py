"""storage[].mount_path at work: a NAS folder, mounted by its operator, where the document wants it."""

import shlex
import sys
from pathlib import Path

from clients import PythonSdk
from documents import document
from lifecycle import Service
from running_platform import Platform, until

from commands import pierhead
from pierhead.runtimes.process import mounting

TARGET = "2b4c-mount-path.cn-shanghai.nas.example.com"
PATH = "/workspace/pierhead/llm"
#: Says on its log what it finds, then serves.
LOOK = (
    "import os, sys; at = sys.argv[1]; print('found', open(at + '/words').read(), flush=True); "
    "told = os.environ['MODEL_DIR']; print('told', told, os.environ['CONFIG'], flush=True)\n"
    "try: open(told + '/mine', 'w')\n"
    "except OSError as error: print('refused', error.strerror, flush=True)\n"
    "import http.server; http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), "
    "http.server.SimpleHTTPRequestHandler).serve_forever()"
)


def test_a_nas_folder_is_where_the_document_wants_it(
    eas: PythonSdk, platform: Platform, tmp_path: Path
) -> None:
    weights = tmp_path / "team" / "llm"
    weights.mkdir(parents=True)
    (weights / "words").write_text("of a model")
    connect(platform, tmp_path / "team")
    submitted = document("doc_mount_path", script=f"{sys.executable} -c {shlex.quote(LOOK)} {PATH}")
    submitted["containers"][0]["env"] = [{"name": "CONFIG", "value": f"{PATH}/config"}]
    submitted["containers"][0].pop("readiness_check", None)
    nfs = {"server": TARGET, "path": "/llm", "readOnly": True}
    submitted["storage"] = [{"mount_path": PATH, "nfs": nfs}]
    eas("CreateService", body=submitted)
    service = Service(eas, "doc_mount_path")
    service.until("Running")

    def written(word: str) -> str:
        """Its log, once it has the word: it serves before its keeper has written down what it said."""
        said = "\n".join(eas("DescribeServiceLog", service.name)["Logs"])
        return said if word in said else ""

    last = "refused" if mounting.possible().binds else "told"
    logs = until(lambda: written(last), 10, "its last word is written down")
    assert "found of a model" in logs
    if mounting.possible().binds:
        assert f"told {PATH} {PATH}/config" in logs
        assert "refused Read-only file system" in logs
        assert "MountPath" not in service.warnings()
        assert not (weights / "mine").exists()
    else:
        assert f"told {weights} {PATH}/config" in logs
        assert PATH in str(service.warnings()["MountPath"])
    assert not Path(PATH).exists()
    service.delete()


def connect(platform: Platform, folder: Path) -> None:
    words = ("storage", "add", "nas", "team", "--mount-target", TARGET, "--local-path", str(folder))
    done = pierhead(*words, "--data-dir", str(platform.folder))
    assert done.returncode == 0, done.stderr
