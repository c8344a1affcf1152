"""A test double that speaks OSS's own wire: V1 and V4 signatures, ranges, If-Match, CRC64, listings; it misbehaves on order.

`with OssDouble(root) as double:` starts it as a process of its own; objects are the files `root/<bucket>/<key>`.
Error bodies are hand-written, so it is no proof of what the real store says.

Faults, which replace those before: `double.faults({"kind": "cut", "value": BYTES, "times": 3, "min_size": N, "match": "part of key"})`
  cut: send BYTES of the body, then drop the connection    status: answer with that HTTP status    slow: BYTES per second
  flip: flip one bit at that offset of the object           short: a clean 206 that is BYTES too short   hang: wait SECONDS first
"""

import argparse
import base64
import email.utils
import hashlib
import hmac
import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse as up
import urllib.request
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

SIGNED_SUBRESOURCES = {  # the part of OSS's list that a reader can send
    "acl",
    "location",
    "uploads",
    "uploadId",
    "partNumber",
    "versionId",
    "continuation-token",
    "x-oss-process",
    "response-content-type",
    "response-content-language",
    "response-expires",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "bucketInfo",
    "stat",
    "objectMeta",
    "symlink",
    "tagging",
}
REQUEST_ID = "5C3D9175B6FC201293AD0000"
SKEW = 900
CODES = {
    503: "ServiceUnavailable",
    500: "InternalError",
    403: "AccessDenied",
    429: "TooManyRequests",
}
try:
    import crcmod
except ImportError:
    crcmod = None

ARGS = None
FAULTS, LOG, LOCK, SUMS = [], [], threading.Lock(), {}


def crc64(data):
    """CRC-64/XZ, the polynomial OSS reports."""
    if crcmod:
        c = crcmod.Crc(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)
        c.update(data)
        return c.crcValue
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xC96C5795D7870F42 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFFFFFFFFFF


def sums(path):
    """(ETag, CRC64 or None), remembered until the file changes."""
    st = path.stat()
    key = (path, st.st_mtime_ns, st.st_size)
    if key not in SUMS:
        data = path.read_bytes()
        SUMS[key] = (
            hashlib.md5(data).hexdigest().upper(),
            str(crc64(data)) if crcmod or len(data) <= 1 << 20 else None,
        )
    return SUMS[key]


