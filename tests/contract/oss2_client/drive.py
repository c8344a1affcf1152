"""Lists and reads with the vendor's older SDK: `drive.py SIGNER SECRET URL KEY` prints one JSON document.

Runs in an environment of its own (requirements.txt beside this file): its checksum package has the name
of the one that the project uses.
"""

import json
import sys

import oss2

signer, secret, url, key = sys.argv[1:]
bucket = oss2.Bucket(
    getattr(oss2, signer)("AKTEST", secret),
    url,
    "weights",
    is_path_style=True,
    region="cn-shanghai",
)
try:
    keys = [row.key for row in oss2.ObjectIteratorV2(bucket, prefix="m/")]
    part = bucket.get_object(key, byte_range=(1, 1)).read().decode()
    print(json.dumps({"keys": keys, "part": part}))
except oss2.exceptions.ServerError as error:
    print(json.dumps({"status": error.status, "code": error.code}))
