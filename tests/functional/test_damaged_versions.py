"""A version that cannot be served is refused with its reason, and what was served before still is."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from serving.cores import available_cores
from tests.functional.platform import ServedPlatform


@pytest.fixture(scope="module")
def served(exported, tmp_path_factory):
    """A platform of its own, with a repository of its own, that serves version 1 of `fast`."""
    folder = tmp_path_factory.mktemp("damaged")
    repository = shutil.copytree(exported, folder / "model_repository")
    running = ServedPlatform(folder / "home", repository).start()
    yield running
    running.stop()


def rewrite_manifest(version_dir: Path, **changes) -> None:
    path = version_dir / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_damaged_versions_are_refused_and_the_old_one_goes_on(served):
    damages = {
        "model.onnx has sha256": lambda folder: (folder / "model.onnx").write_bytes(b"not a model"),
        "tokenizer.json has sha256": lambda folder: truncate(folder / "tokenizer.json"),
        "model.onnx cannot be loaded by openvino": lambda folder: damage_with_manifest(folder, "model.onnx"),
        "tokenizer.json cannot be read": lambda folder: damage_with_manifest(folder, "tokenizer.json"),
        "tokenizer.json is missing": lambda folder: (folder / "tokenizer.json").unlink(),
        "manifest.json cannot be read": lambda folder: truncate(folder / "manifest.json"),
        "unknown engine 'abacus'": lambda folder: rewrite_manifest(folder, engine="abacus"),
    }
    first = served.repository / "fast" / "1"
    for number, (reason, damage) in enumerate(damages.items(), start=2):
        version_dir = Path(shutil.copytree(first, served.repository / "fast" / str(number)))
        damage(version_dir)
        # tritonserver 2.51 itself now and then crashes over such a load, and is started again.
        refused = served.rest_patiently("POST", f"/api/v1/models/fast/versions/{number}/activate", {})
        assert refused.status == 409, (reason, refused.body)
        assert reason in refused.body["detail"]
        answer = served.rest_patiently("POST", "/api/v1/models/embedding", {"text": "still served"})
        assert (answer.status, answer.body["model_version"]) == (200, "1"), reason
        shutil.rmtree(version_dir)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def damage_with_manifest(version_dir: Path, name: str) -> None:
    """Damage a file and let the manifest agree with the damage, so that only loading it can tell."""
    truncate(version_dir / name)
    files = json.loads((version_dir / "manifest.json").read_text())["files"]
    digest = hashlib.sha256((version_dir / name).read_bytes()).hexdigest()
    rewrite_manifest(version_dir, files={**files, name: digest})


def test_more_instances_than_cores_are_refused(served):
    config = served.repository / "fast" / "config.pbtxt"
    too_many = available_cores() + 1
    config.write_text(config.read_text().replace("count: 1", f"count: {too_many}"))
    # As above, Triton itself may have crashed over that load, or over the ones before.
    refused = served.rest_patiently("POST", "/api/v1/models/load", {"model_type": "fast"})
    assert refused.status == 409
    assert f"{too_many} instances but only" in refused.body["detail"]
    assert served.rest_patiently("POST", "/api/v1/models/embedding", {"text": "a"}).status == 200
