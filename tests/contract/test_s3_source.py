"""`s3://`: signatures, listings, ranges and refusals, against a store on loopback that checks them."""

import hashlib
import random
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import obstore
import pytest
from obstore.exceptions import PermissionDeniedError
from obstore.store import S3Store

from pierhead.core.connections import Account, Connection, Keys
from pierhead.core.errors import Invalid, Unavailable
from pierhead.core.manifest import Entry
from pierhead.core.mounts import S3Source
from pierhead.sources.addresses import Egress
from pierhead.sources.download import Options
from pierhead.sources.openers import Renewed, opened
from pierhead.sources.remote import Changed, Damaged, Denied, Flaky, Missing, Rejected, RemoteError
from pierhead.sources.s3 import Request, S3Remote, Scope, authorization
from pierhead.sources.s3_sums import told
from pierhead.sources.snapshots import Snapshots
from pierhead.sources.sums import begun
from s3_double import BUCKET, KEY, REGION, SECRET, Store, serving

CONTENT = random.Random(4).randbytes(300_000)
FILES = {
    "llama/model.gguf": CONTENT,
    "llama/sub/a b+c%20é.txt": b"odd",
    "llama/empty.txt": b"",
    "llama/": b"",
    "llama2/other.gguf": b"other",
}


@pytest.fixture
def store() -> Iterator[Store]:
    with serving() as store:
        store.objects = dict(FILES)
        yield store


def account(store: Store, secret: str = SECRET, token: str = "", **changes: str) -> Account:
    connection = Connection(
        "models",
        "s3",
        bucket=BUCKET,
        endpoint=store.url,
        region=REGION,
        access_key_id=KEY,
        allow_private=True,
    )
    return Account(replace(connection, **changes), Keys(secret, token))  # pyright: ignore[reportArgumentType]


def remote(
    store: Store, prefix: str = "llama/", keys: Callable[[], Account] | None = None, **changes: str
) -> S3Remote:
    own = account(store, **changes)
    return S3Remote(own.connection, prefix, keys or (lambda: own), Egress(private=True), time.time)


# --- signatures ---------------------------------------------------------------------------------------------

