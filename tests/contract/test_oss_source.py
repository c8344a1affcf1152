"""OSS against a double that checks its signatures: listing, ranges, tokens, refusals, and where it may connect."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import alibabacloud_oss_v2 as vendor
import pytest

from oss_double import OssDouble
from pierhead.core.errors import Invalid, Unavailable
from pierhead.core.manifest import Entry
from pierhead.sources import oss as oss_module
from pierhead.sources.addresses import Egress, Http, endpoint
from pierhead.sources.oss import Keys, OssFolder, address
from pierhead.sources.remote import (
    Changed,
    Denied,
    Flaky,
    Missing,
    Rejected,
    RemoteError,
)
from pierhead.sources.snapshots import Snapshots
from store_world import KIB, LOCAL, content, never, nobody, options, oss, same

SECRET = "SKTEST"
ROOT = Path(__file__).parents[2]
DRIVE = Path(__file__).parent / "oss2_client" / "drive.py"


@pytest.fixture
def double(tmp_path: Path) -> Iterator[OssDouble]:
    root = tmp_path / "store"
    (root / "weights").mkdir(parents=True)
    with OssDouble(root) as made:
        yield made


def fill(double: OssDouble) -> dict[str, bytes]:
    objects = {"model.gguf": content(700 * KIB), "sub/Ünï code+1 %.json": b"{}", "empty": b""}
    for key, raw in objects.items():
        double.put(f"weights/m/{key}", raw)
    double.put("weights/m2/other", b"not below m/")
    return objects


# ---- reading ---------------------------------------------------------------------------------------


def test_a_folder_arrives_signed_and_checked(double: OssDouble, tmp_path: Path) -> None:
    objects = fill(double)
    with_slash, without = oss(double, "m/"), oss(double, "m")
    assert with_slash.listing() == without.listing()
    for folder in (with_slash, without):
        made = Snapshots(tmp_path / "cache", time.time, options()).fetch(folder, nobody, never)
        assert same(made.files, objects)
        folder.close()
    assert {row["auth"] for row in double.log()} == {"OSS4"}
    assert all(row["range"] for row in double.log() if row["key"] and row["method"] == "GET")


def test_one_object_may_be_the_whole_folder(double: OssDouble) -> None:
    objects = fill(double)
    folder = oss(double, "m/model.gguf")
    (entry,) = folder.listing().entries
    assert (entry.key, entry.size) == ("model.gguf", 700 * KIB)
    assert b"".join(folder.read(entry, 10, 100)) == objects["model.gguf"][10:110]
    folder.close()


def test_listings_of_many_pages_are_read_to_their_end(double: OssDouble) -> None:
    for number in range(1203):
        double.put(f"weights/many/f{number}", b"")
    folder = oss(double, "many/")
    assert len(folder.listing().entries) == 1203
    folder.close()


def test_the_sum_of_an_object_that_was_not_read_is_asked_for(double: OssDouble) -> None:
    fill(double)
    folder = oss(double)
    found = {entry.key: folder.crc64(entry) for entry in folder.listing().entries}
    assert found["empty"] == 0
    assert all(isinstance(number, int) for number in found.values())
    folder.close()


def test_the_double_checks_the_older_signature_too(double: OssDouble) -> None:
    """The vendor's own client, as a second witness of the double: it is not ours that it agrees with."""
    fill(double)
    config = vendor.config.load_default()
    config.region, config.endpoint, config.use_path_style = "cn-shanghai", double.url, True
    config.signature_version, config.retry_max_attempts = "v1", 1
    for secret, passes in ((SECRET, True), ("wrong", False)):
        config.credentials_provider = vendor.credentials.StaticCredentialsProvider("AKTEST", secret)
        request = vendor.ListObjectsV2Request(bucket="weights", prefix="m/")
        if passes:
            found = vendor.Client(config).list_objects_v2(request)
            assert [row.size for row in found.contents] == [0, 700 * KIB, 2]
        else:
            with pytest.raises(vendor.exceptions.OperationError, match="SignatureDoesNotMatch"):
                vendor.Client(config).list_objects_v2(request)
    assert {row["auth"] for row in double.log()} == {"OSS"}


