"""What can be said about the dependencies without asking anybody: lock, digests, licences.

* every dependency is pinned in uv.lock, and every file of it with a SHA-256;
* what is installed is what the lock says;
* every licence is one that may be shipped with, or used beside, Apache-2.0.

Known vulnerabilities are another matter: that needs a service, so it is `make audit`.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

#: Identifiers, and what older packages write in their place.
ALLOWED = {
    *("MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "PSF-2.0", "0BSD"),
    *("Zlib", "CC0-1.0", "Unlicense", "MPL-2.0"),
    *("MIT License", "BSD License", "Apache Software License", "Apache", "ISC License (ISCL)"),
    *("Python Software Foundation License", "Mozilla Public License 2.0 (MPL 2.0)"),
}
#: Package -> why its licence is all right though it is none of these, or is not told.
EXCEPTIONS = {
    "psycopg": "LGPL-3.0: an extra, imported as a library, never changed or shipped by us",
    "psycopg-binary": "as psycopg",
    "eas-prediction": "tells none; the vendor's own client, used by tests only",
}
#: What the environment itself brings.
OURS = {"pierhead", "pip", "setuptools", "wheel"}


def locked() -> dict[str, list[dict[str, Any]]]:
    """The lock's packages by name; of several versions each counts for another Python."""
    found: dict[str, list[dict[str, Any]]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]:
        found.setdefault(package["name"], []).append(package)
    return found


def digests(packages: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Packages that come from elsewhere than a registry, and files without a digest."""
    for package in (one for several in packages.values() for one in several):
        name, source = package["name"], package["source"]
        if name == "pierhead":
            continue
        if "registry" not in source:
            yield f"{name} does not come from a registry: {source}"
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        if not files:
            yield f"{name} has no files"
        for file in files:
            if not re.fullmatch(r"sha256:[0-9a-f]{64}", file.get("hash", "")):
                yield f"{name}: {file.get('url', '?').rpartition('/')[2]} has no SHA-256"


def installed() -> dict[str, metadata.Distribution]:
    """What this environment holds, by name as the lock spells it."""
    return {
        re.sub(r"[-_.]+", "-", str(one.metadata["Name"])).lower(): one
        for one in metadata.distributions()
    }


def versions(packages: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Packages that are installed in another version than the locked one.

    Somebody may try further packages out in the environment; those are none of the project's.
    """
    for name, one in installed().items():
        known = {package["version"] for package in packages.get(name, []) if "version" in package}
        if name not in OURS and known and one.version not in known:
            yield f"{name} {one.version} is installed, {', '.join(known)} is locked: make install"


def licences(packages: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Packages whose licence nobody has looked at yet."""
    for name, one in sorted(installed().items()):
        if name in OURS or name in EXCEPTIONS or name not in packages:
            continue
        told = _licences(one)
        odd = [each for each in told if each not in ALLOWED]
        if odd or not told:
            yield (
                f"{name}: {', '.join(odd) or 'no licence told'}; add it to ALLOWED or EXCEPTIONS "
                "in scripts/check_dependencies.py, or do without the package"
            )


def _licences(one: metadata.Distribution) -> list[str]:
    expression = one.metadata.get("License-Expression")
    if expression:
        return _parts(expression)
    classifiers = one.metadata.get_all("Classifier") or []
    told = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License :: ")]
    told = [text for text in told if text != "OSI Approved"]
    plain = str(one.metadata.get("License") or "").strip()
    return told or (_parts(plain) if "\n" not in plain else [])


def _parts(expression: str) -> list[str]:
    return [each for each in re.split(r"\s+(?:AND|OR)\s+|[()]", expression) if each.strip()]


def main() -> int:
    """Exit code: 0 when nothing was found."""
    packages = locked()
    problems = [*digests(packages), *versions(packages), *licences(packages)]
    print("\n".join(problems) or f"{len(packages)} packages: pinned, with digests, licences known")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
