"""What several folders share: one small exported model for each engine. Heavy packages load with the first use."""

import os
import shutil

import hypothesis
import pytest

# The models of these tests are so small that torch's threads would spend their time waiting for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No example database: tests write nothing outside their own folder, and a failure prints how to repeat it.
hypothesis.settings.register_profile("conch", database=None, deadline=None, derandomize=True)
hypothesis.settings.load_profile("conch")

PROMPTS = {"query": "query: ", "passage": "passage: "}


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory):
    """Return a BERT checkpoint with mean pooling, normalisation and prompts."""
    from tests.export.checkpoints import Normalize, build_checkpoint
    return build_checkpoint(tmp_path_factory.mktemp("small"), heads=[Normalize], prompts=PROMPTS)


@pytest.fixture(scope="session")
def small_versions(small_checkpoint, tmp_path_factory):
    """Return {engine: version directory} of the small checkpoint; not to be changed."""
    from tests.export.checkpoints import export_to
    repository = tmp_path_factory.mktemp("small_repository")
    return {engine: export_to(repository, small_checkpoint, engine=engine, name=engine)
            for engine in ("openvino", "onnxruntime")}


@pytest.fixture(params=["openvino", "onnxruntime"])
def version_dir(request, small_versions, tmp_path):
    """Return a copy of the small model's version, one for each engine, for a test to damage."""
    return shutil.copytree(small_versions[request.param], tmp_path / "repository" / "small" / "1")