@pytest.mark.parametrize(("signer", "seen"), [("Auth", "OSS"), ("AuthV4", "OSS4")])
def test_the_vendors_older_sdk_is_a_third_witness(
    double: OssDouble, signer: str, seen: str
) -> None:
    """oss2 signs by code of its own: what the double accepts is not what one SDK happens to send."""
    python = ROOT / ".cache/oss2/bin/python"
    if not python.exists():
        pytest.skip(
            "NO SECOND SIGNER IS TESTED: the vendor's older SDK is not there (make test-deps)"
        )
    objects = fill(double)
    key = "m/sub/Ünï code+1 %.json"
    for secret in (SECRET, "wrong"):
        command = [str(python), str(DRIVE), signer, secret, double.url, key]
        said = json.loads(
            subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
        )
        if secret == SECRET:
            assert set(said["keys"]) == {f"m/{name}" for name in objects}
            assert said["part"] == "}"
        else:
            assert said == {"status": 403, "code": "SignatureDoesNotMatch"}
    assert {row["auth"] for row in double.log()} == {seen}


# ---- refusals: one sentence each, and nothing leaks --------------------------------------------------


def refused(folder: OssFolder, kind: type[RemoteError], words: str) -> str:
    with pytest.raises(kind, match=words) as caught:
        folder.listing()
    folder.close()
    message = caught.value.message
    assert SECRET not in message
    assert "Signature=" not in message
    assert "\n" not in message
    assert message.startswith("oss://weights/")
    return message


def test_wrong_credentials_and_places_are_said_in_one_sentence(double: OssDouble) -> None:
    fill(double)
    words = r"the store does not know the access key .*\(403 InvalidAccessKeyId, request 5C3D"
    refused(oss(double, access_key_id="WRONG"), Denied, words)
    refused(oss(double, secret="wrong"), Denied, "secret of the connection does not fit")
    anonymous = oss(double, access_key_id="", secret="")
    refused(anonymous, Denied, r"access key .* may not read it \(403 AccessDenied")
    assert double.log()[-1]["auth"] == ""
    refused(oss(double, "nothing/here/"), Missing, "no objects below it")
    gone = OssFolder(
        address("weights-gone", "m/", double.url, "cn-shanghai"),
        lambda: Keys("AKTEST", SECRET),
        LOCAL,
        time.time,
    )
    with pytest.raises(Missing, match=r"bucket does not exist there \(404 NoSuchBucket"):
        gone.listing()
    gone.close()


def test_an_object_that_is_another_one_now_or_gone_is_told(double: OssDouble) -> None:
    fill(double)
    folder = oss(double)
    entry = next(entry for entry in folder.listing().entries if entry.key == "model.gguf")
    double.put("weights/m/model.gguf", content(700 * KIB, 3))
    with pytest.raises(Changed, match="412 PreconditionFailed"):
        list(folder.read(entry, 0, 10))
    (double.root / "weights/m/model.gguf").unlink()
    with pytest.raises(Missing, match="does not exist any more"):
        list(folder.read(entry, 0, 10))
    folder.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, Flaky), (503, Flaky), (429, Flaky), (408, Flaky), (403, Denied), (400, Rejected)],
)
def test_what_may_pass_is_told_from_what_stays(
    double: OssDouble, status: int, kind: type[RemoteError]
) -> None:
    fill(double)
    double.faults({"kind": "status", "value": status})
    folder = oss(double)
    entry = folder.listing().entries[1]
    with pytest.raises(kind, match=str(status)) as caught:
        list(folder.read(entry, 0, 10))
    assert caught.value.permanent is (kind is not Flaky)
    folder.close()


def test_redirects_are_not_followed(double: OssDouble) -> None:
    """Law: a store's redirect is not followed (F30)."""
    fill(double)
    double.faults({"kind": "status", "value": 302})
    folder = oss(double)
    entry = folder.listing().entries[1]
    double.forget()
    with pytest.raises(Rejected, match="redirects, which is not followed"):
        list(folder.read(entry, 0, 10))
    assert len(double.log()) == 1
    folder.close()


