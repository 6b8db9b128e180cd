"""S3 as a source, against moto's server."""

import os

import pytest

from export.catalog import SourceSpec
from export.errors import SourceError
from export.sources import s3
from export.sources.fetch import fetch_checkpoint

from .conftest import CHECKPOINT_FILES, OTHER_FILES, entry_of, read_tree

ENTRY = entry_of(SourceSpec("s3", "s3://models/team/encoder"))
UNDER_PREFIX = {f"team/encoder/{name}": data for name, data in {**CHECKPOINT_FILES, **OTHER_FILES}.items()}


@pytest.fixture
def object_requests(monkeypatch):
    """Return the list that (key, Range) of every GetObject is added to."""
    seen = []
    open_client = s3._open_client

    def open_recording():
        client = open_client()
        client.meta.events.register("before-parameter-build.s3.GetObject", record)
        return client

    def record(params, **_):
        seen.append((params["Key"], params.get("Range")))

    monkeypatch.setattr(s3, "_open_client", open_recording)
    return seen


class _Interrupter(s3.tqdm):
    """A progress bar that kills the download once it has gone far enough."""

    after_bytes = 2_000_000
    seen_bytes = 0  # a bar that is not shown counts nothing itself

    def update(self, n=1):
        self.seen_bytes += n
        if self.seen_bytes > self.after_bytes:
            raise KeyboardInterrupt


def interrupt_fetch(monkeypatch, cache_dir):
    with monkeypatch.context() as patch:
        patch.setattr(s3, "tqdm", _Interrupter)
        with pytest.raises(KeyboardInterrupt):
            fetch_checkpoint(ENTRY, cache_dir)


def test_checkpoint_files_below_the_prefix_arrive_and_nothing_else_is_asked_for(bucket, object_requests, tmp_path):
    bucket({**UNDER_PREFIX, "team/encoder-2/config.json": b"another model", "team/encoder/empty/": b""})
    checkpoint = fetch_checkpoint(ENTRY, tmp_path / "cache")
    assert read_tree(checkpoint.path) == CHECKPOINT_FILES
    assert checkpoint.source == "s3://models/team/encoder"
    assert {key.removeprefix("team/encoder/") for key, _ in object_requests} == set(CHECKPOINT_FILES)


def test_revision_changes_with_the_content_of_the_bucket(bucket, tmp_path):
    bucket(UNDER_PREFIX)
    before = fetch_checkpoint(ENTRY, tmp_path / "a").revision
    assert before == fetch_checkpoint(ENTRY, tmp_path / "b").revision
    bucket({"team/encoder/model.safetensors": b"fase" * 1000})  # the same size, other bytes
    assert fetch_checkpoint(ENTRY, tmp_path / "c").revision != before
    assert before.startswith("sha256:")


def test_interrupted_download_goes_on_where_it_stopped(bucket, object_requests, monkeypatch, tmp_path):
    weights = os.urandom(3_000_000)
    bucket({"team/encoder/config.json": b"{}", "team/encoder/model.safetensors": weights})
    interrupt_fetch(monkeypatch, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob(".conch-checkpoint.json"))
    (part,) = (tmp_path / "cache").rglob("*.part")
    have = part.stat().st_size
    assert 1_000_000 < have < 3_000_000

    object_requests.clear()
    checkpoint = fetch_checkpoint(ENTRY, tmp_path / "cache")
    assert read_tree(checkpoint.path) == {"config.json": b"{}", "model.safetensors": weights}
    assert object_requests == [("team/encoder/model.safetensors", f"bytes={have}-")]


def test_object_that_changed_or_went_since_the_interruption_is_not_kept(bucket, object_requests, monkeypatch, tmp_path):
    bucket({"team/encoder/gone.json": b"{}", "team/encoder/model.safetensors": b"a" * 3_000_000})
    interrupt_fetch(monkeypatch, tmp_path / "cache")
    bucket({"team/encoder/gone.json": None, "team/encoder/model.safetensors": b"b" * 3_000_000})
    object_requests.clear()
    assert read_tree(fetch_checkpoint(ENTRY, tmp_path / "cache").path) == {"model.safetensors": b"b" * 3_000_000}
    assert ("team/encoder/model.safetensors", None) in object_requests


def test_damaged_part_is_refused_and_removed(bucket, monkeypatch, tmp_path):
    bucket({"team/encoder/model.safetensors": b"a" * 3_000_000})
    interrupt_fetch(monkeypatch, tmp_path / "cache")
    (part,) = (tmp_path / "cache").rglob("*.part")
    part.write_bytes(b"x" * part.stat().st_size)
    with pytest.raises(SourceError, match="is not what the bucket lists"):
        fetch_checkpoint(ENTRY, tmp_path / "cache")
    assert read_tree(fetch_checkpoint(ENTRY, tmp_path / "cache").path) == {"model.safetensors": b"a" * 3_000_000}


def test_object_uploaded_in_parts_arrives_whole(bucket, s3_server, tmp_path):
    client = s3.boto3.client("s3")
    target = {"Bucket": "models", "Key": "team/encoder/model.safetensors"}
    target["UploadId"] = client.create_multipart_upload(**target)["UploadId"]
    pieces = [os.urandom(5 * 1024 * 1024), b"the rest"]
    parts = [
        {"PartNumber": number, "ETag": client.upload_part(**target, PartNumber=number, Body=piece)["ETag"]}
        for number, piece in enumerate(pieces, start=1)]
    client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts})
    client.close()
    assert read_tree(fetch_checkpoint(ENTRY, tmp_path / "cache").path) == {"model.safetensors": b"".join(pieces)}


def test_key_that_climbs_out_is_refused(bucket, tmp_path):
    bucket({**UNDER_PREFIX, "team/encoder/../../evil.json": b"{}"})
    with pytest.raises(SourceError, match=r"\.\./\.\./evil\.json"):
        fetch_checkpoint(ENTRY, tmp_path / "cache")
    assert not list(tmp_path.rglob("evil.json"))
    assert not list(tmp_path.rglob("config.json"))


@pytest.mark.parametrize(("url", "reason"), [
    ("s3://models/nothing", "there is nothing below it"),
    ("s3://no-such-bucket/x", "NoSuchBucket"),
])
def test_missing_prefix_or_bucket_is_named(bucket, tmp_path, url, reason):
    with pytest.raises(SourceError, match=reason):
        fetch_checkpoint(entry_of(SourceSpec("s3", url)), tmp_path / "cache")


def test_endpoint_that_is_not_there_is_a_source_error(bucket, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:9"):
        fetch_checkpoint(ENTRY, tmp_path / "cache")


def test_requests_are_unsigned_without_credentials(bucket, monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert s3._open_client().meta.config.signature_version is s3.UNSIGNED