def hmac_of(key, text, how):
    return hmac.new(key, text.encode(), how).digest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    # ---- answers
    def reply(self, status, body=b"", headers=(), length=None):
        self.row["status"] = status
        self.send_response(status)
        self.send_header("x-oss-request-id", REQUEST_ID)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for k, v in headers:
            self.send_header(k, v)
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status, code, message="-"):
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{escape(message)}</Message>'
            f"<RequestId>{REQUEST_ID}</RequestId><HostId>{escape(self.headers.get('Host', ''))}</HostId></Error>"
        )
        self.reply(status, body.encode(), [("Content-Type", "application/xml")])

    # ---- authentication
    def refused(self, bucket, key, query):
        """None when the signature is right, else (status, code)."""
        h, auth = self.headers, self.headers.get("Authorization", "")
        if not auth:
            return 403, "AccessDenied"
        oss = sorted((k.lower(), v.strip()) for k, v in h.items() if k.lower().startswith("x-oss-"))
        if ARGS.sts and h.get("x-oss-security-token") != ARGS.sts:
            return 403, "InvalidAccessKeyId" if not h.get(
                "x-oss-security-token"
            ) else "SecurityTokenExpired"
        if auth.startswith("OSS "):
            ak, sig = auth[4:].split(":", 1)
            sub = "&".join(
                f"{k}={v}" if v else k for k, v in sorted(query) if k in SIGNED_SUBRESOURCES
            )
            resource = "/" + (bucket + "/" if bucket else "") + key + ("?" + sub if sub else "")
            text = "\n".join(
                [
                    self.command,
                    h.get("Content-MD5", ""),
                    h.get("Content-Type", ""),
                    h.get("Date", ""),
                    "".join(f"{k}:{v}\n" for k, v in oss) + resource,
                ]
            )
            want = base64.b64encode(hmac_of(ARGS.sk.encode(), text, hashlib.sha1)).decode()
            at = email.utils.parsedate_to_datetime(h["Date"]).timestamp() if h.get("Date") else 0
        elif auth.startswith("OSS4-HMAC-SHA256 "):
            p = dict(x.split("=", 1) for x in auth[17:].replace(" ", "").split(","))
            ak, date, region, product, request = p["Credential"].split("/")
            extra = [x for x in p.get("AdditionalHeaders", "").split(";") if x]
            signed = sorted(
                (k.lower(), v.strip())
                for k, v in h.items()
                if k.lower() in ("content-type", "content-md5")
                or k.lower().startswith("x-oss-")
                or k.lower() in extra
            )
            canon_query = "&".join(
                up.quote(k, safe="") + ("=" + up.quote(v, safe="") if v else "")
                for k, v in sorted(query)
            )
            canon = "\n".join(
                [
                    self.command,
                    up.quote("/" + (bucket + "/" if bucket else "") + key),
                    canon_query,
                    "".join(f"{k}:{v}\n" for k, v in signed),
                    ";".join(extra),
                    h.get("x-oss-content-sha256", "UNSIGNED-PAYLOAD"),
                ]
            )
            stamp = h.get("x-oss-date", "")
            text = "\n".join(
                [
                    "OSS4-HMAC-SHA256",
                    stamp,
                    f"{date}/{region}/{product}/{request}",
                    hashlib.sha256(canon.encode()).hexdigest(),
                ]
            )
            k = ("aliyun_v4" + ARGS.sk).encode()
            for step in (date, region, product, request):
                k = hmac_of(k, step, hashlib.sha256)
            want, sig = hmac_of(k, text, hashlib.sha256).hex(), p["Signature"]
            at = time.mktime(time.strptime(stamp, "%Y%m%dT%H%M%SZ")) - time.timezone if stamp else 0
        else:
            return 400, "InvalidArgument"
        if ak != ARGS.ak:
            return 403, "InvalidAccessKeyId"
        if not hmac.compare_digest(sig, want):
            return 403, "SignatureDoesNotMatch"
        now = time.time() + ARGS.ahead
        return (403, "RequestTimeTooSkewed") if abs(now - at) > SKEW else None

    def date_time_string(self, timestamp=None):
        return super().date_time_string((timestamp or time.time()) + ARGS.ahead)

    # ---- requests
    def do_GET(self):
        url = up.urlsplit(self.path)
        if url.path.startswith("/__"):
            return self.control(url.path)
        query = up.parse_qsl(url.query, keep_blank_values=True)
        path = up.unquote(url.path).lstrip("/")
        host = self.headers.get("Host", "").split(":")[0]
        if ARGS.domain and host.endswith("." + ARGS.domain):
            bucket, key = host[: -len(ARGS.domain) - 1], path
        else:
            bucket, _, key = path.partition("/")
        self.row = {
            "method": self.command,
            "bucket": bucket,
            "key": key,
            "range": self.headers.get("Range"),
            "status": 0,
            "sent": 0,
            "auth": self.headers.get("Authorization", "")[:4].strip(),
        }
        # At once: what is still being sent to a client that was killed belongs to the log of its time,
        # not to the one that was begun since.
        with LOCK:
            LOG.append(self.row)
        no = self.refused(bucket, key, query)
        base = Path(ARGS.root, bucket)
        if no:
            self.fail(*no, "rejected by the double")
        elif not bucket or not base.is_dir():
            self.fail(404, "NoSuchBucket")
        elif key:
            self.object(base / key, key)
        else:
            self.listing(base, bucket, dict(query))
        return None

    do_HEAD = do_POST = do_DELETE = do_GET

    def control(self, path):
        self.row = {}
        global FAULTS, LOG  # noqa: PLW0603 - one double is one process
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with LOCK:
            if path == "/__faults" and self.command == "POST":
                FAULTS = json.loads(body)
            elif path == "/__sts" and self.command == "POST":
                ARGS.sts = json.loads(body)
            elif path == "/__log" and self.command == "DELETE":
                LOG = []
            answer = json.dumps(FAULTS if path == "/__faults" else LOG).encode()
        self.reply(200, answer, [("Content-Type", "application/json")])

    def listing(self, base, bucket, q):
        v2, delimiter, prefix = (
            q.get("list-type") == "2",
            q.get("delimiter", ""),
            q.get("prefix", ""),
        )
        limit = min(int(q.get("max-keys") or 100), 1000)
        after = q.get("continuation-token") or q.get("start-after") or q.get("marker") or ""
        enc = (lambda s: up.quote(s, safe="/")) if q.get("encoding-type") == "url" else escape
        keys = sorted(os.path.relpath(Path(d, f), base) for d, _, fs in os.walk(base) for f in fs)
        rows = {}  # name -> is a common prefix
        for k in keys:
            if k.startswith(prefix):
                cut = k.find(delimiter, len(prefix)) if delimiter else -1
                rows[k if cut < 0 else k[: cut + len(delimiter)]] = cut >= 0
        names = [n for n in sorted(rows) if n > after]
        page, more = names[:limit], len(names) > limit
        out = []
        for n in page:
            if rows[n]:
                out.append(f"<CommonPrefixes><Prefix>{enc(n)}</Prefix></CommonPrefixes>")
                continue
            f = base / n
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(f.stat().st_mtime))
            out.append(
                f'<Contents><Key>{enc(n)}</Key><LastModified>{stamp}</LastModified><ETag>"{sums(f)[0]}"</ETag><Type>Normal</Type>'
                f"<Size>{f.stat().st_size}</Size><StorageClass>Standard</StorageClass></Contents>"
            )
        tokens = (
            f"<KeyCount>{len(page)}</KeyCount>"
            + (f"<NextContinuationToken>{enc(page[-1])}</NextContinuationToken>" if more else "")
            if v2
            else f"<Marker>{enc(after)}</Marker>"
            + (f"<NextMarker>{enc(page[-1])}</NextMarker>" if more else "")
        )
        kind = "<EncodingType>url</EncodingType>" if q.get("encoding-type") == "url" else ""
        xml = (
            f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>{bucket}</Name><Prefix>{enc(prefix)}</Prefix><MaxKeys>{limit}</MaxKeys>'
            f"<Delimiter>{enc(delimiter)}</Delimiter><IsTruncated>{str(more).lower()}</IsTruncated>{kind}{tokens}{''.join(out)}</ListBucketResult>"
        )
        self.reply(200, xml.encode(), [("Content-Type", "application/xml")])

    def fault(self, key, lo, hi):
        """Uses up the first fault that fits this read; a flip waits for the read that holds its offset."""
        with LOCK:
            for f in FAULTS:
                fits = f["kind"] != "flip" or lo <= f["value"] <= hi
                if (
                    fits
                    and f.get("times", 1)
                    and hi - lo + 1 >= f.get("min_size", 0)
                    and f.get("match", "") in key
                ):
                    f["times"] = f.get("times", 1) - 1
                    return f["kind"], f.get("value", 0)
        return None, 0

    def object(self, path, key):
        if not path.is_file():
            return self.fail(404, "NoSuchKey")
        size = path.stat().st_size
        match = self.headers.get("If-Match")
        if match and match.strip('"') != sums(path)[0]:
            return self.fail(412, "PreconditionFailed")
        lo, hi, status = wanted(self.headers.get("Range", ""), size)
        if status == 206 and lo >= size:
            return self.fail(416, "InvalidRange")
        kind, arg = self.fault(key, lo, hi) if self.command == "GET" else (None, 0)
        if kind == "status":
            return self.fail(arg, CODES.get(arg, "Fault"))
        time.sleep(arg if kind == "hang" else 0)
        if kind == "short":
            status, hi = 206, max(lo, hi - arg)
        self.head(path, (lo, hi, status), size)
        if self.command != "HEAD":
            self.send_range(path, (lo, hi), kind, arg)
        return None

    def head(self, path, answer, size):
        lo, hi, status = answer
        etag, crc = sums(path)
        headers = [
            ("ETag", f'"{etag}"'),
            ("Accept-Ranges", "bytes"),
            ("x-oss-object-type", "Normal"),
            ("Content-Type", "application/octet-stream"),
            ("Last-Modified", email.utils.formatdate(path.stat().st_mtime, usegmt=True)),
        ]
        if crc:
            headers.append(("x-oss-hash-crc64ecma", crc))
        if status == 206:
            headers.append(("Content-Range", f"bytes {lo}-{hi}/{size}"))
        self.reply(status, b"", headers, length=hi - lo + 1)

    def send_range(self, path, bounds, kind, arg):
        lo, hi = bounds
        left, at = hi - lo + 1, lo
        stop = arg if kind == "cut" else left
        step = max(1, min(1 << 20, arg // 4)) if kind == "slow" else 1 << 20
        with path.open("rb") as f:
            f.seek(lo)
            while left and stop > 0:
                data = bytearray(f.read(min(step, left, stop)))
                if kind == "flip" and at <= arg < at + len(data):
                    data[arg - at] ^= 1
                self.row["sent"] += len(data)
                self.wfile.write(data)
                left, stop, at = left - len(data), stop - len(data), at + len(data)
                if kind == "slow":
                    time.sleep(len(data) / arg)
        if left:  # cut: the client sees fewer bytes than promised
            self.close_connection = True
            self.wfile.flush()
            self.connection.shutdown(2)


def wanted(rng, size):
    """(first byte, last byte, status) of a Range header."""
    if not rng.startswith("bytes="):
        return 0, size - 1, 200
    a, b = rng[6:].split("-")
    if not a:
        return max(0, size - int(b)), size - 1, 206
    return int(a), min(size - 1, int(b)) if b else size - 1, 206


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):  # a client that goes away is part of the tests
        pass


class OssDouble:
    """The double as a process; `url` is where it answers."""

    def __init__(self, root: Path, *flags: str) -> None:
        self.root = root
        command = [sys.executable, "-I", __file__, str(root), *flags]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[1]

    def __enter__(self) -> "OssDouble":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def put(self, path: str, content: bytes) -> bytes:
        """Store an object, `bucket/key`."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return content

    def faults(self, *orders: dict[str, Any]) -> None:
        self._post("/__faults", orders)

    def token(self, token: str) -> None:
        """Demand another security token from now on."""
        self._post("/__sts", token)

    def forget(self) -> None:
        """Begin a new log."""
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/__log", method="DELETE"), timeout=10
        ):
            pass

    def log(self) -> list[dict[str, Any]]:
        """Requests since the last `forget`."""
        with urllib.request.urlopen(f"{self.url}/__log", timeout=10) as answer:
            return json.load(answer)

    def sent(self) -> int:
        """Bytes of objects that left since then."""
        return sum(row["sent"] for row in self.log())

    def _post(self, path: str, content: Any) -> None:
        request = urllib.request.Request(
            self.url + path, json.dumps(content).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10):
            pass


if __name__ == "__main__":
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("root")
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--ak", default="AKTEST")
    p.add_argument("--sk", default="SKTEST")
    p.add_argument("--sts", help="demand this x-oss-security-token")
    p.add_argument("--domain", help="also accept <bucket>.DOMAIN in the Host header")
    p.add_argument("--ahead", type=float, default=0, help="seconds that its clock is ahead")
    p.add_argument("--tls", help="speak TLS with the certificate and key in this file")
    ARGS = p.parse_args()
    server = Server(("127.0.0.1", ARGS.port), Handler)
    if ARGS.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(ARGS.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "https" if ARGS.tls else "http"
    print(f"READY {scheme}://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