def test_a_clock_that_is_off_is_said_with_its_error(double: OssDouble) -> None:
    folder = oss(double)
    folder._clock = lambda: time.time() + 1800
    ahead = folder._denied(
        "RequestTimeTooSkewed",
        "403 RequestTimeTooSkewed",
        {"date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())},
    )
    assert "clock of this machine is 1" in ahead.message
    assert "s ahead of the store's" in ahead.message
    folder.close()


# ---- temporary keys --------------------------------------------------------------------------------


def test_a_token_that_expires_meanwhile_is_renewed_and_the_download_goes_on(tmp_path: Path) -> None:
    root = tmp_path / "store"
    (root / "weights").mkdir(parents=True)
    with OssDouble(root, "--sts", "FIRST") as double:
        objects = fill(double)
        tokens = ["FIRST"]

        def keys() -> Keys:
            return Keys("AKTEST", SECRET, tokens[-1])

        place = address("weights", "m/", double.url, "cn-shanghai")
        folder = OssFolder(place, keys, LOCAL, time.time)
        seen = 0

        def expire(progress: object) -> None:
            nonlocal seen
            seen += 1
            if seen == 2:  # listed, and begun
                tokens.append("SECOND")
                double.token("SECOND")

        double.faults({"kind": "slow", "value": 400 * KIB, "times": 4, "min_size": KIB})
        cache = Snapshots(tmp_path / "cache", time.time, options(connections=2))
        assert same(cache.fetch(folder, expire, never).files, objects)
        assert "SECOND" in tokens
        double.token("THIRD")
        with pytest.raises(Denied, match="security token of the connection has expired"):
            folder.listing()
        folder.close()


def test_keys_do_not_show_their_secrets() -> None:
    shown = repr(Keys("AK", "very secret", "token too"))
    assert "very secret" not in shown
    assert "token too" not in shown


# ---- addresses -------------------------------------------------------------------------------------


def test_an_endpoint_may_not_lead_inside_unless_the_operator_says_so(double: OssDouble) -> None:
    fill(double)
    place = address("weights", "m/", double.url, "cn-shanghai")
    for egress, kind in (
        (Egress(), "a loopback address"),
        (Egress(allowed=("10.0.0.0/8",)), "a loopback address"),
    ):
        folder = OssFolder(place, lambda: Keys("AKTEST", SECRET), egress, time.time)
        with pytest.raises(Denied, match=f"it leads to {kind}"):
            folder.listing()
    assert double.log() == []
    allowed = Egress(allowed=("127.0.0.0/8",))
    folder = OssFolder(place, lambda: Keys("AKTEST", SECRET), allowed, time.time)
    assert folder.listing()
    folder.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254",
        "http://100.100.100.200",
        "http://[::ffff:169.254.169.254]",
        "http://[::ffff:a9fe:a9fe]",
        "http://[fd00:ec2::254]",
        "http://0x64.0x64.0x64.0xc8",
        "http://1684301000",
    ],
)
def test_metadata_services_are_never_reached(url: str) -> None:
    """Law: metadata services are refused in every notation, whatever the operator allows (F30)."""
    place = address("weights", "m/", url, "cn-shanghai")
    folder = OssFolder(place, lambda: Keys("AKTEST", SECRET), Egress(private=True), time.time)
    started = time.monotonic()
    with pytest.raises((Denied, Flaky), match=r"metadata services|no address") as caught:
        folder.listing()
    assert time.monotonic() - started < 5
    assert "169.254" not in caught.value.why


def test_the_address_that_was_checked_is_the_one_connected_to(double: OssDouble) -> None:
    """A name that leads to a public address when it is checked, and inside a moment later."""
    fill(double)
    port = endpoint(double.url).port
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    egress = Egress(private=True, resolve=lambda host, _: next(answers))
    place = address("weights", "m/", f"http://rebinding:{port}", "cn-shanghai")
    assert place.path_style
    folder = OssFolder(place, lambda: Keys("AKTEST", SECRET), egress, time.time)
    assert folder.listing()  # looked up once: a second look would be refused
    folder.listing()  # on the same connection
    folder.close()
    with pytest.raises(Denied, match="metadata"):
        folder.listing()


