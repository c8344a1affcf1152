"""The real demo weights, fetched once per machine and shared by all tests that run a real engine."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pierhead.core.mounts import PackageSource
from pierhead.core.specs import BUILT_IN
from pierhead.sources.package import MODEL, PackageFetch

Form = Literal["", "q8_0", "f16"]


def demo_cache() -> Path:
    """A weights cache (`sources.weights.Places.cache`) that holds the demo weights as published."""
    demo_model()
    return _root()


def demo_model(form: Form = "") -> Path:
    """The demo model's GGUF file, as published (q4) or converted; fetched and made when it is not there."""
    source = _source(form)
    original = _snapshot(_source("")) if form else None
    if form:
        demo_model()
    # The fetch itself looks first whether the file is there, under a lock that all tests share.
    PackageFetch(source, _snapshot(source), original=original).run(lambda _phase, _share: None)
    return _snapshot(source) / MODEL


def _source(form: Form) -> PackageSource:
    source = BUILT_IN["smollm2_135m_q4"].source
    assert isinstance(source, PackageSource)
    return replace(source, convert=form)


def _root() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "pierhead"


def _snapshot(source: PackageSource) -> Path:
    # The layout of sources/weights.py; test_sources.py holds both together.
    tail = f"-{source.convert}" if source.convert else ""
    return _root() / "package" / f"{source.member_sha256[:16]}{tail}"
