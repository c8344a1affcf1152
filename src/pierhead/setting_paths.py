"""Paths that follow from other settings where nobody names them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pierhead.setting_sources import BadSetting


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """`$XDG_DATA_HOME/pierhead`, else `~/.local/share/pierhead`."""
    base = environ.get("XDG_DATA_HOME") or ""
    root = Path(base) if base.startswith("/") else Path("~/.local/share").expanduser()
    return root / "pierhead"


def completed(data_dir: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Attribute -> its value, of those that `given` leaves open or writes with `~`.

    Raises:
        BadSetting: a certificate goes without its key, or the other way round; authorities are named
            for nobody.
    """
    found: dict[str, Any] = {
        name: data_dir / name.removesuffix("_dir")
        for name in ("models_dir", "cache_dir", "environments_dir")
        if given[name] == Path()
    }
    for name in ("engines_llama_server", "engines_vllm", "engines_transformers"):
        if given[name].startswith("~"):
            found[name] = str(Path(given[name]).expanduser())
    return found | _tls(data_dir / "tls", given)


def _tls(folder: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    if given["tls_hub_ca"] != Path() and not given["hub_url"].strip().startswith("https://"):
        raise BadSetting(
            "The setting tls.hub_ca is for hubs elsewhere that speak TLS: it needs hub_url with https://."
        )
    named = (given["tls_certificate"] != Path(), given["tls_key"] != Path())
    if given["tls_self_signed"] and not named[0]:
        return {"tls_certificate": folder / "certificate.pem", "tls_key": folder / "key.pem"}
    if named[0] != named[1]:
        raise BadSetting("The settings tls.certificate and tls.key need each other.")
    return {}