def test_a_name_with_one_bad_address_is_refused_whole() -> None:
    egress = Egress(resolve=lambda *_: ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(Denied, match="a private address") as caught:
        egress.connect("two.faces", 443, 1)
    assert "10.0.0.1" not in caught.value.message


def test_proxies_of_the_environment_are_not_used(
    double: OssDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(double)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    folder = oss(double)
    assert folder.listing()
    folder.close()


def test_certificates_are_checked(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises((Flaky, Denied)):
            Http(LOCAL, 5).send("GET", f"https://127.0.0.1:{port}/", {})
        thread.join(10)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://host",
        "http://user:pass@host",
        "http://host/path",
        "http://host?x=1",
        "http://host#f",
        "http://",
        "",
        "host\r\nX: y",
        "http://ho st",
        "http://[::1",
        "http://host:99999",
        "file:///etc/passwd",
        "http://hóst",
    ],
)
def test_an_endpoint_is_a_scheme_a_host_and_a_port(text: str) -> None:
    with pytest.raises(Invalid):
        endpoint(text)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("oss-cn-shanghai.aliyuncs.com", "cn-shanghai"),
        ("oss-cn-beijing-internal.aliyuncs.com", "cn-beijing"),
        ("https://oss-ap-southeast-1.aliyuncs.com", "ap-southeast-1"),
    ],
)
def test_the_region_follows_from_the_vendors_endpoints(host: str, region: str) -> None:
    found = address("bucket", "/a/b", host)
    assert (found.region, found.path_style, found.prefix) == (region, False, "a/b")
    assert address("bucket", "", "", region).endpoint.host == f"oss-{region}.aliyuncs.com"


@pytest.mark.parametrize(
    ("bucket", "where", "region", "field"),
    [
        ("UPPER", "", "cn-shanghai", "bucket"),
        ("a/b", "", "cn-shanghai", "bucket"),
        ("evil.com#", "", "cn-shanghai", "bucket"),
        ("good-one", "", "", "endpoint"),
        ("good-one", "store.example", "", "region"),
        ("good-one", "", "cn/../x", "region"),
    ],
)
def test_addresses_that_cannot_be_are_refused(
    bucket: str, where: str, region: str, field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        address(bucket, "m/", where, region)
    assert caught.value.field == field


# ---- answers that make no sense ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n<ListBucketResult",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"",
    ],
)
def test_a_server_that_is_no_store_is_one_sentence(answer: bytes) -> None:
    with pytest.raises(RemoteError) as caught:
        speaking(answer)
    assert len(caught.value.message) < 200


def speaking(answer: bytes) -> None:
    """List a folder of a server that says this and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        place = address("weights", "m/", url, "cn-shanghai")
        folder = OssFolder(place, lambda: Keys("AKTEST", SECRET), LOCAL, time.time)
        try:
            folder.listing()
        finally:
            thread.join(10)
            folder.close()


def test_another_range_than_asked_for_is_not_taken(double: OssDouble) -> None:
    """A server that ignores ranges would put the object's beginning into its middle."""
    body = (
        b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-9/100\r\nContent-Length: 10\r\n\r\n0123456789"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(body)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        place = address("weights", "m/", url, "cn-shanghai")
        folder = OssFolder(place, lambda: Keys("AKTEST", SECRET), LOCAL, time.time)
        with pytest.raises(Rejected, match="another range of a"):
            list(folder.read(Entry("a", 100, "X"), 50, 10))
        thread.join(10)
        folder.close()


# ---- without the SDK -------------------------------------------------------------------------------


def test_without_the_sdk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "alibabacloud_oss_v2", None)
    with pytest.raises(Unavailable, match=r"pip install 'pierhead\[oss\]'"):
        OssFolder(
            address("weights", "", "", "cn-shanghai"), lambda: Keys("a", "b"), Egress(), time.time
        )


def test_importing_the_source_does_not_import_the_sdk() -> None:
    program = f"import sys, {oss_module.__name__}; sys.exit('alibabacloud_oss_v2' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