#: The reference's own examples, "Signature Calculations for the Authorization Header".
VENDOR = Scope(
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "us-east-1",
    "20130524T000000Z",
)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("path", "query", "headers", "signature"),
    [
        (
            "/test.txt",
            "",
            {"range": "bytes=0-9"},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "/",
            "max-keys=2&prefix=J",
            {},
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_a_request_is_signed_as_the_reference_does(
    path: str, query: str, headers: dict[str, str], signature: str
) -> None:
    own = {"x-amz-content-sha256": EMPTY, "x-amz-date": VENDOR.at}
    request = Request("examplebucket.s3.amazonaws.com", path, query, {**headers, **own})
    assert authorization(request, VENDOR).endswith(f"Signature={signature}")


def test_the_double_checks_as_another_client_signs(store: Store) -> None:
    def other(secret: str) -> S3Store:
        return S3Store(
            BUCKET,
            endpoint=store.url,
            region=REGION,
            access_key_id=KEY,
            secret_access_key=secret,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

    assert bytes(obstore.get(other(SECRET), "llama/model.gguf").bytes()) == CONTENT
    with pytest.raises(PermissionDeniedError):
        obstore.get(other("wrong"), "llama/model.gguf")


# --- reading ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["llama/", "llama", "/llama/"])
@pytest.mark.parametrize("page", [1, 1000])
def test_a_folder_is_listed_page_by_page_and_read_by_ranges(
    store: Store, prefix: str, page: int
) -> None:
    store.page = page
    found = remote(store, prefix)
    entries = {entry.key: entry for entry in found.listing().entries}
    assert set(entries) == {"model.gguf", "sub/a b+c%20é.txt", "empty.txt"}
    model = entries["model.gguf"]
    assert model.size == len(CONTENT)
    assert b"".join(found.read(model, 100_000, 1000)) == CONTENT[100_000:101_000]
    assert b"".join(found.read(entries["sub/a b+c%20é.txt"], 0, 3)) == b"odd"
    assert b"".join(found.read(entries["empty.txt"], 0, 0)) == b""
    found.close()


def test_a_prefix_may_name_one_object(store: Store) -> None:
    found = remote(store, "llama/model.gguf")
    (entry,) = found.listing().entries
    assert entry.key == "model.gguf"
    assert b"".join(found.read(entry, 7, 3)) == CONTENT[7:10]
    found.close()


def test_an_object_that_changed_is_not_read(store: Store) -> None:
    found = remote(store)
    entries = {entry.key: entry for entry in found.listing().entries}
    store.objects["llama/model.gguf"] = CONTENT[::-1]
    with pytest.raises(Changed):
        list(found.read(entries["model.gguf"], 0, 10))
    found.close()


def test_a_cut_connection_is_a_flaky_one_or_ends_early(store: Store) -> None:
    store.cuts = [1000]
    found = remote(store)
    got = bytearray()
    try:
        for piece in found.read(Entry("model.gguf", len(CONTENT)), 0, 100_000):
            got += piece
    except Flaky:
        pass
    assert bytes(got) == CONTENT[: len(got)]
    assert len(got) <= 1000
    found.close()


def test_a_snapshot_is_whole_whatever_is_cut(store: Store, tmp_path: Path) -> None:
    store.cuts = [10, 20_000, 5]
    snapshots = Snapshots(
        tmp_path, time.time, Options(part_bytes=64 * 1024, pause=0.001, headroom=0)
    )
    source = S3Source(BUCKET, "llama/")
    found = opened(source, account(store), lambda _: account(store), time.time)
    made = snapshots.fetch(found, lambda _: None, lambda: False)
    assert (made.files / "model.gguf").read_bytes() == CONTENT
    assert (made.files / "sub/a b+c%20é.txt").read_bytes() == b"odd"
    assert (made.files / "empty.txt").read_bytes() == b""
    before = len(store.log)
    again = snapshots.fetch(found, lambda _: None, lambda: False)
    assert again.folder == made.folder
    assert len(store.log) == before + 1, "only listed: what is there is not fetched again"
    assert found.crc64(made.manifest.entries[0]) is None
    found.close()


def test_a_renewed_token_is_used_at_once(store: Store) -> None:
    store.token = "second"
    tokens = ["first", "second"]
    renewed = Renewed(
        lambda: account(store, token=tokens[-1]), lambda: 0.0, account(store, token="first")
    )
    found = remote(store, keys=renewed)
    with pytest.raises(Denied, match="ExpiredToken"):
        found.listing()
    later = Renewed(
        lambda: account(store, token=tokens[-1]), lambda: 1e9, account(store, token="first")
    )
    fresh = remote(store, keys=later)
    assert len(fresh.listing().entries) == 3
    fresh.close()
    found.close()


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "headers", "error", "word"),
    [
        (403, "AccessDenied", {}, Denied, "storage connection \\[models\\]"),
        (403, "RequestTimeTooSkewed", {"Date": "Wed, 01 Jan 2025 00:00:00 GMT"}, Denied, "off by"),
        (404, "NoSuchBucket", {}, Missing, "no bucket models"),
        (301, "PermanentRedirect", {"x-amz-bucket-region": "eu-west-1", "Location": "http://127.0.0.1:1/"}, Rejected, "eu-west-1"),
        (307, "TemporaryRedirect", {"Location": "http://169.254.169.254/"}, Rejected, "307"),
        (503, "SlowDown", {"Retry-After": "3"}, Flaky, "SlowDown"),
        (400, "AuthorizationHeaderMalformed", {}, Rejected, "REQ-1"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_by_its_code_and_request(
    store: Store,
    status: int,
    code: str,
    headers: dict[str, str],
    error: type[RemoteError],
    word: str,
) -> None:
    store.instead = [(status, code, headers)]
    found = remote(store)
    with pytest.raises(error, match=word) as caught:
        found.listing()
    assert code in str(caught.value)
    assert SECRET not in str(caught.value)
    if isinstance(caught.value, Flaky):
        assert caught.value.wait == 3.0
    assert len(store.log) == 1, "a redirect is not followed"
    found.close()


def test_a_wrong_secret_an_empty_folder_and_another_server(store: Store) -> None:
    wrong = account(store, "wrong")
    with (
        closing(remote(store, keys=lambda: wrong)) as found,
        pytest.raises(Denied, match="SignatureDoesNotMatch"),
    ):
        found.listing()
    with (
        closing(remote(store, "nothing/")) as found,
        pytest.raises(Missing, match="no objects below"),
    ):
        found.listing()
    store.objects = {"llama/../../etc/passwd": b"x"}
    with closing(remote(store)) as found, pytest.raises(Invalid, match="leads out"):
        found.listing()


def test_a_private_endpoint_is_refused_unless_it_is_permitted(store: Store) -> None:
    own = account(store)
    connection = replace(own.connection, allow_private=False)
    found = opened(
        S3Source(BUCKET, "llama/"), Account(connection, own.keys), lambda _: None, time.time
    )
    with pytest.raises(Denied, match="loopback"):
        found.listing()
    assert store.log == []


def test_a_server_that_is_gone_is_flaky(store: Store) -> None:
    found = remote(store, endpoint="http://127.0.0.1:1")
    with pytest.raises(Unavailable) as caught:
        found.listing()
    assert isinstance(caught.value, Flaky)


# --- sums ---------------------------------------------------------------------------------------------------


def sums_of(content: bytes) -> dict[str, str]:
    """Names of headers, and what they tell of `content`."""

    def text(raw: bytes) -> str:
        return b64encode(raw).decode()

    crc = begun("crc64nvme", len(content))
    crc.update(content)
    return {
        "x-amz-checksum-sha256": text(hashlib.sha256(content).digest()),
        "x-amz-checksum-crc64nvme": text(bytes.fromhex(crc.hexdigest())),
        "x-amz-meta-md5chksum": text(hashlib.md5(content).digest()),
    }


def test_the_sum_that_aws_gives_to_each_object() -> None:
    crc = begun("crc64nvme", 9)
    crc.update(b"1234")
    crc.update(b"56789")
    assert crc.hexdigest() == "ae8b14860a799888"


MD5 = hashlib.md5(CONTENT).hexdigest()
PARTS = "0123456789abcdef0123456789abcdef-3"
SUMS = sums_of(CONTENT)
COMPOSITE = {"x-amz-checksum-sha256": f"{SUMS['x-amz-checksum-sha256']}-3"}


@pytest.mark.parametrize(
    ("headers", "etag", "kind"),
    [
        (SUMS, MD5, "sha256"),
        ({}, MD5, "md5"),
        ({"x-amz-server-side-encryption": "AES256"}, MD5, "md5"),
        ({"x-amz-server-side-encryption": "aws:kms"}, MD5, ""),
        ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, MD5, ""),
        ({}, PARTS, ""),
        (COMPOSITE, PARTS, ""),
        (SUMS | {"x-amz-checksum-type": "COMPOSITE"}, PARTS, "md5"),
        (SUMS | COMPOSITE, PARTS, "crc64nvme"),
        ({"x-amz-checksum-sha256": "no base64!"}, PARTS, ""),
        ({"x-amz-checksum-sha256": "c2hvcnQ="}, PARTS, ""),
    ],
)
def test_the_sum_of_an_object_is_taken_from_its_head(
    headers: dict[str, str], etag: str, kind: str
) -> None:
    assert told(headers, etag).partition(":")[0] == kind


@pytest.mark.parametrize("name", ["", *SUMS])
def test_what_arrives_otherwise_than_it_lies_there_is_found_by_any_sum(
    store: Store, tmp_path: Path, name: str
) -> None:
    """Law: a file is there only if it is what the store has, also where the store knows no CRC-64/XZ."""
    store.objects = {"llama/model.gguf": CONTENT}
    if name:
        store.etags["llama/model.gguf"] = PARTS
        store.headers["llama/model.gguf"] = {name: SUMS[name]}
    store.flips = [100_000]
    options = Options(part_bytes=64 * 1024, pause=0.001, headroom=0)
    found = remote(store)
    made = Snapshots(tmp_path, time.time, options).fetch(found, lambda _: None, lambda: False)
    assert store.flips == [], "a byte was wrong on its way"
    assert (made.files / "model.gguf").read_bytes() == CONTENT
    store.flips = [100_000] * 2
    with pytest.raises(Damaged, match="also when it is fetched again"):
        Snapshots(tmp_path / "2", time.time, options).fetch(found, lambda _: None, lambda: False)
    assert not list((tmp_path / "2").rglob("files/model.gguf"))
    found.close()


def test_a_store_that_answers_no_head_is_read_all_the_same(store: Store) -> None:
    store.heads = False
    found = remote(store)
    entry = next(entry for entry in found.listing().entries if entry.key == "model.gguf")
    assert found.check(entry) == ""
    assert b"".join(found.read(entry, 0, 10)) == CONTENT[:10]
    found.close()
