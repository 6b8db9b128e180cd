"""Fetches checkpoints from an S3 bucket, or whatever speaks S3 at AWS_ENDPOINT_URL. No other module talks to it.

boto3 finds credentials, region and endpoint in its usual places; without credentials requests are sent unsigned,
as public buckets take them.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from tqdm import tqdm

from export.catalog import SourceSpec
from export.errors import SourceError
from export.sources.checkpoint import check_relative, check_weights, digest_file, select_files
from export.sources.store import Staging

CONNECT_TIMEOUT_S = 5
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class _Object:
    key: str
    name: str  # the key below the prefix
    size_bytes: int
    etag: str

    @property
    def identity(self) -> str:
        """A file name for this very content: the entity tag changes with it."""
        return hashlib.sha256(f"{self.key}\n{self.etag}".encode()).hexdigest()


def fetch_from_s3(spec: SourceSpec, staging: Staging) -> str:
    """Fetch the objects below `spec.location` into `staging.files`; return a digest over their listing.

    What is complete already is not fetched again, and a partial file is gone on with, as long as the entity tag is
    still the same. Raises SourceError, UnsupportedModelError when there are no usable weights.
    """
    url = urlsplit(spec.location)
    bucket, prefix = url.netloc, url.path.strip("/")
    try:
        client = _open_client()
        objects = _list_objects(client, bucket, prefix, spec)
        with tqdm(total=sum(item.size_bytes for item in objects), desc=spec.name, unit="B", unit_scale=True,
                  disable=None) as bar:
            for item in objects:
                _fetch_object(client, bucket, item, staging, bar)
    except (BotoCoreError, ClientError) as error:
        raise SourceError(f"{spec.name}: {error}") from error
    staging.keep_only(item.name for item in objects)
    listing = "".join(f"{item.name}\t{item.size_bytes}\t{item.etag}\n" for item in objects)
    return f"sha256:{hashlib.sha256(listing.encode()).hexdigest()}"


def _open_client() -> BaseClient:
    session = boto3.session.Session()
    unsigned = {} if session.get_credentials() else {"signature_version": UNSIGNED}
    retries = {"mode": "standard", "total_max_attempts": 2}
    return session.client("s3", config=Config(connect_timeout=CONNECT_TIMEOUT_S, retries=retries, **unsigned))


def _list_objects(client: BaseClient, bucket: str, prefix: str, spec: SourceSpec) -> list[_Object]:
    start = f"{prefix}/" if prefix else ""
    found: dict[str, _Object] = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=start):
        for item in page.get("Contents", []):
            name = item["Key"].removeprefix(start)
            if name and not name.endswith("/"):  # Consoles make such empty objects to show a folder.
                check_relative(name, spec.name)
                found[name] = _Object(item["Key"], name, item["Size"], item["ETag"].strip('"'))
    if not found:
        raise SourceError(f"{spec.name}: there is nothing below it")
    selected = select_files(found)
    check_weights(selected, spec.name)
    return [found[name] for name in selected]


def _fetch_object(client: BaseClient, bucket: str, item: _Object, staging: Staging, bar: tqdm) -> None:
    target = staging.files / item.name
    done = staging.work / f"{item.identity}.done"
    if done.exists() and target.is_file() and target.stat().st_size == item.size_bytes:
        bar.update(item.size_bytes)
        return
    part = staging.work / f"{item.identity}.part"
    _download(client, bucket, item, part, bar)
    target.parent.mkdir(parents=True, exist_ok=True)
    part.replace(target)
    done.touch()


def _download(client: BaseClient, bucket: str, item: _Object, part: Path, bar: tqdm) -> None:
    part.touch()
    have = part.stat().st_size
    bar.update(have)
    encryption = None
    if have < item.size_bytes:
        # IfMatch: an object that is replaced meanwhile must not be glued to the first half of the old one.
        resume = {"Range": f"bytes={have}-"} if have else {}
        response = client.get_object(Bucket=bucket, Key=item.key, IfMatch=item.etag, **resume)
        encryption = response.get("ServerSideEncryption")
        with part.open("ab") as stream:
            for chunk in response["Body"].iter_chunks(CHUNK_BYTES):
                stream.write(chunk)
                bar.update(len(chunk))
    _check_part(part, item, encryption)


def _check_part(part: Path, item: _Object, encryption: str | None) -> None:
    # The entity tag is the MD5 of an object that was uploaded in one piece, unless a KMS key encrypts it:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    is_md5 = len(item.etag) == 32 and "-" not in item.etag and not (encryption or "").startswith("aws:kms")
    if part.stat().st_size != item.size_bytes or (is_md5 and digest_file(part, "md5") != item.etag):
        part.unlink()
        raise SourceError(f"{item.key}: what arrived is not what the bucket lists; it was removed, run it again")
