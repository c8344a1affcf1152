"""Stores that mean ill: answers without end or drop by drop, listings that lie, addresses that lead inside.

Each ends soon, in one sentence that repeats nothing of what the store said.
"""

import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pierhead.core.connections import Account, Connection, check
from pierhead.core.connections import Keys as Secrets
from pierhead.core.errors import Invalid, PierheadError
from pierhead.core.manifest import Entry, Manifest
from pierhead.sources import addresses, answers
from pierhead.sources.addresses import Egress, Http, endpoint
from pierhead.sources.model_shapes import far_files
from pierhead.sources.oss import Keys, OssFolder, address
from pierhead.sources.remote import Denied, Flaky, Rejected
from pierhead.sources.s3 import S3Remote
from pierhead.sources.snapshots import Snapshots
from store_world import KIB, LOCAL, Memory, never, nobody, options, same

MIB = KIB * KIB
SECONDS = 0.5  #: that the client waits for an answer
PATIENCE = 6.0  #: seconds after which a test calls it a hang
SECRET = "a-secret-of-the-connection"
CANARY = "canary-of-a-foreign-server"

Talk = Callable[[socket.socket], None]
Folder = OssFolder | S3Remote


@contextmanager
def talking(talk: Talk) -> Generator[str]:
    """The address of a server that says this to everybody."""
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(PATIENCE)
            talk(connection)

    def accept(server: socket.socket) -> None:
        with suppress(OSError):
            while not over.is_set():
                connection, _ = server.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, args=(server,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        over.set()
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def oss(url: str, egress: Egress = LOCAL) -> OssFolder:
    place = address("weights", "m/", url, "cn-shanghai")
    folder = OssFolder(place, lambda: Keys("AKTEST", SECRET), egress, time.time)
    folder._http.seconds = SECONDS  # pyright: ignore[reportPrivateUsage]
    return folder


def s3(url: str, egress: Egress = LOCAL) -> S3Remote:
    connection = Connection(
        "models",
        "s3",
        bucket="weights",
        endpoint=url,
        region="r1",
        access_key_id="AKTEST",
        allow_private=True,
    )
    folder = S3Remote(
        connection, "m", lambda: Account(connection, Secrets(SECRET)), egress, time.time
    )
    folder._http.seconds = SECONDS  # pyright: ignore[reportPrivateUsage]
    return folder


class Listed:
    """A folder of one file, which is not asked what it holds."""

    name = identity = "a folder"

    def __init__(self, folder: Folder) -> None:
        self.read, self.crc64, self.check = folder.read, folder.crc64, folder.check

    def listing(self) -> Manifest:
        return Manifest([Entry("m.gguf", MIB)])


OPENED: dict[str, Callable[[str], Folder]] = {"oss": oss, "s3": s3}


def refused(act: Callable[[], object], within: float = PATIENCE) -> PierheadError:
    """The one sentence in which it ends, soon."""
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - judged below
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(within)
    assert ended, f"it hangs for more than {within:g} s"
    error = ended[0]
    assert isinstance(error, PierheadError), repr(error)
    message = error.message
    for leaked in (SECRET, CANARY, "Signature=", "\n", "\x1b"):
        assert leaked not in message, message
    assert len(message) < 300
    return error


# ---- answers ---------------------------------------------------------------------------------------


def drip(connection: socket.socket, head: bytes, drop: bytes) -> None:
    """`head` at once, then `drop` ever again, slowly enough to be no flood and fast enough to be no silence."""
    connection.recv(65536)
    connection.sendall(head)
    while True:
        connection.sendall(drop)
        time.sleep(SECONDS / 5)


def flood(connection: socket.socket, head: bytes, wave: bytes) -> None:
    connection.recv(65536)
    connection.sendall(head)
    while True:
        connection.sendall(wave)


def silent(connection: socket.socket) -> None:
    connection.recv(65536)
    time.sleep(PATIENCE)


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS: dict[str, Talk] = {
    "never answers": silent,
    "a status line by drops": lambda talk: drip(talk, b"HTTP/1.1 ", b"2"),
    "headers by drops": lambda talk: drip(talk, OK, b"X: y\r\n"),
    "one header by drops": lambda talk: drip(talk, OK + b"X: ", b"y"),
    "headers without end": lambda talk: flood(talk, OK, b"X: y\r\n" * 1000),
    "one header without end": lambda talk: flood(talk, OK + b"X: ", b"y" * 65536),
    "preliminary answers by drops": lambda talk: drip(talk, b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "preliminary answers without end": lambda talk: flood(
        talk, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000
    ),
    "a body by drops": lambda talk: drip(talk, OK + b"Content-Length: 999999\r\n\r\n", b"<"),
    "a body without end": lambda talk: flood(talk, OK + b"\r\n", b"<a>" * 65536),
    "chunks by drops": lambda talk: drip(talk, CHUNKED, b"1\r\n<\r\n"),
    "a chunk's size by drops": lambda talk: drip(talk, CHUNKED, b"0"),
    "trailers by drops": lambda talk: drip(talk, CHUNKED + b"0\r\n", b"X: y\r\n"),
    "trailers without end": lambda talk: flood(talk, CHUNKED + b"0\r\n", b"X: y\r\n" * 1000),
    "an error by drops": lambda talk: drip(
        talk, b"HTTP/1.1 403 No\r\nContent-Length: 999999\r\n\r\n", b"<"
    ),
}


@pytest.mark.parametrize("kind", OPENED)
@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_without_end_has_one(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_WHOLE_TEXT", 2.0)
    with talking(ENDLESS[name]) as url:
        folder = OPENED[kind](url)
        refused(folder.listing)
        folder.close()


@pytest.mark.parametrize("kind", OPENED)
def test_a_range_without_end_costs_no_memory(kind: str) -> None:
    """The look at a header takes what it asked for, whatever a store sends."""
    head = b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-99/100\r\n\r\n"
    with talking(lambda talk: flood(talk, head, b"GGUF" * 65536)) as url:
        folder = OPENED[kind](url)
        (file,) = far_files(Listed(folder))
        tracemalloc.start()
        try:
            assert file.read(0, 100) == b"GGUF" * 25
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 8 * MIB
        folder.close()


@pytest.mark.parametrize("kind", OPENED)
def test_a_header_by_drops_is_given_up(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at a header keeps a service waiting: it may not last as long as a store likes."""
    monkeypatch.setattr("pierhead.sources.model_shapes.LOOK", 1.0)
    head = b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-16383/16384\r\nContent-Length: 16384\r\n\r\n"
    with talking(lambda talk: drip(talk, head, b"GG")) as url:
        folder = OPENED[kind](url)
        (file,) = far_files(Listed(folder))
        refused(lambda: file.read(0, 16384))
        folder.close()


GARBAGE: dict[str, bytes] = {
    "ssh": b"SSH-2.0-" + CANARY.encode() + b"\r\n",
    "smtp": b"220 " + CANARY.encode() + b" ESMTP\r\n",
    "a page": OK + b"Content-Length: 60\r\n\r\n<html>" + CANARY.encode() + b" " * 60,
    "a reason": b"HTTP/1.1 403 " + CANARY.encode() + b"\x1b[31m\r\nContent-Length: 0\r\n\r\n",
    "a code": b"HTTP/1.1 403 No\r\n\r\n<Error><Code>" + CANARY.encode() + b" text</Code></Error>",
    "a request": b"HTTP/1.1 500 No\r\nx-oss-request-id: " + CANARY.encode()
    + b" text\r\nx-amz-request-id: " + CANARY.encode() + b" text\r\n\r\n",
    "a region": b"HTTP/1.1 400 No\r\nx-amz-bucket-region: " + CANARY.encode() + b" text\r\n\r\n",
    "a place": b"HTTP/1.1 302 No\r\nLocation: http://" + CANARY.encode() + b"/\r\n\r\n",
    "a length": OK + b"Content-Length: " + CANARY.encode() + b"\r\n\r\n",
    "another length": OK + b"Content-Length: 99999999999999999999999999\r\n\r\nx",
    "a chunk": CHUNKED + CANARY.encode() + b"\r\n",
    "a negative chunk": CHUNKED + b"-5\r\n",
    "an encoding": OK + b"Content-Encoding: gzip\r\nContent-Length: 6\r\n\r\n\x1f\x8b\x08\0\0\0",
    "nothing": b"",
    "zeros": b"\0" * 4096,
}  # fmt: skip


@pytest.mark.parametrize("kind", OPENED)
@pytest.mark.parametrize("name", GARBAGE)
def test_what_a_foreign_server_says_is_not_repeated(name: str, kind: str) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(GARBAGE[name])
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)

    with talking(talk) as url:
        folder = OPENED[kind](url)
        refused(folder.listing)
        folder.close()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"\x16\x03\x01\xff\xff" * 99])
def test_garbage_for_tls_is_one_sentence(answer: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    with talking(talk) as url:
        folder = oss(url.replace("http", "https", 1))
        assert isinstance(refused(folder.listing), Flaky)


def test_a_handshake_by_drops_is_given_up() -> None:
    with talking(lambda talk: drip(talk, b"\x16\x03\x03\x40\x00", b"\x02")) as url:
        assert isinstance(refused(oss(url.replace("http", "https", 1)).listing), Flaky)


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS with a certificate that it gave itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_a_certificate_that_nobody_trusts_is_denied(tmp_path: Path) -> None:
    context = self_signed(tmp_path)

    def talk(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).close()

    with talking(talk) as url:
        error = refused(oss(url.replace("http", "https", 1)).listing)
        assert isinstance(error, Denied)
        assert "certificate is not trusted" in error.message


# ---- listings --------------------------------------------------------------------------------------


def listing(*objects: tuple[str, object], token: str = "", more: str = "") -> bytes:
    rows = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f'<ETag>"X"</ETag><Type>Normal</Type><Size>{size}</Size></Contents>'
        for key, size in objects
    )
    going_on = (
        f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
    )
    end = going_on if token else "<IsTruncated>false</IsTruncated>"
    return f"<ListBucketResult><Name>weights</Name>{end}{rows}{more}</ListBucketResult>".encode()


def answering(*bodies: bytes | Callable[[int], bytes]) -> Talk:
    """Gives these bodies in turn, the last one ever again, on one connection or many."""
    turn = iter(range(10**9))

    def talk(connection: socket.socket) -> None:
        while connection.recv(65536):
            number = next(turn)
            body = bodies[min(number, len(bodies) - 1)]
            text = body(number) if callable(body) else body
            connection.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(text) + text)

    return talk


KEYS = [
    "m/../../../etc/passwd",
    "m/a/../b",
    "m/./a",
    "m//etc/passwd",
    "m/a//b",
    "m/a\\..\\b",
    "m/a\nb",
    "m/a\tb",
    "m/a\x7f",
    "m/a\x85b",
    "m/" + "x" * 5000,
    "m/" + "x" * 300,
    "m/" + "/".join(["x" * 200] * 8),
    "m/..",
]


@pytest.mark.parametrize("kind", OPENED)
@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_a_key_that_is_no_path_leaves_nothing_behind(key: str, kind: str, tmp_path: Path) -> None:
    """Law: an object's name cannot lead out of the folder that it is fetched into (F31)."""
    body = listing(("m/good.gguf", 5), (key, 5))
    with talking(answering(body)) as url:
        folder = OPENED[kind](url)
        cache = Snapshots(tmp_path / "cache", time.time, options(tries=1))
        error = refused(lambda: cache.fetch(folder, nobody, never))
        assert isinstance(error, Invalid)
        assert error.message.isascii()
        folder.close()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", OPENED)
@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ([("m/a", 1), ("m/a/b", 1)], "a file and a folder"),
        ([("m/a", 1), ("m/a", 2)], "listed twice"),
        ([("m/a/", 3)], "named as a folder"),
        ([("m/a", -1)], "negative|cannot be read|without a size"),
        ([("m/a", 1 << 63)], "impossible size"),
        ([("m/a", "9" * 400)], "impossible size"),
        ([("m/a", "9" * 5000)], "cannot be read|without a size"),
        ([("m/a", "many")], "cannot be read|without a size"),
        ([(f"m/{number}", 1) for number in range(10_001)], "more than 10000"),
    ],
    ids=range(9),
)
def test_a_listing_that_cannot_be_true_is_refused(
    objects: list[tuple[str, object]], words: str, kind: str
) -> None:
    with talking(answering(listing(*objects))) as url:
        folder = OPENED[kind](url)
        error = refused(folder.listing)
        assert pytest.raises(PierheadError, match=words).matches(error), error.message
        folder.close()


def test_names_that_differ_in_case_alone_are_two_files(tmp_path: Path) -> None:
    """File systems here tell them apart; each keeps its own content."""
    objects = {"Model.gguf": b"upper", "model.gguf": b"lower", "MODEL/a": b"1", "model/a": b"2"}
    found = Snapshots(tmp_path, time.time, options()).fetch(Memory(objects), nobody, never)
    assert same(found.files, objects)


@pytest.mark.parametrize("kind", OPENED)
@pytest.mark.parametrize(
    "pages",
    [
        answering(listing(("m/a", 1), token="same")),
        answering(listing(token="same")),
        answering(lambda number: listing(token=f"t{number}")),
        answering(lambda number: listing((f"m/{number}", 1), token=f"t{number}")),
    ],
    ids=["the same page", "the same empty page", "ever new empty pages", "ever new pages"],
)
def test_a_listing_without_end_is_refused(
    pages: Talk, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pierhead.sources.pages._SECONDS", 3.0)
    with talking(pages) as url:
        folder = OPENED[kind](url)
        error = refused(folder.listing, 10)
        assert "does not end" in error.message or "more than 10000" in error.message
        folder.close()


@pytest.mark.parametrize("kind", OPENED)
def test_small_pages_are_read_to_the_last(kind: str) -> None:
    """A store may give fewer objects than were asked for: what is left out would be missing weights."""

    def page(number: int) -> bytes:
        return listing((f"m/{number:03}", 1), token=f"t{number}" if number < 99 else "")

    with talking(answering(page)) as url:
        folder = OPENED[kind](url)
        assert len(folder.listing().entries) == 100
        folder.close()


LAUGHS = (
    b'<!DOCTYPE a [<!ENTITY a "ha">%s]><ListBucketResult><Name>&z;</Name></ListBucketResult>'
    % (
        b"".join(
            b'<!ENTITY %c "%s">' % (letter, b"&%c;" % (letter - 1) * 10)
            for letter in range(98, 123)
        )
    )
)
XML: dict[str, bytes] = {
    "a billion laughs": LAUGHS,
    "a file": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><ListBucketResult>'
    b"<Contents><Key>m/&x;</Key><Size>1</Size></Contents></ListBucketResult>",
    "five million elements": b"<ListBucketResult>" + b"<a/>" * 3_900_000 + b"</ListBucketResult>",
    "a million levels": b"<ListBucketResult>" + b"<a>" * 1_000_000 + b"</a>" * 1_000_000
    + b"</ListBucketResult>",
    "deep and never closed": b"<ListBucketResult>" + b"<a>" * 4_000_000,
    "twenty megabytes": b"<ListBucketResult>" + b" " * 20 * MIB + b"</ListBucketResult>",
    "no encoding": b"<?xml version='1.0' encoding='utf-99'?><ListBucketResult/>",
    "a NUL": listing(("m/a\0b", 1)),
}  # fmt: skip


@pytest.mark.parametrize("kind", OPENED)
@pytest.mark.parametrize("name", XML)
def test_hostile_xml_is_one_sentence_without_memory(name: str, kind: str) -> None:
    with talking(answering(XML[name])) as url:
        folder = OPENED[kind](url)
        tracemalloc.start()
        try:
            refused(folder.listing, 20)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 96 * MIB, f"{peak / MIB:.0f} MiB"
        folder.close()


# ---- addresses -------------------------------------------------------------------------------------

LOOPBACK = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "0.0.0.0", "0",
    "localhost", "localhost.", "LOCALHOST", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]",
]  # fmt: skip
INSIDE = ["10.0.0.1", "192.168.1.1", "[fd00::1]", "[fc00::1]", "[::ffff:10.0.0.1]", "[fe80::1]"]
METADATA = [
    "169.254.169.254", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "100.100.100.200",
    "[::ffff:100.100.100.200]", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376",
    "[fd00:ec2::254]", "168.63.129.16",
]  # fmt: skip


@pytest.mark.parametrize("kind", OPENED)
@pytest.mark.parametrize("host", [*LOOPBACK, *INSIDE, *METADATA])
@pytest.mark.parametrize("port", ["", ":22", ":25"])
def test_no_endpoint_leads_inside(host: str, port: str, kind: str) -> None:
    """Law: no endpoint of a user's leads to this machine or its network (F30)."""
    open_ = {"oss": oss, "s3": s3}[kind]
    error = refused(lambda: open_(f"http://{host}{port}", Egress()).listing(), 5)
    assert isinstance(error, Denied | Flaky | Invalid)
    assert any(word in error.message for word in ("it leads to", "no address")), error.message


@pytest.mark.parametrize("host", METADATA)
def test_not_even_the_operator_leads_to_metadata_services_by_chance(host: str) -> None:
    """Law: an operator's allowance of private networks opens no metadata service (F30)."""
    error = refused(lambda: oss(f"http://{host}", Egress(private=True)).listing(), 5)
    assert any(word in error.message for word in ("metadata", "no address")), error.message


@pytest.mark.parametrize(
    ("first", "later", "kind"),
    [
        (["93.184.216.34"], ["127.0.0.1"], "loopback"),
        (["127.0.0.1", "93.184.216.34"], [], "loopback"),
        (["93.184.216.34", "169.254.169.254"], [], "metadata"),
        (["fe80::1%eth0"], [], "metadata"),
        (["not an address"], [], "no address"),
    ],
)
def test_a_name_is_believed_once_per_connection(
    first: list[str], later: list[str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: a name that resolves to another address later leads nowhere new (F30)."""
    asked: list[list[str]] = []

    def resolve(*_: object) -> list[str]:
        asked.append(later if asked and later else first)
        return asked[-1]

    connected: list[str] = []

    def connect(place: tuple[str, int], **_: object) -> socket.socket:
        connected.append(place[0])
        raise TimeoutError

    monkeypatch.setattr(addresses.socket, "create_connection", connect)
    folder = oss("http://rebinding.example", Egress(resolve=resolve))
    error = refused(folder.listing)
    if later:
        assert connected == ["93.184.216.34"]
        assert len(asked) == 1, "looked up once"
        error = refused(folder.listing)
    assert kind in error.message
    assert "127.0.0.1" not in connected
    assert "169.254.169.254" not in connected


def test_a_name_with_many_silent_addresses_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def connect(place: tuple[str, int], **_: object) -> socket.socket:
        tried.append(place[0])
        raise TimeoutError

    monkeypatch.setattr(addresses.socket, "create_connection", connect)
    many = [f"93.184.216.{number}" for number in range(1, 255)]
    refused(oss("http://many.example", Egress(resolve=lambda _host, _port: many)).listing)
    assert 1 <= len(tried) <= 4


@pytest.mark.parametrize(
    "where",
    [
        "http://127.0.0.1@evil.example", "http://evil.example@127.0.0.1", "http://user:pw@host",
        "ftp://host", "file:///etc/passwd", "gopher://127.0.0.1:25/x", "http://host/path",
        "http://host?x", "http://host#x", "http://host:0x50", "http://host:99999", "http://host:-1",
        "http://ho\r\nst", "http://ho\0st", "http://host:80:80", "http://[::1", "javascript:alert(1)",
        "http://\u2488.0.0.1", "http://１２７.0.0.1", "http://host\\@evil", "//host", "http:host",
    ],
)  # fmt: skip
def test_an_endpoint_is_plain_or_refused(where: str) -> None:
    with pytest.raises(Invalid):
        connection = Connection(
            "models", "oss", bucket="weights", endpoint=where, region="cn-shanghai"
        )
        check(connection)
        endpoint(where)
    with pytest.raises(Invalid):
        endpoint(where)


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/", "http://127.0.0.1:1/", "//x", "file:///etc/passwd"]
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", OPENED)
def test_a_redirect_leads_nowhere(status: int, target: str, kind: str) -> None:
    """Law: a redirect is not followed, wherever it leads (F30)."""
    asked: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(
            f"HTTP/1.1 {status} Go\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
        )

    with talking(talk) as url:
        folder = OPENED[kind](url)
        assert isinstance(refused(folder.listing), Rejected)
        folder.close()
    assert len(asked) == 1


def test_a_connection_is_not_shared_between_places() -> None:
    """Two names on one port: what was checked for the one is not used for the other."""

    def resolve(host: str, _: int) -> list[str]:
        return ["127.0.0.1" if host == "a" else "169.254.1.1"]

    with talking(answering(listing(("m/a", 1)))) as url:
        port = endpoint(url).port
        http = Http(Egress(private=True, resolve=resolve))
        assert http.send("GET", f"http://a:{port}/", {}).text()
        with pytest.raises(Denied):
            http.send("GET", f"http://b:{port}/", {})
        http.close()
