"""The job `export` on a small checkpoint: the steps it reports, what it returns, and what stops it."""

import pytest

from conch.jobs.export import FETCH, run
from control_plane.jobs.kinds import ExportArguments
from export.contract import version_numbers
from export.decoder_export import STEPS as DECODER_STEPS
from export.encoder_export import STEPS
from export.errors import UnknownModelError, UnsupportedModelError
from export.manifest import read_manifest
from tests.export.decoders import build_decoder


class Steps:
    """Hears what a job reports."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, str]] = []

    def __call__(self, progress: float, step: str) -> None:
        self.heard.append((progress, step))


@pytest.fixture
def repository(tmp_path, small_checkpoint, monkeypatch):
    """The repository of a home whose catalog has the small checkpoint as `small`."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "catalog.toml").write_text(
        '[[models]]\nalias = "small"\ntask = "embedding"\n'
        f'sources = [{{kind = "path", path = "{small_checkpoint}"}}]\n', encoding="utf-8")
    monkeypatch.setenv("CONCH_HOME", str(home))
    monkeypatch.setenv("CONCH_MODEL_REPOSITORY", str(tmp_path / "repository"))
    return tmp_path / "repository"


def test_an_export_reports_every_step_and_returns_the_version_with_its_proof(repository):
    steps = Steps()
    result = run(ExportArguments(model="small", name="mine", precision="fp32"), steps)
    assert [step for _, step in steps.heard] == [FETCH, *STEPS]
    assert [progress for progress, _ in steps.heard] == [number / 7 for number in range(7)]
    manifest = read_manifest(repository / "mine" / "1")
    assert (result["model"], result["version"], result["parity"]) == ("mine", 1, manifest.parity)
    assert result["parity"]["min_cosine"] >= result["parity"]["required_cosine"]
    assert run(ExportArguments(model="small", name="mine", precision="fp32"), steps)["version"] == 2


def test_what_the_export_refuses_leaves_no_version(repository):
    with pytest.raises(UnsupportedModelError, match="engine onnxruntime has no precision bf16"):
        run(ExportArguments(model="small", engine="onnxruntime", precision="bf16"), Steps())
    assert version_numbers(repository / "small") == []


def test_a_directory_of_this_machine_is_no_model(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownModelError):
        run(ExportArguments(model="./home"), Steps())


def test_a_generator_is_exported_with_its_own_steps_and_proof(repository, tmp_path):
    checkpoint = build_decoder(tmp_path / "decoder")
    (tmp_path / "home" / "catalog.toml").write_text(
        '[[models]]\nalias = "talker"\ntask = "text-generation"\n'
        f'sources = [{{kind = "path", path = "{checkpoint}"}}]\n', encoding="utf-8")
    steps = Steps()
    result = run(ExportArguments(model="talker", precision="fp32"), steps)
    assert [step for _, step in steps.heard] == [FETCH, *DECODER_STEPS]
    assert (result["engine"], result["precision"], result["quality"]["forced"]) == ("onnxruntime", "fp32", False)
    with pytest.raises(UnsupportedModelError, match="engine openvino has no precision int4"):
        run(ExportArguments(model="talker", engine="openvino", precision="int4"), Steps())
