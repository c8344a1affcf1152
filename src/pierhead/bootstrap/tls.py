"""The certificate of both ports: the operator's files, or one that is made at the first start."""

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from ssl import SSLContext
from urllib.parse import urlsplit

from pierhead import tls
from pierhead.core.errors import Unavailable
from pierhead.settings import Settings, split_address

#: Days that a certificate of our own making is good for: the most that clients accept.
DAYS = 825
_SECONDS = 30.0  #: for openssl
_CONFIG = """[req]
distinguished_name = name
x509_extensions = ours
prompt = no
[name]
CN = pierhead
[ours]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,digitalSignature,keyCertSign
extendedKeyUsage = serverAuth
subjectAltName = {names}
"""


@dataclass(frozen=True, slots=True)
class Tls:
    """What a process serves TLS with."""

    certificate: Path
    key: Path
    context: SSLContext


def ready(settings: Settings) -> Tls | None:
    """The certificate, made if need be; None when there is to be no TLS.

    Raises:
        Unavailable: it cannot be used, or not be made.
    """
    if not settings.tls:
        return None
    certificate, key = settings.tls_certificate, settings.tls_key
    if settings.tls_self_signed and certificate.parent == settings.data_dir / "tls":
        _once(settings, certificate, key)
    try:
        return Tls(certificate, key, tls.server_context(certificate, key))
    except OSError as error:
        why = f"{error}; look at the settings tls.certificate and tls.key"
        raise Unavailable(f"The certificate {certificate}", why) from error


def trust(settings: Settings) -> SSLContext | None:
    """How a gateway knows its hub; None when they speak plain HTTP.

    A hub beside it shows the same certificate; one elsewhere has a name, and authorities vouch for it:
    this machine's, or those of the operator's file alone.

    Raises:
        Unavailable: the certificate cannot be read.
    """
    if urlsplit(settings.hub_endpoint).scheme != "https":
        return None
    elsewhere = bool(settings.hub_url)
    file = settings.tls_hub_ca if elsewhere else settings.tls_certificate
    try:
        return tls.trusting(str(file) if file != Path() else "") if elsewhere else tls.pinned(file)
    except OSError as error:
        raise Unavailable(f"The certificate {file}", str(error)) from error


def names(settings: Settings) -> list[str]:
    """Names and addresses under which clients reach this machine, as far as the settings tell."""
    urls = (*settings.hub_url.split(","), settings.advertise)
    hosts = [split_address(a)[0] for a in (settings.listen, settings.gateway_listen)]
    hosts += [host for url in urls if (host := urlsplit(url).hostname)]
    plain = [name for name in settings.allowed_hosts if name != "*"]
    known = ["localhost", "127.0.0.1", "::1", socket.gethostname().lower(), *hosts, *plain]
    nowhere = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
    return [name for name in dict.fromkeys(known) if name and name not in nowhere]


def _once(settings: Settings, certificate: Path, key: Path) -> None:
    """Hub and gateway start together; whoever is first makes it."""
    folder = certificate.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (certificate.exists() and key.exists()):
            _make(names(settings), certificate, key)


def _make(hosts: list[str], certificate: Path, key: Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise Unavailable(
            "A certificate of our own",
            "it is made with the program openssl, which is not installed: install it, or set "
            "tls.certificate and tls.key to files of yours",
        )
    alternatives = ",".join(f"{_kind(host)}:{host}" for host in hosts)
    with tempfile.TemporaryDirectory(dir=certificate.parent) as folder:
        config = Path(folder) / "config"
        config.write_text(_CONFIG.format(names=alternatives))
        made = (Path(folder) / "certificate.pem", Path(folder) / "key.pem")
        argv = [
            *(program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-sha256", "-days", str(DAYS), "-config", str(config)),
            *("-out", str(made[0]), "-keyout", str(made[1])),
        ]
        _run(argv)
        made[1].chmod(0o600)
        made[1].replace(key)
        made[0].replace(certificate)  # last: with it, both are there


def _run(argv: list[str]) -> None:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        subprocess.run(
            argv,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            env=environment,
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise Unavailable("A certificate of our own", f"openssl says: {''.join(said)}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable("A certificate of our own", f"openssl: {error}") from error


def _kind(host: str) -> str:
    with suppress(ValueError):
        ip_address(host)
        return "IP"
    return "DNS"
