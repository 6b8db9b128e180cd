"""The hub as a source, against a small hub on this machine."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from export.catalog import SourceSpec
from export.errors import SourceError
from export.sources import hub as hub_source
from export.sources.fetch import fetch_checkpoint

from .conftest import CHECKPOINT_FILES, COMMIT, REPOSITORY, entry_of, read_tree

ENTRY = entry_of(SourceSpec("hub", REPOSITORY, revision="main"))
FAST_S = 4.0


def test_checkpoint_files_arrive_at_the_resolved_commit_and_nothing_else_is_asked_for(hub, tmp_path):
    checkpoint = fetch_checkpoint(ENTRY, tmp_path / "cache")
    assert read_tree(checkpoint.path) == CHECKPOINT_FILES
    assert checkpoint.source == "hub:org/model"
    assert checkpoint.revision == COMMIT
    assert hub.fetched() == set(CHECKPOINT_FILES)


def test_torch_weights_are_fetched_where_there_are_no_others(hub, tmp_path):
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"pickle", "flax_model.msgpack": b"flax"}
    checkpoint = fetch_checkpoint(ENTRY, tmp_path / "cache")
    assert read_tree(checkpoint.path) == {"config.json": b"{}", "pytorch_model.bin": b"pickle"}


def test_file_whose_sha256_is_not_the_listed_one_is_refused(hub, tmp_path):
    hub.listed_sha256 = {"model.safetensors": "0" * 64}
    with pytest.raises(SourceError, match=r"model\.safetensors does not have the sha256"):
        fetch_checkpoint(ENTRY, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("hub-*"))
    hub.listed_sha256 = {}
    assert read_tree(fetch_checkpoint(ENTRY, tmp_path / "cache").path) == CHECKPOINT_FILES


@pytest.mark.parametrize(("refusal", "advice"), [
    ((403, "GatedRepo"), "is gated: accept its terms there, then set HF_TOKEN"),
    ((404, "RepoNotFound"), "does not exist, or is private: then set HF_TOKEN"),
    ((404, "RevisionNotFound"), "has no revision 'main'"),
    ((503, ""), "answered 503"),
])
def test_refusal_of_the_hub_is_explained(hub, tmp_path, refusal, advice):
    hub.refusal = refusal
    with pytest.raises(SourceError) as caught:
        fetch_checkpoint(ENTRY, tmp_path / "cache")
    assert advice in str(caught.value)
    assert f"{hub.url}/org/model" in str(caught.value)


def test_repository_without_usable_weights_is_refused_before_anything_is_fetched(hub, tmp_path):
    hub.files = {"config.json": b"{}", "model.onnx": b"onnx"}
    with pytest.raises(SourceError, match="no safetensors"):
        fetch_checkpoint(ENTRY, tmp_path / "cache")
    assert hub.fetched() == set()


def test_closed_port_fails_fast(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:9 does not answer .*HF_ENDPOINT"):
        fetch_checkpoint(ENTRY, tmp_path / "cache")
    assert time.monotonic() - start < FAST_S


def test_hub_that_accepts_and_stays_silent_fails_after_one_timeout(tmp_path, monkeypatch):
    monkeypatch.setattr(hub_source, "CONNECT_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(SourceError, match="does not answer"):
            fetch_checkpoint(ENTRY, tmp_path / "cache")
    assert time.monotonic() - start < FAST_S


def test_killed_download_leaves_nothing_complete_and_the_next_one_goes_on_from_there(hub, tmp_path):
    mebibyte = 1024 * 1024
    hub.files = {"config.json": b"{}", "model.safetensors": os.urandom(24 * mebibyte)}
    hub.stall_after_bytes = 21 * mebibyte  # the hub client writes pieces of 10 MiB
    program = (
        "import sys; from pathlib import Path\n"
        "from export.catalog import CatalogEntry, SourceSpec\n"
        "from export.sources.fetch import fetch_checkpoint\n"
        "source = SourceSpec('hub', 'org/model', revision='main')\n"
        "fetch_checkpoint(CatalogEntry(alias='m', task='embedding', sources=(source,)), Path(sys.argv[1]))\n")
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "cache")]) as process:
        assert hub.stalled.wait(60)
        _wait_for_bytes(tmp_path / "cache", 20 * mebibyte)
        process.send_signal(signal.SIGKILL)
    assert not list((tmp_path / "cache").rglob(".conch-checkpoint.json"))
    assert not list((tmp_path / "cache").glob("hub-*"))

    hub.stall_after_bytes = None
    hub.requests.clear()
    checkpoint = fetch_checkpoint(ENTRY, tmp_path / "cache")
    assert read_tree(checkpoint.path) == hub.files
    ranges = [wanted for method, path, wanted in hub.requests if method == "GET" and path.endswith("model.safetensors")]
    assert ranges == [f"bytes={20 * mebibyte}-"]


def _wait_for_bytes(folder, size_bytes):
    deadline = time.monotonic() + 30
    while not any(file.stat().st_size >= size_bytes for file in folder.rglob("*.incomplete")):
        assert time.monotonic() < deadline, "the download did not get that far"
        time.sleep(0.05)
